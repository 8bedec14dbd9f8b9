#include "plugins/groupchat/set.h"

#include "sdk/vault/step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES (256 * 1024)

/* --- what the manifest says --------------------------------------------------------------- */

static void
read_form(struct set *s)
{
	const struct { const char *key; char *to; size_t cap; } fields[] = {
		{"owner", s->form.owner, sizeof s->form.owner},
		{"encoding", s->form.encoding, sizeof s->form.encoding},
		{"collate", s->form.collate, sizeof s->form.collate},
		{"ctype", s->form.ctype, sizeof s->form.ctype},
		{"icu_locale", s->form.icu_locale, sizeof s->form.icu_locale},
	};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		const char *value = vault_set_extra(s->vault, fields[i].key);

		snprintf(fields[i].to, fields[i].cap, "%s", value ? value : "");
	}
}

static int
read_set(const struct call *c, struct set *s)
{
	const char *tables = vault_set_extra(s->vault, "tables");
	char why[200] = "there is none";

	/* A dump is as old as its snapshot. */
	s->age_ms = wall_ms() - vault_set_started_ms(s->vault);
	read_form(s);
	snprintf(s->mark, sizeof s->mark, "%.60s %s %.64s", vault_set_site(s->vault),
		 vault_set_name(s->vault), vault_set_digest(s->vault));
	if (!tables || !inventory_parse(&s->tables, tables, strlen(tables), why))
		return call_fail(c, RESITE_ERR_REFUSED, NULL, "the list of tables of set %s: %s",
				 vault_set_name(s->vault), why);
	return RESITE_OK;
}

/* --- opening -------------------------------------------------------------------------------- */

int
set_open(const struct call *c, const char *kind, unsigned flags, struct set *ret)
{
	struct vault_error err;
	int rc;

	*ret = (struct set){.fd = -1};
	if (vault_step_open(c->op, c->host, kind, flags, &ret->vault, ret->note, &err) < 0)
		return vault_step_fail(c->op, c->host, &err);
	rc = read_set(c, ret);
	if (rc != RESITE_OK)
		set_close(ret);
	return rc;
}

int
set_open_of_mark(const struct call *c, const char *mark, struct set *ret)
{
	char site[64], name[VAULT_SET_NAME_LEN + 1], digest[80];
	struct vault_error err;
	int rc;

	*ret = (struct set){.fd = -1};
	if (sscanf(mark, "%63s %21s %79s", site, name, digest) != 3 ||
	    vault_open(&ret->vault, call_str(c, "vault"), call_str(c, "name"), name,
		       VAULT_MANIFEST_ONLY, NULL, NULL, &err) < 0)
		return RESITE_PENDING;
	if (strcmp(digest, vault_set_digest(ret->vault))) {
		set_close(ret);
		return RESITE_PENDING;
	}
	rc = read_set(c, ret);
	if (rc != RESITE_OK)
		set_close(ret);
	return rc;
}

void
set_close(struct set *s)
{
	vault_close(s->vault);
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	inventory_release(&s->tables);
	*s = (struct set){.fd = -1};
}

struct vault_set *
set_newest(const struct call *c)
{
	struct vault_set *set = NULL;
	struct vault_error err;

	if (vault_open(&set, call_str(c, "vault"), call_str(c, "name"), NULL, VAULT_MANIFEST_ONLY,
		       NULL, NULL, &err) < 0 && err.code != VAULT_ERR_NONE)
		call_log(c, RESITE_LOG_WARN, "%s", err.text);
	return set;
}

bool
set_is_fresh(const struct call *c, const struct vault_set *set, const char *kind)
{
	const char *data = NULL, *name = c->host->last_checkpoint(c->op, &data);
	int64_t age = wall_ms() - vault_set_started_ms(set);

	if (name && !strcmp(name, SET_WRITTEN) && data && !strcmp(data, vault_set_name(set)))
		return true;
	return age >= 0 && age < call_i64(c, "fresh_for") && !strcmp(vault_set_kind(set), kind) &&
	       !strcmp(vault_set_site(set), call_str(c, "site"));
}

/* --- the dump --------------------------------------------------------------------------------- */

int
nameless_file(const struct call *c, int *ret_fd, char path[32])
{
	const char *vault = call_str(c, "vault");

	if (mkdir(vault, 0700) < 0 && errno != EEXIST)
		return call_fail(c, RESITE_ERR_REFUSED, "vault", "%s: %s", vault, strerror(errno));
	*ret_fd = open(vault, O_TMPFILE | O_RDWR, 0600);
	if (*ret_fd < 0)
		return call_fail(c, RESITE_ERR_REFUSED, "vault",
				 "%s: cannot make a file for the dump: %s", vault, strerror(errno));
	snprintf(path, 32, "/proc/self/fd/%d", *ret_fd);
	return RESITE_OK;
}

static int
copy_stream(const struct call *c, struct vault_stream *stream, int fd)
{
	char *buf = malloc(COPY_BYTES);
	struct vault_error err;
	size_t n = 1;
	int rc = buf ? RESITE_OK : call_no_memory(c);

	while (rc == RESITE_OK && n > 0) {
		if (c->host->time_left_ms(c->op) <= 0)
			rc = RESITE_ERR_CANCELLED;
		else if (vault_stream_read(stream, buf, COPY_BYTES, &n, &err) < 0)
			rc = vault_step_fail(c->op, c->host, &err);
		else if (write(fd, buf, n) != (ssize_t)n)
			rc = call_fail(c, RESITE_ERR_REFUSED, "vault",
				       "the dump cannot be decrypted into the vault's folder: %s",
				       strerror(errno));
	}
	free(buf);
	return rc;
}

static int
decrypt(const struct call *c, struct set *s)
{
	struct vault_stream *stream;
	struct vault_error err;
	char path[32];
	int rc = nameless_file(c, &s->fd, path);

	if (rc != RESITE_OK)
		return rc;
	if (vault_stream_open(&stream, s->vault, SET_DUMP, &err) < 0)
		return vault_step_fail(c->op, c->host, &err);
	rc = copy_stream(c, stream, s->fd);
	vault_stream_close(stream);
	s->path = strdup(path);
	return rc == RESITE_OK && !s->path ? call_no_memory(c) : rc;
}

int
set_dump(const struct call *c, struct set *s)
{
	if (vault_set_encrypted(s->vault))
		return decrypt(c, s);
	if (asprintf(&s->path, "%s/%s/%s/" SET_DUMP, call_str(c, "vault"), call_str(c, "name"),
		     vault_set_name(s->vault)) < 0) {
		s->path = NULL;
		return call_no_memory(c);
	}
	return RESITE_OK;
}
