/* contacts.import: what it asks for and what it says before; the import is in import_apply.c. */
#include "plugins/contacts/import.h"

#include "plugins/contacts/import_look.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- check --------------------------------------------------------------------- */

/* Which of the parameters says where the lists come from; NULL: none does, or a file and a set. */
static const char *
source_param(struct resite_op *op, const struct resite_host *host, const char **ret_wrong)
{
	static const char *const files[] = {"source", "dbimpexp"};
	static const char *const of_vault[] = {"vault", "set", "from_site"};
	const char *file = NULL;

	*ret_wrong = NULL;
	for (size_t i = 0; i < 2; i++)
		if (host->param_count(op, files[i]) > 0) {
			*ret_wrong = file ? files[i] : NULL;
			file = files[i];
		}
	for (size_t i = 0; file && !*ret_wrong && i < sizeof of_vault / sizeof *of_vault; i++)
		if (host->param_count(op, of_vault[i]) > 0)
			*ret_wrong = of_vault[i];
	return file ? file : host->param_count(op, "vault") ? "vault" : NULL;
}

static int
check_target(struct resite_op *op, const struct resite_host *host)
{
	struct call c = {.op = op, .host = host};
	const struct target_kind *kind = target_of(&c);
	const char *param = NULL;

	return kind->check && kind->check(&c, &param) < 0 ? call_failed(&c, param) : RESITE_OK;
}

int
import_check(struct resite_op *op, const struct resite_host *host)
{
	const char *wrong, *from = source_param(op, host, &wrong);

	if (!from)
		return resite_fail(op, host, RESITE_ERR_INVALID, "vault",
				   "either 'vault' or 'source' says what to import");
	if (wrong)
		return resite_fail(op, host, RESITE_ERR_INVALID, wrong,
				   "'%s' and '%s' both say what to import, and only one can", wrong,
				   from);
	return check_target(op, host);
}

/* --- probe --------------------------------------------------------------------- */

/* Which deleted contacts would come back: those that the target alone has, and those that it has
 * not, when somebody deleted them there. */
static void
tell_merge(struct call *c, const struct compare *cmp)
{
	char text[400];

	if (cmp->adding) {
		snprintf(text, sizeof text, "merging adds %" PRIu64 " contacts to %" PRIu64
			 " lists at the target; those that were deleted there since the lists were saved "
			 "come back (certainly newer there: %" PRIu64 " of the lists, %" PRIu64
			 " of the contacts)", cmp->added, cmp->adding, cmp->newer, cmp->back);
		c->host->loss(c->op, text);
	}
	if (cmp->keeping) {
		snprintf(text, sizeof text, "%" PRIu64 " contacts in %" PRIu64 " lists are at the target "
			 "alone and stay; those that were deleted where the lists were saved come back",
			 cmp->kept, cmp->keeping);
		c->host->loss(c->op, text);
	}
}

static void
tell_missing(const struct source *s)
{
	char text[600], name[200];

	if (s->missing == 0)
		return;
	source_name(s, name);
	snprintf(text, sizeof text, "%" PRIu64 " of %zu named users have no list in %s: %s%s",
		 s->missing, s->only.n, name, s->missing_names, s->missing > 5 ? ", ..." : "");
	s->call->host->loss(s->call->op, text);
}

static void
tell_loss(const struct source *s, const struct compare *cmp)
{
	struct call *c = s->call;
	char age[AGE_MAX], name[200], text[400];
	uint64_t other = cmp->existing == EXISTING_KEEP ? cmp->same
							: cmp->looked - cmp->same - cmp->absent;

	age_text(age, wall_ms() - s->made_ms);
	source_name(s, name);
	snprintf(text, sizeof text,
		 "contact lists of %" PRIu64 " users come from %s, %s: later changes are lost",
		 s->total, name, age);
	c->host->loss(c->op, text);
	tell_missing(s);
	tell_merge(c, cmp);
	if (other == 0 || cmp->existing == EXISTING_MERGE)
		return;
	snprintf(text, sizeof text,
		 "of %" PRIu64 " users looked at, %" PRIu64 " have %s", cmp->looked, other,
		 cmp->existing == EXISTING_KEEP
			 ? "a list at the target, which stays: the saved one is not used"
			 : "another list at the target, which will be overwritten");
	c->host->loss(c->op, text);
}

static int
tell_state(const struct source *s, const struct learnt *l, const struct compare *cmp)
{
	struct call *c = s->call;
	uint64_t changes = cmp->step == 1 || l->applied ? cmp->looked - cmp->same : s->total;
	char now[600];

	if (l->applied && changes == 0)
		snprintf(now, sizeof now, "%" PRIu64 " of %" PRIu64
			 " lists confirmed by the server, %" PRIu64 " read back",
			 l->end - l->from, s->total, cmp->looked);
	else
		snprintf(now, sizeof now,
			 "%" PRIu64 " of %" PRIu64 " lists looked at are as in the source%s%s%s",
			 cmp->same, cmp->looked, cmp->first[0] ? "; " : "", cmp->first,
			 changes == cmp->looked - cmp->same
				 ? "" : "; a sample, so all count as changes");
	return c->host->state(c->op, now, s->digest, changes, s->total);
}

/* The server answered for each list and has another one now: the world has changed, or it lies. */
static int
judge_confirmed(struct call *c, const struct learnt *l, const struct compare *cmp)
{
	if (!l->applied || cmp->same == cmp->looked)
		return RESITE_OK;
	fault_set(&c->f, RESITE_ERR_CONFLICT,
		  "the server confirmed %" PRIu64 " lists, but %" PRIu64 " of %" PRIu64
		  " are not as imported: %s", l->end - l->from, cmp->looked - cmp->same,
		  cmp->looked, cmp->first);
	return call_failed(c, NULL);
}

/* What the target has is known only of these very lists. */
static int
read_source(struct learnt *l, struct source *s)
{
	uint64_t want = import_look_before(s->call);
	int rc = learnt_read(l, s, l->applied ? 0 : want);

	if (rc == RESITE_OK && l->applied && l->end != s->total)
		learnt_forget_target(l);
	return rc;
}

int
import_probe(struct resite_op *op, const struct resite_host *host)
{
	struct call c = {.op = op, .host = host};
	struct learnt *l;
	struct source s;
	struct compare cmp;
	int rc = learnt_open(&l, &s, &c, true);

	if (rc == RESITE_OK)
		rc = read_source(l, &s);
	if (rc == RESITE_OK)
		rc = import_look(&s, l, &cmp);
	if (rc == RESITE_OK) {
		tell_loss(&s, &cmp);
		rc = tell_state(&s, l, &cmp);
		if (rc == RESITE_OK)
			rc = judge_confirmed(&c, l, &cmp);
	} else {
		call_failed(&c, NULL);
	}
	source_release(&s);
	return rc;
}
