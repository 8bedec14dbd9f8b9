#include "plugins/contacts/convert.h"

#include "plugins/contacts/lists.h"
#include "plugins/contacts/produce.h"
#include "plugins/contacts/sorted.h"
#include "sdk/vault/step.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The digest of what a set was made of, in its manifest. */
#define MADE_OF "made_of"

/* --- check ------------------------------------------------------------------------- */

static bool
is_set(struct resite_op *op, const struct resite_host *host, const char *name)
{
	return host->param_count(op, name) > 0;
}

static const struct {
	bool source, target, vault; /* given, not given */
	const char *param, *says;   /* NULL: it is right */
} shapes[] = {
	{true, true, false, NULL, NULL},
	{true, false, true, NULL, NULL},
	{false, true, true, NULL, NULL},
	{true, true, true, "vault", "'source' and 'target' say it all: 'vault' is one thing too many"},
	{true, false, false, "target", "'target' or 'vault' says where the lists go"},
	{false, true, false, "source", "'source' or 'vault' says where the lists come from"},
	{false, false, true, "source", "'source' says what becomes a set of the vault, or 'target' what "
				       "a set becomes"},
	{false, false, false, "source", "'source' says where the lists come from"},
};

static bool
is_split(struct resite_op *op, const struct resite_host *host, const struct format *format)
{
	return format->one_user || resite_i64_or(op, host, "split", 0);
}

int
convert_check(struct resite_op *op, const struct resite_host *host)
{
	bool source = is_set(op, host, "source"), target = is_set(op, host, "target");
	bool vault = is_set(op, host, "vault");

	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		if (shapes[i].source == source && shapes[i].target == target &&
		    shapes[i].vault == vault && shapes[i].param)
			return resite_fail(op, host, RESITE_ERR_INVALID, shapes[i].param, "%s",
					   shapes[i].says);
	if (target && !is_set(op, host, "target_format"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "target_format",
				   "'target_format' says what the target is to be");
	if (vault && !target && !is_set(op, host, "site"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "site",
				   "'site' says where the lists come from; an import can insist on it");
	return RESITE_OK;
}

/* --- to a file or a folder ---------------------------------------------------------- */

static struct produce
to_file(struct source *s, bool write)
{
	struct call *c = s->call;
	const struct format *format = format_named(call_str(c, "target_format"));

	return (struct produce){.source = s, .format = format, .path = call_str(c, "target"),
				.split = is_split(c->op, c->host, format), .write = write};
}

static int
tell_file(struct source *s)
{
	struct call *c = s->call;
	struct produce p = to_file(s, false);
	char will_be[200], now[500];

	if (produce_run(&p) < 0)
		return c->f.rc;
	snprintf(will_be, sizeof will_be, "%" PRIu64 " users as %s, %" PRIu64 " bytes", p.users,
		 p.format->name, p.bytes);
	snprintf(now, sizeof now, "%s%s", p.was, p.same ? ", as it should be" : "");
	if (!p.same)
		c->host->change(c->op, p.path, p.was, will_be);
	produce_tell(&p);
	return c->host->state(c->op, now, p.digest, !p.same, 1);
}

static int
tell_outputs(struct call *c, uint64_t users, uint64_t bytes, const char *name, const char *value)
{
	char text[32];
	int rc;

	snprintf(text, sizeof text, "%" PRIu64, users);
	rc = c->host->output(c->op, "users", text);
	snprintf(text, sizeof text, "%" PRIu64, bytes);
	if (rc == RESITE_OK)
		rc = c->host->output(c->op, "bytes", text);
	return rc == RESITE_OK ? c->host->output(c->op, name, value) : rc;
}

static int
make_file(struct source *s)
{
	struct produce p = to_file(s, true);

	if (produce_run(&p) < 0)
		return s->call->f.rc;
	return tell_outputs(s->call, p.users, p.bytes, "file", p.path);
}

/* --- to a set of the vault ------------------------------------------------------------ */

/* All users, their documents and what they were, in order of their addresses. */
struct gather {
	struct source *source;
	bool texts;              /* else the digest alone */
	struct sorted sorted;
	struct buf key, document;
	struct sha256_ctx hash;
	struct read_stats stats;
	uint64_t bytes;
	char digest[DIGEST_TEXT];
};

static int
gather_user(void *arg, const struct model_user *u, struct fault *f)
{
	struct gather *g = arg;
	bool same = u->family == FAMILY_LISTS;

	buf_clear(&g->document);
	buf_clear(&g->key);
	buf_puts(&g->key, "sip:");
	buf_puts(&g->key, model_text(u, u->name));
	buf_add(&g->key, "", 1);
	if (same)
		buf_add(&g->document, u->native, u->native_len);
	else
		lists_write(&g->document, u);
	if (g->document.failed || g->key.failed)
		return fault_memory(f);
	sha256_update(&g->hash, g->key.len, (const uint8_t *)g->key.p);
	sha256_update(&g->hash, u->native_len, (const uint8_t *)u->native);
	g->bytes += g->document.len;
	return sorted_add(&g->sorted, g->key.p, g->document.p, g->texts ? g->document.len : 0,
			  u->native, g->texts && !same ? u->native_len : 0, NULL, f);
}

static int
gather_run(struct gather *g, struct source *s, bool texts)
{
	struct fault *f = &s->call->f;
	uint8_t digest[SHA256_DIGEST_SIZE];

	*g = (struct gather){.source = s, .texts = texts};
	sha256_init(&g->hash);
	if (sorted_init(&g->sorted, texts, f) < 0 ||
	    source_users(s, true, gather_user, g, &g->stats) < 0 ||
	    sorted_finish(&g->sorted, f) < 0)
		return f->rc;
	if (g->sorted.n == 0)
		return fault_set(f, RESITE_ERR_REFUSED,
				 "no user is left to save: is the list of users for this source?");
	sha256_digest(&g->hash, sizeof digest, digest);
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(g->digest + 2 * i, 3, "%02x", digest[i]);
	return RESITE_OK;
}

static void
gather_release(struct gather *g)
{
	sorted_release(&g->sorted);
	buf_release(&g->key);
	buf_release(&g->document);
}

/* The newest set's manifest; NULL when there is none, or when it is damaged: then a new set is
 * wanted all the more. */
static struct vault_set *
newest(struct call *c)
{
	struct vault_set *set = NULL;
	struct vault_error err;

	if (vault_open(&set, call_str(c, "vault"), call_str(c, "name"), NULL, VAULT_MANIFEST_ONLY,
		       NULL, NULL, &err) < 0 && err.code != VAULT_ERR_NONE)
		call_log(c, RESITE_LOG_WARN, "%s", err.text);
	return set;
}

static int
tell_set(struct source *s)
{
	struct call *c = s->call;
	struct gather g;
	struct vault_set *set = newest(c);
	const char *made_of = set ? vault_set_extra(set, MADE_OF) : NULL;
	char now[200] = "no set", will_be[100];
	bool same;
	int rc = gather_run(&g, s, false);

	if (rc == RESITE_OK) {
		same = made_of && !strcmp(made_of, g.digest) &&
		       !strcmp(vault_set_site(set), call_str(c, "site"));
		if (set)
			snprintf(now, sizeof now, "newest set %s of site %s, %" PRIu64 " lists%s",
				 vault_set_name(set), vault_set_site(set),
				 vault_set_count(set, "documents"), same ? ", of this source" : "");
		snprintf(will_be, sizeof will_be, "a new set of %zu users", g.sorted.n);
		if (!same)
			c->host->change(c->op, call_str(c, "name"), now, will_be);
		source_remarks(c, &g.stats);
		rc = c->host->state(c->op, now, g.digest, !same, 1);
	}
	gather_release(&g);
	vault_close(set);
	return rc;
}

static int
put(struct call *c, struct vault_writer *w, const char *s, size_t len)
{
	struct vault_error err;

	return vault_writer_write(w, s, len, &err) < 0 ? fault_vault(&c->f, &err) : RESITE_OK;
}

/* One of the two texts of each user, as a file of documents. */
static int
put_texts(struct gather *g, struct vault_writer *w, const char *file, int which)
{
	struct call *c = g->source->call;
	struct buf head = {0}, texts = {0};
	struct vault_error err;
	int rc = vault_writer_file(w, file, &err) < 0 ? fault_vault(&c->f, &err) : RESITE_OK;

	buf_puts(&head, DOCUMENTS_HEAD);
	for (size_t i = 0; rc == RESITE_OK && i < g->sorted.n; i++) {
		const struct sorted_user *u = &g->sorted.users[i];

		documents_put_head(&head, sorted_key(&g->sorted, u), u->len[which]);
		rc = sorted_texts(&g->sorted, u, &texts, &c->f);
		if (rc == RESITE_OK)
			rc = head.failed ? fault_memory(&c->f) : put(c, w, head.p, head.len);
		if (rc == RESITE_OK)
			rc = put(c, w, texts.p + (which ? u->len[0] : 0), u->len[which]);
		buf_clear(&head);
		buf_puts(&head, "\n");
		if (i % 1000 == 0)
			c->host->progress(c->op, i, g->sorted.n, "writing the set");
	}
	documents_put_end(&head, g->sorted.n, 0);
	if (rc == RESITE_OK)
		rc = head.failed ? fault_memory(&c->f) : put(c, w, head.p, head.len);
	buf_release(&head);
	buf_release(&texts);
	return rc;
}

static int
put_facts(struct gather *g, struct vault_writer *w)
{
	const struct { const char *key; uint64_t n; } counts[] = {
		{"users", g->sorted.n}, {"documents", g->sorted.n}, {"none", 0},
		{"lists", g->stats.groups}, {"entries", g->stats.contacts},
	};
	const struct format *format = g->source->in.format;
	struct call *c = g->source->call;
	struct vault_error err;

	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		if (vault_writer_count(w, counts[i].key, counts[i].n, &err) < 0)
			return fault_vault(&c->f, &err);
	if (vault_writer_extra(w, MADE_OF, g->digest, &err) < 0 ||
	    vault_writer_extra(w, "source", g->source->path, &err) < 0 ||
	    (format->family != FAMILY_LISTS &&
	     (vault_writer_extra(w, ORIGINALS_FORMAT, format->name, &err) < 0 ||
	      vault_writer_extra(w, ORIGINALS_NAMES,
				 g->stats.names == NAMES_PLAIN ? "plain" : "base64", &err) < 0)))
		return fault_vault(&c->f, &err);
	return RESITE_OK;
}

static int
write_set(struct gather *g, struct vault_writer **w)
{
	struct call *c = g->source->call;
	char note[VAULT_NOTE_MAX] = "";
	struct vault_error err;

	if (vault_step_write(c->op, c->host, DOCUMENTS_KIND, "resite contacts " CONTACTS_VERSION, w,
			     &err) < 0)
		return fault_vault(&c->f, &err);
	if (put_texts(g, *w, DOCUMENTS_FILE, 0) < 0 ||
	    (g->source->in.format->family != FAMILY_LISTS &&
	     put_texts(g, *w, ORIGINALS_FILE, 1) < 0) || put_facts(g, *w) < 0)
		return c->f.rc;
	if (vault_step_commit(c->op, c->host, *w, note, &err) < 0)
		return fault_vault(&c->f, &err);
	if (note[0])
		call_log(c, RESITE_LOG_WARN, "%s", note);
	return RESITE_OK;
}

static int
make_set(struct source *s)
{
	struct call *c = s->call;
	struct vault_writer *w = NULL;
	struct gather g;
	int rc = gather_run(&g, s, true);

	if (rc == RESITE_OK)
		rc = write_set(&g, &w);
	if (rc == RESITE_OK)
		rc = tell_outputs(c, g.sorted.n, g.bytes, "set", vault_writer_set(w));
	vault_writer_free(w);
	gather_release(&g);
	return rc;
}

/* --- both ----------------------------------------------------------------------------- */

static int
with_source(struct resite_op *op, const struct resite_host *host, int (*file)(struct source *),
	    int (*set)(struct source *))
{
	struct call c = {.op = op, .host = host};
	struct source s;
	int rc = source_open(&s, &c, NULL);

	if (rc == RESITE_OK)
		rc = call_str(&c, "target") ? file(&s) : set(&s);
	if (rc < 0 && c.f.rc < 0)
		call_failed(&c, NULL);
	source_release(&s);
	return rc;
}

int
convert_probe(struct resite_op *op, const struct resite_host *host)
{
	return with_source(op, host, tell_file, tell_set);
}

int
convert_apply(struct resite_op *op, const struct resite_host *host)
{
	return with_source(op, host, make_file, make_set);
}
