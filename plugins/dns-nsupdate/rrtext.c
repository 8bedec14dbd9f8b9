/* How RRsets are shown to people and kept in undo records. */
#include "config.h"

#include "plugins/dns-nsupdate/rrset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *
rrset_owner(const struct rrset *s)
{
	ldns_rdf *name = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, s->owner_len, s->owner);
	char *text = name ? ldns_rdf2str(name) : NULL;

	ldns_rdf_deep_free(name);
	return text;
}

char *
rrset_name(const struct rrset *s)
{
	char *owner = rrset_owner(s), *text = NULL;

	if (owner && asprintf(&text, "%s %s", owner, rrset_type_text(s->type)) < 0)
		text = NULL;
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

char *
rrset_data(const struct rrset *s, size_t i)
{
	ldns_rr *rr = as_rr(s, i);
	ldns_buffer *b = ldns_buffer_new(256);
	bool ok = rr && b;
	char *text = NULL;

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
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	bool ok = f != NULL;

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
	char ttl[16];

	if (s->n == 0)
		return strdup("(none)");
	snprintf(ttl, sizeof(ttl), "%lu ", (unsigned long)s->ttl);
	return joined(s, ttl, ", ");
}

char *
rrset_lines(const struct rrset *s)
{
	return joined(s, "", "\n");
}
