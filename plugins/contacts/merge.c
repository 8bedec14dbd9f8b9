#include "plugins/contacts/merge.h"

#include "plugins/contacts/lists.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_ENTRIES 20000
#define MAX_DEPTH 40

/* The entries of a document. */
struct entries {
	xmlDoc *doc;
	xmlNode **list; /* in the order of the document, then sorted by address */
	size_t n, cap;
};

/* --- documents ---------------------------------------------------------------------- */

static bool
is_element(const xmlNode *n, const char *name)
{
	return n->type == XML_ELEMENT_NODE && !strcmp((const char *)n->name, name) && n->ns &&
	       !strcmp((const char *)n->ns->href, LISTS_NAMESPACE);
}

/* The value as it stands in the node; "" when it has none. */
static const char *
attribute(const xmlNode *n, const char *name)
{
	const xmlAttr *a = xmlHasProp(n, (const xmlChar *)name);

	return a && a->children && a->children->content ? (const char *)a->children->content : "";
}

/* Without its scheme, so that "sip:bob@x" and "bob@x" are one contact. */
static const char *
address(const xmlNode *entry)
{
	const char *uri = attribute(entry, "uri");

	return strncasecmp(uri, "sip:", 4) ? uri : uri + 4;
}

static int
collect(struct entries *e, xmlNode *in, int depth, struct fault *f)
{
	for (xmlNode *n = in->children; n; n = n->next) {
		if (is_element(n, "list") && depth < MAX_DEPTH && collect(e, n, depth + 1, f) < 0)
			return f->rc;
		if (!is_element(n, "entry") || e->n == MAX_ENTRIES)
			continue;
		if (e->n == e->cap) {
			size_t cap = e->cap ? 2 * e->cap : 64;
			xmlNode **list = reallocarray(e->list, cap, sizeof *list);

			if (!list)
				return fault_memory(f);
			e->list = list;
			e->cap = cap;
		}
		e->list[e->n++] = n;
	}
	return RESITE_OK;
}

/* lists_count refuses what is malformed or has a DOCTYPE, before a tree is made of it. */
static int
open_entries(struct entries *e, const char *text, size_t len, struct fault *f)
{
	struct lists_counts counts;

	if (lists_count(text, len, &counts, f) < 0)
		return f->rc;
	e->doc = xmlReadMemory(text, (int)len, NULL, NULL,
			       XML_PARSE_NOENT | XML_PARSE_NONET | XML_PARSE_NOERROR |
				       XML_PARSE_NOWARNING);
	return e->doc ? collect(e, xmlDocGetRootElement(e->doc), 0, f) : fault_memory(f);
}

static void
release_entries(struct entries *e)
{
	xmlFreeDoc(e->doc);
	free(e->list);
}

static int
by_address(const void *a, const void *b)
{
	return strcasecmp(address(*(xmlNode *const *)a), address(*(xmlNode *const *)b));
}

/* A sorted copy, to look addresses up in; NULL: no memory. */
static xmlNode **
sorted(const struct entries *e)
{
	xmlNode **copy = malloc((e->n + 1) * sizeof *copy);

	if (!copy)
		return NULL;
	if (e->n)
		memcpy(copy, e->list, e->n * sizeof *copy);
	qsort(copy, e->n, sizeof *copy, by_address);
	return copy;
}

/* --- differences ---------------------------------------------------------------------- */

static void
note(struct merge_side *side, const xmlNode *entry)
{
	size_t len = strlen(side->names);

	side->n++;
	if (side->n <= 3)
		snprintf(side->names + len, sizeof side->names - len, "%s%.40s", len ? ", " : "",
			 address(entry));
	else if (side->n == 4)
		snprintf(side->names + len, sizeof side->names - len, ", ...");
}

/* --- adding ------------------------------------------------------------------------------ */

/* The list of that name below the root; a list without one is found by having none. */
static xmlNode *
find_list(xmlNode *root, const char *name)
{
	for (xmlNode *n = root->children; n; n = n->next)
		if (is_element(n, "list") && !strcmp(attribute(n, "name"), name))
			return n;
	return NULL;
}

/* A copy of n as the last child of parent, which uses the parent's declarations of namespaces. */
static bool
add_copy(xmlNode *parent, const xmlNode *n)
{
	xmlNode *copy = NULL;

	if (xmlDOMWrapCloneNode(NULL, n->doc, (xmlNode *)(uintptr_t)n, &copy, parent->doc, parent, 1,
				0) != 0)
		return false;
	return xmlAddChild(parent, copy) != NULL;
}

/* A list like that one, with its names and without its entries. */
static xmlNode *
add_list(xmlNode *root, const xmlNode *like)
{
	xmlNode *list = xmlNewChild(root, root->ns, (const xmlChar *)"list", NULL);
	const char *name = attribute(like, "name");

	if (list && *name)
		xmlSetProp(list, (const xmlChar *)"name", (const xmlChar *)name);
	for (const xmlNode *n = like->children; list && n; n = n->next)
		if (is_element(n, "display-name") && !add_copy(list, n))
			return NULL;
	return list;
}

/* Into the list of the same name at the target; nested lists of the saved one become lists of the
 * target's root. */
static int
add_entry(xmlDoc *doc, const xmlNode *entry, struct fault *f)
{
	xmlNode *root = xmlDocGetRootElement(doc), *list = root;

	if (is_element(entry->parent, "list")) {
		list = find_list(root, attribute(entry->parent, "name"));
		if (!list)
			list = add_list(root, entry->parent);
	}
	return list && add_copy(list, entry) ? RESITE_OK : fault_memory(f);
}

static int
put_text(struct buf *out, xmlDoc *doc, struct fault *f)
{
	xmlChar *text = NULL;
	int len = 0;

	xmlDocDumpMemoryEnc(doc, &text, &len, "UTF-8");
	if (!text)
		return fault_memory(f);
	buf_clear(out);
	buf_add(out, (const char *)text, (size_t)len);
	xmlFree(text);
	return out->failed ? fault_memory(f) : RESITE_OK;
}

/* A contact that the target knows stays in the groups where the target has her; one that it does not
 * know is added to those of the saved list. */
static int
unite(struct merged *m, struct entries *there, struct entries *saved, struct fault *f)
{
	xmlNode **have = sorted(there), **want = sorted(saved);
	int rc = have && want ? RESITE_OK : fault_memory(f);

	for (size_t i = 0; rc == RESITE_OK && i < there->n; i++)
		if (!bsearch(&there->list[i], want, saved->n, sizeof *want, by_address))
			note(&m->only, there->list[i]);
	for (size_t i = 0; rc == RESITE_OK && i < saved->n; i++)
		if (!bsearch(&saved->list[i], have, there->n, sizeof *have, by_address)) {
			note(&m->added, saved->list[i]);
			rc = add_entry(there->doc, saved->list[i], f);
		}
	free(have);
	free(want);
	if (rc == RESITE_OK && m->added.n)
		rc = put_text(&m->text, there->doc, f);
	return rc;
}

int
merge_decide(struct merged *m, enum existing existing, const char *there, size_t there_len,
	     const char *saved, size_t saved_len, struct fault *f)
{
	struct entries a = {0}, b = {0};
	int rc = RESITE_OK;

	buf_clear(&m->text);
	m->added = m->only = (struct merge_side){0};
	m->leave = there && (existing == EXISTING_KEEP ||
			     (there_len == saved_len && !memcmp(there, saved, saved_len)));
	if (m->leave || !there || existing == EXISTING_REPLACE)
		return RESITE_OK;
	rc = open_entries(&a, there, there_len, f);
	if (rc < 0)
		fault_prefix(f, "the list at the target cannot be merged with");
	else if ((rc = open_entries(&b, saved, saved_len, f)) < 0)
		fault_prefix(f, "the saved list cannot be merged");
	else
		rc = unite(m, &a, &b, f);
	m->leave = rc == RESITE_OK && m->added.n == 0;
	release_entries(&a);
	release_entries(&b);
	return rc;
}

void
merge_release(struct merged *m)
{
	buf_release(&m->text);
}

int64_t
merge_written_ms(const char *etag)
{
	long long s;

	return sscanf(etag, "sr-%12lld-", &s) == 1 && s > 0 ? s * 1000 : 0;
}
