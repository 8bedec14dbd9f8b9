#include "core/base/base.h"
#include "core/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_STATE = 256, OPT_PLUGINS, OPT_FROM, OPT_TO, OPT_MODE, OPT_ONLY, OPT_REASON, OPT_JOBS,
       OPT_EXPECT_HEAD, OPT_AS_PREVIEWED, OPT_AGAINST, OPT_DIVERGED, OPT_PREVIEW, OPT_PAST, OPT_JSON,
       OPT_WAIT, OPT_ALL, OPT_NOW, OPT_BESIDE, OPT_SEED, OPT_CASES, OPT_CASE, OPT_BROKEN,
       OPT_FAULTS, OPT_KEEP, OPT_FINISH, OPT_PRINT, OPT_MARKDOWN, OPT_FILE, OPT_SIGNATURE, OPT_GROUP };

static const struct option long_options[] = {
	{"state", required_argument, NULL, OPT_STATE},
	{"plugins", required_argument, NULL, OPT_PLUGINS},
	{"from", required_argument, NULL, OPT_FROM},
	{"to", required_argument, NULL, OPT_TO},
	{"mode", required_argument, NULL, OPT_MODE},
	{"only", required_argument, NULL, OPT_ONLY},
	{"reason", required_argument, NULL, OPT_REASON},
	{"expect-head", required_argument, NULL, OPT_EXPECT_HEAD},
	{"jobs", required_argument, NULL, OPT_JOBS},
	{"output", required_argument, NULL, 'o'},
	{"as-previewed", required_argument, NULL, OPT_AS_PREVIEWED},
	{"against", required_argument, NULL, OPT_AGAINST},
	{"diverged", required_argument, NULL, OPT_DIVERGED},
	{"preview", no_argument, NULL, OPT_PREVIEW},
	{"past-no-return", no_argument, NULL, OPT_PAST},
	{"json", no_argument, NULL, OPT_JSON},
	{"markdown", no_argument, NULL, OPT_MARKDOWN},
	{"wait", no_argument, NULL, OPT_WAIT},
	{"all", no_argument, NULL, OPT_ALL},
	{"print", no_argument, NULL, OPT_PRINT},
	{"file", required_argument, NULL, OPT_FILE},
	{"signature", required_argument, NULL, OPT_SIGNATURE},
	{"group", required_argument, NULL, OPT_GROUP},
	{"now", no_argument, NULL, OPT_NOW},
	{"beside-unfinished", required_argument, NULL, OPT_BESIDE},
	{"seed", required_argument, NULL, OPT_SEED},
	{"cases", required_argument, NULL, OPT_CASES},
	{"case", required_argument, NULL, OPT_CASE},
	{"broken", required_argument, NULL, OPT_BROKEN},
	{"faults", required_argument, NULL, OPT_FAULTS},
	{"keep", no_argument, NULL, OPT_KEEP},
	{"finish", no_argument, NULL, OPT_FINISH},
	{"verbose", no_argument, NULL, 'v'},
	{"quiet", no_argument, NULL, 'q'},
	{NULL, 0, NULL, 0},
};

static int
usage(const char *option, const char *what)
{
	fprintf(stderr, "resite: %s: %s (resite help)\n", option, what);
	return EXIT_USAGE;
}

static int
add_plugins(struct options *o, const char *dir)
{
	size_t n = 0;

	while (o->plugins[n])
		n++;
	if (n == CLI_LIST_MAX)
		return usage("--plugins", "too many folders");
	o->plugins[n] = dir;
	return 0;
}

static int
add_beside(struct options *o, const char *run)
{
	if (o->n_beside == CLI_LIST_MAX)
		return usage("--beside-unfinished", "too many runs");
	o->beside[o->n_beside++] = run;
	return 0;
}

/* "im,voice" */
static int
set_only(struct options *o, const char *list)
{
	char *rest, *word;

	free(o->only_text);
	o->n_only = 0;
	o->only_text = rest = strdup(list);
	if (!rest)
		return usage("--only", "out of memory");
	while ((word = strsep(&rest, ",")) != NULL) {
		if (!*word)
			continue;
		if (o->n_only == CLI_LIST_MAX)
			return usage("--only", "too many names");
		o->only[o->n_only++] = word;
	}
	return o->n_only ? 0 : usage("--only", "names nothing");
}

static int
set_jobs(struct options *o, const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || end == text || n < 1 || n > 4096)
		return usage("--jobs", "a number from 1 to 4096 is wanted");
	o->jobs = (uint32_t)n;
	return 0;
}

/* A number above 0. */
static int
set_number(uint64_t *ret, const char *option, const char *text)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (*end || end == text || *text == '-' || errno || !*ret)
		return usage(option, "a number above 0 is wanted");
	return 0;
}

static int
set_cases(struct options *o, const char *text)
{
	uint64_t n;
	int rc = set_number(&n, "--cases", text);

	if (rc == 0)
		o->cases = n;
	return rc;
}

static int
set_option(struct options *o, int opt, const char *value)
{
	switch (opt) {
	case OPT_STATE: o->state_dir = value; break;
	case OPT_PLUGINS: return add_plugins(o, value);
	case OPT_FROM: o->from = value; break;
	case OPT_TO: o->to = value; break;
	case OPT_MODE: o->mode = value; break;
	case OPT_ONLY: return set_only(o, value);
	case OPT_REASON: o->reason = value; break;
	case OPT_EXPECT_HEAD: o->expect_head = value; break;
	case OPT_AS_PREVIEWED: o->as_previewed = value; break;
	case OPT_AGAINST: o->against = value; break;
	case 'o': o->output = value; break;
	case OPT_JOBS: return set_jobs(o, value);
	case OPT_DIVERGED: o->diverged = value; break;
	case OPT_PREVIEW: o->preview = true; break;
	case OPT_PAST: o->past_no_return = true; break;
	case OPT_JSON: o->json = true; break;
	case OPT_MARKDOWN: o->markdown = true; break;
	case OPT_WAIT: o->wait = true; break;
	case OPT_ALL: o->all = true; break;
	case OPT_PRINT: o->print = true; break;
	case OPT_FILE: o->file = value; break;
	case OPT_SIGNATURE: o->signature = value; break;
	case OPT_GROUP: o->group = value; break;
	case OPT_NOW: o->now = true; break;
	case OPT_BESIDE: return add_beside(o, value);
	case OPT_SEED: return set_number(&o->seed, "--seed", value);
	case OPT_CASES: return set_cases(o, value);
	case OPT_FAULTS: return set_number(&o->faults, "--faults", value);
	case OPT_KEEP: o->keep = true; break;
	case OPT_FINISH: o->finish = true; break;
	case OPT_CASE: o->only_case = value; break;
	case OPT_BROKEN: o->broken = value; break;
	case 'v': o->verbose++; break;
	case 'q': o->verbose--; break;
	default: return EXIT_USAGE; /* getopt has said what is wrong */
	}
	return 0;
}

int
options_parse(struct options *o, int argc, char **argv)
{
	int opt, rc = 0;

	*o = (struct options){0};
	while (rc == 0 && (opt = getopt_long(argc, argv, "vqo:", long_options, NULL)) != -1)
		rc = set_option(o, opt, optarg);
	o->args = argv + optind;
	o->n_args = argc - optind;
	return rc;
}

void
options_release(struct options *o)
{
	free(o->only_text);
}
