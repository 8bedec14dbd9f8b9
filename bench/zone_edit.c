/* zone_edit: what dns-bind does to a zone's file, without named and its checker: read it,
 * find and change RRsets, write it beside, read that again, rename it.
 *
 *	zone_edit ZONE FILE RECORDS     (RECORDS: a line each, as in a plan) */
#include "config.h"

#include "plugins/dns-bind/zonewrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
die(const char *why)
{
	fprintf(stderr, "zone_edit: %s\n", why);
	exit(1);
}

static void
load(struct zone *z, const char *path, struct rrset_list *ret)
{
	ldns_rdf *origin = ldns_dname_new_frm_str(z->text);
	struct rrset_error err;
	char line[1000];
	FILE *f = fopen(path, "r");

	if (!f || !origin)
		die(path);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!rrset_add_text(ret, line, origin, 60, &err))
			die(err.text);
	}
	if (!rrset_list_join(ret, &err))
		die(err.text);
	fclose(f);
	ldns_rdf_deep_free(origin);
}

static size_t
count_changes(struct zone *z, const struct rrset_list *sets)
{
	size_t n = 0;

	for (size_t i = 0; i < sets->n; i++) {
		struct rrset now = {.owner = sets->v[i].owner, .owner_len = sets->v[i].owner_len,
				    .type = sets->v[i].type};
		bool mixed;

		if (!zone_rrset(z, &now, &mixed))
			die(z->err);
		n += !rrset_same(&now, &sets->v[i]);
		rrset_clear(&now);
	}
	return n;
}

int
main(int argc, char **argv)
{
	struct rrset_list sets = {0};
	struct zone_write w;
	struct zone z;
	struct rusage use;
	double begun = now_s(), read, written;
	size_t changes;

	if (argc != 4 || !zone_init(&z, argv[1]))
		die("usage: zone_edit ZONE FILE RECORDS");
	load(&z, argv[3], &sets);
	for (size_t i = 0; i < sets.n; i++) {
		struct name n;

		if (!name_from_wire(sets.v[i].owner, sets.v[i].owner_len, &n) || !zone_watch(&z, &n))
			die("out of memory");
	}
	if (zone_read(&z, argv[2]) != ZONE_OK)
		die(z.err);
	read = now_s();
	changes = count_changes(&z, &sets);
	if (zone_write_begin(&z, sets.v, sets.n, z.serial + 1, &w) != ZONE_OK ||
	    zone_write_commit(&w) != ZONE_OK)
		die(z.err);
	written = now_s();
	getrusage(RUSAGE_SELF, &use);
	printf("%llu records, %zu RRsets changed, read %.3f s, all %.3f s, peak %ld KiB\n",
	       (unsigned long long)z.records, changes, read - begun, written - begun, use.ru_maxrss);
	zone_write_end(&w);
	zone_release(&z);
	rrset_list_release(&sets);
	return 0;
}
