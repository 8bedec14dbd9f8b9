#include "plugins/contacts/contacts.h"

#include "sdk/vault/step.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int
call_failed(struct call *c, const char *param)
{
	c->host->fail(c->op, param, 0, c->f.text);
	return c->f.rc;
}

struct xcap_options
call_xcap(struct call *c, target_answer *done, void *arg)
{
	return (struct xcap_options){
		.op = c->op,
		.host = c->host,
		.root = call_str(c, "server"),
		.ca_file = call_str(c, "ca_file"),
		.timeout_ms = call_i64(c, "timeout"),
		.connections = (unsigned)call_i64(c, "connections"),
		.done = done,
		.arg = arg,
	};
}

int
call_users(struct call *c, struct users *ret)
{
	const char *file = call_str(c, "users_file");
	uint32_t n = c->host->param_count(c->op, "users");
	int rc = RESITE_OK;

	for (uint32_t i = 0; rc == RESITE_OK && i < n; i++) {
		const char *user = c->host->param_str(c->op, "users", i);

		rc = users_add(ret, user, strlen(user), &c->f);
	}
	if (rc == RESITE_OK && file)
		rc = users_add_file(ret, file, &c->f);
	users_sort(ret);
	return rc;
}

int
fault_vault(struct fault *f, const struct vault_error *err)
{
	int rc = RESITE_ERR_REFUSED;

	switch (err->code) {
	case VAULT_ERR_BUSY:
	case VAULT_ERR_MEMORY:
		rc = RESITE_ERR_TRANSIENT;
		break;
	case VAULT_ERR_INVALID:
		rc = RESITE_ERR_INVALID;
		break;
	case VAULT_ERR_STOPPED:
		rc = RESITE_ERR_CANCELLED;
		break;
	}
	return fault_set(f, rc, "%s", err->text);
}

int
call_vault_tick(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct call *c = arg;

	c->host->progress(c->op, done_bytes, total_bytes, "verifying bytes");
	return c->host->time_left_ms(c->op) <= 0;
}

int
call_open_set(struct call *c, const char *set, unsigned flags, struct vault_set **ret)
{
	return call_open_set_of(c, call_str(c, "vault"), call_str(c, "name"), set, flags, ret);
}

/* An encrypted set needs the step's key; what is wrong with either is said here, not while reading. */
static int
unlock(struct call *c, struct vault_set *set)
{
	struct vault_key *key = NULL;
	struct vault_error err;
	int rc = vault_step_key(c->op, c->host, &key, &err);

	if (rc == VAULT_OK && vault_set_encrypted(set))
		rc = vault_unlock(set, key, &err);
	vault_key_free(key);
	return rc < 0 ? fault_vault(&c->f, &err) : RESITE_OK;
}

int
call_open_set_of(struct call *c, const char *vault, const char *name, const char *set,
		 unsigned flags, struct vault_set **ret)
{
	struct vault_error err;

	if (vault_open(ret, vault, name, set, flags, call_vault_tick, c, &err) < 0)
		return fault_vault(&c->f, &err);
	if (strcmp(vault_set_kind(*ret), DOCUMENTS_KIND)) {
		fault_set(&c->f, RESITE_ERR_REFUSED, "%s/%s/%s holds '%s', not '" DOCUMENTS_KIND "'",
			  vault, name, vault_set_name(*ret), vault_set_kind(*ret));
		vault_close(*ret);
		*ret = NULL;
		return c->f.rc;
	}
	if (flags & VAULT_MANIFEST_ONLY || unlock(c, *ret) == RESITE_OK)
		return RESITE_OK;
	vault_close(*ret);
	*ret = NULL;
	return c->f.rc;
}

void
age_text(char out[AGE_MAX], int64_t ms)
{
	long long s = ms / 1000;

	if (ms < 0)
		snprintf(out, AGE_MAX, "dated in the future");
	else if (s < 120)
		snprintf(out, AGE_MAX, "%lld s old", s);
	else if (s < 2 * 3600)
		snprintf(out, AGE_MAX, "%lld min old", s / 60);
	else if (s < 48 * 3600)
		snprintf(out, AGE_MAX, "%lld h %lld min old", s / 3600, s / 60 % 60);
	else
		snprintf(out, AGE_MAX, "%lld d %lld h old", s / 86400, s / 3600 % 24);
}

int64_t
wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- the documents of a set ---------------------------------------------------- */

static int
read_stream(void *arg, void *buf, size_t cap, size_t *ret_len, struct fault *f)
{
	struct vault_error err;

	return vault_stream_read(arg, buf, cap, ret_len, &err) < 0 ? fault_vault(f, &err)
								   : RESITE_OK;
}

int
set_each(const struct vault_set *set, document_each *each, void *arg, struct fault *f)
{
	struct documents documents = {.read = read_stream};
	struct vault_stream *stream;
	struct vault_error err;
	struct document d;
	int rc;

	if (vault_stream_open(&stream, set, DOCUMENTS_FILE, &err) < 0)
		return fault_vault(f, &err);
	documents.arg = stream;
	while ((rc = documents_next(&documents, &d, f)) > 0)
		if (each(arg, &d, f) < 0) {
			rc = f->rc;
			break;
		}
	documents_release(&documents);
	vault_stream_close(stream);
	return rc;
}

/* --- against the server -------------------------------------------------------- */

uint64_t
sample_step(uint64_t total, uint64_t want)
{
	return want == 0 || total <= want ? 1 : total / want;
}

/* Of each step documents one, and the first and the last.  Which one differs from step to step,
 * because faults come in steps, too (every eighth list went over the same connection), but not
 * from call to call: two looks can be compared. */
bool
compare_wants(const struct compare *cmp, uint64_t index)
{
	uint64_t place = (index / cmp->step + 1) * UINT64_C(0x9e3779b97f4a7c15);

	if (index >= cmp->end)
		return false;
	return index < cmp->whole || index == 0 || index + 1 == cmp->also || index == cmp->end - 1 ||
	       index % cmp->step == (place >> 32) % cmp->step;
}

/* Is nothing to be written?  A list that cannot be merged is one that differs. */
static bool
judge_list(struct compare *cmp, const struct reply *reply, struct fault *why)
{
	struct merged *m = &cmp->merged;

	why->rc = RESITE_OK;
	if (merge_decide(m, cmp->existing, reply->body, reply->len, reply->sent, reply->sent_len,
			 why) < 0)
		return false;
	if (m->added.n > 0) {
		cmp->adding++;
		cmp->added += m->added.n;
		if (merge_written_ms(reply->etag) > cmp->made_ms) {
			cmp->newer++;
			cmp->back += m->added.n;
		}
	}
	cmp->keeping += m->only.n > 0;
	cmp->kept += m->only.n;
	return m->leave;
}

/* "30 bytes" or, in a merge, who is added; those whom the target's user may have deleted. */
static void
describe_change(const struct compare *cmp, const struct reply *reply, const struct fault *why,
		char out[500])
{
	const struct merged *m = &cmp->merged;

	if (why->rc != RESITE_OK)
		snprintf(out, 500, "left as it is: %.400s", why->text);
	else if (m->added.n)
		snprintf(out, 500, "the same and %" PRIu64 " more: %s%s", m->added.n, m->added.names,
			 merge_written_ms(reply->etag) > cmp->made_ms
				 ? " (not in the newer list at the target: deleted there?)" : "");
	else
		snprintf(out, 500, "list of %zu bytes", reply->sent_len);
}

static void
note(struct compare *cmp, const struct reply *reply, const struct fault *why)
{
	struct call *c = cmp->call;
	char was[64] = "no list", will_be[500];

	describe_change(cmp, reply, why, will_be);
	if (reply->status == 200)
		snprintf(was, sizeof was, "%s list, of %zu bytes",
			 cmp->existing == EXISTING_MERGE ? "a" : "another", reply->len);
	if (cmp->looked == cmp->same + 1)
		snprintf(cmp->first, sizeof cmp->first, "%s has %s at the server%.100s", reply->user, was,
			 cmp->merged.added.n ? ", without all of the saved contacts" : "");
	if (cmp->tell)
		c->host->change(c->op, reply->user, was, will_be);
}

static int
compared(void *arg, const struct reply *reply, struct fault *f)
{
	struct compare *cmp = arg;
	struct call *c = cmp->call;
	struct fault why;

	cmp->looked++;
	if (reply->status != 200 && reply->status != 404)
		return fault_set(f, reply->status >= 500 ? RESITE_ERR_TRANSIENT : RESITE_ERR_REFUSED,
				 "%s GET: %s: %s", call_str(c, "server"), reply->user, reply->words);
	cmp->absent += reply->status == 404;
	if (judge_list(cmp, reply, &why))
		cmp->same++;
	else
		note(cmp, reply, &why);
	c->host->progress(c->op, cmp->looked,
			  cmp->whole + (cmp->end - cmp->whole) / cmp->step, "comparing lists");
	return RESITE_OK;
}

int
compare_begin(struct compare *cmp, struct call *c)
{
	int rc;

	cmp->call = c;
	cmp->looked = cmp->same = cmp->absent = 0;
	cmp->adding = cmp->added = cmp->newer = cmp->back = cmp->keeping = cmp->kept = 0;
	cmp->first[0] = '\0';
	rc = target_open(&cmp->target, cmp->kind, c, cmp->use, compared, cmp);
	return rc == RESITE_OK ? rc : compare_end(cmp, rc);
}

int
compare_ask(void *arg, const struct document *d, struct fault *f)
{
	struct compare *cmp = arg;

	return cmp->target.kind->get(&cmp->target, d, f);
}

int
compare_each(void *arg, const struct document *d, struct fault *f)
{
	return compare_wants(arg, d->index) ? compare_ask(arg, d, f) : RESITE_OK;
}

int
compare_end(struct compare *cmp, int rc)
{
	rc = target_close(&cmp->target, rc);
	merge_release(&cmp->merged);
	return rc;
}
