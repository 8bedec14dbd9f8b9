/* copy: a set to the other site, by rsync over ssh, verified there by the tools that are there. */
#include "plugins/vault/actions.h"
#include "sdk/proc/step.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 60

struct copy {
	struct resite_op *op;
	const struct resite_host *host;
	struct vault_set *set;
	char *folder; /* VAULT/NAME there, quoted for its shell */
	char *list;   /* what sha256sum -c reads */
};

/* A word as a POSIX shell reads it. */
static void
quote(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++)
		fputs(*text == '\'' ? "'\\''" : (const char[]){*text, 0}, out);
	fputc('\'', out);
}

ACTION(copy_check)
{
	const char *path = host->param_str(op, "to_vault", 0), *to = host->param_str(op, "to", 0);
	const char *ssh = host->param_str(op, "ssh", 0);

	if (*path != '/' || strpbrk(path, "\n\r"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "to_vault",
				   "'%s' is not an absolute path", path);
	if (!*to || *to == '-' || strpbrk(to, " \t\n:"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "to", "'%s' is not host or user@host", to);
	if (*ssh != '/')
		return resite_fail(op, host, RESITE_ERR_INVALID, "ssh", "'%s' is not an absolute path", ssh);
	return RESITE_OK;
}

/* --- what there is here ------------------------------------------------------------------- */

static bool
hash_file(const char *path, char hex[2 * SHA256_DIGEST_SIZE + 1])
{
	uint8_t raw[SHA256_DIGEST_SIZE], buf[65536];
	struct sha256_ctx hash;
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	sha256_init(&hash);
	while (fd >= 0 && (n = read(fd, buf, sizeof buf)) > 0)
		sha256_update(&hash, (size_t)n, buf);
	if (fd >= 0)
		close(fd);
	sha256_digest(&hash, sizeof raw, raw);
	for (size_t i = 0; i < sizeof raw; i++)
		snprintf(hex + 2 * i, 3, "%02x", raw[i]);
	return n == 0;
}

static int
make_list(struct copy *c)
{
	const char *vault = c->host->param_str(c->op, "vault", 0);
	const char *name = c->host->param_str(c->op, "name", 0), *file;
	char path[4096], hex[2 * SHA256_DIGEST_SIZE + 1];
	size_t len, i = 0;
	FILE *out = open_memstream(&c->list, &len);

	if (!out)
		return resite_fail(c->op, c->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	for (file = "manifest.json"; file; file = vault_set_file(c->set, i++)) {
		snprintf(path, sizeof path, "%s/%s/%s/%s", vault, name, vault_set_name(c->set), file);
		if (!hash_file(path, hex)) {
			fclose(out);
			return resite_fail(c->op, c->host, RESITE_ERR_REFUSED, NULL, "%s: cannot be read: %s",
					   path, strerror(errno));
		}
		fprintf(out, "%s  %s\n", hex, file);
	}
	return fclose(out) == 0 ? RESITE_OK : RESITE_ERR_TRANSIENT;
}

static int
begin(struct copy *c, unsigned flags)
{
	struct vault_step step = {c->op, c->host};
	struct vault_error err;
	size_t len;
	FILE *out;

	if (vault_open(&c->set, c->host->param_str(c->op, "vault", 0),
		       c->host->param_str(c->op, "name", 0),
		       resite_str_or(c->op, c->host, "set", NULL), flags, vault_step_tick, &step,
		       &err) < 0)
		return vault_step_fail(c->op, c->host, &err);
	out = open_memstream(&c->folder, &len);
	if (!out)
		return resite_fail(c->op, c->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	quote(out, c->host->param_str(c->op, "to_vault", 0));
	fputc('/', out);
	quote(out, c->host->param_str(c->op, "name", 0));
	return fclose(out) == 0 ? make_list(c) : RESITE_ERR_TRANSIENT;
}

static void
end(struct copy *c)
{
	vault_close(c->set);
	free(c->folder);
	free(c->list);
}

/* --- there --------------------------------------------------------------------------------- */

static const char *const ssh_always[] = {
	"-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15",
	"-o", "ServerAliveCountMax=3",
};
#define N_ALWAYS (sizeof ssh_always / sizeof *ssh_always)

/* The words of ssh, up to the host. */
static size_t
ssh_words(struct copy *c, const char *argv[WORDS_MAX])
{
	uint32_t given = c->host->param_count(c->op, "ssh");
	size_t n = 0;

	for (uint32_t i = 0; i < given && n < WORDS_MAX - N_ALWAYS - 4; i++)
		argv[n++] = c->host->param_str(c->op, "ssh", i);
	for (size_t i = 0; i < N_ALWAYS; i++)
		argv[n++] = ssh_always[i];
	return n;
}

/* Runs a script there, which it frees; exit code 255 is ssh's own. */
static int
there(struct copy *c, char *script, struct proc_step *p)
{
	const char *argv[WORDS_MAX], *to = c->host->param_str(c->op, "to", 0);
	size_t n = ssh_words(c, argv);
	int rc;

	*p = (struct proc_step){.op = c->op, .host = c->host, .quiet = true};
	if (!script)
		return resite_fail(c->op, c->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	argv[n++] = to;
	argv[n++] = script;
	argv[n] = NULL;
	rc = proc_step_run(p, (char *const *)(uintptr_t)argv, c->list, strlen(c->list));
	free(script);
	if (rc == RESITE_ERR_REFUSED && p->end.exit_code == 255)
		return resite_fail(c->op, c->host, RESITE_ERR_TRANSIENT, "to", "%s: %s", to, p->end.tail);
	if (rc == RESITE_ERR_CANCELLED)
		return resite_fail(c->op, c->host, rc, NULL, "%s: %s", to, p->err);
	return rc;
}

__attribute__((format(printf, 1, 2))) static char *
script(const char *fmt, ...)
{
	char *text;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	return len < 0 ? NULL : text;
}

#define IN_SET "cd %s 2>/dev/null && cd %s 2>/dev/null || exit 3; "
#define CHECK_ALL "LC_ALL=C sha256sum -c --quiet --strict - && test \"$(ls -A | wc -l)\" -eq "

/* 1: the set is there; 0: it is not; < 0: told. */
static int
is_there(struct copy *c, bool all)
{
	const char *set = vault_set_name(c->set);
	struct proc_step p;
	size_t files = 1;
	int rc;

	while (vault_set_file(c->set, files - 1))
		files++;
	rc = there(c, all ? script(IN_SET CHECK_ALL "%zu", c->folder, set, files)
			  : script(IN_SET "head -n 1 | LC_ALL=C sha256sum -c --quiet --strict -",
				   c->folder, set), &p);
	if (rc == RESITE_OK)
		return 1;
	if (rc != RESITE_ERR_REFUSED)
		return rc;
	if (p.end.exit_code == 3)
		return 0;
	return resite_fail(c->op, c->host, rc, NULL, "%s: the copy of set %s there is not what it is here: "
			   "%s: look at it, remove it there, and copy again", c->host->param_str(c->op, "to", 0),
			   set, *p.end.tail ? p.end.tail : "a file more or less");
}

ACTION(copy_probe)
{
	struct copy c = {.op = op, .host = host};
	int rc = begin(&c, VAULT_MANIFEST_ONLY), found = rc == RESITE_OK ? is_there(&c, false) : rc;
	char now[200];

	if (found >= 0) {
		snprintf(now, sizeof now, "set %s is %sthere", vault_set_name(c.set), found ? "" : "not ");
		rc = found ? RESITE_OK : host->change(op, vault_set_name(c.set), "not there", "there");
		if (rc == RESITE_OK)
			rc = host->state(op, now, vault_set_digest(c.set), !found, 1);
	} else {
		rc = found;
	}
	end(&c);
	return rc;
}

ACTION(copy_verify)
{
	struct copy c = {.op = op, .host = host};
	int rc = begin(&c, 0), found = rc == RESITE_OK ? is_there(&c, true) : rc;

	if (found == 0)
		found = resite_fail(op, host, RESITE_ERR_CONFLICT, NULL, "set %s is not there",
				    vault_set_name(c.set));
	end(&c);
	return found > 0 ? RESITE_OK : found;
}

static int
run_rsync(struct copy *c)
{
	const char *words[WORDS_MAX], *vault = c->host->param_str(c->op, "vault", 0);
	const char *name = c->host->param_str(c->op, "name", 0), *set = vault_set_name(c->set);
	struct proc_step p = {.op = c->op, .host = c->host};
	char *shell = NULL, *from = NULL, *to = NULL;
	size_t n = ssh_words(c, words), len;
	FILE *out = open_memstream(&shell, &len);
	int rc = RESITE_ERR_TRANSIENT;

	for (size_t i = 0; out && i < n; i++) {
		if (i)
			fputc(' ', out);
		quote(out, words[i]);
	}
	if (out && fclose(out) == 0 && asprintf(&from, "%s/%s/%s/", vault, name, set) > 0 &&
	    asprintf(&to, "%s:%s/%s/.copying-%s/", c->host->param_str(c->op, "to", 0),
		     c->host->param_str(c->op, "to_vault", 0), name, set) > 0) {
		const char *argv[] = {c->host->param_str(c->op, "rsync", 0), "-rt", "-s", "--delete",
				      "--chmod=D700,F600", "-e", shell, from, to, NULL};

		rc = proc_step_run(&p, (char *const *)(uintptr_t)argv, NULL, 0);
	}
	free(shell);
	free(from);
	free(to);
	/* What came over is kept: the next attempt goes on from there. */
	if (rc == RESITE_ERR_REFUSED)
		rc = RESITE_ERR_TRANSIENT;
	return rc < 0 ? resite_fail(c->op, c->host, rc, "to", "%s", p.err) : rc;
}

/* Under a name that no reader looks at, until all of it is verified there. */
static int
bring(struct copy *c)
{
	const char *set = vault_set_name(c->set);
	struct proc_step p;
	int rc = there(c, script("umask 077; mkdir -p %s", c->folder), &p);

	if (rc == RESITE_OK && (rc = run_rsync(c)) < 0)
		return rc;
	if (rc == RESITE_OK)
		rc = there(c, script("cd %s && s=%s && cd .copying-$s && LC_ALL=C sha256sum -c --quiet --strict - && "
			   "sync -- * . && cd .. && test ! -e $s && mv -T .copying-$s $s && sync .", c->folder, set), &p);
	if (rc == RESITE_ERR_REFUSED)
		return resite_fail(c->op, c->host, rc, "to", "%s: set %s was not accepted there: %s",
				   c->host->param_str(c->op, "to", 0), set, p.err);
	return rc;
}

ACTION(copy_apply)
{
	struct copy c = {.op = op, .host = host};
	int rc = begin(&c, 0), found = rc == RESITE_OK ? is_there(&c, false) : rc;

	rc = found == 0 ? bring(&c) : found > 0 ? RESITE_OK : found;
	if (rc == RESITE_OK)
		rc = host->output(op, "set", vault_set_name(c.set));
	end(&c);
	return rc;
}
