/* guard.h -- may these RRsets be changed?  The rules that all DNS plugins keep.  Pure.
 *
 * They are about meaning, not about syntax: a change that a name server takes without a
 * word, and after which nobody finds the service.  What is refused is said in one sentence,
 * with the override that would allow it; an override names one rule and one object and has
 * a reason.  There is none for all.
 */
#ifndef RESITE_SDK_DNSGUARD_GUARD_H
#define RESITE_SDK_DNSGUARD_GUARD_H

#include "sdk/rr/rrset.h"

#define GUARD_TEXT_MAX 800
#define GUARD_NAME_MAX 300

enum guard_rule {
	GUARD_EMPTY = 1, /* an RRset would have no data any more */
	GUARD_ORPHAN,    /* an SRV, CNAME, MX or NS would point at a name without an address */
	GUARD_DOMAIN,    /* an SRV of SIP would point out of its domain (Lync: strict matching) */
	GUARD_ALIAS,     /* a CNAME would stand beside other data */
	GUARD_SERIAL,    /* a zone's serial would not grow (RFC 1982) */
	GUARD_CHANGES,   /* more RRsets than max_changes would change */
	GUARD_PERCENT,   /* more of the zones than max_percent would change */
};

/* What a plan allows in spite of a rule: "rule name: reason". */
struct guard_override {
	enum guard_rule rule;
	char name[GUARD_NAME_MAX]; /* an owner, or a zone: absolute, lower case; "*" never */
	const char *reason;        /* of the text that it was parsed from */
	bool used;                 /* set by guard_judge: it has allowed something */
};

/* Same owner and type in both; n 0 in was: absent before; in will: absent after. */
struct guard_change {
	const struct rrset *was, *will;
};

struct guard_serial {
	const char *zone; /* presentation form, absolute */
	uint32_t was, will;
};

/* What is known of a name in the zones that are seen. */
enum guard_seen {
	GUARD_UNSEEN = 0,       /* in none of them: nothing can be said */
	GUARD_SEEN = 1u << 0,   /* in one of them; the rest says what it has */
	GUARD_UNSURE = 1u << 1, /* below a delegation or the like: take it as good */
	GUARD_A = 1u << 2,
	GUARD_AAAA = 1u << 3,
	GUARD_CNAME = 1u << 4,  /* its target is in *ret_target */
	GUARD_SRV = 1u << 5,
	GUARD_TXT = 1u << 6,
	GUARD_OTHER = 1u << 7,  /* data of other types (DNSSEC's do not count) */
	GUARD_ADDRESS = GUARD_A | GUARD_AAAA,
};

struct guard_name {
	uint8_t wire[255];
	size_t len;
};

/* The zones as they are BEFORE the changes (guard.c lays the changes over them).  A name
 * that a wildcard answers for has what the wildcard has. */
struct guard_world {
	void *ctx;
	/* enum guard_seen bits of a canonical wire name; < 0: could not look, a resite_rc. */
	int (*look)(void *ctx, const uint8_t *name, size_t len, struct guard_name *ret_target);
	/* Calls each for every SRV, CNAME, MX and NS RRset with target name; NULL: unknown,
	 * then only RRsets among the changes are seen.  0, or < 0: a resite_rc. */
	int (*pointing_at)(void *ctx, const uint8_t *name, size_t len,
			   void (*each)(void *arg, const struct rrset *s), void *arg);
};

enum guard_domain { GUARD_STRICT, GUARD_WARN, GUARD_ANY };

struct guard_limits {
	enum guard_domain domain;
	int64_t max_changes; /* RRsets; 0: no limit */
	int64_t max_percent; /* of total; 0: no limit */
	uint64_t total;      /* RRsets of the zones; 0: not known, max_percent is not judged */
};

struct guard_case {
	const struct guard_change *changes; /* in the order of rrset_order */
	size_t n_changes;
	const struct guard_serial *serials;
	size_t n_serials;
	const char *zone; /* what an override of changes or percent names */
	struct guard_limits limits;
	struct guard_world world;
	struct guard_override *overrides;
	size_t n_overrides;
};

struct guard_finding {
	enum guard_rule rule;
	bool warning;                  /* no refusal: only to be said */
	const char *name;              /* what an override has to name */
	const char *text;              /* one sentence, with what to do */
	const struct guard_override *override; /* that allows it, or NULL: refused */
};

/* Judges all changes; found is called for each finding.  The number of findings that are
 * neither warnings nor overridden, 0: go on; < 0: what world.look said. */
int guard_judge(const struct guard_case *c,
		void (*found)(void *arg, const struct guard_finding *f), void *arg);

/* Parses "rule name: reason"; a name without a last dot is relative to zone (absolute,
 * presentation form).  text must outlive ret.  NULL, or what is wrong with it. */
const char *guard_override_parse(const char *text, const char *zone, struct guard_override *ret);
const char *guard_rule_text(enum guard_rule rule);
/* The bit of a type: what look() has to say of an RRset of a name. */
int guard_bit(uint16_t type);

/* RFC 1982: is b newer than a?  False for two that are 2^31 apart, where nobody knows. */
bool guard_serial_newer(uint32_t a, uint32_t b);

/* The name that piece i of the data of s points at (SRV, CNAME, MX, NS); false: no such
 * type, or no name. */
bool guard_target(const struct rrset *s, size_t i, struct guard_name *ret);

#endif
