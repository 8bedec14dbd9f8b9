/* graphgen: one graph, written for each of the programs that are to run it.
 *
 *	graphgen SHAPE N SEED plan PARAMS...   a plan; PARAMS: "does = …; with = {…};"
 *	graphgen SHAPE N SEED naps MIN MAX     a plan of sleeps of MIN to MAX ms
 *	graphgen SHAPE N SEED ninja|make       a file in which each step is /bin/true
 *	graphgen SHAPE N SEED bound MIN MAX LIMIT
 *	                                       the lower bound of the time of naps, in ms
 *	graphgen SHAPE N SEED edges            "step dependency" on each line
 *
 * SHAPE: wide (no edges), chain, lanes (16 chains side by side), layered (20 layers, each
 * step after 3 random ones of the layer before, or fewer when a draw comes twice).
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYERS 20
#define DRAWS 3
#define LANES 16

struct graph {
	const char *shape;
	uint32_t n;
	uint64_t random;              /* state of splitmix64 */
	uint32_t (*after)[DRAWS];     /* of each step */
	uint8_t *n_after;
};

static uint64_t
draw(struct graph *g)
{
	uint64_t z = g->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void
depend(struct graph *g, uint32_t step, uint32_t on)
{
	for (uint8_t i = 0; i < g->n_after[step]; i++)
		if (g->after[step][i] == on)
			return;
	g->after[step][g->n_after[step]++] = on;
}

static void
draw_layered(struct graph *g)
{
	uint32_t width = g->n / LAYERS ? g->n / LAYERS : 1;

	for (uint32_t s = width; s < g->n; s++)
		for (int i = 0; i < DRAWS; i++)
			depend(g, s, (s / width - 1) * width + (uint32_t)(draw(g) % width));
}

/* Each step after the one `apart` before it. */
static void
draw_chains(struct graph *g, uint32_t apart)
{
	for (uint32_t s = apart; s < g->n; s++)
		depend(g, s, s - apart);
}

static int
draw_graph(struct graph *g)
{
	g->after = calloc(g->n, sizeof(*g->after));
	g->n_after = calloc(g->n, sizeof(*g->n_after));
	if (!g->after || !g->n_after)
		return -1;
	if (!strcmp(g->shape, "layered"))
		draw_layered(g);
	else if (!strcmp(g->shape, "chain"))
		draw_chains(g, 1);
	else if (!strcmp(g->shape, "lanes"))
		draw_chains(g, LANES);
	else if (strcmp(g->shape, "wide"))
		return -1;
	return 0;
}

static uint32_t *
draw_naps(struct graph *g, uint32_t min, uint32_t max)
{
	uint32_t *ms = calloc(g->n, sizeof(*ms));

	for (uint32_t s = 0; ms && s < g->n; s++)
		ms[s] = min + (uint32_t)(draw(g) % (max - min + 1));
	return ms;
}

/* naps NULL: every step is `what`. */
static void
write_plan(const struct graph *g, const char *what, const uint32_t *naps)
{
	printf("format = 1;\nname = \"bench\";\nsites: { a: {}; b: {}; };\n"
	       "runbooks: { g: { steps = (\n");
	for (uint32_t s = 0; s < g->n; s++) {
		printf("%s{ name = \"s%" PRIu32 "\"; ", s ? ",\n" : "", s);
		if (naps)
			printf("does = \"noop.nap\"; with = { time = \"%" PRIu32 "ms\"; };", naps[s]);
		else
			fputs(what, stdout);
		for (uint8_t i = 0; i < g->n_after[s]; i++)
			printf("%s\"s%" PRIu32 "\"", i ? ", " : " after = [", g->after[s][i]);
		printf("%s }", g->n_after[s] ? "];" : "");
	}
	printf(" ); }; };\n");
}

/* part: the head of the file, and what is before and after a name, and after its list. */
static void
write_peer(const struct graph *g, const char *const part[4])
{
	fputs(part[0], stdout);
	for (uint32_t s = 0; s < g->n; s++) {
		printf("%ss%" PRIu32 "%s", part[1], s, part[2]);
		for (uint8_t i = 0; i < g->n_after[s]; i++)
			printf(" s%" PRIu32, g->after[s][i]);
		fputs(part[3], stdout);
	}
}

static void
write_make(const struct graph *g)
{
	printf("all:");
	for (uint32_t s = 0; s < g->n; s++)
		printf(" s%" PRIu32, s);
	write_peer(g, (const char *const[]){"\n", "", ":", "\n\t/bin/true\n"});
}

static void
write_edges(const struct graph *g)
{
	for (uint32_t s = 0; s < g->n; s++)
		for (uint8_t i = 0; i < g->n_after[s]; i++)
			printf("s%" PRIu32 " s%" PRIu32 "\n", s, g->after[s][i]);
}

/* Neither the longest path nor the work shared by `limit` can be beaten. */
static void
write_bound(const struct graph *g, const uint32_t *naps, uint32_t limit)
{
	uint64_t *end = calloc(g->n, sizeof(*end)), path = 0, work = 0;

	for (uint32_t s = 0; end && s < g->n; s++) {
		for (uint8_t i = 0; i < g->n_after[s]; i++)
			if (end[g->after[s][i]] > end[s])
				end[s] = end[g->after[s][i]];
		end[s] += naps[s];
		path = end[s] > path ? end[s] : path;
		work += naps[s];
	}
	free(end);
	work = (work + limit - 1) / limit;
	printf("%" PRIu64 "\n", path > work ? path : work);
}

static uint32_t
number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || end == text || n > 100000000) {
		fprintf(stderr, "graphgen: %s is no number\n", text);
		exit(2);
	}
	return (uint32_t)n;
}

static const char *const ninja_parts[4] = {"rule t\n  command = /bin/true\n", "build ", ": t", "\n"};

static int
write_form(struct graph *g, const char *form, int n_args, char **arg)
{
	uint32_t *naps = NULL;

	if (!strcmp(form, "plan") && n_args == 1)
		write_plan(g, arg[0], NULL);
	else if (!strcmp(form, "ninja") && n_args == 0)
		write_peer(g, ninja_parts);
	else if (!strcmp(form, "make") && n_args == 0)
		write_make(g);
	else if (!strcmp(form, "edges") && n_args == 0)
		write_edges(g);
	else if (!strcmp(form, "naps") || !strcmp(form, "bound")) {
		if (n_args < 2 || number(arg[1]) < number(arg[0]) ||
		    !(naps = draw_naps(g, number(arg[0]), number(arg[1]))))
			return -1;
		if (*form == 'n')
			write_plan(g, NULL, naps);
		else if (n_args == 3 && number(arg[2]) > 0)
			write_bound(g, naps, number(arg[2]));
	} else
		return -1;
	free(naps);
	return 0;
}

int
main(int argc, char **argv)
{
	struct graph g = {0};

	if (argc < 5) {
		fprintf(stderr, "usage: graphgen SHAPE N SEED FORM [ARGUMENT...]\n");
		return 2;
	}
	g.shape = argv[1];
	g.n = number(argv[2]);
	g.random = number(argv[3]);
	if (g.n == 0 || draw_graph(&g) < 0 || write_form(&g, argv[4], argc - 5, argv + 5) < 0) {
		fprintf(stderr, "graphgen: %s %s %s: not understood\n", argv[1], argv[2], argv[4]);
		return 2;
	}
	free(g.after);
	free(g.n_after);
	return fflush(stdout) || ferror(stdout);
}
