#include "plugins/contacts/export.h"

#include "plugins/contacts/contacts.h"
#include "plugins/contacts/lists.h"
#include "sdk/vault/step.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The checkpoint that holds the name of the set that this step has written in this run. */
#define WRITTEN "written"

struct export {
	struct call call;
	struct users users;
	struct vault_writer *writer;
	struct buf line;      /* what stands around a document */
	uint64_t documents, none, lists, entries, odd, bytes;
};

/* --- check and probe ----------------------------------------------------------- */

int
export_check(struct resite_op *op, const struct resite_host *host)
{
	if (host->param_count(op, "users") == 0 && host->param_count(op, "users_file") == 0)
		return resite_fail(op, host, RESITE_ERR_INVALID, "users_file",
				   "XCAP cannot list its users: name them with users_file or users");
	return RESITE_OK;
}

/* The newest set's manifest; NULL when there is none, or when it is damaged: then a new set is
 * wanted all the more. */
static struct vault_set *
newest_set(struct call *c)
{
	struct vault_set *set = NULL;
	struct vault_error err;

	if (vault_open(&set, call_str(c, "vault"), call_str(c, "name"), NULL, VAULT_MANIFEST_ONLY,
		       NULL, NULL, &err) < 0 && err.code != VAULT_ERR_NONE)
		call_log(c, RESITE_LOG_WARN, "%s", err.text);
	return set;
}

/* Was it written by this step in this run, or is it as young as the plan allows? */
static bool
is_fresh(struct call *c, const struct vault_set *set, size_t n_users)
{
	const char *data = NULL, *name = c->host->last_checkpoint(c->op, &data);
	int64_t age = wall_ms() - vault_set_finished_ms(set);

	if (name && !strcmp(name, WRITTEN) && data && !strcmp(data, vault_set_name(set)))
		return true;
	return age >= 0 && age < call_i64(c, "fresh_for") &&
	       !strcmp(vault_set_site(set), call_str(c, "site")) &&
	       vault_set_count(set, "users") == n_users;
}

/* How the set that will do compares with the one before it. */
static void
tell_shrinking(struct call *c, const struct vault_set *set)
{
	const struct vault_shrink rule = {call_i64(c, "shrink_warn"), 0, NULL};
	struct vault_set *before;
	struct vault_error err;
	char note[VAULT_NOTE_MAX] = "";

	if (vault_open_before(&before, set, &err) < 0)
		return;
	if (vault_check_growth(set, before, &rule, note, &err) == VAULT_OK && *note)
		c->host->loss(c->op, note);
	vault_close(before);
}

static int
tell_state(struct call *c, const struct vault_set *set, size_t n_users)
{
	bool fresh = set && is_fresh(c, set, n_users);
	char now[300] = "no set", will_be[64], age[AGE_MAX];

	if (set) {
		age_text(age, wall_ms() - vault_set_finished_ms(set));
		snprintf(now, sizeof now, "newest set %s of site %s, %s, %" PRIu64 " lists",
			 vault_set_name(set), vault_set_site(set), age,
			 vault_set_count(set, "documents"));
	}
	snprintf(will_be, sizeof will_be, "a new set of %zu users", n_users);
	if (fresh)
		tell_shrinking(c, set);
	else
		c->host->change(c->op, call_str(c, "name"), now, will_be);
	return c->host->state(c->op, now, set ? vault_set_digest(set) : "none", !fresh, 1);
}

static int
seen(void *arg, const struct reply *reply, struct fault *f)
{
	struct call *c = arg;

	if (reply->status == 200 || reply->status == 404)
		return RESITE_OK;
	return fault_set(f, reply->status >= 500 ? RESITE_ERR_TRANSIENT : RESITE_ERR_REFUSED,
			 "%s GET: %s: %s", call_str(c, "server"), reply->user, reply->words);
}

/* One read says whether the server is there and lets us in. */
static int
see_server(struct call *c, const struct users *users)
{
	struct xcap_options options = call_xcap(c, seen, c);
	struct xcap *x = xcap_new(&options, &c->f);
	int rc;

	if (!x)
		return c->f.rc;
	rc = xcap_get(x, 0, users->list[0], NULL, 0, &c->f);
	if (rc == RESITE_OK)
		rc = xcap_drain(x, &c->f);
	xcap_free(x);
	return rc;
}

static int
load_users(struct call *c, struct users *users)
{
	if (call_users(c, users) < 0)
		return c->f.rc;
	if (users->n == 0)
		return fault_set(&c->f, RESITE_ERR_REFUSED,
				 "the list of users is empty: nothing would be saved");
	return RESITE_OK;
}

int
export_probe(struct resite_op *op, const struct resite_host *host)
{
	struct call c = {.op = op, .host = host};
	struct users users = {0};
	int rc;

	if (load_users(&c, &users) < 0 || see_server(&c, &users) < 0) {
		rc = call_failed(&c, NULL);
	} else {
		struct vault_set *set = newest_set(&c);

		rc = tell_state(&c, set, users.n);
		vault_close(set);
	}
	users_release(&users);
	return rc;
}

/* --- apply --------------------------------------------------------------------- */

static int
put(struct export *e, const void *data, size_t len, struct fault *f)
{
	struct vault_error err;

	e->bytes += len;
	return vault_writer_write(e->writer, data, len, &err) < 0 ? fault_vault(f, &err)
								  : RESITE_OK;
}

static int
put_line(struct export *e, struct fault *f)
{
	int rc = e->line.failed ? fault_memory(f) : put(e, e->line.p, e->line.len, f);

	buf_clear(&e->line);
	return rc;
}

/* Looks into a document.  One that is not well-formed is kept as it is: the server had it so. */
static void
look_into(struct export *e, const struct reply *reply)
{
	struct lists_counts counts;
	struct fault why;

	if (lists_count(reply->body, reply->len, &counts, &why) < 0) {
		e->odd++;
		call_log(&e->call, RESITE_LOG_WARN, "%s: kept as it is, but: %s", reply->user,
			 why.text);
		return;
	}
	e->lists += counts.lists;
	e->entries += counts.entries;
}

static int
got(void *arg, const struct reply *reply, struct fault *f)
{
	struct export *e = arg;
	struct call *c = &e->call;

	c->host->progress(c->op, e->documents + e->none + 1, e->users.n, "saving lists");
	if (reply->status == 404) {
		e->none++;
		documents_put_none(&e->line, reply->user);
		return put_line(e, f);
	}
	/* A set without this user would look like one in which she has no list. */
	if (reply->status != 200)
		return seen(c, reply, f);
	e->documents++;
	look_into(e, reply);
	documents_put_head(&e->line, reply->user, reply->len);
	if (put_line(e, f) < 0 || put(e, reply->body, reply->len, f) < 0 || put(e, "\n", 1, f) < 0)
		return f->rc;
	return RESITE_OK;
}

static int
fetch_all(struct export *e)
{
	struct xcap_options options = call_xcap(&e->call, got, e);
	struct fault *f = &e->call.f;
	struct xcap *x = xcap_new(&options, f);
	int rc = RESITE_OK;

	if (!x)
		return f->rc;
	for (size_t i = 0; rc == RESITE_OK && i < e->users.n; i++)
		rc = xcap_get(x, i, e->users.list[i], NULL, 0, f);
	if (rc == RESITE_OK)
		rc = xcap_drain(x, f);
	xcap_free(x);
	if (rc == RESITE_OK && e->documents == 0)
		rc = fault_set(f, RESITE_ERR_REFUSED,
			       "%s: none of %zu users has a list: is this the right XCAP root, are "
			       "these its users?", options.root, e->users.n);
	return rc;
}

static int
write_facts(struct export *e, struct vault_error *err)
{
	/* Fewer lists than last time is how a half-dead server looks, fewer entries how a lost
	 * restore does. */
	const struct { const char *key; uint64_t n; bool measure; } counts[] = {
		{"users", e->users.n, false}, {"documents", e->documents, true},
		{"none", e->none, false},     {"lists", e->lists, false},
		{"entries", e->entries, true}, {"malformed", e->odd, false},
	};

	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		if ((counts[i].measure ? vault_writer_measure : vault_writer_count)(
			    e->writer, counts[i].key, counts[i].n, err) < 0)
			return err->code;
	return vault_writer_extra(e->writer, "server", call_str(&e->call, "server"), err);
}

static int
write_set(struct export *e)
{
	struct call *c = &e->call;
	char note[VAULT_NOTE_MAX];
	struct vault_error err;

	if (vault_step_write(c->op, c->host, DOCUMENTS_KIND, "resite contacts " CONTACTS_VERSION,
			     &e->writer, &err) < 0 ||
	    vault_writer_file(e->writer, DOCUMENTS_FILE, &err) < 0)
		return fault_vault(&c->f, &err);
	if (put(e, DOCUMENTS_HEAD, strlen(DOCUMENTS_HEAD), &c->f) < 0 || fetch_all(e) < 0)
		return c->f.rc;
	documents_put_end(&e->line, e->documents, e->none);
	if (put_line(e, &c->f) < 0)
		return c->f.rc;
	if (write_facts(e, &err) < 0 ||
	    vault_step_commit(c->op, c->host, e->writer, note, &err) < 0)
		return fault_vault(&c->f, &err);
	return RESITE_OK;
}

static int
tell_outputs(struct export *e)
{
	struct call *c = &e->call;
	char text[32];
	int rc = c->host->output(c->op, "set", vault_writer_set(e->writer));
	const struct { const char *name; uint64_t n; } outputs[] = {
		{"users", e->users.n}, {"documents", e->documents}, {"bytes", e->bytes},
	};

	for (size_t i = 0; rc == RESITE_OK && i < sizeof outputs / sizeof *outputs; i++) {
		snprintf(text, sizeof text, "%" PRIu64, outputs[i].n);
		rc = c->host->output(c->op, outputs[i].name, text);
	}
	if (rc == RESITE_OK)
		rc = c->host->checkpoint(c->op, WRITTEN, vault_writer_set(e->writer));
	return rc;
}

int
export_apply(struct resite_op *op, const struct resite_host *host)
{
	struct export e = {.call = {.op = op, .host = host}};
	int rc;

	if (load_users(&e.call, &e.users) < 0 || write_set(&e) < 0) {
		rc = call_failed(&e.call, NULL);
	} else {
		rc = tell_outputs(&e);
	}
	vault_writer_free(e.writer);
	users_release(&e.users);
	buf_release(&e.line);
	return rc;
}

/* --- verify -------------------------------------------------------------------- */

/* A user may edit her list after we read it, so a few that differ are only told. */
static int
judge(struct call *c, const struct compare *cmp)
{
	uint64_t other = cmp->looked - cmp->same;

	if (other == 0)
		return RESITE_OK;
	if (other * 10 > cmp->looked)
		return fault_set(&c->f, RESITE_ERR_CONFLICT,
				 "%" PRIu64 " of %" PRIu64 " lists looked at differ from the set: %s",
				 other, cmp->looked, cmp->first);
	call_log(c, RESITE_LOG_WARN, "%" PRIu64 " of %" PRIu64 " lists changed since: %s", other,
		 cmp->looked, cmp->first);
	return RESITE_OK;
}

int
export_verify(struct resite_op *op, const struct resite_host *host)
{
	struct call c = {.op = op, .host = host};
	struct compare cmp = {.kind = &target_http, .use = TARGET_READ_BACK};
	struct vault_set *set;
	int rc;

	/* All digests are proven here, from the disk. */
	if (call_open_set(&c, NULL, 0, &set) < 0)
		return call_failed(&c, NULL);
	cmp.end = vault_set_count(set, "documents");
	cmp.step = sample_step(cmp.end, (uint64_t)call_i64(&c, "verify_sample"));
	rc = compare_begin(&cmp, &c);
	if (rc == RESITE_OK)
		rc = compare_end(&cmp, set_each(set, compare_each, &cmp, &c.f));
	if (rc == RESITE_OK)
		rc = judge(&c, &cmp);
	vault_close(set);
	return rc < 0 ? call_failed(&c, NULL) : rc;
}
