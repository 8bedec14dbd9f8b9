/* edge.h -- what the actions of edge-nexthop share.  Functions that return int return enum
 * resite_rc; on anything but RESITE_OK the reason is in e->net.err (RESITE_ERR_CANCELLED:
 * nothing to add) and edge_fail or edge_not_yet tells it. */
#ifndef EDGE_NEXTHOP_EDGE_H
#define EDGE_NEXTHOP_EDGE_H

#include "plugins/edge-nexthop/list.h"
#include "plugins/edge-nexthop/shown.h"
#include "sdk/net/net.h"

#include <resite/easy.h>

#define RPC_MAX_BYTES (8u << 20)

struct edge {
	struct resite_op *op;
	const struct resite_host *host;
	struct net net;
	const struct proxy *proxy; /* of the actions kamailio and opensips */
};

/* What the proxy said to one call. */
struct rpc_reply {
	json_t *result;    /* over HTTP */
	char *text;        /* of kamcmd */
	bool refused;      /* it answered with an error: */
	long code;
	char message[200];
};

/* A SIP proxy whose next hops are in a list file. */
struct proxy {
	const struct list_dialect *dialect;
	const char *reload, *list; /* RPC methods */
	const char *by_hand;       /* how a person reloads */
	bool (*shown)(const json_t *result, struct shown *ret);
};

struct edge edge_of(struct resite_op *op, const struct resite_host *host);
/* Tells host why, and returns rc. */
int edge_fail(struct edge *e, int rc);
/* For verify: a failure that time may heal becomes RESITE_PENDING. */
int edge_not_yet(struct edge *e, int rc);
/* The parameter's value, or NULL when it was not given. */
const char *edge_str(struct edge *e, const char *name);

/* --- file.c: a whole file, read and replaced ------------------------------------------- */

#define FILE_DIGEST 65

/* *ret is NUL-terminated and the caller's; digest: SHA-256 in hex. */
int file_read(struct edge *e, const char *path, char **ret, size_t *ret_len, char digest[FILE_DIGEST]);
/* Puts text in its place at once, with the old file's owner and mode, durably.  digest_was:
 * RESITE_ERR_CONFLICT when the file is no longer that one; NULL: whatever it is, and also when
 * there is none. */
int file_replace(struct edge *e, const char *path, const char *text, size_t len,
		 const char *digest_was);
void file_digest(const void *text, size_t len, char ret[FILE_DIGEST]);

/* --- http.c ------------------------------------------------------------------------------- */

struct http {
	long status;
	char *head, *body; /* NUL-terminated */
	size_t head_len, body_len;
};

/* GET, or POST of json when that is not NULL.  host_header, credentials ("user:password"):
 * NULL for none.  Certificates are checked against the parameter ca_file. */
int http_ask(struct edge *e, const char *url, const char *json, const char *host_header,
	     const char *credentials, struct http *ret);
void http_release(struct http *h);

/* --- rpc.c -------------------------------------------------------------------------------- */

/* Asks the proxy; what it refuses is RESITE_OK with reply->refused.  Release the reply. */
int rpc_call(struct edge *e, const char *method, struct rpc_reply *ret);
void rpc_release(struct rpc_reply *r);
/* The destinations that the proxy has; none is no failure. */
int rpc_list(struct edge *e, struct shown *ret);
/* Makes the proxy read its file; waits while it says that a reload is under way. */
int rpc_reload(struct edge *e);

/* --- through.c ---------------------------------------------------------------------------- */

/* Sends OPTIONS through the proxy, if the plan asks for it, and looks at who answers.
 * RESITE_PENDING: not the one. */
int through_check(struct edge *e);

/* --- haruntime.c -------------------------------------------------------------------------- */

/* Asks HAProxy and returns all that it says, for the caller to free. */
int runtime_ask(struct edge *e, const char *command, char **ret);
/* Tells HAProxy; when it says anything the command was not carried out: RESITE_ERR_REFUSED. */
int runtime_tell(struct edge *e, const char *command);

/* --- the actions --------------------------------------------------------------------------- */

int kamailio_check(struct resite_op *op, const struct resite_host *host);
int kamailio_probe(struct resite_op *op, const struct resite_host *host);
int kamailio_apply(struct resite_op *op, const struct resite_host *host);
int kamailio_verify(struct resite_op *op, const struct resite_host *host);
int kamailio_revert(struct resite_op *op, const struct resite_host *host);
int opensips_check(struct resite_op *op, const struct resite_host *host);
int opensips_probe(struct resite_op *op, const struct resite_host *host);
int opensips_apply(struct resite_op *op, const struct resite_host *host);
int opensips_verify(struct resite_op *op, const struct resite_host *host);
int opensips_revert(struct resite_op *op, const struct resite_host *host);
int haproxy_check(struct resite_op *op, const struct resite_host *host);
int haproxy_probe(struct resite_op *op, const struct resite_host *host);
int haproxy_apply(struct resite_op *op, const struct resite_host *host);
int haproxy_verify(struct resite_op *op, const struct resite_host *host);
int haproxy_revert(struct resite_op *op, const struct resite_host *host);

#endif
