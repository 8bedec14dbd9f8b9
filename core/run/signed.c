#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/strbuf.h"
#include "core/engine/approval.h"
#include "core/run/signed.h"
#include "core/run/sshsig.h"

#include <stdlib.h>
#include <string.h>

#define SIGNERS_MAX (1 << 20)

/* --- allowed signers ------------------------------------------------------- */

static int
read_signers(const struct step *step, const char *path, json_t *all, struct error *err)
{
	struct strbuf text = STRBUF_INIT;
	int rc = strbuf_read_file(&text, path, SIGNERS_MAX, err);

	if (rc < 0)
		error_prefix(err, "%s:%u: step %s: allowed_signers", step->at.file, step->at.line,
			     step->name);
	else if (json_object_set_new(all, path, json_stringn(text.buf, text.len)) < 0)
		rc = error_set(err, E_INVALID, "%s:%u: step %s: allowed_signers %s is no text",
			       step->at.file, step->at.line, step->name, path);
	strbuf_release(&text);
	return rc;
}

json_t *
signers_read(const struct graph *graph, struct error *err)
{
	json_t *all = json_object();
	int rc = all ? 0 : error_set(err, E_NOMEM, "out of memory");

	for (uint32_t i = 0; rc == 0 && i < graph->n_steps; i++) {
		struct approval_rule rule;

		if (!approval_is_gate(&graph->steps[i]))
			continue;
		approval_rule_init(&rule, &graph->steps[i]);
		if (rule.signers && !json_object_get(all, rule.signers))
			rc = read_signers(&graph->steps[i], rule.signers, all, err);
		approval_rule_release(&rule);
	}
	if (rc == 0)
		return all;
	json_decref(all);
	return NULL;
}

void
signers_check(const struct graph *graph, struct diags *d)
{
	for (uint32_t i = 0; i < graph->n_steps; i++) {
		const struct step *s = &graph->steps[i];
		struct strbuf text = STRBUF_INIT;
		struct approval_rule rule;
		struct error err = {0};

		if (!approval_is_gate(s))
			continue;
		approval_rule_init(&rule, s);
		if (rule.signers && strbuf_read_file(&text, rule.signers, SIGNERS_MAX, &err) < 0)
			diags_add(d, s->at.file, s->at.line, "runbook %s, step %s: allowed_signers: %s",
				  graph->runbook, s->name, err.text);
		approval_rule_release(&rule);
		strbuf_release(&text);
	}
}

/* --- the text -------------------------------------------------------------- */

/* The hash of the run's first event, which the second one has. */
static int
start_hash(struct store *store, const char *run, struct strbuf *ret, struct error *err)
{
	json_t *second = journal_event(store, run, 2);

	strbuf_addstr(ret, json_str_or(second, "prev", ""));
	json_decref(second);
	return ret->len ? 0 : error_set(err, E_CORRUPT, "run %s has no second event", run);
}

/* What is known of the text; start holds its hash. */
static int
fill(const struct run_state *state, struct store *store, const char *run, uint32_t step,
     int64_t now_ms, struct strbuf *start, struct approval_text *ret, struct error *err)
{
	const struct step *s = &state->graph->steps[step];
	int rc = start_hash(store, run, start, err);

	if (rc == 0)
		*ret = (struct approval_text){
			.run = run,
			.step = s->name,
			.plan = state->graph->plan,
			.question = state->facts[step].now ? state->facts[step].now : "",
			.start = start->buf,
			.written_ms = now_ms,
		};
	return rc;
}

/* The index of a step whose gate is open. */
static int
open_gate(const struct run_state *state, const char *name, uint32_t *ret, struct error *err)
{
	uint32_t i = graph_find_step(state->graph, name);

	if (i == GRAPH_NO_STEP)
		return error_set(err, E_NOTFOUND, "the run has no step '%s'", name);
	if (state->ended)
		return error_set(err, E_REFUSED, "the run has ended (%s)", state->outcome);
	if (sched_state(state->sched, i) != STEP_GATE)
		return error_set(err, E_REFUSED, "approve does not apply: step %s is %s", name,
				 step_state_name(sched_state(state->sched, i)));
	*ret = i;
	return 0;
}

int
signed_text(const struct run_state *state, struct store *store, const char *run,
	    const char *step, const char *reason, int64_t now_ms, struct strbuf *out,
	    struct error *err)
{
	struct strbuf start = STRBUF_INIT;
	struct approval_text text;
	struct approval_rule rule;
	uint32_t i = 0;
	int rc = open_gate(state, step, &i, err);

	if (rc == 0)
		rc = fill(state, store, run, i, now_ms, &start, &text, err);
	if (rc == 0) {
		approval_rule_init(&rule, &state->graph->steps[i]);
		if (!rule.signers)
			rc = error_set(err, E_REFUSED, "step %s has no allowed_signers in the plan: nobody "
				       "can approve it by signature", step);
		text.reason = reason;
		text.expires_ms = rule.expires_ms ? now_ms + rule.expires_ms : 0;
		if (rc == 0)
			approval_write(out, &text);
		approval_rule_release(&rule);
	}
	strbuf_release(&start);
	return rc;
}

/* --- checking -------------------------------------------------------------- */

static int
sign_event(json_t *event, const char *principal, const char *reason, int64_t written_ms,
	   struct error *err)
{
	char when[CLOCK_TEXT_MAX];

	json_object_set(event, "by", json_object_get(event, "actor"));
	if (json_object_set_new(event, "actor", json_sprintf(APPROVAL_SIGNED "%s", principal)) < 0 ||
	    json_object_set_new(event, "reason", json_string(reason)) < 0 ||
	    json_object_set_new(event, "made", json_string(clock_format_utc(written_ms, when))) < 0)
		return error_set(err, E_NOMEM, "out of memory");
	return 0;
}

static int
check(const struct approval_rule *rule, const struct approval_text *wanted, const json_t *first,
      json_t *event, struct error *err)
{
	const char *signers = rule->signers ? json_str_or(json_object_get(first, "signers"),
							  rule->signers, NULL) : NULL;
	const char *document = json_str_or(event, "document", "");
	struct strbuf principal = STRBUF_INIT;
	int64_t written_ms = 0;
	char *reason = NULL;
	int rc;

	if (!signers)
		return error_set(err, E_REFUSED, "step %s has no allowed_signers in the plan: nobody "
				 "can approve it by signature", wanted->step);
	rc = approval_read(document, wanted, rule, &reason, &written_ms, err);
	if (rc == 0)
		rc = sshsig_principal(signers, json_str_or(event, "signature", ""), document,
				      &principal, err);
	if (rc == 0)
		rc = sign_event(event, principal.buf, reason, written_ms, err);
	strbuf_release(&principal);
	free(reason);
	return rc;
}

int
signed_check(const struct run_state *state, struct store *store, const char *run,
	     const json_t *first, int64_t now_ms, json_t *event, struct error *err)
{
	const char *name = json_str_or(event, "step", "");
	uint32_t i = graph_find_step(state->graph, name);
	struct strbuf start = STRBUF_INIT;
	struct approval_text wanted;
	struct approval_rule rule;
	int rc;

	if (i == GRAPH_NO_STEP)
		return error_set(err, E_NOTFOUND, "the run has no step '%s'", name);
	if (!approval_is_gate(&state->graph->steps[i]))
		return error_set(err, E_REFUSED, "approve does not apply: step %s is no core.approve",
				 name);
	approval_rule_init(&rule, &state->graph->steps[i]);
	rc = fill(state, store, run, i, now_ms, &start, &wanted, err);
	if (rc == 0)
		rc = check(&rule, &wanted, first, event, err);
	approval_rule_release(&rule);
	strbuf_release(&start);
	return rc;
}
