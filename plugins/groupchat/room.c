#include "plugins/groupchat/room.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strophe.h>
#include <time.h>

#define NS_INFO "http://jabber.org/protocol/disco#info"
#define NS_MUC "http://jabber.org/protocol/muc"
#define NS_MUC_USER "http://jabber.org/protocol/muc#user"
#define NS_MAM "urn:xmpp:mam:2"
#define NS_RSM "http://jabber.org/protocol/rsm"
#define NS_FORWARD "urn:xmpp:forward:0"
#define NS_DELAY "urn:xmpp:delay"
#define TURN_MS 50

/* Where a visit is, and what to say when it ends there. */
enum stage { CONNECTING, ASKING_ROOM, JOINING, COUNTING, READING };

static const struct {
	const char *words;
	int rc;
} stages[] = {
	[CONNECTING] = {"signing in", RESITE_ERR_TRANSIENT},
	[ASKING_ROOM] = {"asking for the room", RESITE_ERR_TRANSIENT},
	[JOINING] = {"joining the room", RESITE_ERR_TRANSIENT},
	[COUNTING] = {"counting the room's archive", RESITE_ERR_TRANSIENT},
	[READING] = {"reading the room's archive", RESITE_ERR_TRANSIENT},
};

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

__attribute__((format(printf, 3, 4))) static void
end(struct room_visit *v, int rc, const char *fmt, ...)
{
	va_list ap;

	if (v->ended)
		return;
	v->ended = true;
	v->rc = rc;
	va_start(ap, fmt);
	vsnprintf(v->words, sizeof v->words, fmt, ap);
	va_end(ap);
}

/* --- stanzas ------------------------------------------------------------------------------ */

static xmpp_stanza_t *
child(xmpp_stanza_t *of, const char *name, const char *ns)
{
	return of ? xmpp_stanza_get_child_by_name_and_ns(of, name, ns) : NULL;
}

/* Sends a stanza that is written out; what comes from the plan goes through attributes. */
static void
send_text(xmpp_conn_t *conn, const char *text, const char *to, const char *id)
{
	xmpp_stanza_t *s = xmpp_stanza_new_from_string(xmpp_conn_get_context(conn), text);

	xmpp_stanza_set_to(s, to);
	if (id)
		xmpp_stanza_set_id(s, id);
	xmpp_send(conn, s);
	xmpp_stanza_release(s);
}

/* The server's words of an error stanza. */
static void
error_words(xmpp_stanza_t *stanza, char *out, size_t cap)
{
	xmpp_stanza_t *error = xmpp_stanza_get_child_by_name(stanza, "error");
	xmpp_stanza_t *c = error ? xmpp_stanza_get_children(error) : NULL;
	xmpp_stanza_t *text = error ? xmpp_stanza_get_child_by_name(error, "text") : NULL;
	char *words = text ? xmpp_stanza_get_text(text) : NULL;

	snprintf(out, cap, "%s%s%s", c && xmpp_stanza_get_name(c) ? xmpp_stanza_get_name(c) : "error",
		 words ? ": " : "", words ? words : "");
	if (words)
		xmpp_free(xmpp_stanza_get_context(stanza), words);
}

static bool
is_error(xmpp_stanza_t *stanza)
{
	const char *type = xmpp_stanza_get_type(stanza);

	return type && !strcmp(type, "error");
}

static void
keep(struct room_visit *v, xmpp_stanza_t *message, const char *id)
{
	struct room_message *m = &v->messages[v->n];
	char *body = xmpp_message_get_body(message);

	if (v->n < ROOM_SAMPLE_MAX && id) {
		m->id = strdup(id);
		m->body = strdup(body ? body : "");
		v->n += m->id && m->body;
	}
	if (body)
		xmpp_free(xmpp_stanza_get_context(message), body);
}

/* --- what comes ------------------------------------------------------------------------------ */

/* Of nothing is how one asks for the number of all (XEP-0059 2.7). */
static void
ask_archive(struct room_visit *v, xmpp_conn_t *conn, enum stage stage)
{
	char query[700], page[64] = "<max>0</max>";

	if (stage == READING)
		snprintf(page, sizeof page, "<max>%u</max><before/>", v->sample);
	v->stage = stage;
	snprintf(query, sizeof query, "<iq type='set'><query xmlns='" NS_MAM "' queryid='resite'>"
		 "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>"
		 NS_MAM "</value></field></x><set xmlns='" NS_RSM "'>%s</set></query></iq>", page);
	send_text(conn, query, v->room, stage == READING ? "resite-read" : "resite-count");
}

/* Asked first, because who joins a room that is not there makes one. */
static void
on_info(struct room_visit *v, xmpp_conn_t *conn, xmpp_stanza_t *iq)
{
	char words[300], to[1024], join[200];

	if (is_error(iq)) {
		error_words(iq, words, sizeof words);
		end(v, RESITE_ERR_REFUSED, "the server says of room %s: %s", v->room, words);
		return;
	}
	v->stage = JOINING;
	snprintf(to, sizeof to, "%s/%s", v->room, v->nick);
	snprintf(join, sizeof join, "<presence><x xmlns='" NS_MUC "'><history maxstanzas='%u'/></x>"
		 "</presence>", v->sample);
	send_text(conn, join, to, "resite-join");
}

static void
on_count(struct room_visit *v, xmpp_conn_t *conn, xmpp_stanza_t *iq)
{
	xmpp_stanza_t *fin = child(iq, "fin", NS_MAM), *set = child(fin, "set", NS_RSM);
	xmpp_stanza_t *count = set ? xmpp_stanza_get_child_by_name(set, "count") : NULL;
	char *text = count ? xmpp_stanza_get_text(count) : NULL;

	/* No archive at all: the room's own history, which came with the join, must do. */
	if (is_error(iq) || !fin) {
		v->done = v->ended = true;
		return;
	}
	if (text) {
		v->has_count = true;
		v->count = strtoull(text, NULL, 10);
		xmpp_free(xmpp_stanza_get_context(iq), text);
	}
	v->archived = true;
	room_release(v);
	ask_archive(v, conn, READING);
}

static void
on_read(struct room_visit *v, xmpp_stanza_t *iq)
{
	char words[300];

	if (is_error(iq)) {
		error_words(iq, words, sizeof words);
		end(v, RESITE_ERR_REFUSED, "the archive of room %s: %s", v->room, words);
		return;
	}
	v->done = v->ended = true;
}

static int
on_iq(xmpp_conn_t *conn, xmpp_stanza_t *iq, void *arg)
{
	struct room_visit *v = arg;
	const char *id = xmpp_stanza_get_id(iq);

	if (id && v->stage == ASKING_ROOM && !strcmp(id, "resite-info"))
		on_info(v, conn, iq);
	else if (id && v->stage == COUNTING && !strcmp(id, "resite-count"))
		on_count(v, conn, iq);
	else if (id && v->stage == READING && !strcmp(id, "resite-read"))
		on_read(v, iq);
	return 1;
}

static bool
has_status(xmpp_stanza_t *x, const char *code)
{
	for (xmpp_stanza_t *s = x ? xmpp_stanza_get_children(x) : NULL; s; s = xmpp_stanza_get_next(s)) {
		const char *is = xmpp_stanza_get_attribute(s, "code");

		if (is && !strcmp(is, code))
			return true;
	}
	return false;
}

static int
on_presence(xmpp_conn_t *conn, xmpp_stanza_t *p, void *arg)
{
	struct room_visit *v = arg;
	const char *from = xmpp_stanza_get_from(p);
	xmpp_stanza_t *x = child(p, "x", NS_MUC_USER);
	char words[300];

	(void)conn;
	if (v->stage != JOINING || !from || strncmp(from, v->room, strlen(v->room)))
		return 1;
	if (is_error(p)) {
		error_words(p, words, sizeof words);
		end(v, RESITE_ERR_REFUSED, "room %s does not let %s in: %s", v->room, v->jid, words);
	} else if (has_status(x, "201")) {
		end(v, RESITE_ERR_REFUSED, "room %s was not there: the server has made an empty one",
		    v->room);
	}
	return 1;
}

/* The subject ends the join; before it comes the history, each message with its delay. */
static int
on_message(xmpp_conn_t *conn, xmpp_stanza_t *m, void *arg)
{
	struct room_visit *v = arg;
	xmpp_stanza_t *result = child(m, "result", NS_MAM);
	xmpp_stanza_t *forwarded = child(result, "forwarded", NS_FORWARD);
	const char *from = xmpp_stanza_get_from(m);

	if (!from || strncmp(from, v->room, strlen(v->room)))
		return 1;
	if (v->stage == READING && forwarded) {
		xmpp_stanza_t *inner = xmpp_stanza_get_child_by_name(forwarded, "message");

		if (inner)
			keep(v, inner, xmpp_stanza_get_attribute(result, "id"));
	} else if (v->stage == JOINING && xmpp_stanza_get_child_by_name(m, "subject") &&
		   !xmpp_stanza_get_child_by_name(m, "body")) {
		ask_archive(v, conn, COUNTING);
	} else if (v->stage == JOINING && child(m, "delay", NS_DELAY)) {
		keep(v, m, xmpp_stanza_get_id(m) ? xmpp_stanza_get_id(m) : "");
	}
	return 1;
}

/* --- the connection -------------------------------------------------------------------------- */

static void
on_disconnect(struct room_visit *v, int error, xmpp_stream_error_t *stream)
{
	if (stream)
		end(v, RESITE_ERR_REFUSED, "%s: the server ended the stream: %s%s%s",
		    stages[v->stage].words, stream->text ? stream->text : "error", *v->log ? "; " : "",
		    v->log);
	else if (v->stage == CONNECTING && *v->log)
		end(v, RESITE_ERR_REFUSED, "signing in as %s: %s", v->jid, v->log);
	else
		end(v, stages[v->stage].rc, "%s: the connection ended%s%s", stages[v->stage].words,
		    error ? ": " : "", error ? strerror(error) : "");
}

static void
on_conn(xmpp_conn_t *conn, xmpp_conn_event_t event, int error, xmpp_stream_error_t *stream,
	void *arg)
{
	struct room_visit *v = arg;

	if (event != XMPP_CONN_CONNECT) {
		on_disconnect(v, error, stream);
		return;
	}
	if (!v->plaintext && !xmpp_conn_is_secured(conn)) {
		end(v, RESITE_ERR_REFUSED, "the server offers no TLS");
		return;
	}
	xmpp_handler_add(conn, on_iq, NULL, "iq", NULL, v);
	xmpp_handler_add(conn, on_presence, NULL, "presence", NULL, v);
	xmpp_handler_add(conn, on_message, NULL, "message", NULL, v);
	v->stage = ASKING_ROOM;
	send_text(conn, "<iq type='get'><query xmlns='" NS_INFO "'/></iq>", v->room, "resite-info");
}

/* libstrophe tells what is wrong with a certificate or a password only here. */
static void
on_log(void *arg, xmpp_log_level_t level, const char *area, const char *text)
{
	struct room_visit *v = arg;
	static const char *const signs[] = {"ertificate", "verify", "verif", "auth", "Authentication",
					    "TLS", "SASL", NULL};

	(void)area;
	for (size_t i = 0; level >= XMPP_LEVEL_WARN && signs[i]; i++)
		if (strstr(text, signs[i])) {
			snprintf(v->log, sizeof v->log, "%.*s", (int)strcspn(text, "\n"), text);
			return;
		}
}

static void
run(struct room_visit *v, xmpp_ctx_t *ctx, xmpp_conn_t *conn)
{
	int64_t until = now_ms() + v->patience_ms;

	while (!v->ended && !atomic_load(&v->stop)) {
		xmpp_run_once(ctx, TURN_MS);
		if (now_ms() > until)
			end(v, stages[v->stage].rc, "%s: no answer within %lld ms%s%s",
			    stages[v->stage].words, (long long)v->patience_ms, *v->log ? "; " : "",
			    v->log);
	}
	if (xmpp_conn_is_connected(conn) && !xmpp_conn_is_disconnected(conn)) {
		xmpp_disconnect(conn);
		for (int i = 0; i < 5 && !xmpp_conn_is_disconnected(conn); i++)
			xmpp_run_once(ctx, TURN_MS);
	}
}

void
room_visit(void *arg)
{
	struct room_visit *v = arg;
	xmpp_log_t log = {.handler = on_log, .userdata = v};
	xmpp_ctx_t *ctx;
	xmpp_conn_t *conn;

	xmpp_initialize();
	ctx = xmpp_ctx_new(NULL, &log);
	conn = ctx ? xmpp_conn_new(ctx) : NULL;
	if (!conn) {
		end(v, RESITE_ERR_TRANSIENT, "out of memory");
		return;
	}
	xmpp_conn_set_flags(conn, XMPP_CONN_FLAG_DISABLE_SM |
			    (v->plaintext ? 0 : (long)XMPP_CONN_FLAG_MANDATORY_TLS));
	xmpp_conn_set_jid(conn, v->jid);
	xmpp_conn_set_pass(conn, v->password);
	if (v->ca_file)
		xmpp_conn_set_cafile(conn, v->ca_file);
	v->stage = CONNECTING;
	if (xmpp_connect_client(conn, v->address, v->port, on_conn, v) != XMPP_EOK)
		end(v, RESITE_ERR_TRANSIENT, "cannot connect to %s:%u", v->address, v->port);
	run(v, ctx, conn);
	xmpp_conn_release(conn);
	xmpp_ctx_free(ctx);
	xmpp_shutdown();
}

void
room_release(struct room_visit *v)
{
	for (size_t i = 0; i < v->n; i++) {
		free(v->messages[i].id);
		free(v->messages[i].body);
	}
	v->n = 0;
}
