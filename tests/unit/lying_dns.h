/* lying_dns.h -- a DNS server that stands before a real one and spoils its answers. */
#ifndef TESTS_UNIT_LYING_DNS_H
#define TESTS_UNIT_LYING_DNS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum lie {
	TRUTH,
	SILENCE,        /* takes the message and never answers */
	HANGUP,         /* closes the connection; UDP: no answer */
	CUT,            /* half of the answer, and closes */
	GARBAGE,        /* bytes that are no message */
	OTHER_QUESTION, /* the answer to another question */
	OTHER_DATA,     /* the last byte of the answer is another */
	NO_AUTHORITY,   /* the answer does not come from the zone's server */
	BARE_RCODE,     /* nothing is done; a header with lie_rcode */
	DONE_THEN_LOST, /* the real server has done it, and the connection is closed */
};

struct lying_dns {
	char at[32]; /* "127.0.0.1:PORT" */
	int real_port, tcp_fd, udp_fd;
	atomic_int about_queries, about_updates; /* enum lie */
	atomic_int rcode;                        /* of BARE_RCODE */
	atomic_bool over;
	pthread_t thread;
};

/* Starts it before the server on real_port of 127.0.0.1; it tells the truth. */
void lying_start(struct lying_dns *l, int real_port);
void lying_stop(struct lying_dns *l);

#endif
