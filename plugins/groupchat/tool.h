/* tool.h -- PostgreSQL's own programs, and the operator's: started, watched, ended. */
#ifndef GROUPCHAT_TOOL_H
#define GROUPCHAT_TOOL_H

#include "plugins/groupchat/db.h"

#define TOOL_WORDS_MAX 512

/* What a program left. */
struct tool_end {
	int exit_code;              /* -1: ended by a signal */
	int signal;
	char words[TOOL_WORDS_MAX]; /* its first line that says "error", else its last line */
};

/* The path of pg_dump or pg_restore: in bin_dir when the step names it, else the newest of
 * those of the system. */
int tool_find(const struct call *c, const char *program, char path[512]);

/* Runs argv with the login of db, and the address that db is connected to, in its environment,
 * but for the password: that is read from a file in memory.  options: settings of its sessions (PGOPTIONS), or NULL.  Cancelled: the
 * program is ended first. */
int tool_run(const struct db *db, const char *options, const char *const argv[],
	     struct tool_end *ret);
/* Fails with a program's exit and its words. */
int tool_failed(const struct db *db, const char *program, const struct tool_end *end);

#define COMMAND_WORDS_MAX 64

/* Runs an operator's command: argv[0] is a path or a name in PATH.  param: the parameter to
 * blame when it cannot be started.  A service that it starts stays. */
int command_run_plan(const struct call *c, const char *param, const char *argv[],
		     struct tool_end *ret);
/* Runs the command whose words are the values of param. */
int command_of_plan(const struct call *c, const char *param, struct tool_end *ret);

#endif
