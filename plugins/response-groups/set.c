#include "plugins/response-groups/set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "response-groups/1\n"
/* Of a line: a workflow with all its prompts and holidays is a few kilobytes. */
#define LINE_MAX_BYTES (4u << 20)

static int
put(struct vault_writer *w, const char *text, struct vault_error *err)
{
	return vault_writer_write(w, text, strlen(text), err);
}

static int
put_row(struct vault_writer *w, const struct rgs_row *r, struct vault_error *err)
{
	const char *const parts[] = {rgs_tables[r->table].table, "\t", r->owner, "\t", r->body, "\n"};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (put(w, parts[i], err) < 0)
			return err->code;
	return VAULT_OK;
}

int
rgs_set_write(struct vault_writer *w, const struct rgs_rows *rows, struct vault_error *err)
{
	char digest[RGS_DIGEST_HEX];

	if (vault_writer_file(w, RGS_FILE, err) < 0 || put(w, HEAD, err) < 0)
		return err->code;
	for (size_t i = 0; i < rows->n; i++)
		if (put_row(w, &rows->list[i], err) < 0)
			return err->code;
	for (enum rgs_table t = 0; t < RGS_TABLES; t++)
		if (vault_writer_measure(w, rgs_tables[t].table, rgs_rows_count(rows, t), err) < 0)
			return err->code;
	rgs_rows_digest(rows, digest);
	return vault_writer_extra(w, "rows", digest, err);
}

/* --- reading ----------------------------------------------------------------------------- */

struct reading {
	const struct vault_set *set;
	struct rgs_rows *rows;
	char *line; /* what there is of the line that is being read */
	size_t len, cap;
	bool head;  /* the first line was read */
};

static int
take_line(struct reading *r, struct rgs_error *e)
{
	char *owner, *body;
	enum rgs_table t;

	if (!r->head) {
		r->head = true;
		return strcmp(r->line, "response-groups/1")
			       ? rgs_fail(e, RESITE_ERR_REFUSED, "set %s: " RGS_FILE " does not begin "
					  "with " RGS_KIND, vault_set_name(r->set))
			       : RESITE_OK;
	}
	owner = strchr(r->line, '\t');
	body = owner ? strchr(owner + 1, '\t') : NULL;
	if (!body)
		return rgs_fail(e, RESITE_ERR_REFUSED, "set %s: line %zu of " RGS_FILE " is no object",
				vault_set_name(r->set), r->rows->n + 2);
	*owner++ = *body++ = '\0';
	t = rgs_table_find(r->line);
	if (t == RGS_TABLES)
		return rgs_fail(e, RESITE_ERR_REFUSED, "set %s: line %zu of " RGS_FILE " is of a kind "
				"that this version does not know", vault_set_name(r->set),
				r->rows->n + 2);
	return rgs_rows_add(r->rows, t, owner, body, e);
}

static int
take_bytes(struct reading *r, const char *p, size_t n, struct rgs_error *e)
{
	for (size_t i = 0; i < n; i++) {
		if (r->len + 1 >= r->cap) {
			size_t cap = r->cap ? 2 * r->cap : 4096;
			char *grown = cap <= LINE_MAX_BYTES ? realloc(r->line, cap) : NULL;

			if (!grown)
				return rgs_fail(e, RESITE_ERR_REFUSED, "set %s: line %zu of " RGS_FILE
						" is too long", vault_set_name(r->set), r->rows->n + 2);
			r->line = grown;
			r->cap = cap;
		}
		r->line[r->len++] = p[i] == '\n' ? '\0' : p[i];
		if (p[i] != '\n')
			continue;
		if (strlen(r->line) + 1 != r->len)
			return rgs_fail(e, RESITE_ERR_REFUSED, "set %s: a NUL in line %zu of " RGS_FILE,
					vault_set_name(r->set), r->rows->n + 2);
		r->len = 0;
		if (take_line(r, e) < 0)
			return e->rc;
	}
	return RESITE_OK;
}

static int
read_file(struct reading *r, struct rgs_error *e)
{
	struct vault_stream *st;
	struct vault_error err;
	char buf[16384];
	size_t n = 1;
	int rc = vault_stream_open(&st, r->set, RGS_FILE, &err);

	if (rc < 0)
		return rgs_fail(e, vault_step_rc(rc), "%s", err.text);
	while (rc == RESITE_OK && n > 0) {
		rc = vault_stream_read(st, buf, sizeof buf, &n, &err);
		rc = rc < 0 ? rgs_fail(e, vault_step_rc(rc), "%s", err.text) : take_bytes(r, buf, n, e);
	}
	vault_stream_close(st);
	if (rc == RESITE_OK && (r->len > 0 || !r->head))
		rc = rgs_fail(e, RESITE_ERR_REFUSED, "set %s: " RGS_FILE " ends in the middle of a line",
			      vault_set_name(r->set));
	return rc;
}

static int
check_counts(const struct vault_set *s, const struct rgs_rows *rows, struct rgs_error *e)
{
	const char *said = vault_set_extra(s, "rows");
	char digest[RGS_DIGEST_HEX];

	for (enum rgs_table t = 0; t < RGS_TABLES; t++)
		if (rgs_rows_count(rows, t) != vault_set_count(s, rgs_tables[t].table))
			return rgs_fail(e, RESITE_ERR_REFUSED, "set %s has %zu %s, its manifest says %llu",
					vault_set_name(s), rgs_rows_count(rows, t), rgs_tables[t].table,
					(unsigned long long)vault_set_count(s, rgs_tables[t].table));
	rgs_rows_digest(rows, digest);
	return said && !strcmp(said, digest)
		       ? RESITE_OK
		       : rgs_fail(e, RESITE_ERR_REFUSED, "set %s: its objects are not those of its "
				  "manifest", vault_set_name(s));
}

int
rgs_set_read(const struct vault_set *s, struct rgs_rows *ret, struct rgs_error *e)
{
	struct reading r = {.set = s, .rows = ret};
	int rc;

	*ret = (struct rgs_rows){0};
	rc = read_file(&r, e);
	free(r.line);
	if (rc == RESITE_OK)
		rc = rgs_rows_end(ret, vault_set_name(s), e);
	if (rc == RESITE_OK)
		rc = check_counts(s, ret, e);
	if (rc < 0)
		rgs_rows_release(ret);
	return rc;
}
