/* ldap-homing.move against a real slapd: what happens to users when all is well,
 * when somebody interferes, and when the server fails. */
#define _GNU_SOURCE
#include "config.h"

#include "tests/unit/homing_checks.h"
#include "tests/unit/slapd_rig.h"
#include "tests/unit/run_suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define USERS 2500

static struct fakehost *
host_for(const struct rig *r, const char *server)
{
	struct fakehost *fh = action_host("move");

	(void)r;
	fakehost_param(fh, "server", server);
	fakehost_param(fh, "base", RIG_SUFFIX);
	fakehost_param(fh, "from", RIG_FROM);
	fakehost_param(fh, "to", RIG_TO);
	fakehost_param(fh, "allow_plaintext", "true");
	fakehost_secret(fh, "pw", RIG_PASSWORD);
	return fh;
}

static void
bind_as(struct fakehost *fh, const char *dn)
{
	fakehost_param_clear(fh, "bind_dn");
	fakehost_param_clear(fh, "password");
	fakehost_param(fh, "bind_dn", dn);
	fakehost_param(fh, "password", "pw");
}

static struct fakehost *
mover(const struct rig *r)
{
	struct fakehost *fh = host_for(r, r->url);

	bind_as(fh, RIG_MOVER);
	return fh;
}

/* --- all is well ---------------------------------------------------------------- */

static void
move_and_undo(const char *transaction_size, const char *window)
{
	struct rig *r = rig_new(USERS, false);
	struct fakehost *fh = mover(r);
	size_t n;
	char *before;

	fakehost_param(fh, "transaction_size", transaction_size);
	fakehost_param(fh, "window", window);
	call_is(fh, FAKEHOST_CHECK, RESITE_OK);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, USERS);
	ck_assert_uint_eq(fakehost_state(fh)->total, USERS);
	ck_assert_str_eq(fakehost_changes(fh, &n)[0].will_be, RIG_TO);
	ck_assert_uint_eq(n, USERS);
	before = strdup(fakehost_state(fh)->fingerprint);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	output_is(fh, "moved", USERS);
	ck_assert_uint_eq(rig_count(r, RIG_TO), USERS);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), 0);
	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	ck_assert_uint_eq(fakehost_state(fh)->total, USERS);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	output_is(fh, "moved", 0);
	output_is(fh, "already", USERS);
	fakehost_undos(fh, &n);
	ck_assert_uint_eq(n, USERS);
	revert_is(fh, RESITE_LOOK, RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), USERS);
	ck_assert_uint_eq(rig_count(r, RIG_TO), USERS);
	revert_is(fh, RESITE_PUT_BACK, RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), USERS);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), USERS);
	revert_is(fh, RESITE_PUT_BACK, RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_ALREADY), USERS);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_str_eq(fakehost_state(fh)->fingerprint, before);
	free(before);
	fakehost_free(fh);
	rig_free(r);
}

START_TEST(all_move_in_transactions_and_undo_brings_all_back)
{
	move_and_undo("1000", "64");
}
END_TEST

/* Within a transaction it is not used to the full: slapd would go away. */
START_TEST(the_widest_window_is_survived_by_the_server)
{
	move_and_undo("1000", "1000");
	move_and_undo("0", "1000");
}
END_TEST

START_TEST(all_move_one_by_one_and_undo_brings_all_back)
{
	move_and_undo("0", "64");
}
END_TEST

/* At each sync: is every user who has moved in an undo record that was durable
 * before this sync? */
struct watch {
	struct rig *r;
	struct fakehost *fh;
	size_t durable_before, syncs, moved_seen;
	bool kill_at_third;
};

static void
must_be_durable(void *arg, const char *dn)
{
	struct watch *w = arg;
	size_t n;
	const struct fakehost_undo *u = fakehost_undos(w->fh, &n);

	w->moved_seen++;
	for (size_t i = 0; i < w->durable_before; i++)
		if (!strcmp(u[i].kv[0].value, dn))
			return;
	ck_abort_msg("%s was changed before her undo record was durable", dn);
}

static void
on_sync(void *arg)
{
	struct watch *w = arg;

	rig_each(w->r, RIG_TO, must_be_durable, w);
	fakehost_undos(w->fh, &w->durable_before);
	if (++w->syncs == 3 && w->kill_at_third)
		rig_kill(w->r, SIGKILL);
}

static void
undo_comes_first(const char *transaction_size)
{
	struct rig *r = rig_new(USERS, false);
	struct fakehost *fh = mover(r);
	struct watch w = {.r = r, .fh = fh};

	fakehost_param(fh, "transaction_size", transaction_size);
	fakehost_on_sync(fh, on_sync, &w);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	ck_assert_uint_ge(w.syncs, 5);
	ck_assert_uint_gt(w.moved_seen, 0);
	fakehost_free(fh);
	rig_free(r);
}

START_TEST(no_user_is_changed_before_the_undo_record_is_durable)
{
	undo_comes_first("500");
	undo_comes_first("0");
}
END_TEST

START_TEST(nobody_is_touched_when_undo_cannot_be_written)
{
	struct rig *r = rig_new(50, false);
	struct fakehost *fh = mover(r);

	fakehost_fail_undo(fh, 10);
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	failure_has(fh, "not touched");
	ck_assert_uint_eq(rig_count(r, RIG_FROM), 50);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

/* --- limits and names ------------------------------------------------------------- */

START_TEST(a_size_limit_is_an_error_and_never_a_shorter_list)
{
	struct rig *r = rig_new(USERS, false);
	struct fakehost *fh = host_for(r, r->url);

	bind_as(fh, RIG_LIMITED);
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "Size limit exceeded (4)");
	failure_has(fh, "raise the size limit");
	ck_assert(!fakehost_state(fh)->told);
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	set_param(fh, "page_size", "0");
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), USERS);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(a_part_of_the_tree_on_another_server_is_an_error_unless_told_to_skip_it)
{
	struct rig *r = rig_new(20, false);
	struct fakehost *fh = mover(r);

	rig_add_referral(r, "ldap://other.example/ou=Elsewhere,dc=other");
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "ldap://other.example/");
	failure_has(fh, "referrals = \"skip\"");
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), 20);
	set_param(fh, "referrals", "skip");
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	ck_assert_uint_eq(rig_count(r, RIG_TO), 20);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(a_target_that_does_not_exist_or_is_the_source_is_refused)
{
	struct rig *r = rig_new(10, false);
	struct fakehost *fh = mover(r);

	set_param(fh, "to", RIG_POOL("9:1"));
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "9:1");
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	set_param(fh, "require_target", "false");
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	set_param(fh, "to", "cn=lc services, cn=microsoft,CN=1:1,cn=pools,cn=rtc service,cn=services,"
			    "cn=configuration,dc=contoso,dc=example");
	call_is(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID);
	ck_assert_str_eq(fakehost_failure_param(fh), "to");
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(another_spelling_of_from_finds_and_moves_the_same_users)
{
	struct rig *r = rig_new(20, false);
	struct fakehost *fh = mover(r);
	size_t n;

	set_param(fh, "from", "cn=lc services, cn=microsoft,CN=1:1,cn=pools,cn=rtc service,cn=services,"
			      "cn=configuration,dc=contoso,dc=example");
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	ck_assert_uint_eq(rig_count(r, RIG_TO), 20);
	ck_assert_str_eq(fakehost_undos(fh, &n)[0].kv[2].value, RIG_FROM); /* as it was spelled */
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(users_in_the_middle_of_a_move_are_told)
{
	struct rig *r = rig_new(20, false);
	struct fakehost *fh = mover(r);

	rig_set(r, 3, "msRTCSIP-TargetHomeServer", RIG_THIRD);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "1 users are in the middle"));
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "u00003"));
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

/* --- verify, and the probe after it ---------------------------------------------------- */

START_TEST(verify_counts_all_who_moved_and_the_probe_after_it_asks_who_is_left)
{
	struct rig *r = rig_new(20, false);
	struct fakehost *fh = mover(r);
	const char *data;

	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	rig_delete_user(r, 4);
	call_is(fh, FAKEHOST_VERIFY, RESITE_OK);
	ck_assert_ptr_nonnull(strstr(fakehost_logs(fh), "0 users are on from, 19 on to, where apply left 20"));
	ck_assert_str_eq(fakehost_checkpoint(fh, &data), "verified");
	ck_assert_str_eq(data, "19");
	rig_delete_user(r, 5); /* would be seen only by counting them all again */
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	ck_assert_uint_eq(fakehost_state(fh)->total, 19);
	rig_set(r, 6, "msRTCSIP-PrimaryHomeServer", RIG_FROM);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	ck_assert_uint_eq(fakehost_state(fh)->total, 18);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(verify_that_still_sees_somebody_on_from_is_a_conflict_and_nothing_counts_as_verified)
{
	struct rig *r = rig_new(20, false);
	struct fakehost *fh = mover(r);

	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	rig_set(r, 6, "msRTCSIP-PrimaryHomeServer", RIG_FROM);
	call_is(fh, FAKEHOST_VERIFY, RESITE_ERR_CONFLICT);
	failure_has(fh, "1 users are on from, 19 on to, where apply left 20");
	ck_assert_str_eq(fakehost_checkpoint(fh, NULL), "moved");
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

/* --- somebody interferes ------------------------------------------------------------ */

/* Between the search and the change: at the first sync. */
struct meddler {
	struct rig *r;
	bool done;
};

static void
meddle(void *arg)
{
	struct meddler *m = arg;

	if (m->done)
		return;
	m->done = true;
	rig_set(m->r, 5, "msRTCSIP-PrimaryHomeServer", RIG_THIRD);
	rig_set(m->r, 6, "msRTCSIP-PrimaryHomeServer", RIG_TO);
	rig_delete_user(m->r, 8);
}

/* Apply takes the list that probe has read, and believes none of it. */
START_TEST(what_changes_between_probe_and_apply_is_found_all_the_same)
{
	struct rig *r = rig_new(300, false);
	struct fakehost *fh = mover(r);

	rig_set(r, 9, "msRTCSIP-PrimaryHomeServer", RIG_THIRD);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 299);
	rig_set(r, 9, "msRTCSIP-PrimaryHomeServer", RIG_FROM);
	rig_set(r, 5, "msRTCSIP-PrimaryHomeServer", RIG_THIRD);
	rig_set(r, 6, "msRTCSIP-PrimaryHomeServer", RIG_TO);
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_CONFLICT);
	failure_has(fh, "u00005");
	output_is(fh, "moved", 298);
	output_is(fh, "conflicts", 1);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), 0);
	ck_assert_uint_eq(rig_count(r, RIG_TO), 299);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(the_list_of_one_task_is_not_used_for_another)
{
	struct rig *r = rig_new(300, false);
	struct fakehost *fh = mover(r);

	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	set_param(fh, "base", "uid=u00003,ou=Staff," RIG_SUFFIX);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	output_is(fh, "moved", 1);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	fakehost_new_attempt(fh);
	set_param(fh, "base", RIG_SUFFIX);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	output_is(fh, "moved", 299);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

static void
meddled(const char *transaction_size)
{
	struct rig *r = rig_new(300, false);
	struct fakehost *fh = mover(r);
	struct meddler m = {.r = r};

	fakehost_param(fh, "transaction_size", transaction_size);
	fakehost_on_sync(fh, meddle, &m);
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_CONFLICT);
	failure_has(fh, "u00005");
	failure_has(fh, "=3:1,");
	failure_has(fh, "u00008");
	output_is(fh, "moved", 297);
	output_is(fh, "already", 1);
	output_is(fh, "conflicts", 2);
	ck_assert_uint_eq(rig_count(r, RIG_THIRD), 1);
	ck_assert_uint_eq(rig_count(r, RIG_TO), 298);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	fakehost_free(fh);
	rig_free(r);
}

START_TEST(a_user_changed_by_somebody_else_is_named_and_the_others_move)
{
	meddled("100");
	meddled("0");
}
END_TEST

START_TEST(a_user_the_server_will_not_change_does_not_stop_the_others)
{
	struct rig *r = rig_new(300, true);
	struct fakehost *fh = mover(r);

	fakehost_param(fh, "transaction_size", "100");
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	failure_has(fh, "u00007");
	failure_has(fh, "Insufficient access (50)");
	output_is(fh, "moved", 299);
	output_is(fh, "refused", 1);
	ck_assert_uint_eq(rig_count(r, RIG_TO), 299);
	call_is(fh, FAKEHOST_VERIFY, RESITE_ERR_CONFLICT);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

/* What revert said of the user of that number. */
static const struct fakehost_reverted *
reverted_of(struct fakehost *fh, unsigned user)
{
	const struct fakehost_reverted *all;
	char name[20];
	size_t n;

	snprintf(name, sizeof(name), "u%05u", user);
	all = fakehost_reverteds(fh, &n);
	for (size_t i = 0; i < n; i++)
		if (strstr(all[i].object, name))
			return &all[i];
	ck_abort_msg("revert said nothing of %s", name);
}

static void
undo_with_changes(const char *transaction_size)
{
	struct rig *r = rig_new(30, false);
	struct fakehost *fh = mover(r);
	const struct fakehost_reverted *told;

	fakehost_param(fh, "transaction_size", transaction_size);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	rig_set(r, 29, "msRTCSIP-PrimaryHomeServer", RIG_THIRD);
	rig_set(r, 28, "msRTCSIP-PrimaryHomeServer", RIG_FROM);
	rig_delete_user(r, 27);
	for (int way = RESITE_LOOK; way <= RESITE_PUT_BACK; way++) {
		revert_is(fh, (enum resite_revert_way)way, RESITE_OK);
		told = reverted_of(fh, 29);
		ck_assert_int_eq(told->result, RESITE_REVERTED_CONFLICT);
		ck_assert(strcasestr(told->now, "cn=3:1,") != NULL);
		ck_assert_str_eq(told->was, RIG_FROM);
		ck_assert_str_eq(told->set, RIG_TO);
		ck_assert_int_eq(reverted_of(fh, 28)->result, RESITE_REVERTED_ALREADY);
		ck_assert_int_eq(reverted_of(fh, 27)->result, RESITE_REVERTED_GONE);
		ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 27);
	}
	ck_assert_uint_eq(rig_count(r, RIG_FROM), 28);
	ck_assert_uint_eq(rig_count(r, RIG_THIRD), 1);
	revert_is(fh, RESITE_FORCE, RESITE_OK);
	ck_assert_int_eq(reverted_of(fh, 29)->result, RESITE_REVERTED_PUT_BACK);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), 29);
	fakehost_free(fh);
	rig_free(r);
}

START_TEST(undo_leaves_alone_what_somebody_else_has_changed_since)
{
	undo_with_changes("1000");
	undo_with_changes("0");
}
END_TEST

static void
undo_with_one_refused(const char *transaction_size)
{
	struct rig *r = rig_new(300, true);
	struct fakehost *fh = mover(r);

	fakehost_param(fh, "transaction_size", transaction_size);
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_REFUSED);
	rig_set(r, 7, "msRTCSIP-PrimaryHomeServer", RIG_TO);
	revert_is(fh, RESITE_PUT_BACK, RESITE_ERR_REFUSED);
	failure_has(fh, "1 users could not be put back");
	failure_has(fh, "u00007");
	failure_has(fh, "Insufficient access (50)");
	ck_assert_int_eq(reverted_of(fh, 7)->result, RESITE_REVERTED_REFUSED);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 299);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), 299);
	fakehost_free(fh);
	rig_free(r);
}

START_TEST(undo_names_whom_the_server_would_not_change_and_puts_the_others_back)
{
	undo_with_one_refused("100");
	undo_with_one_refused("0");
}
END_TEST

/* A retry after a conflict records users a second time. */
START_TEST(records_of_one_user_are_put_back_one_after_the_other)
{
	struct rig *r = rig_new(30, false);
	struct fakehost *fh = mover(r);
	size_t n;

	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	rig_set(r, 3, "msRTCSIP-PrimaryHomeServer", RIG_FROM);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	fakehost_undos(fh, &n);
	ck_assert_uint_eq(n, 31);
	revert_is(fh, RESITE_PUT_BACK, RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK), 30);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_ALREADY), 1);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), 30);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(an_undo_that_is_cancelled_is_finished_by_the_next)
{
	struct rig *r = rig_new(USERS, false);
	struct fakehost *fh = mover(r);
	size_t first, n;

	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	fakehost_undos(fh, &n);
	fakehost_at_progress(fh, USERS / 3, NULL, NULL);
	revert_is(fh, RESITE_PUT_BACK, RESITE_ERR_CANCELLED);
	first = fakehost_reverted_count(fh, RESITE_REVERTED_PUT_BACK);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), first);
	ck_assert_uint_lt(first, USERS);
	revert_is(fh, RESITE_PUT_BACK, RESITE_OK);
	ck_assert_uint_eq(fakehost_reverted_count(fh, RESITE_REVERTED_ALREADY), first);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), USERS);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(the_line_by_hand_works_by_hand)
{
	struct rig *r = rig_new(3, false);
	struct fakehost *fh = mover(r);
	char *line;
	size_t n;

	set_param(fh, "allow_plaintext", "false");
	set_param(fh, "ca_file", r->ca);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	line = strdup(fakehost_undos(fh, &n)[0].by_hand);
	text_has(line, " -ZZ ");
	ck_assert_ptr_nonnull(strstr(line, " -W "));
	memcpy(strstr(line, " -W "), " -x ", 4);
	line = realloc(line, strlen(line) + 50);
	strcat(line, " -w " RIG_PASSWORD " > /dev/null");
	ck_assert_int_eq(system(line), 0);
	ck_assert_uint_eq(rig_count(r, RIG_FROM), 1);
	free(line);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

/* --- the server fails ----------------------------------------------------------------- */

static void
killed(const char *transaction_size)
{
	struct rig *r = rig_new(USERS, false);
	struct fakehost *fh = mover(r);
	struct watch w = {.r = r, .fh = fh, .kill_at_third = true};
	unsigned moved;

	fakehost_param(fh, "transaction_size", transaction_size);
	fakehost_on_sync(fh, on_sync, &w);
	call_is(fh, FAKEHOST_APPLY, RESITE_ERR_TRANSIENT);
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_TRANSIENT);
	failure_has(fh, "Connection refused");
	fakehost_on_sync(fh, NULL, NULL);
	rig_start(r);
	moved = rig_count(r, RIG_TO);
	ck_assert_uint_gt(moved, 0);
	ck_assert_uint_eq(moved + rig_count(r, RIG_FROM), USERS);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	output_is(fh, "already", moved);
	output_is(fh, "moved", USERS - moved);
	ck_assert_uint_eq(rig_count(r, RIG_TO), USERS);
	fakehost_free(fh);
	rig_free(r);
}

START_TEST(after_a_killed_server_the_next_apply_moves_exactly_the_rest)
{
	killed("400");
	killed("0");
}
END_TEST

START_TEST(a_cancel_stops_at_once_and_what_it_reports_is_true)
{
	for (int ms = 40; ms <= 160; ms += 60) {
		struct rig *r = rig_new(USERS, false);
		struct fakehost *fh = mover(r);
		int rc;

		fakehost_param(fh, "transaction_size", ms == 100 ? "0" : "500");
		fakehost_cancel_after(fh, ms);
		rc = fakehost_call(fh, FAKEHOST_APPLY);
		ck_assert_int_eq(rc == RESITE_OK || rc == RESITE_ERR_CANCELLED, 1);
		if (fakehost_output(fh, "moved"))
			ck_assert_uint_eq(strtoul(fakehost_output(fh, "moved"), NULL, 10),
					  rig_count(r, RIG_TO));
		fakehost_cancel_after(fh, -1);
		call_is(fh, FAKEHOST_APPLY, RESITE_OK);
		ck_assert_uint_eq(rig_count(r, RIG_TO), USERS);
		fakehost_free(fh);
		rig_free(r);
	}
}
END_TEST

/* A server of our own that is none: it says text (or nothing) to whoever comes. */
static pid_t
stranger(int *ret_port, const char *say)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one;
	socklen_t len = sizeof(in);
	pid_t pid;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	getsockname(fd, (struct sockaddr *)&in, &len);
	*ret_port = ntohs(in.sin_port);
	pid = fork();
	while (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		one = accept(fd, NULL, NULL);
		if (say && write(one, say, strlen(say)) < 0)
			_exit(1);
	}
	close(fd);
	return pid;
}

static int
meet(const char *say, const char *timeout, struct fakehost **ret_fh)
{
	char url[64];
	int port, rc;
	pid_t pid = stranger(&port, say);

	snprintf(url, sizeof(url), "ldap://127.0.0.1:%d", port);
	*ret_fh = host_for(NULL, url);
	bind_as(*ret_fh, RIG_MOVER);
	fakehost_param(*ret_fh, "network_timeout", timeout);
	fakehost_deadline(*ret_fh, 2000);
	rc = fakehost_call(*ret_fh, FAKEHOST_PROBE);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return rc;
}

START_TEST(a_server_that_says_nothing_is_given_up_within_the_time)
{
	struct fakehost *fh;
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	ck_assert_int_eq(meet(NULL, "300ms", &fh), RESITE_ERR_TRANSIENT);
	failure_has(fh, "no answer for 300 ms");
	fakehost_free(fh);
	ck_assert_int_eq(meet(NULL, "60s", &fh), RESITE_ERR_CANCELLED);
	fakehost_free(fh);
	clock_gettime(CLOCK_MONOTONIC, &b);
	ck_assert_int_lt(b.tv_sec - a.tv_sec, 5);
}
END_TEST

START_TEST(a_server_that_talks_garbage_is_an_error_with_its_address)
{
	static const char *const says[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "\x30\x84\x7f\xff\xff\xff",
					   "\x30\x03\x02\x01\x05", "\x04\x04zzzz"};

	for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
		struct fakehost *fh;
		int rc = meet(says[i], "500ms", &fh);

		ck_assert_msg(rc == RESITE_ERR_TRANSIENT || rc == RESITE_ERR_REFUSED, "%zu: %d", i, rc);
		failure_has(fh, "ldap://127.0.0.1:");
		fakehost_free(fh);
	}
}
END_TEST

/* --- who we are and who they are ---------------------------------------------------------- */

START_TEST(a_wrong_password_is_refused_in_the_servers_words_and_not_shown)
{
	struct rig *r = rig_new(5, false);
	struct fakehost *fh = mover(r);

	fakehost_secret(fh, "pw", "not-the-word");
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "Invalid credentials (49)");
	failure_has(fh, RIG_MOVER);
	ck_assert_ptr_null(strstr(fakehost_failure(fh), "not-the-word"));
	fakehost_secret(fh, "pw", "");
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_INVALID);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(the_socket_and_who_owns_it_are_enough_with_external)
{
	struct rig *r = rig_new(200, false);
	struct fakehost *fh = host_for(r, r->ldapi_url);

	fakehost_param(fh, "sasl", "external");
	call_is(fh, FAKEHOST_CHECK, RESITE_OK);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	ck_assert_uint_eq(rig_count(r, RIG_TO), 200);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(starttls_works_with_the_right_ca_and_not_with_another)
{
	struct rig *r = rig_new(200, false);
	struct fakehost *fh = host_for(r, r->url);
	char other[100], dir[80];

	bind_as(fh, RIG_MOVER);
	set_param(fh, "allow_plaintext", "false");
	fakehost_param(fh, "ca_file", r->ca);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	ck_assert_uint_eq(rig_count(r, RIG_TO), 200);
	snprintf(dir, sizeof(dir), "%s/other", r->dir);
	snprintf(other, sizeof(other), "mkdir %s", dir);
	ck_assert_int_eq(system(other), 0);
	rig_make_certificates(dir);
	snprintf(other, sizeof(other), "%s/ca.crt", dir);
	set_param(fh, "ca_file", other);
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "untrusted");
	set_param(fh, "ca_file", r->ca);
	set_param(fh, "server", r->url_by_name); /* the certificate names 127.0.0.1 */
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "does not match");
	set_param(fh, "ca_file", "/nowhere/ca.pem");
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_INVALID);
	failure_has(fh, "/nowhere/ca.pem");
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

/* What openssl says of a certificate. */
static char *
openssl(const struct rig *r, const char *command)
{
	char line[600], *out = calloc(1, 200);
	FILE *f;

	snprintf(line, sizeof(line), "cd %s && %s", r->dir, command);
	f = popen(line, "r");
	ck_assert_ptr_nonnull(fgets(out, 199, f));
	ck_assert_int_eq(pclose(f), 0);
	out[strcspn(out, "\n")] = '\0';
	return out;
}

START_TEST(a_password_never_goes_over_a_network_in_the_clear_unless_the_plan_says_so)
{
	struct rig *r = rig_new(5, false);
	struct fakehost *fh = mover(r);

	set_param(fh, "allow_plaintext", "false");
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED); /* auto: StartTLS, and nobody trusts its CA */
	failure_has(fh, "no TLS connection");
	set_param(fh, "tls", "never");
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_INVALID);
	failure_has(fh, "the password would go unencrypted");
	set_param(fh, "tls", "auto");
	set_param(fh, "ca_file", r->ca);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	ck_assert_uint_eq(rig_count(r, RIG_TO), 5);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(only_the_server_that_a_pin_names_is_given_the_password)
{
	struct rig *r = rig_new(5, false);
	struct fakehost *fh = mover(r);
	char *hex = openssl(r, "openssl x509 -in server.crt -noout -fingerprint -sha256 | cut -d= -f2");
	char *key = openssl(r, "echo \"sha256//$(openssl x509 -in server.crt -noout -pubkey | "
			       "openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64)\"");

	set_param(fh, "allow_plaintext", "false");
	set_param(fh, "ca_file", r->ca);
	set_param(fh, "pin", "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	call_is(fh, FAKEHOST_CHECK, RESITE_OK);
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED);
	failure_has(fh, "not the one that pin names, so no password was sent");
	failure_has(fh, key);
	fakehost_param(fh, "pin", hex);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	set_param(fh, "pin", key);
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	set_param(fh, "pin", "de:ad:be:ef");
	call_is(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID);
	failure_has(fh, "fewer digits");
	set_param(fh, "pin", key);
	set_param(fh, "tls", "never");
	call_is(fh, FAKEHOST_CHECK, RESITE_ERR_INVALID);
	free(hex);
	free(key);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

START_TEST(the_server_may_be_named_by_address_when_its_name_is_said)
{
	struct rig *r = rig_new(5, false);
	struct fakehost *fh = host_for(r, r->url_by_name);

	bind_as(fh, RIG_MOVER);
	set_param(fh, "allow_plaintext", "false");
	set_param(fh, "ca_file", r->ca);
	call_is(fh, FAKEHOST_PROBE, RESITE_ERR_REFUSED); /* the certificate names 127.0.0.1 */
	set_param(fh, "server_name", "127.0.0.1");
	call_is(fh, FAKEHOST_PROBE, RESITE_OK);
	fakehost_free(fh);
	rig_free(r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ldap_homing_slapd");
	TCase *tc = tcase_create("slapd");

	if (!rig_possible()) {
		puts("skipped: slapd is not installed (apt-get install slapd)");
		return 77;
	}
	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, all_move_in_transactions_and_undo_brings_all_back);
	tcase_add_test(tc, all_move_one_by_one_and_undo_brings_all_back);
	tcase_add_test(tc, the_widest_window_is_survived_by_the_server);
	tcase_add_test(tc, no_user_is_changed_before_the_undo_record_is_durable);
	tcase_add_test(tc, nobody_is_touched_when_undo_cannot_be_written);
	tcase_add_test(tc, a_size_limit_is_an_error_and_never_a_shorter_list);
	tcase_add_test(tc, a_part_of_the_tree_on_another_server_is_an_error_unless_told_to_skip_it);
	tcase_add_test(tc, a_target_that_does_not_exist_or_is_the_source_is_refused);
	tcase_add_test(tc, another_spelling_of_from_finds_and_moves_the_same_users);
	tcase_add_test(tc, users_in_the_middle_of_a_move_are_told);
	tcase_add_test(tc, verify_counts_all_who_moved_and_the_probe_after_it_asks_who_is_left);
	tcase_add_test(tc, verify_that_still_sees_somebody_on_from_is_a_conflict_and_nothing_counts_as_verified);
	tcase_add_test(tc, what_changes_between_probe_and_apply_is_found_all_the_same);
	tcase_add_test(tc, the_list_of_one_task_is_not_used_for_another);
	tcase_add_test(tc, a_user_changed_by_somebody_else_is_named_and_the_others_move);
	tcase_add_test(tc, a_user_the_server_will_not_change_does_not_stop_the_others);
	tcase_add_test(tc, undo_leaves_alone_what_somebody_else_has_changed_since);
	tcase_add_test(tc, undo_names_whom_the_server_would_not_change_and_puts_the_others_back);
	tcase_add_test(tc, records_of_one_user_are_put_back_one_after_the_other);
	tcase_add_test(tc, an_undo_that_is_cancelled_is_finished_by_the_next);
	tcase_add_test(tc, the_line_by_hand_works_by_hand);
	tcase_add_test(tc, after_a_killed_server_the_next_apply_moves_exactly_the_rest);
	tcase_add_test(tc, a_cancel_stops_at_once_and_what_it_reports_is_true);
	tcase_add_test(tc, a_server_that_says_nothing_is_given_up_within_the_time);
	tcase_add_test(tc, a_server_that_talks_garbage_is_an_error_with_its_address);
	tcase_add_test(tc, a_wrong_password_is_refused_in_the_servers_words_and_not_shown);
	tcase_add_test(tc, the_socket_and_who_owns_it_are_enough_with_external);
	tcase_add_test(tc, starttls_works_with_the_right_ca_and_not_with_another);
	tcase_add_test(tc, a_password_never_goes_over_a_network_in_the_clear_unless_the_plan_says_so);
	tcase_add_test(tc, only_the_server_that_a_pin_names_is_given_the_password);
	tcase_add_test(tc, the_server_may_be_named_by_address_when_its_name_is_said);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
