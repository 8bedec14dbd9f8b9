/* A request through the proxy: what it says of its list is not yet what it does. */
#include "config.h"

#include "plugins/edge-nexthop/edge.h"
#include "sdk/sip/sipnet.h"

#include <string.h>
#include <strings.h>
#include <sys/random.h>

/* At most 32 digits. */
static void
random_hex(char *buf, size_t cap)
{
	unsigned char bytes[16] = {0};
	size_t n = 0;

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		snprintf((char *)bytes, sizeof(bytes), "%lld", (long long)net_now_ms());
	for (; n + 1 < cap && n < 32; n++)
		buf[n] = "0123456789abcdef"[n % 2 ? bytes[n / 2] & 15 : bytes[n / 2] >> 4];
	buf[n] = '\0';
}

/* The lines of a head that say who wrote it, for a message. */
static void
who_wrote(const struct sip_response *r, char *buf, size_t cap)
{
	static const char *const telling[] = {"server:", "contact:", "m:", "warning:", "x-", "user-agent:"};
	size_t n = 0;

	snprintf(buf, cap, "nothing that says whose it is");
	for (const char *line = r->text; *line; line += strlen(line) + 1)
		for (size_t i = 0; i < sizeof(telling) / sizeof(*telling) && n < cap; i++)
			if (!strncasecmp(line, telling[i], strlen(telling[i])))
				n += (size_t)snprintf(buf + n, cap - n, "%s%.100s", n ? "; " : "", line);
}

static int
judge(struct edge *e, const struct net_endpoint *ep, const struct sip_response *r)
{
	long want = (long)e->host->param_i64(e->op, "sip_status", 0);
	char who[250];

	if (r->status != want)
		return net_error(&e->net, RESITE_PENDING,
				 "OPTIONS through %s was answered with %d %.100s, not %ld", ep->text,
				 r->status, r->reason, want);
	who_wrote(r, who, sizeof(who));
	for (uint32_t i = 0; i < e->host->param_count(e->op, "look_for"); i++) {
		const char *text = e->host->param_str(e->op, "look_for", i);

		if (!sip_response_says(r, text))
			return net_error(&e->net, RESITE_PENDING,
					 "the answer to OPTIONS through %s does not say '%s' but %s",
					 ep->text, text, who);
	}
	return RESITE_OK;
}

int
through_check(struct edge *e)
{
	const char *sip = edge_str(e, "sip"), *domain_text = edge_str(e, "sip_domain");
	char domain[256], user[300], call_id[40], tag[20], branch[40] = "z9hG4bK";
	struct sip_request request = {.method = "OPTIONS", .domain = domain, .user = user,
				      .call_id = call_id, .tag = tag, .branch = branch, .cseq = 1};
	struct sip_response response;
	struct net_endpoint ep;
	struct sip_conn conn;
	int rc;

	if (!sip)
		return RESITE_OK;
	if (!net_endpoint_parse(sip, "5060", &ep))
		return net_error(&e->net, RESITE_ERR_INVALID, "sip = \"%s\" is no host:port", sip);
	snprintf(domain, sizeof(domain), "%.*s", (int)strlen(domain_text) - 1, domain_text);
	snprintf(user, sizeof(user), "resite@%s", domain);
	random_hex(call_id, sizeof(call_id));
	random_hex(tag, sizeof(tag));
	random_hex(branch + 7, sizeof(branch) - 7);
	rc = sip_connect(&conn, &e->net, &ep);
	if (rc != RESITE_OK)
		return rc;
	request.local = conn.local;
	rc = sip_exchange(&conn, &request, &response);
	if (rc == RESITE_OK) {
		rc = judge(e, &ep, &response);
		sip_response_release(&response);
	}
	sip_close(&conn);
	return rc;
}
