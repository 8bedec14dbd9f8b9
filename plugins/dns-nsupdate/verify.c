/* Do all authoritative servers serve what was set?  Verify is asked until they do: a server
 * that has shown it once is not asked again, and of one that lags only its serial is looked
 * at until that moves. */
#include "config.h"

#include "plugins/dns-nsupdate/servers.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 1000 /* RRsets asked before the first difference ends it */
#define SAMPLE 64  /* RRsets asked for one by one where the others are transferred, of all zones */
#define SAMPLE_LEAST 8 /* of each zone */
#define PAUSE_LEAST_MS 5
#define PAUSE_MOST_MS 2000

/* In a disaster a server that only the zone's NS records name may be one of those that are
 * gone; it is then reported, not waited for. */
static bool
may_be_dead(const struct step *s, const struct servers *list)
{
	const char *mode = s->host->param_str(s->op, "unreachable", 0);

	if (!strcmp(mode, "auto"))
		return list->from_zone && s->host->mode(s->op) == RESITE_DISASTER;
	return !strcmp(mode, "tolerate");
}

/* --- asking one ------------------------------------------------------------------ */

static int
lags(struct zone *z, struct server *server, const struct rrset *now, size_t i)
{
	char *name = rrset_name(now), *is = rrset_text(now), *will = rrset_text(&z->set.v[i]);
	char serials[100] = "";
	uint32_t theirs = 0, primarys = 0;

	if (read_serial(z, &server->at, &theirs) == RESITE_OK &&
	    read_serial(z, &z->s->server, &primarys) == RESITE_OK) {
		snprintf(serials, sizeof(serials), " (its serial is %lu, the primary's %lu)",
			 (unsigned long)theirs, (unsigned long)primarys);
		server->lag_serial = theirs;
	}
	snprintf(server->lag, sizeof(server->lag), "%s still serves %.120s %.90s, not %.90s%s",
		 server->at.text, name ? name : "?", is ? is : "?", will ? will : "?", serials);
	z->s->host->fail(z->s->op, NULL, 0, server->lag);
	/* With the primary's serial it has come to have the records since it was asked. */
	server->lag_known = *serials && theirs != primarys;
	free(name);
	free(is);
	free(will);
	return RESITE_PENDING;
}

/* A server that lagged, and has the same serial still, still lags. */
static int
look_again(struct zone *z, struct server *server)
{
	uint32_t serial;

	if (!server->lag_known || !strcmp(server->at.text, z->s->server.text) ||
	    read_serial(z, &server->at, &serial) != RESITE_OK || serial != server->lag_serial)
		return RESITE_OK;
	z->s->host->fail(z->s->op, NULL, 0, server->lag);
	return RESITE_PENDING;
}

/* Compares z->now[i] with what it should be. */
static int
compare(struct zone *z, struct server *server, size_t i)
{
	return rrset_same(&z->now[i], &z->set.v[i]) ? RESITE_OK : lags(z, server, &z->now[i], i);
}

/* Asks for n of the RRsets, of which which[i] is the index, and compares them. */
static int
ask_some(struct zone *z, struct server *server, const size_t *which, size_t n)
{
	enum dns_transport transport = z->s->transport == DNS_TCP ? DNS_TCP : DNS_UDP;
	struct rrset *v[CHUNK] = {NULL};
	int rc;

	for (size_t i = 0; i < n; i++)
		v[i] = &z->now[which[i]];
	rc = read_rrsets(z, &server->at, transport, v, n, NULL);
	for (size_t i = 0; i < n && rc == RESITE_OK; i++)
		rc = compare(z, server, which[i]);
	return rc;
}

static int
ask_all(struct zone *z, struct server *server)
{
	size_t which[CHUNK], from = 0;
	int rc = RESITE_OK;

	while (rc == RESITE_OK && from < z->set.n) {
		size_t n = 0;

		while (n < CHUNK && from < z->set.n)
			which[n++] = from++;
		rc = ask_some(z, server, which, n);
		z->s->host->progress(z->s->op, from, z->set.n, "RRsets verified");
	}
	return rc;
}

/* The first, the last and some between: the last shows a secondary that lags, and all of
 * them a server that answers something else than it transfers. */
static int
ask_sample(struct zone *z, struct server *server)
{
	size_t which[SAMPLE], n = SAMPLE / z->s->n_zones;

	n = n > SAMPLE_LEAST ? n : SAMPLE_LEAST;
	for (size_t i = 0; i < n; i++)
		which[i] = i * (z->set.n - 1) / (n - 1);
	return ask_some(z, server, which, n);
}

/* --- asking all ------------------------------------------------------------------- */

/* What one server of a zone is in a round of asking. */
struct turn {
	struct zone *z;
	struct server *server;
	bool transfers;
	struct transfer *t; /* under way, or NULL: it could not be asked for */
	int rc;
};

struct round {
	struct turn *v;
	size_t n;
	int rc;             /* what ends it: the first failure, else PENDING */
	char pending[700];  /* who lags first */
};

static int
take_transfer(struct turn *u)
{
	struct transfer *t = u->t;
	uint32_t serial;
	bool done;
	int rc;

	u->t = NULL;
	rc = transfer_finish(t, &done, &serial);
	if (rc == RESITE_OK && !done)
		return ask_all(u->z, u->server);
	for (size_t i = 0; i < u->z->set.n && rc == RESITE_OK; i++)
		rc = compare(u->z, u->server, i);
	u->z->s->host->progress(u->z->s->op, u->z->set.n, u->z->set.n, "RRsets verified");
	return rc;
}

/* What a server that was asked did means for the step; PENDING has said why. */
static int
judge(struct turn *u, int rc)
{
	struct step *s = u->z->s;

	if (rc == RESITE_OK || rc == RESITE_PENDING)
		return rc;
	if (rc != RESITE_ERR_TRANSIENT || !u->z->servers->tolerant)
		return step_net_fail(s, rc, "cannot verify");
	resite_log(s->op, s->host, RESITE_LOG_WARN, "not verified there: %s", s->net.err);
	u->server->gone = true;
	return RESITE_OK;
}

static void
settle(struct round *r, struct turn *u, int rc)
{
	u->rc = judge(u, rc);
	if (u->rc < 0)
		r->rc = u->rc;
	else if (u->rc == RESITE_PENDING && r->rc == RESITE_OK) {
		r->rc = RESITE_PENDING;
		snprintf(r->pending, sizeof(r->pending), "%s", u->server->lag);
	}
}

/* A sample first: cheap, and one that lags is told before anything is transferred from it. */
static void
begin(struct round *r, struct turn *u)
{
	bool transfers = transfer_worth(u->z);
	int rc = look_again(u->z, u->server);

	if (rc == RESITE_OK)
		rc = transfers ? ask_sample(u->z, u->server) : ask_all(u->z, u->server);
	settle(r, u, rc);
	u->transfers = transfers && u->rc == RESITE_OK && !u->server->gone;
	if (u->transfers)
		u->t = transfer_begin(u->z, &u->server->at);
}

static void
end(struct round *r, struct turn *u)
{
	if (u->transfers)
		settle(r, u, take_transfer(u));
	u->server->done = u->rc == RESITE_OK && !u->server->gone;
}

/* Some are asked for the zone before the first of them is listened to. */
static void
ask_everybody(struct round *r)
{
	size_t begun = 0;

	for (size_t i = 0; i < r->n && r->rc >= 0; i++) {
		while (begun < r->n && begun < i + TRANSFERS_AT_ONCE && r->rc >= 0)
			begin(r, &r->v[begun++]);
		if (r->rc >= 0)
			end(r, &r->v[i]);
	}
	for (size_t i = 0; i < r->n; i++)
		transfer_cancel(r->v[i].t);
}

/* --- the zones --------------------------------------------------------------------- */

static bool
has_primary(const struct zone *z)
{
	for (size_t i = 0; i < z->servers->n; i++)
		if (!strcmp(z->servers->v[i].at.text, z->s->server.text))
			return true;
	return false;
}

static int
prepare(struct zone *z)
{
	int rc = servers_find(z);

	if (rc != RESITE_OK)
		return rc;
	z->known = KNOWN_NOT;
	if (!now_room(z))
		return step_no_memory(z->s);
	z->servers->tolerant = may_be_dead(z->s, z->servers);
	return RESITE_OK;
}

/* The serials are read before the first server is asked: what all of them then serve is what
 * the primary has with it, or with a later one, which the closing probe would see. */
static int
note_serials(struct step *s)
{
	uint32_t *serials = calloc(s->n_zones, sizeof(*serials));
	bool known = serials && read_serials(s, serials) == RESITE_OK;

	for (size_t i = 0; i < s->n_zones && known; i++) {
		s->zones[i].serial = serials[i];
		s->zones[i].servers->has_serial = has_primary(&s->zones[i]);
	}
	free(serials);
	return serials ? RESITE_OK : step_no_memory(s);
}

static int
conclude(struct zone *z)
{
	size_t gone = 0;

	for (size_t i = 0; i < z->servers->n; i++)
		gone += z->servers->v[i].gone;
	if (gone == z->servers->n)
		return step_net_fail(z->s, RESITE_ERR_TRANSIENT, "no server could be asked");
	if (z->servers->has_serial && gone == 0)
		z->known = KNOWN_SERVED;
	return RESITE_OK;
}

static void
begin_turn(struct round *r, struct zone *z, struct server *server)
{
	server->gone = false;
	if (!server->done)
		r->v[r->n++] = (struct turn){.z = z, .server = server};
}

static int
begin_round(struct step *s, struct round *r)
{
	bool first = !s->zones[0].servers;
	int rc = RESITE_OK;

	for (size_t i = 0; i < s->n_zones && rc == RESITE_OK; i++)
		rc = prepare(&s->zones[i]);
	if (rc == RESITE_OK && first)
		rc = note_serials(s);
	if (rc != RESITE_OK)
		return rc;
	r->v = calloc(s->n_zones * SERVERS_MAX + 1, sizeof(*r->v));
	if (!r->v)
		return step_no_memory(s);
	for (size_t i = 0; i < s->n_zones; i++)
		for (size_t j = 0; j < s->zones[i].servers->n; j++)
			begin_turn(r, &s->zones[i], &s->zones[i].servers->v[j]);
	return RESITE_OK;
}

/* A secondary has a change some 200 ms after its primary, or minutes: what waiting longer than
 * need be costs is a twentieth of the whole.  And asking many takes no more time than not. */
static int64_t
pause_after(struct step *s, int64_t began_ms)
{
	int64_t now = net_now_ms(), ms;

	if (!s->lag_since_ms) {
		s->lag_since_ms = began_ms;
		return PAUSE_LEAST_MS;
	}
	ms = (now - s->lag_since_ms) / 20;
	ms = ms > now - began_ms ? ms : now - began_ms;
	return ms < PAUSE_LEAST_MS ? PAUSE_LEAST_MS : ms > PAUSE_MOST_MS ? PAUSE_MOST_MS : ms;
}

int
verify_zones(struct step *s)
{
	struct round r = {0};
	int64_t began = net_now_ms();
	int rc = begin_round(s, &r);

	if (rc == RESITE_OK) {
		ask_everybody(&r);
		rc = r.rc;
	}
	free(r.v);
	if (rc == RESITE_PENDING)
		s->host->fail(s->op, NULL, pause_after(s, began), r.pending);
	for (size_t i = 0; i < s->n_zones && rc == RESITE_OK; i++)
		rc = conclude(&s->zones[i]);
	for (size_t i = 0; i < s->n_zones && rc == RESITE_OK; i++)
		servers_forget(&s->zones[i]);
	return rc;
}
