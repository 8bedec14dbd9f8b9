/* conn.h -- one LDAP connection that never blocks without bound.
 *
 * The socket is connected here, not by libldap, so that connecting can be
 * cancelled and fails in the system's own words, and so that libldap can never
 * reconnect behind our back in the middle of a transaction.
 */
#ifndef LDAP_HOMING_CONN_H
#define LDAP_HOMING_CONN_H

#include "plugins/ldap-homing/pin.h"
#include "plugins/ldap-homing/result.h"

#include <signal.h>
#include <stdbool.h>

/* What the domain code needs from its surroundings. */
struct lh_env {
	void *arg;
	/* As host->wait: RESITE_OK, RESITE_PENDING or RESITE_ERR_CANCELLED. */
	int (*wait)(void *arg, int fd, short events, int64_t ms);
	/* level: as host->log. */
	void (*log)(void *arg, int level, const char *line);
};

enum lh_tls {
	LH_TLS_AUTO,     /* StartTLS when a password would go over a network */
	LH_TLS_STARTTLS, /* always */
	LH_TLS_NEVER,
};

enum lh_sasl {
	LH_SASL_NONE, /* simple, or anonymous */
	LH_SASL_EXTERNAL,
	LH_SASL_GSSAPI,
};

#define LH_PINS_MAX 8

struct lh_target {
	const char *url;            /* ldap://, ldaps:// or ldapi:// */
	const char *bind_dn;        /* NULL: anonymous, or external */
	struct berval password;     /* bv_val NULL: none */
	enum lh_sasl sasl;
	const char *server_name;    /* for the certificate and Kerberos; NULL: the URL's host */
	const char *credential_cache, *keytab; /* of Kerberos; NULL: as the environment says */
	enum lh_tls tls;
	bool allow_plaintext;       /* a password may go unencrypted over a network */
	const char *ca_file;        /* NULL: the system's */
	const char *cert_file, *key_file; /* NULL: none */
	struct lh_pin pins[LH_PINS_MAX]; /* the server's certificate must hold one of them */
	size_t n_pins;              /* 0: any that the CAs signed */
	int64_t timeout_ms;         /* longest silence of the server */
};

struct lh_conn {
	LDAP *ld;
	const struct lh_env *env;
	const char *url;      /* borrowed from the target */
	int fd;               /* belongs to ld once that exists */
	bool encrypted, local, tcp; /* local: a Unix socket */
	bool answered;        /* the server has said something */
	bool gathering;       /* what was sent since the last wait may still be here */
	int64_t timeout_ms;
	struct sigaction old_sigpipe; /* as it was before, put back by close */
	int64_t grace_end_ms; /* 0, or until when answers are awaited though cancelled */
};

/* NULL when the URL is one that can be used, else what is wrong with it. */
const char *lh_url_fault(const char *url);

/* Connects, encrypts and binds.  On failure c is closed and e says why. */
int lh_conn_open(struct lh_conn *c, const struct lh_env *env, const struct lh_target *t,
		 struct lh_error *e);
void lh_conn_close(struct lh_conn *c);

/* Waits for the next message of msgid (LDAP_RES_ANY: of any).  The caller frees
 * it with ldap_msgfree.  RESITE_ERR_CANCELLED: stop now. */
int lh_conn_next(struct lh_conn *c, int msgid, LDAPMessage **ret_msg, struct lh_error *e);

/* From now on answers are awaited for ms more, whatever the host says: what was
 * sent is learned, nothing new may be sent. */
void lh_conn_grace(struct lh_conn *c, int64_t ms);

/* From now on to the next wait, requests leave in full segments and not one by one: the
 * server is woken once for many.  Whoever then does something else than wait calls
 * lh_conn_push first. */
void lh_conn_gather(struct lh_conn *c);
void lh_conn_push(struct lh_conn *c);

/* Reads result code and diagnostic of a final message and frees it.  The caller
 * frees *ret_diag with ldap_memfree. */
int lh_conn_result(struct lh_conn *c, LDAPMessage *msg, int *ret_code, char **ret_diag,
		   struct lh_error *e);

#endif
