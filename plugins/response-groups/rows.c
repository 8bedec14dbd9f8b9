#include "plugins/response-groups/rows.h"

#include <resite/plugin.h>

#include <jansson.h>
#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct rgs_table_info rgs_tables[RGS_TABLES] = {
	[RGS_SETTINGS] = {"settings", "setting", false},
	[RGS_HOURS] = {"business_hours", "business hours", false},
	[RGS_HOLIDAYS] = {"holiday_sets", "holiday set", false},
	[RGS_GROUPS] = {"agent_groups", "agent group", false},
	[RGS_QUEUES] = {"queues", "queue", true},
	[RGS_WORKFLOWS] = {"workflows", "workflow", true},
};

int
rgs_fail(struct rgs_error *e, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	e->rc = rc;
	if (vsnprintf(e->text, sizeof e->text, fmt, ap) < 0)
		e->text[0] = '\0';
	va_end(ap);
	return rc;
}

static int
no_memory(struct rgs_error *e)
{
	return rgs_fail(e, RESITE_ERR_TRANSIENT, "out of memory");
}

enum rgs_table
rgs_table_find(const char *name)
{
	enum rgs_table t = 0;

	while (t < RGS_TABLES && strcmp(rgs_tables[t].table, name))
		t++;
	return t;
}

/* --- one row ------------------------------------------------------------------------- */

/* What may stand in a line of a set, in a message and in a terminal. */
static bool
is_plain(const char *text)
{
	if (!text || !*text)
		return false;
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			return false;
	return true;
}

static char *
copy_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? strdup(text) : NULL;
}

static void
row_release(struct rgs_row *r)
{
	free(r->id);
	free(r->name);
	free(r->owner);
	free(r->body);
	free(r->address);
}

static int
row_fill(struct rgs_row *r, const char *owner, const char *body, struct rgs_error *e)
{
	const char *table = rgs_tables[r->table].table;
	json_error_t why;
	json_t *json = json_loads(body, JSON_REJECT_DUPLICATES, &why);

	if (!json_is_object(json)) {
		json_decref(json);
		return rgs_fail(e, RESITE_ERR_REFUSED, "a row of %s is no JSON object: %s", table,
				json ? "another value" : why.text);
	}
	r->id = copy_of(json, "id");
	r->name = copy_of(json, "name");
	r->address = copy_of(json, "address");
	r->formal = !strcmp(json_string_value(json_object_get(json, "participation"))
				    ? json_string_value(json_object_get(json, "participation"))
				    : "", "formal");
	r->agents = json_array_size(json_object_get(json, "agents"));
	r->owner = strdup(owner);
	r->body = strdup(body);
	json_decref(json);
	if (!r->owner || !r->body)
		return no_memory(e);
	if (!is_plain(r->id) || !is_plain(r->name) || !is_plain(r->owner))
		return rgs_fail(e, RESITE_ERR_REFUSED,
				"a row of %s has no id, name or owner, or one with control characters",
				table);
	return RESITE_OK;
}

int
rgs_rows_add(struct rgs_rows *rows, enum rgs_table table, const char *owner, const char *body,
	     struct rgs_error *e)
{
	struct rgs_row *grown, row = {.table = table};

	/* Doubled whenever it is full: full at each power of two. */
	if ((rows->n & (rows->n - 1)) == 0) {
		grown = realloc(rows->list, (rows->n ? 2 * rows->n : 1) * sizeof *grown);
		if (!grown)
			return no_memory(e);
		rows->list = grown;
	}
	if (row_fill(&row, owner, body, e) < 0) {
		row_release(&row);
		return e->rc;
	}
	rows->list[rows->n++] = row;
	return RESITE_OK;
}

/* --- all rows ------------------------------------------------------------------------- */

static int
by_place(const void *a, const void *b)
{
	const struct rgs_row *x = a, *y = b;

	return x->table != y->table ? (x->table < y->table ? -1 : 1) : strcmp(x->id, y->id);
}

int
rgs_rows_end(struct rgs_rows *rows, const char *where, struct rgs_error *e)
{
	char label[RGS_LABEL_MAX];

	if (rows->n)
		qsort(rows->list, rows->n, sizeof *rows->list, by_place);
	for (size_t i = 1; i < rows->n; i++) {
		if (by_place(&rows->list[i - 1], &rows->list[i]) != 0)
			continue;
		rgs_label(&rows->list[i], label);
		return rgs_fail(e, RESITE_ERR_REFUSED, "%s: %s is there twice (id %s)", where, label,
				rows->list[i].id);
	}
	return RESITE_OK;
}

void
rgs_rows_release(struct rgs_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		row_release(&rows->list[i]);
	free(rows->list);
	*rows = (struct rgs_rows){0};
}

struct rgs_row *
rgs_rows_find(const struct rgs_rows *rows, enum rgs_table table, const char *id)
{
	const struct rgs_row key = {.table = table, .id = (char *)(uintptr_t)id};

	return rows->n ? bsearch(&key, rows->list, rows->n, sizeof *rows->list, by_place) : NULL;
}

size_t
rgs_rows_count(const struct rgs_rows *rows, enum rgs_table table)
{
	size_t n = 0;

	for (size_t i = 0; i < rows->n; i++)
		n += rows->list[i].table == table;
	return n;
}

static void
hash_row(struct sha256_ctx *hash, const struct rgs_row *r)
{
	const char *const parts[] = {rgs_tables[r->table].table, "\t", r->owner, "\t", r->body, "\n"};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		sha256_update(hash, strlen(parts[i]), (const uint8_t *)parts[i]);
}

static void
end_hash(struct sha256_ctx *hash, char out[RGS_DIGEST_HEX])
{
	uint8_t raw[SHA256_DIGEST_SIZE];

	sha256_digest(hash, sizeof raw, raw);
	for (size_t i = 0; i < sizeof raw; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

void
rgs_rows_digest(const struct rgs_rows *rows, char out[RGS_DIGEST_HEX])
{
	struct sha256_ctx hash;

	sha256_init(&hash);
	for (size_t i = 0; i < rows->n; i++)
		hash_row(&hash, &rows->list[i]);
	end_hash(&hash, out);
}

void
rgs_row_digest(const struct rgs_row *row, char out[RGS_DIGEST_HEX])
{
	struct sha256_ctx hash;

	sha256_init(&hash);
	hash_row(&hash, row);
	end_hash(&hash, out);
}

void
rgs_label(const struct rgs_row *row, char out[RGS_LABEL_MAX])
{
	snprintf(out, RGS_LABEL_MAX, "%s %.90s (%.70s)", rgs_tables[row->table].word, row->name,
		 row->owner);
}
