/* Parses a dbimpexp export into the model, as contacts.import does, and says what it saw.
 *	dbimpexp_parse [-w] FILE       -w: also write each user's resource-lists document */
#define _GNU_SOURCE
#include "plugins/contacts/lync.h"
#include "plugins/contacts/lists.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct sink {
	bool write;
	struct buf document;
	uint64_t bytes;
};

static int
on_user(void *arg, const struct model_user *u, struct fault *f)
{
	struct sink *sink = arg;

	(void)f;
	if (sink->write) {
		buf_clear(&sink->document);
		lists_write(&sink->document, u);
		sink->bytes += sink->document.len;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct sink sink = {.write = argc == 3 && !strcmp(argv[1], "-w")};
	struct reader reader = {.user = on_user, .arg = &sink};
	struct read_stats stats;
	struct timespec a, b;
	struct rusage usage;
	struct fault f;
	double s;

	if (argc != 2 + sink.write) {
		fprintf(stderr, "usage: dbimpexp_parse [-w] FILE\n");
		return 2;
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	if (dbimpexp_read(argv[argc - 1], &reader, &stats, &f) < 0) {
		fprintf(stderr, "dbimpexp_parse: %s\n", f.text);
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	getrusage(RUSAGE_SELF, &usage);
	printf("%" PRIu64 " users, %" PRIu64 " groups, %" PRIu64 " contacts, names %s, "
	       "%.3f s, %.0f MB/s, peak %ld KiB\n",
	       stats.users, stats.groups, stats.contacts, (stats.names == NAMES_BASE64) ? "base64" : "plain", s,
	       (double)stats.bytes / 1e6 / s, usage.ru_maxrss);
	return 0;
}
