#include "plugins/contacts/dbimpexp.h"

#include "plugins/contacts/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMESPACE "http://schemas.microsoft.com/RtcServer/2002/11/dbimpexp"
#define CHUNK (64 * 1024)

enum word {
	W_RESOURCES, W_RESOURCE, W_GROUPS, W_GROUP, W_CONTACTS, W_CONTACT,
	W_USER, W_NUMBER, W_NAME, W_EXTERNAL, W_BUDDY, W_MEMBER_OF, W_NAMESPACE,
	N_WORDS
};

static const char *const words[N_WORDS] = {
	[W_RESOURCES] = "HomedResources",
	[W_RESOURCE] = "HomedResource",
	[W_GROUPS] = "ContactGroups",
	[W_GROUP] = "ContactGroup",
	[W_CONTACTS] = "Contacts",
	[W_CONTACT] = "Contact",
	[W_USER] = "UserAtHost",
	[W_NUMBER] = "Number",
	[W_NAME] = "DisplayName",
	[W_EXTERNAL] = "ExternalUri",
	[W_BUDDY] = "Buddy",
	[W_MEMBER_OF] = "Groups",
	[W_NAMESPACE] = NAMESPACE,
};

/* What the file's names are; the sniffing pass ends with the first proof. */
enum names { NAMES_UNKNOWN, NAMES_BASE64, NAMES_PLAIN };

enum place { P_TOP, P_RESOURCES, P_RESOURCE, P_GROUPS, P_CONTACTS, P_LEAF };

struct state {
	const struct dbimpexp_reader *reader;
	struct dbimpexp_stats *stats;
	struct fault *fault;
	xmlParserCtxtPtr xml;
	const xmlChar *word[N_WORDS]; /* in the parser's dictionary: compare pointers */
	enum place stack[8];          /* where the open elements are */
	int depth;                    /* elements open */
	int skip_depth;               /* depth of the element whose inside is skipped, or 0 */
	bool sniffing;
	bool stopped;                 /* fault is filled, or the sniffing is over */
	enum names names;
	bool have_user;               /* a user is being filled */
	struct buf scratch;           /* a decoded name */
	struct model_user user;
};

/* One attribute's value; absent ones are empty. */
struct slice {
	const char *s;
	size_t len;
};

static void
stop(struct state *st)
{
	st->stopped = true;
	xmlStopParser(st->xml);
}

static void
refuse(struct state *st, const char *what)
{
	fault_set(st->fault, RESITE_ERR_REFUSED, "line %d: %s", st->xml->input->line, what);
	stop(st);
}

static struct slice
attribute(const struct state *st, enum word w, int n, const xmlChar **attributes)
{
	for (int i = 0; i < n; i++, attributes += 5)
		if (attributes[0] == st->word[w] && !attributes[1])
			return (struct slice){(const char *)attributes[3],
					      (size_t)(attributes[4] - attributes[3])};
	return (struct slice){"", 0};
}

/* --- names ------------------------------------------------------------------- */

static bool
equals(struct slice v, const char *text)
{
	return v.len == strlen(text) && !memcmp(v.s, text, v.len);
}

/* "Team" is base64 too, so a name that decodes proves nothing, but: "~" is the one group
 * that each user has, "fg==" is its base64; and what does not decode is plain. */
static enum names
proof(struct state *st, struct slice v)
{
	size_t len;
	char *out;

	if (v.len == 0)
		return NAMES_UNKNOWN;
	if (equals(v, "fg=="))
		return NAMES_BASE64;
	buf_clear(&st->scratch);
	out = buf_room(&st->scratch, v.len);
	return out && !text_from_base64(v.s, v.len, out, &len) ? NAMES_PLAIN : NAMES_UNKNOWN;
}

static void
sniff(struct state *st, struct slice v)
{
	st->names = proof(st, v);
	if (st->names != NAMES_UNKNOWN)
		stop(st);
}

/* Adds a text that is base64 in files of that kind. */
static uint32_t
add_name(struct state *st, struct slice v)
{
	size_t len;
	char *out;

	if (st->names != NAMES_BASE64 || v.len == 0)
		return model_add_text(&st->user, v.s, v.len);
	buf_clear(&st->scratch);
	out = buf_room(&st->scratch, v.len);
	if (!out)
		return MODEL_NONE;
	if (text_from_base64(v.s, v.len, out, &len))
		return model_add_text(&st->user, out, len);
	st->stats->odd_names++;
	return model_add_text(&st->user, v.s, v.len);
}

/* --- elements ---------------------------------------------------------------- */

static void
begin_user(struct state *st, int n, const xmlChar **attributes)
{
	struct slice name = attribute(st, W_USER, n, attributes);

	if (st->sniffing)
		return;
	/* 4: room for "sip:". */
	if (!text_is_address(name.s, name.len) || name.len + 4 > TEXT_ADDRESS_MAX) {
		st->stats->nameless_users++;
		st->skip_depth = st->depth;
		return;
	}
	st->have_user = true;
	if (model_begin(&st->user, name.s, name.len, st->fault) < 0)
		stop(st);
}

static void
add_group(struct state *st, int n, const xmlChar **attributes)
{
	struct slice number = attribute(st, W_NUMBER, n, attributes);
	struct slice name = attribute(st, W_NAME, n, attributes);
	struct slice external = attribute(st, W_EXTERNAL, n, attributes);
	uint32_t number_at;

	if (st->sniffing) {
		sniff(st, name);
		return;
	}
	st->stats->groups++;
	st->stats->distribution_groups += external.len > 0;
	number_at = model_add_text(&st->user, number.s, number.len);
	if (model_add_group(&st->user, number_at, add_name(st, name), add_name(st, external),
			    st->fault) < 0)
		stop(st);
}

static void
add_contact(struct state *st, int n, const xmlChar **attributes)
{
	struct slice buddy = attribute(st, W_BUDDY, n, attributes);
	struct slice groups = attribute(st, W_MEMBER_OF, n, attributes);
	struct slice name = attribute(st, W_NAME, n, attributes);
	uint32_t buddy_at, groups_at;

	if (st->sniffing) {
		sniff(st, name);
		return;
	}
	if (buddy.len == 0) {
		refuse(st, "a Contact without Buddy");
		return;
	}
	buddy_at = model_add_text(&st->user, buddy.s, buddy.len);
	groups_at = model_add_text(&st->user, groups.s, groups.len);
	if (model_add_contact(&st->user, buddy_at, add_name(st, name), groups_at, st->fault) < 0)
		stop(st);
}

/* An element that is none of ours: its inside is skipped. */
static enum place
skip(struct state *st, enum place in)
{
	if (in == P_RESOURCE && !st->sniffing)
		st->stats->other_sections++;
	st->skip_depth = st->depth;
	return P_LEAF;
}

static enum place
enter(struct state *st, enum place in, const xmlChar *name, int n, const xmlChar **attributes)
{
	if (in == P_RESOURCES && name == st->word[W_RESOURCE]) {
		begin_user(st, n, attributes);
		return P_RESOURCE;
	}
	if (in == P_RESOURCE && name == st->word[W_GROUPS])
		return P_GROUPS;
	if (in == P_RESOURCE && name == st->word[W_CONTACTS])
		return P_CONTACTS;
	if (in == P_GROUPS && name == st->word[W_GROUP])
		add_group(st, n, attributes);
	else if (in == P_CONTACTS && name == st->word[W_CONTACT])
		add_contact(st, n, attributes);
	else
		return skip(st, in);
	st->skip_depth = st->depth;
	return P_LEAF;
}

static void
on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
	 int n_namespaces, const xmlChar **namespaces, int n, int n_defaulted,
	 const xmlChar **attributes)
{
	struct state *st = ctx;
	enum place in = st->depth ? st->stack[st->depth - 1] : P_TOP;

	(void)prefix, (void)n_namespaces, (void)namespaces, (void)n_defaulted;
	if (st->stopped)
		return;
	st->depth++;
	if (st->skip_depth)
		return;
	if (in == P_TOP) {
		if (name != st->word[W_RESOURCES] || uri != st->word[W_NAMESPACE]) {
			fault_set(st->fault, RESITE_ERR_REFUSED,
				  "line %d: this is no dbimpexp export of Lync 2010: its root is "
				  "'%s' in namespace '%s', not HomedResources in " NAMESPACE,
				  st->xml->input->line, (const char *)name,
				  uri ? (const char *)uri : "");
			stop(st);
		}
		st->stack[0] = P_RESOURCES;
		return;
	}
	st->stack[st->depth - 1] = uri == st->word[W_NAMESPACE]
					   ? enter(st, in, name, n, attributes)
					   : skip(st, in);
}

static void
finish_user(struct state *st)
{
	struct model_user *u = &st->user;

	st->have_user = false;
	st->stats->users++;
	st->stats->users_without_contacts += u->n_contacts == 0;
	st->stats->contacts += u->n_contacts;
	st->stats->self_contacts += u->self_contacts;
	st->stats->duplicates += u->duplicates;
	if (model_finish(u, st->fault) < 0 ||
	    st->reader->user(st->reader->arg, u, st->fault) < 0)
		stop(st);
}

static void
on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct state *st = ctx;

	(void)name, (void)prefix, (void)uri;
	if (st->stopped)
		return;
	if (st->skip_depth == st->depth)
		st->skip_depth = 0;
	st->depth--;
	if (st->depth == 1 && st->have_user)
		finish_user(st);
}

static void
on_doctype(void *ctx, const xmlChar *name, const xmlChar *public_id, const xmlChar *system_id)
{
	(void)name, (void)public_id, (void)system_id;
	refuse(ctx, "it has a DOCTYPE, which no export has and which could define entities");
}

/* --- the file ---------------------------------------------------------------- */

static int
parse_error(const struct state *st, struct fault *f)
{
	const xmlError *e = xmlCtxtGetLastError(st->xml);

	if (st->stopped)
		return f->rc;
	if (!e)
		return fault_set(f, RESITE_ERR_REFUSED,
				 "near byte %" PRIu64 ": bytes that its encoding does not have",
				 st->stats->bytes);
	if (e->code == XML_ERR_NO_MEMORY)
		return fault_memory(f);
	return fault_set(f, RESITE_ERR_REFUSED, "line %d: malformed XML: %.*s", e->line,
			 (int)strcspn(e->message ? e->message : "", "\n"),
			 e->message ? e->message : "");
}

static int
open_parser(struct state *st, const char *data, size_t len, struct fault *f)
{
	static const xmlSAXHandler handler = {
		.initialized = XML_SAX2_MAGIC,
		.startElementNs = on_start,
		.endElementNs = on_end,
		.internalSubset = on_doctype,
	};
	xmlSAXHandler sax = handler;

	/* The first four bytes tell UTF-16 from UTF-8. */
	st->xml = xmlCreatePushParserCtxt(&sax, st, data, len < 4 ? (int)len : 4, NULL);
	if (!st->xml)
		return fault_memory(f);
	/* Without a DOCTYPE there is nothing to substitute but &amp; and its kin. */
	xmlCtxtUseOptions(st->xml, XML_PARSE_NONET | XML_PARSE_NOENT);
	for (int i = 0; i < N_WORDS; i++)
		st->word[i] = xmlDictLookup(st->xml->dict, (const xmlChar *)words[i], -1);
	return RESITE_OK;
}

static int
feed(struct state *st, const char *data, size_t len, struct fault *f)
{
	size_t skip_bytes = 0;

	if (!st->xml) {
		if (open_parser(st, data, len, f) < 0)
			return f->rc;
		skip_bytes = len < 4 ? len : 4;
	}
	if (xmlParseChunk(st->xml, data + skip_bytes, (int)(len - skip_bytes), 0) || st->stopped)
		return st->sniffing && st->names != NAMES_UNKNOWN ? RESITE_OK
								  : parse_error(st, f);
	return RESITE_OK;
}

static int
finish(struct state *st, struct fault *f)
{
	if (!st->xml)
		return fault_set(f, RESITE_ERR_REFUSED, "the file is empty");
	if (xmlParseChunk(st->xml, NULL, 0, 1) || st->stopped)
		return parse_error(st, f);
	return RESITE_OK;
}

static int
pump(struct state *st, int fd, uint64_t size, char *chunk, struct fault *f)
{
	for (;;) {
		ssize_t n = read(fd, chunk, CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fault_set(f, RESITE_ERR_REFUSED, "read: %s", strerror(errno));
		if (n == 0)
			return finish(st, f);
		if (!st->sniffing) {
			st->stats->bytes += (uint64_t)n;
			if (st->reader->piece && st->reader->piece(st->reader->arg, chunk,
								   (size_t)n, size, f) < 0)
				return f->rc;
		}
		if (feed(st, chunk, (size_t)n, f) < 0)
			return f->rc;
		if (st->sniffing && st->names != NAMES_UNKNOWN)
			return RESITE_OK;
	}
}

/* One pass over the file from its start. */
static int
pass(struct state *st, int fd, uint64_t size, struct fault *f)
{
	char *chunk = malloc(CHUNK);
	int rc = chunk ? pump(st, fd, size, chunk, f) : fault_memory(f);

	free(chunk);
	if (st->xml)
		xmlFreeParserCtxt(st->xml);
	st->xml = NULL;
	return rc;
}

/* First how names are written, mostly decided by the first user; then the users. */
static int
two_passes(struct state *st, int fd, uint64_t size, struct fault *f)
{
	st->sniffing = true;
	if (pass(st, fd, size, f) < 0)
		return f->rc;
	/* All names decode, and none is "fg==": then they are what the format says. */
	if (st->names == NAMES_UNKNOWN)
		st->names = NAMES_BASE64;
	st->stats->base64 = st->names == NAMES_BASE64;
	st->sniffing = st->stopped = false;
	st->depth = st->skip_depth = 0;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return fault_set(f, RESITE_ERR_REFUSED, "rewind: %s", strerror(errno));
	return pass(st, fd, size, f);
}

/* libxml2 would print what we quote in the fault. */
static void
say_nothing(void *ctx, xmlErrorPtr error)
{
	(void)ctx, (void)error;
}

static void
print_nothing(void *ctx, const char *fmt, ...)
{
	(void)ctx, (void)fmt;
}

int
dbimpexp_read(const char *path, const struct dbimpexp_reader *reader,
	      struct dbimpexp_stats *ret, struct fault *f)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
	struct state *st = calloc(1, sizeof *st);
	struct dbimpexp_stats stats = {0};
	struct stat info;

	if (!st)
		rc = fault_memory(f);
	else if (fd < 0 || fstat(fd, &info) < 0)
		rc = fault_set(f, RESITE_ERR_REFUSED, "%s", strerror(errno));
	else {
		st->reader = reader;
		st->stats = &stats;
		st->fault = f;
		xmlSetStructuredErrorFunc(NULL, say_nothing);
		xmlSetGenericErrorFunc(NULL, print_nothing);
		rc = two_passes(st, fd, (uint64_t)info.st_size, f);
		xmlSetStructuredErrorFunc(NULL, NULL);
		xmlSetGenericErrorFunc(NULL, NULL);
		model_release(&st->user);
		buf_release(&st->scratch);
	}
	if (rc < 0)
		fault_prefix(f, "%s", path);
	else
		*ret = stats;
	free(st);
	if (fd >= 0)
		close(fd);
	return rc;
}
