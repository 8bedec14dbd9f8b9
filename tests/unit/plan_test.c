/* Plans: golden cases (tests/golden/plan), values, order, secrets, size, and
 * mutated texts that must be refused and never crash.
 *
 * PLAN_TEST_UPDATE=1 writes what is said now into the *.expect files;
 * PLAN_TEST_BIG=1 measures a plan of 100,000 steps. */
#include "core/base/base.h"
#include "core/base/json.h"
#include "core/plan/arena.h"
#include "core/plan/graph.h"
#include "core/plan/lost.h"
#include "core/plan/order.h"
#include "core/plan/plan.h"
#include "core/plan/schema.h"
#include "core/plan/secret.h"
#include "core/plan/strmap.h"
#include "core/plan/value.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PLUGINS_MAX 8

struct plugins {
	struct schema_plugin *item[PLUGINS_MAX];
	size_t len;
};

static struct plugins plugins;
static char source_dir[4096]; /* absolute */

static int
find_plugin(void *ctx, const char *name, const struct schema_plugin **ret, struct error *err)
{
	const struct plugins *p = ctx;

	for (size_t i = 0; i < p->len; i++)
		if (!strcmp(p->item[i]->name, name)) {
			*ret = p->item[i];
			return 0;
		}
	if (!strcmp(name, "broken"))
		return error_set(err, E_IO, "broken.so: undefined symbol: foo");
	return error_set(err, E_NOTFOUND, "no such plugin");
}

static void
list_plugins(void *ctx, void (*each)(void *arg, const char *name), void *arg)
{
	const struct plugins *p = ctx;

	for (size_t i = 0; i < p->len; i++)
		each(arg, p->item[i]->name);
}

static const struct schema_source source = {&plugins, find_plugin, list_plugins};

static void
golden_dir(void)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/tests/golden/plan", source_dir);
	ck_assert_int_eq(chdir(path), 0);
}

static void
load_plugins(void)
{
	struct strbuf text = STRBUF_INIT;
	struct error err = {0};
	json_t *list, *one;
	size_t i;

	golden_dir();
	ck_assert_int_eq(strbuf_read_file(&text, "plugins.json", 1 << 20, &err), 0);
	list = json_parse(text.buf, text.len, &err);
	ck_assert_msg(list != NULL, "%s", err.text);
	plugins.len = 0;
	json_array_foreach(list, i, one) {
		ck_assert_msg(schema_from_json(one, &plugins.item[i], &err) == 0, "%s", err.text);
		plugins.len++;
	}
	json_decref(list);
	strbuf_release(&text);
	setenv("RESITE_TEST_SECRET", "correct horse", 1);
	setenv("RESITE_TEST_SHORT", "abc", 1);
	setenv("RESITE_TEST_EMPTY", "", 1);
	unsetenv("RESITE_TEST_NONE");
}

static void
free_plugins(void)
{
	while (plugins.len)
		schema_free(plugins.item[--plugins.len]);
}

/* --- golden cases --- */

static void
print_step(const struct graph *g, uint32_t i, struct strbuf *out)
{
	const struct step *s = &g->steps[i];

	strbuf_addf(out, "%s = %s.%s at %s:%u\n", s->name, s->plugin, s->action->name, s->at.file,
		    s->at.line);
	for (uint32_t k = 0; k < s->n_after; k++)
		strbuf_addf(out, "\tafter %s\n", g->steps[s->after[k]].name);
	for (uint32_t k = g->dep_first[i]; k < g->dep_first[i + 1]; k++)
		strbuf_addf(out, "\tbefore %s\n", g->steps[g->dependents[k]].name);
	for (uint32_t k = 0; k < s->n_limits; k++)
		strbuf_addf(out, "\tlimit %s %u\n", g->limits[s->limits[k]].name,
			    g->limits[s->limits[k]].max);
	strbuf_addf(out, "\ttimeout %" PRId64 " retry %d %" PRId64 " %" PRId64
		    " on_failure %s rehearse %s%s%s%s%s%s", s->timeout_ms, s->retry.attempts,
		    s->retry.backoff_ms, s->retry.max_backoff_ms, on_failure_name(s->on_failure),
		    rehearse_name(s->rehearse), s->builtin ? " builtin" : "",
		    s->readonly ? " readonly" : "", s->deferred ? " deferred" : "",
		    s->tolerates_loss ? " tolerates_loss" : "",
		    s->point_of_no_return ? " point_of_no_return" : "");
	if (s->expect_max >= 0 || s->expect_percent >= 0)
		strbuf_addf(out, " expect %" PRId64 " %d%%", s->expect_max, s->expect_percent);
	if (s->pass_why)
		strbuf_addf(out, " passed, %s", s->pass_why);
	for (uint32_t k = 0; k < s->n_ifs; k++)
		strbuf_addf(out, " (%s)", s->ifs[k].why);
	if (s->join)
		strbuf_addf(out, " join of %" PRIu32, s->members);
	if (s->item)
		strbuf_addf(out, " item '%s'", s->item);
	strbuf_addf(out, "%s%s\n\t%s\n", s->workload ? " workload " : "",
		    s->workload ? s->workload : "", s->params);
}

static void
print_graph(const struct graph *g, struct strbuf *out)
{
	strbuf_addf(out, "%s %s: %s -> %s %s rto %" PRId64 "\norder", g->plan, g->runbook, g->from,
		    g->to, mode_name(g->mode), g->rto_ms);
	for (uint32_t i = 0; i < g->n_steps; i++)
		strbuf_addf(out, " %s", g->steps[g->topo[i]].name);
	strbuf_addch(out, '\n');
	for (uint32_t i = 0; i < g->n_secrets; i++)
		strbuf_addf(out, "secret %s\n", g->secrets[i].name);
	for (uint32_t i = 0; i < g->n_steps; i++)
		print_step(g, i, out);
}

/* "# bind: RUNBOOK FROM TO MODE [only=WORKLOAD]" on the first line; a FROM of -: none. */
static bool
read_bind(const char *text, struct bind_request *req, char words[5][64], const char *only[1])
{
	int n = sscanf(text, "# bind: %63s %63s %63s %63s only=%63s", words[0], words[1], words[2],
		       words[3], words[4]);

	if (n < 4)
		return false;
	*req = (struct bind_request){.runbook = words[0], .from = words[1], .to = words[2],
				     .mode = mode_parse(words[3]), .run_id = "r-1"};
	if (!strcmp(words[1], "-"))
		req->from = req->to = NULL;
	if (n == 5) {
		only[0] = words[4];
		req->only = only;
		req->n_only = 1;
	}
	return true;
}

/* The folder of this machine has no place in a golden text. */
static void
hide_folder(struct strbuf *sb)
{
	char dir[4096], *at;

	if (!getcwd(dir, sizeof(dir)))
		return;
	while ((at = strstr(sb->buf, dir))) {
		size_t len = strlen(dir), tail = strlen(at + len);

		memcpy(at, "DIR", 3);
		memmove(at + 3, at + len, tail + 1);
		sb->len -= len - 3;
	}
}

/* Reads, loads and binds; out gets the problems and the graph. */
static int
run_text(const struct plan_text *text, struct diags *d, struct strbuf *out)
{
	struct bind_request req;
	struct plan *plan = NULL;
	struct graph *g = NULL;
	char words[5][64];
	const char *only[1];
	int rc = plan_load(text, d, &plan);

	if (rc == 0 && read_bind(text->flat.buf, &req, words, only))
		rc = graph_bind(plan, &req, &source, d, &g);
	plan_free(plan);
	diags_sort(d);
	diags_print(d, out);
	if (g)
		print_graph(g, out);
	ck_assert(rc == 0 || d->errors > 0);
	graph_free(g);
	return rc;
}

static void
run_file(const char *path, struct strbuf *out)
{
	struct plan_text text;
	struct diags d = DIAGS_INIT;

	plan_text_init(&text);
	if (plan_read(path, &text, &d) == 0) {
		run_text(&text, &d, out);
	} else {
		diags_sort(&d);
		diags_print(&d, out);
	}
	plan_text_release(&text);
	diags_release(&d);
	hide_folder(out);
}

static void
check_case(const char *conf)
{
	struct strbuf said = STRBUF_INIT, expect = STRBUF_INIT;
	struct error err = {0};
	char path[300];

	run_file(conf, &said);
	snprintf(path, sizeof(path), "%.*s.expect", (int)(strlen(conf) - 5), conf);
	if (getenv("PLAN_TEST_UPDATE")) {
		FILE *f = fopen(path, "w");

		ck_assert(f != NULL);
		fwrite(said.buf, 1, said.len, f);
		fclose(f);
	}
	ck_assert_msg(strbuf_read_file(&expect, path, 1 << 20, &err) == 0, "%s", err.text);
	ck_assert_msg(!strcmp(said.buf, expect.buf), "%s said:\n%s\nexpected:\n%s", conf, said.buf,
		      expect.buf);
	strbuf_release(&said);
	strbuf_release(&expect);
}

static int
is_conf(const struct dirent *e)
{
	size_t len = strlen(e->d_name);

	return len > 5 && !strcmp(e->d_name + len - 5, ".conf");
}

START_TEST(every_golden_plan_is_told_exactly_what_is_wrong_with_it)
{
	struct dirent **list;
	int n = scandir(".", &list, is_conf, alphasort);

	ck_assert_int_ge(n, 40);
	for (int i = 0; i < n; i++) {
		check_case(list[i]->d_name);
		free(list[i]);
	}
	free(list);
}
END_TEST

/* --- text --- */

START_TEST(a_plan_comes_back_from_the_journal_with_its_lines)
{
	struct plan_text text, again;
	struct diags d = DIAGS_INIT;
	struct error err = {0};
	json_t *obj;

	plan_text_init(&text);
	plan_text_init(&again);
	ck_assert_int_eq(plan_read("good-includes.conf", &text, &d), 0);
	obj = plan_text_to_json(&text);
	ck_assert_msg(plan_text_from_json(obj, &again, &err) == 0, "%s", err.text);
	ck_assert_str_eq(text.flat.buf, again.flat.buf);
	ck_assert_str_eq(text.dir, again.dir);
	for (unsigned line = 1; line < 20; line++) {
		struct place a = plan_text_place(&text, line), b = plan_text_place(&again, line);

		ck_assert_str_eq(a.file, b.file);
		ck_assert_uint_eq(a.line, b.line);
	}
	json_array_set_new(json_object_get(obj, "map"), 1, json_integer(99));
	plan_text_release(&again);
	ck_assert_int_eq(plan_text_from_json(obj, &again, &err), E_CORRUPT);
	json_decref(obj);
	plan_text_release(&text);
	plan_text_release(&again);
	diags_release(&d);
}
END_TEST

START_TEST(bytes_that_are_no_text_are_refused_at_their_line)
{
	char dir[] = "/tmp/resite-plan-XXXXXX", path[64];
	struct strbuf said = STRBUF_INIT;
	FILE *f;

	ck_assert(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/p.conf", dir);
	f = fopen(path, "w");
	fputs("format = 1;\nname = \"\xff\";\n", f);
	fclose(f);
	run_file(path, &said);
	ck_assert(strstr(said.buf, "p.conf:2: not text") != NULL);
	unlink(path);
	rmdir(dir);
	strbuf_release(&said);
}
END_TEST

/* --- deferred parameters --- */

static const char *
give_output(void *ctx, uint32_t step, const char *output)
{
	ck_assert_uint_eq(step, 0);
	return !strcmp(output, "moved") ? ctx : "10.1.9.9";
}

static struct graph *
bind_file(const char *path, int mode)
{
	struct bind_request req = {.runbook = "move", .from = "primary", .to = "dr", .mode = mode};
	struct plan_text text;
	struct diags d = DIAGS_INIT;
	struct plan *plan = NULL;
	struct graph *g = NULL;

	plan_text_init(&text);
	ck_assert_int_eq(plan_read(path, &text, &d), 0);
	ck_assert_int_eq(plan_load(&text, &d, &plan), 0);
	ck_assert_int_eq(graph_bind(plan, &req, &source, &d, &g), 0);
	plan_free(plan);
	plan_text_release(&text);
	diags_release(&d);
	return g;
}

START_TEST(outputs_are_filled_in_and_checked_like_any_other_value)
{
	struct graph *g = bind_file("outputs-deferred.conf", RESITE_PLANNED);
	struct strbuf out = STRBUF_INIT;
	struct error err = {0};
	char three[] = "3", many[] = "many";

	ck_assert_int_eq(graph_step_params(g, 1, give_output, three, &out, &err), 0);
	ck_assert_str_eq(out.buf, "{\"server\":\"ldaps://dc1.dr.example\",\"from\":\"$ 10.1.9.9 of $7\","
			 "\"to\":\"x\",\"page\":3,\"starttls\":false,\"scope\":\"sub\"}");
	strbuf_reset(&out);
	ck_assert_int_eq(graph_step_params(g, 2, give_output, three, &out, &err), 0);
	ck_assert_str_eq(out.buf, "{\"server\":\"10.1.9.9:53\",\"zone\":\"x.\","
			 "\"values\":[\"a\",\"3\"],\"ttl\":300000}");
	strbuf_reset(&out);
	ck_assert_int_eq(graph_step_params(g, 1, give_output, many, &out, &err), E_INVALID);
	ck_assert_str_eq(err.text, "parameter 'page', filled with an output: \"many\" is no "
			 "whole number");
	ck_assert_int_eq(graph_step_params(g, 1, give_output, NULL, &out, &err), E_INVALID);
	ck_assert_str_eq(err.text, "parameter 'page' needs the output 'moved' of step 'users', "
			 "which has not given it");
	ck_assert_str_eq(out.buf, "");
	graph_free(g);
	g = bind_file("outputs-deferred.conf", RESITE_DISASTER);
	ck_assert_int_eq(graph_step_params(g, 2, give_output, three, &out, &err), E_INVALID);
	ck_assert(strstr(err.text, "must not depend on the site assumed lost") != NULL);
	strbuf_release(&out);
	graph_free(g);
}
END_TEST

/* --- secrets --- */

START_TEST(a_secret_file_is_read_without_its_last_newline_and_warned_of_when_open_to_all)
{
	char dir[] = "/tmp/resite-plan-XXXXXX", key[64], plan[64];
	struct strbuf value = STRBUF_INIT, said = STRBUF_INIT;
	struct error err = {0};
	FILE *f;

	ck_assert(mkdtemp(dir) != NULL);
	snprintf(key, sizeof(key), "%s/key", dir);
	snprintf(plan, sizeof(plan), "%s/p.conf", dir);
	f = fopen(key, "w");
	fputs("swordfish\r\n", f);
	fclose(f);
	ck_assert_int_eq(secret_read(key, NULL, &value, &err), 0);
	ck_assert_str_eq(value.buf, "swordfish");
	secret_wipe(&value);
	f = fopen(plan, "w");
	fputs("# bind: move a b planned\nformat = 1; name = \"x\"; sites: { a: { }; b: { }; };\n"
	      "secrets: { k = { file = \"key\"; }; };\n"
	      "runbooks: { move: { steps = ( { name = \"u\"; does = \"ldap-homing.move\"; with = {\n"
	      "server = \"ldap://h\"; from = \"a\"; to = \"b\"; password = \"${secret.k}\"; }; } ); }; };\n",
	      f);
	fclose(f);
	chmod(key, 0600);
	run_file(plan, &said);
	ck_assert_msg(strstr(said.buf, "warning") == NULL, "%s", said.buf);
	ck_assert(strstr(said.buf, "\"password\":\"k\"") != NULL);
	ck_assert(strstr(said.buf, "swordfish") == NULL);
	strbuf_reset(&said);
	chmod(key, 0644);
	run_file(plan, &said);
	ck_assert_msg(strstr(said.buf, "p.conf:3: warning: runbook move, step u: secret k:") != NULL,
		      "%s", said.buf);
	ck_assert_int_eq(secret_read("/nonexistent", NULL, &value, &err), E_NOTFOUND);
	ck_assert_int_eq(secret_read(NULL, "RESITE_TEST_NONE", &value, &err), E_NOTFOUND);
	ck_assert_int_eq(secret_read(NULL, "RESITE_TEST_EMPTY", &value, &err), E_INVALID);
	unlink(key);
	unlink(plan);
	rmdir(dir);
	strbuf_release(&said);
}
END_TEST

/* --- schemas --- */

static void
refuse_schema(const char *action, const char *why)
{
	struct strbuf text = STRBUF_INIT;
	struct schema_plugin *p = NULL;
	struct error err = {0};
	json_t *hello;

	strbuf_addf(&text, "{\"kind\":\"hello\",\"plugin\":{\"name\":\"p\",\"actions\":[%s]}}", action);
	hello = json_parse(text.buf, text.len, &err);
	ck_assert_msg(hello != NULL, "%s: %s", text.buf, err.text);
	ck_assert_int_eq(schema_from_json(hello, &p, &err), E_INVALID);
	ck_assert_msg(strstr(err.text, why) != NULL, "%s", err.text);
	json_decref(hello);
	strbuf_release(&text);
}

START_TEST(a_plugin_that_describes_itself_wrongly_is_refused)
{
#define ACTION(params) "{\"name\":\"a\",\"has\":[\"apply\"],\"params\":[" params "]}"
	refuse_schema("", "no actions");
	refuse_schema("{\"name\":\"A\"}", "bad action name");
	refuse_schema("{\"name\":\"a\",\"has\":[\"probe\"]}", "neither apply nor verify");
	refuse_schema("{\"name\":\"a\",\"has\":[\"jump\"]}", "unknown word \"jump\"");
	refuse_schema("{\"name\":\"a\",\"has\":[7]}", "unknown word");
	refuse_schema("{\"name\":\"a\",\"has\":[\"apply\"],\"outputs\":[1]}", "'outputs'");
	refuse_schema("7", "bad action name");
	refuse_schema(ACTION("{\"name\":\"x\",\"type\":\"color\"}"), "unknown type \"color\"");
	refuse_schema(ACTION("{\"name\":\"x-y\",\"type\":\"int\"}"), "bad parameter name");
	refuse_schema(ACTION("{\"name\":\"x\",\"type\":\"enum\"}"), "enum without choices");
	refuse_schema(ACTION("{\"name\":\"x\",\"type\":\"duration\",\"default\":\"5\"}"),
		      "parameter 1 (x): its default: \"5\" has no unit");
	refuse_schema(ACTION("{\"name\":\"x\",\"type\":\"int\",\"min\":5,\"max\":1}"), "min is larger");
	refuse_schema(ACTION("{\"name\":\"x\",\"type\":\"secret\",\"default\":\"1\"}"), "no default");
	refuse_schema(ACTION("{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"x\",\"type\":\"int\"}"),
		      "there twice");
}
END_TEST

/* --- small parts --- */

START_TEST(a_suggestion_is_a_typing_error_away_and_nothing_farther)
{
	char text[SUGGEST_TEXT_MAX];
	struct suggest s;

	suggest_init(&s, "dose");
	suggest_offer(&s, "name");
	suggest_offer(&s, "does");
	ck_assert_str_eq(suggest_text(&s, text), " (did you mean 'does'?)");
	suggest_init(&s, "completely");
	suggest_offer(&s, "different");
	ck_assert_str_eq(suggest_text(&s, text), "");
}
END_TEST

START_TEST(problems_are_sorted_said_once_and_counted_past_the_cap)
{
	struct diags d = DIAGS_INIT;
	struct strbuf out = STRBUF_INIT;

	diags_add(&d, "b", 1, "x");
	diags_warn(&d, "a", 9, "y");
	diags_add(&d, "a", 2, "z");
	diags_add(&d, "a", 2, "z");
	diags_sort(&d);
	diags_print(&d, &out);
	ck_assert_str_eq(out.buf, "a:2: z\na:9: warning: y\nb:1: x\n");
	ck_assert_uint_eq(d.errors, 2);
	for (unsigned i = 0; i < DIAGS_MAX; i++)
		diags_add(&d, "c", i, "x");
	strbuf_reset(&out);
	diags_print(&d, &out);
	ck_assert(strstr(out.buf, "and 3 more\n") != NULL);
	diags_release(&d);
	strbuf_release(&out);
}
END_TEST

START_TEST(a_string_map_finds_all_and_nothing_else)
{
	struct strmap map = {0};
	static char keys[5000][8];

	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%u", i);
		ck_assert_int_eq(strmap_put(&map, keys[i], i), 1);
	}
	ck_assert_int_eq(strmap_put(&map, "k7", 1), 0);
	for (uint32_t i = 0; i < 5000; i++)
		ck_assert_uint_eq(strmap_get(&map, keys[i]), i);
	ck_assert_uint_eq(strmap_get(&map, "k"), STRMAP_NONE);
	ck_assert_uint_eq(strmap_getn(&map, "k12345", 3), 12);
	strmap_release(&map);
}
END_TEST

START_TEST(networks_hold_their_own_addresses_alone)
{
	struct cidr net[3];
	struct lost_site lost = {.name = "a", .networks = net, .n_networks = 3};
	char why[200];

	ck_assert(cidr_parse("10.1.128.0/17", &net[0]) && cidr_parse("2001:db8::/33", &net[1]) &&
		  cidr_parse("192.0.2.1", &net[2]));
	ck_assert(lost_site_has(&lost, "10.1.200.1", why, sizeof(why)));
	ck_assert(!lost_site_has(&lost, "10.1.127.255", why, sizeof(why)));
	ck_assert(lost_site_has(&lost, "::ffff:10.1.200.1", why, sizeof(why)));
	ck_assert(lost_site_has(&lost, "2001:db8:7fff::1", why, sizeof(why)));
	ck_assert(!lost_site_has(&lost, "2001:db8:8000::1", why, sizeof(why)));
	ck_assert(lost_site_has(&lost, "192.0.2.1", why, sizeof(why)));
	ck_assert(!lost_site_has(&lost, "192.0.2.2", why, sizeof(why)));
	ck_assert(!cidr_parse("10.1.0.0/", &net[0]) && !cidr_parse("10.1.0.0/-1", &net[0]) &&
		  !cidr_parse("10.1.0.0/33", &net[0]) && !cidr_parse("", &net[0]));
}
END_TEST

static uint32_t
next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void
no_cycle(void *ctx, const uint32_t *node, uint32_t n)
{
	(void)ctx, (void)node, (void)n;
	ck_abort_msg("a cycle where there is none");
}

#define RANDOM_STEPS 40u

/* reach[i][j]: i waits for j, directly or through others. */
static void
reach_all(const struct edges *e, bool reach[RANDOM_STEPS][RANDOM_STEPS])
{
	for (uint32_t i = 0; i < e->n; i++) /* edges go to lower numbers here */
		for (uint32_t k = e->first[i]; k < e->first[i + 1]; k++) {
			reach[i][e->to[k]] = true;
			for (uint32_t j = 0; j < e->n; j++)
				reach[i][j] |= reach[e->to[k]][j];
		}
}

START_TEST(leaving_steps_out_keeps_the_order_of_all_others)
{
	uint32_t seed = 7;

	for (int round = 0; round < 200; round++) {
		static bool whole[RANDOM_STEPS][RANDOM_STEPS], left[RANDOM_STEPS][RANDOM_STEPS];
		struct edges after, reduced, back;
		uint32_t topo[RANDOM_STEPS], number[RANDOM_STEPS], kept = 0;
		bool keep[RANDOM_STEPS];

		memset(whole, 0, sizeof(whole));
		memset(left, 0, sizeof(left));
		ck_assert_int_eq(edges_init(&after, RANDOM_STEPS), 0);
		for (uint32_t i = 0; i < RANDOM_STEPS; i++) {
			for (uint32_t to = 0; to < i; to++)
				if (next_random(&seed) % 10 == 0)
					ck_assert_int_eq(edges_add(&after, i, to), 0);
			edges_end(&after, i);
			keep[i] = next_random(&seed) % 2;
			number[i] = kept;
			kept += keep[i];
		}
		ck_assert_int_eq(order_topo(&after, topo, no_cycle, NULL), 0);
		for (uint32_t i = 0; i < RANDOM_STEPS; i++)
			ck_assert_uint_eq(topo[i], i); /* already in order: stays so */
		ck_assert_int_eq(order_reduce(&after, topo, keep, 100000, &reduced), 0);
		ck_assert_int_eq(order_reverse(&reduced, &back), 0);
		ck_assert_uint_eq(reduced.first[kept], back.first[kept]);
		reach_all(&after, whole);
		reach_all(&reduced, left);
		for (uint32_t i = 0; i < RANDOM_STEPS; i++)
			for (uint32_t j = 0; j < RANDOM_STEPS; j++)
				if (keep[i] && keep[j])
					ck_assert(whole[i][j] == left[number[i]][number[j]]);
		edges_release(&after);
		edges_release(&reduced);
		edges_release(&back);
	}
}
END_TEST

START_TEST(leaving_out_a_join_of_too_many_is_refused)
{
	struct edges after, reduced;
	uint32_t topo[41];
	bool keep[41];

	ck_assert_int_eq(edges_init(&after, 41), 0);
	for (uint32_t i = 0; i < 41; i++) {
		for (uint32_t to = 0; i == 20 && to < 20; to++)
			ck_assert_int_eq(edges_add(&after, i, to), 0);
		if (i > 20)
			ck_assert_int_eq(edges_add(&after, i, 20), 0);
		edges_end(&after, i);
		keep[i] = i != 20;
	}
	ck_assert_int_eq(order_topo(&after, topo, no_cycle, NULL), 0);
	ck_assert_int_eq(order_reduce(&after, topo, keep, 100, &reduced), E_REFUSED);
	edges_release(&after);
}
END_TEST

START_TEST(every_step_key_is_in_the_reference)
{
	struct strbuf doc = STRBUF_INIT;
	struct error err = {0};
	char path[4200], word[80];
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/docs/plan.md", source_dir);
	ck_assert_msg(strbuf_read_file(&doc, path, 1 << 20, &err) == 0, "%s", err.text);
	for (; plan_step_key(n); n++) {
		snprintf(word, sizeof(word), "`%s`", plan_step_key(n));
		ck_assert_msg(strstr(doc.buf, word) != NULL, "docs/plan.md does not have %s", word);
	}
	ck_assert_uint_ge(n, 16);
	strbuf_release(&doc);
}
END_TEST

/* --- mutated texts --- */

static const char *const scraps[] = {
	"{", "}", "(", ")", "\"", ";", "=", "${", "}", "$$", "/*", "*/", "#", "\n", "@include \"x\"\n",
	"after = [\"users\"];", "${step.users.moved}", "${from.pool}", "${var.domain}", "0", "-1",
	"\\x00", "\\", "[", "]", ",", "1L", "true", "name = \"dns\";", "modes = [\"planned\"];",
};

static void
mutate(struct strbuf *sb, uint32_t *seed)
{
	for (uint32_t n = 1 + next_random(seed) % 4; n; n--) {
		size_t at = next_random(seed) % (sb->len + 1), len = next_random(seed) % 20;
		const char *scrap = scraps[next_random(seed) % COUNT_OF(scraps)];
		struct strbuf changed = STRBUF_INIT;

		if (len > sb->len - at || next_random(seed) % 2)
			len = 0;
		strbuf_add(&changed, sb->buf, at);
		if (next_random(seed) % 4)
			strbuf_addstr(&changed, scrap);
		strbuf_addstr(&changed, sb->buf + at + len);
		strbuf_release(sb);
		*sb = changed;
	}
}

/* The same by way of a file: the scanner of includes reads it too. */
static void
run_mutated_file(const struct strbuf *flat, struct strbuf *out)
{
	char path[] = "/tmp/resite-plan-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");

	fwrite(flat->buf, 1, flat->len, f);
	fclose(f);
	run_file(path, out);
	unlink(path);
}

START_TEST(mutated_plans_are_refused_or_bound_and_never_crash)
{
	static const char *const seeds[] = {"good-whole-plan.conf", "outputs.conf",
					    "refs-to-themselves.conf", "lost-site-in-a-disaster.conf"};
	const char *rounds = getenv("PLAN_TEST_MUTATIONS");
	uint32_t seed = 20261122, n = rounds ? (uint32_t)atoi(rounds) : 1500;

	for (uint32_t i = 0; i < n; i++) {
		struct plan_text text;
		struct diags d = DIAGS_INIT;
		struct strbuf out = STRBUF_INIT;

		plan_text_init(&text);
		ck_assert_int_eq(plan_read(seeds[i % COUNT_OF(seeds)], &text, &d), 0);
		mutate(&text.flat, &seed);
		if (i % 4)
			run_text(&text, &d, &out);
		else
			run_mutated_file(&text.flat, &out);
		plan_text_release(&text);
		diags_release(&d);
		strbuf_release(&out);
	}
}
END_TEST

/* --- size --- */

/* Steps that do nothing, as in the benchmark of the scheduler. */
static void
write_small_steps(FILE *f, unsigned n)
{
	fputs("format = 1;\nname = \"big\";\nsites: { primary: { }; dr: { }; };\n"
	      "runbooks: { move: { steps = (\n", f);
	for (unsigned i = 0; i < n; i++) {
		fprintf(f, "{ name = \"s%u\"; does = \"core.none\";", i);
		if (i >= 110)
			fprintf(f, " after = [\"s%u\", \"s%u\"];", i - 100, i - 101 - i % 7);
		fprintf(f, " }%s\n", i + 1 < n ? "," : "");
	}
	fputs("); }; };\n", f);
}

static void
write_large_steps(FILE *f, unsigned n)
{
	fputs("format = 1;\nname = \"big\";\nsites: { primary: { networks = [\"10.1.0.0/16\"]; "
	      "pool = \"CN=1:1\"; }; dr: { pool = \"CN=2:1\"; }; };\nlimits: { directory = 2; };\n"
	      "runbooks: { move: { steps = (\n", f);
	for (unsigned i = 0; i < n; i++) {
		fprintf(f, "  { name = \"step-%u\"; does = \"ldap-homing.move\"; workload = \"im\";\n"
			"    with = { server = \"ldaps://dc%u.dr.example\"; from = \"${from.pool}\"; "
			"to = \"${to.pool}\"; };\n    limits = [\"directory\"]; timeout = \"10m\";",
			i, i % 100);
		if (i >= 110)
			fprintf(f, " after = [\"step-%u\", \"step-%u\"];", i - 100, i - 101 - i % 7);
		fprintf(f, " }%s\n", i + 1 < n ? "," : "");
	}
	fputs("); }; };\n", f);
}

static long
cpu_ms(clock_t from, clock_t to)
{
	return (long)(to - from) * 1000 / CLOCKS_PER_SEC;
}

static void
measure(void (*write_plan)(FILE *f, unsigned n), int mode)
{
	unsigned n = getenv("PLAN_TEST_BIG") ? 100000 : 5000;
	struct bind_request req = {.runbook = "move", .from = "primary", .to = "dr",
				   .mode = mode};
	char path[] = "/tmp/resite-plan-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");
	struct plan_text text;
	struct diags d = DIAGS_INIT;
	struct plan *plan = NULL;
	struct graph *g = NULL;
	clock_t start, read, loaded, bound, freed;

	write_plan(f, n);
	fclose(f);
	plan_text_init(&text);
	start = clock();
	ck_assert_int_eq(plan_read(path, &text, &d), 0);
	read = clock();
	ck_assert_int_eq(plan_load(&text, &d, &plan), 0);
	loaded = clock();
	ck_assert_int_eq(graph_bind(plan, &req, &source, &d, &g), 0);
	bound = clock();
	plan_free(plan);
	freed = clock();
	ck_assert_uint_eq(g->n_steps, n);
	printf("%u steps, %zu bytes of text: CPU of read %ld ms, load %ld ms, bind %ld ms, free %ld ms; "
	       "graph %zu bytes a step\n", n, text.flat.len, cpu_ms(start, read), cpu_ms(read, loaded),
	       cpu_ms(loaded, bound), cpu_ms(bound, freed), g->own->bytes / n);
	ck_assert_uint_le(g->own->bytes / n, 1024);
	graph_free(g);
	plan_text_release(&text);
	diags_release(&d);
	unlink(path);
}

/* 10,000 items, each waited for by each of 10,000 others: that is no 100 million edges. */
START_TEST(ten_thousand_items_are_written_out_fast)
{
	enum { ITEMS = 10000 };
	struct bind_request req = {.runbook = "move", .from = "a", .to = "b",
				   .mode = RESITE_PLANNED};
	char path[] = "/tmp/resite-plan-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");
	struct plan_text text;
	struct diags d = DIAGS_INIT;
	struct plan *plan = NULL;
	struct graph *g = NULL;
	clock_t start;

	fputs("format = 1; name = \"many\"; sites: { a: { }; b: { }; };\n"
		      "vars: { items = [", f);
	for (unsigned i = 0; i < ITEMS; i++)
		fprintf(f, "%s\"user-%u@contoso.example\"", i ? ", " : "", i);
	fputs("]; };\nrunbooks: { move: { steps = (\n"
		      "{ name = \"one\"; does = \"ldap-homing.move\"; for_each = \"${var.items}\"; with = "
		      "{ server = \"ldaps://h\"; from = \"x\"; to = \"${item}\"; }; },\n"
		      "{ name = \"two\"; does = \"dns-nsupdate.set\"; after = \"one\"; for_each = "
		      "\"${var.items}\"; with = { server = \"h:53\"; zone = \"z\"; values = [\"${item}\", "
		      "\"${step.one[user-7@contoso.example].moved}\"]; }; } ); }; };\n", f);
	fclose(f);
	plan_text_init(&text);
	ck_assert_int_eq(plan_read(path, &text, &d), 0);
	start = clock();
	ck_assert_int_eq(plan_load(&text, &d, &plan), 0);
	ck_assert_int_eq(graph_bind(plan, &req, &source, &d, &g), 0);
	printf("2 times %d items: CPU of load and bind %ld ms\n", ITEMS, cpu_ms(start, clock()));
	ck_assert_int_lt(cpu_ms(start, clock()), 5000);
	ck_assert_uint_eq(g->n_steps, 2 * ITEMS + 2);
	ck_assert_uint_eq(g->steps[0].members, ITEMS);
	ck_assert_uint_eq(g->steps[0].n_after, ITEMS);
	ck_assert_uint_eq(g->steps[ITEMS + 2].n_after, 1);
	graph_free(g);
	plan_free(plan);
	plan_text_release(&text);
	diags_release(&d);
	unlink(path);
}
END_TEST

START_TEST(a_large_plan_is_checked_fast_and_its_graph_is_small)
{
	measure(write_small_steps, RESITE_PLANNED);
	measure(write_large_steps, RESITE_DISASTER);
}
END_TEST

int
main(void)
{
	const char *srcdir = getenv("srcdir");
	Suite *suite = suite_create("plan");
	TCase *tc = tcase_create("plan");

	if (!realpath(srcdir ? srcdir : ".", source_dir))
		return 99;
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, load_plugins, free_plugins);
	suite_add_tcase(suite, tc);
	tcase_add_test(tc, every_golden_plan_is_told_exactly_what_is_wrong_with_it);
	tcase_add_test(tc, a_plan_comes_back_from_the_journal_with_its_lines);
	tcase_add_test(tc, bytes_that_are_no_text_are_refused_at_their_line);
	tcase_add_test(tc, outputs_are_filled_in_and_checked_like_any_other_value);
	tcase_add_test(tc, a_secret_file_is_read_without_its_last_newline_and_warned_of_when_open_to_all);
	tcase_add_test(tc, a_plugin_that_describes_itself_wrongly_is_refused);
	tcase_add_test(tc, a_suggestion_is_a_typing_error_away_and_nothing_farther);
	tcase_add_test(tc, problems_are_sorted_said_once_and_counted_past_the_cap);
	tcase_add_test(tc, a_string_map_finds_all_and_nothing_else);
	tcase_add_test(tc, networks_hold_their_own_addresses_alone);
	tcase_add_test(tc, leaving_steps_out_keeps_the_order_of_all_others);
	tcase_add_test(tc, leaving_out_a_join_of_too_many_is_refused);
	tcase_add_test(tc, every_step_key_is_in_the_reference);
	tcase_add_test(tc, mutated_plans_are_refused_or_bound_and_never_crash);
	tcase_add_test(tc, ten_thousand_items_are_written_out_fast);
	tcase_add_test(tc, a_large_plan_is_checked_fast_and_its_graph_is_small);
	return run_suite(suite);
}
