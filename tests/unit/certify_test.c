/* The parts of the crash certificate that decide: which cases, what a power cut leaves, and
 * which rules the world has broken. */
#include "core/base/base.h"
#include "core/certify/cases.h"
#include "core/certify/cut.h"
#include "core/certify/files.h"
#include "core/certify/world.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- cases --------------------------------------------------------------- */

START_TEST(a_case_is_written_as_it_is_read)
{
	static const char *const texts[] = {"1.write.17.kill-torn", "1.sync.3.eio+2.write.9.power",
					    "2.effect.1.eio-after", "1.tell.4.power-some"};
	char text[CASE_TEXT_MAX];
	struct fault_case c;

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		ck_assert_int_eq(case_parse(texts[i], &c, NULL), 0);
		case_format(&c, text);
		ck_assert_str_eq(text, texts[i]);
	}
}
END_TEST

START_TEST(what_is_no_case_is_refused)
{
	static const char *const texts[] = {"", "1", "1.write", "0.write.1.power", "1.write.0.power",
					    "1.write.1.melt", "1.moon.1.power", "1.sync.1.short",
					    "1.write.1.power+", "1.write.1.powerx",
					    "1.tell.1.power+2.tell.1.power+3.tell.1.power"};
	struct fault_case c;

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		ck_assert_msg(case_parse(texts[i], &c, NULL) == E_INVALID, "%s", texts[i]);
}
END_TEST

START_TEST(cases_follow_from_the_seed_and_each_kind_has_its_share)
{
	struct case_counts counts = {.at = {{9, 8, 7, 6, 5}, {5, 4, 3, 2, 1}}};
	struct case_list all = {0}, some = {0}, again = {0};
	bool seen[N_FAULT_PLACES][N_FAULT_ACTS] = {{false}};

	ck_assert_int_eq(cases_make(&counts, 0, 1, &all, NULL), 0);
	ck_assert_int_eq(cases_make(&counts, 100, 1, &some, NULL), 0);
	ck_assert_int_eq(cases_make(&counts, 100, 1, &again, NULL), 0);
	ck_assert_uint_gt(all.len, 100);
	ck_assert_uint_eq(some.len, 100);
	ck_assert_int_eq(memcmp(some.item, again.item, 100 * sizeof(*some.item)), 0);
	for (size_t i = 0; i < some.len; i++) {
		const struct point *p = &some.item[i].point[0];

		ck_assert(fault_fits(p->place, p->act));
		ck_assert_uint_le(p->at, counts.at[p->launch - 1][p->place]);
		seen[p->place][p->act] = true;
	}
	for (int p = 0; p < N_FAULT_PLACES; p++)
		for (int a = 1; a < N_FAULT_ACTS; a++)
			ck_assert(seen[p][a] == fault_fits((enum fault_place)p, (enum fault_act)a));
	free(all.item);
	free(some.item);
	free(again.item);
}
END_TEST

/* --- power cuts ---------------------------------------------------------- */

struct disk {
	char dir[64], file[128];
	struct fault_page *page;
};

static void
disk_make(struct disk *d)
{
	snprintf(d->dir, sizeof(d->dir), "/tmp/resite-cut-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(d->dir));
	snprintf(d->file, sizeof(d->file), "%s/log", d->dir);
	d->page = calloc(1, sizeof(*d->page));
	ck_assert_ptr_nonnull(d->page);
	snprintf(d->page->root, sizeof(d->page->root), "%s", d->dir);
}

static void
disk_free(struct disk *d)
{
	ck_assert_int_eq(files_remove(d->dir, NULL), 0);
	free(d->page);
}

/* What the shim writes down; old: the bytes there, before the file had old_size bytes. */
static struct fault_record *
add(struct disk *d, enum fault_record_kind kind, uint64_t offset, uint64_t len, const char *old,
    uint64_t old_size)
{
	struct fault_record *r = (struct fault_record *)(void *)(d->page->arena + d->page->used);
	size_t path_len = strlen(d->file) + 1, old_len = strlen(old);

	*r = (struct fault_record){.kind = kind, .path_len = (uint32_t)path_len, .offset = offset,
				   .len = len, .old_len = old_len, .old_size = old_size};
	r->size = (uint32_t)((sizeof(*r) + path_len + old_len + 7) & ~(size_t)7);
	memcpy(r + 1, d->file, path_len);
	memcpy((char *)(r + 1) + path_len, old, old_len);
	d->page->used += r->size;
	return r;
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
}

/* The file after a cut of all that was not synced. */
static const char *
left(struct disk *d, char text[64])
{
	FILE *f;
	size_t n;

	ck_assert_int_eq(cut_apply(d->page, false, 1, NULL), 0);
	ck_assert_uint_eq(d->page->used, 0);
	f = fopen(d->file, "r");
	if (!f)
		return NULL;
	n = fread(text, 1, 63, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

START_TEST(a_cut_takes_back_what_was_not_synced_and_no_more)
{
	struct disk d;
	char text[64];

	disk_make(&d);
	/* "aa" is durable; then "bb" over it, synced; "cc" over it; "dd" behind it. */
	write_file(d.file, "ccdd");
	add(&d, FAULT_RECORD_BYTES, 0, 2, "aa", 2)->state = FAULT_SYNCED;
	add(&d, FAULT_RECORD_BYTES, 0, 2, "bb", 2);
	add(&d, FAULT_RECORD_BYTES, 2, 2, "", 2);
	ck_assert_str_eq(left(&d, text), "bb");
	disk_free(&d);
}
END_TEST

START_TEST(what_a_failed_sync_has_lost_stays_lost_until_it_is_written_again)
{
	struct disk d;
	char text[64];

	disk_make(&d);
	write_file(d.file, "lost");
	add(&d, FAULT_RECORD_BYTES, 0, 4, "gone", 4)->state = FAULT_LOST;
	ck_assert_str_eq(left(&d, text), "gone");
	write_file(d.file, "anew");
	add(&d, FAULT_RECORD_BYTES, 0, 4, "gone", 4)->state = FAULT_LOST;
	add(&d, FAULT_RECORD_BYTES, 0, 4, "lost", 4)->state = FAULT_SYNCED;
	ck_assert_str_eq(left(&d, text), "anew");
	disk_free(&d);
}
END_TEST

START_TEST(names_that_were_not_synced_are_taken_back)
{
	char text[64], kept[PATH_MAX + 32];
	struct disk d;

	disk_make(&d);
	write_file(d.file, "new");
	add(&d, FAULT_RECORD_CREATE, 0, 0, "", 0);
	ck_assert_ptr_null(left(&d, text));
	/* An old file was removed, and a new one made in its place. */
	write_file(d.file, "new");
	fault_gone_name(d.page, 1, kept);
	write_file(kept, "old");
	add(&d, FAULT_RECORD_GONE, 1, 0, "", 0);
	add(&d, FAULT_RECORD_CREATE, 0, 0, "", 0);
	ck_assert_str_eq(left(&d, text), "old");
	/* The same, but its folder was synced then. */
	write_file(d.file, "new");
	add(&d, FAULT_RECORD_GONE, 2, 0, "", 0)->state = FAULT_SYNCED;
	add(&d, FAULT_RECORD_CREATE, 0, 0, "", 0)->state = FAULT_SYNCED;
	ck_assert_str_eq(left(&d, text), "new");
	disk_free(&d);
}
END_TEST

START_TEST(some_sectors_are_left_by_the_seed)
{
	bool old_seen = false, new_seen = false;
	char text[64];

	for (uint64_t seed = 1; seed < 20; seed++) {
		struct disk d;

		disk_make(&d);
		write_file(d.file, "new");
		add(&d, FAULT_RECORD_BYTES, 0, 3, "old", 3);
		ck_assert_int_eq(cut_apply(d.page, true, seed, NULL), 0);
		left(&d, text);
		old_seen |= !strcmp(text, "old");
		new_seen |= !strcmp(text, "new");
		disk_free(&d);
	}
	ck_assert(old_seen && new_seen);
}
END_TEST

/* --- rules --------------------------------------------------------------- */

/* An undisturbed run; each line is one of the log. */
static const char *const good[] = {
	"probe 1 10 put - -", "given 1 10 put 0 -",
	"undo 1 10 put 1 -", "effect 1 10 put 1 new", "undo 1 10 put 2 -", "effect 1 10 put 2 new",
	"point 1 10 put 2 -", "undo 1 10 put 3 -", "effect 1 10 put 3 new",
	"undo 1 10 put 4 -", "effect 1 10 put 4 new", "undo 1 10 put 5 -", "effect 1 10 put 5 new",
	"undo 1 10 put 6 -", "effect 1 10 put 6 new", "probe 1 11 carry - -",
	"effect 1 11 carry 1 old", "effect 1 11 carry 2 old", "effect 1 11 carry 3 old",
	"effect 1 11 carry 4 old", "effect 1 12 mark 1 done", "probe 2 13 use - -",
	"undo 2 13 use 1 -", "effect 2 13 use 1 4-old", "undo 2 13 use 2 -", "effect 2 13 use 2 4-old",
};

/* The good world with one line in place of another (NULL: without it). */
static void
make_world(struct world *w, int at, const char *line)
{
	char path[] = "/tmp/resite-world-XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < (int)COUNT_OF(good); i++)
		if (i != at || line)
			fprintf(f, "%s\n", i == at ? line : good[i]);
	fclose(f);
	*w = (struct world){0};
	ck_assert_int_eq(world_read(w, path, NULL), 0);
	unlink(path);
}

static struct findings
judge(int at, const char *line)
{
	struct findings f = {0};
	struct world wanted, w;

	make_world(&wanted, -1, NULL);
	make_world(&w, at, line);
	world_check_end(&w, &wanted, &f);
	world_release(&wanted);
	world_release(&w);
	return f;
}

START_TEST(each_broken_rule_is_found)
{
	static const struct {
		int at;
		const char *line, *found;
	} broken[] = {
		{3, NULL, "put/1 is '' in the end"},
		{3, "effect 1 10 put 1 else", "put/1 is 'else' in the end"},
		{4, "effect 1 10 put 1 new", "put/1 was changed twice"},
		{0, "undo 1 10 put 6 -", "had not looked"},
		{5, "effect 1 99 put 2 new", "had not looked"},
		{20, "effect 0 12 mark 1 done", "acted after one of launch 1"},
		{7, "given 1 14 put 1 -", "was given checkpoint 1, and 2 had been"},
	};

	ck_assert_uint_eq(judge(-1, NULL).n, 0);
	for (size_t i = 0; i < COUNT_OF(broken); i++) {
		struct findings f = judge(broken[i].at, broken[i].line);

		ck_assert_msg(f.n > 0 && strstr(f.text[0], broken[i].found), "%s: %s", broken[i].found,
			      f.n ? f.text[0] : "nothing found");
	}
}
END_TEST

START_TEST(a_change_without_intent_or_record_is_found)
{
	struct witness v = {.generation = 1, .any = true, .intents = json_pack("{s:b}", "put", 1),
			    .undo = json_pack("{s:b}", "put/1", 1), .points = json_object(),
			    .events = json_object(), .hashes = json_array()};
	struct findings f = {0};
	struct world w;

	make_world(&w, -1, NULL);
	world_check_witness(&w, &v, &f);
	/* put: 5 without a record, 5 acknowledged, 1 checkpoint; carry 4 and mark 1 without
	 * intent; use is of a later launch. */
	ck_assert_uint_eq(f.n, 16);
	ck_assert_ptr_nonnull(strstr(f.text[0], "the undo record of put/2 was acknowledged"));
	world_release(&w);
	json_decref(v.intents);
	json_decref(v.undo);
	json_decref(v.points);
	json_decref(v.events);
	json_decref(v.hashes);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("certify");
	Suite *suite = suite_create("certify");

	tcase_add_test(tcase, a_case_is_written_as_it_is_read);
	tcase_add_test(tcase, what_is_no_case_is_refused);
	tcase_add_test(tcase, cases_follow_from_the_seed_and_each_kind_has_its_share);
	tcase_add_test(tcase, a_cut_takes_back_what_was_not_synced_and_no_more);
	tcase_add_test(tcase, what_a_failed_sync_has_lost_stays_lost_until_it_is_written_again);
	tcase_add_test(tcase, names_that_were_not_synced_are_taken_back);
	tcase_add_test(tcase, some_sectors_are_left_by_the_seed);
	tcase_add_test(tcase, each_broken_rule_is_found);
	tcase_add_test(tcase, a_change_without_intent_or_record_is_found);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
