/* The proxy's remote procedures: JSON-RPC over HTTP, or kamcmd.  kamcmd's exit status is 0
 * whatever the proxy says, so its words are read. */
#include "config.h"

#include "plugins/edge-nexthop/edge.h"
#include "sdk/proc/command.h"

#include <ctype.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define RELOAD_PAUSE_MS 1000

void
rpc_release(struct rpc_reply *r)
{
	json_decref(r->result);
	free(r->text);
	*r = (struct rpc_reply){0};
}

/* Some words of what came, fit for a message. */
static const char *
sample(const char *text, char buf[100])
{
	size_t n = 0;

	for (; *text && n < 96; text++)
		buf[n++] = isprint((unsigned char)*text) ? *text : ' ';
	buf[n] = '\0';
	return buf;
}

/* --- HTTP ------------------------------------------------------------------------------- */

static int
read_json(struct edge *e, const char *url, const struct http *h, struct rpc_reply *ret)
{
	json_error_t why;
	json_t *doc = json_loadb(h->body, h->body_len, 0, &why), *error, *id;
	char words[100];

	error = json_object_get(doc, "error");
	id = json_object_get(doc, "id");
	if (!doc || (!error && !json_object_get(doc, "result")) ||
	    (json_is_integer(id) && json_integer_value(id) != 1)) {
		json_decref(doc);
		return net_error(&e->net, h->status == 401 || h->status == 403 ? RESITE_ERR_REFUSED
									      : RESITE_ERR_TRANSIENT,
				 "%s answered HTTP %ld with no JSON-RPC reply: '%s'", url, h->status,
				 sample(h->body, words));
	}
	if (json_is_object(error)) {
		const char *message = json_string_value(json_object_get(error, "message"));

		ret->refused = true;
		ret->code = (long)json_integer_value(json_object_get(error, "code"));
		snprintf(ret->message, sizeof(ret->message), "%s",
			 sample(message ? message : "no reason given", words));
	} else {
		ret->result = json_incref(json_object_get(doc, "result"));
	}
	json_decref(doc);
	return RESITE_OK;
}

/* "user:password" of the plan, in buf; false: the secret cannot be had. */
static bool
credentials(struct edge *e, char *buf, size_t cap)
{
	int n = snprintf(buf, cap, "%s:", edge_str(e, "rpc_user"));
	int len = n < (int)cap ? e->host->secret(e->op, edge_str(e, "rpc_password"), buf + n,
						 cap - (size_t)n - 1) : -1;

	if (len < 0 || len >= (int)cap - n)
		return false;
	buf[n + len] = '\0';
	return true;
}

static int
call_http(struct edge *e, const char *url, const char *method, struct rpc_reply *ret)
{
	char json[200], login[300] = "";
	bool has_login = edge_str(e, "rpc_user") != NULL;
	struct http h;
	int rc;

	if (has_login && !credentials(e, login, sizeof(login)))
		return net_error(&e->net, RESITE_ERR_INVALID, "rpc_password cannot be read");
	snprintf(json, sizeof(json), "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"id\":1}", method);
	rc = http_ask(e, url, json, NULL, has_login ? login : NULL, &h);
	explicit_bzero(login, sizeof(login));
	if (rc != RESITE_OK)
		return rc;
	rc = read_json(e, url, &h, ret);
	http_release(&h);
	return rc;
}

/* --- kamcmd ------------------------------------------------------------------------------- */

struct listener {
	struct edge *e;
	char *text;
	size_t len;
	int64_t until_ms;
	bool late;
};

static void
on_line(void *ctx, bool is_stderr, char *line)
{
	struct listener *l = ctx;
	size_t n = strlen(line);
	char *grown = is_stderr || l->len + n > RPC_MAX_BYTES ? NULL : realloc(l->text, l->len + n + 2);

	if (!grown)
		return;
	memcpy(grown + l->len, line, n);
	l->len += n + 1;
	grown[l->len - 1] = '\n';
	grown[l->len] = '\0';
	l->text = grown;
}

static int
on_wait(void *ctx, int fd)
{
	struct listener *l = ctx;
	int64_t left = l->until_ms - net_now_ms();
	int rc = l->e->host->wait(l->e->op, fd, POLLIN, left > 0 ? left : 0);

	l->late = rc == RESITE_PENDING;
	return rc == RESITE_OK ? 0 : -1;
}

static int
kamcmd_said(struct edge *e, const char *program, const struct command_end *end,
	    struct listener *l, struct rpc_reply *ret)
{
	const char *text = l->text ? l->text : "";

	if (end->stopped && l->late)
		return net_error(&e->net, RESITE_ERR_TRANSIENT, "%s did not end in %lld ms", program,
				 (long long)e->net.patience_ms);
	if (end->stopped)
		return RESITE_ERR_CANCELLED;
	if (end->signal || end->exit_code)
		return net_error(&e->net, strstr(end->tail, "Permission denied") ? RESITE_ERR_REFUSED
										: RESITE_ERR_TRANSIENT,
				 "%s: %s", program, *end->tail ? end->tail : "it failed without a word");
	if (!strncmp(text, "error: ", 7)) {
		ret->refused = true;
		ret->code = atol(text + 7);
		text += 7 + strspn(text + 7, "0123456789 -");
		snprintf(ret->message, sizeof(ret->message), "%.*s", (int)strcspn(text, "\n"), text);
		return RESITE_OK;
	}
	ret->text = strdup(text);
	return ret->text ? RESITE_OK : net_error(&e->net, RESITE_ERR_TRANSIENT, "out of memory");
}

static int
call_kamcmd(struct edge *e, const char *method, struct rpc_reply *ret)
{
	const char *program = edge_str(e, "kamcmd"), *what;
	char *argv[] = {strdup(program), strdup("-s"), strdup(edge_str(e, "kamcmd_socket")),
			strdup(method), NULL};
	char *env[] = {NULL};
	struct command cmd = {.argv = argv, .env = env};
	struct listener l = {.e = e, .until_ms = net_now_ms() + e->net.patience_ms};
	struct command_io io = {.ctx = &l, .line = on_line, .wait = on_wait};
	struct command_end end;
	int err = argv[0] && argv[1] && argv[2] && argv[3] ? command_run(&cmd, &io, &end, &what) : -1;
	int rc = err < 0   ? net_error(&e->net, RESITE_ERR_TRANSIENT, "out of memory")
		 : err > 0 ? net_error(&e->net, RESITE_ERR_REFUSED, "cannot run %s: %s: %s", program,
				       what, strerror(err))
			   : kamcmd_said(e, program, &end, &l, ret);

	for (size_t i = 0; i < 4; i++)
		free(argv[i]);
	free(l.text);
	return rc;
}

/* --- calls ----------------------------------------------------------------------------------- */

int
rpc_call(struct edge *e, const char *method, struct rpc_reply *ret)
{
	const char *url = edge_str(e, "rpc");

	*ret = (struct rpc_reply){0};
	return url ? call_http(e, url, method, ret) : call_kamcmd(e, method, ret);
}

int
rpc_list(struct edge *e, struct shown *ret)
{
	struct rpc_reply r;
	int rc = rpc_call(e, e->proxy->list, &r);

	*ret = (struct shown){0};
	if (rc != RESITE_OK)
		return rc;
	if (r.refused && strcasestr(r.message, "No Destination Sets"))
		rc = RESITE_OK;
	else if (r.refused)
		rc = net_error(&e->net, RESITE_ERR_REFUSED, "the proxy answered %s with %ld %s",
			       e->proxy->list, r.code, r.message);
	else if (!(r.text ? shown_kamcmd(r.text, ret) : e->proxy->shown(r.result, ret)))
		rc = net_error(&e->net, RESITE_ERR_REFUSED,
			       "what the proxy answered to %s is not what %s says there: is it another "
			       "version?", e->proxy->list, e->proxy->dialect->name);
	rpc_release(&r);
	return rc;
}

int
rpc_reload(struct edge *e)
{
	int64_t until = net_now_ms() + e->host->param_i64(e->op, "reload_wait", 0);
	struct rpc_reply r;
	int rc;

	for (;;) {
		bool busy;

		rc = rpc_call(e, e->proxy->reload, &r);
		busy = rc == RESITE_OK && r.refused && strcasestr(r.message, "ongoing reload");
		if (rc == RESITE_OK && r.refused)
			rc = net_error(&e->net, busy ? RESITE_ERR_TRANSIENT : RESITE_ERR_REFUSED,
				       "the proxy answered %s with %ld %s", e->proxy->reload, r.code,
				       r.message);
		rpc_release(&r);
		if (!busy || net_now_ms() >= until)
			return rc;
		if (e->host->wait(e->op, -1, 0, RELOAD_PAUSE_MS) == RESITE_ERR_CANCELLED)
			return RESITE_ERR_CANCELLED;
	}
}
