/* gate: the archive takes a message before anybody is moved to it. */
#include "plugins/archiving/actions.h"
#include "plugins/archiving/gate.h"

#include "sdk/proc/step.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define OUTPUT_KEEP 65536
#define CHECKPOINT "marker"

/* What this attempt knows. */
struct attempt {
	bool proven;
	char id[MARKER_ID_MAX]; /* of its marker; "": none */
};

static struct attempt *
attempt_of(struct resite_op *op, const struct resite_host *host)
{
	void **slot = host->memory(op);

	if (!*slot)
		*slot = calloc(1, sizeof(struct attempt));
	if (!*slot)
		resite_fail(op, host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	return *slot;
}

static const char *
str(struct resite_op *op, const struct resite_host *host, const char *name)
{
	return resite_str_or(op, host, name, NULL);
}

/* --- whether --------------------------------------------------------------------------- */

bool
gate_is_needed(int64_t archived, bool critical, char *ret_why, size_t size)
{
	if (archived == 0 && !critical)
		snprintf(ret_why, size, "0 users are archived and archiving is not critical: not looked at");
	else
		snprintf(ret_why, size, "%" PRId64 " user%s archived%s", archived,
			 archived == 1 ? " is" : "s are", critical ? ", and archiving is critical" : "");
	return archived != 0 || critical;
}

static bool
needed(struct resite_op *op, const struct resite_host *host, char why[120])
{
	return gate_is_needed(host->param_i64(op, "archived", 0), host->param_i64(op, "critical", 0),
			      why, 120);
}

bool
gate_is_table(const char *name)
{
	const char *dot = strchr(name, '.');

	return *name && strlen(name) <= 127 && !(*name >= '0' && *name <= '9') &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.")] == '\0' &&
	       (!dot || (dot != name && dot[1] && !strchr(dot + 1, '.') &&
			 !(dot[1] >= '0' && dot[1] <= '9')));
}

/* --- check ------------------------------------------------------------------------------ */

static int
check_command(struct resite_op *op, const struct resite_host *host)
{
	const char *file = str(op, host, "command"), *expect = str(op, host, "expect");

	if (*file != '/')
		return resite_fail(op, host, RESITE_ERR_INVALID, "command",
				   "'%s': the program of a command is an absolute path", file);
	if (!expect || !*expect)
		return resite_fail(op, host, RESITE_ERR_INVALID, "expect",
				   "a command needs 'expect': what it prints when the archive has taken a "
				   "message; an exit code alone is 0 after many errors");
	return RESITE_OK;
}

static int
check_tables(struct resite_op *op, const struct resite_host *host)
{
	static const char *const names[] = {"table", "messages"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *name = str(op, host, names[i]);

		if (name && !gate_is_table(name))
			return resite_fail(op, host, RESITE_ERR_INVALID, names[i],
					   "'%s' is no name of a table: small letters, digits and _, with or "
					   "without a schema before a dot", name);
	}
	if (str(op, host, "writer") && !str(op, host, "messages"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "writer",
				   "'writer' needs 'messages', the table that it writes to");
	return RESITE_OK;
}

ACTION(gate_check)
{
	bool server = str(op, host, "server"), command = str(op, host, "command");

	if (server == command)
		return resite_fail(op, host, RESITE_ERR_INVALID, server ? "command" : "server",
				   "say either 'server', a PostgreSQL archive, or 'command', a program that "
				   "tries another one");
	return command ? check_command(op, host) : check_tables(op, host);
}

/* --- probe ------------------------------------------------------------------------------ */

ACTION(gate_probe)
{
	struct attempt *a = attempt_of(op, host);
	char why[120], where[500] = "";
	int rc = RESITE_OK;

	if (!a)
		return RESITE_ERR_TRANSIENT;
	if (!needed(op, host, why))
		return host->state(op, why, why, 0, 1);
	if (str(op, host, "server"))
		rc = marker_look(op, host, where, sizeof where);
	else
		snprintf(where, sizeof where, "%s", str(op, host, "command"));
	if (rc == RESITE_OK && !a->proven)
		rc = host->change(op, where, "not tried", "seen to take a message, which is removed again");
	return rc == RESITE_OK ? host->state(op, why, where, !a->proven, 1) : rc;
}

/* --- apply ------------------------------------------------------------------------------ */

static int
ask_command(struct resite_op *op, const struct resite_host *host)
{
	struct proc_step p = {.op = op, .host = host, .keep = OUTPUT_KEEP};
	const char *expect = str(op, host, "expect");
	int rc = proc_step_param(&p, "command");

	if (rc != RESITE_OK)
		resite_fail(op, host, rc, "command", "the archive was not seen to take a message: %s", p.err);
	else if (!p.out || !strstr(p.out, expect))
		rc = resite_fail(op, host, RESITE_ERR_REFUSED, "command",
				 "the archive was not seen to take a message: %s ended well and did not "
				 "print '%s' (last line: %s); nobody has been moved; see what it printed in "
				 "the log, then retry", str(op, host, "command"), expect,
				 *p.end.tail ? p.end.tail : "nothing");
	free(p.out);
	return rc;
}

static int
make_id(struct resite_op *op, const struct resite_host *host, char id[MARKER_ID_MAX])
{
	unsigned char noise[16];
	int n = snprintf(id, MARKER_ID_MAX, MARKER_PREFIX);

	if (getrandom(noise, sizeof noise, 0) != sizeof noise)
		return resite_fail(op, host, RESITE_ERR_TRANSIENT, NULL, "no random number for the marker");
	for (size_t i = 0; i < sizeof noise; i++)
		n += snprintf(id + n, MARKER_ID_MAX - (size_t)n, "%02x", noise[i]);
	return RESITE_OK;
}

/* The id is durable before there is a marker, so that a later attempt knows what this one left. */
static int
ask_server(struct resite_op *op, const struct resite_host *host, struct attempt *a)
{
	const char *data = NULL, *name = host->last_checkpoint(op, &data);
	char known[MARKER_ID_MAX];
	int rc = make_id(op, host, a->id);

	snprintf(known, sizeof known, "%s", name && data && !strcmp(name, CHECKPOINT) ? data : "");
	if (rc == RESITE_OK && host->checkpoint(op, CHECKPOINT, a->id) < 0)
		rc = resite_fail(op, host, RESITE_ERR_TRANSIENT, NULL,
				 "the marker's name could not be made durable: no marker was written");
	return rc == RESITE_OK ? marker_prove(op, host, known, a->id) : rc;
}

ACTION(gate_apply)
{
	struct attempt *a = attempt_of(op, host);
	char why[120];
	int rc;

	if (!a)
		return RESITE_ERR_TRANSIENT;
	if (!needed(op, host, why))
		return RESITE_OK;
	rc = str(op, host, "server") ? ask_server(op, host, a) : ask_command(op, host);
	a->proven = rc == RESITE_OK;
	return rc;
}

/* --- verify ----------------------------------------------------------------------------- */

ACTION(gate_verify)
{
	struct attempt *a = attempt_of(op, host);
	char why[120];
	bool look = needed(op, host, why);
	int rc = RESITE_OK;

	if (!a)
		return RESITE_ERR_TRANSIENT;
	if (look && !a->proven)
		return resite_fail(op, host, RESITE_ERR_CONFLICT, NULL,
				   "the archive was not seen to take a message in this attempt");
	if (look && *a->id)
		rc = marker_is_gone(op, host, a->id);
	if (rc == RESITE_OK)
		resite_log(op, host, RESITE_LOG_INFO, "%s%s", why,
			   look ? ": the archive takes messages" : "");
	return rc == RESITE_OK ? host->output(op, "looked", look ? "yes" : "no") : rc;
}
