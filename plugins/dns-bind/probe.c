#include "config.h"

#include "plugins/dns-bind/step.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LONG_TTL_S 3600

/* --- folders ------------------------------------------------------------------------- */

/* Takes a text that was allocated; false: there is no room for it, or it is NULL. */
static bool
add_root(struct step *s, char *folder)
{
	if (!folder || s->n_roots == STEP_ROOTS_MAX) {
		free(folder);
		return false;
	}
	s->roots[s->n_roots++] = folder;
	return true;
}

static int
add_folder(struct step *s, const char *param, const char *path)
{
	char *real = realpath(path, NULL);
	int errnum = errno;

	if (add_root(s, real))
		return RESITE_OK;
	return resite_fail(s->op, s->host, RESITE_ERR_INVALID, param, "%s: %s", path,
			   real ? "too many folders" : strerror(errnum));
}

/* Includes may be in the folders of the zones' files, in named's and in those of the plan. */
static int
find_folders(struct step *s)
{
	const char *directory = resite_str_or(s->op, s->host, "directory", NULL);
	uint32_t more = s->host->param_count(s->op, "include_from");
	int rc = directory ? add_folder(s, "directory", directory) : RESITE_OK;

	for (size_t i = 0; i < s->n && rc == RESITE_OK; i++) {
		struct part *p = &s->parts[i];
		char *real = realpath(p->file, NULL), *slash = real ? strrchr(real, '/') : NULL;

		if (!slash) {
			rc = resite_fail(s->op, s->host, RESITE_ERR_INVALID, "file", "%s: %s", p->file,
					 strerror(errno));
			free(real);
			break;
		}
		slash[slash == real] = '\0';
		if (!add_root(s, real))
			rc = resite_fail(s->op, s->host, RESITE_ERR_INVALID, "file", "too many folders");
		else
			p->zone.directory = directory ? s->roots[0] : real;
	}
	for (uint32_t i = 0; i < more && rc == RESITE_OK; i++)
		rc = add_folder(s, "include_from", s->host->param_str(s->op, "include_from", i));
	for (size_t i = 0; i < s->n; i++) {
		s->parts[i].zone.roots = s->roots;
		s->parts[i].zone.n_roots = s->n_roots;
	}
	return rc;
}

/* --- named's view of a zone -------------------------------------------------------------- */

static const char *
last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* named's path may be relative, behind a link or in a chroot: the last part has to agree. */
static bool
is_named_file(const struct part *p)
{
	const char *first = p->status.files, *end = first + strcspn(first, ",");
	char real[1024];

	if (!*first)
		return true;
	snprintf(real, sizeof(real), "%.*s", (int)(end - first), first);
	return !strcmp(last_part(real), last_part(p->file));
}

static bool
has_journal(const struct part *p)
{
	char path[4096];

	return snprintf(path, sizeof(path), "%s.jnl", p->file) < (int)sizeof(path) && access(path, F_OK) == 0;
}

static bool
checkpoint_says_frozen(struct step *s, const struct part *p)
{
	const char *data = NULL, *name = s->host->last_checkpoint(s->op, &data);

	return name && data && !strcmp(name, "frozen") && !strcmp(data, p->zone.text);
}

static int
judge_status(struct step *s, struct part *p)
{
	const struct zone_status *st = &p->status;
	bool dynamic = st->known ? st->dynamic : has_journal(p);

	if (st->secondary)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "server",
				   "named has %s from another server (it is no primary there): edit it where it "
				   "comes from", p->zone.text);
	if (!is_named_file(p))
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "file",
				   "named reads %s from %.300s, not from %s", p->zone.text, st->files, p->file);
	p->frozen_by_us = st->frozen && checkpoint_says_frozen(s, p);
	if (st->frozen && !p->frozen_by_us)
		return resite_fail(s->op, s->host, RESITE_ERR_REFUSED, NULL,
				   "%s is frozen by somebody else, who may be editing it: wait, or rndc thaw %s",
				   p->zone.text, p->zone.text);
	p->status.dynamic = dynamic;
	if (dynamic && (!s->rndc || strcmp(s->host->param_str(s->op, "dynamic", 0), "freeze")))
		return resite_fail(s->op, s->host, RESITE_ERR_REFUSED, "dynamic",
				   "%s takes dynamic updates%s, and named would overwrite or not see an edit of its "
				   "file: use dns-nsupdate, or dynamic = \"freeze\" (the comments of the file are "
				   "then lost)", p->zone.text, st->known ? "" : " (there is a journal, .jnl, beside it)");
	return RESITE_OK;
}

/* --- reading -------------------------------------------------------------------------------- */

static struct rrset *
empty_sets(const struct rrset_list *like)
{
	struct rrset *v = calloc(like->n + 1, sizeof(*v));

	for (size_t i = 0; v && i < like->n; i++)
		v[i] = (struct rrset){.owner = like->v[i].owner, .owner_len = like->v[i].owner_len,
				      .type = like->v[i].type};
	return v;
}

static int
refuse_made_zones(struct step *s, const struct part *p)
{
	const struct zone *z = &p->zone;

	if (z->signed_line)
		return resite_fail(s->op, s->host, RESITE_ERR_REFUSED, "file",
				   "%s:%u: the zone is signed in its file (RRSIG), and an edit would make the "
				   "signatures wrong: edit the file that it is signed from", p->file, z->signed_line);
	if (z->generate_line)
		return resite_fail(s->op, s->host, RESITE_ERR_REFUSED, "record",
				   "%s:%u: $GENERATE may make a record that this step is about: write those "
				   "records out by hand first", z->files[z->generate_file].path, z->generate_line);
	return RESITE_OK;
}

int
part_read(struct step *s, struct part *p)
{
	enum zone_rc zrc;
	int rc;

	if (!p->now)
		p->now = empty_sets(&p->set);
	if (!p->mixed)
		p->mixed = calloc(p->set.n + 1, sizeof(*p->mixed));
	if (!p->now || !p->mixed || !guard_watch(p, p->set.v, p->set.n))
		return step_no_memory(s);
	zrc = zone_read(&p->zone, p->file);
	if (zrc != ZONE_OK)
		return step_zone_fail(s, p, zrc);
	rc = refuse_made_zones(s, p);
	for (size_t i = 0; i < p->set.n && rc == RESITE_OK; i++)
		if (!zone_rrset(&p->zone, &p->now[i], &p->mixed[i]))
			rc = step_zone_fail(s, p, ZONE_BROKEN);
	return rc;
}

static int
read_served(struct step *s, struct part *p)
{
	int rc = ask_serial(s, p, &s->server, &p->served_serial);

	p->served = empty_sets(&p->set);
	if (!p->served)
		return step_no_memory(s);
	for (size_t i = 0; i < p->set.n && rc == RESITE_OK; i++)
		rc = ask_rrset(s, &s->server, &p->served[i]);
	return rc == RESITE_OK ? rc : step_net_fail(s, rc, "cannot see what is served now");
}

/* The file of a dynamic zone is old: its journal has what has changed since. */
static int
take_served(struct step *s, struct part *p)
{
	for (size_t i = 0; i < p->set.n; i++) {
		const struct rrset *from = &p->served[i];

		rrset_clear(&p->now[i]);
		p->now[i].ttl = from->ttl;
		p->mixed[i] = false;
		for (size_t k = 0; k < from->n; k++)
			if (!rrset_add_rdata(&p->now[i], from->rdata[k].bytes, from->rdata[k].len))
				return step_no_memory(s);
	}
	return RESITE_OK;
}

bool
part_file_differs(const struct part *p)
{
	for (size_t i = 0; i < p->set.n; i++)
		if (!rrset_same(&p->now[i], &p->set.v[i]) || p->mixed[i])
			return true;
	return false;
}

/* A wildcard answers for names that are not there; what is removed is asked of the file. */
static bool
is_served(const struct part *p, size_t i)
{
	return rrset_same(&p->served[i], &p->set.v[i]);
}

bool
part_served_differs(const struct part *p)
{
	for (size_t i = 0; p->served && i < p->set.n; i++)
		if (!is_served(p, i))
			return true;
	return false;
}

static int
check_expected(struct step *s, struct part *p)
{
	for (size_t i = 0; i < p->set.n; i++) {
		const struct rrset *want = rrset_list_find(&p->expect, &p->set.v[i]);
		char *name, *is, *should;

		if (!want || rrset_same_data(want, &p->now[i]) || rrset_same(&p->set.v[i], &p->now[i]))
			continue;
		name = rrset_name(want);
		is = rrset_text(&p->now[i]);
		should = rrset_text(want);
		resite_fail(s->op, s->host, RESITE_ERR_REFUSED, "expect_current",
			    "%s is %s, but the plan expects %s: somebody changed it; look, then change the plan "
			    "or the record", name ? name : "?", is ? is : "?", should ? should : "?");
		free(name);
		free(is);
		free(should);
		return RESITE_ERR_REFUSED;
	}
	return RESITE_OK;
}

static int
look_at_part(struct step *s, struct part *p, bool served)
{
	int rc = s->rndc ? rndc_status(s, p) : RESITE_OK;

	if (rc == RESITE_OK)
		rc = judge_status(s, p);
	if (rc == RESITE_OK && s->lower)
		rc = part_lower(s, p);
	if (rc == RESITE_OK)
		rc = part_read(s, p);
	if (rc == RESITE_OK && served)
		rc = read_served(s, p);
	if (rc == RESITE_OK && p->served && p->status.dynamic && !p->frozen_by_us)
		rc = take_served(s, p);
	return rc == RESITE_OK ? check_expected(s, p) : rc;
}

/* A zone that is named and not changed: the others may point into it. */
static int
read_bystander(struct step *s, struct part *p)
{
	enum zone_rc zrc = zone_read(&p->zone, p->file);

	return zrc == ZONE_OK ? RESITE_OK : step_zone_fail(s, p, zrc);
}

int
step_look(struct step *s, bool served)
{
	int rc = find_folders(s);

	for (size_t i = 0; i < s->n && rc == RESITE_OK; i++)
		rc = s->lower || s->parts[i].set.n ? look_at_part(s, &s->parts[i], served)
						   : read_bystander(s, &s->parts[i]);
	return rc;
}

/* --- telling ---------------------------------------------------------------------------------- */

static void
tell_change(struct step *s, const struct rrset *was, const struct rrset *will, const char *note)
{
	char *name = rrset_name(will), *old = rrset_text(was), *new = rrset_text(will), *noted = NULL;

	if (name && old && new && asprintf(&noted, "%s%s", old, note) >= 0)
		s->host->change(s->op, name, noted, new);
	free(name);
	free(old);
	free(new);
	free(noted);
}

static size_t
tell_changes(struct step *s, const struct part *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->set.n; i++) {
		if (!rrset_same(&p->now[i], &p->set.v[i]) || p->mixed[i])
			tell_change(s, &p->now[i], &p->set.v[i], p->mixed[i] ? " (and other TTLs)" : "");
		else if (!is_served(p, i))
			tell_change(s, &p->served[i], &p->set.v[i],
				    " (served; the file is right, but named has not loaded it)");
		else
			continue;
		n++;
	}
	if (n == 0 && p->frozen_by_us) {
		s->host->change(s->op, p->zone.text, "frozen", "thawed");
		n++;
	}
	return n;
}

static void
tell_longest(struct step *s, const struct rrset *worst, size_t n)
{
	char text[RESITE_EASY_MAX], until[32], *name = rrset_name(worst);
	time_t at = time(NULL) + (time_t)worst->ttl;
	struct tm tm;

	strftime(until, sizeof(until), "%Y-%m-%d %H:%M UTC", gmtime_r(&at, &tm));
	snprintf(text, sizeof(text),
		 "clients keep the old answer of %zu RRset%s for more than an hour, the longest that of "
		 "%.300s with a TTL of %lu s: until %s", n, n == 1 ? "" : "s", name ? name : "?",
		 (unsigned long)worst->ttl, until);
	s->host->loss(s->op, text);
	free(name);
}

static void
tell_loss(struct step *s)
{
	const struct rrset *worst = NULL;
	size_t n = 0;

	for (size_t k = 0; k < s->n; k++) {
		const struct part *p = &s->parts[k];

		for (size_t i = 0; i < p->set.n; i++) {
			if (!p->now[i].n || p->now[i].ttl <= LONG_TTL_S ||
			    rrset_same_data(&p->now[i], &p->set.v[i]))
				continue;
			n++;
			worst = !worst || p->now[i].ttl > worst->ttl ? &p->now[i] : worst;
		}
		if (p->set.n && p->status.dynamic && part_file_differs(p)) {
			char text[NAME_TEXT_MAX + 200];

			snprintf(text, sizeof(text), "%s is dynamic: named will write its file anew before it is "
				 "edited, without its comments", p->zone.text);
			s->host->loss(s->op, text);
		}
	}
	if (worst)
		tell_longest(s, worst, n);
}

/* Over the fingerprints of the zones. */
static void
join_fingerprints(char (*v)[65], size_t n, char ret[65])
{
	struct rdata d[STEP_ZONES_MAX];
	struct rrset all = {.owner_len = 0, .rdata = d, .n = (uint16_t)n};

	for (size_t i = 0; i < n; i++)
		d[i] = (struct rdata){(uint8_t *)v[i], 64};
	rrset_fingerprint(&all, 1, ret);
}

static int
tell_state(struct step *s)
{
	char prints[STEP_ZONES_MAX][65], fingerprint[65], now[300];
	struct bind_memory *m = step_memory(s);
	size_t changes = 0, total = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct part *p = &s->parts[i];

		rrset_fingerprint(p->now, p->set.n, prints[i]);
		if (m)
			memcpy(m->zones[i].fingerprint, prints[i], sizeof(prints[i]));
		changes += p->set.n ? tell_changes(s, p) : 0;
		total += p->set.n;
	}
	tell_loss(s);
	join_fingerprints(prints, s->n, fingerprint);
	snprintf(now, sizeof(now), "%zu of %zu RRsets differ in %zu zone%s, %.80s has serial %lu, its file %lu",
		 changes, total, s->n, s->n == 1 ? "" : "s", s->parts[0].zone.text,
		 (unsigned long)s->parts[0].served_serial, (unsigned long)s->parts[0].zone.serial);
	return s->host->state(s->op, now, fingerprint, changes, total > changes ? total : changes);
}

int
step_probe(struct step *s)
{
	int rc = step_look(s, true);

	for (size_t i = 0; i < s->n && rc == RESITE_OK; i++) {
		struct part *p = &s->parts[i];

		if (p->set.n && part_file_differs(p))
			rc = step_guard(s, p, p->now, p->set.v, p->set.n, NULL);
	}
	return rc == RESITE_OK ? tell_state(s) : rc;
}

int
set_probe(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = step_init(&s, op, host);

	if (rc == RESITE_OK)
		rc = step_probe(&s);
	step_release(&s);
	return rc;
}
