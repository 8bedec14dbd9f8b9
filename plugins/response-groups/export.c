/* export: a site's configuration into the vault. */
#include "plugins/response-groups/call.h"

#include <string.h>

static int
refuse_empty(struct call *c, const struct rgs_rows *rows)
{
	const char *owner = call_str(c, "owner");

	if (rows->n > rgs_rows_count(rows, RGS_SETTINGS))
		return RESITE_OK;
	c->e.param = owner ? "owner" : NULL;
	return rgs_fail(&c->e, RESITE_ERR_REFUSED,
			"%s has no object of %s: is this the right server, the right owner?",
			call_str(c, "server"), owner ? owner : "anybody");
}

/* Connects and reads what is to be exported. */
static int
read_source(struct call *c, struct rgs_rows *rows)
{
	struct rgs_db db;
	int rc = call_db(c, "server", &db);

	if (rc == RESITE_OK)
		rc = rgs_db_read(&db, call_str(c, "owner"), rows, &c->e);
	rgs_db_close(&db);
	if (rc == RESITE_OK && refuse_empty(c, rows) < 0) {
		rgs_rows_release(rows);
		return c->e.rc;
	}
	return rc;
}

static int
tell_state(struct call *c, const struct rgs_rows *rows)
{
	char now[300] = "no set", will_be[100], digest[RGS_DIGEST_HEX], age[VAULT_AGE_MAX];
	struct vault_error err;
	struct vault_set *set;
	bool will_do;
	int rc;

	if (vault_step_newest(c->op, c->host, RGS_KIND, &set, &will_do, &err) < 0)
		return call_vault(c, &err);
	if (set) {
		vault_age_text(age, vault_set_age_ms(set));
		snprintf(now, sizeof now, "newest set %s of site %.60s, %s", vault_set_name(set),
			 vault_set_site(set), age);
	}
	snprintf(will_be, sizeof will_be, "a new set of %zu objects", rows->n);
	rgs_rows_digest(rows, digest);
	rc = will_do ? RESITE_OK : c->host->change(c->op, call_str(c, "name"), now, will_be);
	if (rc == RESITE_OK)
		rc = c->host->state(c->op, now, digest, !will_do, 1);
	vault_close(set);
	return rc;
}

ACTION(export_probe)
{
	struct call c = {.op = op, .host = host};
	struct rgs_rows rows = {0};
	int rc = read_source(&c, &rows);

	if (rc == RESITE_OK)
		rc = tell_state(&c, &rows);
	rgs_rows_release(&rows);
	call_end(&c);
	return rc < 0 ? call_failed(&c) : rc;
}

static int
write_set(struct call *c, const struct rgs_rows *rows)
{
	char note[VAULT_NOTE_MAX];
	struct vault_writer *w = NULL;
	struct vault_error err;
	int rc = RESITE_OK;

	if (vault_step_write(c->op, c->host, RGS_KIND, RGS_TOOL, &w, &err) < 0 ||
	    rgs_set_write(w, rows, &err) < 0 ||
	    vault_writer_extra(w, "server", call_str(c, "server"), &err) < 0 ||
	    vault_step_commit(c->op, c->host, w, note, &err) < 0)
		rc = call_vault(c, &err);
	else if ((rc = vault_step_written(c->op, c->host, w)) < 0 ||
		 (rc = call_output_number(c, "objects", rows->n)) < 0)
		rgs_fail(&c->e, rc, "the host would not take an output");
	vault_writer_free(w);
	return rc;
}

ACTION(export_apply)
{
	struct call c = {.op = op, .host = host};
	struct rgs_rows rows = {0};
	int rc = read_source(&c, &rows);

	if (rc == RESITE_OK)
		rc = write_set(&c, &rows);
	rgs_rows_release(&rows);
	call_end(&c);
	return rc < 0 ? call_failed(&c) : rc;
}

/* Row by row: what the set has is what the server says now. */
static int
compare(struct call *c, const struct rgs_rows *set, const struct rgs_rows *server)
{
	char label[RGS_LABEL_MAX];

	for (size_t i = 0; i < set->n; i++) {
		const struct rgs_row *row = &set->list[i];
		const struct rgs_row *t = rgs_rows_find(server, row->table, row->id);

		if (t && !strcmp(t->body, row->body) && !strcmp(t->owner, row->owner))
			continue;
		rgs_label(row, label);
		return rgs_fail(&c->e, RESITE_ERR_CONFLICT, "%s was %s at %s since it was saved", label,
				t ? "changed" : "removed", call_str(c, "server"));
	}
	if (set->n == server->n)
		return RESITE_OK;
	return rgs_fail(&c->e, RESITE_ERR_CONFLICT, "%zu objects were added at %s since it was saved",
			server->n - set->n, call_str(c, "server"));
}

ACTION(export_verify)
{
	struct call c = {.op = op, .host = host};
	struct rgs_rows saved = {0}, server = {0};
	struct vault_step step = {op, host};
	struct vault_set *set = NULL;
	struct vault_key *key = NULL;
	struct vault_error err;
	int rc = RESITE_OK;

	if (vault_step_key(op, host, &key, &err) < 0 ||
	    vault_open(&set, call_str(&c, "vault"), call_str(&c, "name"), NULL, 0, vault_step_tick,
		       &step, &err) < 0 ||
	    vault_unlock(set, key, &err) < 0)
		rc = call_vault(&c, &err);
	if (rc == RESITE_OK)
		rc = rgs_set_read(set, &saved, &c.e);
	if (rc == RESITE_OK)
		rc = read_source(&c, &server);
	if (rc == RESITE_OK)
		rc = compare(&c, &saved, &server);
	rgs_rows_release(&saved);
	rgs_rows_release(&server);
	vault_close(set);
	vault_key_free(key);
	call_end(&c);
	return rc < 0 ? call_failed(&c) : rc;
}
