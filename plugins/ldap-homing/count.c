/* count: how many entries match a filter, as a number for a later step. */
#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/actions.h"

#include "plugins/ldap-homing/call.h"
#include "plugins/ldap-homing/schema.h"
#include "plugins/ldap-homing/search.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
count_one(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	uint64_t *n = arg;

	(void)entry;
	(void)e;
	(*n)++;
	return 0;
}

/* "(&(|A(!A))(|B(!B)))" for the items A, B of a filter that lh_filter_fault finds well: true of
 * any entry, unless the server can decide one of them for none. */
static char *
decidable(const char *filter)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fputs("(&", out);
	for (const char *p = filter; (p = strchr(p, '(')); p++) {
		int n = (int)strcspn(p, ")") + 1;

		if (!strchr("&|!", p[1]))
			fprintf(out, "(|%.*s(!%.*s))", n, p, n, p);
	}
	fputs(")", out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* An attribute, rule or value that the server does not know matches nobody: 0, and wrong. */
static int
refuse_undecidable(struct lh_conn *c, const struct lh_query *q, struct lh_error *e)
{
	struct lh_names names = {.n = 0};
	struct lh_query all = {.base = q->base, .scope = LDAP_SCOPE_BASE};
	char *filter = decidable(q->filter);
	const char *missing;
	uint64_t n = 0;
	int rc;

	all.filter = filter;
	lh_filter_attributes(q->filter, &names);
	rc = !filter ? lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory")
		     : lh_schema_lacks(c, &names, &missing, e);
	if (!rc && missing)
		rc = lh_error_set(e, RESITE_ERR_REFUSED,
				  "%s: filter names an attribute that the server does not know: %s; nobody "
				  "would match it", c->url, missing);
	if (!rc)
		rc = lh_search(c, &all, count_one, &n, e);
	if (!rc && n == 0)
		rc = lh_error_set(e, RESITE_ERR_REFUSED,
				  "%s: the server can decide some part of the filter %s for nobody (does it "
				  "know the matching rule, is the value of the attribute's kind?), or this user "
				  "may not search \"%s\": whoever is not counted so would be missed", c->url,
				  q->filter, q->base);
	free(filter);
	return rc;
}

int
count_check(struct resite_op *op, const struct resite_host *host)
{
	struct call k;
	int rc;

	call_init(&k, op, host);
	rc = call_check_dn(&k, "base");
	if (rc == RESITE_OK)
		rc = call_check_filter(&k, "filter");
	if (rc == RESITE_OK)
		rc = call_check_target(&k);
	call_release(&k);
	return rc;
}

int
count_verify(struct resite_op *op, const struct resite_host *host)
{
	struct lh_query q = {.scope = LDAP_SCOPE_SUBTREE};
	struct lh_error e = {.rc = 0};
	struct lh_conn c;
	struct call k;
	uint64_t n = 0;
	int rc;

	call_init(&k, op, host);
	q.base = call_text(&k, "base");
	q.filter = call_text(&k, "filter");
	q.page_size = (int)resite_i64_or(op, host, "page_size", 1000);
	q.skip_references = !strcmp(resite_str_or(op, host, "referrals", "fail"), "skip");
	rc = call_open(&k, k.target.url, &c);
	if (rc == RESITE_OK) {
		if (refuse_undecidable(&c, &q, &e) || lh_search(&c, &q, count_one, &n, &e))
			rc = call_report(&k, &e);
		else
			call_output_number(&k, "count", n);
		lh_conn_close(&c);
	}
	if (rc == RESITE_OK)
		resite_log(op, host, RESITE_LOG_INFO, "%" PRIu64 " under %s match %s", n, q.base, q.filter);
	call_release(&k);
	return rc;
}
