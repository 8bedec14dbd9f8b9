#include "config.h"

#include "plugins/dns-nsupdate/script.h"

#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

/* --- telling ------------------------------------------------------------------------ */

static void
put_records(FILE *f, const char *verb, const struct rrset *s, const char *owner, bool with_ttl)
{
	for (size_t i = 0; i < s->n; i++) {
		char *data = rrset_data(s, i);

		fprintf(f, "%s %s", verb, owner);
		if (with_ttl)
			fprintf(f, " %lu", (unsigned long)s->ttl);
		fprintf(f, " %s %s\n", rrset_type_text(s->type), data ? data : "");
		free(data);
	}
}

/* As update.c writes them. */
static void
put_prerequisites(FILE *f, const struct change *c, const char *owner)
{
	const char *type = rrset_type_text(c->will->type);

	put_records(f, "prereq yxrrset", c->was, owner, false);
	if (c->was->n)
		return;
	if (c->will->type == LDNS_RR_TYPE_CNAME && !c->beside) {
		fprintf(f, "prereq nxdomain %s\n", owner);
		return;
	}
	fprintf(f, "prereq nxrrset %s %s\n", owner, type);
	if (!c->beside)
		fprintf(f, "prereq nxrrset %s CNAME\n", owner);
}

static void
put_deletion(FILE *f, const struct change *c, const char *owner)
{
	if (c->was->n)
		fprintf(f, "update delete %s %s\n", owner, rrset_type_text(c->was->type));
}

static void
put_key(FILE *f, const struct tsig_key *key)
{
	char text[BASE64_ENCODE_RAW_LENGTH(TSIG_SECRET_MAX) + 1];

	base64_encode_raw(text, key->secret_len, key->secret);
	fprintf(f, "key %s:%s %.*s\n", tsig_key_algorithm(key), key->name_text,
		(int)BASE64_ENCODE_RAW_LENGTH(key->secret_len), text);
	explicit_bzero(text, sizeof(text));
}

enum part { PREREQUISITES, DELETIONS, ADDITIONS };

static bool
put_part(FILE *f, enum part part, const struct change *const *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *owner = rrset_owner(c[i]->will);

		if (!owner)
			return false;
		if (part == PREREQUISITES)
			put_prerequisites(f, c[i], owner);
		else if (part == DELETIONS)
			put_deletion(f, c[i], owner);
		else
			put_records(f, "update add", c[i]->will, owner, true);
		free(owner);
	}
	return true;
}

char *
script_build(const struct step *s, const struct zone *z, const struct change *const *c, size_t n,
	     size_t *ret_len)
{
	const char *realm = resite_str_or(s->op, s->host, "realm", NULL);
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);
	bool ok;

	if (!f)
		return NULL;
	fprintf(f, "server %s %s\n", s->server.host, s->server.port);
	if (s->send == SEND_GSS && realm)
		fprintf(f, "realm %s\n", realm);
	fprintf(f, "zone %s\n", z->text);
	if (s->has_key)
		put_key(f, &s->key);
	ok = put_part(f, PREREQUISITES, c, n) && put_part(f, DELETIONS, c, n) &&
	     put_part(f, ADDITIONS, c, n);
	fputs("send\n", f);
	if (fclose(f) == 0 && ok)
		return text;
	if (text)
		explicit_bzero(text, *ret_len);
	free(text);
	return NULL;
}

/* --- understanding ---------------------------------------------------------------------- */

/* The first that fits counts; texts of BIND 9.18. */
static const struct {
	const char *words;
	enum update_verdict verdict;
	int rc;
	const char *hint;
} meanings[] = {
	{"update failed: NXRRSET", UPDATE_PREREQUISITE, 0, NULL},
	{"update failed: YXRRSET", UPDATE_PREREQUISITE, 0, NULL},
	{"update failed: NXDOMAIN", UPDATE_PREREQUISITE, 0, NULL},
	{"update failed: YXDOMAIN", UPDATE_PREREQUISITE, 0, NULL},
	{"NOTAUTH(BADKEY)", UPDATE_FAILED, RESITE_ERR_REFUSED,
	 "the server does not know the key: check its name and algorithm there"},
	{"NOTAUTH(BADSIG)", UPDATE_FAILED, RESITE_ERR_REFUSED, "the server has another secret for the key"},
	{"NOTAUTH(BADTIME)", UPDATE_FAILED, RESITE_ERR_REFUSED,
	 "the clocks of this machine and of the server differ"},
	{"expected a TSIG", UPDATE_FAILED, RESITE_ERR_TRANSIENT,
	 "the answer is not signed, so it is not believed"},
	{"tsig verify failure", UPDATE_FAILED, RESITE_ERR_REFUSED,
	 "the answer's signature does not fit the key, so it is not believed"},
	{"update failed: REFUSED", UPDATE_FAILED, RESITE_ERR_REFUSED,
	 "check allow-update or update-policy of the zone, and that this server is its primary"},
	{"update failed: NOTAUTH", UPDATE_FAILED, RESITE_ERR_INVALID,
	 "this server is not authoritative for the zone: check 'server' and 'zone'"},
	{"update failed: NOTZONE", UPDATE_FAILED, RESITE_ERR_INVALID, "a name is not in the zone"},
	{"update failed: NOTIMP", UPDATE_FAILED, RESITE_ERR_INVALID,
	 "this server does not do dynamic updates"},
	{"update failed: SERVFAIL", UPDATE_FAILED, RESITE_ERR_TRANSIENT,
	 "the server could not carry it out; its log says why"},
	{"GSSAPI error", UPDATE_FAILED, RESITE_ERR_REFUSED,
	 "Kerberos: is there a ticket that is still valid (klist), and a service DNS/HOST of the zone's "
	 "first server (SOA) in the realm?"},
	{"GSS-TSIG query was unsuccessful", UPDATE_FAILED, RESITE_ERR_REFUSED,
	 "the server does not negotiate GSS-TSIG: check tkey-gssapi-keytab there"},
	{"tkey", UPDATE_FAILED, RESITE_ERR_REFUSED, "the server did not accept the Kerberos ticket"},
	{"timed out", UPDATE_FAILED, RESITE_ERR_TRANSIENT,
	 "no answer, so whether it was done is unknown; running the step again is safe"},
	{"connection refused", UPDATE_FAILED, RESITE_ERR_TRANSIENT, "is the server up?"},
	{"Communication with", UPDATE_FAILED, RESITE_ERR_TRANSIENT, "is the server up?"},
	{"end of file", UPDATE_FAILED, RESITE_ERR_TRANSIENT, "the server hung up"},
};

enum update_verdict
script_judge(int exit_code, const char *words, struct update_failure *ret)
{
	if (exit_code == 0)
		return UPDATE_DONE;
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		if (!strcasestr(words, meanings[i].words))
			continue;
		ret->rc = meanings[i].rc;
		if (meanings[i].verdict == UPDATE_FAILED)
			snprintf(ret->text, sizeof(ret->text), "nsupdate: %.250s: %s", words,
				 meanings[i].hint);
		return meanings[i].verdict;
	}
	ret->rc = RESITE_ERR_TRANSIENT;
	if (exit_code < 0)
		snprintf(ret->text, sizeof(ret->text), "nsupdate was killed");
	else
		snprintf(ret->text, sizeof(ret->text), "nsupdate: exit status %d: %.400s", exit_code,
			 *words ? words : "(it said nothing)");
	return UPDATE_FAILED;
}
