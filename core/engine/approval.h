/* approval.h -- who may let a core.approve step pass, and what counts.  Pure.
 *
 * An actor is "alice", the user at the other end of the control socket, or
 * "signed:alice@contoso.example", the principal of a signature.  Both are the person
 * "alice": what stands before the "@" decides, so that nobody counts twice by two ways,
 * and two people need two different names.
 */
#ifndef CORE_ENGINE_APPROVAL_H
#define CORE_ENGINE_APPROVAL_H

#include "core/base/strbuf.h"
#include "core/engine/run_state.h"

#define APPROVAL_SIGNED "signed:"

/* What a core.approve step asks for. */
struct approval_rule {
	uint32_t needs;          /* different people */
	int64_t expires_ms;      /* an older approval does not count; 0: none is too old */
	const json_t *approvers; /* names; NULL or empty: anybody */
	const char *signers;     /* path of the allowed_signers, or NULL */
	json_t *params;          /* owns the rest */
};

void approval_rule_init(struct approval_rule *ret, const struct step *step);
void approval_rule_release(struct approval_rule *rule);
bool approval_is_gate(const struct step *step);

/* Whether an approval that was given at at_ms counts at now_ms. */
bool approval_counts(const struct approval_rule *rule, int64_t at_ms, int64_t now_ms);

/* Whether two actors are one person. */
bool approval_same_person(const char *a, const char *b);

/* E_REFUSED: by one who may not, too old, or by one who has approved before. */
int approval_judge(const struct run_state *state, const struct run_event *word, int64_t now_ms,
		   struct error *err);

/* What a person signs.  All borrowed. */
struct approval_text {
	const char *run, *step, *plan, *question, *reason;
	const char *start;  /* hash of the run's first event */
	int64_t written_ms; /* when the text was made: the age of the approval counts from here */
	int64_t expires_ms; /* 0: never */
};

/* Appends the text: nothing of it may differ in what was signed. */
void approval_write(struct strbuf *out, const struct approval_text *text);

/* Checks what was signed against what the run at hand would have written, which gives all
 * but reason and written_ms; those come from the text (*ret_reason is to be freed).
 * E_REFUSED: it is another text, and err says in what. */
int approval_read(const char *text, const struct approval_text *wanted,
		  const struct approval_rule *rule, char **ret_reason, int64_t *ret_written_ms,
		  struct error *err);

#endif
