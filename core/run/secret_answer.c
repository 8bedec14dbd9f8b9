#include "core/base/base.h"
#include "core/plan/secret.h"
#include "core/run/secret_answer.h"

#include <string.h>

static const struct graph_secret *
find_secret(const struct graph *g, const char *ref)
{
	for (uint32_t i = 0; i < g->n_secrets; i++)
		if (!strcmp(g->secrets[i].name, ref))
			return &g->secrets[i];
	return NULL;
}

/* Whether a parameter of the step names the secret: a plugin gets no others. */
static bool
step_names_secret(const struct step *step, const char *ref)
{
	json_t *params = json_parse(step->params, strlen(step->params), NULL);
	const struct schema_action *action = step->action;
	bool named = false;

	for (size_t i = 0; !named && i < action->n_params; i++) {
		const json_t *v = json_object_get(params, action->params[i].name);

		if (action->params[i].type != RESITE_T_SECRET)
			continue;
		named = !strcmp(json_string_value(v) ? json_string_value(v) : "", ref);
		for (size_t k = 0; !named && k < json_array_size(v); k++) {
			const char *s = json_string_value(json_array_get(v, k));

			named = s && !strcmp(s, ref);
		}
	}
	json_decref(params);
	return named;
}

int
secret_answer(struct attempt *attempt, const json_t *msg, const struct graph *graph,
	      const struct step *step, struct redact *known, struct error *err)
{
	const char *ref = json_str_or(msg, "ref", "");
	const struct graph_secret *secret = find_secret(graph, ref);
	struct strbuf value = STRBUF_INIT;
	int rc;

	if (!secret || !step_names_secret(step, ref))
		rc = error_set(err, E_INVALID,
			       "asked for a secret that its parameters do not name");
	else
		rc = secret_read(secret->file, secret->env, &value, err);
	if (rc == 0)
		rc = redact_add(known, value.buf, value.len);
	attempt_secret(attempt, json_int_or(msg, "id", 0),
		       rc < 0 ? RESITE_ERR_INVALID : (int)value.len, rc < 0 ? NULL : value.buf,
		       value.len);
	secret_wipe(&value);
	return rc;
}
