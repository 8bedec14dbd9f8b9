#include "plugins/contacts/source.h"

#include "plugins/contacts/lists.h"
#include "plugins/contacts/text.h"

#include <errno.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- opening ------------------------------------------------------------------- */

static int
check_site(struct source *s)
{
	const char *want = call_str(s->call, "from_site"), *have = vault_set_site(s->set);

	if (want && strcmp(want, have))
		return fault_set(&s->call->f, RESITE_ERR_REFUSED,
				 "set %s was made at site '%s', not at '%s': it is not imported",
				 vault_set_name(s->set), have, want);
	return RESITE_OK;
}

/* A source that is too old is refused, or used with a reason, which goes into the loss statement. */
static int
check_age(struct source *s)
{
	int64_t max = call_i64(s->call, "max_age"), age = wall_ms() - s->made_ms;
	const char *reason = call_str(s->call, "max_age_reason");
	char text[AGE_MAX], limit[AGE_MAX], name[200], loss[500];

	if (max == 0 || age <= max)
		return RESITE_OK;
	age_text(text, age);
	age_text(limit, max);
	source_name(s, name);
	snprintf(loss, sizeof loss, "%s is %s; max_age allows at most %.*s", name, text,
		 (int)(strlen(limit) - strlen(" old")), limit);
	if (!reason)
		return fault_set(&s->call->f, RESITE_ERR_REFUSED, "%s", loss);
	snprintf(loss + strlen(loss), sizeof loss - strlen(loss), "; used all the same: %s", reason);
	return s->call->host->loss(s->call->op, loss);
}

static void
set_facts(struct source *s)
{
	/* Lists were read from when the export began: an edit since then may be missing. */
	s->made_ms = vault_set_started_ms(s->set);
	s->total = vault_set_count(s->set, "documents");
	snprintf(s->id, sizeof s->id, "%s", vault_set_digest(s->set));
	snprintf(s->digest, sizeof s->digest, "%s", vault_set_digest(s->set));
}

static int
open_set(struct source *s, struct vault_set *proven)
{
	struct vault_error err;

	if (proven && vault_recheck(proven, &err) < 0)
		return fault_vault(&s->call->f, &err);
	s->set = proven;
	s->borrowed = proven != NULL;
	if (!proven && call_open_set(s->call, call_str(s->call, "set"), 0, &s->set) < 0)
		return s->call->f.rc;
	set_facts(s);
	return contacts_in_set(&s->in, s->set, &s->call->f) < 0 ? s->call->f.rc : check_site(s);
}

static int
open_export(struct source *s, const char *format)
{
	struct stat st;

	if (contacts_in_file(&s->in, s->path, format, &s->call->f) < 0)
		return s->call->f.rc;
	if (stat(s->path, &st) < 0)
		return fault_set(&s->call->f, RESITE_ERR_REFUSED, "%s: %s", s->path,
				 strerror(errno));
	s->made_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	s->one_file = S_ISREG(st.st_mode);
	s->stamp = (struct source_stamp){
		.dev = st.st_dev, .ino = st.st_ino, .size = (uint64_t)st.st_size,
		.mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec,
		.ctime_ns = st.st_ctim.tv_sec * INT64_C(1000000000) + st.st_ctim.tv_nsec,
	};
	snprintf(s->id, sizeof s->id, "file-%jd-%" PRId64, (intmax_t)st.st_size, s->made_ms);
	return RESITE_OK;
}

static void
hash_users(struct sha256_ctx *hash, const struct users *users)
{
	for (size_t i = 0; i < users->n; i++)
		sha256_update(hash, strlen(users->list[i]) + 1, (const uint8_t *)users->list[i]);
	sha256_update(hash, 1, (const uint8_t *)"");
}

/* Whose lists are wanted. */
static int
read_users(struct source *s)
{
	struct call *c = s->call;
	const char *only = resite_str_or(c->op, c->host, "users_file", NULL);
	const char *stay = resite_str_or(c->op, c->host, "not_moved", NULL);
	struct sha256_ctx hash;

	if (only && users_add_file(&s->only, only, &c->f) < 0)
		return c->f.rc;
	users_lower(&s->only);
	users_sort(&s->only);
	if (stay && users_add_report(&s->without, stay, &c->f) < 0)
		return c->f.rc;
	users_lower(&s->without);
	users_sort(&s->without);
	if (only && s->only.n == 0)
		return fault_set(&c->f, RESITE_ERR_REFUSED, "%s: it names no user", only);
	sha256_init(&hash);
	hash_users(&hash, &s->only);
	hash_users(&hash, &s->without);
	sha256_digest(&hash, sizeof s->stamp.users, s->stamp.users);
	return RESITE_OK;
}

int
source_open(struct source *s, struct call *c, struct vault_set *proven)
{
	const char *format = "dbimpexp";

	*s = (struct source){.call = c, .path = call_str(c, format)};
	if (!s->path) {
		s->path = call_str(c, "source");
		format = call_str(c, "format");
	}
	if ((s->path ? open_export(s, format) : open_set(s, proven)) < 0 || check_age(s) < 0)
		return c->f.rc;
	return read_users(s);
}

int
source_open_as(struct source *s, struct call *c, const struct source_params *params)
{
	const char *vault = call_str(c, params->vault), *name = call_str(c, params->name);

	*s = (struct source){.call = c, .path = call_str(c, params->source)};
	if (s->path)
		return open_export(s, call_str(c, params->format));
	if (call_open_set_of(c, vault, name, call_str(c, params->set), 0, &s->set) < 0)
		return c->f.rc;
	set_facts(s);
	return contacts_in_set(&s->in, s->set, &c->f);
}

void
source_release(struct source *s)
{
	if (!s->borrowed)
		vault_close(s->set);
	s->set = NULL;
	users_release(&s->only);
	users_release(&s->without);
}

void
source_name(const struct source *s, char out[200])
{
	if (s->set)
		snprintf(out, 200, "set %s of site %s", vault_set_name(s->set),
			 vault_set_site(s->set));
	else
		snprintf(out, 200, "%s %s", s->in.format->name, s->path);
}

/* Addresses have no case, and the list of users comes from elsewhere than the source. */
static bool
is_wanted_user(struct source *s, const char *user)
{
	char lower[TEXT_ADDRESS_MAX + 8];
	size_t i = 0, at = 0;

	if (s->only.n == 0 && s->without.n == 0)
		return true;
	for (; user[i] && i + 1 < sizeof lower; i++)
		lower[i] = user[i] >= 'A' && user[i] <= 'Z' ? (char)(user[i] + 'a' - 'A') : user[i];
	lower[i] = '\0';
	if (users_find(&s->without, lower, &at) ||
	    (s->only.n && !users_find(&s->only, lower, &at)))
		return false;
	if (s->found)
		s->found[at] = true;
	return true;
}

/* --- reading ------------------------------------------------------------------- */

/* A pass over the source, on its way. */
struct walk {
	struct source *source;
	const struct source_pass *pass;
	uint64_t n;             /* documents so far: the next one's index */
	struct buf document;    /* made from a user of an export */
	struct sha256_ctx hash; /* of the files that are read, not of a set */
};

/* The next document's index is *ret; false: nobody wants more of it. */
static bool
is_asked_for(struct walk *w, const char *user, uint64_t *ret)
{
	const struct source_pass *p = w->pass;

	if (!is_wanted_user(w->source, user))
		return false;
	*ret = w->n++;
	return p->each && (!p->wants || p->wants(p->arg, *ret));
}

static int
on_document(void *arg, const struct document *d, struct fault *f)
{
	struct walk *w = arg;
	struct document own = *d;

	return is_asked_for(w, d->user, &own.index) ? w->pass->each(w->pass->arg, &own, f) : RESITE_OK;
}

static int
on_user(void *arg, const struct model_user *u, struct fault *f)
{
	struct walk *w = arg;
	struct document d;
	char user[1008];

	snprintf(user, sizeof user, "sip:%s", model_text(u, u->name));
	d = (struct document){0, user, u->native, u->native_len};
	if (!is_asked_for(w, user, &d.index))
		return RESITE_OK;
	/* What was a document stays the one that it was. */
	if (u->family != FAMILY_LISTS || !u->native) {
		buf_clear(&w->document);
		lists_write(&w->document, u);
		if (w->document.failed)
			return fault_memory(f);
		d.body = w->document.p;
		d.len = w->document.len;
	}
	return w->pass->each(w->pass->arg, &d, f);
}

static int
on_piece(void *arg, const void *data, size_t len, struct fault *f)
{
	struct walk *w = arg;
	struct call *c = w->source->call;

	sha256_update(&w->hash, len, data);
	if (w->pass->first)
		c->host->progress(c->op, w->n, 0, "reading users");
	if (c->host->time_left_ms(c->op) <= 0)
		return fault_set(f, RESITE_ERR_CANCELLED, "stopped while reading");
	return RESITE_OK;
}

static const struct {
	size_t offset;
	int level;
	const char *text;
} remarks[] = {
#define REMARK(field, level, text) {offsetof(struct read_stats, field), level, text}
	REMARK(nameless_users, RESITE_LOG_WARN, "users without a usable address: left out"),
	REMARK(odd_names, RESITE_LOG_WARN, "names that are not base64: kept as they are"),
	REMARK(users_without_contacts, RESITE_LOG_INFO, "users have no contacts"),
	REMARK(distribution_groups, RESITE_LOG_INFO, "distribution groups: carried as empty lists"),
	REMARK(self_contacts, RESITE_LOG_INFO, "users were their own contact: left out"),
	REMARK(duplicates, RESITE_LOG_INFO, "contacts were there twice: merged"),
	REMARK(not_users, RESITE_LOG_INFO, "things in it are no users: not imported"),
	REMARK(nested, RESITE_LOG_INFO, "lists stand in other lists: each becomes a group of its own"),
	REMARK(other_sections, RESITE_LOG_INFO,
	       "sections besides groups and contacts (permissions and such): not imported"),
};

void
source_remarks(struct call *c, const struct read_stats *stats)
{
	for (size_t i = 0; i < sizeof remarks / sizeof *remarks; i++) {
		uint64_t n = *(const uint64_t *)(const void *)((const char *)stats +
							       remarks[i].offset);

		if (n)
			call_log(c, remarks[i].level, "%" PRIu64 " %s", n, remarks[i].text);
	}
}

static int
walk_export(struct walk *w)
{
	struct source *s = w->source;
	const struct reader reader = {
		.user = on_user, .piece = on_piece, .arg = w, .names = s->names,
	};
	struct call *c = s->call;
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct read_stats stats;
	int rc;

	sha256_init(&w->hash);
	rc = contacts_in_read(&s->in, &reader, &stats, &c->f);
	buf_release(&w->document);
	if (rc < 0)
		return rc;
	if (source_is_one_file(s))
		s->names = stats.names;
	sha256_digest(&w->hash, sizeof digest, digest);
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(s->digest + 2 * i, 3, "%02x", digest[i]);
	if (w->pass->first) {
		call_log(c, RESITE_LOG_INFO, "%s: taken for %s: %" PRIu64 " users", s->path,
			 s->in.format->what, stats.users);
		source_remarks(c, &stats);
	}
	return RESITE_OK;
}

bool
source_is_one_file(const struct source *s)
{
	return !s->set && s->one_file && s->in.format->family != FAMILY_XMPP;
}

static bool
is_whole_set(const struct source *s)
{
	return s->set && s->only.n == 0 && s->without.n == 0;
}

/* Users whose lists were asked for and are not here. */
static void
note_missing(struct source *s, bool tell)
{
	for (size_t i = 0; i < s->only.n; i++) {
		size_t len = strlen(s->missing_names), at;
		const char *user = s->only.list[i];

		if (s->found[i] || users_find(&s->without, user, &at))
			continue;
		if (s->missing++ < 5)
			snprintf(s->missing_names + len, sizeof s->missing_names - len, "%s%.50s",
				 len ? ", " : "", user);
		if (tell)
			call_log(s->call, RESITE_LOG_WARN, "%s has no list in the source", user);
	}
}

int
source_read(struct source *s, const struct source_pass *pass)
{
	struct walk w = {.source = s, .pass = pass};
	int rc;

	s->found = calloc(s->only.n + 1, sizeof *s->found);
	if (!s->found)
		return fault_memory(&s->call->f);
	s->missing = 0;
	s->missing_names[0] = '\0';
	rc = s->set ? set_each(s->set, on_document, &w, &s->call->f) : walk_export(&w);
	if (rc == RESITE_OK && is_whole_set(s) && w.n != s->total)
		rc = fault_set(&s->call->f, RESITE_ERR_REFUSED,
			       "set %s has %" PRIu64 " lists, its manifest says %" PRIu64,
			       vault_set_name(s->set), w.n, s->total);
	if (rc == RESITE_OK) {
		s->total = w.n;
		note_missing(s, pass->first);
	}
	free(s->found);
	s->found = NULL;
	return rc;
}

/* --- users ----------------------------------------------------------------------- */

struct chosen {
	struct source *source;
	int (*user)(void *arg, const struct model_user *u, struct fault *f);
	void *arg;
	uint64_t n;
};

static int
choose(void *arg, const struct model_user *u, struct fault *f)
{
	struct chosen *ch = arg;
	struct call *c = ch->source->call;
	char user[TEXT_ADDRESS_MAX + 8];

	snprintf(user, sizeof user, "sip:%s", model_text(u, u->name));
	if (!is_wanted_user(ch->source, user))
		return RESITE_OK;
	if (++ch->n % 256 == 0) {
		c->host->progress(c->op, ch->n, ch->source->total, "reading users");
		if (c->host->time_left_ms(c->op) <= 0)
			return fault_set(f, RESITE_ERR_CANCELLED, "stopped while reading");
	}
	return ch->user(ch->arg, u, f);
}

int
source_users(struct source *s, bool native,
	     int (*user)(void *arg, const struct model_user *u, struct fault *f), void *arg,
	     struct read_stats *ret)
{
	struct chosen chosen = {.source = s, .user = user, .arg = arg};
	const struct reader reader = {.user = choose, .arg = &chosen, .native = native};

	return contacts_in_read(&s->in, &reader, ret, &s->call->f);
}
