#include "config.h"

#include "plugins/dns-bind/step.h"

#include <stdlib.h>
#include <string.h>

#define UNDO_VERSION 1
#define FREEZE_LOOK_MS 50

static enum serial_form
form_of(const char *text)
{
	return !strcmp(text, "date") ? SERIAL_DATE : !strcmp(text, "counter") ? SERIAL_COUNTER : SERIAL_AUTO;
}

static uint32_t
new_serial(struct step *s, const struct part *p)
{
	return serial_next(p->zone.serial, p->served != NULL, p->served_serial,
			   form_of(s->host->param_str(s->op, "serial", 0)), step_today());
}

static void
remember_serial(struct step *s, const struct part *p, uint32_t serial)
{
	struct bind_memory *m = step_memory(s);

	if (!m)
		return;
	m->zones[p - s->parts].serial = serial;
	m->zones[p - s->parts].has_serial = true;
}

/* --- one zone ---------------------------------------------------------------------------- */

static int
commit(struct step *s, struct part *p, struct zone_write *w, const uint32_t *serial,
       int (*write_undo)(struct step *s, struct part *p))
{
	enum zone_rc zrc;
	int rc = zone_check(s, p, zone_write_check_path(w));

	if (rc == RESITE_OK && write_undo)
		rc = write_undo(s, p);
	if (rc != RESITE_OK)
		return rc;
	zrc = zone_write_commit(w);
	if (zrc != ZONE_OK)
		return step_zone_fail(s, p, zrc);
	remember_serial(s, p, *serial);
	resite_log(s->op, s->host, RESITE_LOG_INFO, "%s: %s replaced, serial %lu (was %lu)", p->zone.text,
		   p->file, (unsigned long)*serial, (unsigned long)p->zone.serial);
	return RESITE_OK;
}

/* Writes the files; named has not heard of it yet. */
static int
write_files(struct step *s, struct part *p, const struct rrset *sets, size_t n,
	    int (*write_undo)(struct step *s, struct part *p))
{
	uint32_t serial = new_serial(s, p);
	struct zone_write w;
	enum zone_rc zrc;
	int rc;

	zrc = zone_write_begin(&p->zone, sets, n, serial, &w);
	rc = zrc == ZONE_OK ? commit(s, p, &w, &serial, write_undo) : step_zone_fail(s, p, zrc);
	zone_write_end(&w);
	return rc;
}

/* Reads the file of a zone that was frozen, once named has written it: rndc freeze does not
 * wait for that.  Then it has the serial that is served. */
static int
read_frozen(struct step *s, struct part *p)
{
	int64_t until = net_now_ms() + s->host->param_i64(s->op, "rndc_timeout", 0);
	int rc;

	while ((rc = part_read(s, p)) == RESITE_OK) {
		rc = ask_serial(s, p, &s->server, &p->served_serial);
		if (rc != RESITE_OK)
			return step_net_fail(s, rc, "cannot see what named has frozen");
		if (p->zone.serial == p->served_serial || p->frozen_by_us)
			return RESITE_OK;
		if (net_now_ms() >= until)
			return resite_fail(s->op, s->host, RESITE_ERR_TRANSIENT, NULL,
					   "%s: named was told to freeze it, and has not written its file "
					   "(serial %lu, served is %lu)", p->zone.text,
					   (unsigned long)p->zone.serial, (unsigned long)p->served_serial);
		rc = s->host->wait(s->op, -1, 0, FREEZE_LOOK_MS);
		if (rc == RESITE_ERR_CANCELLED)
			return resite_fail(s->op, s->host, rc, NULL, "stopped while %s was being frozen",
					   p->zone.text);
	}
	return rc;
}

/* Nobody but us changes a frozen zone. */
static int
change_frozen(struct step *s, struct part *p, const struct rrset *sets, size_t n,
	      int (*write_undo)(struct step *s, struct part *p))
{
	char before[65], after[65];
	int rc = RESITE_OK, thawed;

	rrset_fingerprint(p->now, p->set.n, before);
	if (!p->frozen_by_us) {
		rc = s->host->checkpoint(s->op, "frozen", p->zone.text);
		if (rc == RESITE_OK)
			rc = rndc_freeze(s, p, true);
		if (rc != RESITE_OK)
			return rc;
	}
	rc = read_frozen(s, p);
	rrset_fingerprint(p->now, p->set.n, after);
	if (rc == RESITE_OK && !p->frozen_by_us && strcmp(before, after))
		rc = resite_fail(s->op, s->host, RESITE_ERR_CONFLICT, NULL,
				 "%s was updated while it was being frozen", p->zone.text);
	if (rc == RESITE_OK)
		rc = write_files(s, p, sets, n, write_undo);
	thawed = rndc_freeze(s, p, false);
	if (thawed == RESITE_OK)
		thawed = s->host->checkpoint(s->op, "thawed", p->zone.text);
	else
		resite_log(s->op, s->host, RESITE_LOG_ERROR, "%s is still frozen: rndc thaw %s", p->zone.text,
			   p->zone.text);
	return rc == RESITE_OK ? thawed : rc;
}

int
part_change(struct step *s, struct part *p, const struct rrset *sets, size_t n,
	    int (*write_undo)(struct step *s, struct part *p))
{
	int rc;

	if (p->status.dynamic)
		return change_frozen(s, p, sets, n, write_undo);
	rc = write_files(s, p, sets, n, write_undo);
	return rc == RESITE_OK && s->rndc ? rndc_reload(s, p) : rc;
}

/* --- undo records ----------------------------------------------------------------------------- */

static int
add_undo(struct step *s, const struct part *p, size_t i)
{
	const struct rrset *was = &p->now[i], *will = &p->set.v[i];
	char was_ttl[16], set_ttl[16], hand[600];
	char *owner = rrset_owner(will), *old = rrset_lines(was), *new = rrset_lines(will);
	char *old_text = rrset_text(was);
	int rc = RESITE_ERR_TRANSIENT;

	snprintf(was_ttl, sizeof(was_ttl), "%lu", (unsigned long)was->ttl);
	snprintf(set_ttl, sizeof(set_ttl), "%lu", (unsigned long)will->ttl);
	if (owner && old && new && old_text) {
		struct resite_kv kv[] = {
			{"zone", p->zone.text}, {"name", owner}, {"type", rrset_type_text(will->type)},
			{"was.ttl", was_ttl}, {"was.data", old}, {"set.ttl", set_ttl}, {"set.data", new},
		};

		snprintf(hand, sizeof(hand), "in %.150s make %.150s %s %.150s, raise the serial, rndc reload %.60s",
			 p->file, owner, rrset_type_text(will->type), old_text, p->zone.text);
		rc = s->host->undo_add(s->op, UNDO_VERSION, hand, kv, sizeof(kv) / sizeof(kv[0]));
	} else {
		step_no_memory(s);
	}
	free(owner);
	free(old);
	free(new);
	free(old_text);
	return rc;
}

static int
write_undo(struct step *s, struct part *p)
{
	int rc = RESITE_OK;

	for (size_t i = 0; i < p->set.n && rc == RESITE_OK; i++)
		if (!rrset_same(&p->now[i], &p->set.v[i]) || p->mixed[i])
			rc = add_undo(s, p, i);
	return rc == RESITE_OK ? s->host->sync(s->op) : rc;
}

/* --- all zones ---------------------------------------------------------------------------------- */

/* Is it still what probe has shown? */
static int
check_probed(struct step *s, const struct part *p)
{
	const struct bind_memory *m = step_memory(s);
	const char *probed = m ? m->zones[p - s->parts].fingerprint : "";
	char now[65];

	rrset_fingerprint(p->now, p->set.n, now);
	if (!*probed || !strcmp(probed, now))
		return RESITE_OK;
	return resite_fail(s->op, s->host, RESITE_ERR_CONFLICT, NULL,
			   "%s: somebody has changed records of this step in %s since they were looked at",
			   p->zone.text, p->file);
}

/* The file is right and named serves something else: it has not been told, or could not load
 * it, or has refused to take a zone whose serial is not newer. */
static int
load_again(struct step *s, struct part *p)
{
	if (!s->rndc || p->status.dynamic)
		return RESITE_OK;
	if (guard_serial_newer(p->served_serial, p->zone.serial)) {
		remember_serial(s, p, p->zone.serial);
		return rndc_reload(s, p);
	}
	return part_change(s, p, NULL, 0, NULL);
}

static int
apply_part(struct step *s, struct part *p)
{
	uint32_t serial = new_serial(s, p);
	int rc = check_probed(s, p);

	if (rc != RESITE_OK)
		return rc;
	if (part_file_differs(p)) {
		rc = step_guard(s, p, p->now, p->set.v, p->set.n, &serial);
		return rc == RESITE_OK ? part_change(s, p, p->set.v, p->set.n, write_undo) : rc;
	}
	if (p->frozen_by_us)
		return rndc_freeze(s, p, false);
	return part_served_differs(p) ? load_again(s, p) : RESITE_OK;
}

int
step_apply(struct step *s)
{
	int rc = step_look(s, true);

	for (size_t i = 0; i < s->n && rc == RESITE_OK; i++) {
		if (s->parts[i].set.n)
			rc = apply_part(s, &s->parts[i]);
		s->host->progress(s->op, i + 1, s->n, "zones");
	}
	return rc;
}

int
set_apply(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = step_init(&s, op, host);

	if (rc == RESITE_OK)
		rc = step_apply(&s);
	step_release(&s);
	return rc;
}

int
set_check(struct resite_op *op, const struct resite_host *host)
{
	struct step s;
	int rc = step_init(&s, op, host);

	step_release(&s);
	return rc;
}
