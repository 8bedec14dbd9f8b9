/* sipmsg.h -- SIP messages (RFC 3261): writing requests, reading responses.  Pure. */
#ifndef RESITE_SDK_SIP_SIPMSG_H
#define RESITE_SDK_SIP_SIPMSG_H

#include <stdbool.h>
#include <stddef.h>

#define SIP_MESSAGE_MAX 65536

/* What identifies a request, and thereby its response. */
struct sip_request {
	const char *method;    /* "REGISTER", "OPTIONS" */
	const char *domain;    /* of the request URI, without a trailing dot */
	const char *user;      /* "u1@contoso.example"; OPTIONS: who asks */
	const char *local;     /* "10.0.0.1:40000": our end of the connection */
	const char *call_id, *tag, *branch;
	unsigned cseq;
	long expires_s;        /* REGISTER; 0 signs out */
	const char *authorization; /* a whole header line without CRLF, or NULL */
};

/* A response taken apart; the strings point into text. */
struct sip_response {
	char *text; /* the head, unfolded and NUL-separated; owned */
	int status;
	const char *reason;
	const char *branch; /* of the topmost Via; NULL when it has none */
	size_t branch_len;
	const char *call_id, *cseq_method;
	unsigned cseq;
	const char *contact;      /* the first Contact, or NULL */
	const char *authenticate; /* WWW- or Proxy-Authenticate, or NULL */
};

enum sip_parsed {
	SIP_MORE,      /* not all there yet */
	SIP_RESPONSE,
	SIP_REQUEST,   /* the server asks us something */
	SIP_KEEPALIVE, /* empty lines between messages */
	SIP_GARBAGE,   /* not SIP; *ret_why says what is wrong */
};

/* Writes a request; the caller frees.  NULL: no memory. */
char *sip_request_text(const struct sip_request *r);
/* Reads one message off the front of a stream; *ret_used: its bytes.  ret is filled for
 * SIP_RESPONSE, release it with sip_response_release. */
enum sip_parsed sip_parse(const char *bytes, size_t len, struct sip_response *ret,
			  size_t *ret_used, const char **ret_why);
void sip_response_release(struct sip_response *r);
/* Does the response belong to the request (branch, Call-ID and CSeq, RFC 3261 §17.1.3)? */
bool sip_answers(const struct sip_response *response, const struct sip_request *request);

/* Is text (case does not matter) in one line of the response's head?  Status line included. */
bool sip_response_says(const struct sip_response *r, const char *text);

/* host and port of the first URI in a Contact; port "5060" when it has none.  False when
 * it has no sip URI. */
bool sip_contact_host(const char *contact, char *ret_host, size_t host_cap, char ret_port[6]);

/* The Authorization header line for a challenge (RFC 7616: MD5, SHA-256; qop auth or
 * none); the caller frees.  cnonce: random text.  NULL, with *ret_why, if it cannot be
 * answered. */
char *sip_authorization(const char *challenge, bool proxy, const struct sip_request *request,
			const char *password, const char *cnonce, const char **ret_why);

#endif
