/* step.h -- one call on one dns-nsupdate.set step: its parameters, read and checked. */
#ifndef DNS_NSUPDATE_STEP_H
#define DNS_NSUPDATE_STEP_H

#include <resite/easy.h>

#include "sdk/rr/rrset.h"
#include "plugins/dns-nsupdate/tsig.h"
#include "plugins/dns-nsupdate/update.h"
#include "sdk/net/dns.h"

/* What s->now is worth. */
enum known {
	KNOWN_NOT,    /* room at most, nothing in it is to be used */
	KNOWN_PROBED, /* what probe read and told the core; apply changes just that */
	KNOWN_SERVED, /* what verify found at all servers, the primary having s->serial */
};

struct step {
	struct resite_op *op;
	const struct resite_host *host;
	struct net net;
	struct net_endpoint server;
	enum dns_transport transport;
	ldns_rdf *zone;
	char *zone_text;
	bool has_key;
	struct tsig_key key;
	struct rrset_list set;    /* what the plan wants; joined and sorted */
	struct rrset_list expect; /* what the plan says is there now */
	struct rrset *now;        /* what is there; parallel to set, owners borrowed */
	enum known known;
	uint32_t serial;          /* the primary's, before or as now was read */
	bool loaded;              /* the records are complete, with those of the file */
	uint8_t memory_key[32];   /* of the parameters that they come from */
};

/* Reads the parameters other than records and key.  All three return enum resite_rc and
 * have called host->fail unless RESITE_OK.  Release in any case. */
int step_init(struct step *s, struct resite_op *op, const struct resite_host *host);
/* with_file: also what records_file has (that is I/O). */
int step_load_records(struct step *s, bool with_file);
int step_load_key(struct step *s);
void step_release(struct step *s);

/* The memory of an attempt, from one of its functions to the next (memory.c).  key: before
 * the two others.  take: the records, s->now and what it is worth, if they were kept under
 * this key.  keep: hands them over; false: no memory, they are still in s. */
void memory_key(struct step *s);
bool memory_take(struct step *s);
bool memory_keep(struct step *s);

/* Makes room for s->now, if there is none.  False: no memory. */
bool now_room(struct step *s);
void now_release(struct rrset *now, size_t n);

struct update_zone step_zone(const struct step *s);
/* host->fail with the text of the last failed network call, behind what was attempted. */
int step_net_fail(struct step *s, int rc, const char *what);

/* Reads n RRsets from a server: v has owners and types, and gets TTLs and data.  An answer
 * that is not authoritative, an alias where data should be, or an rcode other than NOERROR
 * and NXDOMAIN ends it; the reason is in s->net.err. what: for progress, or NULL. */
int read_rrsets(struct step *s, const struct net_endpoint *server, enum dns_transport transport,
		struct rrset *const *v, size_t n, const char *what);
/* The same, all of s->now, from one zone transfer, where that is worth it. */
bool transfer_worth(const struct step *s);
/* Asks for the zone; so several servers can be at work at once.  NULL: it could not be asked
 * for; the reason is in s->net.err. */
struct transfer *transfer_begin(struct step *s, const struct net_endpoint *server);
/* Takes the zone into s->now and ends t, which may be NULL.  *ret_done false: nothing was
 * read, the server refuses or the zone does not lend itself to it, so questions must be asked;
 * true: *ret_serial is that of the zone. */
int transfer_finish(struct transfer *t, bool *ret_done, uint32_t *ret_serial);
void transfer_cancel(struct transfer *t);
/* Reads s->now from the primary, unless it is known, and checks it against expect. */
int read_now(struct step *s);
/* The SOA serial that a server has. */
int read_serial(struct step *s, const struct net_endpoint *server, uint32_t *ret);

/* Sets the RRsets whose s->now differs, compare-and-swap. */
int apply_changes(struct step *s);
/* Who hears what became of each change of a revert. */
struct settle {
	void *arg;
	/* c: of the array that was sent; result: enum resite_reverted; now: what is or was
	 * there.  RESITE_OK, or what ends the revert. */
	int (*told)(void *arg, const struct change *c, int result, const struct rrset *now);
};
/* Sends changes, compare-and-swap, and writes their undo records, or tells settle. */
int send_changes(struct step *s, const struct change *changes, size_t n,
		 const struct settle *settle);
/* One line for a shell that turns will back into was; for the caller to free. */
char *by_hand_text(const struct step *s, const struct change *c);

int set_check(struct resite_op *op, const struct resite_host *host);
int set_probe(struct resite_op *op, const struct resite_host *host);
int set_apply(struct resite_op *op, const struct resite_host *host);
int set_verify(struct resite_op *op, const struct resite_host *host);
int set_revert(struct resite_op *op, const struct resite_host *host);

#endif
