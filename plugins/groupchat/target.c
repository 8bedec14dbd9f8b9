#include "plugins/groupchat/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- looking ---------------------------------------------------------------------------- */

static void
make_names(struct target *t, const struct set *set)
{
	char stamp[STAMP_LEN + 1], suffix[64];

	stamp_text(stamp, wall_ms());
	snprintf(suffix, sizeof suffix, "_was_%s", stamp);
	database_name(t->names.aside, t->name, suffix);
	snprintf(suffix, sizeof suffix, "_new_%s", vault_set_name(set->vault));
	database_name(t->names.staged, t->name, suffix);
}

/* On the way back the set is of a database that itself was restored from a set of this site.
 * What is here beyond that one is what the disaster cost. */
static void
find_stranded(const struct call *c, struct target *t, const struct set *set)
{
	const char *base = vault_set_extra(set->vault, "restored_from");
	struct set old;

	if (t->state != TARGET_OLDER || !base || !*base || !strcmp(base, t->database.mark) ||
	    set_open_of_mark(c, base, &old) != RESITE_OK)
		return;
	if (!inventory_exceeds(&t->tables, &old.tables, t->stranded))
		t->stranded[0] = '\0';
	set_close(&old);
}

/* Rows first, for that is quick; the values only when all rows agree. */
static int
compare(struct target *t, const struct set *set)
{
	struct db db;
	int rc = db_open(&t->login, t->name, &db);

	if (rc != RESITE_OK)
		return rc;
	rc = inventory_count(&db, &t->tables);
	if (rc == RESITE_OK && inventory_exceeds(&t->tables, &set->tables, t->why)) {
		t->state = TARGET_EXCEEDS;
	} else if (rc == RESITE_OK && inventory_rows(&t->tables) != inventory_rows(&set->tables)) {
		t->state = TARGET_OLDER;
	} else if (rc == RESITE_OK) {
		inventory_release(&t->tables);
		rc = inventory_take(&db, &t->tables);
		t->state = rc == RESITE_OK && inventory_differs(&t->tables, &set->tables, t->why)
				   ? TARGET_OLDER : TARGET_CONVERGED;
	}
	db_close(&db);
	return rc;
}

static int
look(struct target *t, const struct set *set)
{
	int rc = server_look(&t->db, &t->server);

	if (rc == RESITE_OK)
		rc = database_look(&t->db, t->name, &t->database);
	if (rc == RESITE_OK)
		rc = database_look(&t->db, t->names.staged, &t->staged);
	if (rc != RESITE_OK)
		return rc;
	if (!t->database.exists)
		t->state = TARGET_ABSENT;
	else if (!strcmp(t->database.mark, set->mark))
		t->state = TARGET_CONVERGED;
	else
		return compare(t, set);
	return RESITE_OK;
}

int
target_open(const struct call *c, const struct set *set, bool to_write, struct target *ret)
{
	int rc;

	*ret = (struct target){.name = call_str(c, "database")};
	make_names(ret, set);
	rc = db_login(c, "server", &ret->login);
	if (rc == RESITE_OK)
		rc = db_open(&ret->login, call_str(c, "maintenance_db"), &ret->db);
	if (rc == RESITE_OK && to_write)
		rc = database_turn(&ret->db, ret->name, ret->login.pg.patience_ms);
	if (rc == RESITE_OK)
		rc = look(ret, set);
	if (rc == RESITE_OK)
		find_stranded(c, ret, set);
	else
		target_close(ret);
	return rc;
}

void
target_close(struct target *t)
{
	db_close(&t->db);
	inventory_release(&t->tables);
	db_login_wipe(&t->login);
}

/* --- judging ----------------------------------------------------------------------------- */

/* The roles of the set that the server does not have, as "a, b"; "" when all are there. */
static int
missing_roles(struct target *t, const struct set *set, char out[300])
{
	static const char sql[] =
		"SELECT coalesce(string_agg(r, ', '), '') FROM unnest(string_to_array($1, E'\\n')) r"
		" WHERE r <> '' AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r)";
	const char *roles = vault_set_extra(set->vault, "roles");
	PGresult *r;
	int rc;

	out[0] = '\0';
	if (!roles)
		return RESITE_OK;
	rc = db_ask(&t->db, &r, sql, 1, &roles);
	if (rc != RESITE_OK)
		return rc;
	one_line(out, 300, PQgetvalue(r, 0, 0));
	PQclear(r);
	return RESITE_OK;
}

static int
judge_server(const struct call *c, const struct set *set, struct target *t)
{
	uint64_t saved = vault_set_count(set->vault, "server_version_num");
	char missing[300];
	int rc;

	if (t->server.standby)
		return call_fail(c, RESITE_ERR_REFUSED, "server",
				 "%s is a standby and takes no writes: promote it first, or name another "
				 "server", t->db.pg.where);
	if (saved / 10000 > (uint64_t)t->server.version / 10000)
		call_log(c, RESITE_LOG_WARN,
			 "the set is of PostgreSQL %s, the server is %s: a dump of a newer version may not "
			 "be understood", vault_set_extra(set->vault, "server_version"),
			 t->server.version_text);
	if (!call_i64(c, "keep_owner"))
		return RESITE_OK;
	rc = missing_roles(t, set, missing);
	if (rc == RESITE_OK && *missing)
		rc = call_fail(c, RESITE_ERR_REFUSED, NULL,
			       "%s does not have the roles that the data belongs to: %s; create them first "
			       "(CREATE ROLE … LOGIN), or say keep_owner = false", t->db.pg.where, missing);
	return rc;
}

/* A service that was just stopped goes in a moment, and so does what looked for an attempt that
 * was killed. */
static int
judge_use(const struct call *c, struct target *t)
{
	struct database now = t->database;
	int rc;

	if (!now.connections || call_i64(c, "disconnect"))
		return RESITE_OK;
	c->host->progress(c->op, 0, 0, "waiting for those who are connected to go");
	rc = database_await_unused(&t->db, t->name, t->login.pg.patience_ms, &now);
	if (rc != RESITE_OK || !now.connections)
		return rc;
	return call_fail(c, RESITE_ERR_REFUSED, "disconnect",
			 "database %s at %s is in use: %" PRIu64 " connections, by %s; stop the "
			 "service there, or say disconnect = true", t->name, t->login.at.text,
			 now.connections, now.who);
}

int
target_judge(const struct call *c, const struct set *set, struct target *t)
{
	const char *policy = call_str(c, "replace");
	int rc = judge_server(c, set, t);

	if (rc != RESITE_OK || t->state == TARGET_ABSENT || t->state == TARGET_CONVERGED)
		return rc;
	rc = judge_use(c, t);
	if (rc != RESITE_OK)
		return rc;
	if (!strcmp(policy, "absent") && inventory_rows(&t->tables) > 0)
		return call_fail(c, RESITE_ERR_REFUSED, "replace",
				 "database %s at %s has %" PRIu64 " rows, and replace = \"absent\" lets "
				 "nothing be replaced", t->name, t->login.at.text,
				 inventory_rows(&t->tables));
	if (t->state == TARGET_EXCEEDS && strcmp(policy, "any"))
		return call_fail(c, RESITE_ERR_REFUSED, "replace",
				 "database %s at %s has what set %s does not: %s; if the set is right "
				 "all the same, say replace = \"any\": what is there is kept under another "
				 "name", t->name, t->login.at.text, vault_set_name(set->vault),
				 t->why);
	return RESITE_OK;
}
