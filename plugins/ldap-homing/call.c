#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/call.h"

#include "plugins/ldap-homing/search.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define UNDO_VERSION 1

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

const char *
call_text(struct call *k, const char *name)
{
	return resite_str_or(k->op, k->host, name, NULL);
}

int
call_invalid(struct call *k, const char *param, const char *why)
{
	const char *value = call_text(k, param);

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

static enum lh_sasl
sasl_of(const char *choice)
{
	return !strcmp(choice, "gssapi")     ? LH_SASL_GSSAPI
	       : !strcmp(choice, "external") ? LH_SASL_EXTERNAL
					     : LH_SASL_NONE;
}

static void
read_target(struct call *k)
{
	k->target = (struct lh_target){
		.url = call_text(k, "server"),
		.bind_dn = call_text(k, "bind_dn"),
		.sasl = sasl_of(resite_str_or(k->op, k->host, "sasl", "none")),
		.server_name = call_text(k, "server_name"),
		.credential_cache = call_text(k, "credential_cache"),
		.keytab = call_text(k, "keytab"),
		.tls = tls_of(resite_str_or(k->op, k->host, "tls", "auto")),
		.allow_plaintext = resite_i64_or(k->op, k->host, "allow_plaintext", 0),
		.ca_file = call_text(k, "ca_file"),
		.cert_file = call_text(k, "cert_file"),
		.key_file = call_text(k, "key_file"),
		.timeout_ms = resite_i64_or(k->op, k->host, "network_timeout", 30000),
	};
}

void
call_init(struct call *k, struct resite_op *op, const struct resite_host *host)
{
	memset(k, 0, sizeof(*k));
	k->op = op;
	k->host = host;
	k->env = (struct lh_env){k, env_wait, env_log};
	read_target(k);
}

void
call_read_verify_server(struct call *k)
{
	k->verify_url = resite_str_or(k->op, k->host, "verify_server", k->target.url);
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
	free(k->hand_was);
	free(k->tool);
}

/* --- check --------------------------------------------------------------- */

int
call_check_dn(struct call *k, const char *param)
{
	const char *value = call_text(k, param);

	return !value || lh_dn_valid(value) ? RESITE_OK :
					      call_invalid(k, param, "is not a DN (RFC 4514)");
}

int
call_check_attribute(struct call *k, const char *param)
{
	const char *value = call_text(k, param);

	if (!value || lh_attribute_valid(value))
		return RESITE_OK;
	return call_invalid(k, param, "is not a name as a directory's schema has it");
}

int
call_check_filter(struct call *k, const char *param)
{
	const char *value = call_text(k, param), *why;
	size_t at = 0;

	if (!value)
		return RESITE_OK;
	why = lh_filter_fault(value, &at);
	if (!why)
		return RESITE_OK;
	return resite_fail(k->op, k->host, RESITE_ERR_INVALID, param,
			   "\"%s\": is not a filter (RFC 4515): at character %zu: %s", value, at + 1,
			   why);
}

static int
check_credentials(struct call *k)
{
	bool password = k->host->param_count(k->op, "password") > 0;
	const struct lh_target *t = &k->target;

	if (t->sasl != LH_SASL_NONE && (password || t->bind_dn))
		return call_invalid(k, "sasl", "leaves no place for bind_dn and password");
	if (password && !t->bind_dn)
		return resite_fail(k->op, k->host, RESITE_ERR_INVALID, "bind_dn",
				   "a password needs a bind_dn whose password it is");
	if (t->bind_dn && !password)
		return call_invalid(k, "bind_dn", "needs a password (a bind without one is anonymous)");
	if (!t->cert_file != !t->key_file)
		return call_invalid(k, t->cert_file ? "cert_file" : "key_file",
				    "a client certificate needs both cert_file and key_file");
	if (t->sasl != LH_SASL_GSSAPI && (t->keytab || t->credential_cache))
		return call_invalid(k, t->keytab ? "keytab" : "credential_cache",
				    "is for Kerberos: sasl = \"gssapi\"");
	return RESITE_OK;
}

/* A Kerberos service has a name, and no address. */
static bool
is_address(const char *url)
{
	LDAPURLDesc *u = NULL;
	unsigned char raw[16];
	bool is = ldap_url_parse(url, &u) == LDAP_URL_SUCCESS && u->lud_host &&
		  (inet_pton(AF_INET, u->lud_host, raw) == 1 || inet_pton(AF_INET6, u->lud_host, raw) == 1);

	ldap_free_urldesc(u);
	return is;
}

static int
check_pins(struct call *k)
{
	uint32_t n = k->host->param_count(k->op, "pin");
	bool plain = !strncasecmp(k->target.url, "ldap://", 7) && k->target.tls == LH_TLS_NEVER;

	if (n > LH_PINS_MAX)
		return call_invalid(k, "pin", "more than 8 of them");
	for (uint32_t i = 0; i < n; i++) {
		const char *text = k->host->param_str(k->op, "pin", i);
		const char *fault = lh_pin_parse(text, &k->target.pins[i]);

		if (fault)
			return resite_fail(k->op, k->host, RESITE_ERR_INVALID, "pin", "\"%s\" %s", text, fault);
	}
	if (n && (plain || !strncasecmp(k->target.url, "ldapi:", 6)))
		return call_invalid(k, "pin", "without TLS there is no certificate");
	k->target.n_pins = n;
	return RESITE_OK;
}

int
call_check_target(struct call *k)
{
	const char *fault = lh_url_fault(k->target.url);

	if (fault)
		return call_invalid(k, "server", fault);
	fault = k->verify_url ? lh_url_fault(k->verify_url) : NULL;
	if (fault)
		return call_invalid(k, "verify_server", fault);
	if (k->target.sasl == LH_SASL_GSSAPI && !k->target.server_name && is_address(k->target.url))
		return call_invalid(k, "server",
				    "is an address, and Kerberos knows servers by name: give server_name");
	return check_credentials(k) == RESITE_OK ? check_pins(k) : RESITE_ERR_INVALID;
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
	const char *ref = call_text(k, "password");
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

static int
first_value(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	char **value = arg;
	const struct berval *v = entry->values[0];

	(void)e;
	if (v && v->bv_val && !*value)
		*value = strndup(v->bv_val, v->bv_len);
	return 0;
}

int
call_base(struct call *k, struct lh_conn *c, const char *below, char **ret, struct lh_error *e)
{
	struct lh_query q = {.base = "", .scope = LDAP_SCOPE_BASE, .filter = "(objectClass=*)",
			     .attrs = {"configurationNamingContext"}};
	const char *said = call_text(k, "base");
	char *context = NULL;
	int n = 0;

	*ret = said ? strdup(said) : NULL;
	if (!said && lh_search(c, &q, first_value, &context, e))
		return e->rc;
	if (!said && !context)
		return lh_error_set(e, RESITE_ERR_INVALID,
				    "%s: the server names no configurationNamingContext (it is no Active "
				    "Directory): say in base under which DN to look", c->url);
	if (!said)
		n = asprintf(ret, "%s,%s", below, context);
	free(context);
	return *ret && n >= 0 ? 0 : lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
}

/* --- undo records -------------------------------------------------------- */

/* As lh_encrypt decides. */
static bool
uses_starttls(const struct lh_target *t)
{
	return !strncasecmp(t->url, "ldap://", 7) &&
	       (t->tls == LH_TLS_STARTTLS || t->n_pins ||
		(t->tls == LH_TLS_AUTO && t->password.bv_val && !t->allow_plaintext));
}

static char *
tool_line(const struct call *k)
{
	const struct lh_target *t = &k->target;
	char *url = lh_shell_quote(t->url), *dn = lh_shell_quote(t->bind_dn ? t->bind_dn : "");
	char *ca = lh_shell_quote(t->ca_file ? t->ca_file : ""), *line = NULL;
	const char *who = t->sasl == LH_SASL_EXTERNAL ? " -Y EXTERNAL"
			  : t->sasl == LH_SASL_GSSAPI ? " -Y GSSAPI"
			  : t->bind_dn		      ? " -x -W -D "
						      : " -x";
	int n = -1;

	if (url && dn && ca)
		n = asprintf(&line, "%s%s%sldapmodify -H %s%s%s%s", t->ca_file ? "LDAPTLS_CACERT=" : "",
			     t->ca_file ? ca : "", t->ca_file ? " " : "", url,
			     uses_starttls(t) ? " -ZZ" : "", who, t->bind_dn ? dn : "");
	free(url);
	free(dn);
	free(ca);
	return n < 0 ? NULL : line;
}

/* The line's tail is made again only when an old value is spelled anew. */
static int
learn_hand(struct call *k, const char *attribute, const char *was, const char *set)
{
	if (k->hand_was && k->hand_attribute == attribute && k->hand_set == set &&
	    !strcmp(k->hand_was, was))
		return 0;
	lh_hand_release(&k->hand);
	free(k->hand_was);
	k->hand_was = strdup(was);
	k->hand_attribute = attribute;
	k->hand_set = set;
	return k->hand_was ? lh_hand_init(&k->hand, k->tool, attribute, set, was) : -1;
}

int
call_undo_add(struct call *k, const char *dn, const char *attribute, const char *was,
	      const char *set)
{
	const struct resite_kv kv[] = {
		{"dn", dn}, {"attribute", attribute}, {"was.home", was}, {"set.home", set}};
	char *by_hand;
	int rc;

	if (!k->tool)
		k->tool = tool_line(k);
	if (!k->tool || learn_hand(k, attribute, was, set))
		return RESITE_ERR_TRANSIENT;
	by_hand = lh_hand_line(&k->hand, dn);
	if (!by_hand)
		return RESITE_ERR_TRANSIENT;
	rc = k->host->undo_add(k->op, UNDO_VERSION, by_hand, kv, sizeof(kv) / sizeof(kv[0]));
	free(by_hand);
	return rc;
}

static int
next_record(void *arg, struct lh_record *ret)
{
	struct call *k = arg;
	const struct resite_kv *kv;
	uint32_t version, n;
	int rc = k->host->undo_next(k->op, &version, &kv, &n);

	if (rc != 1)
		return rc;
	*ret = (struct lh_record){resite_kv_get(kv, n, "dn"), resite_kv_get(kv, n, "attribute"),
				  resite_kv_get(kv, n, "was.home"), resite_kv_get(kv, n, "set.home")};
	if (version == UNDO_VERSION && ret->dn && ret->attribute && ret->was && ret->set)
		return 1;
	snprintf(k->record_fault, sizeof(k->record_fault),
		 "an undo record of version %u cannot be read (this plugin writes %u)",
		 (unsigned)version, (unsigned)UNDO_VERSION);
	return RESITE_ERR_INVALID;
}

static int
tell_reverted(void *arg, const struct lh_record *r, int result, const char *now)
{
	struct call *k = arg;

	return k->host->reverted(k->op, r->dn, result, r->was, r->set, now);
}

int
call_revert(struct resite_op *op, const struct resite_host *host, unsigned window,
	    unsigned transaction_size)
{
	struct lh_error e = {.rc = 0};
	struct lh_conn c;
	struct call k;
	int rc;

	call_init(&k, op, host);
	rc = call_open(&k, k.target.url, &c);
	if (rc == RESITE_OK) {
		const struct lh_records records = {&k, next_record, tell_reverted};
		const struct lh_task way = {.window = window, .transaction_size = transaction_size};

		if (lh_undo(&c, &way, host->revert_way(op), &records, &e))
			rc = *k.record_fault ? resite_fail(op, host, e.rc, NULL, "%s", k.record_fault)
					     : call_report(&k, &e);
		lh_conn_close(&c);
	}
	call_release(&k);
	return rc;
}

/* --- small talk ------------------------------------------------------------ */

void
call_output_number(struct call *k, const char *name, uint64_t n)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, n);
	k->host->output(k->op, name, number);
}

void
call_keep_number(struct call *k, const char *checkpoint, uint64_t n)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, n);
	k->host->checkpoint(k->op, checkpoint, number);
}

bool
call_last_number(struct call *k, const char *checkpoint, uint64_t *ret_n)
{
	const char *data = NULL, *name = k->host->last_checkpoint(k->op, &data);

	if (!name || !data || strcmp(name, checkpoint))
		return false;
	*ret_n = strtoull(data, NULL, 10);
	return true;
}
