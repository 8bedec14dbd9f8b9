#include "config.h"

#include "sdk/rr/rrset.h"

#include "sdk/rr/rrplain.h"

#include <arpa/inet.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	uint16_t type;
	const char *text;
} types[] = {
	{LDNS_RR_TYPE_A, "A"},     {LDNS_RR_TYPE_AAAA, "AAAA"}, {LDNS_RR_TYPE_CNAME, "CNAME"},
	{LDNS_RR_TYPE_SRV, "SRV"}, {LDNS_RR_TYPE_TXT, "TXT"},
};

const char *
rrset_type_text(uint16_t type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].type == type)
			return types[i].text;
	return NULL;
}

uint16_t
rrset_type_of(const char *text)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcasecmp(types[i].text, text))
			return types[i].type;
	return 0;
}

static bool
refuse(struct rrset_error *err, const char *what, const char *why)
{
	snprintf(err->text, sizeof(err->text), "'%.200s': %.180s", what, why);
	return false;
}

/* --- data ---------------------------------------------------------------- */

static int
rdata_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order ? order : (a_len > b_len) - (a_len < b_len);
}

bool
rrset_add_rdata(struct rrset *s, const uint8_t *bytes, size_t len)
{
	struct rdata *grown, new = {malloc(len ? len : 1), (uint16_t)len};
	size_t at = s->n;
	int order = 1;

	while (at > 0 && (order = rdata_compare(s->rdata[at - 1].bytes, s->rdata[at - 1].len, bytes,
						len)) > 0)
		at--;
	if (at > 0 && order == 0) {
		free(new.bytes);
		return true;
	}
	grown = realloc(s->rdata, (s->n + 1u) * sizeof(*grown));
	if (grown)
		s->rdata = grown;
	if (!grown || !new.bytes) {
		free(new.bytes);
		return false;
	}
	memcpy(new.bytes, bytes, len);
	memmove(grown + at + 1, grown + at, (s->n - at) * sizeof(*grown));
	grown[at] = new;
	s->n++;
	return true;
}

void
rrset_clear(struct rrset *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->rdata[i].bytes);
	free(s->rdata);
	s->rdata = NULL;
	s->n = 0;
}

bool
rrset_add_rr(struct rrset *s, const ldns_rr *rr)
{
	ldns_buffer *b = ldns_buffer_new(512);
	bool ok;

	s->ttl = ldns_rr_ttl(rr);
	ok = b && ldns_rr_rdata2buffer_wire(b, rr) == LDNS_STATUS_OK &&
	     rrset_add_rdata(s, ldns_buffer_begin(b), ldns_buffer_position(b));

	ldns_buffer_free(b);
	return ok;
}

bool
rrset_same_data(const struct rrset *a, const struct rrset *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (rdata_compare(a->rdata[i].bytes, a->rdata[i].len, b->rdata[i].bytes,
				  b->rdata[i].len))
			return false;
	return true;
}

bool
rrset_same(const struct rrset *a, const struct rrset *b)
{
	return rrset_same_data(a, b) && (a->n == 0 || a->ttl == b->ttl);
}

/* --- lists --------------------------------------------------------------- */

static struct rrset *
list_grow(struct rrset_list *list)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 16;
		struct rrset *grown = realloc(list->v, cap * sizeof(*grown));

		if (!grown)
			return NULL;
		list->v = grown;
		list->cap = cap;
	}
	list->v[list->n] = (struct rrset){0};
	return &list->v[list->n++];
}

void
rrset_list_release(struct rrset_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		rrset_clear(&list->v[i]);
		free(list->v[i].owner);
	}
	free(list->v);
	*list = (struct rrset_list){0};
}

static struct rrset *
list_add(struct rrset_list *list, const uint8_t *owner, size_t len, unsigned type)
{
	struct rrset *s = list_grow(list);

	if (!s)
		return NULL;
	s->owner = malloc(len);
	if (!s->owner)
		return NULL;
	memcpy(s->owner, owner, len);
	s->owner_len = (uint8_t)len;
	s->type = (uint16_t)type;
	return s;
}

static bool
add_rr(struct rrset_list *list, ldns_rr *rr)
{
	const ldns_rdf *owner = ldns_rr_owner(rr);
	struct rrset *s = list_add(list, ldns_rdf_data(owner), ldns_rdf_size(owner),
				   ldns_rr_get_type(rr));

	return s && rrset_add_rr(s, rr);
}

static bool
add_plain(struct rrset_list *list, const struct plain_rr *rr)
{
	struct rrset *s = list_add(list, rr->owner, rr->owner_len, rr->type);

	if (!s)
		return false;
	s->ttl = rr->ttl;
	return rrset_add_rdata(s, rr->address, rr->address_len);
}

bool
rrset_add_text(struct rrset_list *list, const char *text, const ldns_rdf *zone,
	       uint32_t default_ttl, struct rrset_error *err)
{
	struct plain_rr plain;
	ldns_rr *rr = NULL;
	ldns_status st;
	bool ok = false;

	if (plain_rr_parse(text, ldns_rdf_data(zone), ldns_rdf_size(zone), default_ttl, &plain))
		return add_plain(list, &plain) || refuse(err, text, "out of memory");
	st = ldns_rr_new_frm_str(&rr, text, default_ttl, zone, NULL);
	if (st != LDNS_STATUS_OK || !rr)
		return refuse(err, text, ldns_get_errorstr_by_id(st));
	ldns_rr2canonical(rr);
	if (!rrset_type_text((uint16_t)ldns_rr_get_type(rr)))
		refuse(err, text, "only A, AAAA, CNAME, SRV and TXT records can be set");
	else if (ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN)
		refuse(err, text, "the class must be IN");
	else if (ldns_dname_compare(ldns_rr_owner(rr), zone) != 0 &&
		 !ldns_dname_is_subdomain(ldns_rr_owner(rr), zone))
		refuse(err, text, "its owner is not in the zone (did you mean it without the last dot?)");
	else if (!add_rr(list, rr))
		refuse(err, text, "out of memory");
	else
		ok = true;
	ldns_rr_free(rr);
	return ok;
}

static bool
add_absent(struct rrset_list *list, const char *text, const ldns_rdf *zone, unsigned type,
	   struct rrset_error *err)
{
	ldns_rdf *owner = NULL;
	bool ok = false;

	if (ldns_str2rdf_dname(&owner, text) != LDNS_STATUS_OK)
		return refuse(err, text, "no domain name");
	if (text[strlen(text) - 1] != '.' && ldns_dname_cat(owner, zone) != LDNS_STATUS_OK) {
		refuse(err, text, "the name is too long");
	} else {
		ldns_dname2canonical(owner);
		if (ldns_dname_compare(owner, zone) != 0 && !ldns_dname_is_subdomain(owner, zone))
			refuse(err, text, "it is not in the zone");
		else if (!list_add(list, ldns_rdf_data(owner), ldns_rdf_size(owner), type))
			refuse(err, text, "out of memory");
		else
			ok = true;
	}
	ldns_rdf_deep_free(owner);
	return ok;
}

bool
rrset_add_absent(struct rrset_list *list, const char *owner, size_t len, const char *type,
		 const ldns_rdf *zone, struct rrset_error *err)
{
	char *text = len == 1 && *owner == '@' ? ldns_rdf2str(zone) : strndup(owner, len);
	unsigned number = rrset_type_of(type);
	bool ok;

	if (!number)
		ok = refuse(err, owner, "behind the name comes A, AAAA, CNAME, SRV or TXT");
	else if (!text || !*text)
		ok = refuse(err, owner, "no domain name");
	else
		ok = add_absent(list, text, zone, number, err);
	free(text);
	return ok;
}

bool
rrset_list_take(struct rrset_list *list, const struct rrset *from)
{
	struct rrset *s = list_grow(list);

	if (s)
		*s = *from;
	return s != NULL;
}

int
rrset_order(const struct rrset *a, const struct rrset *b)
{
	int o = rdata_compare(a->owner, a->owner_len, b->owner, b->owner_len);

	return o ? o : (a->type > b->type) - (a->type < b->type);
}

static int
order(const void *a, const void *b)
{
	return rrset_order(a, b);
}

void
rrset_sort(void *v, size_t n, size_t size, int (*by)(const void *, const void *))
{
	const char *at = v;

	for (size_t i = 1; i < n; i++, at += size)
		if (by(at, at + size) > 0) {
			qsort(v, n, size, by);
			return;
		}
}

/* Moves the data of one record into the RRset before it. */
static bool
absorb(struct rrset *into, struct rrset *from, struct rrset_error *err)
{
	char *name = rrset_name(into);
	bool ok = false;

	if (!into->n || !from->n)
		ok = (!into->n && !from->n) ||
		     refuse(err, name ? name : "?", "it cannot be given and removed at once");
	else if (into->ttl != from->ttl)
		refuse(err, name ? name : "?", "its records have different TTLs (RFC 2181 5.2)");
	else if (!rrset_add_rdata(into, from->rdata[0].bytes, from->rdata[0].len))
		refuse(err, name ? name : "?", "out of memory");
	else
		ok = true;
	free(name);
	return ok;
}

static bool
alone_if_alias(const struct rrset *a, const struct rrset *b, struct rrset_error *err)
{
	char *owner;

	if ((a->type != LDNS_RR_TYPE_CNAME && b->type != LDNS_RR_TYPE_CNAME) || !a->n || !b->n ||
	    rdata_compare(a->owner, a->owner_len, b->owner, b->owner_len))
		return true;
	owner = rrset_owner(a);
	refuse(err, owner ? owner : "?", "a CNAME cannot stand beside other records of its name");
	free(owner);
	return false;
}

bool
rrset_list_join(struct rrset_list *list, struct rrset_error *err)
{
	size_t kept = 0;
	bool ok = true;

	rrset_sort(list->v, list->n, sizeof(*list->v), order);
	for (size_t i = 0; i < list->n; i++) {
		struct rrset *s = &list->v[i];

		if (kept && !order(&list->v[kept - 1], s)) {
			ok = ok && absorb(&list->v[kept - 1], s, err);
			rrset_clear(s);
			free(s->owner);
		} else {
			list->v[kept++] = *s;
		}
	}
	list->n = kept;
	for (size_t i = 1; i < list->n && ok; i++)
		ok = alone_if_alias(&list->v[i - 1], &list->v[i], err);
	for (size_t i = 0; i < list->n && ok; i++)
		if (list->v[i].type == LDNS_RR_TYPE_CNAME && list->v[i].n > 1)
			ok = refuse(err, "CNAME", "a name can have only one");
	return ok;
}

struct rrset *
rrset_list_find(const struct rrset_list *list, const struct rrset *like)
{
	return list->n ? bsearch(like, list->v, list->n, sizeof(*list->v), order) : NULL;
}

/* --- rules of SIP clients -------------------------------------------------- */

bool
rrset_is_sip_service(const struct rrset *s)
{
	return s->type == LDNS_RR_TYPE_SRV && s->owner[0] >= 4 && !memcmp(s->owner + 1, "_sip", 4);
}

/* The domain of an SRV owner: what follows the labels that begin with '_'. */
static size_t
srv_domain_offset(const struct rrset *s)
{
	size_t at = 0;

	while (s->owner[at] && s->owner[at + 1] == '_')
		at += s->owner[at] + 1u;
	return at;
}

static bool
ends_in(const uint8_t *name, size_t len, const uint8_t *domain, size_t domain_len)
{
	for (size_t at = 0; at < len && len - at >= domain_len; at += name[at] + 1u)
		if (len - at == domain_len)
			return !memcmp(name + at, domain, domain_len);
	return false;
}

int
rrset_foreign_srv_target(const struct rrset *s)
{
	size_t at = srv_domain_offset(s);

	for (int i = 0; i < s->n && s->type == LDNS_RR_TYPE_SRV; i++)
		if (!ends_in(s->rdata[i].bytes + 6, s->rdata[i].len - 6u, s->owner + at,
			     s->owner_len - at))
			return i;
	return -1;
}

/* --- digest --------------------------------------------------------------- */

static void
digest_number(struct sha256_ctx *c, uint32_t n)
{
	uint8_t b[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

	sha256_update(c, sizeof(b), b);
}

void
rrset_fingerprint(const struct rrset *v, size_t n, char ret_hex[65])
{
	uint8_t sum[SHA256_DIGEST_SIZE];
	struct sha256_ctx c;

	sha256_init(&c);
	for (size_t i = 0; i < n; i++) {
		sha256_update(&c, v[i].owner_len, v[i].owner);
		digest_number(&c, v[i].type);
		digest_number(&c, v[i].n);
		digest_number(&c, v[i].n ? v[i].ttl : 0);
		for (size_t k = 0; k < v[i].n; k++) {
			digest_number(&c, v[i].rdata[k].len);
			sha256_update(&c, v[i].rdata[k].len, v[i].rdata[k].bytes);
		}
	}
	sha256_digest(&c, sizeof(sum), sum);
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(ret_hex + 2 * i, 3, "%02x", sum[i]);
}
