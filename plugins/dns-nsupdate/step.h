/* step.h -- one call on one step of dns-nsupdate: its parameters, read and checked, and the
 * zones that it is about. */
#ifndef DNS_NSUPDATE_STEP_H
#define DNS_NSUPDATE_STEP_H

#include <resite/easy.h>

#include "sdk/rr/rrset.h"
#include "plugins/dns-nsupdate/tsig.h"
#include "plugins/dns-nsupdate/update.h"
#include "sdk/net/dns.h"

#include <time.h>

/* What now is worth. */
enum known {
	KNOWN_NOT,    /* room at most, nothing in it is to be used */
	KNOWN_PROBED, /* what probe read and told the core; apply changes just that */
	KNOWN_SERVED, /* what verify found at all servers, the primary having the serial */
};

struct step;
struct servers;

/* A zone, and the RRsets of the step that are in it. */
struct zone {
	struct step *s;
	ldns_rdf *name;           /* canonical */
	char *text;               /* "contoso.example." */
	struct rrset_list set;    /* what is wanted; joined and sorted; n 0: to be removed */
	struct rrset_list expect; /* what the plan says is there now */
	struct rrset *now;        /* what is there; parallel to set, owners borrowed */
	enum known known;
	uint32_t serial;          /* the primary's, before or as now was read */
	struct servers *servers;  /* whom verify asks; NULL: not found out yet */
	size_t n_changes, n_done; /* of the changes that were sent; for what is said of them */
};

enum way_to_send {
	SEND_DIRECT,   /* by ourselves, with TSIG or unsigned */
	SEND_NSUPDATE, /* by nsupdate, with TSIG or unsigned */
	SEND_GSS,      /* by nsupdate -g */
};

struct step {
	struct resite_op *op;
	const struct resite_host *host;
	struct net net;
	struct net_endpoint server;
	enum dns_transport transport;
	enum way_to_send send;
	bool has_key;
	struct tsig_key key;
	struct zone *zones;
	size_t n_zones;
	bool zones_named;       /* by the plan; else one zone "." holds all until they are found */
	bool ttl_alone;         /* of the RRsets: their data may be others by then */
	bool alias_is_nothing;  /* reading other data of a name that is an alias finds none */
	int64_t since;          /* what an action remembers of its verify; 0: it was not called */
	int64_t lag_since_ms;   /* monotonic: since when a server lags; 0: none has */
	bool loaded;            /* the records are complete, with those of the file */
	uint8_t memory_key[32]; /* of the parameters that they come from */
};

/* Reads the parameters other than records and key.  All return enum resite_rc and have
 * called host->fail unless RESITE_OK.  Release in any case. */
int step_init(struct step *s, struct resite_op *op, const struct resite_host *host);
int step_load_key(struct step *s);
void step_release(struct step *s);

/* records.c: with_file: also what records_file has (that is I/O). */
int step_load_records(struct step *s, bool with_file);
/* The RRsets of the parameter name, without data. */
int step_load_names(struct step *s);
/* Those of one value of it, into the zones of one, which has none: for zones_release. */
int step_names_of(const struct step *s, const char *text, struct step *one);
/* The zone that a name of the wire form belongs to, by the longest match, or NULL. */
struct zone *step_zone_of(const struct step *s, const uint8_t *name, size_t len);

/* zones.c: asks the primary in which zones the RRsets are, where the plan names none. */
int step_find_zones(struct step *s);
/* Appends a zone; NULL: it is no domain name, or no memory.  Pointers to zones move. */
struct zone *step_add_zone(struct step *s, const char *text);
void zones_release(struct zone *zones, size_t n);

/* The memory of an attempt, from one of its functions to the next (memory.c).  key: before
 * the two others.  take: the zones with their RRsets, now and what it is worth, if they were
 * kept under this key.  keep: hands them over; false: no memory, they are still in s. */
void memory_key(struct step *s);
bool memory_take(struct step *s);
bool memory_keep(struct step *s);

/* Makes room for z->now, if there is none.  False: no memory. */
bool now_room(struct zone *z);
void now_release(struct rrset *now, size_t n);
/* Sets what now of all zones is worth, and forgets what verify has seen so far. */
void step_know(struct step *s, enum known known);
/* Is it worth that in all zones? */
bool step_knows(const struct step *s, enum known known);
/* set.c: tells the changes and the state. */
int step_tell_state(struct step *s);
/* RRsets of all zones. */
size_t step_total(const struct step *s);
/* The digest of all now, for the core. */
bool step_fingerprint(const struct step *s, char ret_hex[65]);

struct update_zone zone_for_update(const struct zone *z);
/* host->fail with the text of the last failed network call, behind what was attempted. */
int step_net_fail(struct step *s, int rc, const char *what);
int step_no_memory(struct step *s);

#define READ_WINDOW 48      /* questions in flight */
/* BIND refuses more than ten (transfers-out), and secondaries want theirs, too. */
#define TRANSFERS_AT_ONCE 8
/* Reads n RRsets of z from a server: v has owners and types, and gets TTLs and data.  An
 * answer that is not authoritative, an alias where data should be, or an rcode other than
 * NOERROR and NXDOMAIN ends it; the reason is in s->net.err. what: for progress, or NULL. */
int read_rrsets(struct zone *z, const struct net_endpoint *server, enum dns_transport transport,
		struct rrset *const *v, size_t n, const char *what);
/* May other data of this owner be asked for, though it may be an alias? */
bool alias_is_meant(const struct zone *z, const struct rrset *v);
/* The same, all of z->now, from one zone transfer, where that is worth it. */
bool transfer_worth(const struct zone *z);
/* Asks for the zone; so several servers can be at work at once.  NULL: it could not be asked
 * for; the reason is in s->net.err. */
struct transfer *transfer_begin(struct zone *z, const struct net_endpoint *server);
/* Takes the zone into z->now and ends t, which may be NULL.  *ret_done false: nothing was
 * read, the server refuses or the zone does not lend itself to it, so questions must be asked;
 * true: *ret_serial is that of the zone. */
int transfer_finish(struct transfer *t, bool *ret_done, uint32_t *ret_serial);
void transfer_cancel(struct transfer *t);
/* Counts the RRsets of a zone by transferring it; false: it could not be. */
bool transfer_count(struct zone *z, uint64_t *ret);
/* Reads now of all zones from the primary, unless it is known, and checks it against expect. */
int read_now(struct step *s);
/* serial.c: the SOA serial that a server has. */
int read_serial(struct zone *z, const struct net_endpoint *server, uint32_t *ret);
/* Those of all zones, from the primary.  The reason of a failure is in s->net.err. */
int read_serials(struct step *s, uint32_t *ret);
/* Reads them; where one is not that which verify saw, now is forgotten. */
int look_at_serials(struct step *s);

/* Sets the RRsets whose now differs, compare-and-swap. */
int apply_changes(struct step *s);
/* Who hears what became of each change of a revert. */
struct settle {
	void *arg;
	/* c: of the array that was sent; result: enum resite_reverted; now: what is or was
	 * there.  RESITE_OK, or what ends the revert. */
	int (*told)(void *arg, const struct change *c, int result, const struct rrset *now);
};
/* order.c: by zone and owner, the zones in turns of at most max_names.  False: no memory. */
bool order_changes(struct step *s, struct change *changes, size_t n, size_t max_names);
bool change_same_owner(const struct change *a, const struct change *b);
/* Sends changes, compare-and-swap, and writes their undo records, or tells settle.  Orders
 * changes: by zone and owner, the messages of the zones in turns. */
int send_changes(struct step *s, struct change *changes, size_t n, const struct settle *settle);
/* record.c: adds the undo record of one change. */
int record_undo(struct step *s, const struct change *c);
#define UNDO_VERSION 1
/* One line for a shell that turns will back into was; for the caller to free. */
char *by_hand_text(const struct step *s, const struct change *c);

/* nsupdate.c: has nsupdate send one message. */
enum update_verdict nsupdate_send(struct step *s, struct zone *z, const struct change *const *c,
				  size_t n, struct update_failure *ret);

/* judge.c: the rules of sdk/dnsguard.  look false: nothing is asked, the plan's text alone is
 * judged; true: with what is there now, and what it allows in spite of a rule is told. */
int step_judge(struct step *s, bool look);

/* verify.c: do all servers of all zones serve what is wanted? */
int verify_zones(struct step *s);
void servers_free(struct servers *list);
/* The next verify asks everybody again. */
void servers_forget(struct zone *z);

/* "2026-11-23 07:30 UTC" */
void utc_text(time_t at, char buf[32]);

int ttl_check(struct resite_op *op, const struct resite_host *host);
int ttl_probe(struct resite_op *op, const struct resite_host *host);
int ttl_apply(struct resite_op *op, const struct resite_host *host);
int ttl_verify(struct resite_op *op, const struct resite_host *host);

int resolvers_check(struct resite_op *op, const struct resite_host *host);
int resolvers_probe(struct resite_op *op, const struct resite_host *host);
int resolvers_verify(struct resite_op *op, const struct resite_host *host);

int set_check(struct resite_op *op, const struct resite_host *host);
int set_probe(struct resite_op *op, const struct resite_host *host);
int set_apply(struct resite_op *op, const struct resite_host *host);
int set_verify(struct resite_op *op, const struct resite_host *host);
int set_revert(struct resite_op *op, const struct resite_host *host);

#endif
