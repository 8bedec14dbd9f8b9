#include "config.h"

#include "plugins/dns-nsupdate/update.h"

#include <resite/plugin.h>
#include "sdk/net/dns.h"

#include <stdio.h>
#include <string.h>

#define OPCODE_UPDATE 5
#define RR_FIXED 10u /* type, class, TTL, length */

/* --- building -------------------------------------------------------------- */

/* An owner is its labels before the zone, and a pointer to the zone's name, which always
 * stands right behind the header. */
static size_t
owner_bytes(const struct update_zone *zone, const struct rrset *s)
{
	return s->owner_len - zone->len + 2;
}

static size_t
records_bytes(const struct update_zone *zone, const struct rrset *s)
{
	size_t sum = 0;

	for (size_t i = 0; i < s->n; i++)
		sum += owner_bytes(zone, s) + RR_FIXED + s->rdata[i].len;
	return sum;
}

size_t
update_base_bytes(const struct update_zone *zone)
{
	return DNS_HEADER + zone->len + 4;
}

size_t
update_change_bytes(const struct update_zone *zone, const struct change *c)
{
	/* prerequisites (two when absent), deletion, additions */
	return records_bytes(zone, c->was) + 3 * (owner_bytes(zone, c->will) + RR_FIXED) +
	       records_bytes(zone, c->will);
}

struct writer {
	const struct update_zone *zone;
	uint8_t *p;
	unsigned count; /* of the section under way */
};

static void
write_rr(struct writer *w, const struct rrset *s, unsigned type, unsigned class, uint32_t ttl,
	 const struct rdata *d)
{
	size_t labels = s->owner_len - w->zone->len;
	unsigned len = d ? d->len : 0;

	memcpy(w->p, s->owner, labels);
	w->p += labels;
	dns_put16(w->p, 0xc000 | DNS_HEADER);
	dns_put16(w->p + 2, type);
	dns_put16(w->p + 4, class);
	dns_put16(w->p + 6, ttl >> 16);
	dns_put16(w->p + 8, ttl & 0xffff);
	dns_put16(w->p + 10, len);
	if (len)
		memcpy(w->p + 12, d->bytes, len);
	w->p += 12 + len;
	w->count++;
}

/* RFC 2136 §2.4.  Where nothing was, the name must also have no CNAME, and for a CNAME
 * nothing at all: a server would silently ignore the addition (§3.4.2.2).  Where the same
 * message removes what is in its way, that has a prerequisite of its own. */
static void
write_prerequisites(struct writer *w, const struct change *c)
{
	for (size_t i = 0; i < c->was->n; i++)
		write_rr(w, c->was, c->was->type, LDNS_RR_CLASS_IN, 0, &c->was->rdata[i]);
	if (c->was->n)
		return;
	if (c->beside) {
		write_rr(w, c->will, c->will->type, LDNS_RR_CLASS_NONE, 0, NULL);
		return;
	}
	if (c->will->type == LDNS_RR_TYPE_CNAME) {
		write_rr(w, c->will, LDNS_RR_TYPE_ANY, LDNS_RR_CLASS_NONE, 0, NULL);
		return;
	}
	write_rr(w, c->will, c->will->type, LDNS_RR_CLASS_NONE, 0, NULL);
	write_rr(w, c->will, LDNS_RR_TYPE_CNAME, LDNS_RR_CLASS_NONE, 0, NULL);
}

static void
write_deletion(struct writer *w, const struct change *c)
{
	if (c->was->n)
		write_rr(w, c->was, c->was->type, LDNS_RR_CLASS_ANY, 0, NULL);
}

static void
write_change(struct writer *w, const struct change *c)
{
	if (!c->beside)
		write_deletion(w, c);
	for (size_t i = 0; i < c->will->n; i++)
		write_rr(w, c->will, c->will->type, LDNS_RR_CLASS_IN, c->will->ttl,
			 &c->will->rdata[i]);
}

size_t
update_build(const struct update_zone *zone, uint16_t id, const struct change *const *c, size_t n,
	     uint8_t *wire)
{
	struct writer w = {zone, wire + update_base_bytes(zone), 0};

	memset(wire, 0, DNS_HEADER);
	dns_put16(wire, id);
	wire[2] = OPCODE_UPDATE << 3;
	dns_put16(wire + 4, 1);
	memcpy(wire + DNS_HEADER, zone->name, zone->len);
	dns_put16(wire + DNS_HEADER + zone->len, LDNS_RR_TYPE_SOA);
	dns_put16(wire + DNS_HEADER + zone->len + 2, LDNS_RR_CLASS_IN);
	for (size_t i = 0; i < n; i++)
		write_prerequisites(&w, c[i]);
	dns_put16(wire + 6, w.count);
	w.count = 0;
	/* A server carries them out in order, and ignores a CNAME added beside other data. */
	for (size_t i = 0; i < n; i++)
		if (c[i]->beside)
			write_deletion(&w, c[i]);
	for (size_t i = 0; i < n; i++)
		write_change(&w, c[i]);
	dns_put16(wire + 8, w.count);
	return (size_t)(w.p - wire);
}

/* --- judging answers -------------------------------------------------------- */

static const struct {
	unsigned rcode;
	int rc;
	const char *hint;
} reactions[] = {
	{LDNS_RCODE_FORMERR, RESITE_ERR_BUG, "the server could not read the message"},
	{LDNS_RCODE_SERVFAIL, RESITE_ERR_TRANSIENT,
	 "the server could not carry it out; its log says why (journal not writable, disk full?)"},
	{LDNS_RCODE_NOTIMPL, RESITE_ERR_INVALID, "this server does not do dynamic updates"},
	{LDNS_RCODE_REFUSED, RESITE_ERR_REFUSED,
	 "check allow-update or update-policy of the zone, and that this server is its primary"},
	{LDNS_RCODE_NOTAUTH, RESITE_ERR_INVALID,
	 "this server is not authoritative for the zone: check 'server' and 'zone'"},
	{LDNS_RCODE_NOTZONE, RESITE_ERR_INVALID, "a name is not in the zone"},
};

static enum update_verdict
fail(struct update_failure *ret, int rc, const char *rcode, const char *hint)
{
	ret->rc = rc;
	snprintf(ret->text, sizeof(ret->text), "%s: %s", rcode, hint);
	return UPDATE_FAILED;
}

static enum update_verdict
judge_tsig_error(const struct tsig_key *key, const struct tsig_result *t, int64_t now_s,
		 struct update_failure *ret)
{
	const char *algorithm = tsig_key_algorithm(key);

	ret->rc = RESITE_ERR_REFUSED;
	switch (t->error) {
	case TSIG_BADKEY:
		snprintf(ret->text, sizeof(ret->text),
			 "NOTAUTH (BADKEY): the server does not know the key '%s' with %s; check the "
			 "key's name and algorithm there", key->name_text, algorithm);
		break;
	case TSIG_BADSIG:
		snprintf(ret->text, sizeof(ret->text),
			 "NOTAUTH (BADSIG): the server has another secret for the key '%s' (%s)",
			 key->name_text, algorithm);
		break;
	case TSIG_BADTIME:
		snprintf(ret->text, sizeof(ret->text),
			 "NOTAUTH (BADTIME): the clocks differ by %lld s (the server's is %s), more than "
			 "the %d s that are allowed; set the clock of this machine or of the server",
			 (long long)(t->server_time_s > now_s ? t->server_time_s - now_s
							      : now_s - t->server_time_s),
			 t->server_time_s > now_s ? "ahead" : "behind", TSIG_FUDGE_S);
		break;
	default:
		snprintf(ret->text, sizeof(ret->text), "NOTAUTH (TSIG error %u), key '%s' (%s)",
			 t->error, key->name_text, algorithm);
	}
	return UPDATE_FAILED;
}

/* An answer whose signature is not right says nothing, except that an error may come
 * unsigned: it is told, but what it would prove is not believed. */
static enum update_verdict
judge_signature(enum tsig_verdict v, unsigned rcode, struct update_failure *ret)
{
	static const char *const why[] = {
		[TSIG_UNSIGNED] = "the answer is not signed, so it is not believed",
		[TSIG_INVALID] = "the answer's signature is not of our key, so it is not believed",
		[TSIG_LATE] = "the answer was signed too long ago or in the future (a replay?)",
		[TSIG_MALFORMED] = "the answer is not a DNS message",
	};

	return fail(ret, RESITE_ERR_TRANSIENT, dns_rcode_text(rcode), why[v]);
}

static bool
is_prerequisite(unsigned rcode)
{
	return rcode == LDNS_RCODE_NXDOMAIN || rcode == LDNS_RCODE_YXDOMAIN ||
	       rcode == LDNS_RCODE_YXRRSET || rcode == LDNS_RCODE_NXRRSET;
}

enum update_verdict
update_judge(const uint8_t *answer, size_t len, const struct tsig_key *key,
	     const struct tsig_mac *mac, int64_t now_s, struct update_failure *ret)
{
	unsigned rcode = answer[3] & 15, opcode = answer[2] >> 3 & 15;
	enum tsig_verdict v = TSIG_VALID;
	struct tsig_result t = {0};

	if (key)
		v = tsig_verify(key, answer, len, mac, now_s, &t);
	if (v == TSIG_MALFORMED || opcode != OPCODE_UPDATE)
		return fail(ret, RESITE_ERR_TRANSIENT, dns_rcode_text(rcode),
			    "the answer is not one to an UPDATE");
	if (t.error && rcode == LDNS_RCODE_NOTAUTH)
		return judge_tsig_error(key, &t, now_s, ret);
	if (v != TSIG_VALID && (v != TSIG_UNSIGNED || rcode == LDNS_RCODE_NOERROR ||
				is_prerequisite(rcode)))
		return judge_signature(v, rcode, ret);
	if (rcode == LDNS_RCODE_NOERROR)
		return UPDATE_DONE;
	if (is_prerequisite(rcode))
		return UPDATE_PREREQUISITE;
	for (size_t i = 0; i < sizeof(reactions) / sizeof(reactions[0]); i++)
		if (reactions[i].rcode == rcode)
			return fail(ret, reactions[i].rc, dns_rcode_text(rcode),
				    reactions[i].hint);
	return fail(ret, RESITE_ERR_REFUSED, dns_rcode_text(rcode), "unexpected answer to an UPDATE");
}
