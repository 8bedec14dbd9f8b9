/* find-pool: the home DN of the pool of a name, which is what users' entries hold. */
#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/actions.h"

#include "plugins/ldap-homing/call.h"
#include "plugins/ldap-homing/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOLS "CN=Pools,CN=RTC Service,CN=Services"

struct found {
	unsigned n;
	char *first;
	char names[500]; /* of all, as far as there is room */
};

static int
note(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	struct found *f = arg;

	lh_names_add(f->names, sizeof(f->names), entry->dn.bv_val);
	if (f->n++ == 0)
		f->first = strdup(entry->dn.bv_val);
	return f->first ? 0 : lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
}

/* The one entry under base of that class and, unless attribute is NULL, that value.  A
 * reference to another server is an error: the other entry could be there. */
static int
find_one(struct lh_conn *c, const char *base, const char *class, const char *attribute,
	 const char *value, const char *what, char **ret, struct lh_error *e)
{
	char *of_class, *filter;
	struct lh_query q = {.base = base, .scope = LDAP_SCOPE_SUBTREE};
	struct found f = {.first = NULL};
	int rc;

	of_class = lh_filter_equal("objectClass", class, NULL);
	filter = of_class && attribute ? lh_filter_equal(attribute, value, of_class) : NULL;
	q.filter = attribute ? filter : of_class;
	rc = q.filter ? lh_search(c, &q, note, &f, e)
		      : lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
	free(of_class);
	free(filter);
	if (!rc && f.n == 0)
		rc = lh_error_set(e, RESITE_ERR_REFUSED,
				  "%s: there is no %s under \"%s\" (class %s%s%s%s), or this user may not see "
				  "it; is the name right, and the base?",
				  c->url, what, base, class, attribute ? ", " : "",
				  attribute ? attribute : "", attribute ? " has no such value" : "");
	else if (!rc && f.n > 1)
		rc = lh_error_set(e, RESITE_ERR_REFUSED,
				  "%s: %u entries under \"%s\" could be the %s, and only one can be meant: %s; "
				  "write the right one into the plan", c->url, f.n, base, what, f.names);
	if (!rc)
		*ret = f.first;
	else
		free(f.first);
	return rc;
}

static int
find_home(struct call *k, struct lh_conn *c, char **ret, struct lh_error *e)
{
	char *base = NULL, *pool_dn = NULL, name[256], what[300];
	int rc;

	snprintf(name, sizeof(name), "%.255s", call_text(k, "pool"));
	if (*name && name[strlen(name) - 1] == '.') /* the directory knows no trailing dot */
		name[strlen(name) - 1] = '\0';
	snprintf(what, sizeof(what), "pool %s", name);
	rc = call_base(k, c, POOLS, &base, e);
	if (!rc)
		rc = find_one(c, base, call_text(k, "pool_class"), call_text(k, "host_attribute"), name,
			      what, &pool_dn, e);
	snprintf(what, sizeof(what), "home of pool %s", name);
	if (!rc)
		rc = find_one(c, pool_dn, call_text(k, "service_class"), NULL, NULL, what, ret, e);
	free(pool_dn);
	free(base);
	return rc;
}

int
find_pool_check(struct resite_op *op, const struct resite_host *host)
{
	static const char *const names[] = {"pool_class", "host_attribute", "service_class"};
	struct call k;
	int rc;

	call_init(&k, op, host);
	rc = call_check_dn(&k, "base");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && rc == RESITE_OK; i++)
		rc = call_check_attribute(&k, names[i]);
	if (rc == RESITE_OK)
		rc = call_check_target(&k);
	call_release(&k);
	return rc;
}

int
find_pool_verify(struct resite_op *op, const struct resite_host *host)
{
	struct lh_error e = {.rc = 0};
	char *dn = NULL;
	struct lh_conn c;
	struct call k;
	int rc;

	call_init(&k, op, host);
	rc = call_open(&k, k.target.url, &c);
	if (rc == RESITE_OK) {
		rc = find_home(&k, &c, &dn, &e) ? call_report(&k, &e) : host->output(op, "dn", dn);
		lh_conn_close(&c);
	}
	if (rc == RESITE_OK)
		resite_log(op, host, RESITE_LOG_INFO, "%s is %s", call_text(&k, "pool"), dn);
	free(dn);
	call_release(&k);
	return rc;
}
