#include "config.h"
#include "plugins/ldap-homing/result.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int code, rc;
	const char *advice; /* NULL: the server's own words say enough */
} results[] = {
	{LDAP_OPERATIONS_ERROR, RESITE_ERR_REFUSED,
	 "Active Directory says so to who has not said who he is: give bind_dn and password, or sasl"},
	{LDAP_TIMELIMIT_EXCEEDED, RESITE_ERR_TRANSIENT, "the list would be incomplete, so it is not used"},
	{LDAP_SIZELIMIT_EXCEEDED, RESITE_ERR_REFUSED,
	 "the list would be incomplete, so it is not used: raise the size limit of the bind "
	 "user (slapd: limits dn.exact=\"...\" size=unlimited size.prtotal=unlimited)"},
	{LDAP_ADMINLIMIT_EXCEEDED, RESITE_ERR_REFUSED,
	 "the list would be incomplete, so it is not used: raise the server's limit for the bind user"},
	{LDAP_REFERRAL, RESITE_ERR_REFUSED,
	 "this server does not hold the entry: name the server that does"},
	{LDAP_PARTIAL_RESULTS, RESITE_ERR_REFUSED,
	 "this server does not hold the entry: name the server that does"},
	{LDAP_CONFIDENTIALITY_REQUIRED, RESITE_ERR_REFUSED, "use ldaps:// or tls = \"starttls\""},
	{LDAP_STRONG_AUTH_REQUIRED, RESITE_ERR_REFUSED, "use ldaps:// or tls = \"starttls\""},
	{LDAP_UNAVAILABLE_CRITICAL_EXTENSION, RESITE_ERR_REFUSED,
	 "the server lacks a control that is needed; without paging: page_size = 0"},
	{LDAP_NO_SUCH_ATTRIBUTE, RESITE_ERR_CONFLICT, NULL},
	{LDAP_TYPE_OR_VALUE_EXISTS, RESITE_ERR_CONFLICT, NULL},
	{LDAP_NO_SUCH_OBJECT, RESITE_ERR_REFUSED,
	 "it does not exist, or the bind user may not see it"},
	{LDAP_INVALID_CREDENTIALS, RESITE_ERR_REFUSED, "check bind_dn and password"},
	{LDAP_INSUFFICIENT_ACCESS, RESITE_ERR_REFUSED, "the bind user lacks the right to do this"},
	{LDAP_UNWILLING_TO_PERFORM, RESITE_ERR_REFUSED, NULL},
	{LDAP_BUSY, RESITE_ERR_TRANSIENT, NULL},
	{LDAP_UNAVAILABLE, RESITE_ERR_TRANSIENT, NULL},
	{LDAP_SERVER_DOWN, RESITE_ERR_TRANSIENT, NULL},
	{LDAP_CONNECT_ERROR, RESITE_ERR_TRANSIENT, NULL},
	{LDAP_TIMEOUT, RESITE_ERR_TRANSIENT, NULL},
	{LDAP_DECODING_ERROR, RESITE_ERR_REFUSED, "what answers there is not an LDAP server"},
	{LDAP_FILTER_ERROR, RESITE_ERR_INVALID, "the filter is not written as RFC 4515 says"},
	{LDAP_PARAM_ERROR, RESITE_ERR_INVALID, NULL},
	{LDAP_NO_MEMORY, RESITE_ERR_TRANSIENT, NULL},
};

int
lh_error_set(struct lh_error *e, int rc, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(e->text))
		memcpy(e->text + sizeof(e->text) - 4, "...", 4);
	for (char *p = e->text; *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	e->rc = rc;
	e->code = LDAP_SUCCESS;
	return rc;
}

int
lh_result_rc(int code)
{
	if (code == LDAP_SUCCESS)
		return RESITE_OK;
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (results[i].code == code)
			return results[i].rc;
	return RESITE_ERR_REFUSED;
}

static const char *
advice_for(int code)
{
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (results[i].code == code)
			return results[i].advice;
	return NULL;
}

int
lh_error_result(struct lh_error *e, int code, const char *diag, const char *what)
{
	const char *advice = advice_for(code);
	int said = diag && *diag;

	lh_error_set(e, lh_result_rc(code), "%s: %s (%d)%s%s%s%s", what,
			    ldap_err2string(code), code, said ? ": " : "", said ? diag : "",
			    advice ? "; " : "", advice ? advice : "");
	e->code = code;
	return e->rc;
}

int
lh_error_ld(struct lh_error *e, LDAP *ld, int code, const char *what)
{
	char *diag = NULL;

	ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &diag);
	lh_error_result(e, code, diag, what);
	ldap_memfree(diag);
	return e->rc;
}
