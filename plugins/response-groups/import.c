/* import: a configuration out of the vault into a site. */
#include "plugins/response-groups/call.h"

#include <inttypes.h>
#include <string.h>

/* What probe, apply and verify need: the set, the target, and what lies between them. */
struct import {
	struct call call;
	struct vault_set *set;
	struct rgs_rows wanted, target;
	struct rgs_db db;
	struct rgs_changes changes;
	char note[VAULT_NOTE_MAX]; /* an old set that is used all the same */
};

ACTION(import_check)
{
	if (resite_i64_or(op, host, "overwrite_owner", 0) && !host->param_count(op, "owner"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "owner",
				   "overwrite_owner needs owner: whose shall the objects be?");
	if (!resite_i64_or(op, host, "overwrite_owner", 0) && host->param_count(op, "owner"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "overwrite_owner",
				   "owner has no effect without overwrite_owner = true");
	return RESITE_OK;
}

static int
open_set(struct import *m)
{
	struct vault_error err;

	if (vault_step_open(m->call.op, m->call.host, RGS_KIND, 0, &m->set, m->note, &err) < 0)
		return call_vault(&m->call, &err);
	return rgs_set_read(m->set, &m->wanted, &m->call.e);
}

static int
check_fits(struct import *m)
{
	for (size_t i = 0; i < m->changes.n; i++)
		if (m->changes.list[i].row &&
		    rgs_db_fits(&m->db, m->changes.list[i].row, &m->call.e) < 0)
			return m->call.e.rc;
	return RESITE_OK;
}

/* Reads the target and compares. */
static int
compare(struct import *m)
{
	struct call *c = &m->call;
	const struct rgs_rules rules = {
		.owner = call_flag(c, "overwrite_owner") ? call_str(c, "owner") : NULL,
		.replace_settings = call_flag(c, "replace_settings"),
		.delete_missing = call_flag(c, "delete_missing"),
	};

	if (rgs_db_read(&m->db, NULL, &m->target, &c->e) < 0 ||
	    rgs_decide_import(&m->wanted, &m->target, &rules, &m->changes, &c->e) < 0)
		return c->e.rc;
	return check_fits(m);
}

static int
finish(struct import *m, int rc)
{
	if (rc < 0)
		call_failed(&m->call);
	rgs_changes_release(&m->changes);
	rgs_rows_release(&m->wanted);
	rgs_rows_release(&m->target);
	rgs_db_close(&m->db);
	vault_close(m->set);
	call_end(&m->call);
	return rc;
}

/* --- probe -------------------------------------------------------------------------------- */

static void
tell_losses(struct import *m)
{
	const struct rgs_changes *ch = &m->changes;
	struct call *c = &m->call;
	char text[600], age[VAULT_AGE_MAX];

	if (ch->n) {
		vault_age_text(age, vault_set_age_ms(m->set));
		snprintf(text, sizeof text, "response groups: the set is %s: what was changed at %s "
			 "since then is lost", age, vault_set_site(m->set));
		c->host->loss(c->op, text);
	}
	if (*m->note)
		c->host->loss(c->op, m->note);
	if (ch->groups) {
		snprintf(text, sizeof text, "response groups: %zu agents of %zu formal groups must sign "
			 "in again at the new site", ch->agents, ch->groups);
		c->host->loss(c->op, text);
	}
	if (ch->settings_kept) {
		snprintf(text, sizeof text, "response groups: %zu application-level settings (%s and such) "
			 "stay those of the target; the set's are lost if %s never returns "
			 "(replace_settings = true takes them)", ch->settings_kept, ch->setting,
			 vault_set_site(m->set));
		c->host->loss(c->op, text);
	}
	if (ch->stay) {
		snprintf(text, sizeof text, "response groups: %zu objects that the set no longer has stay "
			 "at the target (%s; delete_missing = true removes them)", ch->stay, ch->stays);
		c->host->loss(c->op, text);
	}
}

static int
tell_state(struct import *m)
{
	struct call *c = &m->call;
	char now[300], fingerprint[2 * RGS_DIGEST_HEX + 1], target[RGS_DIGEST_HEX];
	int rc;

	rgs_rows_digest(&m->target, target);
	snprintf(fingerprint, sizeof fingerprint, "%.64s-%.64s", vault_set_digest(m->set), target);
	snprintf(now, sizeof now, "set %s of site %.60s; %zu of %zu objects are there as they should be",
		 vault_set_name(m->set), vault_set_site(m->set),
		 m->changes.total > m->changes.n ? m->changes.total - m->changes.n : 0,
		 m->changes.total);
	tell_losses(m);
	if (call_tell_changes(c, &m->changes) < 0)
		return c->e.rc;
	call_remember(c, &m->target);
	rc = c->host->state(c->op, now, fingerprint, m->changes.n, m->changes.total);
	return rc < 0 ? rgs_fail(&c->e, rc, "the host would not take the state") : RESITE_OK;
}

ACTION(import_probe)
{
	struct import m = {.call = {.op = op, .host = host}};
	int rc = open_set(&m);

	if (rc == RESITE_OK)
		rc = call_db(&m.call, "server", &m.db);
	if (rc == RESITE_OK)
		rc = compare(&m);
	if (rc == RESITE_OK)
		rc = tell_state(&m);
	return finish(&m, rc);
}

/* --- apply -------------------------------------------------------------------------------- */

static int
tell_outputs(struct import *m)
{
	uint64_t n[RGS_DELETE + 1] = {0};
	struct call *c = &m->call;
	int rc;

	for (size_t i = 0; i < m->changes.n; i++)
		n[m->changes.list[i].what]++;
	rc = c->host->output(c->op, "set", vault_set_name(m->set));
	if (rc == RESITE_OK)
		rc = call_output_number(c, "inserted", n[RGS_INSERT]);
	if (rc == RESITE_OK)
		rc = call_output_number(c, "updated", n[RGS_UPDATE]);
	if (rc == RESITE_OK)
		rc = call_output_number(c, "deleted", n[RGS_DELETE]);
	return rc < 0 ? rgs_fail(&c->e, rc, "the host would not take an output") : RESITE_OK;
}

ACTION(import_apply)
{
	struct import m = {.call = {.op = op, .host = host}};
	int rc = open_set(&m);

	if (rc == RESITE_OK)
		rc = call_db(&m.call, "server", &m.db);
	if (rc == RESITE_OK)
		rc = rgs_db_lock(&m.db, &m.call.e);
	if (rc == RESITE_OK)
		rc = compare(&m);
	if (rc == RESITE_OK)
		rc = call_same_as_probed(&m.call, &m.target);
	if (rc == RESITE_OK && m.changes.n > 0)
		rc = call_make_changes(&m.call, &m.db, &m.changes);
	if (rc == RESITE_OK)
		rc = tell_outputs(&m);
	return finish(&m, rc);
}

/* --- verify ------------------------------------------------------------------------------- */

/* Reads the target again and compares row by row. */
ACTION(import_verify)
{
	struct import m = {.call = {.op = op, .host = host}};
	char label[RGS_LABEL_MAX];
	int rc = open_set(&m);

	if (rc == RESITE_OK)
		rc = call_db(&m.call, "server", &m.db);
	if (rc == RESITE_OK)
		rc = compare(&m);
	if (rc == RESITE_OK && m.changes.n > 0) {
		const struct rgs_change *first = &m.changes.list[0];

		rgs_label(first->row ? first->row : first->was, label);
		rc = rgs_fail(&m.call.e, RESITE_ERR_CONFLICT,
			      "%zu of %zu objects at %s are not as in set %s; the first: %s", m.changes.n,
			      m.changes.total, m.db.pg.where, vault_set_name(m.set), label);
	}
	return finish(&m, rc);
}
