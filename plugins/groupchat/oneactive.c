/* only-one-active: a gate before this site's chat server is started. */
#include "plugins/groupchat/alive.h"
#include "plugins/groupchat/service.h"
#include "plugins/groupchat/tool.h"

#include <stdio.h>
#include <string.h>

/* A fence that works says so by its exit status and, when the plan names it, by a word. */
static int
ask_fence(const struct call *c, bool *ret, char note[300])
{
	const char *expect = call_str(c, "fence_expect");
	struct tool_end end;
	int rc;

	*ret = false;
	if (c->host->param_count(c->op, "fence") == 0)
		return RESITE_OK;
	rc = command_of_plan(c, "fence", &end);
	if (rc != RESITE_OK)
		return rc;
	*ret = end.exit_code == 0 && (!expect || strstr(end.words, expect));
	snprintf(note, 300, "; the fence says: exit %d, '%.200s'", end.exit_code, end.words);
	return RESITE_OK;
}

/* The single-active row: one value that says which site is the active one. */
static int
ask_row(const struct call *c, bool *ret, char note[300])
{
	struct db_login login;
	struct db db;
	PGresult *r;
	int rc;

	*ret = false;
	if (!call_str(c, "row_query"))
		return RESITE_OK;
	rc = db_login(c, "server", &login);
	if (rc == RESITE_OK)
		rc = db_open(&login, call_str(c, "database"), &db);
	db_login_wipe(&login);
	if (rc != RESITE_OK)
		return rc;
	rc = db_ask(&db, &r, call_str(c, "row_query"), 0, NULL);
	if (rc == RESITE_OK) {
		const char *is = PQntuples(r) == 1 ? PQgetvalue(r, 0, 0) : "";

		*ret = !strcmp(is, call_str(c, "row_value"));
		snprintf(note, 300, "; the active server by the database: '%.200s'%s", is,
			 PQntuples(r) > 1 ? " (several rows)" : "");
		/* Two rows that say "active" are never right. */
		if (PQntuples(r) > 1)
			rc = call_fail(c, RESITE_ERR_REFUSED, "row_query",
				       "%d rows say which server is active, and there must be one",
				       PQntuples(r));
		PQclear(r);
	}
	db_close(&db);
	return rc;
}

int
one_active_check(struct resite_op *op, const struct resite_host *host)
{
	struct call c = {.op = op, .host = host};
	static const char *const needed[] = {"row_value", "server", "database", "user"};

	for (size_t i = 0; call_str(&c, "row_query") && i < sizeof needed / sizeof *needed; i++)
		if (!call_str(&c, needed[i]))
			return call_fail(&c, RESITE_ERR_INVALID, needed[i], "row_query needs it");
	return RESITE_OK;
}

int
one_active_verify(struct resite_op *op, const struct resite_host *host)
{
	struct call c = {.op = op, .host = host};
	const char *here = call_str(&c, "here"), *domain = call_str(&c, "domain"), *why;
	struct evidence e = {.here_asked = here != NULL,
			     .silence_is_down = !strcmp(call_str(&c, "silence"), "down")};
	char words[ALIVE_WORDS_MAX], here_words[ALIVE_WORDS_MAX], fence[300] = "", row[300] = "";
	int rc = alive_ask(&c, "other", call_str(&c, "other"), domain, &e.other, words);

	if (rc == RESITE_OK && here)
		rc = alive_ask(&c, "here", here, domain, &e.here, here_words);
	if (rc == RESITE_OK)
		rc = ask_fence(&c, &e.fenced, fence);
	if (rc == RESITE_OK)
		rc = ask_row(&c, &e.row, row);
	if (rc != RESITE_OK)
		return rc;
	if (!evidence_judge(&e, &why))
		return call_fail(&c, RESITE_ERR_REFUSED, NULL, "%s (%s%s%s)", why, words, fence, row);
	call_log(&c, RESITE_LOG_INFO, "%s (%s%s%s)", why, words, fence, row);
	return call_output(&c, "other", "%s", alive_text(e.other));
}
