/* start and stop: the service itself, by systemd or by the operator's own command, here or
 * through ssh; whether it runs is seen from outside, at its port. */
#include "plugins/groupchat/service.h"

#include "plugins/groupchat/alive.h"
#include "plugins/groupchat/tool.h"

#include <stdio.h>
#include <string.h>

#define UNDO_VERSION 1
#define RETRY_MS 300

/* The two directions: what is wanted, and how one gets there. */
struct way {
	const char *command; /* parameter */
	const char *verb;    /* of systemctl */
	const char *was, *will_be;
	bool up;             /* wanted */
};

static const struct way ways[] = {
	{"stop_command", "stop", "running", "stopped", false},
	{"start_command", "start", "stopped", "running", true},
};

/* --- asking ------------------------------------------------------------------------------ */

static int
ask(const struct call *c, enum alive *ret, char words[ALIVE_WORDS_MAX])
{
	return alive_ask(c, "ready", call_str(c, "ready"), call_str(c, "domain"), ret, words);
}

/* Stopped is only what refuses connections: silence may be a network that is cut. */
static bool
is_there(const struct way *w, enum alive is)
{
	return w->up ? is == ALIVE_UP : is == ALIVE_REFUSED;
}

static int
probe(struct resite_op *op, const struct resite_host *host, const struct way *w)
{
	struct call c = {.op = op, .host = host};
	char words[ALIVE_WORDS_MAX];
	enum alive is;
	int rc = ask(&c, &is, words);

	if (rc != RESITE_OK)
		return rc;
	if (!is_there(w, is))
		host->change(op, call_str(&c, "ready"), alive_text(is), w->will_be);
	return host->state(op, words, alive_text(is), !is_there(w, is), 1);
}

static int
verify(struct resite_op *op, const struct resite_host *host, const struct way *w)
{
	struct call c = {.op = op, .host = host};
	char words[ALIVE_WORDS_MAX];
	enum alive is;
	int rc = ask(&c, &is, words);

	if (rc != RESITE_OK || is_there(w, is))
		return rc;
	host->fail(op, NULL, RETRY_MS, words);
	return RESITE_PENDING;
}

/* --- acting -------------------------------------------------------------------------------- */

static int
run_way(const struct call *c, const struct way *w)
{
	const char *unit = call_str(c, "unit"), *ssh = call_str(c, "ssh");
	const char *argv[COMMAND_WORDS_MAX + 8];
	struct tool_end end;
	size_t n = 0;
	int rc;

	if (ssh) {
		argv[n++] = "ssh";
		argv[n++] = "-oBatchMode=yes";
		argv[n++] = ssh;
		argv[n++] = "--";
	}
	if (unit) {
		argv[n++] = "systemctl";
		argv[n++] = w->verb;
		argv[n++] = unit;
	}
	for (uint32_t i = 0; !unit && i < c->host->param_count(c->op, w->command); i++)
		argv[n++] = c->host->param_str(c->op, w->command, i);
	argv[n] = NULL;
	rc = command_run_plan(c, w->command, argv, &end);
	if (rc == RESITE_OK && (end.exit_code != 0 || end.signal))
		rc = call_fail(c, RESITE_ERR_REFUSED, w->command, "%s: %s %d: %s", argv[0],
			       end.signal ? "signal" : "exit",
			       end.signal ? end.signal : end.exit_code,
			       *end.words ? end.words : "it said nothing");
	return rc;
}

static int
apply(struct resite_op *op, const struct resite_host *host, const struct way *w)
{
	struct call c = {.op = op, .host = host};
	const struct resite_kv kv[] = {{"was.service", w->was}, {"set.service", w->will_be}};
	char by_hand[300];
	int rc;

	snprintf(by_hand, sizeof by_hand, "%s the chat service at %s", ways[!w->up].verb,
		 call_str(&c, "ready"));
	rc = host->undo_put(op, UNDO_VERSION, by_hand, kv, 2);
	if (rc != RESITE_OK)
		return call_fail(&c, rc, NULL, "the undo record could not be written");
	return run_way(&c, w);
}

/* The other direction: only when the service still is as this step left it. */
static int
revert_one(const struct call *c, const struct way *w, const struct way *back)
{
	int way = c->host->revert_way(c->op), rc, result = RESITE_REVERTED_PUT_BACK;
	char words[ALIVE_WORDS_MAX];
	enum alive is;

	rc = ask(c, &is, words);
	if (rc != RESITE_OK)
		return rc;
	if (is_there(back, is))
		result = RESITE_REVERTED_ALREADY;
	else if (!is_there(w, is) && way != RESITE_FORCE)
		result = RESITE_REVERTED_CONFLICT;
	else if (way != RESITE_LOOK)
		rc = run_way(c, back);
	for (int i = 0; i < 100 && rc == RESITE_OK && way != RESITE_LOOK &&
			result == RESITE_REVERTED_PUT_BACK && !is_there(back, is); i++) {
		rc = c->host->wait(c->op, -1, 0, RETRY_MS) == RESITE_ERR_CANCELLED
			     ? RESITE_ERR_CANCELLED : ask(c, &is, words);
		if (i == 99)
			rc = call_fail(c, RESITE_ERR_TRANSIENT, NULL, "not %s: %s", back->will_be, words);
	}
	if (rc == RESITE_OK)
		rc = c->host->reverted(c->op, call_str(c, "ready"), result, w->was, w->will_be,
				       alive_text(is));
	return rc;
}

static int
revert(struct resite_op *op, const struct resite_host *host, const struct way *w)
{
	struct call c = {.op = op, .host = host};
	const struct resite_kv *kv;
	uint32_t version, n;
	int rc;

	while ((rc = host->undo_next(op, &version, &kv, &n)) == 1) {
		rc = revert_one(&c, w, &ways[!w->up]);
		if (rc != RESITE_OK)
			return rc;
	}
	return rc;
}

int
service_check(struct resite_op *op, const struct resite_host *host)
{
	struct call c = {.op = op, .host = host};

	for (size_t i = 0; i < 2; i++) {
		uint32_t n = host->param_count(op, ways[i].command);

		if (call_str(&c, "unit") ? n > 0 : n == 0)
			return call_fail(&c, RESITE_ERR_INVALID, ways[i].command,
					 "either unit, or both start_command and stop_command: what is "
					 "started must be stopped, too, when the run is undone");
		if (n > COMMAND_WORDS_MAX)
			return call_fail(&c, RESITE_ERR_INVALID, ways[i].command,
					 "more than %d words: put them into a script", COMMAND_WORDS_MAX);
	}
	return RESITE_OK;
}

#define ACTION(name, direction)                                                                 \
	int name##_probe(struct resite_op *op, const struct resite_host *host)                  \
	{ return probe(op, host, &ways[direction]); }                                           \
	int name##_apply(struct resite_op *op, const struct resite_host *host)                  \
	{ return apply(op, host, &ways[direction]); }                                           \
	int name##_verify(struct resite_op *op, const struct resite_host *host)                 \
	{ return verify(op, host, &ways[direction]); }                                          \
	int name##_revert(struct resite_op *op, const struct resite_host *host)                 \
	{ return revert(op, host, &ways[direction]); }

ACTION(stop, 0)
ACTION(start, 1)
