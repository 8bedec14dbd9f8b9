/* clean: removes a site's objects from its standby, once the site itself has them again. */
#include "plugins/response-groups/call.h"

#include <string.h>

struct clean {
	struct call call;
	struct rgs_db db, keeper_db;
	struct rgs_rows standby, keeper;
	struct rgs_changes changes;
};

/* In the direction away from the owner its objects are at home where the step looks. */
static bool
is_at_home(struct call *c)
{
	const char *own = call_str(c, "own");

	return own && !strcmp(own, call_str(c, "owner"));
}

static int
read_keeper(struct clean *k)
{
	struct call *c = &k->call;

	if (call_db(c, "held_by", &k->keeper_db) < 0 ||
	    rgs_db_read(&k->keeper_db, NULL, &k->keeper, &c->e) < 0)
		return c->e.rc;
	if (strcmp(k->keeper_db.pg.where, k->db.pg.where))
		return RESITE_OK;
	c->e.param = "held_by";
	return rgs_fail(&c->e, RESITE_ERR_INVALID,
			"held_by is the very database that is to be cleaned: %s", k->db.pg.where);
}

static int
compare(struct clean *k)
{
	struct call *c = &k->call;

	if (rgs_db_read(&k->db, NULL, &k->standby, &c->e) < 0)
		return c->e.rc;
	return rgs_decide_clean(&k->standby, &k->keeper, call_str(c, "owner"), &k->changes, &c->e);
}

static int
finish(struct clean *k, int rc)
{
	if (rc < 0)
		call_failed(&k->call);
	rgs_changes_release(&k->changes);
	rgs_rows_release(&k->standby);
	rgs_rows_release(&k->keeper);
	rgs_db_close(&k->db);
	rgs_db_close(&k->keeper_db);
	call_end(&k->call);
	return rc;
}

static int
tell_home(struct clean *k)
{
	struct call *c = &k->call;
	char now[300];

	snprintf(now, sizeof now, "%.200s is this site's own: nothing is removed",
		 call_str(c, "owner"));
	return c->host->state(c->op, now, "own", 0, 0);
}

ACTION(clean_probe)
{
	struct clean k = {.call = {.op = op, .host = host}};
	char now[300], digest[RGS_DIGEST_HEX];
	int rc;

	if (is_at_home(&k.call))
		return tell_home(&k);
	rc = call_db(&k.call, "server", &k.db);
	if (rc == RESITE_OK)
		rc = read_keeper(&k);
	if (rc == RESITE_OK)
		rc = compare(&k);
	if (rc == RESITE_OK)
		rc = call_tell_changes(&k.call, &k.changes);
	if (rc == RESITE_OK) {
		call_remember(&k.call, &k.standby);
		rgs_rows_digest(&k.standby, digest);
		snprintf(now, sizeof now, "%zu objects of %.150s on the standby", k.changes.total,
			 call_str(&k.call, "owner"));
		rc = host->state(op, now, digest, k.changes.n, k.changes.total);
	}
	return finish(&k, rc);
}

ACTION(clean_apply)
{
	struct clean k = {.call = {.op = op, .host = host}};
	int rc;

	if (is_at_home(&k.call))
		return RESITE_OK;
	rc = call_db(&k.call, "server", &k.db);
	if (rc == RESITE_OK)
		rc = read_keeper(&k);
	if (rc == RESITE_OK)
		rc = rgs_db_lock(&k.db, &k.call.e);
	if (rc == RESITE_OK)
		rc = compare(&k);
	if (rc == RESITE_OK)
		rc = call_same_as_probed(&k.call, &k.standby);
	if (rc == RESITE_OK && k.changes.n > 0)
		rc = call_make_changes(&k.call, &k.db, &k.changes);
	if (rc == RESITE_OK && (rc = call_output_number(&k.call, "deleted", k.changes.n)) < 0)
		rgs_fail(&k.call.e, rc, "the host would not take an output");
	return finish(&k, rc);
}

ACTION(clean_verify)
{
	struct clean k = {.call = {.op = op, .host = host}};
	struct rgs_rows left = {0};
	size_t n;
	int rc;

	if (is_at_home(&k.call))
		return RESITE_OK;
	rc = call_db(&k.call, "server", &k.db);
	if (rc == RESITE_OK)
		rc = rgs_db_read(&k.db, call_str(&k.call, "owner"), &left, &k.call.e);
	n = left.n - rgs_rows_count(&left, RGS_SETTINGS);
	if (rc == RESITE_OK && n > 0)
		rc = rgs_fail(&k.call.e, RESITE_ERR_CONFLICT, "%zu objects of %s are still at %s", n,
			      call_str(&k.call, "owner"), k.db.pg.where);
	rgs_rows_release(&left);
	return finish(&k, rc);
}
