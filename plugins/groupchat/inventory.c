#include "plugins/groupchat/inventory.h"

#include <inttypes.h>
#include <jansson.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One row for each table and sequence that is data of the site's own, with the query that
 * counts it.  The seed of each column's hash is its place, so that values which change
 * places are found; attnum would not do: columns that were dropped do not come back. */
static const char list_sql[] = /* $1: the rows alone */
	"WITH mine AS (SELECT c.oid, c.relkind, format('%I.%I', n.nspname, c.relname) AS name"
	"  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
	"  WHERE c.relkind IN ('r', 'S') AND c.relpersistence <> 't'"
	"    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
	"    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass"
	"      AND d.objid = c.oid AND d.deptype = 'e')),"
	" cols AS (SELECT m.oid, row_number() OVER (PARTITION BY m.oid ORDER BY a.attnum) AS place,"
	"    a.attname FROM mine m JOIN pg_attribute a ON a.attrelid = m.oid"
	"    AND a.attnum > 0 AND NOT a.attisdropped WHERE m.relkind = 'r')"
	"SELECT m.name, m.relkind = 'S', CASE m.relkind"
	"  WHEN 'S' THEN format('SELECT is_called::int, last_value FROM %s', m.name)"
	"  ELSE format(CASE WHEN $1::bool THEN 'SELECT count(*), ''-'' FROM ONLY %2$s'"
	"    ELSE 'SELECT count(*), coalesce(sum(%1$s), 0) FROM ONLY %2$s' END,"
	"    coalesce((SELECT string_agg(format("
	"      'coalesce(hashtextextended(%I::text COLLATE \"C\", %s), %s)', attname, place, place),"
	"      ' # ' ORDER BY place) FROM cols WHERE cols.oid = m.oid), '0'), m.name) END "
	"FROM mine m "
	"UNION ALL SELECT 'large objects', false,"
	"  'SELECT count(*), 0 FROM pg_largeobject_metadata' "
	"  WHERE EXISTS (SELECT FROM pg_largeobject_metadata) "
	"ORDER BY 2, 1";

static bool
reserve(struct inventory *inv, size_t n)
{
	inv->list = calloc(n + 1, sizeof *inv->list);
	inv->queries = calloc(n + 1, sizeof *inv->queries);
	return inv->list && inv->queries;
}

static int
list(struct db *db, struct inventory *ret, const char *only_rows)
{
	PGresult *r;
	int rc = db_ask(db, &r, list_sql, 1, &only_rows);

	*ret = (struct inventory){0};
	if (rc != RESITE_OK)
		return rc;
	if (!reserve(ret, (size_t)PQntuples(r)))
		rc = call_no_memory(db->login->c);
	for (int i = 0; rc == RESITE_OK && i < PQntuples(r); i++) {
		ret->list[i].name = strdup(PQgetvalue(r, i, 0));
		ret->list[i].sequence = *PQgetvalue(r, i, 1) == 't';
		ret->queries[i] = strdup(PQgetvalue(r, i, 2));
		ret->n++;
		if (!ret->list[i].name || !ret->queries[i])
			rc = call_no_memory(db->login->c);
	}
	PQclear(r);
	if (rc != RESITE_OK)
		inventory_release(ret);
	return rc;
}

int
inventory_list(struct db *db, struct inventory *ret)
{
	return list(db, ret, "false");
}

int
inventory_send(struct db *db, const struct inventory *inv)
{
	size_t len = 1, at = 0;
	char *all;
	int rc;

	if (inv->n == 0)
		return RESITE_OK;
	for (size_t i = 0; i < inv->n; i++)
		len += strlen(inv->queries[i]) + 2;
	all = malloc(len);
	if (!all)
		return call_no_memory(db->login->c);
	for (size_t i = 0; i < inv->n; i++)
		at += (size_t)snprintf(all + at, len - at, "%s; ", inv->queries[i]);
	rc = db_send(db, all);
	free(all);
	return rc;
}

static int
take_counts(struct db *db, struct inventory_item *item, const PGresult *r)
{
	if (PQntuples(r) != 1 || PQnfields(r) != 2)
		return call_fail(db->login->c, RESITE_ERR_BUG, NULL, "%s: %s: %d rows for its count",
				 db->pg.where, item->name, PQntuples(r));
	item->rows = strtoull(PQgetvalue(r, 0, 0), NULL, 10);
	item->digest = strdup(PQgetvalue(r, 0, 1));
	return item->digest ? RESITE_OK : call_no_memory(db->login->c);
}

int
inventory_collect(struct db *db, struct inventory *inv)
{
	const struct call *c = db->login->c;
	PGresult *r = NULL;
	size_t i = 0;
	int rc = RESITE_OK;

	if (inv->n == 0)
		return RESITE_OK;
	while (rc == RESITE_OK && (rc = db_next(db, &r)) == RESITE_OK && r) {
		if (i < inv->n)
			rc = take_counts(db, &inv->list[i], r);
		PQclear(r);
		i++;
		c->host->progress(c->op, i, inv->n, "tables counted");
	}
	if (rc == RESITE_OK && i != inv->n)
		rc = call_fail(c, RESITE_ERR_BUG, NULL, "%s: %zu answers for %zu tables", db->pg.where,
			       i, inv->n);
	return rc;
}

static int
take(struct db *db, struct inventory *ret, const char *only_rows)
{
	int rc = list(db, ret, only_rows);

	if (rc != RESITE_OK)
		return rc;
	rc = inventory_send(db, ret);
	if (rc == RESITE_OK)
		rc = inventory_collect(db, ret);
	if (rc != RESITE_OK)
		inventory_release(ret);
	return rc;
}

int
inventory_take(struct db *db, struct inventory *ret)
{
	return take(db, ret, "false");
}

int
inventory_count(struct db *db, struct inventory *ret)
{
	return take(db, ret, "true");
}

void
inventory_release(struct inventory *inv)
{
	for (size_t i = 0; i < inv->n; i++) {
		free(inv->list[i].name);
		free(inv->list[i].digest);
		if (inv->queries)
			free(inv->queries[i]);
	}
	free(inv->list);
	free(inv->queries);
	*inv = (struct inventory){0};
}

uint64_t
inventory_rows(const struct inventory *inv)
{
	uint64_t n = 0;

	for (size_t i = 0; i < inv->n; i++)
		if (!inv->list[i].sequence)
			n += inv->list[i].rows;
	return n;
}

size_t
inventory_tables(const struct inventory *inv)
{
	size_t n = 0;

	for (size_t i = 0; i < inv->n; i++)
		n += !inv->list[i].sequence;
	return n;
}

/* Two servers may sort names differently. */
static int
by_name(const void *a, const void *b)
{
	const struct inventory_item *x = a, *y = b;

	return x->sequence != y->sequence ? x->sequence - y->sequence : strcmp(x->name, y->name);
}

void
inventory_digest(const struct inventory *inv, char out[INVENTORY_DIGEST_LEN + 1])
{
	uint8_t raw[SHA256_DIGEST_SIZE];
	struct sha256_ctx hash;
	char rows[32];

	sha256_init(&hash);
	qsort(inv->list, inv->n, sizeof *inv->list, by_name);
	for (size_t i = 0; i < inv->n; i++) {
		const struct inventory_item *item = &inv->list[i];
		int n = snprintf(rows, sizeof rows, "%c%" PRIu64 ";", item->sequence ? 's' : 't',
				 item->rows);

		sha256_update(&hash, strlen(item->name) + 1, (const uint8_t *)item->name);
		sha256_update(&hash, (size_t)n, (const uint8_t *)rows);
		sha256_update(&hash, strlen(item->digest) + 1, (const uint8_t *)item->digest);
	}
	sha256_digest(&hash, sizeof raw, raw);
	for (size_t i = 0; i < sizeof raw; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

const struct inventory_item *
inventory_find(const struct inventory *inv, const char *name, bool sequence)
{
	for (size_t i = 0; i < inv->n; i++)
		if (inv->list[i].sequence == sequence && !strcmp(inv->list[i].name, name))
			return &inv->list[i];
	return NULL;
}

/* --- as text ------------------------------------------------------------------------ */

char *
inventory_json(const struct inventory *inv)
{
	json_t *list = json_array();
	char *text;

	for (size_t i = 0; i < inv->n; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:s}", "kind",
			inv->list[i].sequence ? "sequence" : "table", "name", inv->list[i].name,
			"rows", (json_int_t)inv->list[i].rows, "digest", inv->list[i].digest));
	text = json_array_size(list) == inv->n ? json_dumps(list, JSON_INDENT(1)) : NULL;
	json_decref(list);
	return text;
}

static bool
parse_item(struct inventory_item *item, json_t *entry)
{
	const char *kind, *name, *digest;
	json_int_t rows;

	if (json_unpack(entry, "{s:s, s:s, s:I, s:s}", "kind", &kind, "name", &name, "rows", &rows,
			"digest", &digest) < 0 || rows < 0)
		return false;
	item->sequence = !strcmp(kind, "sequence");
	item->rows = (uint64_t)rows;
	item->name = strdup(name);
	item->digest = strdup(digest);
	return (item->sequence || !strcmp(kind, "table")) && item->name && item->digest;
}

bool
inventory_parse(struct inventory *ret, const char *text, size_t len, char why[200])
{
	json_error_t error;
	json_t *list = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error), *entry;
	bool ok = json_is_array(list);
	size_t i;

	*ret = (struct inventory){0};
	snprintf(why, 200, "line %d: %s", list ? 1 : error.line,
		 list ? "not a list of tables" : error.text);
	ok = ok && reserve(ret, json_array_size(list));
	json_array_foreach(list, i, entry) {
		if (!ok)
			break;
		ret->n++;
		ok = parse_item(&ret->list[i], entry);
		if (!ok)
			snprintf(why, 200, "entry %zu is not a table's or a sequence's", i + 1);
	}
	json_decref(list);
	if (!ok)
		inventory_release(ret);
	return ok;
}

/* --- two of them ----------------------------------------------------------------------- */

static bool
item_differs(const struct inventory_item *is, const struct inventory_item *should, char why[400])
{
	if (!is)
		snprintf(why, 400, "%s is missing", should->name);
	else if (should->sequence && strcmp(is->digest, should->digest))
		snprintf(why, 400, "sequence %s is at %s, in the set at %s", is->name, is->digest,
			 should->digest);
	else if (is->rows != should->rows)
		snprintf(why, 400, "%s has %" PRIu64 " rows, in the set %" PRIu64, is->name, is->rows,
			 should->rows);
	else if (strcmp(is->digest, should->digest))
		snprintf(why, 400, "%s has as many rows (%" PRIu64 ") as the set, but other values",
			 is->name, is->rows);
	else
		return false;
	return true;
}

bool
inventory_differs(const struct inventory *is, const struct inventory *should, char why[400])
{
	for (size_t i = 0; i < should->n; i++)
		if (item_differs(inventory_find(is, should->list[i].name, should->list[i].sequence),
				 &should->list[i], why))
			return true;
	for (size_t i = 0; i < is->n; i++)
		if (!inventory_find(should, is->list[i].name, is->list[i].sequence)) {
			snprintf(why, 400, "%s is not in the set", is->list[i].name);
			return true;
		}
	return false;
}

/* A server that crashed goes on with a sequence up to 32 further (SEQ_LOG_VALS): no data. */
#define SEQUENCE_SLACK 32

static bool
item_exceeds(const struct inventory_item *is, const struct inventory_item *set, char why[400])
{
	if (!set && !is->sequence && is->rows > 0)
		snprintf(why, 400, "%s (%" PRIu64 " rows) is not in the set", is->name, is->rows);
	else if (set && is->sequence &&
		 strtoll(is->digest, NULL, 10) > strtoll(set->digest, NULL, 10) + SEQUENCE_SLACK)
		snprintf(why, 400, "sequence %s is at %s, in the set at %s", is->name, is->digest,
			 set->digest);
	else if (set && !is->sequence && is->rows > set->rows)
		snprintf(why, 400, "%s has %" PRIu64 " rows, %" PRIu64 " more than the set",
			 is->name, is->rows, is->rows - set->rows);
	else
		return false;
	return true;
}

bool
inventory_exceeds(const struct inventory *database, const struct inventory *set, char why[400])
{
	/* Tables say more than their sequences, and come first. */
	for (size_t i = 0; i < database->n; i++) {
		const struct inventory_item *is = &database->list[i];

		if (item_exceeds(is, inventory_find(set, is->name, is->sequence), why))
			return true;
	}
	return false;
}
