#include "plugins/contacts/import_look.h"

#include <inttypes.h>
#include <string.h>

enum existing
existing_of(struct call *c)
{
	const char *word = call_str(c, "existing");

	return !strcmp(word, "merge") ? EXISTING_MERGE
				      : !strcmp(word, "keep") ? EXISTING_KEEP : EXISTING_REPLACE;
}

static bool
asks_for(const void *arg, uint64_t index)
{
	return compare_wants(arg, index);
}

int
import_compare(struct source *s, struct compare *cmp, const struct sample *kept)
{
	const struct source_pass pass = {.each = compare_ask, .wants = asks_for, .arg = cmp};
	struct call *c = s->call;
	int rc;

	cmp->kind = target_of(c);
	cmp->existing = existing_of(c);
	cmp->made_ms = s->made_ms;
	if (compare_begin(cmp, c) < 0)
		return c->f.rc;
	rc = kept ? sample_each(kept, compare_ask, cmp, &c->f) : source_read(s, &pass);
	return compare_end(cmp, rc);
}

/* Whom a merge brings back has to be said of each user. */
uint64_t
import_look_before(struct call *c)
{
	return existing_of(c) == EXISTING_MERGE ? 0 : (uint64_t)call_i64(c, "probe_sample");
}

/* Nothing is there, and reading every user would cost a third of the import: a sample. */
static struct compare
look_before(const struct source *s, const struct learnt *l, const struct sample **ret_kept)
{
	uint64_t want = import_look_before(s->call);
	struct compare cmp = {
		.use = want ? TARGET_READ_BACK : TARGET_LOOK,
		.end = s->total,
		.step = sample_step(s->total, want),
	};

	*ret_kept = want && l->drawn && !l->before.lost ? &l->before : NULL;
	if (*ret_kept)
		cmp.step = l->before.n == s->total ? 1 : s->total / l->before.n;
	if (*ret_kept && cmp.step == 1 && l->before.n < s->total)
		cmp.step = 2; /* a sample all the same */
	cmp.tell = cmp.step == 1;
	return cmp;
}

/* The server has answered for each list that this attempt sent: all others are read, and of those a
 * sample. */
struct compare
import_look_after(struct call *c, uint64_t from, uint64_t total, uint64_t largest)
{
	uint64_t want = (uint64_t)call_i64(c, "read_back");
	struct compare cmp = {
		.use = TARGET_READ_BACK,
		.whole = from,
		.end = total,
		.step = sample_step(total - from, want),
		.also = largest,
	};

	cmp.tell = cmp.step == 1;
	return cmp;
}

/* What is stored is as it should be, and what is given out is not. */
static int
stored_but_not_given(struct call *c, const struct compare *given)
{
	return fault_set(&c->f, RESITE_ERR_REFUSED,
			 "%s does not hand out what is stored: %" PRIu64 " of %" PRIu64
			 " lists differ, %s; does it cache, read another table, or take only shorter "
			 "lists?", call_str(c, "server"), given->looked - given->same, given->looked,
			 given->first);
}

/* A sample is enough to say that nothing was imported yet, or that what the server confirmed is
 * there.  If it says anything else, all lists are read, so that the counts are true. */
int
import_look(struct source *s, const struct learnt *l, struct compare *cmp)
{
	const struct sample *kept = l->kept ? &l->after : NULL;
	struct compare given;

	*cmp = l->applied ? import_look_after(s->call, l->from, s->total, l->largest)
			  : look_before(s, l, &kept);
	if (import_compare(s, cmp, kept) < 0)
		return s->call->f.rc;
	if ((cmp->same == cmp->looked) == l->applied ||
	    (cmp->step == 1 && !(l->applied && cmp->kind->stored_apart)))
		return RESITE_OK;
	given = *cmp;
	*cmp = (struct compare){.use = TARGET_LOOK, .step = 1, .end = s->total, .tell = true};
	if (import_compare(s, cmp, NULL) < 0)
		return s->call->f.rc;
	return l->applied && cmp->same == cmp->looked ? stored_but_not_given(s->call, &given)
						      : RESITE_OK;
}
