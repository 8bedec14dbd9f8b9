/* command-export and command-import: a configuration that only its own tools can read, such as the
 * zip of Export-CsRgsConfiguration, opaque in the vault. */
#include "plugins/response-groups/call.h"
#include "sdk/proc/step.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZIP_KIND "response-groups-zip/1"
#define ZIP_FILE "configuration.zip"
#define ZIP_MIN 22            /* bytes of an empty archive's end record */
#define ZIP_TAIL (66 * 1024)  /* where that record begins at the earliest */

static int
check_program(struct resite_op *op, const struct resite_host *host, const char *param)
{
	const char *file = resite_str_or(op, host, param, NULL);

	if (!file || *file == '/')
		return RESITE_OK;
	return resite_fail(op, host, RESITE_ERR_INVALID, param,
			   "'%s': the program of a command is an absolute path", file);
}

ACTION(command_check)
{
	int rc = check_program(op, host, "command");

	return rc == RESITE_OK ? check_program(op, host, "copy") : rc;
}

ACTION(command_import_check)
{
	int rc = command_check(op, host);

	return rc == RESITE_OK ? check_program(op, host, "verify") : rc;
}

static int
run(struct call *c, const char *param)
{
	struct proc_step p = {.op = c->op, .host = c->host};
	int rc = c->host->param_count(c->op, param) ? proc_step_param(&p, param) : RESITE_OK;

	return rc < 0 ? rgs_fail(&c->e, rc, "%s: %s", param, p.err) : RESITE_OK;
}

/* --- the file --------------------------------------------------------------------------- */

static bool
has_end_record(const uint8_t *tail, size_t len)
{
	static const uint8_t mark[] = {'P', 'K', 5, 6};

	for (size_t i = len >= ZIP_MIN ? len - ZIP_MIN + 1 : 0; i-- > 0;)
		if (!memcmp(tail + i, mark, sizeof mark))
			return true;
	return false;
}

/* A zip that was cut has no record at its end. */
static int
check_zip(struct call *c, int fd, const char *path)
{
	static uint8_t const head_mark[] = {'P', 'K', 3, 4};
	uint8_t tail[ZIP_TAIL], head[4];
	struct stat st;
	off_t from;
	ssize_t n;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return rgs_fail(&c->e, RESITE_ERR_REFUSED, "%s: it is not a file", path);
	from = st.st_size > ZIP_TAIL ? st.st_size - ZIP_TAIL : 0;
	n = pread(fd, tail, sizeof tail, from);
	if (n < 0 || pread(fd, head, sizeof head, 0) != sizeof head ||
	    memcmp(head, head_mark, sizeof head) || !has_end_record(tail, (size_t)n))
		return rgs_fail(&c->e, RESITE_ERR_REFUSED,
				"%s: %lld bytes that are no whole zip file: was the export cut?", path,
				(long long)st.st_size);
	return RESITE_OK;
}

static int
save(struct call *c, int fd, struct vault_writer *w)
{
	struct vault_error err;
	char buf[65536];
	ssize_t n;

	while ((n = read(fd, buf, sizeof buf)) != 0) {
		if (n < 0)
			return rgs_fail(&c->e, RESITE_ERR_REFUSED, "%s: %s", call_str(c, "file"),
					strerror(errno));
		if (vault_writer_write(w, buf, (size_t)n, &err) < 0)
			return call_vault(c, &err);
	}
	return RESITE_OK;
}

static int
write_set(struct call *c, int fd)
{
	struct vault_writer *w = NULL;
	char note[VAULT_NOTE_MAX];
	struct vault_error err;
	int rc;

	if (vault_step_write(c->op, c->host, ZIP_KIND, RGS_TOOL, &w, &err) < 0 ||
	    vault_writer_file(w, ZIP_FILE, &err) < 0) {
		vault_writer_free(w);
		return call_vault(c, &err);
	}
	rc = save(c, fd, w);
	if (rc == RESITE_OK && vault_step_commit(c->op, c->host, w, note, &err) < 0)
		rc = call_vault(c, &err);
	if (rc == RESITE_OK && (rc = vault_step_written(c->op, c->host, w)) < 0)
		rgs_fail(&c->e, rc, "the host would not take an output");
	vault_writer_free(w);
	return rc;
}

/* --- export ------------------------------------------------------------------------------- */

ACTION(command_export_probe)
{
	struct call c = {.op = op, .host = host};
	struct vault_error err;
	struct vault_set *set;
	char now[200] = "no set";
	bool will_do;
	int rc = RESITE_OK;

	if (vault_step_newest(op, host, ZIP_KIND, &set, &will_do, &err) < 0) {
		call_vault(&c, &err);
		return call_failed(&c);
	}
	if (set)
		snprintf(now, sizeof now, "newest set %s of site %.60s", vault_set_name(set),
			 vault_set_site(set));
	if (!will_do)
		rc = host->change(op, call_str(&c, "name"), now, "a new set");
	if (rc == RESITE_OK)
		rc = host->state(op, now, set ? vault_set_digest(set) : "none", !will_do, 1);
	vault_close(set);
	return rc;
}

/* What an earlier export left must not be taken for the new one. */
static int
make_export(struct call *c)
{
	const char *path = call_str(c, "file");
	int fd, rc;

	if (unlink(path) < 0 && errno != ENOENT)
		return rgs_fail(&c->e, RESITE_ERR_REFUSED, "%s: an earlier file cannot be removed: %s",
				path, strerror(errno));
	if (run(c, "command") < 0 || run(c, "copy") < 0)
		return c->e.rc;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return rgs_fail(&c->e, RESITE_ERR_REFUSED,
				"%s: %s: the commands ended well and left no file there", path,
				strerror(errno));
	rc = check_zip(c, fd, path);
	if (rc == RESITE_OK)
		rc = write_set(c, fd);
	close(fd);
	if (rc == RESITE_OK)
		unlink(path);
	return rc;
}

ACTION(command_export_apply)
{
	struct call c = {.op = op, .host = host};

	return make_export(&c) < 0 ? call_failed(&c) : RESITE_OK;
}

/* The set, from the disk, byte by byte. */
ACTION(command_export_verify)
{
	struct vault_step step = {op, host};
	struct vault_set *set;
	struct vault_error err;

	if (vault_open(&set, host->param_str(op, "vault", 0), host->param_str(op, "name", 0), NULL, 0,
		       vault_step_tick, &step, &err) < 0)
		return vault_step_fail(op, host, &err);
	vault_close(set);
	return RESITE_OK;
}

/* --- import ------------------------------------------------------------------------------- */

static int
open_set(struct call *c, struct vault_set **ret)
{
	char note[VAULT_NOTE_MAX], text[200], age[VAULT_AGE_MAX];
	struct vault_error err;

	if (vault_step_open(c->op, c->host, ZIP_KIND, 0, ret, note, &err) < 0)
		return call_vault(c, &err);
	vault_age_text(age, vault_set_age_ms(*ret));
	snprintf(text, sizeof text, "response groups: the set is %s: what was changed at %.60s since "
		 "then is lost; formal agents must sign in again", age, vault_set_site(*ret));
	c->host->loss(c->op, text);
	if (*note)
		c->host->loss(c->op, note);
	return RESITE_OK;
}

/* The commands cannot be asked what they would do: there is no host->state. */
ACTION(command_import_probe)
{
	struct call c = {.op = op, .host = host};
	struct vault_set *set;
	int rc = open_set(&c, &set);

	if (rc < 0)
		return call_failed(&c);
	rc = host->change(op, "response groups", "unknown", vault_set_name(set));
	vault_close(set);
	return rc;
}

static int
write_file(struct call *c, const struct vault_set *set, int fd)
{
	const char *path = call_str(c, "file");
	struct vault_stream *st;
	struct vault_error err;
	char buf[65536];
	size_t n = 1;
	int rc = vault_stream_open(&st, set, ZIP_FILE, &err);

	if (rc < 0)
		return call_vault(c, &err);
	while (rc == RESITE_OK && n > 0) {
		if (vault_stream_read(st, buf, sizeof buf, &n, &err) < 0)
			rc = call_vault(c, &err);
		else if (n > 0 && write(fd, buf, n) != (ssize_t)n)
			rc = rgs_fail(&c->e, RESITE_ERR_REFUSED, "%s: cannot be written: %s", path,
				      strerror(errno));
	}
	vault_stream_close(st);
	return rc;
}

static int
put_file(struct call *c, const struct vault_set *set)
{
	const char *path = call_str(c, "file");
	int fd, rc;

	if (unlink(path) < 0 && errno != ENOENT)
		return rgs_fail(&c->e, RESITE_ERR_REFUSED, "%s: an earlier file cannot be removed: %s",
				path, strerror(errno));
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return rgs_fail(&c->e, RESITE_ERR_REFUSED, "%s: %s", path, strerror(errno));
	rc = write_file(c, set, fd);
	if (close(fd) < 0 && rc == RESITE_OK)
		rc = rgs_fail(&c->e, RESITE_ERR_REFUSED, "%s: %s", path, strerror(errno));
	return rc;
}

ACTION(command_import_apply)
{
	struct call c = {.op = op, .host = host};
	struct vault_set *set = NULL;
	int rc = open_set(&c, &set);

	if (rc == RESITE_OK)
		rc = put_file(&c, set);
	if (rc == RESITE_OK)
		rc = run(&c, "copy");
	if (rc == RESITE_OK)
		rc = run(&c, "command");
	/* Plain text leaves the vault for the time of the import alone. */
	if (set)
		unlink(call_str(&c, "file"));
	vault_close(set);
	return rc < 0 ? call_failed(&c) : rc;
}

ACTION(command_import_verify)
{
	struct call c = {.op = op, .host = host};

	return run(&c, "verify") < 0 ? call_failed(&c) : RESITE_OK;
}
