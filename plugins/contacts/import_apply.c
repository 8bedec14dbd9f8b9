#include "plugins/contacts/import.h"

#include "plugins/contacts/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECKPOINT "imported"
#define CHECKPOINT_EVERY 1000
/* Rejected documents that a checkpoint names; with more of them it stays where it is. */
#define MAX_NAMED 500
/* So many refusals and not one success: it is the server, not the documents. */
#define HOPELESS 100
#define RESUME_SAMPLE 50

/* --- what apply leaves to the probe after it --------------------------------------- */

/* Lists that the server took in this attempt, each with an answer of 2xx.  What is remembered
 * ends with the attempt: another one does not know what happened at the server between the two,
 * and finds nothing. */
struct confirmed {
	char id[96];        /* of the source */
	uint64_t from, end; /* documents from <= index < end */
	uint64_t largest;   /* the largest of them, counted from 1: a server may not hand it out */
};

static void
forget_confirmed(struct resite_op *op, const struct resite_host *host)
{
	free(*host->memory(op));
	*host->memory(op) = NULL;
}

/* Without memory for it nothing is remembered, and more is read. */
static void
remember_confirmed(const struct call *c, const char *id, const struct confirmed *what)
{
	struct confirmed *mine = calloc(1, sizeof *mine);

	forget_confirmed(c->op, c->host);
	*c->host->memory(c->op) = mine;
	if (!mine)
		return;
	*mine = *what;
	snprintf(mine->id, sizeof mine->id, "%s", id);
}

/* NULL: nothing is known of this source from this attempt's own apply. */
static const struct confirmed *
recall_confirmed(const struct call *c, const char *id)
{
	const struct confirmed *mine = *c->host->memory(c->op);

	return mine && !strcmp(mine->id, id) ? mine : NULL;
}

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

static enum existing
existing_of(struct call *c)
{
	const char *word = call_str(c, "existing");

	return !strcmp(word, "merge") ? EXISTING_MERGE
				      : !strcmp(word, "keep") ? EXISTING_KEEP : EXISTING_REPLACE;
}

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
compare(struct source *s, struct compare *cmp)
{
	int rc;

	cmp->kind = target_of(s->call);
	cmp->existing = existing_of(s->call);
	cmp->made_ms = s->made_ms;
	rc = compare_begin(cmp, s->call);

	return rc == RESITE_OK ? compare_end(cmp, source_each(s, compare_each, cmp)) : rc;
}

/* What to read first: a sample.  Before an import nothing is there, and reading every user would
 * cost a third of the import.  After it, in the same attempt, the server has answered for each
 * list that this attempt sent: all others are read, and of those a sample. */
static struct compare
first_look(const struct source *s, const struct confirmed *mine)
{
	uint64_t whole = mine ? mine->from : 0;
	uint64_t want = (uint64_t)call_i64(s->call, mine ? "read_back" : "probe_sample");
	bool merge = !mine && existing_of(s->call) == EXISTING_MERGE;
	struct compare cmp;

	if (merge)
		want = 0; /* whom it brings back has to be said of each user */
	cmp = (struct compare){
		.use = merge ? TARGET_LOOK : TARGET_READ_BACK,
		.whole = whole,
		.end = s->total,
		.step = sample_step(s->total - whole, want),
		.also = mine ? mine->largest : 0,
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
static int
look(struct source *s, const struct confirmed *mine, struct compare *cmp)
{
	struct compare given;
	bool all_same;

	*cmp = first_look(s, mine);
	if (compare(s, cmp) < 0)
		return s->call->f.rc;
	all_same = cmp->same == cmp->looked;
	if (all_same == (mine != NULL) ||
	    (cmp->step == 1 && !(mine && cmp->kind->stored_apart)))
		return RESITE_OK;
	given = *cmp;
	*cmp = (struct compare){.use = TARGET_LOOK, .step = 1, .end = s->total, .tell = true};
	if (compare(s, cmp) < 0)
		return s->call->f.rc;
	return mine && cmp->same == cmp->looked ? stored_but_not_given(s->call, &given) : RESITE_OK;
}

static int
tell_state(const struct source *s, const struct confirmed *mine, const struct compare *cmp)
{
	struct call *c = s->call;
	uint64_t changes = cmp->step == 1 || mine ? cmp->looked - cmp->same : s->total;
	char now[600];

	if (mine && changes == 0)
		snprintf(now, sizeof now, "%" PRIu64 " of %" PRIu64
			 " lists confirmed by the server, %" PRIu64 " read back",
			 mine->end - mine->from, s->total, cmp->looked);
	else
		snprintf(now, sizeof now,
			 "%" PRIu64 " of %" PRIu64 " lists looked at are as in the source%s%s%s",
			 cmp->same, cmp->looked, cmp->first[0] ? "; " : "", cmp->first,
			 changes == cmp->looked - cmp->same
				 ? "" : "; a sample, so all count as changes");
	return c->host->state(c->op, now, s->id, changes, s->total);
}

/* The server answered for each list and has another one now: the world has changed, or it lies. */
static int
judge_confirmed(struct call *c, const struct confirmed *mine, const struct compare *cmp)
{
	if (!mine || cmp->same == cmp->looked)
		return RESITE_OK;
	fault_set(&c->f, RESITE_ERR_CONFLICT,
		  "the server confirmed %" PRIu64 " lists, but %" PRIu64 " of %" PRIu64
		  " are not as imported: %s", mine->end - mine->from, cmp->looked - cmp->same,
		  cmp->looked, cmp->first);
	return call_failed(c, NULL);
}

int
import_probe(struct resite_op *op, const struct resite_host *host)
{
	struct call c = {.op = op, .host = host};
	const struct confirmed *mine = NULL;
	struct source s;
	struct compare cmp;
	int rc = source_open(&s, &c);

	if (rc == RESITE_OK) {
		mine = recall_confirmed(&c, s.id);
		rc = source_count(&s);
	}
	if (mine && mine->end != s.total)
		mine = NULL; /* users_file names others by now */
	if (rc == RESITE_OK)
		rc = look(&s, mine, &cmp);
	if (rc == RESITE_OK) {
		tell_loss(&s, &cmp);
		rc = tell_state(&s, mine, &cmp);
		if (rc == RESITE_OK)
			rc = judge_confirmed(&c, mine, &cmp);
	} else {
		call_failed(&c, NULL);
	}
	source_release(&s);
	return rc;
}

/* --- apply: where an earlier attempt stopped -------------------------------------- */

struct import {
	struct call call;
	struct source source;
	struct target target;
	enum existing existing;
	struct target there; /* asked first, unless lists are replaced */
	struct merged merged;
	char id[96];         /* the source's, as checkpoints name it */
	uint64_t first;      /* documents before this are done, but for redo */
	uint64_t *redo;      /* sorted: rejected by an earlier attempt */
	size_t n_redo;
	uint64_t next;       /* all before it are answered */
	uint64_t sent, taken, rejected, rejected_5xx, rejected_412;
	uint64_t answered, left; /* of those sent; lists that were left as they are */
	uint64_t seen;       /* documents that the source handed out */
	uint64_t largest;    /* of those sent, counted from 1 */
	size_t largest_len;
	uint64_t named[MAX_NAMED]; /* indexes of the rejected */
	char words[600];     /* the first rejected, with the server's words */
};

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* "ID NEXT REJECTED..." of the same source; anything else means from the start. */
static int
read_checkpoint(struct import *im)
{
	struct call *c = &im->call;
	const char *data = NULL, *name = c->host->last_checkpoint(c->op, &data);
	size_t len = strlen(im->id);
	char *end;

	if (!name || strcmp(name, CHECKPOINT) || !data || strncmp(data, im->id, len) ||
	    data[len] != ' ')
		return RESITE_OK;
	im->first = strtoull(data + len, &end, 10);
	im->redo = calloc(MAX_NAMED, sizeof *im->redo);
	if (!im->redo)
		return fault_memory(&c->f);
	while (*end == ' ' && im->n_redo < MAX_NAMED)
		im->redo[im->n_redo++] = strtoull(end, &end, 10);
	return RESITE_OK;
}

static void
from_the_start(struct import *im)
{
	im->first = 0;
	im->n_redo = 0;
}

/* The checkpoint says what we did, not what the server still has: look at some of it. */
static int
trust_but_look(struct import *im)
{
	struct call *c = &im->call;
	struct compare cmp = {.use = TARGET_READ_BACK, .end = im->first,
			      .step = sample_step(im->first, RESUME_SAMPLE)};

	if (im->first == 0)
		return RESITE_OK;
	if (compare(&im->source, &cmp) < 0)
		return c->f.rc;
	if (cmp.looked - cmp.same > im->n_redo) {
		call_log(c, RESITE_LOG_WARN,
			 "an earlier attempt imported %" PRIu64 " lists, but %s: beginning again",
			 im->first, cmp.first);
		from_the_start(im);
	} else {
		call_log(c, RESITE_LOG_INFO,
			 "an earlier attempt imported %" PRIu64 " lists: going on from there",
			 im->first - im->n_redo);
	}
	return RESITE_OK;
}

static int
write_checkpoint(struct import *im, uint64_t next)
{
	struct call *c = &im->call;
	struct buf text = {0};
	char number[32];
	int rc;

	buf_puts(&text, im->id);
	snprintf(number, sizeof number, " %" PRIu64, next);
	buf_puts(&text, number);
	for (uint64_t i = 0; i < im->rejected && i < MAX_NAMED; i++) {
		snprintf(number, sizeof number, " %" PRIu64, im->named[i]);
		buf_puts(&text, number);
	}
	buf_add(&text, "", 1);
	rc = text.failed ? RESITE_ERR_TRANSIENT : c->host->checkpoint(c->op, CHECKPOINT, text.p);
	buf_release(&text);
	return rc;
}

/* --- apply: the import ------------------------------------------------------------ */

static int
reject(struct import *im, const struct reply *reply, struct fault *f)
{
	size_t len = strlen(im->words);

	if (im->rejected < 5)
		snprintf(im->words + len, sizeof im->words - len, "%s%s: %s", len ? "; " : "",
			 reply->user, reply->words);
	if (im->rejected < MAX_NAMED)
		im->named[im->rejected] = reply->index;
	im->rejected++;
	im->rejected_5xx += reply->status >= 500;
	im->rejected_412 += reply->status == 412;
	call_log(&im->call, RESITE_LOG_WARN, "%s: the server did not take the list: %s",
		 reply->user, reply->words);
	if (im->taken + im->left == 0 && im->rejected >= HOPELESS)
		return fault_set(f, RESITE_ERR_REFUSED,
				 "%s took none of the first %" PRIu64 " lists: %s",
				 call_str(&im->call, "server"), im->rejected, im->words);
	return RESITE_OK;
}

/* All lists up to that one are done. */
static int
done_until(struct import *im, uint64_t index, struct fault *f)
{
	struct call *c = &im->call;

	if (index >= im->first)
		im->next = index + 1;
	c->host->progress(c->op, im->next, im->source.total, "importing lists");
	if (im->next % CHECKPOINT_EVERY == 0 && im->next > im->first &&
	    im->rejected <= MAX_NAMED && write_checkpoint(im, im->next) < 0)
		return fault_set(f, RESITE_ERR_TRANSIENT, "the checkpoint could not be written");
	return RESITE_OK;
}

static int
answered(void *arg, const struct reply *reply, struct fault *f)
{
	struct import *im = arg;

	im->answered++;
	if (reply->status >= 200 && reply->status < 300)
		im->taken++;
	else if (reject(im, reply, f) < 0)
		return f->rc;
	return done_until(im, reply->index, f);
}

static int
put(struct import *im, const struct document *d, const char *etag, struct fault *f)
{
	im->sent++;
	if (d->len > im->largest_len) {
		im->largest_len = d->len;
		im->largest = d->index + 1;
	}
	return im->target.kind->put(&im->target, d, etag, f);
}

/* What is there decides what is written, and only while it is still there. */
static int
decide(void *arg, const struct reply *there, struct fault *f)
{
	struct import *im = arg;
	struct merged *m = &im->merged;
	struct document d = {there->index, there->user, there->sent, there->sent_len};
	struct reply refused = *there;
	struct fault why;

	if (there->status != 200 && there->status != 404)
		return fault_set(f, there->status >= 500 ? RESITE_ERR_TRANSIENT : RESITE_ERR_REFUSED,
				 "%s GET: %s: %s", call_str(&im->call, "server"), there->user,
				 there->words);
	if (merge_decide(m, im->existing, there->body, there->len, d.body, d.len, &why) < 0) {
		refused.status = 409;
		refused.words = why.text;
		im->sent++;
		im->answered++;
		return reject(im, &refused, f);
	}
	if (m->leave) {
		im->left++;
		return im->answered == im->sent ? done_until(im, d.index, f) : RESITE_OK;
	}
	if (m->text.len) {
		d.body = m->text.p;
		d.len = m->text.len;
	}
	return put(im, &d, there->status == 404 ? "" : *there->etag ? there->etag : NULL, f);
}

static int
send_document(void *arg, const struct document *d, struct fault *f)
{
	struct import *im = arg;

	im->seen = d->index + 1;
	if (d->index < im->first && !(im->n_redo && bsearch(&d->index, im->redo, im->n_redo,
							    sizeof *im->redo, by_number)))
		return RESITE_OK;
	return im->existing == EXISTING_REPLACE ? put(im, d, NULL, f)
						: im->there.kind->get(&im->there, d, f);
}

/* Made here, or looked at when it was exported: else a list may be no XML. */
static bool
may_be_malformed(const struct source *s)
{
	return s->set && vault_set_count(s->set, "malformed") > 0;
}

/* Both ends: where lists are put and, unless they are replaced, asked for before. */
static int
open_targets(struct import *im)
{
	struct call *c = &im->call;
	int rc = target_open(&im->target, target_of(c), c, TARGET_PUT, answered, im);

	im->target.doubtful = may_be_malformed(&im->source);
	im->existing = existing_of(c);
	if (rc == RESITE_OK && im->existing != EXISTING_REPLACE)
		rc = target_open(&im->there, target_of(c), c, TARGET_LOOK, decide, im);
	return rc;
}

static int
send_all(struct import *im)
{
	struct call *c = &im->call;
	int rc;

	im->next = im->first;
	rc = open_targets(im);
	if (rc == RESITE_OK)
		rc = source_each(&im->source, send_document, im);
	if (im->there.kind)
		rc = target_close(&im->there, rc);
	rc = target_close(&im->target, rc);
	merge_release(&im->merged);
	if (rc == RESITE_OK)
		im->next = im->seen > im->first ? im->seen : im->first;
	/* What was answered before the failure need not be done again. */
	if (rc < 0 && im->next > im->first && im->rejected <= MAX_NAMED &&
	    write_checkpoint(im, im->next) < 0)
		call_log(c, RESITE_LOG_WARN, "the checkpoint could not be written");
	return rc;
}

static int
rejected_rc(const struct import *im)
{
	if (im->rejected == im->rejected_412)
		return RESITE_ERR_CONFLICT;
	return im->rejected == im->rejected_5xx ? RESITE_ERR_TRANSIENT : RESITE_ERR_REFUSED;
}

/* After a whole import the next one begins at the start; else it does what is left. */
static int
conclude(struct import *im)
{
	struct call *c = &im->call;

	if (write_checkpoint(im, im->rejected == 0 || im->rejected > MAX_NAMED ? 0 : im->next) < 0)
		return fault_set(&c->f, RESITE_ERR_TRANSIENT,
				 "the checkpoint could not be written");
	if (im->rejected == 0)
		return RESITE_OK;
	return fault_set(&c->f, rejected_rc(im), "%" PRIu64 " of %" PRIu64 " lists were not taken, %" PRIu64
			 " were imported: %s%s", im->rejected, im->sent, im->taken, im->words,
			 im->rejected > 5 ? "; more in the log" : "");
}

static int
tell_outputs(struct import *im)
{
	struct call *c = &im->call;
	char text[32], name[200];
	int rc;

	snprintf(text, sizeof text, "%" PRIu64, im->next);
	source_name(&im->source, name);
	rc = c->host->output(c->op, "documents", text);
	return rc == RESITE_OK ? c->host->output(c->op, "source", name) : rc;
}

int
import_apply(struct resite_op *op, const struct resite_host *host)
{
	struct import im = {.call = {.op = op, .host = host}};
	int rc = source_open(&im.source, &im.call);

	forget_confirmed(op, host);
	memcpy(im.id, im.source.id, sizeof im.id);
	if (rc == RESITE_OK)
		rc = read_checkpoint(&im);
	if (rc == RESITE_OK)
		rc = trust_but_look(&im);
	if (rc == RESITE_OK)
		rc = send_all(&im);
	if (rc == RESITE_OK)
		rc = conclude(&im);
	if (rc == RESITE_OK)
		remember_confirmed(&im.call, im.id,
				   &(struct confirmed){.from = im.first, .end = im.next,
						       .largest = im.largest});
	rc = rc < 0 ? call_failed(&im.call, NULL) : tell_outputs(&im);
	source_release(&im.source);
	free(im.redo);
	return rc;
}
