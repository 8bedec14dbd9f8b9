/* hastate.h -- what HAProxy says of its servers over the runtime socket, and what is to be
 * changed.  Pure. */
#ifndef EDGE_NEXTHOP_HASTATE_H
#define EDGE_NEXTHOP_HASTATE_H

#include <stdbool.h>
#include <stddef.h>

#define HA_ERR 300

enum ha_admin { HA_READY, HA_DRAIN, HA_MAINT };

struct ha_server {
	char *backend, *name;
	enum ha_admin admin; /* as an administrator has set it */
	int weight;          /* 0..256 */
};

struct ha_servers {
	struct ha_server *v;
	size_t n;
};

/* The answer to "show servers state", or a server-state file; false: err says what is wrong. */
bool ha_parse(const char *text, struct ha_servers *ret, char err[HA_ERR]);
void ha_release(struct ha_servers *s);
const struct ha_server *ha_find(const struct ha_servers *s, const char *backend, const char *name);

enum ha_what { HA_STATE, HA_WEIGHT };

/* One command to come: `set server BACKEND/NAME state|weight VALUE`. */
struct ha_change {
	const struct ha_server *server;
	enum ha_what what;
	int was, set; /* HA_STATE: enum ha_admin */
};

struct ha_want {
	const char *const *backends, *const *to; /* each backend has each of the servers of to */
	size_t n_backends, n_to;
	int others; /* enum ha_admin of all other servers; < 0: left as they are */
	int weight; /* of those of to; < 0: left as it is */
};

struct ha_changes {
	struct ha_change *v;
	size_t n;
};

/* What is to be done, in order: first who shall take calls is made ready, then the others go.
 * They point into s.  false: a backend or a server is not there, or no memory. */
bool ha_plan(const struct ha_servers *s, const struct ha_want *want, struct ha_changes *ret,
	     char err[HA_ERR]);

/* "ready", "drain", "maint"; a weight is its number. */
const char *ha_value(enum ha_what what, int value, char buf[16]);
/* The value of a server now. */
int ha_now(const struct ha_server *server, enum ha_what what);
/* -1: text is no such value. */
int ha_value_of(enum ha_what what, const char *text);
const char *ha_what_name(enum ha_what what);

/* The status that "show stat" has for a server ("UP", "DOWN 1/2", "MAINT", "no check"); ""
 * when it has none. */
void ha_stat_status(const char *csv, const char *backend, const char *name, char *buf, size_t cap);

#endif
