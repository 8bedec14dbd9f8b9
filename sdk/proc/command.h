/* command.h -- runs one command to its end, for every plugin that starts programs.  Knows
 * nothing of the plugin ABI. */
#ifndef RESITE_PROC_COMMAND_H
#define RESITE_PROC_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#define COMMAND_TAIL_MAX 512

struct command {
	char *const *argv; /* argv[0] is the file; no search in PATH */
	char *const *env;  /* the whole environment */
	const char *cwd;   /* NULL: where we are */
	const void *input; /* what it reads on stdin; NULL: /dev/null */
	size_t input_len;
	/* It starts a service that is to stay: it gets no descriptor but 0 to 2, and so not the
	 * run's lock, by which what an attempt has left behind is found and ended. */
	bool leaves_service;
	const char *input_path; /* a file that it reads on stdin, when input is NULL; NULL: none */
	int output_fd;     /* > 0: its stdout goes there, not to line() */
};

/* What happens meanwhile.  Everything is called from command_run. */
struct command_io {
	void *ctx;
	/* A line of its stdout, or stderr, without newline; NUL-terminated; may be cut. */
	void (*line)(void *ctx, bool is_stderr, char *text);
	/* Waits until fd is readable: 0; anything else: the command must be stopped. */
	int (*wait)(void *ctx, int fd);
};

struct command_end {
	bool stopped;  /* because wait said so */
	int exit_code; /* when signal is 0 */
	int signal;    /* that killed it, or 0 */
	char tail[COMMAND_TAIL_MAX]; /* its last words: the last line of stderr, else of stdout */
};

/* Runs the command in this process's group; it is killed when this process dies.
 * 0, or an errno with *ret_what set to what could not be done ("exec", "chdir", …);
 * then nothing has run. */
int command_run(const struct command *cmd, const struct command_io *io, struct command_end *ret_end,
		const char **ret_what);

#endif
