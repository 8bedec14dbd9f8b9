/* Zone files: any bytes are read to their end or refused; what was read is edited and then
 * says what it should, and everything else as before. */
#include "config.h"

#include "plugins/dns-bind/zonewrite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A folder in memory where there is one. */
static void
make_folder(char dir[64])
{
	strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/resite-fuzz.XXXXXX" : "/tmp/resite-fuzz.XXXXXX");
	if (!mkdtemp(dir))
		abort();
}

static void
put_file(const char *path, const uint8_t *data, size_t len)
{
	FILE *f = fopen(path, "w");

	if (!f || fwrite(data, 1, len, f) != len || fclose(f) != 0)
		abort();
}

/* Sets x A 10.9.9.9 and removes y TXT, if there is one. */
static void
edit(struct zone *z, const struct name *x, const struct name *y)
{
	uint8_t address[4] = {10, 9, 9, 9}, owners[2][NAME_WIRE_MAX];
	struct rdata d = {address, 4};
	struct rrset sets[2] = {
		{.owner = owners[0], .owner_len = x->len, .type = LDNS_RR_TYPE_A, .ttl = 60, .rdata = &d, .n = 1},
		{.owner = owners[1], .owner_len = y->len, .type = LDNS_RR_TYPE_TXT}};
	struct zone_write w;
	enum zone_rc rc;

	memcpy(owners[0], x->wire, x->len);
	memcpy(owners[1], y->wire, y->len);
	rc = zone_write_begin(z, sets, 2, z->serial + 1, &w);
	if (rc == ZONE_OK)
		rc = zone_write_commit(&w);
	zone_write_end(&w);
	/* Refused is good, an edit that says something else than it should is refused too; here
	 * only what the reader itself cannot excuse ends the program. */
	if (rc == ZONE_BROKEN && strstr(z->err, "could not be read again")) {
		fprintf(stderr, "%s\n", z->err);
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const names[] = {"x.contoso.example.", "y.contoso.example."};
	char dir[64], path[80], *roots[1] = {dir};
	struct name x[2];
	struct zone z;

	make_folder(dir);
	snprintf(path, sizeof(path), "%s/db", dir);
	put_file(path, data, len);
	if (!zone_init(&z, "contoso.example."))
		abort();
	z.directory = dir;
	z.roots = roots;
	z.n_roots = 1;
	for (size_t i = 0; i < 2; i++)
		if (!name_parse(names[i], strlen(names[i]), NULL, &x[i]) || !zone_watch(&z, &x[i]))
			abort();
	if (zone_read(&z, path) == ZONE_OK) {
		struct rrset now = {.owner = x[0].wire, .owner_len = x[0].len, .type = LDNS_RR_TYPE_A};
		uint64_t records = z.records;
		bool mixed;

		zone_rrset(&z, &now, &mixed);
		rrset_clear(&now);
		if (zone_look_again(&z) != ZONE_OK || z.records != records)
			abort();
		edit(&z, &x[0], &x[1]);
	}
	zone_release(&z);
	unlink(path);
	if (rmdir(dir) != 0)
		abort(); /* something was left behind */
	return 0;
}
