/* ldap_limit: the least that a client must do to move users, as a limit to
 * measure ldap-homing against: a paged search for those on FROM, then one
 * compare-and-swap modify each.  No undo, no resume, no cancelling; any result
 * that is not success ends it.
 *
 *	ldap_limit URL BIND_DN PASSWORD BASE ATTRIBUTE FROM TO window N
 *	ldap_limit URL BIND_DN PASSWORD BASE ATTRIBUTE FROM TO txn N
 *
 * window: N changes in flight.  txn: RFC 5805 transactions of N changes, 64 in
 * flight.  Prints one JSON object with the time of search and change.
 */
#define _GNU_SOURCE
#include "config.h"

#include <ldap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE 1000
#define TXN_WINDOW 64

struct run {
	LDAP *ld;
	const char *base, *attribute, *from, *to;
	char **dns;
	size_t n, cap;
	struct berval txn; /* bv_val NULL: none */
};

static void
must(int code, const char *what)
{
	if (code == LDAP_SUCCESS)
		return;
	fprintf(stderr, "ldap_limit: %s: %s (%d)\n", what, ldap_err2string(code), code);
	exit(1);
}

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
keep_dn(struct run *r, LDAPMessage *entry)
{
	if (r->n == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 1024;
		r->dns = realloc(r->dns, r->cap * sizeof(*r->dns));
		if (!r->dns)
			must(LDAP_NO_MEMORY, "list");
	}
	r->dns[r->n++] = ldap_get_dn(r->ld, entry);
}

static void
search(struct run *r)
{
	struct berval cookie = {0, NULL};
	char filter[1024], *attrs[] = {(char *)(uintptr_t)r->attribute, NULL};

	snprintf(filter, sizeof(filter), "(%s=%s)", r->attribute, r->from);
	do {
		LDAPControl *page, *controls[2] = {NULL, NULL}, **answer = NULL;
		LDAPMessage *all;
		ber_int_t estimate;
		int code;

		must(ldap_create_page_control(r->ld, PAGE, &cookie, 1, &page), "page control");
		controls[0] = page;
		must(ldap_search_ext_s(r->ld, r->base, LDAP_SCOPE_SUBTREE, filter, attrs, 0, controls, NULL,
				       NULL, LDAP_NO_LIMIT, &all), "search");
		ldap_control_free(page);
		for (LDAPMessage *m = ldap_first_entry(r->ld, all); m; m = ldap_next_entry(r->ld, m))
			keep_dn(r, m);
		must(ldap_parse_result(r->ld, all, &code, NULL, NULL, NULL, &answer, 1), "search result");
		must(code, "search result");
		ber_memfree(cookie.bv_val);
		must(ldap_parse_pageresponse_control(
			     r->ld, ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, answer, NULL), &estimate,
			     &cookie), "page answer");
		ldap_controls_free(answer);
	} while (cookie.bv_len > 0);
}

static void
send_one(struct run *r, const char *dn)
{
	struct berval from = {strlen(r->from), (char *)(uintptr_t)r->from};
	struct berval to = {strlen(r->to), (char *)(uintptr_t)r->to};
	struct berval *old_values[] = {&from, NULL}, *new_values[] = {&to, NULL};
	char *type = (char *)(uintptr_t)r->attribute;
	LDAPMod gone = {.mod_op = LDAP_MOD_DELETE | LDAP_MOD_BVALUES, .mod_type = type};
	LDAPMod put = {.mod_op = LDAP_MOD_ADD | LDAP_MOD_BVALUES, .mod_type = type};
	LDAPMod *mods[] = {&gone, &put, NULL};
	LDAPControl txn = {(char *)(uintptr_t)LDAP_CONTROL_TXN_SPEC, r->txn, 1};
	LDAPControl *controls[] = {r->txn.bv_val ? &txn : NULL, NULL};
	int msgid;

	gone.mod_bvalues = old_values;
	put.mod_bvalues = new_values;
	must(ldap_modify_ext(r->ld, dn, mods, controls, NULL, &msgid), dn);
}

static void
receive_one(struct run *r)
{
	LDAPMessage *msg;
	int code;

	if (ldap_result(r->ld, LDAP_RES_ANY, LDAP_MSG_ONE, NULL, &msg) <= 0)
		must(LDAP_SERVER_DOWN, "result");
	must(ldap_parse_result(r->ld, msg, &code, NULL, NULL, NULL, NULL, 1), "result");
	if (code != LDAP_TXN_SPECIFY_OKAY)
		must(code, "modify");
}

static void
change(struct run *r, size_t at, size_t end, size_t window)
{
	size_t in_flight = 0;

	for (; at < end; at++) {
		if (in_flight == window)
			receive_one(r);
		else
			in_flight++;
		send_one(r, r->dns[at]);
	}
	while (in_flight--)
		receive_one(r);
}

static void
change_in_txns(struct run *r, size_t size)
{
	for (size_t at = 0; at < r->n; at += size) {
		struct berval *id = NULL;
		int failed;

		must(ldap_txn_start_s(r->ld, NULL, NULL, &id), "transaction start");
		r->txn = id && id->bv_val ? *id : (struct berval){0, (char *)(uintptr_t)""};
		change(r, at, at + size < r->n ? at + size : r->n, TXN_WINDOW);
		must(ldap_txn_end_s(r->ld, 1, &r->txn, NULL, NULL, &failed), "commit");
		ber_bvfree(id);
	}
}

int
main(int argc, char **argv)
{
	struct run r = {.ld = NULL};
	struct berval cred;
	const int version = LDAP_VERSION3;
	double t0, t1, t2;

	if (argc != 10) {
		fprintf(stderr, "usage: ldap_limit URL BIND_DN PASSWORD BASE ATTRIBUTE FROM TO window|txn N\n");
		return 2;
	}
	r.base = argv[4];
	r.attribute = argv[5];
	r.from = argv[6];
	r.to = argv[7];
	cred = (struct berval){strlen(argv[3]), argv[3]};
	t0 = seconds();
	must(ldap_initialize(&r.ld, argv[1]), "URL");
	ldap_set_option(r.ld, LDAP_OPT_PROTOCOL_VERSION, &version);
	must(ldap_sasl_bind_s(r.ld, argv[2], LDAP_SASL_SIMPLE, &cred, NULL, NULL, NULL), "bind");
	search(&r);
	t1 = seconds();
	if (!strcmp(argv[8], "txn"))
		change_in_txns(&r, strtoul(argv[9], NULL, 10));
	else
		change(&r, 0, r.n, strtoul(argv[9], NULL, 10));
	t2 = seconds();
	printf("{\"way\": \"%s\", \"size\": %s, \"users\": %zu, \"search_s\": %.4f, \"change_s\": %.4f, "
	       "\"total_s\": %.4f}\n", argv[8], argv[9], r.n, t1 - t0, t2 - t1, t2 - t0);
	ldap_unbind_ext_s(r.ld, NULL, NULL);
	return 0;
}
