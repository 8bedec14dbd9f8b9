/* health.dns */
#include "config.h"

#include "plugins/health/health.h"
#include "sdk/net/dns.h"

#include <stdlib.h>
#include <string.h>

/* A record as one comparable line: its data, names in lower case. */
static char *
data_text(ldns_rr *rr)
{
	ldns_buffer *b = ldns_buffer_new(256);
	char *text = NULL;

	ldns_rr2canonical(rr);
	for (size_t i = 0; b && i < ldns_rr_rd_count(rr); i++) {
		if (i)
			ldns_buffer_printf(b, " ");
		ldns_rdf2buffer_str(b, ldns_rr_rdf(rr, i));
	}
	if (b)
		text = ldns_buffer_export2str(b);
	ldns_buffer_free(b);
	return text;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts the lines, joins them by ", " and frees them. */
static char *
join(char **lines, size_t n)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (n)
		qsort(lines, n, sizeof(*lines), by_text);
	for (size_t i = 0; i < n; i++) {
		if (f)
			fprintf(f, "%s%s", i ? ", " : "", lines[i] ? lines[i] : "?");
		free(lines[i]);
	}
	if (f)
		fclose(f);
	return text;
}

/* What the plan expects, in the same form; NULL: host->fail has been called. */
static char *
expected(struct resite_op *op, const struct resite_host *host)
{
	uint32_t n = host->param_count(op, "expect"), i;
	const char *type = host->param_str(op, "type", 0);
	char **lines = calloc(n + 1, sizeof(*lines)), *text;

	for (i = 0; lines && i < n; i++) {
		const char *value = host->param_str(op, "expect", i);
		ldns_rr *rr = NULL;
		char *record;

		if (asprintf(&record, ". 0 IN %s %s", type, value) < 0)
			break;
		if (ldns_rr_new_frm_str(&rr, record, 0, NULL, NULL) == LDNS_STATUS_OK && rr)
			lines[i] = data_text(rr);
		ldns_rr_free(rr);
		free(record);
		if (!lines[i]) {
			resite_fail(op, host, RESITE_ERR_INVALID, "expect",
				    "'%s' is no data of a %s record", value, type);
			break;
		}
	}
	if (!lines || i < n) {
		while (lines && i > 0)
			free(lines[--i]);
		free(lines);
		return NULL;
	}
	text = join(lines, n);
	free(lines);
	return text;
}

int
dns_check(struct resite_op *op, const struct resite_host *host)
{
	char *want = expected(op, host);
	struct net_endpoint ep;

	free(want);
	for (uint32_t i = 0; i < host->param_count(op, "server"); i++)
		if (!endpoint_of(op, host, "server", i, "53", &ep))
			return RESITE_ERR_INVALID;
	return want ? RESITE_OK : RESITE_ERR_INVALID;
}

/* The data of this type in an answer, wherever a chain of aliases led. */
static char *
answer_text(const ldns_pkt *pkt, ldns_rr_type type)
{
	ldns_rr_list *answer = ldns_pkt_answer(pkt);
	size_t n = ldns_rr_list_rr_count(answer), kept = 0;
	char **lines = calloc(n + 1, sizeof(*lines)), *text;

	for (size_t i = 0; lines && i < n; i++)
		if (ldns_rr_get_type(ldns_rr_list_rr(answer, i)) == type)
			lines[kept++] = data_text(ldns_rr_list_rr(answer, i));
	text = lines ? join(lines, kept) : NULL;
	free(lines);
	return text;
}

static int
judge(struct net *net, const struct net_endpoint *server, const ldns_pkt *pkt, const char *got,
      const char *want)
{
	const char *name = net->host->param_str(net->op, "name", 0);
	const char *type = net->host->param_str(net->op, "type", 0);
	ldns_pkt_rcode rcode = ldns_pkt_get_rcode(pkt);

	if (rcode != LDNS_RCODE_NOERROR)
		return not_yet(net->op, net->host, "%s answers %s for %s %s", server->text,
			       dns_rcode_text(rcode), name, type);
	if (net->host->param_i64(net->op, "authoritative", 0) && !ldns_pkt_aa(pkt))
		return not_yet(net->op, net->host, "%s answers %s %s, but not with authority",
			       server->text, name, type);
	if (*want ? strcmp(got, want) != 0 : !*got)
		return not_yet(net->op, net->host, "%s has for %s %s: %.300s%s%.300s", server->text,
			       name, type, *got ? got : "nothing", *want ? ", not " : "", want);
	return RESITE_OK;
}

static int
ask_server(struct net *net, const struct net_endpoint *server, const char *want)
{
	const char *type_text = net->host->param_str(net->op, "type", 0);
	ldns_rr_type type = ldns_get_rr_type_by_name(type_text);
	ldns_pkt *pkt;
	char *got;
	int rc = dns_ask(net, server, net->host->param_str(net->op, "name", 0), type, true, &pkt);

	if (rc != RESITE_OK)
		return not_yet_net(net, rc, "no answer");
	got = answer_text(pkt, type);
	rc = judge(net, server, pkt, got ? got : "", want);
	if (rc == RESITE_OK)
		net->host->output(net->op, "answer", got);
	free(got);
	ldns_pkt_free(pkt);
	return rc;
}

int
dns_verify(struct resite_op *op, const struct resite_host *host)
{
	struct net net = net_of(op, host);
	char *want = expected(op, host);
	int rc = want ? RESITE_OK : RESITE_ERR_INVALID;

	for (uint32_t i = 0; rc == RESITE_OK && i < host->param_count(op, "server"); i++) {
		struct net_endpoint server;

		rc = endpoint_of(op, host, "server", i, "53", &server)
			     ? ask_server(&net, &server, want) : RESITE_ERR_INVALID;
	}
	free(want);
	return rc;
}
