/* Reading resource-lists (RFC 4826) into the model: a list is a group, an entry a contact in it. */
#include "plugins/contacts/lists.h"

#include "plugins/contacts/text.h"
#include "plugins/contacts/xmlin.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum word { W_ROOT, W_LIST, W_ENTRY, W_DISPLAY, W_NAME, W_URI, W_EXTERNAL, W_NAMESPACE, W_OWN, N_WORDS };

static const char *const words[N_WORDS] = {
	[W_ROOT] = "resource-lists",
	[W_LIST] = "list",
	[W_ENTRY] = "entry",
	[W_DISPLAY] = "display-name",
	[W_NAME] = "name",
	[W_URI] = "uri",
	[W_EXTERNAL] = "external",
	[W_NAMESPACE] = LISTS_NAMESPACE,
	[W_OWN] = LISTS_OWN_NAMESPACE,
};

#define MAX_DEPTH 40

enum place { P_TOP, P_ROOT, P_LIST, P_ENTRY, P_LIST_NAME, P_ENTRY_NAME };

struct state {
	struct xmlin x;
	struct model_user *u;
	struct read_stats *stats;
	struct fault *fault;
	const xmlChar *word[N_WORDS];
	enum place stack[MAX_DEPTH];
	uint32_t group[MAX_DEPTH]; /* of the list at that depth: its index */
	int skip_depth;
	uint32_t n_numbers;
	struct buf text;           /* of a display-name */
	struct buf uri, name;      /* of the entry that is open */
};

static struct slice
own_attribute(const struct state *st, enum word w, int n, const xmlChar **attributes)
{
	for (int i = 0; i < n; i++, attributes += 5)
		if (attributes[0] == st->word[w] && attributes[2] == st->word[W_OWN])
			return (struct slice){(const char *)attributes[3],
					      (size_t)(attributes[4] - attributes[3])};
	return (struct slice){"", 0};
}

static void
begin_list(struct state *st, int n, const xmlChar **attributes)
{
	struct slice name = xmlin_attribute(st->word[W_NAME], n, attributes);
	struct slice external = own_attribute(st, W_EXTERNAL, n, attributes);
	struct model_user *u = st->u;
	char number[16];
	bool other = slice_is(name, MODEL_OTHER) && model_find_group(u, "1", 1) == MODEL_NONE;

	/* "~" has the first number, as in Lync. */
	snprintf(number, sizeof number, "%u", other ? 1u : ++st->n_numbers);
	st->stats->groups++;
	st->stats->distribution_groups += external.len > 0;
	if (model_add_group(u, model_add_text(u, number, strlen(number)),
			    model_add_text(u, name.s, name.len),
			    model_add_text(u, external.s, external.len), st->fault) < 0)
		xmlin_stop(&st->x);
	else
		st->group[st->x.depth - 1] = u->n_groups - 1;
}

/* What people see is the group's name; the attribute is a key, and may be anything.  Only "~", which
 * each client shows in its own words, is known by its key. */
static void
end_list_name(struct state *st)
{
	struct model_group *g = &st->u->groups[st->group[st->x.depth - 2]];
	uint32_t name;

	if (st->text.len == 0 || !strcmp(model_text(st->u, g->name), MODEL_OTHER))
		return;
	name = model_add_text(st->u, st->text.p, st->text.len);
	if (name != MODEL_NONE)
		g->name = name;
	else
		st->text.failed = true;
}

static void
begin_entry(struct state *st, int n, const xmlChar **attributes)
{
	struct slice uri = xmlin_attribute(st->word[W_URI], n, attributes);

	if (uri.len == 0)
		xmlin_refuse(&st->x, "an entry without uri");
	buf_clear(&st->uri);
	buf_clear(&st->name);
	buf_add(&st->uri, uri.s, uri.len);
	if (uri.len > 4 && !strncasecmp(uri.s, "sip:", 4)) {
		buf_clear(&st->uri);
		buf_add(&st->uri, uri.s + 4, uri.len - 4);
	}
}

static void
end_entry(struct state *st)
{
	struct model_user *u = st->u;
	const struct model_group *g = &u->groups[st->group[st->x.depth - 2]];
	const char *number = model_text(u, g->number);
	char copy[16];

	snprintf(copy, sizeof copy, "%s", number);
	if (st->uri.failed || st->name.failed)
		fault_memory(st->fault);
	else if (model_add_contact(u, model_add_text(u, st->uri.p, st->uri.len),
				   model_add_text(u, st->name.len ? st->name.p : "", st->name.len),
				   model_add_text(u, copy, strlen(copy)), st->fault) == RESITE_OK)
		return;
	xmlin_stop(&st->x);
}

static enum place
enter(struct state *st, enum place in, const xmlChar *name, int n, const xmlChar **attributes)
{
	if ((in == P_ROOT || in == P_LIST) && name == st->word[W_LIST]) {
		st->stats->nested += in == P_LIST;
		begin_list(st, n, attributes);
		return P_LIST;
	}
	if (in == P_LIST && name == st->word[W_ENTRY]) {
		begin_entry(st, n, attributes);
		return P_ENTRY;
	}
	if ((in == P_LIST || in == P_ENTRY) && name == st->word[W_DISPLAY]) {
		buf_clear(&st->text);
		return in == P_LIST ? P_LIST_NAME : P_ENTRY_NAME;
	}
	return P_TOP;
}

static void
on_start(void *arg, const xmlChar *name, const xmlChar *uri, int n, int n_own,
	 const xmlChar **attributes)
{
	struct state *st = arg;
	int depth = st->x.depth;
	enum place is = P_TOP;

	(void)n_own;
	if (st->skip_depth)
		return;
	if (depth == 1) {
		if (name != st->word[W_ROOT] || uri != st->word[W_NAMESPACE])
			xmlin_refuse(&st->x, "the document's root is not resource-lists");
		st->stack[0] = P_ROOT;
		return;
	}
	if (depth > MAX_DEPTH) {
		xmlin_refuse(&st->x, "lists in lists more than %d deep", MAX_DEPTH);
		return;
	}
	if (uri == st->word[W_NAMESPACE])
		is = enter(st, st->stack[depth - 2], name, n, attributes);
	st->stack[depth - 1] = is;
	if (is != P_TOP || st->x.stopped)
		return;
	st->skip_depth = depth;
	st->stats->other_sections++;
	/* The document itself keeps them: here the name is enough. */
	if (model_add_extra(st->u, PLACE_SECTION, 0, (const char *)name,
			    strlen((const char *)name), "", 0, st->fault) < 0)
		xmlin_stop(&st->x);
}

static void
on_end(void *arg)
{
	struct state *st = arg;

	if (st->skip_depth) {
		if (st->skip_depth == st->x.depth)
			st->skip_depth = 0;
		return;
	}
	switch (st->stack[st->x.depth - 1]) {
	case P_LIST_NAME: end_list_name(st); break;
	case P_ENTRY: end_entry(st); break;
	case P_ENTRY_NAME:
		buf_clear(&st->name);
		buf_add(&st->name, st->text.p, st->text.len);
		break;
	default: break;
	}
}

static void
on_text(void *arg, const char *s, size_t len)
{
	struct state *st = arg;
	enum place in = st->x.depth ? st->stack[st->x.depth - 1] : P_TOP;

	if (!st->skip_depth && (in == P_LIST_NAME || in == P_ENTRY_NAME))
		buf_add(&st->text, s, len);
}

static int
parse(struct state *st, struct slice document)
{
	static const struct xmlin_calls calls = {on_start, on_end, on_text};
	const struct bytes bytes = {bytes_from_memory, &document};
	int rc;

	st->x = (struct xmlin){.calls = &calls, .arg = st};
	rc = xmlin_open(&st->x, st->fault);
	for (int i = 0; rc == RESITE_OK && i < N_WORDS; i++)
		st->word[i] = xmlin_word(&st->x, words[i]);
	if (rc == RESITE_OK)
		rc = xmlin_run(&st->x, &bytes);
	xmlin_close(&st->x);
	return rc;
}

int
lists_read(const char *user, const char *document, size_t len, struct model_user *ret,
	   struct read_stats *stats, struct fault *f)
{
	struct state st = {.u = ret, .stats = stats, .fault = f, .n_numbers = 1};
	int rc;

	if (model_begin(ret, model_bare(user), strlen(model_bare(user)), f) < 0)
		return f->rc;
	ret->family = FAMILY_LISTS;
	rc = parse(&st, (struct slice){document, len});
	if (rc == RESITE_OK && (st.text.failed || st.uri.failed || st.name.failed))
		rc = fault_memory(f);
	if (rc == RESITE_OK)
		rc = model_finish(ret, f);
	ret->native = document;
	ret->native_len = len;
	stats->users++;
	stats->users_without_contacts += ret->n_contacts == 0;
	stats->contacts += ret->n_contacts;
	stats->self_contacts += ret->self_contacts;
	stats->bytes += len;
	buf_release(&st.text);
	buf_release(&st.uri);
	buf_release(&st.name);
	return rc;
}
