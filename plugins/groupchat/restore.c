/* restore-db for PostgreSQL: the set becomes a database beside the live one, is compared with
 * what was saved, and only then takes its name.  What was live is kept under a dated name. */
#include "plugins/groupchat/restore.h"

#include "plugins/groupchat/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define UNDO_VERSION 1

/* --- probe ------------------------------------------------------------------------------- */

static void
tell_losses(const struct call *c, const struct set *set, const struct target *t)
{
	char text[600], age[AGE_MAX];

	age_text(age, set->age_ms);
	snprintf(text, sizeof text, "chat messages written at %s since set %s was begun are not in it; "
		 "it is %s", vault_set_site(set->vault), vault_set_name(set->vault), age);
	c->host->loss(c->op, text);
	if (*set->note)
		c->host->loss(c->op, set->note);
	if (*t->stranded) {
		snprintf(text, sizeof text, "chat messages written at this site after the other one began "
			 "(%.300s) never came there, and will not be seen; they stay in a database named "
			 "%.*s…", t->stranded, (int)strlen(t->names.aside) - STAMP_LEN, t->names.aside);
		c->host->loss(c->op, text);
	}
	if (t->state != TARGET_EXCEEDS)
		return;
	snprintf(text, sizeof text, "what database %s has and the set has not will not be seen by users: "
		 "%.300s; it stays in a database named %.*s…", t->name, t->why,
		 (int)strlen(t->names.aside) - STAMP_LEN, t->names.aside);
	c->host->loss(c->op, text);
}

static void
describe(const struct target *t, char *out, size_t cap)
{
	if (!t->database.exists)
		snprintf(out, cap, "no database");
	else if (t->state == TARGET_CONVERGED)
		snprintf(out, cap, "the data of the set%s%s", *t->database.mark ? ", restored from " : "",
			 t->database.mark);
	else
		snprintf(out, cap, "%" PRIu64 " rows%s%.100s", inventory_rows(&t->tables),
			 *t->database.mark ? ", restored from " : "", t->database.mark);
}

static int
tell_state(const struct call *c, const struct set *set, const struct target *t)
{
	char object[DATABASE_NAME_MAX + 16], was[300], will_be[200], now[600], print[500];
	bool change = t->state != TARGET_CONVERGED;

	snprintf(object, sizeof object, "database %s", t->name);
	describe(t, was, sizeof was);
	snprintf(will_be, sizeof will_be, "%" PRIu64 " rows of set %s of %s",
		 inventory_rows(&set->tables), vault_set_name(set->vault),
		 vault_set_site(set->vault));
	snprintf(now, sizeof now, "%s at %.64s: %s", t->name, t->login.at.text, was);
	/* What apply depends on: the set, which database it is, and how much is in it. */
	snprintf(print, sizeof print, "%.64s/%s/%.200s/%d/%" PRIu64, vault_set_digest(set->vault),
		 t->database.oid, t->database.mark, t->state, inventory_rows(&t->tables));
	if (change) {
		c->host->change(c->op, object, was, will_be);
		tell_losses(c, set, t);
	}
	return c->host->state(c->op, now, print, change, 1);
}

/* A preview must not fail because something is still in use that an earlier step of the run
 * will stop; apply judges again. */
int
restore_probe(struct resite_op *op, const struct resite_host *host)
{
	struct call c = {.op = op, .host = host};
	struct target t;
	struct set set;
	int rc = set_open(&c, SET_KIND, VAULT_MANIFEST_ONLY, &set);

	if (rc != RESITE_OK)
		return rc;
	rc = target_open(&c, &set, false, &t);
	if (rc == RESITE_OK) {
		if (t.database.connections && t.state != TARGET_CONVERGED)
			call_log(&c, RESITE_LOG_WARN, "database %s is in use now: %" PRIu64
				 " connections, by %s", t.name, t.database.connections, t.database.who);
		rc = tell_state(&c, &set, &t);
		target_close(&t);
	}
	set_close(&set);
	return rc;
}

/* --- apply ------------------------------------------------------------------------------- */

/* A staged database with the set's mark is whole: an earlier attempt was lost before it could
 * swap.  Without it, it is what a lost attempt has left, and is made again. */
static int
stage(const struct call *c, struct set *set, struct target *t)
{
	struct load load = {.should = &set->tables, .form = &set->form,
				  .jobs = call_i64(c, "jobs"), .memory = call_i64(c, "memory"),
				  .keep_owner = call_i64(c, "keep_owner") != 0};
	int rc;

	if (t->staged.exists && !strcmp(t->staged.mark, set->mark)) {
		call_log(c, RESITE_LOG_INFO, "%s is whole already: an earlier attempt restored it",
			 t->names.staged);
		return RESITE_OK;
	}
	if (t->staged.exists)
		call_log(c, RESITE_LOG_INFO, "an earlier attempt did not finish %s: it is made again",
			 t->names.staged);
	c->host->progress(c->op, 0, inventory_rows(&set->tables), "restoring rows");
	rc = set_dump(c, set);
	load.file = set->path;
	if (rc == RESITE_OK)
		rc = database_load(&t->db, &load, t->names.staged);
	if (rc == RESITE_OK)
		rc = database_mark(&t->db, t->names.staged, set->mark);
	return rc;
}

/* Durable before the swap: what the database was called, and what it will be called. */
static int
note_undo(const struct call *c, const struct set *set, const struct target *t)
{
	const char *was = t->database.exists ? t->names.aside : "";
	const struct resite_kv kv[] = {
		{"was.database", was}, {"was.oid", t->database.oid}, {"set.mark", set->mark},
		{"set.database", t->name},
	};
	char by_hand[600];
	int rc;

	if (*was)
		snprintf(by_hand, sizeof by_hand, "at %s, with nobody connected: ALTER DATABASE \"%s\" "
			 "RENAME TO \"%s_undone\"; ALTER DATABASE \"%s\" RENAME TO \"%s\"", t->login.at.text,
			 t->name, t->name, was, t->name);
	else
		snprintf(by_hand, sizeof by_hand, "at %s there was no database %s: drop it, or rename "
			 "it if it has new messages", t->login.at.text, t->name);
	rc = c->host->undo_put(c->op, UNDO_VERSION, by_hand, kv, sizeof kv / sizeof *kv);
	return rc == RESITE_OK ? rc : call_fail(c, rc, NULL, "the undo record could not be written: "
						"%s stays as it is", t->name);
}

static int
swap(const struct call *c, const struct set *set, struct target *t)
{
	struct database now;
	int rc = database_look(&t->db, t->name, &now);

	if (rc == RESITE_OK && strcmp(now.oid, t->database.oid))
		return call_fail(c, RESITE_ERR_CONFLICT, NULL,
				 "database %s at %s is not the one that was there before", t->name,
				 t->login.at.text);
	if (rc == RESITE_OK)
		rc = note_undo(c, set, t);
	if (rc == RESITE_OK && now.connections && call_i64(c, "disconnect")) {
		call_log(c, RESITE_LOG_WARN, "ending %" PRIu64 " connections of %s", now.connections,
			 now.who);
		rc = database_disconnect(&t->db, t->name);
	}
	if (rc == RESITE_OK)
		rc = database_swap(&t->db, t->name, t->database.exists ? t->names.aside : NULL,
				   t->names.staged);
	return rc;
}

static int
tell_outputs(const struct call *c, const struct set *set, const struct target *t)
{
	int rc = call_output(c, "set", "%s", vault_set_name(set->vault));

	if (rc == RESITE_OK)
		rc = call_output(c, "rows", "%" PRIu64, inventory_rows(&set->tables));
	if (rc == RESITE_OK)
		rc = call_output(c, "former", "%s", t->database.exists ? t->names.aside : "");
	return rc;
}

int
restore_apply(struct resite_op *op, const struct resite_host *host)
{
	struct call c = {.op = op, .host = host};
	struct target t;
	struct set set;
	int rc = set_open(&c, SET_KIND, 0, &set);

	if (rc != RESITE_OK)
		return rc;
	rc = target_open(&c, &set, true, &t);
	if (rc == RESITE_OK) {
		rc = target_judge(&c, &set, &t);
		if (rc == RESITE_OK && t.state != TARGET_CONVERGED) {
			rc = stage(&c, &set, &t);
			if (rc == RESITE_OK)
				rc = swap(&c, &set, &t);
			if (rc == RESITE_OK)
				rc = tell_outputs(&c, &set, &t);
		}
		target_close(&t);
	}
	set_close(&set);
	return rc;
}

/* --- revert ------------------------------------------------------------------------------ */

struct undo {
	const struct call *c;
	struct db_login login;
	struct db db;
	const char *live, *was, *mark;         /* of the record */
	struct database live_now, was_now;
	char object[DATABASE_NAME_MAX + 16];
	char undone[DATABASE_NAME_MAX + 1];    /* what our database is called afterwards */
	char changed[400];                     /* what was written since; "": nothing */
};

static void
tell(const struct undo *u, int result, const char *now)
{
	u->c->host->reverted(u->c->op, u->object, result, *u->was ? u->was : NULL, u->mark, now);
}

/* Has anybody written into our database since?  The set says what it was. */
static int
look_for_writes(struct undo *u)
{
	struct inventory is = {0};
	struct db db;
	struct set set;
	int rc = set_open_of_mark(u->c, u->mark, &set);

	if (rc == RESITE_PENDING) {
		snprintf(u->changed, sizeof u->changed, "set '%.60s' is not in the vault any more, so it "
			 "cannot be said what was written since", u->mark);
		return RESITE_OK;
	}
	if (rc != RESITE_OK)
		return rc;
	rc = db_open(&u->login, u->live, &db);
	if (rc == RESITE_OK) {
		rc = inventory_take(&db, &is);
		if (rc == RESITE_OK && !inventory_differs(&is, &set.tables, u->changed))
			u->changed[0] = '\0';
		inventory_release(&is);
		db_close(&db);
	}
	set_close(&set);
	return rc;
}

/* The former database gets its name back.  Ours is dropped when the vault has all of it, and
 * kept under another name when it was written to. */
static int
put_back(struct undo *u)
{
	int rc = RESITE_OK;

	if (u->live_now.connections && call_i64(u->c, "disconnect"))
		rc = database_disconnect(&u->db, u->live);
	if (rc != RESITE_OK)
		return rc;
	if (!*u->was && !*u->changed)
		return database_drop(&u->db, u->live);
	rc = *u->was ? database_swap(&u->db, u->live, u->undone, u->was)
		     : database_swap(&u->db, u->undone, NULL, u->live);
	if (rc == RESITE_OK && !*u->changed)
		rc = database_drop(&u->db, u->undone);
	return rc;
}

static int
judge(struct undo *u)
{
	int way = u->c->host->revert_way(u->c->op), rc;
	bool ours = u->live_now.exists && !strcmp(u->live_now.mark, u->mark);

	if (!ours && *u->was && !u->was_now.exists) {
		/* Put back by an earlier attempt, or never swapped. */
		tell(u, u->live_now.exists ? RESITE_REVERTED_ALREADY : RESITE_REVERTED_GONE, u->was);
		return RESITE_OK;
	}
	if (!ours && !*u->was && !u->live_now.exists) {
		tell(u, RESITE_REVERTED_ALREADY, NULL);
		return RESITE_OK;
	}
	if (*u->was && !u->was_now.exists) {
		tell(u, RESITE_REVERTED_GONE, "the former database is not there any more");
		return RESITE_OK;
	}
	rc = ours ? look_for_writes(u) : RESITE_OK;
	if (rc != RESITE_OK)
		return rc;
	if (!ours)
		snprintf(u->changed, sizeof u->changed, "it is another database now%s%.100s",
			 *u->live_now.mark ? ", restored from " : "", u->live_now.mark);
	if (*u->changed && way != RESITE_FORCE) {
		tell(u, RESITE_REVERTED_CONFLICT, u->changed);
		return RESITE_OK;
	}
	rc = way == RESITE_LOOK ? RESITE_OK : put_back(u);
	if (rc == RESITE_OK)
		tell(u, RESITE_REVERTED_PUT_BACK, way == RESITE_LOOK ? u->mark : u->was);
	return rc;
}

static int
revert_one(struct resite_op *op, const struct resite_host *host, uint32_t version,
	   const struct resite_kv *kv, uint32_t n)
{
	struct call c = {.op = op, .host = host};
	struct undo u = {.c = &c, .live = resite_kv_get(kv, n, "set.database"),
			 .was = resite_kv_get(kv, n, "was.database"),
			 .mark = resite_kv_get(kv, n, "set.mark")};
	char stamp[STAMP_LEN + 1], suffix[64];
	int rc;

	if (version != UNDO_VERSION || !u.live || !u.was || !u.mark)
		return call_fail(&c, RESITE_ERR_BUG, NULL, "an undo record of version %u that this "
				 "plugin did not write", version);
	snprintf(u.object, sizeof u.object, "database %s", u.live);
	stamp_text(stamp, wall_ms());
	snprintf(suffix, sizeof suffix, "_undone_%s", stamp);
	database_name(u.undone, u.live, suffix);
	rc = db_login(&c, "server", &u.login);
	if (rc == RESITE_OK)
		rc = db_open(&u.login, call_str(&c, "maintenance_db"), &u.db);
	if (rc == RESITE_OK && host->revert_way(op) != RESITE_LOOK)
		rc = database_turn(&u.db, u.live, u.login.pg.patience_ms);
	if (rc == RESITE_OK)
		rc = database_look(&u.db, u.live, &u.live_now);
	if (rc == RESITE_OK)
		rc = database_look(&u.db, u.was, &u.was_now);
	if (rc == RESITE_OK)
		rc = judge(&u);
	db_close(&u.db);
	db_login_wipe(&u.login);
	return rc;
}

int
restore_revert(struct resite_op *op, const struct resite_host *host)
{
	return resite_revert_each(op, host, revert_one);
}
