/* Lists of next hops, and what proxies say of theirs and of their servers.  An edited list must still be one, with
 * the destination in it, and undoing it line by line must give the bytes that were there. */
#include "config.h"

#include "plugins/edge-nexthop/hastate.h"
#include "plugins/edge-nexthop/list.h"
#include "plugins/edge-nexthop/shown.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const to[] = {"sip:dr.example;transport=tcp"};

/* Takes the edits back by the text of their lines, the newest first. */
static void
undo(struct list *l, const struct list_edits *edits, const char *text, size_t len)
{
	size_t now_len;
	char *now;

	for (size_t i = edits->n; i-- > 0;) {
		const struct list_edit *e = &edits->v[i];
		size_t at = e->set ? list_find_text(l, e->set) : 0;

		if (at == l->n || !e->set || !e->was)
			return; /* lines that come and go have a place, which this does not know */
		if (!list_set_text(&l->lines[at], e->was))
			abort();
	}
	now = list_text(l, &now_len);
	if (!now || now_len != len)
		abort();
	(void)text;
	free(now);
}

static void
as_list(const struct list_dialect *dialect, const char *text, size_t len, bool keep)
{
	struct list_want want = {.set = 1, .to = to, .n_to = 1, .keep_others = keep, .attrs = "a=b"};
	struct list_edits edits, none;
	struct list l, after;
	char err[LIST_ERR], *out;
	size_t out_len;

	if (!list_parse(&l, dialect, text, len, err))
		return;
	if (list_plan(&l, &want, &edits, err)) {
		out = list_edited(&l, &edits, &out_len);
		if (!out || !list_parse(&after, dialect, out, out_len, err))
			abort();
		if (list_find(&after, 1, to[0]) == after.n || !list_plan(&after, &want, &none, err) ||
		    none.n)
			abort();
		undo(&l, &edits, text, len);
		list_edits_release(&none);
		list_release(&after);
		list_edits_release(&edits);
		free(out);
	}
	list_release(&l);
}

static void
as_json(const char *text, size_t len)
{
	json_t *doc = json_loadb(text, len, 0, NULL);
	struct shown shown;

	if (doc && shown_kamailio(doc, &shown))
		shown_release(&shown);
	if (doc && shown_opensips(doc, &shown))
		shown_release(&shown);
	json_decref(doc);
}

static void
as_kamcmd(const char *text, size_t len)
{
	char *copy = strndup(text, len), words[60];
	struct shown shown;

	if (copy && shown_kamcmd(copy, &shown)) {
		shown_text(&shown, 1, words, sizeof(words));
		shown_release(&shown);
	}
	free(copy);
}

static void
as_haproxy(const char *text, size_t len)
{
	char *copy = strndup(text, len), err[HA_ERR], words[20];
	struct ha_servers servers;

	if (copy && ha_parse(copy, &servers, err))
		ha_release(&servers);
	if (copy)
		ha_stat_status(copy, "meet", "dr", words, sizeof(words));
	free(copy);
}

/* The first byte says which of them it is. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = (const char *)data + 1;

	if (len < 1)
		return 0;
	if (*data == 'O') {
		as_list(&list_opensips, text, len - 1, false);
		as_list(&list_opensips, text, len - 1, true);
	} else if (*data == 'J') {
		as_json(text, len - 1);
	} else if (*data == 'C') {
		as_kamcmd(text, len - 1);
	} else if (*data == 'H') {
		as_haproxy(text, len - 1);
	} else {
		as_list(&list_kamailio, text, len - 1, false);
		as_list(&list_kamailio, text, len - 1, true);
	}
	return 0;
}
