/* Which set is good enough, which may go, and who can read it. */
#define _GNU_SOURCE
#include "sdk/testkit/fakehost.h"
#include "sdk/vault/internal.h"
#include "sdk/vault/step.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], vault[80];
static struct vault_error err;
static char note[VAULT_NOTE_MAX];

#define HEX_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define OTHER_KEY "100102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

#define must(call) ck_assert_msg((call) == VAULT_OK, "%s", err.text)

static void
setup(void)
{
	strcpy(dir, "/tmp/vault-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(vault, sizeof vault, "%s/vault", dir);
}

static void
teardown(void)
{
	char cmd[128];

	snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static struct vault_key *
key_of(const char *text)
{
	struct vault_key *key = NULL;

	must(vault_key_new(&key, text, strlen(text), &err));
	return key;
}

/* A set of bytes payload bytes and users users. */
static struct vault_writer *
begin_set(size_t bytes, uint64_t users, const struct vault_key *key)
{
	static const struct vault_about about = {"test/1", "primary", "vault_policy_test"};
	struct vault_writer *w;
	int rc = VAULT_OK;

	must(vault_writer_new(&w, vault, "b", &about, &err));
	must(vault_writer_encrypt(w, key, &err));
	must(vault_writer_file(w, "data", &err));
	for (size_t i = 0; rc == VAULT_OK && i < bytes; i++)
		rc = vault_writer_write(w, &(char){(char)(i * 7)}, 1, &err);
	must(rc); /* once: Check writes down each assertion */
	must(vault_writer_measure(w, "users", users, &err));
	must(vault_writer_count(w, "malformed", users ? 0 : 100, &err));
	return w;
}

static void
write_set(char set[VAULT_SET_NAME_LEN + 1], size_t bytes, uint64_t users,
	  const struct vault_key *key)
{
	struct vault_writer *w = begin_set(bytes, users, key);

	must(vault_writer_commit(w, &err));
	strcpy(set, vault_writer_set(w));
	vault_writer_free(w);
}

static struct vault_set *
open_set(const char *set)
{
	struct vault_set *s;

	must(vault_open(&s, vault, "b", set, 0, NULL, NULL, &err));
	return s;
}

static void
flip_byte(const char *set, const char *file, long at)
{
	char path[256];
	FILE *f;
	int c;

	snprintf(path, sizeof path, "%s/b/%s/%s", vault, set, file);
	f = fopen(path, "r+");
	ck_assert_ptr_nonnull(f);
	fseek(f, at, at < 0 ? SEEK_END : SEEK_SET);
	c = fgetc(f);
	fseek(f, -1, SEEK_CUR);
	fputc(c ^ 1, f);
	fclose(f);
}

/* --- age ---------------------------------------------------------------------------------- */

static const struct {
	int64_t age_ms, max_ms;
	const char *reason;
	int rc;
	const char *says; /* in the failure, or the note; NULL: no note */
} ages[] = {
	{HOUR_MS, 0, NULL, VAULT_OK, NULL},
	{HOUR_MS, 2 * HOUR_MS, NULL, VAULT_OK, NULL},
	{3 * DAY_MS, 26 * HOUR_MS, NULL, VAULT_ERR_OLD,
	 "is 3 d 0 h old; max_age allows at most 26 h 0 min: make a newer set, or give max_age_reason"},
	{3 * DAY_MS, 26 * HOUR_MS, "", VAULT_ERR_OLD, "max_age"},
	{3 * DAY_MS, 26 * HOUR_MS, "INC-7: nothing newer survives", VAULT_OK,
	 "is 3 d 0 h old, max_age is 26 h 0 min; used because: INC-7: nothing newer survives"},
	{-60000, HOUR_MS, NULL, VAULT_OK, NULL}, /* the clocks of two machines */
	{-HOUR_MS, DAY_MS, NULL, VAULT_ERR_OLD, "dated in the future"},
};

START_TEST(a_set_that_is_too_old_needs_a_reason_and_the_reason_is_told)
{
	char set[VAULT_SET_NAME_LEN + 1];
	struct vault_set *s;
	int rc;

	write_set(set, 10, 1, NULL);
	s = open_set(NULL);
	s->started_ms = vault__now_ms() - ages[_i].age_ms;
	rc = vault_check_age(s, ages[_i].max_ms, ages[_i].reason, note, &err);
	ck_assert_int_eq(rc, ages[_i].rc);
	if (ages[_i].says)
		ck_assert_msg(strstr(rc ? err.text : note, ages[_i].says), "%s",
			      rc ? err.text : note);
	else
		ck_assert_str_eq(note, "");
	vault_close(s);
}
END_TEST

/* --- growth --------------------------------------------------------------------------------- */

static const struct {
	size_t was_bytes, bytes;
	uint64_t was_users, users;
	struct vault_shrink rule;
	int rc;
	const char *says;
} growths[] = {
	{1000, 1000, 50, 50, {10, 50, NULL}, VAULT_OK, NULL},
	{1000, 4000, 50, 90, {10, 50, NULL}, VAULT_OK, NULL},
	{1000, 900, 50, 50, {10, 50, NULL}, VAULT_OK, NULL},
	{1000, 1000, 50, 40, {10, 50, NULL}, VAULT_OK, "users fell by 20 %: 40, set "},
	{1000, 300, 50, 40, {10, 50, NULL}, VAULT_ERR_SHRUNK, "bytes fell by 70 %: 300, set "},
	{1000, 1000, 50, 0, {10, 50, NULL}, VAULT_ERR_SHRUNK, "shrink_refuse allows 50 %"},
	{1000, 0, 50, 0, {10, 50, "site was split"}, VAULT_OK, "accepted because: site was split"},
	{1000, 0, 50, 0, {0, 0, NULL}, VAULT_OK, NULL},
	{0, 0, 0, 0, {10, 50, NULL}, VAULT_OK, NULL},
	{0, 10, 0, 5, {10, 50, NULL}, VAULT_OK, NULL},
};

START_TEST(a_set_that_shrank_is_never_seen_unless_somebody_says_why)
{
	char a[VAULT_SET_NAME_LEN + 1];
	struct vault_writer *w;
	int rc;

	write_set(a, growths[_i].was_bytes, growths[_i].was_users, NULL);
	w = begin_set(growths[_i].bytes, growths[_i].users, NULL);
	rc = vault_writer_check_growth(w, &growths[_i].rule, note, &err);
	ck_assert_msg(rc == growths[_i].rc, "%s %s", note, rc ? err.text : "");
	if (growths[_i].says)
		ck_assert_msg(strstr(rc ? err.text : note, growths[_i].says), "%s",
			      rc ? err.text : note);
	else
		ck_assert_str_eq(note, "");
	if (growths[_i].says)
		ck_assert_ptr_nonnull(strstr(note, a));
	vault_writer_free(w);
	vault_close(open_set(a));
}
END_TEST

START_TEST(the_set_before_is_the_newest_whole_one_of_the_same_site_and_kind)
{
	static const struct vault_about elsewhere = {"test/1", "dr", "t"};
	char a[VAULT_SET_NAME_LEN + 1], b[VAULT_SET_NAME_LEN + 1], c[VAULT_SET_NAME_LEN + 1];
	struct vault_set *s, *before;
	struct vault_writer *w;

	write_set(a, 100, 10, NULL);
	write_set(b, 100, 10, NULL);
	flip_byte(b, "manifest.json", 20);
	must(vault_writer_new(&w, vault, "b", &elsewhere, &err));
	must(vault_writer_commit(w, &err));
	vault_writer_free(w);
	write_set(c, 100, 4, NULL);
	s = open_set(NULL);
	must(vault_open_before(&before, s, &err));
	ck_assert_str_eq(vault_set_name(before), a);
	must(vault_check_growth(s, before, &(struct vault_shrink){10, 80, NULL}, note, &err));
	ck_assert_ptr_nonnull(strstr(note, "users fell by 60 %"));
	vault_close(s);
	s = before;
	ck_assert_int_eq(vault_open_before(&before, s, &err), VAULT_ERR_NONE);
	vault_close(s);
}
END_TEST

/* --- retention ------------------------------------------------------------------------------ */

/* A letter for each set, oldest first: its day, and upper case when it is damaged.  '*' after a
 * letter: it is proven. */
static const struct {
	const char *sets;
	uint32_t last, days;
	const char *kept; /* k or r for each */
} rules[] = {
	{"abcdef*", 2, 0, "rrrrkk"},
	{"abcdef*", 0, 0, "rrrrrk"},
	{"aabbccdd*", 1, 3, "rrrkrkrk"},
	{"aabbccdd*", 3, 30, "rkrkrkkk"},
	{"abcD", 1, 0, "rrkk"},
	{"a*bcd", 1, 0, "krrk"},  /* the others' bytes are wrong: only a can be restored */
	{"ABC", 1, 0, "kkk"},
	{"", 3, 3, ""},
	{"a*", 3, 3, "k"},
	{"dcba*", 1, 2, "rrkk"}, /* a clock that ran backwards */
};

START_TEST(retention_keeps_the_newest_one_a_day_the_proven_and_the_damaged)
{
	struct vault_kept sets[16] = {0};
	size_t n = 0;

	for (const char *p = rules[_i].sets; *p; p++) {
		if (*p == '*') {
			sets[n - 1].proven = true;
			continue;
		}
		sets[n].whole = *p >= 'a';
		sets[n].started_ms = (*p - 'a' + 20000) * DAY_MS + (int64_t)n * HOUR_MS;
		n++;
	}
	vault__decide(sets, n, &(struct vault_keep){rules[_i].last, rules[_i].days});
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(sets[i].remove == (rules[_i].kept[i] == 'r'), "%s: set %zu: %s",
			      rules[_i].sets, i, sets[i].why);
}
END_TEST

static size_t
count_entries(void)
{
	char path[128];
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof path, "%s/b", vault);
	d = opendir(path);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

START_TEST(a_damaged_newest_set_does_not_cost_the_last_good_one)
{
	char a[VAULT_SET_NAME_LEN + 1], b[VAULT_SET_NAME_LEN + 1], c[VAULT_SET_NAME_LEN + 1];
	struct vault_kept *sets;
	size_t n;

	write_set(a, 100, 10, NULL);
	write_set(b, 100, 10, NULL);
	write_set(c, 100, 10, NULL);
	flip_byte(c, "data", 50);
	must(vault_retention(&sets, &n, vault, "b", &(struct vault_keep){1, 0}, NULL, NULL, &err));
	ck_assert_uint_eq(n, 3);
	ck_assert(sets[0].remove && !sets[1].remove && sets[1].proven && !sets[2].remove);
	ck_assert_ptr_nonnull(strstr(sets[2].why, "data: its SHA-256 is"));
	free(sets);
	must(vault_remove(vault, "b", a, &err));
	ck_assert_uint_eq(count_entries(), 2);
	/* What is damaged is not shown to be ours. */
	flip_byte(c, "manifest.json", 20);
	ck_assert_int_eq(vault_remove(vault, "b", c, &err), VAULT_ERR_DAMAGED);
	ck_assert_int_eq(vault_remove(vault, "b", "../../etc", &err), VAULT_ERR_INVALID);
	ck_assert_int_eq(vault_remove(vault, "b", NULL, &err), VAULT_ERR_INVALID);
	ck_assert_int_eq(vault_remove(vault, "b", a, &err), VAULT_ERR_NONE);
	ck_assert_uint_eq(count_entries(), 2);
}
END_TEST

START_TEST(nothing_is_removed_while_it_is_read_or_while_a_set_is_written)
{
	char a[VAULT_SET_NAME_LEN + 1];
	struct vault_writer *w;
	struct vault_set *s;

	write_set(a, 100, 10, NULL);
	s = open_set(a);
	ck_assert_int_eq(vault_remove(vault, "b", a, &err), VAULT_ERR_BUSY);
	ck_assert_ptr_nonnull(strstr(err.text, "somebody is reading it"));
	vault_close(s);
	w = begin_set(10, 1, NULL);
	ck_assert_int_eq(vault_remove(vault, "b", a, &err), VAULT_ERR_BUSY);
	vault_writer_free(w);
	must(vault_remove(vault, "b", a, &err));
}
END_TEST

START_TEST(a_removal_that_was_killed_is_finished_by_the_next_writer)
{
	char a[VAULT_SET_NAME_LEN + 1], b[VAULT_SET_NAME_LEN + 1], from[300], to[300];

	write_set(a, 100, 10, NULL);
	snprintf(from, sizeof from, "%s/b/%s", vault, a);
	snprintf(to, sizeof to, "%s/b/.removing-%s", vault, a);
	ck_assert_int_eq(rename(from, to), 0);
	write_set(b, 100, 10, NULL);
	ck_assert_uint_eq(count_entries(), 1);
}
END_TEST

/* --- encryption ------------------------------------------------------------------------------ */

/* Reads all of the file; the number of bytes, or < 0; checks the content. */
static int
read_all(struct vault_set *s, const char *file)
{
	struct vault_stream *st;
	unsigned char buf[5000];
	size_t n = 1, total = 0;
	int rc = vault_stream_open(&st, s, file, &err);

	if (rc < 0)
		return rc;
	while (rc == VAULT_OK && n > 0) {
		rc = vault_stream_read(st, buf, sizeof buf, &n, &err);
		for (size_t i = 0; rc == VAULT_OK && i < n; i++)
			ck_assert_uint_eq(buf[i], (unsigned char)((total + i) * 7));
		total += n;
	}
	vault_stream_close(st);
	return rc < 0 ? rc : (int)total;
}

static const struct {
	const char *secret;
	size_t bytes;
} encrypted[] = {
	{HEX_KEY, 0},         {HEX_KEY, 1},
	{HEX_KEY, 65535},     {HEX_KEY, 65536},
	{HEX_KEY, 65537},     {HEX_KEY "\n", 200000},
	{"correct horse battery staple", 1000},
};

START_TEST(an_encrypted_set_is_verified_without_and_read_with_its_key)
{
	struct vault_key *key = key_of(encrypted[_i].secret);
	char set[VAULT_SET_NAME_LEN + 1];
	struct vault_set *s;

	write_set(set, encrypted[_i].bytes, 3, key);
	s = open_set(NULL);
	ck_assert(vault_set_encrypted(s));
	ck_assert_uint_eq(vault_set_bytes(s), encrypted[_i].bytes);
	ck_assert_uint_eq(vault_set_count(s, "users"), 3);
	ck_assert_int_eq(read_all(s, "data"), VAULT_ERR_KEY);
	ck_assert_int_eq(vault_unlock(s, NULL, &err), VAULT_ERR_KEY);
	ck_assert_ptr_nonnull(strstr(err.text, "it is encrypted, and no key is given"));
	must(vault_unlock(s, key, &err));
	ck_assert_int_eq(read_all(s, "data"), (int)encrypted[_i].bytes);
	vault_close(s);
	vault_key_free(key);
}
END_TEST

static const struct {
	const char *with, *asked;
	const char *says;
} wrong_keys[] = {
	{HEX_KEY, OTHER_KEY, "wrong key"},
	{HEX_KEY, "a long passphrase", "encrypted with a key of 64 hexadecimal digits, the key given is a passphrase"},
	{"a long passphrase", HEX_KEY, "encrypted with a passphrase"},
	{"a long passphrase", "a long passphrasE", "wrong key"},
};

START_TEST(a_wrong_key_says_so)
{
	struct vault_key *with = key_of(wrong_keys[_i].with), *asked = key_of(wrong_keys[_i].asked);
	char set[VAULT_SET_NAME_LEN + 1];
	struct vault_set *s;

	write_set(set, 100, 3, with);
	s = open_set(NULL);
	ck_assert_int_eq(vault_unlock(s, asked, &err), VAULT_ERR_KEY);
	ck_assert_msg(strstr(err.text, wrong_keys[_i].says), "%s", err.text);
	ck_assert_ptr_null(strstr(err.text, "passphrasE"));
	vault_close(s);
	vault_key_free(with);
	vault_key_free(asked);
}
END_TEST

START_TEST(a_weak_or_empty_key_is_refused)
{
	static const char *const weak[] = {"", "\n", "short", "0123456789\n\n\n"};
	struct vault_key *key;

	for (size_t i = 0; i < sizeof weak / sizeof *weak; i++) {
		ck_assert_int_eq(vault_key_new(&key, weak[i], strlen(weak[i]), &err),
				 VAULT_ERR_KEY);
		ck_assert_ptr_nonnull(strstr(err.text, "too short"));
	}
}
END_TEST

START_TEST(plain_text_is_not_on_the_disk)
{
	struct vault_key *key = key_of(HEX_KEY);
	struct vault_writer *w = begin_set(100, 1, key);
	char cmd[256];

	must(vault_writer_write(w, "top secret words", 16, &err));
	must(vault_writer_commit(w, &err));
	vault_writer_free(w);
	snprintf(cmd, sizeof cmd, "! grep -rq 'top secret' '%s'", vault);
	ck_assert_int_eq(system(cmd), 0);
	vault_key_free(key);
}
END_TEST

/* Puts the right digests for altered payload and manifest, as an enemy without the key can. */
static void
forge_digests(const char *set)
{
	char cmd[1500];

	snprintf(cmd, sizeof cmd,
		 "cd '%s/b/%s' && python3 -c '\n"
		 "import json, hashlib, os\n"
		 "m = json.load(open(\"manifest.json\"))\n"
		 "for f in m[\"files\"]:\n"
		 "    d = open(f[\"name\"], \"rb\").read()\n"
		 "    f[\"sha256\"] = hashlib.sha256(d).hexdigest(); f[\"bytes\"] = len(d)\n"
		 "m.update(json.loads(os.environ.get(\"MORE\", \"{}\"))); m.pop(\"digest\")\n"
		 "t = json.dumps(m, sort_keys=True, separators=(\",\", \":\"))\n"
		 "m[\"digest\"] = hashlib.sha256(t.encode()).hexdigest()\n"
		 "json.dump(m, open(\"manifest.json\", \"w\"))'",
		 vault, set);
	ck_assert_int_eq(system(cmd), 0);
}

START_TEST(an_enemy_who_can_write_to_the_vault_is_found_out)
{
	struct vault_key *key = key_of(HEX_KEY);
	char set[VAULT_SET_NAME_LEN + 1];
	struct vault_set *s;

	write_set(set, 70000, 3, key);
	flip_byte(set, "data", _i ? -5 : 100);
	forge_digests(set);
	s = open_set(NULL); /* without the key nothing can be seen */
	ck_assert_int_eq(vault_unlock(s, key, &err), VAULT_ERR_DAMAGED);
	ck_assert_ptr_nonnull(strstr(err.text, "altered by somebody without the key"));
	/* Even if the seal were right: */
	must(vault__crypt_open(&s->crypt, json_object_get(s->manifest, "encryption"), s->path, key,
			       &err));
	ck_assert_int_eq(read_all(s, "data"), VAULT_ERR_DAMAGED);
	ck_assert_msg(strstr(err.text, "a chunk is false"), "%s", err.text);
	vault_close(s);
	vault_key_free(key);
}
END_TEST

START_TEST(a_manifest_cannot_ask_for_all_memory)
{
	static const char *const more[] = {
		"{\"encryption\": {\"mem\": 1099511627776}}",
		"{\"encryption\": []}",
		"{\"encryption\": {}, \"seal\": 7}",
	};
	struct vault_key *key = key_of("a long passphrase");
	char set[VAULT_SET_NAME_LEN + 1];
	struct vault_set *s;

	write_set(set, 10, 1, key);
	ck_assert_int_eq(setenv("MORE", more[_i], 1), 0);
	forge_digests(set);
	unsetenv("MORE");
	s = open_set(NULL);
	ck_assert_int_eq(vault_unlock(s, key, &err), VAULT_ERR_DAMAGED);
	vault_close(s);
	vault_key_free(key);
}
END_TEST

START_TEST(the_format_page_is_right_python_reads_a_set)
{
	static const char *const secrets[] = {HEX_KEY, "correct horse battery staple"};
	struct vault_key *key = key_of(secrets[_i]);
	char set[VAULT_SET_NAME_LEN + 1], cmd[700];

	write_set(set, 70000, 3, key);
	vault_key_free(key);
	/* The system's own: another python3 in PATH has not its modules. */
	if (system("/usr/bin/python3 -c 'import nacl.pwhash' 2>/dev/null") != 0) {
		puts("SKIP the format page read by Python: apt-get install python3-nacl");
		return;
	}
	snprintf(cmd, sizeof cmd,
		 "sed -n '/^```python/,/^```/p' '%s/sdk/vault/README.md' | grep -v '^```' >%s/r.py "
		 "&& /usr/bin/python3 %s/r.py '%s/b/%s' '%s' data | /usr/bin/python3 -c 'import sys; "
		 "sys.exit(sys.stdin.buffer.read() != bytes(i * 7 %% 256 for i in range(70000)))'",
		 SRCDIR, dir, dir, vault, set, secrets[_i]);
	ck_assert_int_eq(system(cmd), 0);
}
END_TEST

/* --- for steps -------------------------------------------------------------------------------- */

static const struct resite_param params[] = {
	VAULT_PLACE_PARAMS("b", RESITE_PARAM_REQUIRED), VAULT_READ_PARAMS, VAULT_WRITE_PARAMS, {0},
};

static int
step_apply(struct resite_op *op, const struct resite_host *host)
{
	struct vault_writer *w;

	if (vault_step_write(op, host, "test/1", "t", &w, &err) < 0)
		return vault_step_fail(op, host, &err);
	must(vault_writer_file(w, "data", &err));
	must(vault_writer_measure(w, "users", host->mode(op) == RESITE_DISASTER ? 1 : 100, &err));
	if (vault_step_commit(op, host, w, note, &err) < 0) {
		vault_writer_free(w);
		return vault_step_fail(op, host, &err);
	}
	vault_writer_free(w);
	return RESITE_OK;
}

static int
step_verify(struct resite_op *op, const struct resite_host *host)
{
	struct vault_set *s;
	int n;

	if (vault_step_open(op, host, "test/1", 0, &s, note, &err) < 0)
		return vault_step_fail(op, host, &err);
	n = read_all(s, "data");
	vault_close(s);
	return n < 0 ? vault_step_fail(op, host, &err) : RESITE_OK;
}

static const struct resite_action action = {
	.name = "step", .summary = "writes and reads a set", .flags = RESITE_ACT_CARRIES,
	.params = params, .apply = step_apply, .verify = step_verify,
};

START_TEST(a_step_keeps_and_reads_sets_by_the_shared_parameters)
{
	struct fakehost *fh = fakehost_new(&action);

	fakehost_param(fh, "vault", vault);
	fakehost_param(fh, "site", "primary");
	fakehost_param(fh, "key", "ref");
	fakehost_secret(fh, "ref", HEX_KEY);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_OK);
	fakehost_secret(fh, "ref", OTHER_KEY);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_ERR_REFUSED);
	ck_assert_str_eq(fakehost_failure_param(fh), "key");
	fakehost_param_clear(fh, "key");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_ERR_REFUSED);
	fakehost_param(fh, "key", "ref");
	fakehost_secret(fh, "ref", HEX_KEY);
	fakehost_param(fh, "from_site", "dr");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_ERR_REFUSED);
	ck_assert_ptr_nonnull(strstr(fakehost_failure(fh), "was made at site 'primary', not at 'dr'"));
	/* 1 user after 100: */
	fakehost_mode(fh, RESITE_DISASTER);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_REFUSED);
	ck_assert_str_eq(fakehost_failure_param(fh), "shrink_refuse");
	fakehost_param(fh, "shrink_reason", "it is right");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_OK);
	ck_assert_ptr_nonnull(strstr(fakehost_logs(fh), "accepted because: it is right"));
	fakehost_free(fh);
}
END_TEST

#define add_table(tc, test, table) \
	tcase_add_loop_test(tc, test, 0, (int)(sizeof(table) / sizeof *(table)))

int
main(void)
{
	TCase *tc = tcase_create("vault policy");
	Suite *suite = suite_create("vault policy");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	add_table(tc, a_set_that_is_too_old_needs_a_reason_and_the_reason_is_told, ages);
	add_table(tc, a_set_that_shrank_is_never_seen_unless_somebody_says_why, growths);
	tcase_add_test(tc, the_set_before_is_the_newest_whole_one_of_the_same_site_and_kind);
	add_table(tc, retention_keeps_the_newest_one_a_day_the_proven_and_the_damaged, rules);
	tcase_add_test(tc, a_damaged_newest_set_does_not_cost_the_last_good_one);
	tcase_add_test(tc, nothing_is_removed_while_it_is_read_or_while_a_set_is_written);
	tcase_add_test(tc, a_removal_that_was_killed_is_finished_by_the_next_writer);
	add_table(tc, an_encrypted_set_is_verified_without_and_read_with_its_key, encrypted);
	add_table(tc, a_wrong_key_says_so, wrong_keys);
	tcase_add_test(tc, a_weak_or_empty_key_is_refused);
	tcase_add_test(tc, plain_text_is_not_on_the_disk);
	tcase_add_loop_test(tc, an_enemy_who_can_write_to_the_vault_is_found_out, 0, 2);
	tcase_add_loop_test(tc, a_manifest_cannot_ask_for_all_memory, 0, 3);
	tcase_add_loop_test(tc, the_format_page_is_right_python_reads_a_set, 0, 2);
	tcase_add_test(tc, a_step_keeps_and_reads_sets_by_the_shared_parameters);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
