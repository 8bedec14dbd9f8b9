/* resite: the command line.  One row for each command, one file for its work. */
#include "core/base/base.h"
#include "core/cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
	{"check", "PLAN [RUNBOOK]", "check a plan, all directions and modes unless given", 1, 2,
	 cmd_check},
	{"preview", "PLAN RUNBOOK", "run every probe and show what would change", 2, 2, cmd_preview},
	{"run", "PLAN RUNBOOK", "carry a runbook out", 2, 2, cmd_run},
	{"resume", "[RUN]", "go on with a run that was interrupted or paused", 0, 1, cmd_resume},
	{"undo", "RUN", "put back what a run has changed; with --preview only look", 1, 1, cmd_undo},
	{"failback", "RUN", "go the way of a run back; with --preview only report", 1, 1, cmd_failback},
	{"rehearse", "PLAN RUNBOOK", "run what may be rehearsed, put it back, compare; --finish RUN", 1, 2,
	 cmd_rehearse},
	{"status", "[RUN]", "show a run (default: the last)", 0, 1, cmd_status},
	{"verify", "[RUN]", "check every event of a journal: what can be trusted", 0, 1, cmd_verify},
	{"history", "", "list all runs", 0, 0, cmd_history},
	{"graph", "PLAN RUNBOOK", "print a runbook as DOT", 2, 2, cmd_graph},
	{"plugins", "list | show NAME", "list the plugins, or describe one", 1, 2, cmd_plugins},
	{"certify", "[DIR]", "kill a small run at every turn, on this disk: does it survive?", 0, 1,
	 cmd_certify},
	{"approve", "RUN STEP", "let a waiting step pass", 2, 2, cmd_approve},
	{"retry", "RUN STEP", "try a failed step again", 2, 2, cmd_word},
	{"skip", "RUN STEP", "go on without a step", 2, 2, cmd_word},
	{"by-hand", "RUN STEP", "say that a step was done by hand", 2, 2, cmd_word},
	{"pause", "RUN", "start no step until continue is said", 1, 1, cmd_word},
	{"stop", "RUN", "start no step, and end when those that run have ended", 1, 1, cmd_word},
	{"continue", "RUN", "take a pause or a stop back", 1, 1, cmd_word},
	{"mode", "RUN disaster", "go on with a planned move after its old site is lost", 2, 2,
	 cmd_word},
	{"abandon", "RUN", "give an unfinished run up: it ends as it is", 1, 1, cmd_word},
};

static const char options_help[] =
	"\nOptions:\n"
	"  --from SITE --to SITE  direction (default: the plan's first and second site)\n"
	"  --mode MODE            disaster, planned or rehearsal (default: planned)\n"
	"  --only WORKLOAD,...    only these workloads and what they depend on\n"
	"                         undo: only these steps\n"
	"  --preview              undo, failback: list what would be put back and each conflict\n"
	"  --diverged WHAT        undo, failback: what somebody else has changed since: leave (an\n"
	"                         undo's default) or restore (needs --reason)\n"
	"  --past-no-return       undo: also steps at or after a point of no return; needs --reason\n"
	"  --faults SEED          rehearse: kill and delay workers on the way, chosen by the seed\n"
	"  --finish               rehearse: put back and compare what RUN has left unfinished\n"
	"  --keep                 rehearse: leave all as it is; --finish puts it back later\n"
	"  --reason TEXT          why, for the journal (operator commands need it)\n"
	"  -o FILE                preview, failback: keep what was found in a file\n"
	"  --against FILE         preview: show what has moved since that file was made\n"
	"  --as-previewed FILE    run: refuse a step whose world has moved since\n"
	"  --expect-head HEAD     verify: the journal must have the event of which this is the head\n"
	"  --print                approve: print the text to sign with ssh-keygen\n"
	"  --file F --signature F.sig  approve: by a signed text\n"
	"  --group GROUP          run, resume: who may speak to the run, too ($RESITE_GROUP)\n"
	"  --now                  stop: cancel the steps that run, too\n"
	"  --beside-unfinished RUN  run: though that one has not ended (wants a reason)\n"
	"  --wait                 run, resume, rehearse: when paused, wait for a person's word\n"
	"  --jobs N               steps under way at once (default 32)\n"
	"  --state DIR            where journals are ($RESITE_STATE)\n"
	"  --plugins DIR          where plugins are, more than once ($RESITE_PLUGINS)\n"
	"  --json                 machine-readable output\n"
	"  --markdown             plugins show: the parameters as tables, for a README\n"
	"  --all                  status, verify: every step of a long run; certify: every case\n"
	"  --cases N, --seed S    certify: how many cases (default 400), chosen by which seed\n"
	"  --case CASE            certify: this one alone, as a failure has named it\n"
	"  --broken WHAT          certify: break sync, undo or probe; it must be found\n"
	"  -v, -q                 more, or less, on the screen\n"
	"\nExit status: 0 done, 1 failed or refused, 2 usage or an invalid plan,\n"
	"3 paused: a person is wanted, 4 another resite has the run.\n";

static int
help(FILE *to, int status)
{
	fprintf(to, "resite " PACKAGE_VERSION ": moves a set of services from one site to "
		    "another\n\n");
	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		char usage[64];

		snprintf(usage, sizeof(usage), "%s %s", commands[i].name, commands[i].synopsis);
		fprintf(to, "  resite %-26s %s\n", usage, commands[i].summary);
	}
	fputs(options_help, to);
	return status;
}

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int
run_command(const struct command *c, int argc, char **argv)
{
	struct options o;
	int rc = options_parse(&o, argc, argv);

	if (rc == 0 && (o.n_args < c->min_args || o.n_args > c->max_args)) {
		fprintf(stderr, "usage: resite %s %s\n", c->name, c->synopsis);
		rc = EXIT_USAGE;
	}
	if (rc == 0)
		rc = c->run(c, &o);
	options_release(&o);
	return rc;
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	const struct command *c;

	/* A journal that may not grow is an error to report, not a reason to be killed. */
	signal(SIGXFSZ, SIG_IGN);
	if (!name)
		return help(stderr, EXIT_USAGE);
	if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h"))
		return help(stdout, EXIT_DONE);
	if (!strcmp(name, "--version")) {
		puts("resite " PACKAGE_VERSION);
		return EXIT_DONE;
	}
	c = find_command(name);
	if (!c) {
		fprintf(stderr, "resite: there is no command '%s' (resite help)\n", name);
		return EXIT_USAGE;
	}
	return run_command(c, argc - 1, argv + 1);
}
