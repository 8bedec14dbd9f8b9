/* The actions that move all whom a home has: move, with one task (users), and
 * contacts-objects, with two (application contacts, conference directories). */
#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/actions.h"
#include "plugins/ldap-homing/homing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RTC_SERVICE "CN=RTC Service,CN=Services"

/* --- parameters ------------------------------------------------------------ */

static const char *
or_null(struct call *k, const char *name)
{
	const char *value = call_text(k, name);

	return value && *value ? value : NULL;
}

static enum lh_mid_move
mid_move_of(const char *choice)
{
	return !strcmp(choice, "refuse")  ? LH_MID_MOVE_REFUSE
	       : !strcmp(choice, "leave") ? LH_MID_MOVE_LEAVE
					  : LH_MID_MOVE_MOVE;
}

/* What both actions have. */
static struct lh_task
common_task(struct homing *h)
{
	struct resite_op *op = h->k.op;
	const struct resite_host *host = h->k.host;

	return (struct lh_task){
		.base = call_text(&h->k, "base"),
		.attribute = call_text(&h->k, "attribute"),
		.moving_attribute = or_null(&h->k, "moving_attribute"),
		.from = call_text(&h->k, "from"),
		.to = call_text(&h->k, "to"),
		.mid_move = mid_move_of(resite_str_or(op, host, "mid_move", "move")),
		.page_size = (int)resite_i64_or(op, host, "page_size", 1000),
		.window = (unsigned)resite_i64_or(op, host, "window", 64),
		.transaction_size = (unsigned)resite_i64_or(op, host, "transaction_size", 1000),
		.skip_references = !strcmp(resite_str_or(op, host, "referrals", "fail"), "skip"),
	};
}

static void
init(struct homing *h, struct resite_op *op, const struct resite_host *host)
{
	memset(h, 0, sizeof(*h));
	h->report.fd = -1;
	call_init(&h->k, op, host);
	call_read_verify_server(&h->k);
	h->require_target = resite_i64_or(op, host, "require_target", 1);
}

static void
init_move(struct homing *h, struct resite_op *op, const struct resite_host *host)
{
	struct lh_task *t = &h->tasks[0];

	init(h, op, host);
	h->n = 1;
	*t = common_task(h);
	t->noun = "users";
	t->filter = or_null(&h->k, "filter");
	t->exclude = or_null(&h->k, "exclude");
	t->address_attribute = call_text(&h->k, "address_attribute");
	t->capacity = (uint64_t)resite_i64_or(op, host, "capacity", 0);
	h->report_path = or_null(&h->k, "report");
	t->want_addresses = h->report_path != NULL;
}

/* A conference directory names its pool in another attribute than everything else, and
 * perhaps by another name. */
static void
init_contacts(struct homing *h, struct resite_op *op, const struct resite_host *host)
{
	struct lh_task *directories = &h->tasks[1];

	init(h, op, host);
	h->n = 2;
	h->tasks[0] = common_task(h);
	h->tasks[0].noun = "application contacts";
	*directories = h->tasks[0];
	directories->noun = "conference directories";
	directories->attribute = call_text(&h->k, "directory_attribute");
	directories->moving_attribute = or_null(&h->k, "directory_moving_attribute");
	directories->from = resite_str_or(op, host, "directory_from", directories->from);
	directories->to = resite_str_or(op, host, "directory_to", directories->to);
}

static void
release(struct homing *h)
{
	lh_addresses_release(&h->listed);
	lh_addresses_release(&h->left_out);
	lh_report_release(&h->report);
	free(h->base);
	call_release(&h->k);
}

/* --- check ----------------------------------------------------------------- */

static int
check_homes(struct homing *h)
{
	static const char *const dns[] = {"base", "from", "to"};
	int rc = call_check_attribute(&h->k, "attribute");

	for (size_t i = 0; i < sizeof(dns) / sizeof(dns[0]) && rc == RESITE_OK; i++)
		rc = call_check_dn(&h->k, dns[i]);
	if (rc == RESITE_OK && h->tasks[0].moving_attribute)
		rc = call_check_attribute(&h->k, "moving_attribute");
	if (rc == RESITE_OK && lh_dn_equal(h->tasks[0].from, h->tasks[0].to))
		return call_invalid(&h->k, "to", "is the same entry as from: there is nothing to move");
	return rc;
}

static int
check_move(struct homing *h)
{
	const struct lh_task *t = &h->tasks[0];
	int rc = check_homes(h);

	if (rc == RESITE_OK && t->filter)
		rc = call_check_filter(&h->k, "filter");
	if (rc == RESITE_OK && t->exclude)
		rc = call_check_filter(&h->k, "exclude");
	if (rc == RESITE_OK)
		rc = call_check_attribute(&h->k, "address_attribute");
	if (rc == RESITE_OK && t->mid_move != LH_MID_MOVE_MOVE && !t->moving_attribute)
		return call_invalid(&h->k, "mid_move",
				    "cannot be told without a moving_attribute");
	return rc;
}

static int
check_contacts(struct homing *h)
{
	const struct lh_task *t = &h->tasks[1];
	int rc = check_homes(h);

	if (rc == RESITE_OK)
		rc = call_check_attribute(&h->k, "directory_attribute");
	if (rc == RESITE_OK && t->moving_attribute)
		rc = call_check_attribute(&h->k, "directory_moving_attribute");
	if (rc == RESITE_OK && lh_same_value(t->from, t->to))
		return call_invalid(&h->k, "directory_to",
				    "is the same as directory_from: there is nothing to move");
	return rc;
}

static int
check(struct homing *h, int (*names)(struct homing *))
{
	int rc = names(h);

	if (rc == RESITE_OK)
		rc = call_check_target(&h->k);
	release(h);
	return rc;
}

int
move_check(struct resite_op *op, const struct resite_host *host)
{
	struct homing h;

	init_move(&h, op, host);
	return check(&h, check_move);
}

int
contacts_check(struct resite_op *op, const struct resite_host *host)
{
	struct homing h;

	init_contacts(&h, op, host);
	return check(&h, check_contacts);
}

/* --- the way to the work --------------------------------------------------------- */

static int
load_files(struct homing *h, struct lh_error *e)
{
	const char *listed = or_null(&h->k, "users_file"), *left = or_null(&h->k, "exclude_file");

	if (listed && lh_addresses_load(&h->listed, "users_file", listed, e))
		return e->rc;
	if (left && lh_addresses_load(&h->left_out, "exclude_file", left, e))
		return e->rc;
	if (listed)
		h->tasks[0].listed = &h->listed;
	if (left)
		h->tasks[0].left_out = &h->left_out;
	return 0;
}

static int
settle_base(struct homing *h, struct lh_conn *c, struct lh_error *e)
{
	if (call_base(&h->k, c, RTC_SERVICE, &h->base, e))
		return e->rc;
	for (int i = 0; i < h->n; i++)
		h->tasks[i].base = h->base;
	return 0;
}

/* Opens the connection to url and does the work over it. */
static int
with_connection(struct homing *h, const char *url, bool has_files, homing_work *work)
{
	struct lh_error e = {.rc = 0};
	struct lh_conn c;
	int rc;

	if (has_files && load_files(h, &e)) {
		call_report(&h->k, &e);
		release(h);
		return e.rc;
	}
	rc = call_open(&h->k, url, &c);
	if (rc == RESITE_OK) {
		if (settle_base(h, &c, &e) || work(h, &c, &e))
			rc = e.rc == RESITE_PENDING ? e.rc : call_report(&h->k, &e);
		lh_conn_close(&c);
	}
	release(h);
	return rc;
}

int
homing_find_target(struct homing *h, struct lh_conn *c, struct lh_error *e)
{
	for (int i = 0; h->require_target && i < h->n; i++) {
		const char *to = h->tasks[i].to;
		bool exists = false;
		char *value = NULL;

		if (!lh_dn_valid(to))
			continue; /* a conference directory's pool may have an identifier of another kind */
		if (lh_read_value(c, to, "objectClass", &exists, &value, e))
			return e->rc;
		free(value);
		if (!exists)
			return lh_error_set(e, RESITE_ERR_REFUSED,
					    "%s: the new home \"%s\" does not exist there, or the bind user "
					    "may not see it; %s must not be sent to nowhere "
					    "(require_target = false if it is only invisible)",
					    c->url, to, h->tasks[i].noun);
	}
	return 0;
}

/* --- words that probe and apply share ------------------------------------------ */

static const struct {
	enum lh_stay why;
	const char *words;
} stay_words[] = {
	{LH_STAYS_FILTERED, "do not match filter"},
	{LH_STAYS_EXCLUDED, "excluded"},
	{LH_STAYS_UNLISTED, "not in users_file"},
	{LH_STAYS_MID_MOVE, "in the middle of another move"},
};

void
homing_say_stayed(const uint64_t stayed[LH_STAYS_N], char *out, size_t size)
{
	uint64_t all = 0;
	size_t used;

	for (size_t i = 0; i < sizeof(stay_words) / sizeof(stay_words[0]); i++)
		all += stayed[stay_words[i].why];
	out[0] = '\0';
	if (!all)
		return;
	used = (size_t)snprintf(out, size, ", %" PRIu64 " stay there (", all);
	for (size_t i = 0; i < sizeof(stay_words) / sizeof(stay_words[0]) && used < size; i++)
		if (stayed[stay_words[i].why])
			used += (size_t)snprintf(out + used, size - used, "%s%" PRIu64 " %s",
						 out[used - 1] == '(' ? "" : ", ",
						 stayed[stay_words[i].why], stay_words[i].words);
	if (used < size)
		snprintf(out + used, size - used, ")");
}

static uint64_t
strangers(const struct lh_addresses *a, const char **ret_first)
{
	uint64_t n = 0;

	for (size_t i = 0; i < a->n_slots; i++)
		if (a->slots[i].text && !a->slots[i].met && n++ == 0)
			*ret_first = a->slots[i].text;
	return n;
}

void
homing_warn_of_strangers(struct homing *h, const struct lh_addresses *a, const char *param)
{
	const char *first = NULL;
	uint64_t n = a ? strangers(a, &first) : 0;

	if (n)
		resite_log(h->k.op, h->k.host, RESITE_LOG_WARN,
			   "%s: %" PRIu64 " of %zu addresses belong to nobody whom this step sees on "
			   "from or to; the first is %s",
			   param, n, a->n, first);
}

/* --- the functions of the two actions ------------------------------------------ */

/* The names are checked again: a parameter may be what another step put out. */
static int
run_move(struct resite_op *op, const struct resite_host *host, bool verify, homing_work *work)
{
	struct homing h;
	int rc;

	init_move(&h, op, host);
	rc = check_move(&h);
	if (rc == RESITE_OK)
		return with_connection(&h, verify ? h.k.verify_url : h.k.target.url, true, work);
	release(&h);
	return rc;
}

static int
run_contacts(struct resite_op *op, const struct resite_host *host, bool verify, homing_work *work)
{
	struct homing h;
	int rc;

	init_contacts(&h, op, host);
	rc = check_contacts(&h);
	if (rc == RESITE_OK)
		return with_connection(&h, verify ? h.k.verify_url : h.k.target.url, false, work);
	release(&h);
	return rc;
}

int
move_probe(struct resite_op *op, const struct resite_host *host)
{
	return run_move(op, host, false, homing_probe_all);
}

int
move_apply(struct resite_op *op, const struct resite_host *host)
{
	return run_move(op, host, false, homing_apply_all);
}

int
move_verify(struct resite_op *op, const struct resite_host *host)
{
	return run_move(op, host, true, homing_verify_all);
}

int
contacts_probe(struct resite_op *op, const struct resite_host *host)
{
	return run_contacts(op, host, false, homing_probe_all);
}

int
contacts_apply(struct resite_op *op, const struct resite_host *host)
{
	return run_contacts(op, host, false, homing_apply_all);
}

int
contacts_verify(struct resite_op *op, const struct resite_host *host)
{
	return run_contacts(op, host, true, homing_verify_all);
}

int
homing_revert(struct resite_op *op, const struct resite_host *host)
{
	return call_revert(op, host, (unsigned)resite_i64_or(op, host, "window", 64),
			   (unsigned)resite_i64_or(op, host, "transaction_size", 1000));
}
