/* ldap-homing: moves users between home pools in a directory.  Tables and glue;
 * the work is in move.c. */
#include "config.h"

#include "plugins/ldap-homing/call.h"
#include "plugins/ldap-homing/undo.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define UNDO_VERSION 1

/* Checkpoints: how many are on `to`, as apply left them, and as verify then counted them. */
#define CHECKPOINT_MOVED "moved"
#define CHECKPOINT_VERIFIED "verified"

static const char *const sasl_choices[] = {"none", "external", NULL};
static const char *const tls_choices[] = {"auto", "starttls", "never", NULL};
static const char *const referral_choices[] = {"fail", "skip", NULL};

static const struct resite_param move_params[] = {
	{.name = "server", .type = RESITE_T_URL, .flags = RESITE_PARAM_REQUIRED,
	 .summary = "the directory server to write to: ldap://, ldaps:// or ldapi://"},
	{.name = "verify_server", .type = RESITE_T_URL,
	 .summary = "the server that verify asks, a replica for example (default: server)"},
	{.name = "base", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED,
	 .summary = "DN under which the users are"},
	{.name = "from", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED,
	 .summary = "DN of the home that users leave"},
	{.name = "to", .type = RESITE_T_STRING, .flags = RESITE_PARAM_REQUIRED,
	 .summary = "DN of the home that they get"},
	{.name = "attribute", .type = RESITE_T_STRING, .def = "msRTCSIP-PrimaryHomeServer",
	 .summary = "attribute of a user that holds the DN of the home"},
	{.name = "moving_attribute", .type = RESITE_T_STRING, .def = "msRTCSIP-TargetHomeServer",
	 .summary = "attribute that is set while another tool moves a user"},
	{.name = "filter", .type = RESITE_T_STRING,
	 .summary = "only users that match this filter too (RFC 4515)"},
	{.name = "require_target", .type = RESITE_T_BOOL, .def = "true",
	 .summary = "refuse when the entry named by to cannot be read on the server"},
	{.name = "referrals", .type = RESITE_T_ENUM, .def = "fail", .choices = referral_choices,
	 .summary = "when a part of base is on another server: fail, or skip that part"},
	{.name = "bind_dn", .type = RESITE_T_STRING, .summary = "who to bind as, with password"},
	{.name = "password", .type = RESITE_T_SECRET, .summary = "password of bind_dn"},
	{.name = "sasl", .type = RESITE_T_ENUM, .def = "none", .choices = sasl_choices,
	 .summary = "external: be who the socket or the client certificate says"},
	{.name = "tls", .type = RESITE_T_ENUM, .def = "auto", .choices = tls_choices,
	 .summary = "StartTLS on ldap://; auto: when a password leaves this machine"},
	{.name = "allow_plaintext", .type = RESITE_T_BOOL, .def = "false",
	 .summary = "let the password cross a network unencrypted"},
	{.name = "ca_file", .type = RESITE_T_PATH,
	 .summary = "PEM file of the CAs to trust (default: the system's)"},
	{.name = "cert_file", .type = RESITE_T_PATH, .summary = "PEM file of a client certificate"},
	{.name = "key_file", .type = RESITE_T_PATH, .summary = "PEM file of its key"},
	{.name = "page_size", .type = RESITE_T_INT, .def = "1000", .min = 0, .max = 100000,
	 .summary = "entries per page of a search; 0: do not page"},
	{.name = "window", .type = RESITE_T_INT, .def = "64", .min = 1, .max = LH_WINDOW_MAX,
	 .summary = "changes in flight at once"},
	{.name = "transaction_size", .type = RESITE_T_INT, .def = "1000", .min = 0, .max = 100000,
	 .summary = "changes per transaction where the server offers them; 0: never"},
	{.name = "network_timeout", .type = RESITE_T_DURATION, .def = "30s", .min = 100,
	 .max = 3600000, .summary = "longest silence of the server"},
	{.name = NULL}};

static const char *const move_outputs[] = {"moved",   "already",      "total", "conflicts",
					   "refused", "transactions", NULL};

/* --- check --------------------------------------------------------------- */

static int
move_check(struct resite_op *op, const struct resite_host *host)
{
	struct call k;
	int rc;

	call_init(&k, op, host);
	rc = call_check_names(&k);
	if (rc == RESITE_OK)
		rc = call_check_target(&k);
	call_release(&k);
	return rc;
}

/* --- probe --------------------------------------------------------------- */

struct probe {
	struct call *k;
	struct lh_digest digest;
	uint64_t moving;
	char first_moving[300];
	char *was; /* the home of the last one, as the directory spells it; NULL: none yet */
};

/* Nearly always all users spell their home alike: then it is compared as a DN once. */
static const char *
spelled(struct probe *p, const struct lh_entry *entry)
{
	const struct berval *v = entry->values[0];

	if (p->was && v && v->bv_val && v->bv_len == strlen(p->was) &&
	    !memcmp(v->bv_val, p->was, v->bv_len))
		return p->was;
	free(p->was);
	p->was = lh_entry_home(entry, 0, p->k->task.from);
	return p->was ? p->was : p->k->task.from;
}

static int
probe_user(void *arg, const struct lh_entry *entry, struct lh_error *e)
{
	struct probe *p = arg;
	struct call *k = p->k;
	const struct berval *moving = entry->values[1];
	int rc;

	lh_digest_add(&p->digest, entry->dn.bv_val, entry->dn.bv_len);
	if (moving && moving->bv_val && p->moving++ == 0)
		snprintf(p->first_moving, sizeof(p->first_moving), "%s", entry->dn.bv_val);
	rc = k->host->change(k->op, entry->dn.bv_val, spelled(p, entry), k->task.to);
	return rc < 0 ? lh_error_set(e, rc, "the host would not take a change") : 0;
}

static int
find_target(struct call *k, struct lh_conn *c, struct lh_error *e)
{
	bool exists = false;
	char *value = NULL;
	int rc;

	if (!k->require_target)
		return 0;
	rc = lh_read_value(c, k->task.to, "objectClass", &exists, &value, e);
	free(value);
	if (rc || exists)
		return rc;
	return lh_error_set(e, RESITE_ERR_REFUSED,
			    "%s: the new home \"%s\" does not exist there, or the bind user may not see "
			    "it; users must not be sent to nowhere (require_target = false if it is only "
			    "invisible)",
			    k->target.url, k->task.to);
}

static void
tell_state(struct call *k, const struct probe *p, uint64_t already)
{
	char now[200], hex[LH_DIGEST_HEX], *seed = NULL;

	snprintf(now, sizeof(now), "%" PRIu64 " users on from, %" PRIu64 " on to", p->digest.count,
		 already);
	seed = lh_filter_equal(k->task.attribute, k->task.from, k->task.to);
	lh_digest_hex(&p->digest, seed ? seed : k->task.from, hex);
	free(seed);
	k->host->state(k->op, now, hex, p->digest.count, p->digest.count + already);
	if (p->moving) {
		char line[500];

		snprintf(line, sizeof(line),
			 "%" PRIu64 " users are in the middle of another move (%s is set), which this one "
			 "overrides; the first is %s", p->moving, k->task.moving_attribute,
			 p->first_moving);
		k->host->loss(k->op, line);
	}
}

/* The number that a checkpoint of that name holds; false: the last one is another. */
static bool
last_number(struct call *k, const char *checkpoint, uint64_t *ret_n)
{
	const char *data = NULL, *name = k->host->last_checkpoint(k->op, &data);

	if (!name || !data || strcmp(name, checkpoint))
		return false;
	*ret_n = strtoull(data, NULL, 10);
	return true;
}

/* How many are on `to`.  When nobody is left on `from` and verify has counted them since
 * the last apply, its count stands: the directory is not asked for everybody twice. */
static int
count_already(struct call *k, struct lh_conn *c, uint64_t left, uint64_t *ret_n,
	      struct lh_error *e)
{
	if (left == 0 && last_number(k, CHECKPOINT_VERIFIED, ret_n))
		return 0;
	return lh_count_on(c, &k->task, k->task.to, ret_n, e);
}

static int
move_probe(struct resite_op *op, const struct resite_host *host)
{
	struct probe p = {.k = NULL};
	struct lh_error e = {.rc = 0};
	struct lh_conn c;
	struct call k;
	uint64_t already = 0;
	int rc;

	call_init(&k, op, host);
	p.k = &k;
	rc = call_check_names(&k);
	if (rc == RESITE_OK)
		rc = call_open(&k, k.target.url, &c);
	if (rc == RESITE_OK) {
		if (find_target(&k, &c, &e) ||
		    lh_users_on(&c, &k.task, k.task.from, false, probe_user, &p, &e) ||
		    count_already(&k, &c, p.digest.count, &already, &e))
			rc = call_report(&k, &e);
		else
			tell_state(&k, &p, already);
		lh_conn_close(&c);
	}
	free(p.was);
	call_release(&k);
	return rc;
}

/* --- apply --------------------------------------------------------------- */

static char *
tool_line(const struct call *k)
{
	const struct lh_target *t = &k->target;
	char *url = lh_shell_quote(t->url), *dn = lh_shell_quote(t->bind_dn ? t->bind_dn : "");
	char *line = NULL;
	size_t room = url && dn ? strlen(url) + strlen(dn) + 40 : 0;

	if (room)
		line = malloc(room);
	if (line)
		snprintf(line, room, "ldapmodify -H %s%s%s%s%s", url,
			 t->tls == LH_TLS_STARTTLS ? " -ZZ" : "",
			 t->external ? " -Y EXTERNAL" : t->bind_dn ? " -W -D " : " -x",
			 t->bind_dn ? dn : "", t->bind_dn ? " -x" : "");
	free(url);
	free(dn);
	return line;
}

/* The line's tail is made again only when a user's old value is spelled anew. */
static int
journal_add(void *arg, const char *dn, const char *was)
{
	struct call *k = arg;
	const struct resite_kv kv[] = {{"dn", dn},
				       {"attribute", k->task.attribute},
				       {"was.home", was},
				       {"set.home", k->task.to}};
	char *by_hand;
	int rc;

	if (k->hand_was != was) {
		lh_hand_release(&k->hand);
		if (lh_hand_init(&k->hand, k->tool, k->task.attribute, k->task.to, was))
			return RESITE_ERR_TRANSIENT;
		k->hand_was = was;
	}
	by_hand = lh_hand_line(&k->hand, dn);
	if (!by_hand)
		return RESITE_ERR_TRANSIENT;
	rc = k->host->undo_add(k->op, UNDO_VERSION, by_hand, kv, sizeof(kv) / sizeof(kv[0]));
	free(by_hand);
	return rc;
}

static int
journal_sync(void *arg)
{
	struct call *k = arg;

	return k->host->sync(k->op);
}

static void
journal_progress(void *arg, uint64_t done, uint64_t total)
{
	struct call *k = arg;

	k->host->progress(k->op, done, total, "users");
}

static void
put_number(struct call *k, const char *name, uint64_t n)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, n);
	k->host->output(k->op, name, number);
}

static void
keep_number(struct call *k, const char *checkpoint, uint64_t n)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, n);
	k->host->checkpoint(k->op, checkpoint, number);
}

static void
tell_tally(struct call *k, const struct lh_tally *t)
{
	uint64_t total = t->already + t->moved;

	put_number(k, "moved", t->moved);
	put_number(k, "already", t->already);
	put_number(k, "total", total);
	put_number(k, "conflicts", t->conflicts);
	put_number(k, "refused", t->refused);
	put_number(k, "transactions", t->transactions);
	keep_number(k, CHECKPOINT_MOVED, total);
	if (t->rolled_back)
		resite_log(k->op, k->host, RESITE_LOG_WARN,
			   "%" PRIu64 " transactions were rolled back and their users moved one by one",
			   t->rolled_back);
	if (t->unknown)
		resite_log(k->op, k->host, RESITE_LOG_WARN,
			   "the fate of %" PRIu64 " users is unknown: their change was sent and not "
			   "answered; a probe tells", t->unknown);
}

static int
move_apply(struct resite_op *op, const struct resite_host *host)
{
	struct lh_tally tally = {.moved = 0};
	struct lh_error e = {.rc = 0};
	struct lh_conn c;
	struct call k;
	int rc;

	call_init(&k, op, host);
	k.tool = tool_line(&k);
	rc = k.tool ? call_check_names(&k)
		    : resite_fail(op, host, RESITE_ERR_TRANSIENT, NULL, "out of memory");
	if (rc == RESITE_OK)
		rc = call_open(&k, k.target.url, &c);
	if (rc == RESITE_OK) {
		const struct lh_journal j = {&k, journal_add, journal_sync, journal_progress};

		if (find_target(&k, &c, &e) || lh_move(&c, &k.task, &j, &tally, &e))
			rc = call_report(&k, &e);
		tell_tally(&k, &tally);
		lh_conn_close(&c);
	}
	call_release(&k);
	return rc;
}

/* --- verify -------------------------------------------------------------- */

static int
judge(struct call *k, uint64_t left, uint64_t there)
{
	bool replica = strcmp(k->verify_url, k->target.url) != 0;
	uint64_t expected = 0; /* when it was not this step's apply that moved them */
	char line[400];

	last_number(k, CHECKPOINT_MOVED, &expected);
	if (left == 0 && there >= expected)
		return RESITE_OK;
	snprintf(line, sizeof(line),
		 "%s: %" PRIu64 " users are on from, %" PRIu64 " on to, where apply left %" PRIu64,
		 k->verify_url, left, there, expected);
	if (replica) { /* it may lag */
		k->host->fail(k->op, NULL, 2000, line);
		return RESITE_PENDING;
	}
	if (left == 0) { /* the server acknowledged each: somebody changed or removed them since */
		k->host->log(k->op, RESITE_LOG_WARN, line);
		return RESITE_OK;
	}
	k->host->fail(k->op, NULL, 0, line);
	return RESITE_ERR_CONFLICT;
}

static int
move_verify(struct resite_op *op, const struct resite_host *host)
{
	struct lh_error e = {.rc = 0};
	struct lh_conn c;
	struct call k;
	uint64_t left = 0, there = 0;
	int rc;

	call_init(&k, op, host);
	rc = call_open(&k, k.verify_url, &c);
	if (rc == RESITE_OK) {
		if (lh_count_on(&c, &k.task, k.task.from, &left, &e) ||
		    lh_count_on(&c, &k.task, k.task.to, &there, &e))
			rc = call_report(&k, &e);
		else
			rc = judge(&k, left, there);
		if (rc == RESITE_OK)
			keep_number(&k, CHECKPOINT_VERIFIED, there);
		lh_conn_close(&c);
	}
	call_release(&k);
	return rc;
}

/* --- revert -------------------------------------------------------------- */

static int
next_record(void *arg, struct lh_record *ret)
{
	struct call *k = arg;
	const struct resite_kv *kv;
	uint32_t version, n;
	int rc = k->host->undo_next(k->op, &version, &kv, &n);

	if (rc != 1)
		return rc;
	*ret = (struct lh_record){resite_kv_get(kv, n, "dn"), resite_kv_get(kv, n, "attribute"),
				  resite_kv_get(kv, n, "was.home"), resite_kv_get(kv, n, "set.home")};
	if (version == UNDO_VERSION && ret->dn && ret->attribute && ret->was && ret->set)
		return 1;
	snprintf(k->record_fault, sizeof(k->record_fault),
		 "an undo record of version %u cannot be read (this plugin writes %u)",
		 (unsigned)version, (unsigned)UNDO_VERSION);
	return RESITE_ERR_INVALID;
}

static int
tell_reverted(void *arg, const struct lh_record *r, int result, const char *now)
{
	struct call *k = arg;

	return k->host->reverted(k->op, r->dn, result, r->was, r->set, now);
}

static int
move_revert(struct resite_op *op, const struct resite_host *host)
{
	struct lh_error e = {.rc = 0};
	struct lh_conn c;
	struct call k;
	int rc;

	call_init(&k, op, host);
	rc = call_open(&k, k.target.url, &c);
	if (rc == RESITE_OK) {
		const struct lh_records records = {&k, next_record, tell_reverted};

		if (lh_undo(&c, &k.task, host->revert_way(op), &records, &e))
			rc = *k.record_fault ? resite_fail(op, host, e.rc, NULL, "%s", k.record_fault)
					     : call_report(&k, &e);
		lh_conn_close(&c);
	}
	call_release(&k);
	return rc;
}

static const struct resite_action actions[] = {{
	.name = "move",
	.summary = "moves all users of one home pool to another",
	.flags = RESITE_ACT_REVERSIBLE,
	.default_timeout_ms = 600000,
	.params = move_params,
	.outputs = move_outputs,
	.check = move_check,
	.probe = move_probe,
	.apply = move_apply,
	.verify = move_verify,
	.revert = move_revert,
}};

RESITE_PLUGIN(.name = "ldap-homing", .version = "1",
	      .summary = "users' home pools in an LDAP directory", .actions = actions,
	      .n_actions = sizeof(actions) / sizeof(actions[0]))
