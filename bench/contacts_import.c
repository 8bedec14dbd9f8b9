/* contacts.import's apply alone, in one process, for a comparison with xcap_limit.
 *
 *	contacts_import ROOT VAULT CONNECTIONS [probe] */
#define _GNU_SOURCE
#include "sdk/testkit/fakehost.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct resite_plugin *resite_plugin_v0(void);

static double
seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	const struct resite_plugin *plugin = resite_plugin_v0();
	enum fakehost_phase phase = FAKEHOST_APPLY;
	struct fakehost *fh = NULL;
	double began, cpu, s;
	uint64_t n, total;
	int rc;

	for (uint64_t i = 0; i < plugin->n_actions; i++)
		if (!strcmp(plugin->actions[i].name, "import"))
			fh = fakehost_new(&plugin->actions[i]);
	if (argc < 4 || !fh) {
		fprintf(stderr, "usage: contacts_import ROOT VAULT CONNECTIONS [probe]\n");
		return 2;
	}
	if (argc > 4)
		phase = FAKEHOST_PROBE;
	fakehost_param(fh, "server", argv[1]);
	fakehost_param(fh, "vault", argv[2]);
	fakehost_param(fh, "connections", argv[3]);
	fakehost_deadline(fh, 3600 * 1000);
	began = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	rc = fakehost_call(fh, phase);
	s = seconds(CLOCK_MONOTONIC) - began;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	n = fakehost_progress(fh, &total);
	printf("%" PRIu64 " lists, %s connections, %.3f s, %.0f/s, %.0f us CPU each, rc %d %s\n", n,
	       argv[3], s, (double)n / s, cpu / (double)n * 1e6, rc, fakehost_failure(fh));
	fakehost_free(fh);
	return rc != 0;
}
