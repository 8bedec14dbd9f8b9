#include "plugins/response-groups/call.h"

#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int
call_failed(struct call *c)
{
	c->host->fail(c->op, c->e.param, 0, c->e.text);
	return c->e.rc;
}

int
call_vault(struct call *c, const struct vault_error *err)
{
	return rgs_fail(&c->e, vault_step_rc(err->code), "%s", err->text);
}

static int
take_password(struct call *c)
{
	const char *ref = call_str(c, "password");
	int len = ref ? c->host->secret(c->op, ref, c->password, sizeof c->password - 1) : 0;

	if (len < 0 || (size_t)len >= sizeof c->password) {
		c->e.param = "password";
		return rgs_fail(&c->e, RESITE_ERR_REFUSED, "the secret of password cannot be read");
	}
	while (len > 0 && (c->password[len - 1] == '\n' || c->password[len - 1] == '\r'))
		len--;
	c->password[len] = '\0';
	return RESITE_OK;
}

int
call_db(struct call *c, const char *server, struct rgs_db *db)
{
	*db = (struct rgs_db){0};
	if (take_password(c) < 0)
		return c->e.rc;
	c->login = (struct pg_login){
		.op = c->op,
		.host = c->host,
		.server = call_str(c, server),
		.database = call_str(c, "database"),
		.user = call_str(c, "user"),
		.password = c->password,
		.tls = call_str(c, "tls"),
		.ca_file = call_str(c, "ca_file"),
		.application = RGS_TOOL,
		.patience_ms = resite_i64_or(c->op, c->host, "timeout", 10000),
	};
	return rgs_db_open(db, &c->login, call_str(c, "schema"), &c->e);
}

void
call_end(struct call *c)
{
	sodium_memzero(c->password, sizeof c->password);
}

int
call_output_number(struct call *c, const char *name, uint64_t n)
{
	char text[32];

	snprintf(text, sizeof text, "%" PRIu64, n);
	return c->host->output(c->op, name, text);
}

/* --- for people ---------------------------------------------------------------------- */

void
call_differs(char *out, size_t size, const char *a, const char *b)
{
	json_t *x = json_loads(a, 0, NULL), *y = json_loads(b, 0, NULL), *value;
	const char *key;
	size_t len = 0;

	out[0] = '\0';
	json_object_foreach(x, key, value) {
		char *text;

		if (json_equal(value, json_object_get(y, key)))
			continue;
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		if (len < size)
			len += (size_t)snprintf(out + len, size - len, "%s%s=%.80s", len ? ", " : "",
						key, text ? text : "?");
		free(text);
	}
	json_decref(x);
	json_decref(y);
}

void
call_brief(char *out, size_t size, enum rgs_table t, const char *owner, const char *body)
{
	const struct rgs_row row = {.table = t, .owner = (char *)(uintptr_t)owner,
				    .body = (char *)(uintptr_t)body};
	char hex[RGS_DIGEST_HEX];

	if (!body) {
		snprintf(out, size, "none");
		return;
	}
	rgs_row_digest(&row, hex);
	snprintf(out, size, "of %.100s, %.12s", owner, hex);
}

static void
change_texts(const struct rgs_change *ch, char was[400], char will_be[400])
{
	snprintf(was, 400, "none");
	snprintf(will_be, 400, "none");
	if (ch->what == RGS_INSERT)
		snprintf(will_be, 400, "as in the set");
	else if (ch->what == RGS_DELETE)
		snprintf(was, 400, "as it is");
	else if (strcmp(ch->was->body, ch->row->body)) {
		call_differs(was, 400, ch->was->body, ch->row->body);
		call_differs(will_be, 400, ch->row->body, ch->was->body);
	} else {
		snprintf(was, 400, "owner=%.300s", ch->was->owner);
		snprintf(will_be, 400, "owner=%.300s", ch->owner);
	}
}

/* The name by which probe, undo records and revert know an object. */
static void
object_of(const struct rgs_change *ch, char out[RGS_LABEL_MAX])
{
	rgs_label(ch->was ? ch->was : ch->row, out);
}

int
call_tell_changes(struct call *c, const struct rgs_changes *changes)
{
	char object[RGS_LABEL_MAX], was[400], will_be[400];
	int rc = RESITE_OK;

	for (size_t i = 0; rc == RESITE_OK && i < changes->n; i++) {
		object_of(&changes->list[i], object);
		change_texts(&changes->list[i], was, will_be);
		rc = c->host->change(c->op, object, was, will_be);
	}
	return rc < 0 ? rgs_fail(&c->e, rc, "the host would not take a change") : RESITE_OK;
}

/* --- making changes -------------------------------------------------------------------- */

#define UNDO_VERSION 1

static int
put_record(struct call *c, const struct rgs_db *db, const struct rgs_change *ch)
{
	const struct rgs_row *any = ch->was ? ch->was : ch->row;
	char object[RGS_LABEL_MAX], by_hand[900];
	struct resite_kv kv[7];
	uint32_t n = 0;

	object_of(ch, object);
	kv[n++] = (struct resite_kv){"object", object};
	kv[n++] = (struct resite_kv){"table", rgs_tables[any->table].table};
	kv[n++] = (struct resite_kv){"id", any->id};
	if (ch->was) {
		kv[n++] = (struct resite_kv){"was.owner", ch->was->owner};
		kv[n++] = (struct resite_kv){"was.body", ch->was->body};
	}
	if (ch->row) {
		kv[n++] = (struct resite_kv){"set.owner", ch->owner};
		kv[n++] = (struct resite_kv){"set.body", ch->row->body};
	}
	snprintf(by_hand, sizeof by_hand, "in %s, table %s.%s, row id %s (%s): %s", db->pg.where,
		 db->schema, rgs_tables[any->table].table, any->id, object,
		 ch->was ? "put the row was.body back, with owner was.owner" : "delete the row");
	return c->host->undo_add(c->op, UNDO_VERSION, by_hand, kv, n);
}

static int
put_records(struct call *c, const struct rgs_db *db, const struct rgs_changes *changes)
{
	int rc = RESITE_OK;

	for (size_t i = 0; rc == RESITE_OK && i < changes->n; i++)
		rc = put_record(c, db, &changes->list[i]);
	if (rc == RESITE_OK)
		rc = c->host->sync(c->op);
	return rc < 0 ? rgs_fail(&c->e, rc, "the undo records could not be made durable: nothing was "
				 "changed") : RESITE_OK;
}

static int
make(struct rgs_db *db, const struct rgs_change *ch, struct rgs_error *e)
{
	char object[RGS_LABEL_MAX];

	object_of(ch, object);
	return ch->what == RGS_DELETE
		       ? rgs_db_delete(db, ch->was->table, ch->was->id, object, e)
		       : rgs_db_put(db, ch->row->table, ch->owner, ch->row->body, object, e);
}

int
call_make_changes(struct call *c, struct rgs_db *db, const struct rgs_changes *changes)
{
	if (put_records(c, db, changes) < 0)
		return c->e.rc;
	for (size_t i = 0; i < changes->n; i++) {
		c->host->progress(c->op, i, changes->n, "objects");
		if (c->host->time_left_ms(c->op) <= 0)
			return rgs_fail(&c->e, RESITE_ERR_CANCELLED,
					"stopped: nothing was changed, it is one transaction");
		if (make(db, &changes->list[i], &c->e) < 0)
			return c->e.rc;
	}
	return rgs_db_commit(db, &c->e);
}

void
call_remember(struct call *c, const struct rgs_rows *rows)
{
	void **slot = c->host->memory(c->op);

	if (!*slot)
		*slot = malloc(RGS_DIGEST_HEX);
	if (*slot)
		rgs_rows_digest(rows, *slot);
}

int
call_same_as_probed(struct call *c, const struct rgs_rows *rows)
{
	const char *seen = *c->host->memory(c->op);
	char now[RGS_DIGEST_HEX];

	rgs_rows_digest(rows, now);
	if (!seen || !strcmp(seen, now))
		return RESITE_OK;
	return rgs_fail(&c->e, RESITE_ERR_CONFLICT,
			"%s: somebody has changed the configuration since probe: nothing was done",
			call_str(c, "server"));
}
