#include "plugins/contacts/learnt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
is_same(const struct source_stamp *a, const struct source_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns &&
	       !memcmp(a->users, b->users, sizeof a->users);
}

void
learnt_forget_target(struct learnt *l)
{
	l->applied = l->kept = false;
	sample_release(&l->after);
}

/* Also of the source. */
static void
forget(struct learnt *l)
{
	learnt_forget_target(l);
	sample_release(&l->before);
	vault_close(l->set);
	*l = (struct learnt){0};
}

/* The attempt's own, made when it is first asked for. */
static struct learnt *
recall(struct call *c)
{
	void **slot = c->host->memory(c->op);

	if (!*slot)
		*slot = calloc(1, sizeof(struct learnt));
	if (!*slot)
		fault_memory(&c->f);
	return *slot;
}

static int
open_again(struct learnt *l, struct source *s, struct call *c, bool may_differ)
{
	bool known = l->read || l->set;
	char name[200];

	if (source_open(s, c, l->set) < 0)
		return c->f.rc;
	if (!known || is_same(&l->stamp, &s->stamp))
		return RESITE_OK;
	source_name(s, name);
	if (!may_differ)
		return fault_set(&c->f, RESITE_ERR_CONFLICT, "%s, or the list of users, was altered "
				 "since this attempt looked at it", name);
	call_log(c, RESITE_LOG_WARN, "%s, or the list of users, was altered in this attempt: "
		 "reading it again", name);
	l->set = s->borrowed ? NULL : l->set; /* it is the same one, and proven */
	forget(l);
	return RESITE_OK;
}

static void
hand_out(const struct learnt *l, struct source *s)
{
	s->total = l->total;
	s->missing = l->missing;
	snprintf(s->digest, sizeof s->digest, "%s", l->digest);
	snprintf(s->missing_names, sizeof s->missing_names, "%s", l->missing_names);
}

int
learnt_open(struct learnt **ret, struct source *s, struct call *c, bool may_differ)
{
	struct learnt *l = recall(c);

	*s = (struct source){.call = c};
	if (!l)
		return c->f.rc;
	if (open_again(l, s, c, may_differ) < 0) {
		if (s->borrowed)
			s->set = NULL;
		forget(l);
		return c->f.rc;
	}
	l->stamp = s->stamp;
	l->set = s->set;
	s->borrowed = true;
	s->names = l->names;
	if (l->read)
		hand_out(l, s);
	*ret = l;
	return RESITE_OK;
}

static void
note(struct learnt *l, const struct source *s)
{
	l->read = true;
	l->names = s->names;
	l->total = s->total;
	l->missing = s->missing;
	snprintf(l->digest, sizeof l->digest, "%s", s->digest);
	snprintf(l->missing_names, sizeof l->missing_names, "%s", s->missing_names);
}

static bool
draws(const void *arg, uint64_t index)
{
	return sample_draws(arg, index);
}

static int
draw(void *arg, const struct document *d, struct fault *f)
{
	(void)f;
	sample_draw(arg, d);
	return RESITE_OK;
}

/* Does the stamp say all?  A set is proven, and a stream of it proves itself. */
static bool
is_sure(const struct source *s)
{
	return s->set || source_is_one_file(s);
}

int
learnt_read(struct learnt *l, struct source *s, uint64_t want)
{
	struct source_pass pass = {.first = !l->read};

	if (l->read && is_sure(s) && (want == 0 || l->drawn))
		return RESITE_OK;
	if (want) {
		sample_begin(&l->before, want);
		pass.each = draw;
		pass.wants = draws;
		pass.arg = &l->before;
	}
	if (source_read(s, &pass) < 0) {
		forget(l);
		s->set = NULL;
		return s->call->f.rc;
	}
	if (l->read && (strcmp(l->digest, s->digest) || l->total != s->total))
		learnt_forget_target(l);
	l->drawn = want > 0;
	note(l, s);
	return RESITE_OK;
}

int
learnt_compare(struct learnt *l, struct source *s)
{
	bool same = !l->read || (!strcmp(l->digest, s->digest) && l->total == s->total);
	char name[200];

	note(l, s);
	if (same)
		return RESITE_OK;
	l->drawn = false;
	source_name(s, name);
	return fault_set(&s->call->f, RESITE_ERR_CONFLICT, "%s was altered since this attempt looked at "
			 "it: it has %" PRIu64 " lists now, and what was read of it is "
			 "not what was looked at", name, s->total);
}
