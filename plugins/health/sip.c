/* health.sip: finds the registrar as a client does, and signs users in and out again. */
#include "config.h"

#include "plugins/health/health.h"
#include "sdk/sip/sipnet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PASSWORD_MAX 256

struct users {
	char **v;
	size_t n;
};

struct visit {
	struct resite_op *op;
	const struct resite_host *host;
	struct net net;
	char domain[256]; /* without the trailing dot */
	struct sip_targets targets;
	const struct sip_target *target; /* the one that took the connection */
	struct sip_conn conn;
	bool registers, follow;
	int expect;
	char password[PASSWORD_MAX];
	bool has_password;
};

/* One user's way through the servers. */
struct attempt {
	const char *user; /* name@domain */
	char call_id[40], tag[20], branch[40];
	unsigned cseq;
	char trail[700]; /* hops so far, for messages */
};

static void
random_hex(char *buf, size_t len)
{
	uint8_t bytes[16] = {0};

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		snprintf((char *)bytes, sizeof(bytes), "%lld", (long long)net_now_ms());
	for (size_t i = 0; i + 1 < len && i < 32; i++)
		buf[i] = "0123456789abcdef"[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
	buf[len - 1] = '\0';
}

/* --- whom to sign in -------------------------------------------------------------- */

static int
add_user(struct visit *v, struct users *users, const char *text)
{
	char **grown = realloc(users->v, (users->n + 1) * sizeof(*grown)), *user = NULL;

	if (grown)
		users->v = grown;
	if (!strncmp(text, "sip:", 4))
		text += 4;
	if (!grown || asprintf(&user, strchr(text, '@') ? "%s" : "%s@%s", text, v->domain) < 0)
		return resite_fail(v->op, v->host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	if (strpbrk(user, "<>\" \t\r\n;") || *user == '@') {
		int rc = resite_fail(v->op, v->host, RESITE_ERR_INVALID, "users",
				     "'%s' is no SIP user", user);

		free(user);
		return rc;
	}
	users->v[users->n++] = user;
	return RESITE_OK;
}

static int
add_users_of_file(struct visit *v, struct users *users, const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;
	int rc = RESITE_OK;

	if (!f)
		return resite_fail(v->op, v->host, RESITE_ERR_INVALID, "users_file", "%s: %s", path,
				   strerror(errno));
	while (rc == RESITE_OK && getline(&line, &cap, f) >= 0) {
		line[strcspn(line, " \t\r\n")] = '\0';
		if (*line && *line != '#')
			rc = add_user(v, users, line);
	}
	if (rc == RESITE_OK && ferror(f))
		rc = resite_fail(v->op, v->host, RESITE_ERR_TRANSIENT, "users_file", "%s: %s", path,
				 strerror(errno));
	free(line);
	fclose(f);
	return rc;
}

/* Keeps sample users, evenly spread over the list: the same ones each time. */
static void
thin_out(struct users *users, size_t sample)
{
	size_t kept = 0;

	if (!sample || users->n <= sample)
		return;
	for (size_t i = 0; i < users->n; i++) {
		if (kept < sample && i == kept * users->n / sample)
			users->v[kept++] = users->v[i];
		else
			free(users->v[i]);
	}
	users->n = kept;
}

static int
load_users(struct visit *v, struct users *users)
{
	const char *path = resite_str_or(v->op, v->host, "users_file", NULL);
	int rc = RESITE_OK;

	if (!v->registers)
		return add_user(v, users, "resite");
	for (uint32_t i = 0; rc == RESITE_OK && i < v->host->param_count(v->op, "users"); i++)
		rc = add_user(v, users, v->host->param_str(v->op, "users", i));
	if (rc == RESITE_OK && path)
		rc = add_users_of_file(v, users, path);
	if (rc == RESITE_OK && users->n == 0)
		rc = resite_fail(v->op, v->host, RESITE_ERR_INVALID, path ? "users_file" : "users",
				 "there is no user to sign in");
	thin_out(users, (size_t)v->host->param_i64(v->op, "sample", 0));
	return rc;
}

static void
release_users(struct users *users)
{
	for (size_t i = 0; i < users->n; i++)
		free(users->v[i]);
	free(users->v);
}

/* --- reaching the server ------------------------------------------------------------ */

static int
find_targets(struct visit *v)
{
	const char *service = v->host->param_str(v->op, "service", 0);
	uint32_t n = v->host->param_count(v->op, "resolver");
	struct net_endpoint resolver;
	int rc = RESITE_ERR_TRANSIENT;

	if (v->host->param_count(v->op, "server")) {
		snprintf(v->targets.v[0].how, sizeof(v->targets.v[0].how), "server");
		v->targets.n = 1;
		return endpoint_of(v->op, v->host, "server", 0, "5060", &v->targets.v[0].ep)
			       ? RESITE_OK : RESITE_ERR_INVALID;
	}
	for (uint32_t i = 0; i < n && rc == RESITE_ERR_TRANSIENT; i++) {
		if (!endpoint_of(v->op, v->host, "resolver", i, "53", &resolver))
			return RESITE_ERR_INVALID;
		rc = sip_find(&v->net, &resolver, service, v->host->param_str(v->op, "domain", 0),
			      &v->targets);
	}
	return rc == RESITE_OK ? rc : not_yet_net(&v->net, rc, "no server is found");
}

/* The first target that takes a connection, as clients go down the list. */
static int
connect_any(struct visit *v)
{
	char why[700] = "";
	int rc = RESITE_ERR_TRANSIENT;

	for (size_t i = 0; i < v->targets.n && rc == RESITE_ERR_TRANSIENT; i++) {
		size_t used = strlen(why);

		rc = sip_connect(&v->conn, &v->net, &v->targets.v[i].ep);
		v->target = &v->targets.v[i];
		if (rc == RESITE_ERR_TRANSIENT)
			snprintf(why + used, sizeof(why) - used, "%s%.300s (%.300s)", used ? "; " : "",
				 v->net.err, v->target->how);
	}
	if (rc == RESITE_ERR_TRANSIENT)
		return not_yet(v->op, v->host, "no SIP server can be reached: %s", why);
	return rc;
}

/* --- one user -------------------------------------------------------------------------- */

static struct sip_request
request_of(const struct visit *v, struct attempt *a, const struct sip_conn *c, long expires_s)
{
	memcpy(a->branch, "z9hG4bK", 7);
	random_hex(a->branch + 7, 25);
	return (struct sip_request){.method = v->registers ? "REGISTER" : "OPTIONS",
				    .domain = v->domain, .user = a->user, .local = c->local,
				    .call_id = a->call_id, .tag = a->tag, .branch = a->branch,
				    .cseq = ++a->cseq, .expires_s = expires_s};
}

static int
not_signed_in(struct visit *v, const struct attempt *a, const struct sip_response *r,
	      const char *why)
{
	return not_yet(v->op, v->host, "%s: %d %s from %s%s", a->user, r->status, r->reason, a->trail,
		       why);
}

/* Sends a request, and once more with credentials when the server asks for them. */
static int
ask(struct visit *v, struct attempt *a, struct sip_conn *c, long expires_s,
    struct sip_response *ret)
{
	struct sip_request q = request_of(v, a, c, expires_s);
	char *line, cnonce[17];
	const char *why;
	int rc = sip_exchange(c, &q, ret);

	if (rc != RESITE_OK || (ret->status != 401 && ret->status != 407) ||
	    ret->status == v->expect || !v->has_password)
		return rc;
	random_hex(cnonce, sizeof(cnonce));
	q = request_of(v, a, c, expires_s);
	line = ret->authenticate ? sip_authorization(ret->authenticate, ret->status == 407, &q,
						     v->password, cnonce, &why) : NULL;
	if (!line)
		return net_error(&v->net, RESITE_ERR_REFUSED, "%d from %s: %s", ret->status,
				 c->peer.text, ret->authenticate ? why : "without a challenge");
	sip_response_release(ret);
	q.authorization = line;
	rc = sip_exchange(c, &q, ret);
	free(line);
	if (rc == RESITE_OK && (ret->status == 401 || ret->status == 407))
		return net_error(&v->net, RESITE_ERR_REFUSED,
				 "%d from %s: the password of %s is wrong there", ret->status,
				 c->peer.text, a->user);
	return rc;
}

/* A failure on the way: a refusal is told at once (a wrong password tried again and again
 * locks an account), anything else may still get well. */
static int
ask_failed(struct visit *v, const struct attempt *a, int rc)
{
	if (rc == RESITE_ERR_REFUSED)
		return resite_fail(v->op, v->host, rc, "password", "%s", v->net.err);
	if (rc != RESITE_ERR_TRANSIENT)
		return rc;
	return not_yet(v->op, v->host, "%s: %s; asked %s", a->user, v->net.err, a->trail);
}

/* A registration is taken back: nothing of ours stays behind. That it failed is only
 * logged, the registration then ends by itself. */
static void
sign_out(struct visit *v, struct attempt *a, struct sip_conn *c)
{
	struct sip_response r = {0};
	int rc = ask(v, a, c, 0, &r);

	if (rc != RESITE_OK || r.status != 200)
		resite_log(v->op, v->host, RESITE_LOG_WARN,
			   "%s was not signed out again (%s); the registration ends by itself", a->user,
			   rc == RESITE_OK ? r.reason : v->net.err);
	sip_response_release(&r);
}

static int
judge(struct visit *v, struct attempt *a, struct sip_conn *c, const struct sip_response *r)
{
	char status[RESITE_EASY_MAX];

	if (r->status != v->expect && (r->status == 401 || r->status == 407))
		return not_signed_in(v, a, r, " (it asks for a password: give one as 'password')");
	if (r->status != v->expect)
		return not_signed_in(v, a, r, "");
	snprintf(status, sizeof(status), "%d %.200s", r->status, r->reason);
	v->host->output(v->op, "server", c->peer.text);
	v->host->output(v->op, "status", status);
	if (v->registers && r->status == 200)
		sign_out(v, a, c);
	return RESITE_OK;
}

/* Goes where a redirect points; *ret_next is connected when RESITE_OK. */
static int
go_on(struct visit *v, struct attempt *a, const struct sip_response *r, struct sip_conn *ret_next)
{
	char host[256], port[6];
	struct net_endpoint to;
	size_t used = strlen(a->trail);
	int rc;

	if (!r->contact || !sip_contact_host(r->contact, host, sizeof(host), port) ||
	    !net_endpoint_make(host, port, &to))
		return not_signed_in(v, a, r, ", which has no Contact to follow");
	snprintf(a->trail + used, sizeof(a->trail) - used, ", redirected (%d %.80s) to %.200s",
		 r->status, r->reason, to.text);
	rc = sip_connect(ret_next, &v->net, &to);
	return rc == RESITE_OK ? rc : ask_failed(v, a, rc);
}

static bool
is_redirect(const struct visit *v, const struct sip_response *r)
{
	return v->follow && (r->status == 301 || r->status == 302) && r->status != v->expect;
}

static int
sign_in(struct visit *v, struct attempt *a)
{
	long expires_s = (long)(v->host->param_i64(v->op, "expires", 0) / 1000);
	int64_t hops = v->host->param_i64(v->op, "max_hops", 0);
	struct sip_conn other = {.fd = -1}, next, *c = &v->conn;
	struct sip_response r = {0};
	int rc;

	snprintf(a->trail, sizeof(a->trail), "%s (%.300s)", v->conn.peer.text, v->target->how);
	while ((rc = ask(v, a, c, expires_s, &r)) == RESITE_OK && is_redirect(v, &r)) {
		if (hops-- == 0) {
			rc = not_signed_in(v, a, &r, ": too many redirects");
			break;
		}
		rc = go_on(v, a, &r, &next);
		sip_response_release(&r);
		if (rc != RESITE_OK)
			break;
		sip_close(&other);
		other = next;
		c = &other;
	}
	if (rc == RESITE_OK)
		rc = judge(v, a, c, &r);
	else if (rc < 0)
		rc = ask_failed(v, a, rc);
	sip_response_release(&r);
	sip_close(&other);
	return rc;
}

/* --- the visit ---------------------------------------------------------------------------- */

static int
load_password(struct visit *v)
{
	const char *ref = resite_str_or(v->op, v->host, "password", NULL);
	int len;

	if (!ref)
		return RESITE_OK;
	len = v->host->secret(v->op, ref, v->password, sizeof(v->password) - 1);
	if (len < 0 || (size_t)len >= sizeof(v->password))
		return resite_fail(v->op, v->host, RESITE_ERR_INVALID, "password",
				   len < 0 ? "the secret cannot be read" : "it is too long");
	v->password[len] = '\0';
	v->password[strcspn(v->password, "\r\n")] = '\0';
	v->has_password = true;
	return RESITE_OK;
}

static int
visit_init(struct visit *v, struct resite_op *op, const struct resite_host *host)
{
	const char *domain = host->param_str(op, "domain", 0);
	size_t len = strlen(domain);

	*v = (struct visit){.op = op, .host = host, .net = net_of(op, host), .conn = {.fd = -1},
			    .registers = !strcmp(host->param_str(op, "method", 0), "register"),
			    .follow = host->param_i64(op, "follow", 0) != 0,
			    .expect = (int)host->param_i64(op, "expect", 0)};
	if (len && domain[len - 1] == '.')
		len--;
	if (!len || len >= sizeof(v->domain))
		return resite_fail(op, host, RESITE_ERR_INVALID, "domain", "'%s' is no domain", domain);
	memcpy(v->domain, domain, len);
	v->domain[len] = '\0';
	if (!host->param_count(op, "server") && !host->param_count(op, "resolver"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "resolver",
				   "give a resolver to find the registrar with, or a server");
	if (v->registers && !host->param_count(op, "users") && !host->param_count(op, "users_file"))
		return resite_fail(op, host, RESITE_ERR_INVALID, "users",
				   "method register needs users or users_file");
	return RESITE_OK;
}

static int
visit_all(struct visit *v, const struct users *users)
{
	int64_t began = net_now_ms();
	char text[24];

	for (size_t i = 0; i < users->n; i++) {
		struct attempt a = {.user = users->v[i]};
		int rc;

		random_hex(a.call_id, 33);
		random_hex(a.tag, 17);
		rc = sign_in(v, &a);
		if (rc != RESITE_OK)
			return rc;
		if (i == 0) {
			snprintf(text, sizeof(text), "%lld", (long long)(net_now_ms() - began));
			v->host->output(v->op, "ms", text);
		}
		v->host->progress(v->op, i + 1, users->n, "users signed in");
	}
	snprintf(text, sizeof(text), "%zu", users->n);
	v->host->output(v->op, "signed_in", v->registers ? text : "0");
	return RESITE_OK;
}

int
sip_check(struct resite_op *op, const struct resite_host *host)
{
	struct visit v;

	return visit_init(&v, op, host);
}

int
sip_verify(struct resite_op *op, const struct resite_host *host)
{
	struct users users = {0};
	struct visit v;
	int rc = visit_init(&v, op, host);

	if (rc == RESITE_OK)
		rc = load_password(&v);
	if (rc == RESITE_OK)
		rc = load_users(&v, &users);
	if (rc == RESITE_OK)
		rc = find_targets(&v);
	if (rc == RESITE_OK)
		rc = connect_any(&v);
	if (rc == RESITE_OK)
		rc = visit_all(&v, &users);
	sip_close(&v.conn);
	release_users(&users);
	explicit_bzero(v.password, sizeof(v.password));
	return rc;
}
