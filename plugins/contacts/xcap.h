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
#include "plugins/contacts/target.h"

struct xcap_options {
	struct resite_op *op;
	const struct resite_host *host; /* for cancel_fd and time_left_ms */
	const char *root;               /* http://host:port/xcap-root, no slash at the end */
	const char *ca_file;            /* PEM, for https; NULL: the system's */
	int64_t timeout_ms;             /* of one request */
	unsigned connections;
	target_answer *done; /* a 5xx comes here only when other requests pass */
	void *arg;
};

struct xcap;

/* NULL with f filled. */
struct xcap *xcap_new(const struct xcap_options *options, struct fault *f);
void xcap_free(struct xcap *x);
/* Queue a request; waits while too many are on the way.  user, body and etag are copied.  A GET's
 * body is not sent, it is only handed back with the reply, to compare.  etag: If-Match; "": as
 * If-None-Match: *; NULL: unconditional. */
int xcap_put(struct xcap *x, uint64_t index, const char *user, const char *body, size_t len,
	     const char *etag, struct fault *f);
int xcap_get(struct xcap *x, uint64_t index, const char *user, const char *body, size_t len,
	     struct fault *f);
/* Waits for all replies. */
int xcap_drain(struct xcap *x, struct fault *f);

#endif
