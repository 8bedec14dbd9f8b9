/* check, retain and trial: what is done in one vault. */
#include "plugins/vault/actions.h"
#include "sdk/proc/step.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- check ------------------------------------------------------------------------------ */

static int
check_growth(struct resite_op *op, const struct resite_host *host, const struct vault_set *s,
	     char note[VAULT_NOTE_MAX], struct vault_error *err)
{
	const struct vault_shrink rule = {
		resite_i64_or(op, host, "shrink_warn", 0),
		resite_i64_or(op, host, "shrink_refuse", 0),
		resite_str_or(op, host, "shrink_reason", NULL),
	};
	struct vault_set *before = NULL;
	int rc = vault_open_before(&before, s, err);

	if (rc == VAULT_OK || rc == VAULT_ERR_NONE)
		rc = vault_check_growth(s, before, &rule, note, err);
	vault_close(before);
	return rc;
}

/* flags as vault_open; notes[0] is about the age, notes[1] about the size. */
static int
judge(struct resite_op *op, const struct resite_host *host, unsigned flags,
      struct vault_set **ret, char notes[2][VAULT_NOTE_MAX], struct vault_error *err)
{
	const char *site = resite_str_or(op, host, "from_site", NULL);
	struct vault_step step = {op, host};
	struct vault_set *s;
	int rc = vault_open(&s, host->param_str(op, "vault", 0), host->param_str(op, "name", 0), NULL,
			    flags, vault_step_tick, &step, err);

	if (rc < 0)
		return rc;
	if (site && strcmp(site, vault_set_site(s))) {
		err->code = rc = VAULT_ERR_DAMAGED;
		snprintf(err->text, sizeof err->text, "set %s was made at site '%s', not at '%s'",
			 vault_set_name(s), vault_set_site(s), site);
	}
	if (rc == VAULT_OK)
		rc = vault_check_age(s, resite_i64_or(op, host, "max_age", 0),
				     resite_str_or(op, host, "max_age_reason", NULL), notes[0], err);
	if (rc == VAULT_OK)
		rc = check_growth(op, host, s, notes[1], err);
	if (rc < 0)
		vault_close(s);
	else
		*ret = s;
	return rc;
}

/* By the manifest alone: verify reads every byte. */
ACTION(check_probe)
{
	char notes[2][VAULT_NOTE_MAX] = {"", ""}, now[300], age[VAULT_AGE_MAX];
	struct vault_error err;
	struct vault_set *s;
	int rc;

	if (judge(op, host, VAULT_MANIFEST_ONLY, &s, notes, &err) < 0)
		return vault_step_fail(op, host, &err);
	vault_age_text(age, vault_set_age_ms(s));
	snprintf(now, sizeof now, "newest set %s of site %.60s, %s", vault_set_name(s),
		 vault_set_site(s), age);
	for (int i = 0; i < 2; i++)
		if (*notes[i])
			host->loss(op, notes[i]);
	rc = host->state(op, now, vault_set_digest(s), 0, 1);
	vault_close(s);
	return rc;
}

ACTION(check_verify)
{
	char notes[2][VAULT_NOTE_MAX] = {"", ""};
	struct vault_error err;
	struct vault_set *s;

	if (judge(op, host, 0, &s, notes, &err) < 0)
		return vault_step_fail(op, host, &err);
	for (int i = 0; i < 2; i++)
		if (*notes[i])
			resite_log(op, host, RESITE_LOG_WARN, "%s", notes[i]);
	vault_close(s);
	return RESITE_OK;
}

/* --- retain ------------------------------------------------------------------------------ */

static int
find(struct resite_op *op, const struct resite_host *host, struct vault_kept **ret, size_t *ret_n,
     struct vault_error *err)
{
	const struct vault_keep keep = {(uint32_t)host->param_i64(op, "keep", 0),
					(uint32_t)host->param_i64(op, "keep_days", 0)};
	struct vault_step step = {op, host};

	return vault_retention(ret, ret_n, host->param_str(op, "vault", 0),
			       host->param_str(op, "name", 0), &keep, vault_step_tick, &step, err);
}

ACTION(retain_probe)
{
	struct vault_kept *sets;
	struct vault_error err;
	size_t n, going = 0;
	char now[100];
	int rc = RESITE_OK;

	if (find(op, host, &sets, &n, &err) < 0)
		return vault_step_fail(op, host, &err);
	for (size_t i = 0; rc == RESITE_OK && i < n; i++) {
		if (!sets[i].whole)
			resite_log(op, host, RESITE_LOG_WARN, "%s is kept, a person must look: %s",
				   sets[i].set, sets[i].why);
		if (!sets[i].remove)
			continue;
		going++;
		rc = host->change(op, sets[i].set, sets[i].why, "none");
	}
	snprintf(now, sizeof now, "%zu sets, the newest %s", n, n ? sets[n - 1].set : "none");
	if (rc == RESITE_OK)
		rc = host->state(op, now, n ? sets[n - 1].set : "none", going, n);
	free(sets);
	return rc;
}

ACTION(retain_apply)
{
	const char *vault = host->param_str(op, "vault", 0), *name = host->param_str(op, "name", 0);
	struct vault_kept *sets;
	struct vault_error err;
	int rc = VAULT_OK;
	size_t n;

	if (find(op, host, &sets, &n, &err) < 0)
		return vault_step_fail(op, host, &err);
	for (size_t i = 0; rc == VAULT_OK && i < n; i++) {
		if (!sets[i].remove)
			continue;
		rc = vault_remove(vault, name, sets[i].set, &err);
		host->progress(op, i + 1, n, "sets");
		if (rc == VAULT_OK)
			resite_log(op, host, RESITE_LOG_INFO, "%s removed: %s", sets[i].set,
				   sets[i].why);
	}
	free(sets);
	return rc < 0 ? vault_step_fail(op, host, &err) : RESITE_OK;
}

/* --- trial -------------------------------------------------------------------------------- */

static int
restore_file(const struct vault_set *s, const char *file, const char *folder,
	     struct vault_step *step, struct vault_error *err)
{
	struct vault_stream *st = NULL;
	char path[4096], buf[65536];
	uint64_t done = 0;
	size_t n = 1;
	int fd, rc;

	snprintf(path, sizeof path, "%s/%s", folder, file);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	rc = fd < 0 ? VAULT_ERR_IO : vault_stream_open(&st, s, file, err);
	if (fd < 0)
		snprintf(err->text, sizeof err->text, "%.600s: %s", path, strerror(errno));
	while (rc == VAULT_OK && n > 0) {
		rc = vault_stream_read(st, buf, sizeof buf, &n, err);
		if (rc == VAULT_OK && n > 0 && write(fd, buf, n) != (ssize_t)n) {
			rc = VAULT_ERR_IO;
			snprintf(err->text, sizeof err->text, "%.600s: %s", path, strerror(errno));
		}
		done += n;
		if (rc == VAULT_OK && vault_step_tick(step, done, vault_set_bytes(s))) {
			rc = VAULT_ERR_STOPPED;
			snprintf(err->text, sizeof err->text, "stopped while restoring %.600s", path);
		}
	}
	vault_stream_close(st);
	if (fd >= 0)
		close(fd);
	err->code = rc;
	return rc;
}

static int
run_command(struct resite_op *op, const struct resite_host *host, char *folder)
{
	uint32_t n = host->param_count(op, "command");
	struct proc_step p = {.op = op, .host = host};
	const char **argv;
	int rc;

	if (n == 0)
		return RESITE_OK;
	argv = calloc(n + 2u, sizeof *argv);
	if (!argv)
		return RESITE_ERR_TRANSIENT;
	for (uint32_t i = 0; i < n; i++)
		argv[i] = host->param_str(op, "command", i);
	argv[n] = folder;
	rc = proc_step_run(&p, (char *const *)(uintptr_t)argv, NULL, 0);
	free(argv);
	return rc < 0 ? resite_fail(op, host, rc, "command", "the set was restored, but: %s", p.err) : rc;
}

static void
remove_folder(const struct vault_set *s, const char *folder)
{
	char path[4096];
	const char *file;

	for (size_t i = 0; (file = vault_set_file(s, i)); i++) {
		snprintf(path, sizeof path, "%s/%s", folder, file);
		unlink(path);
	}
	rmdir(folder);
}

ACTION(trial_verify)
{
	struct vault_step step = {op, host};
	char folder[3000], note[VAULT_NOTE_MAX];
	struct vault_error err;
	struct vault_set *s;
	const char *file;
	int rc = VAULT_OK;

	if (vault_step_open(op, host, NULL, 0, &s, note, &err) < 0)
		return vault_step_fail(op, host, &err);
	snprintf(folder, sizeof folder, "%.2900s/resite-trial-XXXXXX", host->param_str(op, "scratch", 0));
	if (!mkdtemp(folder)) {
		vault_close(s);
		return resite_fail(op, host, RESITE_ERR_REFUSED, "scratch", "%s: %s", folder,
				   strerror(errno));
	}
	for (size_t i = 0; rc == VAULT_OK && (file = vault_set_file(s, i)); i++)
		rc = restore_file(s, file, folder, &step, &err);
	rc = rc < 0 ? vault_step_fail(op, host, &err) : run_command(op, host, folder);
	remove_folder(s, folder);
	vault_close(s);
	return rc;
}
