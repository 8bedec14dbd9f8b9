#include "plugins/contacts/xmlin.h"

#include "plugins/contacts/text.h"

#include <inttypes.h>
#include <libxml/parserInternals.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CHUNK (64 * 1024)
/* So much tells the encoding and holds the XML declaration. */
#define HEAD_BYTES 512

enum { ENC_UNKNOWN, ENC_UTF8, ENC_UTF16LE, ENC_UTF16BE };

/* --- for handlers ---------------------------------------------------------------- */

const xmlChar *
xmlin_word(struct xmlin *x, const char *word)
{
	return xmlDictLookup(x->xml->dict, (const xmlChar *)word, -1);
}

int
xmlin_line(const struct xmlin *x)
{
	return x->xml->input ? x->xml->input->line : 0;
}

void
xmlin_stop(struct xmlin *x)
{
	x->stopped = true;
	xmlStopParser(x->xml);
}

void
xmlin_refuse(struct xmlin *x, const char *fmt, ...)
{
	char what[600];
	va_list ap;

	if (x->stopped)
		return;
	va_start(ap, fmt);
	if (vsnprintf(what, sizeof what, fmt, ap) < 0)
		what[0] = '\0';
	va_end(ap);
	fault_set(x->fault, RESITE_ERR_REFUSED, "line %d: %s", xmlin_line(x), what);
	xmlin_stop(x);
}

uint64_t
xmlin_here(const struct xmlin *x)
{
	const xmlParserInput *in = x->xml->input;

	return in->consumed + (uint64_t)(in->cur - in->base);
}

/* No < can stand inside a tag (XML 1.0, "No < in Attribute Values"): the last one began it. */
uint64_t
xmlin_tag(struct xmlin *x)
{
	uint64_t here = xmlin_here(x);
	const char *at = here < x->window_at || here - x->window_at > x->window.len
				 ? NULL : memrchr(x->window.p, '<', here - x->window_at);

	if (at)
		return x->window_at + (uint64_t)(at - x->window.p);
	fault_set(x->fault, RESITE_ERR_BUG, "line %d: the tag's begin is lost", xmlin_line(x));
	xmlin_stop(x);
	return here;
}

void
xmlin_keep(struct xmlin *x, uint64_t from)
{
	x->keep = from;
}

struct slice
xmlin_raw(struct xmlin *x, uint64_t from, uint64_t to)
{
	if (from < x->window_at || to < from || to - x->window_at > x->window.len) {
		if (!x->stopped)
			fault_set(x->fault, RESITE_ERR_BUG, "line %d: a text was not kept",
				  xmlin_line(x));
		x->stopped = true;
		return (struct slice){"", 0};
	}
	return (struct slice){x->window.p + (from - x->window_at), to - from};
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The parser has proven that the tag is well-formed. */
bool
xmlin_next_raw(struct slice tag, size_t *at, struct slice *ret_name, struct slice *ret_all)
{
	size_t i = *at, begin, equals;
	char quote;

	if (i == 0)
		while (i < tag.len && !is_space(tag.s[i]))
			i++;
	while (i < tag.len && is_space(tag.s[i]))
		i++;
	begin = i;
	while (i < tag.len && tag.s[i] != '=' && !is_space(tag.s[i]))
		i++;
	equals = i;
	while (i < tag.len && tag.s[i] != '"' && tag.s[i] != '\'')
		i++;
	if (i >= tag.len)
		return false;
	quote = tag.s[i++];
	while (i < tag.len && tag.s[i] != quote)
		i++;
	if (i >= tag.len)
		return false;
	*at = i + 1;
	*ret_name = (struct slice){tag.s + begin, equals - begin};
	*ret_all = (struct slice){tag.s + begin, i + 1 - begin};
	return true;
}

/* --- libxml2's calls -------------------------------------------------------------- */

static void
on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
	 int n_namespaces, const xmlChar **namespaces, int n, int n_defaulted,
	 const xmlChar **attributes)
{
	struct xmlin *x = ctx;

	(void)prefix, (void)namespaces, (void)n_defaulted;
	if (x->stopped)
		return;
	x->depth++;
	x->calls->start(x->arg, name, uri, n, n + n_namespaces, attributes);
}

static void
on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct xmlin *x = ctx;

	(void)name, (void)prefix, (void)uri;
	if (x->stopped)
		return;
	x->calls->end(x->arg);
	x->depth--;
}

static void
on_text(void *ctx, const xmlChar *s, int len)
{
	struct xmlin *x = ctx;

	if (!x->stopped && x->calls->text)
		x->calls->text(x->arg, (const char *)s, (size_t)len);
}

static void
on_doctype(void *ctx, const xmlChar *name, const xmlChar *public_id, const xmlChar *system_id)
{
	(void)name, (void)public_id, (void)system_id;
	xmlin_refuse(ctx, "it has a DOCTYPE, which no export has and which could define entities");
}

/* libxml2 would print what we quote in the fault. */
static void
say_nothing(void *ctx, xmlErrorPtr error)
{
	(void)ctx, (void)error;
}

int
xmlin_open(struct xmlin *x, struct fault *f)
{
	xmlSAXHandler sax = {
		.initialized = XML_SAX2_MAGIC,
		.startElementNs = on_start,
		.endElementNs = on_end,
		.characters = x->calls->text ? on_text : NULL,
		.cdataBlock = x->calls->text ? on_text : NULL,
		.internalSubset = on_doctype,
		.serror = say_nothing,
	};

	x->fault = f;
	x->keep = XMLIN_NOTHING;
	x->xml = xmlCreatePushParserCtxt(&sax, x, NULL, 0, NULL);
	if (!x->xml)
		return fault_memory(f);
	/* Without a DOCTYPE there is nothing to substitute but &amp; and its kin.  What the file
	 * says of its encoding is not asked: tools write "utf-16" into UTF-8 and back. */
	xmlCtxtUseOptions(x->xml, XML_PARSE_NONET | XML_PARSE_NOENT | XML_PARSE_IGNORE_ENC);
	return RESITE_OK;
}

void
xmlin_close(struct xmlin *x)
{
	if (x->xml)
		xmlFreeParserCtxt(x->xml);
	x->xml = NULL;
	buf_release(&x->window);
	buf_release(&x->raw);
}

/* --- encodings --------------------------------------------------------------------- */

/* A byte order mark, or what the "<" of the first tag looks like.  *ret_skip: the mark's length. */
static int
encoding_of(const unsigned char *s, size_t len, size_t *ret_skip)
{
	static const struct { unsigned char is[4]; unsigned char n, skip; int encoding; } t[] = {
		{{0xef, 0xbb, 0xbf}, 3, 3, ENC_UTF8},
		{{0xff, 0xfe}, 2, 2, ENC_UTF16LE},
		{{0xfe, 0xff}, 2, 2, ENC_UTF16BE},
		{{'<', 0}, 2, 0, ENC_UTF16LE},
		{{0, '<'}, 2, 0, ENC_UTF16BE},
	};

	*ret_skip = 0;
	for (size_t i = 0; i < sizeof t / sizeof *t; i++)
		if (len >= t[i].n && !memcmp(s, t[i].is, t[i].n)) {
			*ret_skip = t[i].skip;
			return t[i].encoding;
		}
	return ENC_UTF8;
}

/* The encoding that the XML declaration names. */
static struct slice
declared(const char *s, size_t len)
{
	const char *end = len > 5 && !memcmp(s, "<?xml", 5) ? memmem(s, len, "?>", 2) : NULL;
	const char *at = end ? memmem(s, (size_t)(end - s), "encoding", 8) : NULL, *close;

	while (at && at < end && *at != '"' && *at != '\'')
		at++;
	close = at && at < end ? memchr(at + 1, *at, (size_t)(end - at - 1)) : NULL;
	return close ? (struct slice){at + 1, (size_t)(close - at - 1)} : (struct slice){"", 0};
}

/* One that we can read, whichever of them the file is really in. */
static bool
is_known(struct slice name)
{
	static const char *const known[] = {"", "utf-8", "utf8", "us-ascii", "ascii", "utf-16",
					    "utf-16le", "utf-16be", "unicode", "ucs-2"};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (name.len == strlen(known[i]) && !strncasecmp(name.s, known[i], name.len))
			return true;
	return false;
}

/* --- feeding ------------------------------------------------------------------------ */

static int
parse_error(const struct xmlin *x)
{
	const xmlError *e = xmlCtxtGetLastError(x->xml);

	if (x->stopped)
		return x->fault->rc;
	if (!e)
		return fault_set(x->fault, RESITE_ERR_REFUSED,
				 "near byte %" PRIu64 ": bytes that its encoding does not have",
				 x->read_bytes);
	if (e->code == XML_ERR_NO_MEMORY)
		return fault_memory(x->fault);
	return fault_set(x->fault, RESITE_ERR_REFUSED, "line %d: malformed XML: %.*s", e->line,
			 (int)strcspn(e->message ? e->message : "", "\n"),
			 e->message ? e->message : "");
}

/* Forgets what nobody wants and the parser has behind it. */
static int
slide(struct xmlin *x)
{
	uint64_t from = xmlin_here(x), n;

	if (x->keep < from)
		from = x->keep;
	n = from - x->window_at;
	if (x->window.len - n > XMLIN_KEEP_MAX)
		return fault_set(x->fault, RESITE_ERR_REFUSED,
				 "line %d: one user's element is larger than %u MiB",
				 xmlin_line(x), XMLIN_KEEP_MAX >> 20);
	if (n > 0)
		memmove(x->window.p, x->window.p + n, x->window.len - n);
	x->window.len -= n;
	x->window_at = from;
	return RESITE_OK;
}

/* Turns raw bytes into text; what is left of a character waits for the rest of it. */
static int
to_text(struct xmlin *x, bool at_end)
{
	size_t used = x->raw.len;

	if (x->encoding == ENC_UTF8)
		buf_add(&x->window, x->raw.p, used);
	else if (!text_from_utf16(x->raw.p, x->raw.len, x->encoding == ENC_UTF16BE, &x->window,
				  &used))
		return fault_set(x->fault, RESITE_ERR_REFUSED,
				 "near byte %" PRIu64 ": half of a UTF-16 surrogate pair",
				 x->read_bytes);
	if (x->window.failed)
		return fault_memory(x->fault);
	memmove(x->raw.p, x->raw.p + used, x->raw.len - used);
	x->raw.len -= used;
	if (at_end && x->raw.len)
		return fault_set(x->fault, RESITE_ERR_REFUSED,
				 "it ends in the middle of a UTF-16 character");
	return RESITE_OK;
}

static int
begin(struct xmlin *x)
{
	struct slice name;
	size_t skip;

	x->encoding = encoding_of((const unsigned char *)x->raw.p, x->raw.len, &skip);
	memmove(x->raw.p, x->raw.p + skip, x->raw.len - skip);
	x->raw.len -= skip;
	name = x->encoding == ENC_UTF8 ? declared(x->raw.p, x->raw.len) : (struct slice){"", 0};
	if (is_known(name))
		return RESITE_OK;
	return fault_set(x->fault, RESITE_ERR_REFUSED,
			 "its encoding '%.*s' is neither UTF-8 nor UTF-16: convert it first (iconv)",
			 name.len > 60 ? 60 : (int)name.len, name.s);
}

static int
feed(struct xmlin *x, bool at_end)
{
	size_t before;

	if (x->encoding == ENC_UNKNOWN) {
		if (x->raw.len < HEAD_BYTES && !at_end)
			return RESITE_OK;
		if (begin(x) < 0)
			return x->fault->rc;
	}
	if (slide(x) < 0)
		return x->fault->rc;
	before = x->window.len;
	if (to_text(x, at_end) < 0)
		return x->fault->rc;
	if (x->window.len > before)
		xmlParseChunk(x->xml, x->window.p + before, (int)(x->window.len - before), 0);
	if (at_end && !x->stopped)
		xmlParseChunk(x->xml, NULL, 0, 1);
	if (x->stopped || !x->xml->wellFormed)
		return parse_error(x);
	/* Bytes that look like EBCDIC and such: places in the text would be wrong. */
	if (x->xml->input && x->xml->input->buf && x->xml->input->buf->encoder)
		return fault_set(x->fault, RESITE_ERR_REFUSED, "its encoding is unknown");
	return RESITE_OK;
}

int
xmlin_run(struct xmlin *x, const struct bytes *in)
{
	size_t n = 1;
	char *to;

	x->fault->rc = RESITE_OK;
	while (n > 0) {
		to = buf_room(&x->raw, CHUNK);
		if (!to)
			return fault_memory(x->fault);
		if (in->read(in->arg, to, CHUNK, &n, x->fault) < 0)
			return x->fault->rc;
		x->raw.len += n;
		x->read_bytes += n;
		if (n == 0 && x->read_bytes == 0)
			return fault_set(x->fault, RESITE_ERR_REFUSED, "the file is empty");
		if (feed(x, n == 0) < 0)
			return x->fault->rc;
		if (x->stopped)
			return x->fault->rc;
	}
	return RESITE_OK;
}
