/* Is this chain one that a client of the service would accept, and for how long? */
#include "config.h"

#include "plugins/health/cert.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

void
found(struct findings *f, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (f->any && f->len + 2 < sizeof(f->text))
		f->len += (size_t)snprintf(f->text + f->len, sizeof(f->text) - f->len, "; ");
	f->any = true;
	va_start(ap, fmt);
	n = vsnprintf(f->text + f->len, sizeof(f->text) - f->len, fmt, ap);
	va_end(ap);
	f->len += n > 0 ? (size_t)n : 0;
	if (f->len >= sizeof(f->text))
		f->len = sizeof(f->text) - 1;
}

static void
name_text(const X509_NAME *name, char *buf, size_t cap)
{
	BIO *out = BIO_new(BIO_s_mem());
	int n = 0;

	/* Escaped to plain ASCII: a name is anybody's text. */
	if (out && name && X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_read(out, buf, (int)cap - 1);
	buf[n > 0 ? n : 0] = '\0';
	BIO_free(out);
}

static int64_t
days_left(const X509 *cert)
{
	int days = 0, seconds = 0;

	if (!ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)))
		return -1;
	return seconds < 0 ? days - 1 : days;
}

static void
date_text(const ASN1_TIME *time, char buf[40])
{
	struct tm tm;

	snprintf(buf, 40, "an unreadable date");
	if (ASN1_TIME_to_tm(time, &tm))
		strftime(buf, 40, "%Y-%m-%d %H:%M UTC", &tm);
}

/* --- the chain ----------------------------------------------------------------------------- */

static void
tell_error(struct findings *f, X509_STORE_CTX *ctx, int error)
{
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
	char subject[160] = "?", issuer[160] = "?", date[40] = "";

	if (cert) {
		name_text(X509_get_subject_name(cert), subject, sizeof(subject));
		name_text(X509_get_issuer_name(cert), issuer, sizeof(issuer));
	}
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		date_text(X509_get0_notAfter(cert), date);
		found(f, "'%s' has expired, on %s", subject, date);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		date_text(X509_get0_notBefore(cert), date);
		found(f, "'%s' is not valid before %s", subject, date);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		found(f, "'%s' is self-signed, and not trusted", subject);
		break;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		found(f, "the root '%s' is not trusted", subject);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
		found(f, "the chain ends at '%s': its issuer '%s' was not sent by the server and is not "
		      "trusted", subject, issuer);
		break;
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		break; /* follows from the one before */
	case X509_V_ERR_INVALID_PURPOSE:
		found(f, "'%s' is not for servers (extended key usage serverAuth)", subject);
		break;
	default:
		found(f, "'%s': %s", subject, X509_verify_cert_error_string(error));
	}
}

/* Goes on after each error, so that all are told. */
static int
on_verify(int ok, X509_STORE_CTX *ctx)
{
	if (!ok)
		tell_error(X509_STORE_CTX_get_app_data(ctx), ctx, X509_STORE_CTX_get_error(ctx));
	return 1;
}

static void
judge_chain(STACK_OF(X509) *chain, X509_STORE *trust, struct findings *f)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();

	if (!ctx || !X509_STORE_CTX_init(ctx, trust, sk_X509_value(chain, 0), chain)) {
		found(f, "the chain could not be looked at: out of memory");
	} else {
		X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
		X509_STORE_CTX_set_app_data(ctx, f);
		X509_STORE_CTX_set_verify_cb(ctx, on_verify);
		if (X509_verify_cert(ctx) <= 0 && !f->any)
			found(f, "the chain is not valid: %s",
			      X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	}
	X509_STORE_CTX_free(ctx);
}

/* --- names ------------------------------------------------------------------------------------ */

/* The names that it has, for a message. */
static void
names_text(X509 *cert, char *buf, size_t cap)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	size_t n = 0;

	snprintf(buf, cap, "no alternative names");
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && n < cap; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			n += (size_t)snprintf(buf + n, cap - n, "%s%.*s", n ? ", " : "",
					      ASN1_STRING_length(name->d.dNSName),
					      (const char *)ASN1_STRING_get0_data(name->d.dNSName));
	}
	for (char *p = buf; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	GENERAL_NAMES_free(names);
}

static void
judge_names(X509 *cert, const struct cert_wishes *wishes, struct findings *f)
{
	char missing[300] = "", has[300];
	struct cert_net address;
	size_t len = 0;

	for (size_t i = 0; i < wishes->n_names && len < sizeof(missing); i++) {
		const char *name = wishes->names[i];
		int held = cert_net_parse(name, &address)
				   ? X509_check_ip_asc(cert, name, 0)
				   : X509_check_host(cert, name, 0,
						     X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
						     X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL);

		if (held != 1)
			len += (size_t)snprintf(missing + len, sizeof(missing) - len, "%s%s",
						len ? ", " : "", name);
	}
	if (!len)
		return;
	names_text(cert, has, sizeof(has));
	found(f, "it is not for %s (it has %s)", missing, has);
}

void
cert_judge(STACK_OF(X509) *chain, const struct cert_wishes *wishes, struct findings *f,
	   int64_t *ret_days)
{
	int64_t least = INT64_MAX;

	judge_chain(chain, wishes->trust, f);
	judge_names(sk_X509_value(chain, 0), wishes, f);
	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *cert = sk_X509_value(chain, i);
		int64_t days = days_left(cert);
		char subject[160], date[40];

		least = days < least ? days : least;
		if (days < 0 || days >= wishes->min_days)
			continue; /* ended: the chain says so */
		name_text(X509_get_subject_name(cert), subject, sizeof(subject));
		date_text(X509_get0_notAfter(cert), date);
		found(f, "'%s' ends in %lld days, on %s, which is less than %lld", subject,
		      (long long)days, date, (long long)wishes->min_days);
	}
	*ret_days = least;
}
