#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/engine/approval.h"

#include <stdlib.h>
#include <string.h>

/* Clocks of two machines may differ by that much. */
#define SKEW_MS (5 * 60 * 1000)

bool
approval_is_gate(const struct step *step)
{
	return step->builtin && !strcmp(step->action->name, "approve");
}

void
approval_rule_init(struct approval_rule *ret, const struct step *step)
{
	json_t *params = json_parse(step->params, strlen(step->params), NULL);
	int64_t needs = json_int_or(params, "needs", 1);

	*ret = (struct approval_rule){
		.needs = needs > 0 && needs < UINT16_MAX ? (uint32_t)needs : 1,
		.expires_ms = json_int_or(params, "expires", 0),
		.approvers = json_object_get(params, "approvers"),
		.signers = json_str_or(params, "allowed_signers", NULL),
		.params = params,
	};
}

void
approval_rule_release(struct approval_rule *rule)
{
	json_decref(rule->params);
	*rule = (struct approval_rule){0};
}

bool
approval_counts(const struct approval_rule *rule, int64_t at_ms, int64_t now_ms)
{
	return !rule->expires_ms || now_ms - at_ms < rule->expires_ms;
}

/* --- persons --------------------------------------------------------------- */

static const char *
principal_of(const char *actor)
{
	size_t len = strlen(APPROVAL_SIGNED);

	return strncmp(actor, APPROVAL_SIGNED, len) ? actor : actor + len;
}

bool
approval_same_person(const char *a, const char *b)
{
	size_t len;

	a = principal_of(a);
	b = principal_of(b);
	len = strcspn(a, "@");
	return len == strcspn(b, "@") && !strncmp(a, b, len);
}

/* By the name of a user or of a principal, or by the person's name before the "@". */
static bool
is_named(const struct approval_rule *rule, const char *actor)
{
	const char *name = principal_of(actor);
	size_t len = strcspn(name, "@");

	for (size_t i = 0; i < json_array_size(rule->approvers); i++) {
		const char *one = json_string_value(json_array_get(rule->approvers, i));

		if (one && (!strcmp(one, name) || (strlen(one) == len && !strncmp(one, name, len))))
			return true;
	}
	return json_array_size(rule->approvers) == 0;
}

static void
list_approvers(const struct approval_rule *rule, struct strbuf *out)
{
	for (size_t i = 0; i < json_array_size(rule->approvers); i++)
		strbuf_addf(out, "%s%s", i ? ", " : "",
			    json_string_value(json_array_get(rule->approvers, i)));
}

static int
judge(const struct approval_rule *rule, const struct run_state *state,
      const struct run_event *word, int64_t now_ms, struct error *err)
{
	const char *name = state->graph->steps[word->step].name;
	const struct step_facts *f = &state->facts[word->step];
	struct strbuf names = STRBUF_INIT;
	int rc = 0;

	if (!is_named(rule, word->actor)) {
		list_approvers(rule, &names);
		rc = error_set(err, E_REFUSED, "%s may not approve step %s: its approvers are %s",
			       word->actor, name, names.buf);
		strbuf_release(&names);
		return rc;
	}
	if (word->made_ms && !approval_counts(rule, word->made_ms, now_ms))
		return error_set(err, E_REFUSED, "the approval of %s for step %s has expired: print and "
				 "sign it again", word->actor, name);
	for (size_t i = 0; i < json_array_size(f->approved); i++) {
		const json_t *one = json_array_get(f->approved, i);

		if (approval_same_person(json_str_or(one, "actor", "?"), word->actor) &&
		    approval_counts(rule, json_int_or(one, "at_ms", 0), now_ms))
			rc = error_set(err, E_REFUSED, "%s has approved step %s already: %" PRIu32
				       " more must, each another person", word->actor, name,
				       sched_approvals(state->sched, word->step));
	}
	return rc;
}

int
approval_judge(const struct run_state *state, const struct run_event *word, int64_t now_ms,
	       struct error *err)
{
	struct approval_rule rule;
	int rc;

	approval_rule_init(&rule, &state->graph->steps[word->step]);
	rc = judge(&rule, state, word, now_ms, err);
	approval_rule_release(&rule);
	return rc;
}

/* --- what is signed -------------------------------------------------------- */

/* One line of the text; whatever would break it is a space. */
static void
add_line(struct strbuf *out, const char *key, const char *value)
{
	size_t from;

	strbuf_addf(out, "%s: ", key);
	from = out->len;
	strbuf_addstr(out, value);
	for (size_t i = from; !out->failed && i < out->len; i++)
		if ((unsigned char)out->buf[i] < ' ' || out->buf[i] == 0x7f)
			out->buf[i] = ' ';
	strbuf_addch(out, '\n');
}

void
approval_write(struct strbuf *out, const struct approval_text *text)
{
	char when[CLOCK_TEXT_MAX];

	add_line(out, "resite approval", "1");
	add_line(out, "run", text->run);
	add_line(out, "step", text->step);
	add_line(out, "plan", text->plan);
	add_line(out, "run began with", text->start);
	add_line(out, "question", text->question);
	add_line(out, "reason", text->reason);
	add_line(out, "written", clock_format_utc(text->written_ms, when));
	add_line(out, "expires", text->expires_ms ? clock_format_utc(text->expires_ms, when) : "never");
}

/* The value of the line that begins with key; to be freed, NULL: there is none. */
static char *
line_of(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL)
		if (!strncmp(line, key, len) && !strncmp(line + len, ": ", 2))
			return strndup(line + len + 2, strcspn(line + len + 2, "\n"));
	return NULL;
}

/* E_REFUSED when the line of key says another thing than it must. */
static int
compare_line(const char *text, const char *key, const char *wanted, struct error *err)
{
	char *got = line_of(text, key);
	int rc = 0;

	if (!got || strcmp(got, wanted))
		rc = error_set(err, E_REFUSED, "the signed text is for %s '%s', not for '%s'", key,
			       got ? got : "", wanted);
	free(got);
	return rc;
}

int
approval_read(const char *text, const struct approval_text *wanted,
	      const struct approval_rule *rule, char **ret_reason, int64_t *ret_written_ms,
	      struct error *err)
{
	struct approval_text again = *wanted;
	char *reason = line_of(text, "reason"), *written = line_of(text, "written");
	struct strbuf out = STRBUF_INIT;
	int rc = compare_line(text, "run", wanted->run, err);

	if (rc == 0)
		rc = compare_line(text, "step", wanted->step, err);
	if (rc == 0)
		rc = compare_line(text, "run began with", wanted->start, err);
	again.reason = reason ? reason : "";
	again.written_ms = clock_parse_utc(written ? written : "");
	if (again.written_ms > 0 && rule->expires_ms)
		again.expires_ms = again.written_ms + rule->expires_ms;
	if (rc == 0)
		approval_write(&out, &again);
	if (rc == 0 && (again.written_ms <= 0 || out.failed || strcmp(out.buf, text)))
		rc = error_set(err, E_REFUSED, "the signed text is not the one that resite approve %s %s "
			       "--print writes: print it and sign that file as it is", wanted->run,
			       wanted->step);
	/* The caller's written_ms is now. */
	if (rc == 0 && again.written_ms > wanted->written_ms + SKEW_MS)
		rc = error_set(err, E_REFUSED, "the signed text was written in the future (%s): look at "
			       "the clocks", written);
	if (rc == 0) {
		*ret_reason = reason;
		*ret_written_ms = again.written_ms;
		reason = NULL;
	}
	strbuf_release(&out);
	free(reason);
	free(written);
	return rc;
}
