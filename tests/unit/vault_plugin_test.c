/* The steps of the plugin vault; copies go through a real sshd on loopback. */
#include "sdk/testkit/fakehost.h"
#include "sdk/vault/vault.h"
#include "tests/unit/run_suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[64], vault[80];
static struct vault_error err;
static int port;
static pid_t sshd;

const struct resite_plugin *resite_plugin_v0(void);

__attribute__((format(printf, 1, 2))) static int
sh(const char *fmt, ...)
{
	char *cmd;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	ck_assert_int_gt(vasprintf(&cmd, fmt, ap), 0);
	va_end(ap);
	rc = system(cmd);
	free(cmd);
	return rc;
}

static void
setup(void)
{
	strcpy(dir, "/tmp/vault-plugin-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(vault, sizeof vault, "%s/vault", dir);
}

static void
teardown(void)
{
	if (sshd > 0) {
		kill(sshd, SIGTERM);
		waitpid(sshd, NULL, 0);
	}
	ck_assert_int_eq(sh("rm -rf '%s'", dir), 0);
}

static void
write_set(char set[VAULT_SET_NAME_LEN + 1], size_t bytes)
{
	static const struct vault_about about = {"test/1", "primary", "test"};
	struct vault_writer *w;
	int rc = VAULT_OK;

	ck_assert_int_eq(vault_writer_new(&w, vault, "b", &about, &err), 0);
	ck_assert_int_eq(vault_writer_file(w, "data", &err), 0);
	for (size_t i = 0; rc == VAULT_OK && i < bytes; i++)
		rc = vault_writer_write(w, "x", 1, &err);
	ck_assert_int_eq(rc, VAULT_OK); /* once: Check writes down each assertion */
	ck_assert_int_eq(vault_writer_commit(w, &err), 0);
	strcpy(set, vault_writer_set(w));
	vault_writer_free(w);
}

static struct fakehost *
step(const char *name)
{
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), name));

	fakehost_param(fh, "vault", vault);
	fakehost_param(fh, "name", "b");
	return fh;
}

static void
param(struct fakehost *fh, const char *name, const char *value)
{
	fakehost_param_clear(fh, name);
	fakehost_param(fh, name, value);
}

#define must(fh, phase)                                                                          \
	ck_assert_msg(fakehost_call(fh, phase) == RESITE_OK, #phase ": %s", fakehost_failure(fh))

static void
says(struct fakehost *fh, enum fakehost_phase phase, int rc, const char *text)
{
	int is = fakehost_call(fh, phase);

	ck_assert_msg(is == rc && strstr(fakehost_failure(fh), text), "%d: %s", is,
		      fakehost_failure(fh));
}

START_TEST(a_gate_passes_what_is_whole_young_and_not_shrunken)
{
	char a[VAULT_SET_NAME_LEN + 1];
	struct fakehost *fh = step("check");

	says(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "there is no backup here");
	write_set(a, 1000);
	must(fh, FAKEHOST_PROBE);
	must(fh, FAKEHOST_VERIFY);
	write_set(a, 400);
	says(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED, "bytes fell by 60 %");
	param(fh, "shrink_reason", "half of them left");
	must(fh, FAKEHOST_PROBE);
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "accepted because: half of them left"));
	param(fh, "from_site", "dr");
	says(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED, "not at 'dr'");
	param(fh, "from_site", "primary");
	ck_assert_int_eq(sh("cd %s/b/%s && printf y | dd of=data conv=notrunc 2>/dev/null", vault, a), 0);
	must(fh, FAKEHOST_PROBE); /* it reads the manifest alone */
	says(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED, "data: its SHA-256 is");
	fakehost_free(fh);
}
END_TEST

START_TEST(retention_says_what_goes_and_then_it_is_gone)
{
	struct fakehost *fh = step("retain");
	char a[3][VAULT_SET_NAME_LEN + 1];

	for (int i = 0; i < 3; i++)
		write_set(a[i], 10);
	param(fh, "keep", "2");
	param(fh, "keep_days", "0");
	must(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	must(fh, FAKEHOST_APPLY);
	must(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	ck_assert_int_eq(sh("test ! -e %s/b/%s && test -e %s/b/%s", vault, a[0], vault, a[1]), 0);
	fakehost_free(fh);
}
END_TEST

START_TEST(a_trial_restores_tries_and_leaves_nothing)
{
	struct fakehost *fh = step("trial");
	char a[VAULT_SET_NAME_LEN + 1];

	write_set(a, 100);
	param(fh, "scratch", dir);
	fakehost_param(fh, "command", "/bin/sh");
	fakehost_param(fh, "command", "-c");
	fakehost_param(fh, "command", "test $(wc -c <$0/data) -eq 100 || { echo short >&2; exit 1; }");
	must(fh, FAKEHOST_VERIFY);
	write_set(a, 99);
	says(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED, "the set was restored, but: /bin/sh: exit code 1: short");
	ck_assert_int_eq(sh("! ls %s | grep -q trial", dir), 0);
	fakehost_free(fh);
}
END_TEST

/* --- copies ---------------------------------------------------------------------------------- */

static int
free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void
start_sshd(void)
{
	char config[100];

	port = free_port();
	ck_assert_int_eq(sh("cd %s && ssh-keygen -q -t ed25519 -N '' -f host && ssh-keygen -q -t ed25519 -N '' "
			    "-f id && cp id.pub ok && chmod 600 ok && "
			    "echo \"[127.0.0.1]:%d $(cat host.pub)\" >known && "
			    "printf 'Port %d\\nListenAddress 127.0.0.1\\nHostKey %s/host\\n"
			    "AuthorizedKeysFile %s/ok\\nStrictModes no\\nUsePAM no\\nPidFile none\\n"
			    "PermitRootLogin yes\\n' >sshd.conf && mkdir -p /run/sshd 2>/dev/null; true",
			    dir, port, port, dir, dir), 0);
	snprintf(config, sizeof config, "%s/sshd.conf", dir);
	sshd = fork();
	if (sshd == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/usr/sbin/sshd", "/usr/sbin/sshd", "-D", "-e", "-f", config, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 100 && sh("ssh-keyscan -T 1 -p %d 127.0.0.1 2>/dev/null | grep -q ssh", port); i++)
		nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

static struct fakehost *
copy_step(void)
{
	struct fakehost *fh = step("copy");
	char word[200];

	snprintf(word, sizeof word, "%s@127.0.0.1", getpwuid(getuid())->pw_name);
	fakehost_param(fh, "to", word);
	snprintf(word, sizeof word, "%s/other site's vault", dir);
	fakehost_param(fh, "to_vault", word);
	fakehost_param_clear(fh, "ssh");
	fakehost_param(fh, "ssh", "/usr/bin/ssh");
	fakehost_param(fh, "ssh", "-F");
	fakehost_param(fh, "ssh", "none");
	snprintf(word, sizeof word, "-p%d", port);
	fakehost_param(fh, "ssh", word);
	snprintf(word, sizeof word, "-i%s/id", dir);
	fakehost_param(fh, "ssh", word);
	snprintf(word, sizeof word, "-oUserKnownHostsFile=%s/known", dir);
	fakehost_param(fh, "ssh", word);
	return fh;
}

START_TEST(a_copy_is_whole_there_or_not_there)
{
	char a[VAULT_SET_NAME_LEN + 1], there[200];
	struct fakehost *fh;
	struct vault_set *s;

	start_sshd();
	write_set(a, 200000);
	fh = copy_step();
	must(fh, FAKEHOST_CHECK);
	must(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	says(fh, FAKEHOST_VERIFY, RESITE_ERR_CONFLICT, "is not there");
	/* What an attempt left that was cut. */
	snprintf(there, sizeof there, "%s/other site's vault", dir);
	ck_assert_int_eq(sh("mkdir -p \"%s/b/.copying-%s\" && cd \"%s/b/.copying-%s\" && echo half >data && "
			    "echo more >other", there, a, there, a), 0);
	must(fh, FAKEHOST_APPLY);
	must(fh, FAKEHOST_VERIFY);
	must(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	must(fh, FAKEHOST_APPLY);
	ck_assert_int_eq(vault_open(&s, there, "b", NULL, 0, NULL, NULL, &err), 0);
	vault_close(s);
	ck_assert_int_eq(sh("test \"$(ls -A \"%s/b\")\" = %s", there, a), 0);
	/* One byte there: the probe, cheap, does not see it; verify does. */
	ck_assert_int_eq(sh("cd \"%s/b/%s\" && printf y | dd of=data conv=notrunc 2>/dev/null", there, a), 0);
	must(fh, FAKEHOST_PROBE);
	says(fh, FAKEHOST_VERIFY, RESITE_ERR_REFUSED, "is not what it is here");
	ck_assert_int_eq(sh("cd \"%s/b/%s\" && echo >manifest.json", there, a), 0);
	says(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED, "is not what it is here");
	fakehost_free(fh);
}
END_TEST

static const struct {
	const char *before; /* shell, in dir */
	const char *param, *value;
	int rc;
	const char *says;
} bad_ways[] = {
	{"echo >known", NULL, NULL, RESITE_ERR_TRANSIENT, "Host key verification failed"},
	{"echo >ok", NULL, NULL, RESITE_ERR_TRANSIENT, "Permission denied"},
	{"true", "to", "nobody@127.0.0.2", RESITE_ERR_TRANSIENT, "127.0.0.2"},
	{"true", "to_vault", "/proc/none", RESITE_ERR_REFUSED, "was not accepted there"},
	{"true", "rsync", "/bin/false", RESITE_ERR_TRANSIENT, "/bin/false: exit code 1"},
	{"true", "rsync", "/bin/true", RESITE_ERR_REFUSED, "was not accepted there"},
};

START_TEST(a_bad_way_to_the_other_site_is_told)
{
	char a[VAULT_SET_NAME_LEN + 1];
	struct fakehost *fh;

	start_sshd();
	write_set(a, 100);
	ck_assert_int_eq(sh("cd %s && %s", dir, bad_ways[_i].before), 0);
	fh = copy_step();
	if (bad_ways[_i].param)
		param(fh, bad_ways[_i].param, bad_ways[_i].value);
	says(fh, FAKEHOST_APPLY, bad_ways[_i].rc, bad_ways[_i].says);
	ck_assert_int_eq(sh("test ! -e \"%s/other site's vault/b/%s\"", dir, a), 0);
	fakehost_free(fh);
}
END_TEST

START_TEST(words_that_ssh_would_take_for_options_are_refused)
{
	struct fakehost *fh = copy_step();

	param(fh, "to", "-oProxyCommand=x");
	says(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID, "is not host or user@host");
	param(fh, "to", "host");
	param(fh, "to_vault", "relative");
	says(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID, "is not an absolute path");
	fakehost_free(fh);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("steps");
	Suite *suite = suite_create("vault plugin");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_gate_passes_what_is_whole_young_and_not_shrunken);
	tcase_add_test(tc, retention_says_what_goes_and_then_it_is_gone);
	tcase_add_test(tc, a_trial_restores_tries_and_leaves_nothing);
	tcase_add_test(tc, words_that_ssh_would_take_for_options_are_refused);
	tcase_add_test(tc, a_copy_is_whole_there_or_not_there);
	tcase_add_loop_test(tc, a_bad_way_to_the_other_site_is_told, 0,
			    (int)(sizeof bad_ways / sizeof *bad_ways));
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
