/* dns_limit: the least that a client must do to change many RRsets, as a limit to measure
 * dns-nsupdate against.  Everything is parsed before the clock starts; no undo, no look
 * before or after; any answer but NOERROR ends it.
 *
 *	dns_limit SERVER ZONE KEY_FILE RECORDS_NOW RECORDS_NEXT swap|bare BATCH WINDOW
 *
 * swap: each RRset must still hold what RECORDS_NOW says (RFC 2136 prerequisites).  bare:
 * without.  Both files list the same names.  BATCH RRsets a message, WINDOW messages in
 * flight on one TCP connection.  Prints one JSON object.
 */
#define _GNU_SOURCE
#include "config.h"

#include "sdk/rr/rrset.h"
#include "plugins/dns-nsupdate/tsig.h"
#include "plugins/dns-nsupdate/update.h"
#include "sdk/net/dns.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct run {
	struct net net;
	struct dns_pipe pipe;
	struct tsig_key key;
	struct tsig_mac macs[DNS_WINDOW];
	struct update_zone zone;
	struct rrset_list now, next;
	struct change *changes;
	bool swap;
	size_t batch, window, messages;
	uint8_t wire[DNS_TCP_MAX];
};

static void
must(bool ok, const char *what, const char *why)
{
	if (ok)
		return;
	fprintf(stderr, "dns_limit: %s: %s\n", what, why);
	exit(1);
}

static int
wait_here(struct resite_op *op, int fd, short events, int64_t ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n = poll(&p, fd < 0 ? 0 : 1, (int)ms);

	(void)op;
	must(n >= 0 || errno == EINTR, "poll", strerror(errno));
	return n > 0 ? RESITE_OK : RESITE_PENDING;
}

static const struct resite_host host = {.wait = wait_here};

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
load(const char *path, const ldns_rdf *zone, struct rrset_list *list)
{
	FILE *f = fopen(path, "re");
	struct rrset_error err;
	char *line = NULL;
	size_t cap = 0;

	must(f != NULL, path, strerror(errno));
	while (getline(&line, &cap, f) >= 0) {
		line[strcspn(line, "\n")] = '\0';
		must(rrset_add_text(list, line, zone, 60, &err), path, err.text);
	}
	must(rrset_list_join(list, &err), path, err.text);
	free(line);
	fclose(f);
}

static void
load_key(const char *path, struct tsig_key *key)
{
	char text[4096];
	const char *why;
	FILE *f = fopen(path, "re");
	size_t n;

	must(f != NULL, path, strerror(errno));
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	must(tsig_key_parse(text, key, &why), path, why);
}

/* A message without prerequisites is one with them of which the first section is cut out. */
static size_t
without_prerequisites(struct run *r, size_t len, size_t from, size_t n)
{
	size_t base = update_base_bytes(&r->zone), cut = 0;

	for (size_t i = from; i < from + n; i++)
		for (size_t k = 0; k < r->now.v[i].n; k++)
			cut += r->now.v[i].owner_len - r->zone.len + 12 + r->now.v[i].rdata[k].len;
	memmove(r->wire + base, r->wire + base + cut, len - base - cut);
	dns_put16(r->wire + 6, 0);
	return len - cut;
}

static void
send_some(struct run *r, size_t from, size_t n)
{
	const struct change **c = malloc(n * sizeof(*c));
	struct tsig_mac *mac = &r->macs[r->messages++ % DNS_WINDOW];
	size_t len;

	must(c != NULL, "sending", "out of memory");
	len = update_base_bytes(&r->zone) + TSIG_RR_MAX;
	for (size_t i = 0; i < n; i++) {
		c[i] = &r->changes[from + i];
		len += update_change_bytes(&r->zone, c[i]);
	}
	must(len <= sizeof(r->wire), "BATCH", "does not fit into a message");
	len = update_build(&r->zone, dns_pipe_new_id(&r->pipe), c, n, r->wire);
	if (!r->swap)
		len = without_prerequisites(r, len, from, n);
	len = tsig_sign(&r->key, r->wire, len, (int64_t)time(NULL), mac);
	must(dns_pipe_put(&r->pipe, r->wire, len, (size_t)(uintptr_t)mac) == RESITE_OK &&
		     dns_pipe_flush(&r->pipe) == RESITE_OK, "sending", r->net.err);
	free((void *)c);
}

static void
take_one(struct run *r)
{
	struct update_failure f = {.text = "a record is not as RECORDS_NOW says"};
	const uint8_t *wire;
	size_t tag, len;

	must(dns_pipe_get(&r->pipe, &tag, &wire, &len) == RESITE_OK, "answer", r->net.err);
	must(update_judge(wire, len, &r->key, (struct tsig_mac *)(uintptr_t)tag,
			  (int64_t)time(NULL), &f) == UPDATE_DONE, "answer", f.text);
}

static void
go(struct run *r)
{
	size_t at = 0;

	while (at < r->next.n || r->pipe.busy) {
		size_t n = r->next.n - at < r->batch ? r->next.n - at : r->batch;

		if (n && r->pipe.busy < r->window) {
			send_some(r, at, n);
			at += n;
		} else {
			take_one(r);
		}
	}
}

int
main(int argc, char **argv)
{
	static struct run r = {.net = {.host = &host, .patience_ms = 60000}};
	struct net_endpoint server;
	ldns_rdf *zone = NULL;
	double began;

	must(argc == 9, "usage",
	     "SERVER ZONE KEY_FILE RECORDS_NOW RECORDS_NEXT swap|bare BATCH WINDOW");
	must(net_endpoint_parse(argv[1], "53", &server), argv[1], "is not host:port");
	must(ldns_str2rdf_dname(&zone, argv[2]) == LDNS_STATUS_OK, argv[2], "is no name");
	ldns_dname2canonical(zone);
	r.zone = (struct update_zone){ldns_rdf_data(zone), ldns_rdf_size(zone)};
	load_key(argv[3], &r.key);
	load(argv[4], zone, &r.now);
	load(argv[5], zone, &r.next);
	r.swap = !strcmp(argv[6], "swap");
	r.batch = (size_t)atoi(argv[7]);
	r.window = (size_t)atoi(argv[8]);
	must(r.now.n == r.next.n && r.now.n, "records", "the files have not the same names");
	must(r.batch && r.window && r.window <= DNS_WINDOW, "usage", "BATCH or WINDOW");
	r.changes = calloc(r.next.n, sizeof(*r.changes));
	must(r.changes != NULL, "records", "out of memory");
	for (size_t i = 0; i < r.next.n; i++)
		r.changes[i] = (struct change){&r.now.v[i], &r.next.v[i], .tag = 0};
	began = seconds();
	must(dns_pipe_open(&r.pipe, &r.net, &server, DNS_TCP) == RESITE_OK, "connecting", r.net.err);
	go(&r);
	printf("{\"rrsets\": %zu, \"messages\": %zu, \"seconds\": %.6f}\n", r.next.n, r.messages,
	       seconds() - began);
	dns_pipe_close(&r.pipe);
	return 0;
}
