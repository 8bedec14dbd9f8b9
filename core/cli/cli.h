/* cli.h -- what the commands share: options, how they print and how they fail. */
#ifndef CORE_CLI_CLI_H
#define CORE_CLI_CLI_H

#include "core/base/strbuf.h"
#include "core/run/run.h"

#define CLI_LIST_MAX 64

struct options {
	const char *state_dir;                   /* --state */
	const char *plugins[CLI_LIST_MAX + 1];   /* --plugins, NULL-terminated */
	const char *from, *to, *mode;            /* --from --to --mode; NULL: not given */
	const char *only[CLI_LIST_MAX];          /* --only A,B */
	size_t n_only;
	char *only_text;                         /* what only points into; owned */
	const char *reason;                      /* --reason */
	const char *output;                      /* -o */
	const char *as_previewed, *against;      /* --as-previewed, --against */
	const char *diverged;                    /* --diverged */
	const char *expect_head;                 /* --expect-head */
	const char *beside[CLI_LIST_MAX];        /* --beside-unfinished RUN, more than once */
	size_t n_beside;
	uint32_t jobs;                           /* --jobs; 0: default */
	uint64_t seed;                           /* --seed; 0: not given */
	size_t cases;                            /* --cases; 0: not given */
	const char *only_case, *broken;          /* --case, --broken (certify) */
	int verbose;                             /* --verbose minus --quiet */
	const char *file, *signature;            /* --file --signature */
	const char *group;                       /* --group */
	bool print;                              /* --print */
	bool json, wait, all, now;               /* --json --wait --all --now */
	bool markdown;                           /* --markdown */
	bool preview, past_no_return;            /* --preview --past-no-return */
	uint64_t faults;                         /* --faults; 0: not given */
	bool keep, finish;                       /* --keep --finish (rehearse) */
	char **args;                             /* what is left, NULL-terminated */
	int n_args;
};

struct command {
	const char *name, *synopsis, *summary;
	int min_args, max_args;
	int (*run)(const struct command *, const struct options *); /* an exit_status */
};

/* One row each in main.c. */
int cmd_check(const struct command *command, const struct options *options);
int cmd_preview(const struct command *command, const struct options *options);
int cmd_run(const struct command *command, const struct options *options);
int cmd_resume(const struct command *command, const struct options *options);
int cmd_failback(const struct command *command, const struct options *options);
int cmd_undo(const struct command *command, const struct options *options);
int cmd_rehearse(const struct command *command, const struct options *options);
int cmd_status(const struct command *command, const struct options *options);
int cmd_verify(const struct command *command, const struct options *options);
int cmd_history(const struct command *command, const struct options *options);
int cmd_graph(const struct command *command, const struct options *options);
int cmd_plugins(const struct command *command, const struct options *options);
int cmd_approve(const struct command *command, const struct options *options);
int cmd_certify(const struct command *command, const struct options *options);
int cmd_word(const struct command *command, const struct options *options);

/* Parses everything behind the command's name.  EXIT_USAGE with a line on stderr, or
 * 0. */
int options_parse(struct options *options, int argc, char **argv);
void options_release(struct options *options);

/* What cli_open made; every command begins and ends with it. */
struct cli {
	const struct options *options;
	struct settings settings;
	struct store *store; /* NULL until cli_store */
};

/* Exit statuses: 0, or what to return after cli_close. */
int cli_open(struct cli *cli, const struct options *options);
int cli_store(struct cli *cli, bool create);
void cli_close(struct cli *cli);

/* The bind_request of --from --to --mode --only; default mode planned when
 * need_mode.  EXIT_USAGE when the mode is none. */
int cli_request(const struct options *options, const char *runbook, bool need_mode,
		struct bind_request *ret);

/* Reads and checks the plan that the first argument names and says what is wrong with
 * it, or, in text, what to beware of.  0, or an exit status. */
int cli_load_plan(struct cli *cli, const struct bind_request *req, struct loaded *l);

/* The word that the command is, for cli_say; NULL without memory. */
json_t *cli_word(const struct command *command, const struct options *options);
/* Says word (the reference is taken) to the run of the first argument and prints what
 * became of it.  An exit status. */
int cli_say(const struct options *options, json_t *word);

/* The id of a new run that undoes or turns round origin: "…-undo-move" of "…-move".  To be
 * freed; NULL without memory. */
char *cli_way_id(const struct cli *cli, const char *way, const char *origin);

typedef int cli_run_fn(struct loaded *, const struct settings *, struct store *,
		       const struct run_options *, const struct run_observer *, int *,
		       struct error *);
/* Runs l with something to watch it by; an exit status.  more: previewed, rehearsal, faults
 * and alone are taken from it; NULL: none of them. */
int cli_carry_out(struct cli *cli, struct loaded *l, const struct run_options *more,
		  cli_run_fn *fn);

/* Prints "resite: text" on stderr (as {"error"} on stdout with --json) and returns the
 * exit status that goes with the code. */
int cli_fail(const struct options *options, const struct error *err);
/* Prints the problems of a plan; EXIT_USAGE when there are errors, else 0. */
int cli_diags(const struct options *options, struct diags *d);
/* Prints the text on stdout. */
void cli_print(const struct strbuf *text);
/* Prints the object on stdout and takes the reference. */
void cli_print_json(json_t *value);

#endif
