/* schema.h -- what a plugin says of itself, as the plan is checked against it.
 *
 * Comes from the "hello" of a worker (JSON), or is static for the built-in
 * plugin "core".  Types and flags are those of <resite/plugin.h>.
 */
#ifndef CORE_PLAN_SCHEMA_H
#define CORE_PLAN_SCHEMA_H

#include "core/base/base.h"
#include "core/base/error.h"

#include <jansson.h>
#include <resite/plugin.h>

enum schema_has { /* which of the five functions an action has */
	SCHEMA_HAS_CHECK = 1u << 0,
	SCHEMA_HAS_PROBE = 1u << 1,
	SCHEMA_HAS_APPLY = 1u << 2,
	SCHEMA_HAS_VERIFY = 1u << 3,
	SCHEMA_HAS_REVERT = 1u << 4,
};

struct schema_param {
	const char *name, *summary;
	int32_t type;               /* enum resite_type */
	uint32_t flags;             /* enum resite_param_flags */
	const char *def;            /* default as written in a plan, or NULL */
	const char *const *choices; /* RESITE_T_ENUM: n_choices of them */
	size_t n_choices;
	int64_t min, max; /* INT, DURATION, SIZE; both 0: unbounded */
};

struct schema_action {
	const char *name, *summary;
	uint64_t flags;     /* enum resite_action_flags */
	int64_t timeout_ms; /* the action's default; 0: it states none */
	const struct schema_param *params;
	size_t n_params;
	const char *const *outputs;
	size_t n_outputs;
	unsigned has; /* enum schema_has; 0 for the actions of "core" */
};

struct schema_plugin {
	const char *name, *version, *summary;
	int abi_major, abi_minor;
	const struct schema_action *actions;
	size_t n_actions;
	bool builtin;       /* the core does it itself: no worker, no process */
	struct arena *own;  /* all of the above when it came from JSON; else NULL */
};

/* Reads and checks a hello: names [a-z][a-z0-9_-]*, known types and flags,
 * no doubles, defaults that parse under their own type.  The result owns all
 * its strings; free it with schema_free.  E_INVALID names what is wrong with
 * which action and parameter; E_NOMEM. */
int schema_from_json(const json_t *hello, struct schema_plugin **ret, struct error *err);
void schema_free(struct schema_plugin *plugin); /* NULL and built-in ones are left alone */

/* The plugin "core": approve waits for a person, none is a join point. */
const struct schema_plugin *schema_builtin(void);

/* NULL when there is none of that name. */
const struct schema_action *schema_action(const struct schema_plugin *plugin, const char *name);
const struct schema_param *schema_param(const struct schema_action *action, const char *name);
bool schema_has_output(const struct schema_action *action, const char *name);

/* "string", "bool", ... as in the hello; "?" for an unknown number. */
const char *schema_type_name(int32_t type);

/* Where the checker gets plugins from.  "core" is never asked for. */
struct schema_source {
	void *ctx;
	/* E_NOTFOUND when there is no such plugin; other codes: it is there and
	 * cannot be used, and err says why.  The result must outlive the graph.
	 * Asked once for each plugin of a runbook. */
	int (*find)(void *ctx, const char *plugin, const struct schema_plugin **ret,
		    struct error *err);
	/* Calls each with every plugin name there is, for "did you mean"; may be
	 * NULL. */
	void (*list)(void *ctx, void (*each)(void *arg, const char *name), void *arg);
};

#endif
