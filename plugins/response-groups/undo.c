/* Puts back what import and clean changed, object by object. */
#include "plugins/response-groups/call.h"

#include <stdlib.h>
#include <string.h>

/* What became of one record; told once the transaction is over. */
struct outcome {
	int result;
	char *object, *was, *set, *now;
};

struct undo {
	struct call call;
	struct rgs_db db;
	enum resite_revert_way way;
	struct outcome *list;
	size_t n;
};

struct record {
	enum rgs_table table;
	const char *object, *id;
	const char *was_owner, *was_body; /* NULL: it was not there */
	const char *set_owner, *set_body; /* NULL: it was removed */
};

static int
read_record(struct record *r, const struct resite_kv *kv, uint32_t n, struct rgs_error *e)
{
	const char *table = resite_kv_get(kv, n, "table");

	r->object = resite_kv_get(kv, n, "object");
	r->id = resite_kv_get(kv, n, "id");
	r->was_owner = resite_kv_get(kv, n, "was.owner");
	r->was_body = resite_kv_get(kv, n, "was.body");
	r->set_owner = resite_kv_get(kv, n, "set.owner");
	r->set_body = resite_kv_get(kv, n, "set.body");
	r->table = table ? rgs_table_find(table) : RGS_TABLES;
	if (r->table == RGS_TABLES || !r->object || !r->id || !r->was_owner != !r->was_body ||
	    !r->set_owner != !r->set_body)
		return rgs_fail(e, RESITE_ERR_BUG, "an undo record cannot be read");
	return RESITE_OK;
}

/* The row as it is now; *ret stays empty when there is none. */
static int
read_now(struct undo *u, const struct record *r, struct rgs_rows *ret)
{
	char sql[512];
	PGresult *res;
	int rc;

	snprintf(sql, sizeof sql, "SELECT t.owner, (pg_catalog.to_jsonb(t) - 'owner')::text "
		 "FROM %s.%s t WHERE t.id::text = $1", u->db.schema, rgs_tables[r->table].table);
	rc = pg_ask(&u->db.pg, &res, false, sql, 1, &r->id);
	if (rc < 0)
		return rgs_fail(&u->call.e, rc, "%s: %s", r->object, u->db.pg.err);
	if (PQntuples(res) > 0)
		rc = rgs_rows_add(ret, r->table, PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1),
				  &u->call.e);
	PQclear(res);
	return rc;
}

static bool
is_same(const struct rgs_rows *now, const char *owner, const char *body)
{
	if (!body || now->n == 0)
		return !body && now->n == 0;
	return !strcmp(now->list[0].owner, owner) && !strcmp(now->list[0].body, body);
}

static int
judge(const struct undo *u, const struct record *r, const struct rgs_rows *now)
{
	if (is_same(now, r->was_owner, r->was_body))
		return RESITE_REVERTED_ALREADY;
	if (u->way == RESITE_FORCE || is_same(now, r->set_owner, r->set_body))
		return RESITE_REVERTED_PUT_BACK;
	return now->n == 0 ? RESITE_REVERTED_GONE : RESITE_REVERTED_CONFLICT;
}

static int
keep_outcome(struct undo *u, const struct record *r, const struct rgs_rows *now, int result)
{
	struct outcome *grown = realloc(u->list, (u->n + 1) * sizeof *grown), *o;
	char was[200], set[200], is[200];

	if (!grown)
		return rgs_fail(&u->call.e, RESITE_ERR_TRANSIENT, "out of memory");
	u->list = grown;
	call_brief(was, sizeof was, r->table, r->was_owner, r->was_body);
	call_brief(set, sizeof set, r->table, r->set_owner, r->set_body);
	call_brief(is, sizeof is, r->table, now->n ? now->list[0].owner : NULL,
		   now->n ? now->list[0].body : NULL);
	o = &u->list[u->n++];
	*o = (struct outcome){result, strdup(r->object), strdup(was), strdup(set), strdup(is)};
	return o->object && o->was && o->set && o->now
		       ? RESITE_OK
		       : rgs_fail(&u->call.e, RESITE_ERR_TRANSIENT, "out of memory");
}

static int
put_back(struct undo *u, const struct record *r)
{
	if (!r->was_body)
		return rgs_db_delete(&u->db, r->table, r->id, r->object, &u->call.e);
	return rgs_db_put(&u->db, r->table, r->was_owner, r->was_body, r->object, &u->call.e);
}

static int
take_record(struct undo *u, const struct resite_kv *kv, uint32_t n)
{
	struct rgs_rows now = {0};
	struct record r;
	int result, rc;

	if (read_record(&r, kv, n, &u->call.e) < 0)
		return u->call.e.rc;
	rc = read_now(u, &r, &now);
	if (rc == RESITE_OK) {
		result = judge(u, &r, &now);
		rc = keep_outcome(u, &r, &now, result);
		if (rc == RESITE_OK && result == RESITE_REVERTED_PUT_BACK && u->way != RESITE_LOOK)
			rc = put_back(u, &r);
	}
	rgs_rows_release(&now);
	return rc;
}

static int
take_records(struct undo *u)
{
	struct call *c = &u->call;
	const struct resite_kv *kv;
	uint32_t version, n;
	int rc;

	while ((rc = c->host->undo_next(c->op, &version, &kv, &n)) == 1) {
		if (c->host->time_left_ms(c->op) <= 0)
			return rgs_fail(&c->e, RESITE_ERR_CANCELLED,
					"stopped: nothing was put back, it is one transaction");
		if (take_record(u, kv, n) < 0)
			return c->e.rc;
		c->host->progress(c->op, u->n, 0, "objects");
	}
	return rc < 0 ? rgs_fail(&c->e, rc, "the undo records cannot be read") : RESITE_OK;
}

static int
tell(struct undo *u)
{
	int rc = RESITE_OK;

	for (size_t i = 0; rc == RESITE_OK && i < u->n; i++) {
		const struct outcome *o = &u->list[i];

		rc = u->call.host->reverted(u->call.op, o->object, o->result, o->was, o->set, o->now);
	}
	return rc < 0 ? rgs_fail(&u->call.e, rc, "the host would not take a report") : RESITE_OK;
}

static void
release(struct undo *u)
{
	for (size_t i = 0; i < u->n; i++) {
		free(u->list[i].object);
		free(u->list[i].was);
		free(u->list[i].set);
		free(u->list[i].now);
	}
	free(u->list);
	rgs_db_close(&u->db);
	call_end(&u->call);
}

int
call_revert(struct resite_op *op, const struct resite_host *host)
{
	struct undo u = {.call = {.op = op, .host = host},
			 .way = (enum resite_revert_way)host->revert_way(op)};
	int rc = call_db(&u.call, "server", &u.db);

	if (rc == RESITE_OK && u.way != RESITE_LOOK)
		rc = rgs_db_lock(&u.db, &u.call.e);
	if (rc == RESITE_OK)
		rc = take_records(&u);
	if (rc == RESITE_OK && u.way != RESITE_LOOK)
		rc = rgs_db_commit(&u.db, &u.call.e);
	if (rc == RESITE_OK)
		rc = tell(&u);
	if (rc < 0)
		call_failed(&u.call);
	release(&u);
	return rc;
}
