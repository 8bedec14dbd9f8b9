/* How RRsets are shown to people and kept in undo records. */
#include "config.h"

#include "sdk/rr/rrset.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- without printf, which would cost more than all else of ten thousand changes --------- */

static char *
put_number(char *p, uint32_t n)
{
	char digits[10], *d = digits + sizeof(digits);

	do
		*--d = (char)('0' + n % 10);
	while (n /= 10);
	return mempcpy(p, d, (size_t)(digits + sizeof(digits) - d));
}

void
rrset_ttl_text(const struct rrset *s, char buf[RRSET_TTL_TEXT])
{
	*put_number(buf, s->n ? s->ttl : 0) = '\0';
}

static char *
three(const char *a, const char *b, const char *c)
{
	size_t na = strlen(a), nb = strlen(b), nc = strlen(c);
	char *text = malloc(na + nb + nc + 1);

	if (text)
		memcpy(mempcpy(mempcpy(text, a, na), b, nb), c, nc + 1);
	return text;
}

static char *
ipv4_text(const uint8_t *bytes)
{
	char text[INET_ADDRSTRLEN], *p = text;

	for (size_t i = 0; i < 4; i++) {
		if (i)
			*p++ = '.';
		p = put_number(p, bytes[i]);
	}
	*p = '\0';
	return strdup(text);
}

/* --- names and data ------------------------------------------------------------------ */

/* Names of letters, digits, '-' and '_' alone are nearly all; a mass change prints
 * thousands.  NULL: another one, or no memory. */
static char *
plain_name(const uint8_t *wire, size_t len)
{
	char *text = len > 1 ? malloc(len) : NULL;

	for (size_t at = 0; text && wire[at]; at += wire[at] + 1u) {
		for (size_t i = at + 1; i <= at + wire[at]; i++) {
			uint8_t c = wire[i];

			if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_') {
				free(text);
				return NULL;
			}
			text[i - 1] = (char)c;
		}
		text[at + wire[at]] = '.';
	}
	if (text)
		text[len - 1] = '\0';
	return text;
}

char *
rrset_owner(const struct rrset *s)
{
	char *plain = plain_name(s->owner, s->owner_len);
	ldns_rdf *name;
	char *text;

	if (plain)
		return plain;
	name = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, s->owner_len, s->owner);
	text = name ? ldns_rdf2str(name) : NULL;
	ldns_rdf_deep_free(name);
	return text;
}

char *
rrset_name(const struct rrset *s)
{
	char *owner = rrset_owner(s), *text = owner ? three(owner, " ", rrset_type_text(s->type)) : NULL;

	free(owner);
	return text;
}

/* The data as an RR of the root, which ldns can read from the wire. */
static ldns_rr *
as_rr(const struct rrset *s, size_t i)
{
	const struct rdata *d = &s->rdata[i];
	uint8_t *wire = malloc(11u + d->len);
	ldns_rr *rr = NULL;
	size_t pos = 0;

	if (!wire)
		return NULL;
	memset(wire, 0, 11);
	wire[1] = (uint8_t)(s->type >> 8);
	wire[2] = (uint8_t)s->type;
	wire[4] = LDNS_RR_CLASS_IN;
	wire[9] = (uint8_t)(d->len >> 8);
	wire[10] = (uint8_t)d->len;
	memcpy(wire + 11, d->bytes, d->len);
	if (ldns_wire2rr(&rr, wire, 11u + d->len, &pos, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK)
		rr = NULL;
	free(wire);
	return rr;
}

/* NULL: it is none, or no memory. */
static char *
address_data(const struct rrset *s, const struct rdata *d)
{
	char text[INET6_ADDRSTRLEN];

	if (s->type == LDNS_RR_TYPE_A && d->len == 4)
		return ipv4_text(d->bytes);
	if (s->type != LDNS_RR_TYPE_AAAA || d->len != 16)
		return NULL;
	return inet_ntop(AF_INET6, d->bytes, text, sizeof(text)) ? strdup(text) : NULL;
}

char *
rrset_data(const struct rrset *s, size_t i)
{
	char *address = address_data(s, &s->rdata[i]);
	ldns_rr *rr;
	ldns_buffer *b;
	char *text = NULL;
	bool ok;

	if (address)
		return address;
	rr = as_rr(s, i);
	b = ldns_buffer_new(256);
	ok = rr && b;
	for (size_t k = 0; ok && k < ldns_rr_rd_count(rr); k++)
		ok = (k == 0 || ldns_buffer_printf(b, " ") > 0) &&
		     ldns_rdf2buffer_str(b, ldns_rr_rdf(rr, k)) == LDNS_STATUS_OK;
	if (ok)
		text = ldns_buffer_export2str(b);
	ldns_buffer_free(b);
	ldns_rr_free(rr);
	return text;
}

/* All data joined by sep, after a prefix. */
static char *
joined(const struct rrset *s, const char *prefix, const char *sep)
{
	char *text = NULL, *first = s->n == 1 ? rrset_data(s, 0) : NULL;
	size_t len;
	FILE *f;
	bool ok = true;

	if (first) {
		text = three(prefix, first, "");
		free(first);
		return text;
	}
	f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	fputs(prefix, f);
	for (size_t i = 0; i < s->n && ok; i++) {
		char *data = rrset_data(s, i);

		ok = data != NULL;
		if (ok)
			fprintf(f, "%s%s", i ? sep : "", data);
		free(data);
	}
	if (fclose(f) == 0 && ok)
		return text;
	free(text);
	return NULL;
}

char *
rrset_text(const struct rrset *s)
{
	char ttl[RRSET_TTL_TEXT + 1];

	if (s->n == 0)
		return strdup("(none)");
	memcpy(put_number(ttl, s->ttl), " ", 2);
	return joined(s, ttl, ", ");
}

char *
rrset_lines(const struct rrset *s)
{
	return joined(s, "", "\n");
}
