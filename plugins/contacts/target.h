/* Where lists are put and looked at: an XCAP server, Kamailio's own table behind one, an XMPP
 * server behind its importer.
 *
 *	target_open(&t, target_of(c), c, TARGET_PUT, answered, arg);
 *	t.kind->put(&t, d, NULL, &f);  ... as many as there are ...
 *	rc = target_close(&t, rc);
 *
 * Requests may run side by side; their answers come in the order of the requests.  A fault is
 * final: every later call returns it.
 */
#ifndef CONTACTS_TARGET_H
#define CONTACTS_TARGET_H

#include "plugins/contacts/buf.h"
#include "plugins/contacts/documents.h"
#include "plugins/contacts/fault.h"

struct call;

/* What the target said of one user.  status is an HTTP status, also where no HTTP is spoken:
 * 2xx there or taken, 404 no list, 412 no longer what it was, else not taken and words say why. */
struct reply {
	uint64_t index;    /* as given with the request */
	const char *user;  /* likewise */
	long status;
	const char *body;  /* the list that is there; NULL: none, or not asked for */
	size_t len;
	const char *etag;  /* of the list that is there; "" when it has none */
	const char *sent;  /* the bytes given with the request */
	size_t sent_len;
	const char *words; /* the target's */
};

/* < 0 (with f filled) stops. */
typedef int target_answer(void *arg, const struct reply *reply, struct fault *f);

enum target_use {
	TARGET_LOOK,      /* get: what is stored; for many lists */
	TARGET_READ_BACK, /* get: what a client would be given; for a sample */
	TARGET_PUT,
};

struct target {
	const struct target_kind *kind;
	struct call *call;
	enum target_use use;
	target_answer *answer;
	void *arg;
	bool doubtful; /* lists may be malformed: a kind that stores anything looks into them first */
	void *inner;   /* the kind's own */
};

struct target_kind {
	const char *name;  /* as in via = "..." */
	bool stored_apart; /* what is stored may not be what a client is given */
	/* What is wrong with the step's parameters; no I/O.  NULL: nothing can be. */
	int (*check)(struct call *c, const char **ret_param);
	/* < 0 with call->f filled; close is called in both cases. */
	int (*open)(struct target *t);
	/* Asks for the user's list; the document's own bytes come back with the answer. */
	int (*get)(struct target *t, const struct document *d, struct fault *f);
	/* etag: what must be there still; "": there must be none; NULL: whatever there is. */
	int (*put)(struct target *t, const struct document *d, const char *etag, struct fault *f);
	/* Waits for all answers. */
	int (*drain)(struct target *t, struct fault *f);
	void (*close)(struct target *t);
};

extern const struct target_kind target_http, target_sql;

/* The kind that the step's via names. */
const struct target_kind *target_of(struct call *c);
/* 0, or < 0 with call->f filled; target_close in both cases. */
int target_open(struct target *t, const struct target_kind *kind, struct call *c,
		enum target_use use, target_answer *answer, void *arg);
/* rc < 0: something failed before, and nothing more is waited for.  Returns the first failure. */
int target_close(struct target *t, int rc);
/* Appends a user's address as it stands in a path: percent-encoded but for what a path may hold. */
void target_xui(struct buf *out, const char *user);

#endif
