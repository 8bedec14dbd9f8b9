#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/conn.h"

#include "plugins/ldap-homing/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <lber.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openldap.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* One user or a root DSE is far smaller; a stranger may not make us allocate more. */
#define MESSAGE_MAX_BYTES (1 << 20)
#define DEFAULT_LDAPI "/var/run/slapd/ldapi"

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- the socket ---------------------------------------------------------- */

const char *
lh_url_fault(const char *url)
{
	LDAPURLDesc *u = NULL;
	const char *fault = NULL;

	if (ldap_url_parse(url, &u) != LDAP_URL_SUCCESS)
		return "it is not ldap://HOST[:PORT], ldaps://HOST[:PORT] or ldapi://PATH "
		       "(with %2F for each /)";
	if (u->lud_dn && *u->lud_dn)
		fault = "it names more than a server: the search base is the parameter base";
	else if (strcmp(u->lud_scheme, "ldapi") && (!u->lud_host || !*u->lud_host))
		fault = "it names no host";
	ldap_free_urldesc(u);
	return fault;
}

static int
cancelled(struct lh_error *e, const char *what, const char *url)
{
	return lh_error_set(e, RESITE_ERR_CANCELLED, "stopped while %s %s", what, url);
}

/* Waits for a connect that was begun; fills e when it did not succeed. */
static int
await_connect(struct lh_conn *c, struct lh_error *e)
{
	int rc = c->env->wait(c->env->arg, c->fd, POLLOUT, c->timeout_ms), err = 0;
	socklen_t len = sizeof(err);

	if (rc == RESITE_ERR_CANCELLED)
		return cancelled(e, "connecting to", c->url);
	if (rc != RESITE_OK)
		return lh_error_set(e, RESITE_ERR_TRANSIENT, "%s: no connection within %lld ms",
				    c->url, (long long)c->timeout_ms);
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err)
		return lh_error_set(e, RESITE_ERR_TRANSIENT, "%s: %s", c->url, strerror(err));
	return 0;
}

static void
close_fd(struct lh_conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static int
connect_to(struct lh_conn *c, const struct sockaddr *sa, socklen_t len, struct lh_error *e)
{
	int rc = 0;

	c->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return lh_error_set(e, RESITE_ERR_TRANSIENT, "%s: %s", c->url, strerror(errno));
	if (connect(c->fd, sa, len) < 0)
		rc = errno == EINPROGRESS
			     ? await_connect(c, e)
			     : lh_error_set(e, RESITE_ERR_TRANSIENT, "%s: %s", c->url, strerror(errno));
	if (rc)
		close_fd(c);
	return rc;
}

static int
connect_tcp(struct lh_conn *c, const LDAPURLDesc *u, struct lh_error *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	char port[16];
	int rc;

	snprintf(port, sizeof(port), "%d", u->lud_port);
	rc = getaddrinfo(u->lud_host, port, &hints, &list);
	if (rc)
		return lh_error_set(e, rc == EAI_AGAIN ? RESITE_ERR_TRANSIENT : RESITE_ERR_REFUSED,
				    "%s: the name cannot be resolved: %s", c->url, gai_strerror(rc));
	for (struct addrinfo *a = list; a; a = a->ai_next) {
		rc = connect_to(c, a->ai_addr, a->ai_addrlen, e);
		if (rc == 0 || rc == RESITE_ERR_CANCELLED)
			break;
	}
	freeaddrinfo(list);
	return rc;
}

static int
connect_local(struct lh_conn *c, const LDAPURLDesc *u, struct lh_error *e)
{
	const char *path = u->lud_host && *u->lud_host ? u->lud_host : DEFAULT_LDAPI;
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(un.sun_path))
		return lh_error_set(e, RESITE_ERR_INVALID, "%s: the path is longer than %zu bytes",
				    c->url, sizeof(un.sun_path) - 1);
	strcpy(un.sun_path, path);
	c->local = true;
	return connect_to(c, (const struct sockaddr *)&un, sizeof(un), e);
}

/* libldap wants a blocking socket.  The time limits are a backstop for the one
 * read that may block: half a TLS record, and then silence. */
static void
tune_socket(struct lh_conn *c, bool tcp)
{
	struct timeval tv = {c->timeout_ms / 1000, c->timeout_ms % 1000 * 1000};
	int one = 1;

	fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) & ~O_NONBLOCK);
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (!tcp)
		return;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}

static void
set_gathering(struct lh_conn *c, bool on)
{
	int value = on;

	if (!c->tcp || c->gathering == on)
		return;
	setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &value, sizeof(value));
	c->gathering = on;
}

void
lh_conn_gather(struct lh_conn *c)
{
	set_gathering(c, true);
}

void
lh_conn_push(struct lh_conn *c)
{
	set_gathering(c, false);
}

/* --- libldap's options --------------------------------------------------- */

/* Everything that ldap.conf or the environment could turn is set here. */
static void
set_options(struct lh_conn *c, const struct lh_target *t)
{
	struct timeval tv = {t->timeout_ms / 1000, t->timeout_ms % 1000 * 1000};
	ber_len_t max = MESSAGE_MAX_BYTES;
	const int version = LDAP_VERSION3, never = LDAP_DEREF_NEVER, none = 0;
	Sockbuf *sb = NULL;

	ldap_set_option(c->ld, LDAP_OPT_PROTOCOL_VERSION, &version);
	ldap_set_option(c->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
	ldap_set_option(c->ld, LDAP_OPT_RESTART, LDAP_OPT_ON);
	ldap_set_option(c->ld, LDAP_OPT_DEREF, &never);
	ldap_set_option(c->ld, LDAP_OPT_SIZELIMIT, &none);
	ldap_set_option(c->ld, LDAP_OPT_TIMELIMIT, &none);
	ldap_set_option(c->ld, LDAP_OPT_NETWORK_TIMEOUT, &tv);
	if (ldap_get_option(c->ld, LDAP_OPT_SOCKBUF, &sb) == LDAP_OPT_SUCCESS && sb)
		ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &max);
}

/* --- open and close ------------------------------------------------------ */

static int
open_socket(struct lh_conn *c, const LDAPURLDesc *u, const struct lh_target *t, struct lh_error *e)
{
	const char *name;
	bool local = !strcmp(u->lud_scheme, "ldapi");
	char bare[300];
	int code;

	if (local ? connect_local(c, u, e) : connect_tcp(c, u, e))
		return e->rc;
	c->tcp = !local;
	tune_socket(c, c->tcp);
	/* The host name in it is what the certificate is compared with, and what Kerberos asks a
	 * ticket for. */
	name = local ? "localhost" : t->server_name ? t->server_name : u->lud_host;
	snprintf(bare, sizeof(bare), strchr(name, ':') ? "%s://[%s]:%d" : "%s://%s:%d",
		 local ? "ldap" : u->lud_scheme, name, local ? LDAP_PORT : u->lud_port);
	code = ldap_init_fd(c->fd, local ? LDAP_PROTO_IPC : LDAP_PROTO_TCP, bare, &c->ld);
	if (code == LDAP_SUCCESS)
		return 0;
	c->ld = NULL;
	close_fd(c);
	return lh_error_result(e, code, NULL, c->url);
}

/* libldap reads a message in two or three pieces, each a system call; with this the answers
 * that came together are read together.  (TLS has a buffer of its own.) */
static void
read_ahead(struct lh_conn *c)
{
	Sockbuf *sb = NULL;

	if (!c->encrypted && ldap_get_option(c->ld, LDAP_OPT_SOCKBUF, &sb) == LDAP_OPT_SUCCESS && sb)
		ber_sockbuf_add_io(sb, &ber_sockbuf_io_readahead, LBER_SBIOD_LEVEL_PROVIDER, NULL);
}

int
lh_conn_open(struct lh_conn *c, const struct lh_env *env, const struct lh_target *t,
	     struct lh_error *e)
{
	LDAPURLDesc *u = NULL;
	int rc;

	*c = (struct lh_conn){.env = env, .url = t->url, .fd = -1, .timeout_ms = t->timeout_ms};
	if (ldap_url_parse(t->url, &u) != LDAP_URL_SUCCESS)
		return lh_error_set(e, RESITE_ERR_INVALID, "%s: %s", t->url, lh_url_fault(t->url));
	/* libldap writes without MSG_NOSIGNAL: a server that goes away must not end us. */
	sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, &c->old_sigpipe);
	rc = open_socket(c, u, t, e);
	if (!rc) {
		set_options(c, t);
		rc = lh_encrypt(c, t, !strcmp(u->lud_scheme, "ldaps"), e);
	}
	if (!rc) {
		read_ahead(c);
		rc = lh_bind(c, t, e);
	}
	ldap_free_urldesc(u);
	if (rc)
		lh_conn_close(c);
	return rc;
}

void
lh_conn_close(struct lh_conn *c)
{
	if (c->ld)
		ldap_unbind_ext(c->ld, NULL, NULL);
	c->ld = NULL;
	c->fd = -1;
	sigaction(SIGPIPE, &c->old_sigpipe, NULL);
}

/* --- answers ------------------------------------------------------------- */

void
lh_conn_grace(struct lh_conn *c, int64_t ms)
{
	c->grace_end_ms = now_ms() + ms;
}

/* Bytes that TLS or the library has read already do not wake a poll. */
static bool
has_buffered(struct lh_conn *c)
{
	Sockbuf *sb = NULL;

	return ldap_get_option(c->ld, LDAP_OPT_SOCKBUF, &sb) == LDAP_OPT_SUCCESS && sb &&
	       ber_sockbuf_ctrl(sb, LBER_SB_OPT_DATA_READY, NULL) > 0;
}

static int
wait_readable(struct lh_conn *c, int64_t ms)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};

	lh_conn_push(c);
	if (!c->grace_end_ms)
		return c->env->wait(c->env->arg, c->fd, POLLIN, ms);
	return poll(&p, 1, (int)ms) > 0 ? RESITE_OK : RESITE_PENDING;
}

/* The server's notice of disconnection (RFC 4511 4.4.1), or another message
 * that answers nothing we asked. */
static int
unsolicited(struct lh_conn *c, LDAPMessage *msg, struct lh_error *e)
{
	char what[300], *diag = NULL;
	int code = LDAP_SERVER_DOWN;

	snprintf(what, sizeof(what), "%s: the server ends the connection", c->url);
	if (lh_conn_result(c, msg, &code, &diag, e))
		return e->rc;
	lh_error_result(e, code, diag, what);
	ldap_memfree(diag);
	return e->rc = RESITE_ERR_TRANSIENT;
}

static int
lost(struct lh_conn *c, struct lh_error *e)
{
	char what[300];
	int code = LDAP_SERVER_DOWN;

	ldap_get_option(c->ld, LDAP_OPT_RESULT_CODE, &code);
	snprintf(what, sizeof(what), "%s: the connection is lost", c->url);
	lh_error_ld(e, c->ld, code, what);
	return e->rc;
}

/* One that locks its own database out, as slapd 2.5 can when a client dies amid a transaction,
 * answers reads and no change. */
static int
silent(struct lh_conn *c, struct lh_error *e)
{
	if (c->answered)
		return lh_error_set(e, RESITE_ERR_TRANSIENT,
				    "%s: no answer for %lld ms (network_timeout) from a server that "
				    "answered before: is it overloaded, or its database locked?  If "
				    "other clients' changes hang there, too, restart it",
				    c->url, (long long)c->timeout_ms);
	return lh_error_set(e, RESITE_ERR_TRANSIENT,
			    "%s: the server accepted the connection but gave no answer for %lld ms "
			    "(network_timeout)",
			    c->url, (long long)c->timeout_ms);
}

int
lh_conn_next(struct lh_conn *c, int msgid, LDAPMessage **ret_msg, struct lh_error *e)
{
	int64_t end = now_ms() + c->timeout_ms;
	int rc;

	if (c->grace_end_ms && c->grace_end_ms < end)
		end = c->grace_end_ms;
	for (;;) {
		struct timeval zero = {0, 0};
		LDAPMessage *msg = NULL;
		int type = ldap_result(c->ld, msgid, LDAP_MSG_ONE, &zero, &msg);
		int64_t left = end - now_ms();

		if (type > 0 && ldap_msgid(msg) == 0)
			return unsolicited(c, msg, e);
		if (type > 0) {
			c->answered = true;
			*ret_msg = msg;
			return 0;
		}
		if (type < 0)
			return lost(c, e);
		if (has_buffered(c))
			continue;
		if (left <= 0)
			return silent(c, e);
		rc = wait_readable(c, left);
		if (rc == RESITE_ERR_CANCELLED)
			return cancelled(e, "waiting for an answer of", c->url);
		if (rc == RESITE_OK && !c->grace_end_ms) /* a part of an answer: slow is not silent */
			end = now_ms() + c->timeout_ms;
	}
}

int
lh_conn_result(struct lh_conn *c, LDAPMessage *msg, int *ret_code, char **ret_diag,
	       struct lh_error *e)
{
	int rc = ldap_parse_result(c->ld, msg, ret_code, NULL, ret_diag, NULL, NULL, 1);

	if (rc == LDAP_SUCCESS)
		return 0;
	return lh_error_ld(e, c->ld, rc, "the server's answer cannot be read");
}
