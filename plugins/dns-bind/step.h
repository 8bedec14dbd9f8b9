/* step.h -- one call on one dns-bind.set step. */
#ifndef DNS_BIND_STEP_H
#define DNS_BIND_STEP_H

#include <resite/easy.h>

#include "plugins/dns-bind/serial.h"
#include "plugins/dns-bind/zonewrite.h"
#include "sdk/dnsguard/guard.h"
#include "sdk/net/dns.h"

#define STEP_ZONES_MAX 32
#define STEP_OVERRIDES_MAX 64
#define STEP_ROOTS_MAX 32

/* What named says of a zone (rndc zonestatus). */
struct zone_status {
	bool known, dynamic, frozen, secondary;
	char files[1024]; /* as named names them; "" : it did not say */
};

/* One zone of the step. */
struct part {
	struct zone zone;
	ldns_rdf *rdf;
	const char *file;
	struct rrset_list set;    /* what the plan wants; joined, sorted */
	struct rrset_list expect;
	struct rrset *now;        /* what the file has; parallel to set, owners borrowed */
	struct rrset *served;     /* what the primary serves; likewise */
	bool *mixed;              /* records of one RRset with different TTLs */
	uint32_t served_serial;
	struct zone_status status;
	bool frozen_by_us;
};

struct step {
	struct resite_op *op;
	const struct resite_host *host;
	struct net net;
	struct net_endpoint server;
	bool rndc; /* it reloads; else somebody else does */
	bool lower; /* ttl-lower: what is set is what the files have, with lower TTLs */
	struct part parts[STEP_ZONES_MAX];
	size_t n;
	struct guard_override overrides[STEP_OVERRIDES_MAX];
	size_t n_overrides;
	char *roots[STEP_ROOTS_MAX];
	size_t n_roots;
};

/* Reads the parameters that all actions have: no I/O.  Like all below it returns enum
 * resite_rc and has called host->fail unless RESITE_OK.  Release in any case. */
int step_open(struct step *s, struct resite_op *op, const struct resite_host *host);
/* The zone that a record or name is for: an absolute one finds the closest, a relative one is
 * of the first. */
struct part *step_part_of(struct step *s, const char *record);
/* The same, with the records to set. */
int step_init(struct step *s, struct resite_op *op, const struct resite_host *host);
void step_release(struct step *s);
int step_no_memory(struct step *s);
/* host->fail with part->zone.err. */
int step_zone_fail(struct step *s, const struct part *p, enum zone_rc rc);
/* host->fail with the text of the last failed network call, behind what was attempted. */
int step_net_fail(struct step *s, int rc, const char *what);

/* probe.c: reads the files, the server and named's state into parts; refuses what cannot be
 * edited.  served: also ask the primary what it serves. */
int step_look(struct step *s, bool served);
/* Reads the zone's file again into p->now. */
int part_read(struct step *s, struct part *p);
bool part_file_differs(const struct part *p);   /* the file is not what the plan wants */
bool part_served_differs(const struct part *p); /* the primary does not serve what the file has to */

/* guarding.c: judges what would become of the RRsets; serial 0: not known yet. */
int step_guard(struct step *s, struct part *p, const struct rrset *was, const struct rrset *will,
	       size_t n, const uint32_t *serial);
/* Watches what the guard will ask about. */
bool guard_watch(struct part *p, const struct rrset *will, size_t n);

/* rndc.c */
int rndc_status(struct step *s, struct part *p);
int rndc_reload(struct step *s, struct part *p);
int rndc_freeze(struct step *s, struct part *p, bool freeze);
/* Runs the zone checker over a file. */
int zone_check(struct step *s, struct part *p, const char *path);

/* ask.c: answers of servers. */
int ask_serial(struct step *s, const struct part *p, const struct net_endpoint *server,
	       uint32_t *ret);
/* Fills data and TTL of now (owner, type given). */
int ask_rrset(struct step *s, const struct net_endpoint *server, struct rrset *now);

/* apply.c: writes sets into the files of a zone, with checks before and reload behind.
 * write_undo: NULL, or called when all is checked and nothing changed yet. */
int part_change(struct step *s, struct part *p, const struct rrset *sets, size_t n,
		int (*write_undo)(struct step *s, struct part *p));
uint32_t step_today(void);

/* ttl.c: makes p->set of what the file has for the names of the plan. */
int part_lower(struct step *s, struct part *p);

/* The functions of an action, once its step is open. */
int step_probe(struct step *s);
int step_apply(struct step *s);
int step_verify(struct step *s);

/* What one function of an attempt leaves to the next (host->memory). */
struct bind_memory {
	struct {
		char fingerprint[65]; /* of what probe read; "": nothing */
		uint32_t serial;      /* that apply has written */
		bool has_serial;
	} zones[STEP_ZONES_MAX];
	int64_t since; /* seconds since 1970: when all servers had the low TTL; 0: not yet */
};
/* NULL: no memory; then nothing is remembered. */
struct bind_memory *step_memory(struct step *s);

int set_check(struct resite_op *op, const struct resite_host *host);
int set_probe(struct resite_op *op, const struct resite_host *host);
int set_apply(struct resite_op *op, const struct resite_host *host);
int set_verify(struct resite_op *op, const struct resite_host *host);
int set_revert(struct resite_op *op, const struct resite_host *host);
int ttl_check(struct resite_op *op, const struct resite_host *host);
int ttl_probe(struct resite_op *op, const struct resite_host *host);
int ttl_apply(struct resite_op *op, const struct resite_host *host);
int ttl_verify(struct resite_op *op, const struct resite_host *host);

#endif
