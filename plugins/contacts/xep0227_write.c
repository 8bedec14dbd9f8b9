/* Writing XEP-0227: Portable Import/Export Format for XMPP-IM Servers.  One host element for each host,
 * as the specification has it, though users come in any order: those of the first host go straight
 * out, those of others wait in files. */
#include "plugins/contacts/formats.h"
#include "plugins/contacts/jid.h"
#include "plugins/contacts/spool.h"
#include "plugins/contacts/text.h"
#include "plugins/contacts/xep0227.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MAX_HOSTS 100

struct host {
	char *jid;
	int fd;          /* of its users; -1: they go straight out */
};

struct hosts {
	size_t n;
	struct host list[MAX_HOSTS];
	struct buf jid;
};

/* --- one user ------------------------------------------------------------------- */

struct put {
	struct buf *out;
	const struct model_user *u;
	bool ours;
	struct extras_cursor at;
	struct buf *jid;  /* scratch */
};

static void
put_extras(struct put *p, enum model_place place, uint32_t owner, const char *before)
{
	if (p->ours)
		extras_put(p->out, p->u, &p->at, place, owner, before);
}

static void
put_value(struct put *p, const char *before, const char *value)
{
	buf_puts(p->out, before);
	text_escape(p->out, value);
	buf_puts(p->out, "\"");
}

static void
put_jid(struct put *p, const char *before, const char *s, size_t len,
	void (*escape)(struct buf *, const char *, size_t))
{
	buf_clear(p->jid);
	escape(p->jid, s, len);
	buf_add(p->jid, "", 1);
	if (!p->jid->failed)
		put_value(p, before, p->jid->p);
	else
		p->out->failed = true;
}

/* What jid_from_address does not escape and no server takes: control characters, a space that does not
 * break (RFC 6122, appendix A.5). */
static bool
is_local(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.s[i] < 0x20 || s.s[i] == 0x7f)
			return false;
	return s.len > 0 && !memmem(s.s, s.len, "\xc2\xa0", 2);
}

/* No empty label but the root's, nothing that ends the domain. */
static bool
is_domain(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.s[i] <= 0x20 || s.s[i] == 0x7f || s.s[i] == '/' ||
		    (s.s[i] == '.' && (i == 0 || s.s[i - 1] == '.')))
			return false;
	return s.len > 0;
}

/* tel:+1, a@b..c: one that a server does not know ends ejabberd's import for all who come after. */
bool
xep0227_is_jid(struct slice bare)
{
	const char *at = memrchr(bare.s, '@', bare.len);
	size_t local = at ? (size_t)(at - bare.s) : 0;

	if (!at)
		return !memchr(bare.s, ':', bare.len) && is_domain(bare);
	return is_local((struct slice){bare.s, local}) &&
	       is_domain((struct slice){at + 1, bare.len - local - 1});
}

bool
xep0227_has_jid(const char *buddy)
{
	const char *bare = model_bare(buddy);

	return xep0227_is_jid((struct slice){bare, strlen(bare)});
}

static void
put_groups(struct put *p, const struct model_member *from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const char *name = model_text(p->u, p->u->groups[from[i].group].name);

		if (!strcmp(name, MODEL_OTHER) || !*name)
			continue; /* an empty group element ends ejabberd's import */
		buf_puts(p->out, "<group>");
		text_escape(p->out, name);
		buf_puts(p->out, "</group>");
	}
}

static void
put_item(struct put *p, uint32_t i, const struct model_member *from, uint32_t n)
{
	const struct model_contact *c = &p->u->contacts[i];
	const char *buddy = model_bare(model_text(p->u, c->buddy)), *name = model_text(p->u, c->name);

	put_jid(p, "        <item jid=\"", buddy, strlen(buddy), jid_from_address);
	if (*name)
		put_value(p, " name=\"", name);
	if (p->ours)
		put_extras(p, PLACE_CONTACT, i, " ");
	else
		buf_puts(p->out, c->unwatched ? " subscription=\"none\""
					      : " subscription=\"both\"");
	buf_puts(p->out, ">");
	put_groups(p, from, n);
	put_extras(p, PLACE_IN_CONTACT, i, "");
	buf_puts(p->out, "</item>\n");
}

static void
put_roster(struct put *p)
{
	const struct model_user *u = p->u;

	buf_puts(p->out, "      <query xmlns=\"" XEP0227_ROSTER "\"");
	put_extras(p, PLACE_CONTACTS, 0, " ");
	buf_puts(p->out, ">\n");
	for (uint32_t i = 0, m = 0, begin; i < u->n_contacts; i++) {
		for (begin = m; m < u->n_members && u->members[m].contact == i;)
			m++;
		if (p->ours || xep0227_has_jid(model_text(u, u->contacts[i].buddy)))
			put_item(p, i, u->members + begin, m - begin);
	}
	put_extras(p, PLACE_IN_CONTACTS, 0, "\n        ");
	buf_puts(p->out, "      </query>\n");
}

static void
put_user(struct buf *out, const struct model_user *u, struct buf *scratch)
{
	struct put p = {.out = out, .u = u, .ours = u->family == FAMILY_XMPP, .jid = scratch};
	struct slice local = jid_local(model_text(u, u->name));

	put_jid(&p, "    <user name=\"", local.s, local.len, jid_from_local);
	put_extras(&p, PLACE_USER, 0, " ");
	buf_puts(out, ">\n");
	put_roster(&p);
	put_extras(&p, PLACE_SECTION, 0, "\n      ");
	buf_puts(out, "\n    </user>\n");
}

static const char *
host_of(const struct model_user *u)
{
	const char *at = strrchr(model_text(u, u->name), '@');

	return at ? at + 1 : "";
}

/* --- the file --------------------------------------------------------------------- */

static int
flush(struct writer *w, const struct host *h, struct fault *f)
{
	int rc;

	if (w->text.failed)
		return fault_memory(f);
	rc = h && h->fd >= 0 ? spool_write(h->fd, w->text.p, w->text.len, f)
			     : w->out.write(w->out.arg, w->text.p, w->text.len, f);
	buf_clear(&w->text);
	return rc;
}

static int
begin(struct writer *w, struct fault *f)
{
	w->own = calloc(1, sizeof(struct hosts));
	if (!w->own)
		return fault_memory(f);
	buf_puts(&w->text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			   "<server-data xmlns=\"" XEP0227_NAMESPACE "\">\n");
	return flush(w, NULL, f);
}

static void
begin_host(struct writer *w, const char *jid)
{
	buf_puts(&w->text, "  <host jid=\"");
	text_escape(&w->text, jid);
	buf_puts(&w->text, "\">\n");
}

static struct host *
find_host(struct writer *w, const char *jid, struct fault *f)
{
	struct hosts *hosts = w->own;
	struct host *h = hosts->list;

	for (; h < hosts->list + hosts->n; h++)
		if (!strcasecmp(h->jid, jid))
			return h;
	if (hosts->n == MAX_HOSTS) {
		fault_set(f, RESITE_ERR_REFUSED, "users of more than %d hosts", MAX_HOSTS);
		return NULL;
	}
	*h = (struct host){strdup(jid), -1};
	if (!h->jid) {
		fault_memory(f);
		return NULL;
	}
	for (char *p = h->jid; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 'a' - 'A');
	hosts->n++;
	if (hosts->n > 1 && spool_open(&h->fd, f) < 0)
		return NULL;
	begin_host(w, h->jid);
	return h;
}

static int
user(struct writer *w, const struct model_user *u, struct fault *f)
{
	struct host *h = find_host(w, host_of(u), f);

	if (!h)
		return f->rc;
	put_user(&w->text, u, &((struct hosts *)w->own)->jid);
	return flush(w, h, f);
}

static int
end(struct writer *w, struct fault *f)
{
	struct hosts *hosts = w->own;

	for (size_t i = 0; i < hosts->n; i++) {
		if (hosts->list[i].fd >= 0 && spool_copy(hosts->list[i].fd, &w->out, f) < 0)
			return f->rc;
		buf_puts(&w->text, "  </host>\n");
		if (flush(w, NULL, f) < 0)
			return f->rc;
	}
	buf_puts(&w->text, "</server-data>\n");
	return flush(w, NULL, f);
}

static void
release(struct writer *w)
{
	struct hosts *hosts = w->own;

	for (size_t i = 0; hosts && i < hosts->n; i++) {
		free(hosts->list[i].jid);
		if (hosts->list[i].fd >= 0)
			close(hosts->list[i].fd);
	}
	if (hosts)
		buf_release(&hosts->jid);
	free(hosts);
	w->own = NULL;
}

const struct format_writer xep0227_writer = {
	.begin = begin, .user = user, .end = end, .release = release,
};
