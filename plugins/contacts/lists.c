#include "plugins/contacts/lists.h"

#include "plugins/contacts/formats.h"
#include "plugins/contacts/text.h"

#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* --- writing ----------------------------------------------------------------- */

static void
add_attribute(struct buf *out, const char *name, const char *prefix, const char *value)
{
	buf_puts(out, " ");
	buf_puts(out, name);
	buf_puts(out, "=\"");
	buf_puts(out, prefix);
	text_escape(out, value);
	buf_puts(out, "\"");
}

static void
add_display_name(struct buf *out, const char *name)
{
	buf_puts(out, "<display-name>");
	text_escape(out, name);
	buf_puts(out, "</display-name>");
}

/* "bob@contoso.com" becomes a SIP address; "sip:..." and "tel:..." are addresses. */
static const char *
scheme_for(const char *buddy)
{
	return !strncasecmp(buddy, "sip:", 4) || !strncasecmp(buddy, "sips:", 5) ||
			       !strncasecmp(buddy, "tel:", 4)
		       ? ""
		       : "sip:";
}

static void
add_entry(struct buf *out, const struct model_user *u, const struct model_contact *c)
{
	const char *buddy = model_text(u, c->buddy), *name = model_text(u, c->name);

	buf_puts(out, "    <entry");
	add_attribute(out, "uri", scheme_for(buddy), buddy);
	if (*name) {
		buf_puts(out, ">");
		add_display_name(out, name);
		buf_puts(out, "</entry>\n");
	} else {
		buf_puts(out, "/>\n");
	}
}

/* RFC 4826 wants names of sibling lists to differ; a later one of the same name gets its number. */
static bool
name_taken(const struct model_user *u, const struct model_group *g)
{
	for (const struct model_group *other = u->groups; other < g; other++)
		if (!strcmp(model_text(u, other->name), model_text(u, g->name)))
			return true;
	return false;
}

static void
add_list_name(struct buf *out, const struct model_user *u, const struct model_group *g)
{
	buf_puts(out, " name=\"");
	text_escape(out, model_text(u, g->name));
	if (name_taken(u, g)) {
		buf_puts(out, " (");
		text_escape(out, model_text(u, g->number));
		buf_puts(out, ")");
	}
	buf_puts(out, "\"");
}

static void
add_list(struct buf *out, const struct model_user *u, const struct model_group *g)
{
	const char *name = model_text(u, g->name), *external = model_text(u, g->external);

	buf_puts(out, "  <list");
	add_list_name(out, u, g);
	if (*external) {
		add_attribute(out, "xmlns:r", "", LISTS_OWN_NAMESPACE);
		add_attribute(out, "r:external", "", external);
	}
	buf_puts(out, ">\n    ");
	add_display_name(out, strcmp(name, MODEL_OTHER) || name_taken(u, g) ? name
								      : "Other Contacts");
	buf_puts(out, "\n");
	for (uint32_t m = g->first; m != MODEL_NONE; m = u->members[m].next)
		add_entry(out, u, &u->contacts[u->members[m].contact]);
	buf_puts(out, "  </list>\n");
}

void
lists_write(struct buf *out, const struct model_user *u)
{
	buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		      "<resource-lists xmlns=\"" LISTS_NAMESPACE "\">\n");
	for (uint32_t i = 0; i < u->n_groups; i++)
		add_list(out, u, &u->groups[i]);
	buf_puts(out, "</resource-lists>\n");
}

static int
begin_nothing(struct writer *w, struct fault *f)
{
	(void)w, (void)f;
	return RESITE_OK;
}

/* A document that was one before goes out as it came in. */
static int
write_user(struct writer *w, const struct model_user *u, struct fault *f)
{
	buf_clear(&w->text);
	if (u->family == FAMILY_LISTS && u->native)
		return w->out.write(w->out.arg, u->native, u->native_len, f);
	lists_write(&w->text, u);
	return w->text.failed ? fault_memory(f)
			      : w->out.write(w->out.arg, w->text.p, w->text.len, f);
}

const struct format_writer lists_writer = {
	.begin = begin_nothing, .user = write_user, .end = begin_nothing,
};

/* --- looking ----------------------------------------------------------------- */

struct look {
	xmlParserCtxtPtr xml;
	struct lists_counts counts;
	bool doctype, strange; /* has a DOCTYPE; its root is another element */
	int depth;
};

static void
on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
	 int n_namespaces, const xmlChar **namespaces, int n, int n_defaulted,
	 const xmlChar **attributes)
{
	struct look *look = ctx;
	bool ours = uri && !strcmp((const char *)uri, LISTS_NAMESPACE);

	(void)prefix, (void)n_namespaces, (void)namespaces;
	(void)n, (void)n_defaulted, (void)attributes;
	if (look->depth++ == 0 && (!ours || strcmp((const char *)name, "resource-lists"))) {
		look->strange = true;
		xmlStopParser(look->xml);
	}
	if (ours && !strcmp((const char *)name, "list"))
		look->counts.lists++;
	else if (ours && !strcmp((const char *)name, "entry"))
		look->counts.entries++;
}

static void
on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	(void)name, (void)prefix, (void)uri;
	((struct look *)ctx)->depth--;
}

static void
on_doctype(void *ctx, const xmlChar *name, const xmlChar *public_id, const xmlChar *system_id)
{
	struct look *look = ctx;

	(void)name, (void)public_id, (void)system_id;
	look->doctype = true;
	xmlStopParser(look->xml);
}

static int
verdict(const struct look *look, struct lists_counts *ret, struct fault *f)
{
	const xmlError *e = xmlCtxtGetLastError(look->xml);

	if (look->doctype)
		return fault_set(f, RESITE_ERR_REFUSED, "the document has a DOCTYPE");
	if (look->strange)
		return fault_set(f, RESITE_ERR_REFUSED, "the document's root is not resource-lists");
	if (!look->xml->wellFormed)
		return fault_set(f, RESITE_ERR_REFUSED, "line %d: malformed XML: %.*s",
				 e ? e->line : 0, (int)strcspn(e ? e->message : "", "\n"),
				 e ? e->message : "");
	*ret = look->counts;
	return RESITE_OK;
}

/* libxml2 would print what we quote in the fault. */
static void
say_nothing(void *ctx, xmlErrorPtr error)
{
	(void)ctx, (void)error;
}

int
lists_count(const char *document, size_t len, struct lists_counts *ret, struct fault *f)
{
	xmlSAXHandler sax = {
		.initialized = XML_SAX2_MAGIC,
		.startElementNs = on_start,
		.endElementNs = on_end,
		.internalSubset = on_doctype,
	};
	struct look look = {0};
	int rc;

	xmlSetStructuredErrorFunc(NULL, say_nothing);
	look.xml = xmlCreatePushParserCtxt(&sax, &look, document, len < 4 ? (int)len : 4, NULL);
	if (!look.xml) {
		xmlSetStructuredErrorFunc(NULL, NULL);
		return fault_memory(f);
	}
	xmlCtxtUseOptions(look.xml, XML_PARSE_NONET);
	if (len > 4)
		xmlParseChunk(look.xml, document + 4, (int)(len - 4), 0);
	xmlParseChunk(look.xml, NULL, 0, 1);
	xmlSetStructuredErrorFunc(NULL, NULL);
	rc = verdict(&look, ret, f);
	xmlFreeParserCtxt(look.xml);
	return rc;
}
