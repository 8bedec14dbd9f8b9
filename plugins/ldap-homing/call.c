#include "config.h"
#include "plugins/ldap-homing/call.h"

#include <stdlib.h>
#include <string.h>

/* --- parameters ---------------------------------------------------------- */

static int
env_wait(void *arg, int fd, short events, int64_t ms)
{
	struct call *k = arg;

	return k->host->wait(k->op, fd, events, ms);
}

static void
env_log(void *arg, int level, const char *line)
{
	struct call *k = arg;

	k->host->log(k->op, level, line);
}

static const char *
text(struct call *k, const char *name)
{
	return resite_str_or(k->op, k->host, name, NULL);
}

static int
invalid(struct call *k, const char *param, const char *why)
{
	const char *value = text(k, param);

	return resite_fail(k->op, k->host, RESITE_ERR_INVALID, param, "\"%s\": %s",
			   value ? value : "", why);
}

static enum lh_tls
tls_of(const char *choice)
{
	return !strcmp(choice, "never")      ? LH_TLS_NEVER
	       : !strcmp(choice, "starttls") ? LH_TLS_STARTTLS
					     : LH_TLS_AUTO;
}

static void
read_target(struct call *k)
{
	k->target = (struct lh_target){
		.url = text(k, "server"),
		.bind_dn = text(k, "bind_dn"),
		.external = !strcmp(resite_str_or(k->op, k->host, "sasl", "none"), "external"),
		.tls = tls_of(resite_str_or(k->op, k->host, "tls", "auto")),
		.allow_plaintext = resite_i64_or(k->op, k->host, "allow_plaintext", 0),
		.ca_file = text(k, "ca_file"),
		.cert_file = text(k, "cert_file"),
		.key_file = text(k, "key_file"),
		.timeout_ms = resite_i64_or(k->op, k->host, "network_timeout", 30000),
	};
	k->verify_url = resite_str_or(k->op, k->host, "verify_server", k->target.url);
}

static void
read_task(struct call *k)
{
	const char *moving = resite_str_or(k->op, k->host, "moving_attribute", "");

	k->task = (struct lh_task){
		.base = text(k, "base"),
		.attribute = text(k, "attribute"),
		.from = text(k, "from"),
		.to = text(k, "to"),
		.moving_attribute = *moving ? moving : NULL,
		.filter = text(k, "filter"),
		.page_size = (int)resite_i64_or(k->op, k->host, "page_size", 1000),
		.window = (unsigned)resite_i64_or(k->op, k->host, "window", 64),
		.transaction_size =
			(unsigned)resite_i64_or(k->op, k->host, "transaction_size", 1000),
		.skip_references =
			!strcmp(resite_str_or(k->op, k->host, "referrals", "fail"), "skip"),
	};
	k->require_target = resite_i64_or(k->op, k->host, "require_target", 1);
}

void
call_init(struct call *k, struct resite_op *op, const struct resite_host *host)
{
	memset(k, 0, sizeof(*k));
	k->op = op;
	k->host = host;
	k->env = (struct lh_env){k, env_wait, env_log};
	read_target(k);
	read_task(k);
}

/* A memset before a struct dies may be optimised away; the barrier keeps it. */
static void
wipe(void *secret, size_t len)
{
	memset(secret, 0, len);
	__asm__ __volatile__("" : : "r"(secret) : "memory");
}

void
call_release(struct call *k)
{
	wipe(k->password, sizeof(k->password));
	lh_hand_release(&k->hand);
	free(k->tool);
}

/* --- check --------------------------------------------------------------- */

int
call_check_names(struct call *k)
{
	static const char *const dns[] = {"base", "from", "to"};

	for (size_t i = 0; i < sizeof(dns) / sizeof(dns[0]); i++)
		if (!lh_dn_valid(text(k, dns[i])))
			return invalid(k, dns[i], "is not a DN (RFC 4514)");
	if (lh_dn_equal(k->task.from, k->task.to))
		return invalid(k, "to", "is the same entry as from: there is nothing to move");
	if (!lh_attribute_valid(k->task.attribute))
		return invalid(k, "attribute", "is not the name of an attribute");
	if (k->task.moving_attribute && !lh_attribute_valid(k->task.moving_attribute))
		return invalid(k, "moving_attribute", "is not the name of an attribute");
	if (!lh_filter_plausible(k->task.filter))
		return invalid(k, "filter", "is not one filter in balanced parentheses");
	return RESITE_OK;
}

int
call_check_target(struct call *k)
{
	bool password = k->host->param_count(k->op, "password") > 0;
	const char *fault = lh_url_fault(k->target.url);

	if (fault)
		return invalid(k, "server", fault);
	fault = lh_url_fault(k->verify_url);
	if (fault)
		return invalid(k, "verify_server", fault);
	if (k->target.external && (password || k->target.bind_dn))
		return invalid(k, "sasl", "leaves no place for bind_dn and password");
	if (password && !k->target.bind_dn)
		return resite_fail(k->op, k->host, RESITE_ERR_INVALID, "bind_dn",
				   "a password needs a bind_dn whose password it is");
	if (k->target.bind_dn && !password)
		return invalid(k, "bind_dn", "needs a password (a bind without one is anonymous)");
	if (!k->target.cert_file != !k->target.key_file)
		return invalid(k, k->target.cert_file ? "cert_file" : "key_file",
			       "a client certificate needs both cert_file and key_file");
	return RESITE_OK;
}

/* --- connecting ---------------------------------------------------------- */

int
call_report(struct call *k, const struct lh_error *e)
{
	if (e->rc != RESITE_ERR_CANCELLED)
		k->host->fail(k->op, NULL, 0, e->text);
	else
		k->host->log(k->op, RESITE_LOG_INFO, e->text);
	return e->rc;
}

static int
fetch_password(struct call *k)
{
	const char *ref = text(k, "password");
	int len;

	if (!ref)
		return RESITE_OK;
	len = k->host->secret(k->op, ref, k->password, sizeof(k->password));
	if (len < 0)
		return resite_fail(k->op, k->host, RESITE_ERR_INVALID, "password",
				   "the secret cannot be read");
	if (len == 0)
		return resite_fail(k->op, k->host, RESITE_ERR_INVALID, "password",
				   "the secret is empty: the server would take the bind for anonymous");
	if ((size_t)len > sizeof(k->password))
		return resite_fail(k->op, k->host, RESITE_ERR_INVALID, "password",
				   "the secret is longer than %zu bytes", sizeof(k->password));
	k->target.password = (struct berval){(ber_len_t)len, k->password};
	return RESITE_OK;
}

/* Checked again here: revert is called with parameters nobody else has checked. */
int
call_open(struct call *k, const char *url, struct lh_conn *c)
{
	struct lh_target target;
	struct lh_error e = {.rc = 0};
	int rc = call_check_target(k);

	if (rc == RESITE_OK)
		rc = fetch_password(k);
	if (rc != RESITE_OK)
		return rc;
	target = k->target;
	target.url = url;
	rc = lh_conn_open(c, &k->env, &target, &e);
	wipe(k->password, sizeof(k->password));
	return rc ? call_report(k, &e) : RESITE_OK;
}
