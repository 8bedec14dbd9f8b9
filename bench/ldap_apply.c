/* ldap_apply: one apply of ldap-homing.move in this process, over the test kit's
 * host: what the plugin costs without workers and journal.
 *
 *	ldap_apply NAME=VALUE…      (parameters; password=VALUE is the secret itself)
 *
 * Prints one JSON object.
 */
#define _GNU_SOURCE
#include "config.h"

#include "sdk/testkit/fakehost.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

const struct resite_plugin *resite_plugin_v0(void);

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	struct fakehost *fh = fakehost_new(&resite_plugin_v0()->actions[0]);
	struct rusage use;
	double t0;
	int rc;

	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value) {
			fprintf(stderr, "usage: ldap_apply NAME=VALUE...\n");
			return 2;
		}
		*value++ = '\0';
		if (!strcmp(argv[i], "password"))
			fakehost_secret(fh, "password", value);
		fakehost_param(fh, argv[i], strcmp(argv[i], "password") ? value : "password");
	}
	fakehost_deadline(fh, 3600000);
	t0 = seconds();
	rc = fakehost_call(fh, FAKEHOST_APPLY);
	getrusage(RUSAGE_SELF, &use);
	printf("{\"way\": \"apply\", \"rc\": %d, \"users\": %s, \"transactions\": %s, \"total_s\": %.4f, "
	       "\"max_rss_kb\": %ld}\n", rc, fakehost_output(fh, "moved"),
	       fakehost_output(fh, "transactions"), seconds() - t0, use.ru_maxrss);
	if (rc)
		fprintf(stderr, "%s\n", fakehost_failure(fh));
	fakehost_free(fh);
	return rc != 0;
}
