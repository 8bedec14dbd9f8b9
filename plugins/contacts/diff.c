#include "plugins/contacts/diff.h"

#include "plugins/contacts/canon.h"
#include "plugins/contacts/sorted.h"
#include "plugins/contacts/source.h"

#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

static const struct source_params first_params = {"source", "format", "vault", "name", "set"};
static const struct source_params other_params = {"other", "other_format", "other_vault",
						  "other_name", "other_set"};

/* What is counted; each is an output, too. */
enum count {
	N_USERS, N_OTHER_USERS, N_SAME, N_ONLY, N_ONLY_OTHER, N_CHANGED,
	N_ADDED, N_REMOVED, N_RENAMED, N_MOVED, N_WATCHED, N_GROUPS_ADDED, N_GROUPS_REMOVED,
	N_GROUPS_CHANGED, N_COUNTS
};

static const char *const names[N_COUNTS] = {
	[N_USERS] = "users",
	[N_OTHER_USERS] = "other_users",
	[N_SAME] = "users_same",
	[N_ONLY] = "users_only",
	[N_ONLY_OTHER] = "users_only_other",
	[N_CHANGED] = "users_changed",
	[N_ADDED] = "contacts_added",
	[N_REMOVED] = "contacts_removed",
	[N_RENAMED] = "contacts_renamed",
	[N_MOVED] = "contacts_moved",
	[N_WATCHED] = "contacts_watched",
	[N_GROUPS_ADDED] = "groups_added",
	[N_GROUPS_REMOVED] = "groups_removed",
	[N_GROUPS_CHANGED] = "groups_changed",
};

struct diff {
	struct call call;
	struct source source[2];
	struct sorted users[2];  /* everybody: digests alone */
	struct sorted texts[2];  /* those who differ: canonical texts */
	struct canon canon;
	struct buf key, text;
	struct buf was, will_be;
	uint64_t count[N_COUNTS];
	uint64_t lines, max_lines;
	int now;                 /* the source that is read */
};

int
diff_check(struct resite_op *op, const struct resite_host *host)
{
	if (host->param_count(op, "source") && host->param_count(op, "set"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "set",
				   "'set' belongs to a vault; 'source' is a file or a folder");
	if (host->param_count(op, "other") && host->param_count(op, "other_set"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "other_set",
				   "'other_set' belongs to a vault; 'other' is a file or a folder");
	if (!host->param_count(op, "source") && !host->param_count(op, "vault"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "source",
				   "'source' or 'vault' says what is compared");
	if (!host->param_count(op, "other") && !host->param_count(op, "other_vault"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "other",
				   "'other' or 'other_vault' says what it is compared with");
	return RESITE_OK;
}

/* --- reading: digests, then the texts of those who differ ------------------------------ */

static int
take_digest(void *arg, const struct model_user *u, struct fault *f)
{
	struct diff *d = arg;
	struct sorted_user *user;
	struct sha256_ctx hash;

	if (canon_user(&d->canon, &d->text, u, f) < 0)
		return f->rc;
	canon_key(&d->key, u);
	if (d->key.failed)
		return fault_memory(f);
	if (sorted_add(&d->users[d->now], d->key.p, NULL, 0, NULL, 0, &user, f) < 0)
		return f->rc;
	sha256_init(&hash);
	sha256_update(&hash, d->text.len, (const uint8_t *)d->text.p);
	sha256_digest(&hash, SORTED_DIGEST, user->digest);
	user->contacts = u->n_contacts;
	return RESITE_OK;
}

static int
take_text(void *arg, const struct model_user *u, struct fault *f)
{
	struct diff *d = arg;
	const struct sorted_user *user;

	canon_key(&d->key, u);
	if (d->key.failed)
		return fault_memory(f);
	user = sorted_find(&d->users[d->now], d->key.p);
	if (!user)
		return fault_set(f, RESITE_ERR_CONFLICT, "user '%s' was not there a moment ago: the "
				 "source is being changed", d->key.p);
	if (!user->marked)
		return RESITE_OK;
	if (canon_user(&d->canon, &d->text, u, f) < 0)
		return f->rc;
	return sorted_add(&d->texts[d->now], d->key.p, d->text.p, d->text.len, NULL, 0, NULL, f);
}

static int
read_both(struct diff *d, struct sorted into[2], bool texts,
	  int (*take)(void *, const struct model_user *, struct fault *))
{
	struct read_stats stats;

	for (d->now = 0; d->now < 2; d->now++)
		if (sorted_init(&into[d->now], texts, &d->call.f) < 0 ||
		    source_users(&d->source[d->now], false, take, d, &stats) < 0 ||
		    sorted_finish(&into[d->now], &d->call.f) < 0)
			return d->call.f.rc;
	return RESITE_OK;
}

/* --- telling ---------------------------------------------------------------------------- */

static void
tell(struct diff *d, const char *object, const char *was, const char *will_be)
{
	if (d->lines++ < d->max_lines)
		d->call.host->change(d->call.op, object, was, will_be);
}

static void
tell_only(struct diff *d, const struct sorted *s, const struct sorted_user *u, bool other)
{
	char text[64];

	snprintf(text, sizeof text, "a list of %" PRIu32 " contacts", u->contacts);
	d->count[other ? N_ONLY_OTHER : N_ONLY]++;
	tell(d, sorted_key(s, u), other ? "no list" : text, other ? text : "no list");
}

/* 'Bob B' in Sales Team, VIP */
static void
describe(struct buf *out, const struct canon_item *l)
{
	buf_clear(out);
	if (!canon_is_contact(l)) {
		buf_puts(out, l->field[0].len ? "a distribution group" : "a group");
	} else {
		buf_puts(out, "'");
		buf_add(out, l->field[0].s, l->field[0].len);
		buf_puts(out, "' in ");
		for (size_t i = 0; i < l->rest.len; i++)
			if (l->rest.s[i] == '\t')
				buf_puts(out, ", ");
			else
				buf_add(out, l->rest.s + i, 1);
		if (l->field[1].len)
			buf_puts(out, ", presence not watched");
	}
	buf_add(out, "", 1);
}

static void
tell_line(struct diff *d, const char *user, const struct canon_item *was, const struct canon_item *will_be)
{
	const struct canon_item *any = was ? was : will_be;
	char object[1400];

	snprintf(object, sizeof object, "%s: %s%.*s", user, canon_is_contact(any) ? "" : "group ",
		 any->key.len > 303 ? 300 : (int)any->key.len - 3, any->key.s + 2);
	if (was)
		describe(&d->was, was);
	if (will_be)
		describe(&d->will_be, will_be);
	tell(d, object, was ? d->was.p : "not there", will_be ? d->will_be.p : "not there");
}

static void
count_change(struct diff *d, const struct canon_item *a, const struct canon_item *b)
{
	if (!canon_is_contact(a)) {
		d->count[N_GROUPS_CHANGED]++;
		return;
	}
	d->count[N_RENAMED] += canon_order(a->field[0], b->field[0]) != 0;
	d->count[N_WATCHED] += canon_order(a->field[1], b->field[1]) != 0;
	d->count[N_MOVED] += canon_order(a->rest, b->rest) != 0;
}

/* Two sorted texts: lines of one key are the same thing. */
static void
tell_texts(struct diff *d, const char *user, struct slice a, struct slice b)
{
	struct canon_item la, lb;
	bool have_a = canon_next(&a, &la), have_b = canon_next(&b, &lb);

	while (have_a || have_b) {
		int o = !have_a ? 1 : !have_b ? -1 : canon_order(la.key, lb.key);

		if (o < 0) {
			d->count[canon_is_contact(&la) ? N_REMOVED : N_GROUPS_REMOVED]++;
			tell_line(d, user, &la, NULL);
		} else if (o > 0) {
			d->count[canon_is_contact(&lb) ? N_ADDED : N_GROUPS_ADDED]++;
			tell_line(d, user, NULL, &lb);
		} else if (canon_order(la.all, lb.all)) {
			count_change(d, &la, &lb);
			tell_line(d, user, &la, &lb);
		}
		if (o <= 0)
			have_a = canon_next(&a, &la);
		if (o >= 0)
			have_b = canon_next(&b, &lb);
	}
}

/* --- comparing ------------------------------------------------------------------------- */

/* Users in order on both sides: who is missing is told, who differs is marked. */
static void
mark(struct diff *d)
{
	struct sorted *a = &d->users[0], *b = &d->users[1];
	size_t i = 0, k = 0;

	while (i < a->n || k < b->n) {
		int o = i == a->n ? 1 : k == b->n ? -1
			: strcmp(sorted_key(a, &a->users[i]), sorted_key(b, &b->users[k]));

		if (o < 0)
			tell_only(d, a, &a->users[i], false);
		else if (o > 0)
			tell_only(d, b, &b->users[k], true);
		else if (memcmp(a->users[i].digest, b->users[k].digest, SORTED_DIGEST))
			d->count[N_CHANGED] += a->users[i].marked = b->users[k].marked = true;
		else
			d->count[N_SAME]++;
		i += o <= 0;
		k += o >= 0;
	}
	d->count[N_USERS] = a->n;
	d->count[N_OTHER_USERS] = b->n;
}

static int
tell_changed(struct diff *d)
{
	struct sorted *a = &d->texts[0], *b = &d->texts[1];
	struct fault *f = &d->call.f;

	if (d->count[N_CHANGED] == 0)
		return RESITE_OK;
	if (read_both(d, d->texts, true, take_text) < 0)
		return f->rc;
	for (size_t i = 0; i < a->n; i++) {
		const char *key = sorted_key(a, &a->users[i]);
		const struct sorted_user *other = sorted_find(b, key);

		if (!other || sorted_texts(a, &a->users[i], &d->text, f) < 0 ||
		    sorted_texts(b, other, &d->key, f) < 0)
			return other ? f->rc : fault_set(f, RESITE_ERR_CONFLICT,
							 "'%s': the source is being changed", key);
		tell_texts(d, key, (struct slice){d->text.p, d->text.len},
			   (struct slice){d->key.p, d->key.len});
		if (d->was.failed || d->will_be.failed)
			return fault_memory(f);
	}
	return RESITE_OK;
}

static int
tell_outputs(struct diff *d)
{
	struct call *c = &d->call;
	char text[32], now[600], first[200], other[200], fingerprint[220];
	int rc = RESITE_OK;

	for (int i = 0; rc == RESITE_OK && i < N_COUNTS; i++) {
		snprintf(text, sizeof text, "%" PRIu64, d->count[i]);
		rc = c->host->output(c->op, names[i], text);
	}
	if (d->lines > d->max_lines)
		call_log(c, RESITE_LOG_INFO, "%" PRIu64 " further differences are counted, not listed "
			 "(lines = %" PRIu64 ")", d->lines - d->max_lines, d->max_lines);
	source_name(&d->source[0], first);
	source_name(&d->source[1], other);
	snprintf(now, sizeof now, "%" PRIu64 " users have the same in %s and in %s, %" PRIu64
		 " differ, %" PRIu64 " are only in the first, %" PRIu64 " only in the other",
		 d->count[N_SAME], first, other, d->count[N_CHANGED], d->count[N_ONLY],
		 d->count[N_ONLY_OTHER]);
	snprintf(fingerprint, sizeof fingerprint, "%s %s", d->source[0].id, d->source[1].id);
	if (rc == RESITE_OK)
		rc = c->host->state(c->op, now, fingerprint, d->lines,
				    d->count[N_SAME] + d->count[N_CHANGED] + d->count[N_ONLY] +
					    d->count[N_ONLY_OTHER]);
	return rc;
}

int
diff_probe(struct resite_op *op, const struct resite_host *host)
{
	struct diff d = {.call = {.op = op, .host = host},
			 .users = {{.fd = -1}, {.fd = -1}}, .texts = {{.fd = -1}, {.fd = -1}}};
	struct call *c = &d.call;
	int rc;

	d.max_lines = (uint64_t)call_i64(c, "lines");
	rc = source_open_as(&d.source[0], c, &first_params);
	if (rc == RESITE_OK)
		rc = source_open_as(&d.source[1], c, &other_params);
	if (rc == RESITE_OK)
		rc = read_both(&d, d.users, false, take_digest);
	if (rc == RESITE_OK) {
		mark(&d);
		rc = tell_changed(&d);
	}
	rc = rc < 0 ? call_failed(c, NULL) : tell_outputs(&d);
	for (int i = 0; i < 2; i++) {
		source_release(&d.source[i]);
		sorted_release(&d.users[i]);
		sorted_release(&d.texts[i]);
	}
	canon_release(&d.canon);
	buf_release(&d.key);
	buf_release(&d.text);
	buf_release(&d.was);
	buf_release(&d.will_be);
	return rc;
}
