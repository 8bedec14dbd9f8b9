/* The actions kamailio and opensips: the next hop is a line in a list file that the proxy
 * reads when it is told to.  Nothing that it says about the reload is believed; what counts
 * is the list that it shows afterwards, and an answer through it. */
#include "config.h"

#include "plugins/edge-nexthop/nexthop.h"

#include <stdlib.h>
#include <string.h>

static const struct proxy kamailio = {
	.dialect = &list_kamailio, .reload = "dispatcher.reload", .list = "dispatcher.list",
	.by_hand = "kamcmd dispatcher.reload", .shown = shown_kamailio,
};
static const struct proxy opensips = {
	.dialect = &list_opensips, .reload = "ds_reload", .list = "ds_list",
	.by_hand = "opensips-cli -x mi ds_reload", .shown = shown_opensips,
};

void
work_release(struct work *w)
{
	free(w->text);
	list_release(&w->list);
	list_edits_release(&w->edits);
	shown_release(&w->shown);
}

int
load_list(struct edge *e, struct work *w)
{
	char err[LIST_ERR];
	int rc;

	*w = (struct work){.path = edge_str(e, "list"), .set = (long)e->host->param_i64(e->op, "set", 0)};
	rc = file_read(e, w->path, &w->text, &w->len, w->digest);
	if (rc == RESITE_OK && !list_parse(&w->list, e->proxy->dialect, w->text, w->len, err))
		rc = net_error(&e->net, RESITE_ERR_REFUSED,
			       "%s: %s. It was left as it is: correct it, then retry", w->path, err);
	return rc;
}

static int
load(struct edge *e, struct work *w)
{
	const struct resite_host *host = e->host;
	char err[LIST_ERR];
	int rc = load_list(e, w);
	struct list_want want = {
		.set = w->set, .to = w->to, .n_to = host->param_count(e->op, "to"),
		.keep_others = !strcmp(edge_str(e, "others"), "disable"),
		.attrs = edge_str(e, "attrs"), .priority = (long)host->param_i64(e->op, "priority", 0),
	};

	for (size_t i = 0; i < want.n_to && i < TO_MAX; i++)
		w->to[i] = host->param_str(e->op, "to", (uint32_t)i);
	if (rc == RESITE_OK && !list_plan(&w->list, &want, &w->edits, err))
		rc = net_error(&e->net, RESITE_ERR_REFUSED, "%s: %s. Is it the right file and set, and "
			       "whole?", w->path, err);
	return rc;
}

/* --- check ----------------------------------------------------------------------------- */

static int
check_to(struct resite_op *op, const struct resite_host *host)
{
	uint32_t n = host->param_count(op, "to");

	if (n > TO_MAX)
		return resite_fail(op, host, RESITE_ERR_INVALID, "to", "more than %d next hops", TO_MAX);
	for (uint32_t i = 0; i < n; i++) {
		const char *uri = host->param_str(op, "to", i);
		const char *why = list_bad_uri(uri, host->param_i64(op, "fqdn", 0) != 0);

		for (uint32_t k = 0; !why && k < i; k++)
			why = strcmp(uri, host->param_str(op, "to", k)) ? NULL : "it is there twice";
		if (why)
			return resite_fail(op, host, RESITE_ERR_INVALID, "to", "'%s': %s", uri, why);
	}
	return RESITE_OK;
}

static int
check(struct edge *e)
{
	const struct resite_host *host = e->host;
	const char *attrs = edge_str(e, "attrs"), *why = attrs ? list_bad_attrs(attrs) : NULL;
	struct net_endpoint ep;

	if (why)
		return resite_fail(e->op, host, RESITE_ERR_INVALID, "attrs", "'%s': %s", attrs, why);
	if (e->proxy == &kamailio && !edge_str(e, "rpc") == !edge_str(e, "kamcmd_socket"))
		return resite_fail(e->op, host, RESITE_ERR_INVALID, "rpc",
				   "give rpc (JSON-RPC over HTTP) or kamcmd_socket, one of them");
	if (!edge_str(e, "rpc_user") != !edge_str(e, "rpc_password"))
		return resite_fail(e->op, host, RESITE_ERR_INVALID, "rpc_user",
				   "rpc_user and rpc_password go together");
	if (!edge_str(e, "sip") != !edge_str(e, "sip_domain"))
		return resite_fail(e->op, host, RESITE_ERR_INVALID, "sip",
				   "sip and sip_domain go together");
	if (edge_str(e, "sip") && !net_endpoint_parse(edge_str(e, "sip"), "5060", &ep))
		return resite_fail(e->op, host, RESITE_ERR_INVALID, "sip", "it is no host:port");
	if (edge_str(e, "look_for") && !edge_str(e, "sip"))
		return resite_fail(e->op, host, RESITE_ERR_INVALID, "look_for",
				   "where to send the request to is missing: sip");
	return check_to(e->op, host);
}

/* --- probe ------------------------------------------------------------------------------- */

/* What apply depends on: the file, and what the proxy has of the set. */
static void
fingerprint(const struct work *w, char ret[FILE_DIGEST])
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	*ret = '\0';
	if (!f)
		return;
	fputs(w->digest, f);
	for (size_t i = 0; i < w->shown.n; i++)
		if (w->shown.v[i].set == w->set)
			fprintf(f, "\n%s %d %ld", w->shown.v[i].uri, w->shown.v[i].disabled,
				w->shown.v[i].priority);
	if (fclose(f) == 0)
		file_digest(text, len, ret);
	free(text);
}

static int
probe(struct edge *e)
{
	char mark[FILE_DIGEST], now[300], differs[SHOWN_ERR];
	struct work w;
	int rc = load(e, &w);
	bool stale = false;

	if (rc == RESITE_OK)
		rc = rpc_list(e, &w.shown);
	if (rc == RESITE_OK) {
		for (size_t i = 0; i < w.edits.n; i++)
			e->host->change(e->op, w.edits.v[i].object, w.edits.v[i].was, w.edits.v[i].set);
		shown_text(&w.shown, w.set, now, sizeof(now));
		/* The file may be right, and the proxy have another: an attempt ended between. */
		stale = !w.edits.n && !shown_same(&w.shown, &w.list, w.set, differs);
		if (stale)
			e->host->change(e->op, "the proxy's own list", now, "as in the file");
		fingerprint(&w, mark);
		rc = e->host->state(e->op, now, mark, w.edits.n + stale,
				    w.edits.n + (w.edits.n ? 0 : 1));
	}
	work_release(&w);
	return rc;
}

/* --- apply --------------------------------------------------------------------------------- */

static int
put_undo(struct edge *e, const struct work *w)
{
	for (size_t i = 0; i < w->edits.n; i++) {
		const struct list_edit *edit = &w->edits.v[i];
		const char *before = w->list.n ? w->list.lines[edit->line].text : "";
		struct resite_kv kv[6] = {{"object", edit->object}, {"list", w->path}};
		uint32_t n = 2;
		char set[24], by_hand[900];
		int rc;

		snprintf(set, sizeof(set), "%ld", w->set);
		kv[n++] = (struct resite_kv){"in.set", set};
		if (edit->was)
			kv[n++] = (struct resite_kv){"was.line", edit->was};
		if (edit->set)
			kv[n++] = (struct resite_kv){"set.line", edit->set};
		if (!edit->set && edit->line)
			before = w->list.lines[edit->line - 1].text;
		if (!edit->was || !edit->set)
			kv[n++] = (struct resite_kv){"after.line", before};
		snprintf(by_hand, sizeof(by_hand), "in %s %s '%.250s'%s%.250s%s, then %s", w->path,
			 edit->set ? edit->was ? "replace the line" : "delete the line" : "add the line",
			 edit->set ? edit->set : edit->was, edit->was && edit->set ? " by '" : "",
			 edit->was && edit->set ? edit->was : "", edit->was && edit->set ? "'" : "",
			 e->proxy->by_hand);
		rc = e->host->undo_add(e->op, UNDO_VERSION, by_hand, kv, n);
		if (rc != RESITE_OK)
			return rc;
	}
	return e->host->sync(e->op);
}

/* Does the proxy, after its reload, have what the text says? */
static int
took(struct edge *e, const struct work *w, const char *text, size_t len)
{
	char err[SHOWN_ERR] = "";
	struct shown shown = {0};
	struct list list;
	int rc;

	if (!list_parse(&list, e->proxy->dialect, text, len, err))
		return net_error(&e->net, RESITE_ERR_BUG, "the list that was written cannot be read: %s",
				 err);
	rc = rpc_list(e, &shown);
	if (rc == RESITE_OK && !shown_same(&shown, &list, w->set, err))
		rc = net_error(&e->net, RESITE_ERR_REFUSED,
			       "the proxy has not taken the new list though it says that it reloaded: %s. "
			       "Is %s the list that it is configured with, and do all names in it resolve?",
			       err, w->path);
	shown_release(&shown);
	list_release(&list);
	return rc;
}

/* A proxy that does not take the new list must not be left without any: the former file comes
 * back, and what became of that is said with the reason. */
static int
put_back(struct edge *e, const struct work *w, const char *text, size_t len, int rc)
{
	char why[sizeof(e->net.err)], again[sizeof(e->net.err)], digest[FILE_DIGEST];
	int back;

	memcpy(why, e->net.err, sizeof(why));
	file_digest(text, len, digest);
	back = file_replace(e, w->path, w->text, w->len, digest);
	if (back == RESITE_OK)
		back = rpc_reload(e);
	if (back == RESITE_OK)
		back = took(e, w, w->text, w->len);
	if (back == RESITE_OK)
		return net_error(&e->net, rc, "%.450s The former list was put back, and the proxy has it",
				 why);
	snprintf(again, sizeof(again), "%s",
		 back == RESITE_ERR_CANCELLED ? "out of time" : e->net.err);
	return net_error(&e->net, rc, "%.250s PUTTING THE FORMER LIST BACK FAILED, TOO: %.250s", why,
			 again);
}

int
install(struct edge *e, const struct work *w, const char *text, size_t len)
{
	int rc = RESITE_OK;

	if (len != w->len || memcmp(text, w->text, len))
		rc = file_replace(e, w->path, text, len, w->digest);
	if (rc != RESITE_OK)
		return rc;
	e->host->progress(e->op, 1, 3, "list written");
	rc = rpc_reload(e);
	if (rc == RESITE_OK) {
		e->host->progress(e->op, 2, 3, "proxy told to reload");
		rc = took(e, w, text, len);
	}
	if (rc == RESITE_ERR_REFUSED)
		return put_back(e, w, text, len, rc);
	if (rc == RESITE_ERR_TRANSIENT) {
		char why[sizeof(e->net.err)];

		memcpy(why, e->net.err, sizeof(why));
		return net_error(&e->net, rc, "%s has its new lines, but the proxy may have the old ones: "
				 "%.400s", w->path, why);
	}
	return rc;
}

static int
apply(struct edge *e)
{
	char *text = NULL;
	size_t len = 0;
	struct work w;
	int rc = load(e, &w);

	/* A proxy that does not answer now would leave a file that nobody has read. */
	if (rc == RESITE_OK)
		rc = rpc_list(e, &w.shown);
	if (rc == RESITE_OK && w.edits.n)
		rc = put_undo(e, &w);
	if (rc == RESITE_OK) {
		text = list_edited(&w.list, &w.edits, &len);
		rc = text ? install(e, &w, text, len)
			  : net_error(&e->net, RESITE_ERR_TRANSIENT, "out of memory");
	}
	free(text);
	work_release(&w);
	return rc;
}

/* --- verify -------------------------------------------------------------------------------- */

static int
wanted_are_alive(struct edge *e, const struct work *w)
{
	for (size_t i = 0; i < w->shown.n; i++)
		if (w->shown.v[i].set == w->set && w->shown.v[i].dead)
			return net_error(&e->net, RESITE_PENDING,
					 "the proxy's pings to %s are not answered", w->shown.v[i].uri);
	return RESITE_OK;
}

static int
verify(struct edge *e)
{
	char err[SHOWN_ERR];
	struct work w;
	int rc = load(e, &w);

	if (rc == RESITE_OK && w.edits.n)
		rc = net_error(&e->net, RESITE_ERR_CONFLICT, "%s is not as it was written: %s", w.path,
			       w.edits.v[0].object);
	if (rc == RESITE_OK)
		rc = rpc_list(e, &w.shown);
	if (rc == RESITE_OK && !shown_same(&w.shown, &w.list, w.set, err))
		rc = net_error(&e->net, RESITE_PENDING, "the proxy's list is not the file's: %s", err);
	if (rc == RESITE_OK)
		rc = wanted_are_alive(e, &w);
	if (rc == RESITE_OK)
		rc = through_check(e);
	if (rc == RESITE_OK) {
		char now[300];

		shown_text(&w.shown, w.set, now, sizeof(now));
		e->host->output(e->op, "next_hops", now);
	}
	work_release(&w);
	return rc;
}

/* --- the five functions of two actions --------------------------------------------------------- */

static struct edge
proxy_edge(struct resite_op *op, const struct resite_host *host, const struct proxy *proxy)
{
	struct edge e = edge_of(op, host);

	e.proxy = proxy;
	return e;
}

#define FIVE_FUNCTIONS(name)                                                             \
	int name##_check(struct resite_op *op, const struct resite_host *host)           \
	{                                                                                \
		struct edge e = proxy_edge(op, host, &name);                             \
		return check(&e);                                                        \
	}                                                                                \
	int name##_probe(struct resite_op *op, const struct resite_host *host)           \
	{                                                                                \
		struct edge e = proxy_edge(op, host, &name);                             \
		return edge_fail(&e, probe(&e));                                         \
	}                                                                                \
	int name##_apply(struct resite_op *op, const struct resite_host *host)           \
	{                                                                                \
		struct edge e = proxy_edge(op, host, &name);                             \
		return edge_fail(&e, apply(&e));                                         \
	}                                                                                \
	int name##_verify(struct resite_op *op, const struct resite_host *host)          \
	{                                                                                \
		struct edge e = proxy_edge(op, host, &name);                             \
		return edge_not_yet(&e, verify(&e));                                     \
	}                                                                                \
	int name##_revert(struct resite_op *op, const struct resite_host *host)          \
	{                                                                                \
		struct edge e = proxy_edge(op, host, &name);                             \
		return edge_fail(&e, nexthop_revert(&e));                                \
	}

FIVE_FUNCTIONS(kamailio)
FIVE_FUNCTIONS(opensips)
