/* step.h -- one call on one dns-nsupdate.set step: its parameters, read and checked. */
#ifndef DNS_NSUPDATE_STEP_H
#define DNS_NSUPDATE_STEP_H

#include <resite/easy.h>

#include "plugins/dns-nsupdate/rrset.h"
#include "plugins/dns-nsupdate/tsig.h"
#include "plugins/dns-nsupdate/update.h"
#include "sdk/net/dns.h"

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
};

/* Reads the parameters other than records and key.  All three return enum resite_rc and
 * have called host->fail unless RESITE_OK.  Release in any case. */
int step_init(struct step *s, struct resite_op *op, const struct resite_host *host);
/* with_file: also what records_file has (that is I/O). */
int step_load_records(struct step *s, bool with_file);
int step_load_key(struct step *s);
void step_release(struct step *s);

struct update_zone step_zone(const struct step *s);
/* host->fail with the text of the last failed network call, behind what was attempted. */
int step_net_fail(struct step *s, int rc, const char *what);

/* Reads n RRsets from a server: v has owners and types, and gets TTLs and data.  An answer
 * that is not authoritative, an alias where data should be, or an rcode other than NOERROR
 * and NXDOMAIN ends it; the reason is in s->net.err. what: for progress, or NULL. */
int read_rrsets(struct step *s, const struct net_endpoint *server, enum dns_transport transport,
		struct rrset *const *v, size_t n, const char *what);
/* The same from one zone transfer, where it is worth it and the server allows it: *ret_done
 * false means that nothing was read and questions must be asked. v is sorted as in a list. */
int read_by_transfer(struct step *s, struct rrset *const *v, size_t n, bool *ret_done);
/* Reads s->now from the primary and checks it against expect. */
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
