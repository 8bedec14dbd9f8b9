/* contacts.import: putting the lists there. */
#include "plugins/contacts/import.h"

#include "plugins/contacts/import_look.h"

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

/* --- apply: where an earlier attempt stopped -------------------------------------- */

struct import {
	struct call call;
	struct source source;
	struct learnt *learnt;
	bool keeps;          /* lists for the look after it, */
	struct compare after; /* which are those that this asks for, */
	struct sample big;   /* and the largest */
	struct target target;
	enum existing existing;
	struct target there; /* asked first, unless lists are replaced */
	struct merged merged;
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
	size_t len = strlen(im->source.id);
	char *end;

	if (!name || strcmp(name, CHECKPOINT) || !data || strncmp(data, im->source.id, len) ||
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
	if (import_compare(&im->source, &cmp, NULL) < 0)
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

	buf_puts(&text, im->source.id);
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

/* A server may not hand out a list that is too large for it: the largest is always looked at. */
static void
note_size(struct import *im, const struct document *saved, size_t len)
{
	if (len <= im->largest_len)
		return;
	im->largest_len = len;
	im->largest = saved->index + 1;
	if (im->keeps) {
		sample_release(&im->big);
		sample_add(&im->big, saved);
	}
}

static int
put(struct import *im, const struct document *d, const char *etag, struct fault *f)
{
	im->sent++;
	return im->target.kind->put(&im->target, d, etag, f);
}

/* What is there decides what is written, and only while it is still there. */
static int
decide(void *arg, const struct reply *there, struct fault *f)
{
	struct import *im = arg;
	struct merged *m = &im->merged;
	const struct document saved = {there->index, there->user, there->sent, there->sent_len};
	struct document d = saved;
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
	note_size(im, &saved, d.len);
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
	if (im->keeps && compare_wants(&im->after, d->index))
		sample_add(&im->learnt->after, d);
	if (im->existing != EXISTING_REPLACE)
		return im->there.kind->get(&im->there, d, f);
	note_size(im, d, d->len);
	return put(im, d, NULL, f);
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

/* For the look after it lists are kept while they are sent, when it is known which: else the source is
 * read again then. */
static void
begin_keeping(struct import *im)
{
	struct learnt *l = im->learnt;

	sample_release(&l->before);
	l->drawn = false;
	im->after = import_look_after(&im->call, im->first, im->source.total, 0);
	im->keeps = l->read && im->first == 0 && call_i64(&im->call, "read_back") > 0;
}

static void
end_keeping(struct import *im)
{
	struct learnt *l = im->learnt;

	if (im->big.n && !compare_wants(&im->after, im->big.list[0].index))
		sample_add(&l->after, &im->big.list[0]);
	l->kept = im->keeps && !l->after.lost && !im->big.lost;
	l->applied = true;
	l->from = im->first;
	l->end = im->next;
	l->largest = im->largest;
}

static int
send_all(struct import *im)
{
	const struct source_pass pass = {.each = send_document, .arg = im};
	struct call *c = &im->call;
	int rc;

	im->next = im->first;
	begin_keeping(im);
	rc = open_targets(im);
	if (rc == RESITE_OK)
		rc = source_read(&im->source, &pass);
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

	if (learnt_compare(im->learnt, &im->source) < 0) {
		(void)write_checkpoint(im, 0); /* what is there is of neither */
		return c->f.rc;
	}
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

static int
apply(struct import *im)
{
	int rc = learnt_open(&im->learnt, &im->source, &im->call, false);

	if (rc < 0)
		return rc;
	learnt_forget_target(im->learnt);
	if (read_checkpoint(im) < 0 || trust_but_look(im) < 0 || send_all(im) < 0 || conclude(im) < 0)
		return im->call.f.rc;
	end_keeping(im);
	return RESITE_OK;
}

int
import_apply(struct resite_op *op, const struct resite_host *host)
{
	struct import im = {.call = {.op = op, .host = host}};
	int rc = apply(&im);

	rc = rc < 0 ? call_failed(&im.call, NULL) : tell_outputs(&im);
	source_release(&im.source);
	sample_release(&im.big);
	free(im.redo);
	return rc;
}
