/* Many documents from and to an XCAP server (RFC 4825) over a few kept-alive connections.
 *
 *	xcap_put(x, 0, "sip:alice@contoso.com", doc, len, &f);  ... as many as there are ...
 *	xcap_drain(x, &f);
 *
 * Requests run side by side; their replies are handed to options.done in the order of the
 * requests.  What may pass by itself (no connection, silence, 5xx) is tried again a few times.
 * A fault is final: every later call returns it.
 */
#ifndef CONTACTS_XCAP_H
#define CONTACTS_XCAP_H

#include "plugins/contacts/buf.h"
#include "plugins/contacts/fault.h"

struct xcap_reply {
	uint64_t index;   /* as given with the request */
	const char *user; /* likewise */
	long status;      /* HTTP status: 200, 404 and such; 5xx only where other requests pass */
	const char *body; /* of a GET that was answered 200; else NULL */
	size_t len;
	const char *sent; /* the bytes given with the request */
	size_t sent_len;
	const char *words; /* the server's: status, reason, begin of the text */
};

struct xcap_options {
	struct resite_op *op;
	const struct resite_host *host; /* for cancel_fd and time_left_ms */
	const char *root;               /* http://host:port/xcap-root, no slash at the end */
	const char *ca_file;            /* PEM, for https; NULL: the system's */
	int64_t timeout_ms;             /* of one request */
	unsigned connections;
	/* < 0 (with f filled) stops. */
	int (*done)(void *arg, const struct xcap_reply *reply, struct fault *f);
	void *arg;
};

struct xcap;

/* NULL with f filled. */
struct xcap *xcap_new(const struct xcap_options *options, struct fault *f);
void xcap_free(struct xcap *x);
/* Queue a request; waits while too many are on the way.  user and body are copied.  A GET's body
 * is not sent, it is only handed back with the reply, to compare. */
int xcap_put(struct xcap *x, uint64_t index, const char *user, const char *body, size_t len,
	     struct fault *f);
int xcap_get(struct xcap *x, uint64_t index, const char *user, const char *body, size_t len,
	     struct fault *f);
/* Waits for all replies. */
int xcap_drain(struct xcap *x, struct fault *f);

#endif
