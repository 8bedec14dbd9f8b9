/* call.h -- what the actions share: one call on one step. */
#ifndef RESPONSE_GROUPS_CALL_H
#define RESPONSE_GROUPS_CALL_H

#include "plugins/response-groups/db.h"
#include "plugins/response-groups/set.h"

#include <resite/easy.h>

#define RGS_VERSION "0.1.0"
#define RGS_TOOL "resite response-groups " RGS_VERSION

struct call {
	struct resite_op *op;
	const struct resite_host *host;
	struct rgs_error e;
	char password[1024];
	struct pg_login login;
};

static inline const char *
call_str(struct call *c, const char *name)
{
	return resite_str_or(c->op, c->host, name, NULL);
}

static inline bool
call_flag(struct call *c, const char *name)
{
	return resite_i64_or(c->op, c->host, name, 0) != 0;
}

#define call_log(c, level, ...) resite_log((c)->op, (c)->host, level, __VA_ARGS__)

/* Tells the host about c->e and returns its rc. */
int call_failed(struct call *c);
/* Takes over a vault's error. */
int call_vault(struct call *c, const struct vault_error *err);
/* Connects to the server that the parameter names; rgs_db_close in any case. */
int call_db(struct call *c, const char *server, struct rgs_db *db);
/* Wipes the password; at the end of each call. */
void call_end(struct call *c);
int call_output_number(struct call *c, const char *name, uint64_t n);

/* "alert_seconds=20, routing=\"serial\"": what of a differs from b, as it is in a. */
void call_differs(char *out, size_t size, const char *a, const char *b);
/* "of OWNER, 12 digits of its digest", or "none" when body is NULL. */
void call_brief(char *out, size_t size, enum rgs_table t, const char *owner, const char *body);

/* Tells probe's changes. */
int call_tell_changes(struct call *c, const struct rgs_changes *changes);
/* Writes undo records for all changes, makes them durable, then makes and commits them.  The
 * database is locked. */
int call_make_changes(struct call *c, struct rgs_db *db, const struct rgs_changes *changes);
/* Puts back what undo records say; the whole of a revert. */
int call_revert(struct resite_op *op, const struct resite_host *host);

/* What probe saw of the database, so that apply finds out what changed since.  Each of them
 * frees or keeps what the slot holds. */
void call_remember(struct call *c, const struct rgs_rows *rows);
int call_same_as_probed(struct call *c, const struct rgs_rows *rows);

#define ACTION(name)                                                                      \
	int name(struct resite_op *op, const struct resite_host *host)
ACTION(export_probe);
ACTION(export_apply);
ACTION(export_verify);
ACTION(import_check);
ACTION(import_probe);
ACTION(import_apply);
ACTION(import_verify);
ACTION(clean_probe);
ACTION(clean_apply);
ACTION(clean_verify);
ACTION(command_check);
ACTION(command_export_probe);
ACTION(command_export_apply);
ACTION(command_export_verify);
ACTION(command_import_check);
ACTION(command_import_probe);
ACTION(command_import_apply);
ACTION(command_import_verify);

#endif
