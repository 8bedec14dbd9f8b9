/* sdk/proc/step.h -- a command as part of a plugin's step: bounded by the step's time, its words
 * in the log, its failure in words for the operator. */
#ifndef RESITE_PROC_STEP_H
#define RESITE_PROC_STEP_H

#include "sdk/proc/command.h"

#include <resite/plugin.h>

struct proc_step {
	struct resite_op *op;
	const struct resite_host *host;
	bool quiet;       /* its stdout is not for the log */
	size_t keep;      /* bytes of stdout to keep, lines with \n; 0: none */
	char *out;        /* what was kept: freed by the caller; NULL: nothing */
	size_t out_len;
	struct command_end end;
	char err[900];    /* what went wrong */
};

/* Runs argv (argv[0] an absolute path; ends with NULL) with input on its stdin (NULL: none), in
 * our environment.  RESITE_OK: it ended with exit code 0; RESITE_ERR_REFUSED: it said no, or could
 * not be run; RESITE_ERR_CANCELLED: it was stopped. */
int proc_step_run(struct proc_step *p, char *const *argv, const void *input, size_t input_len);

/* The same with the values of a REPEATED string parameter as argv. */
int proc_step_param(struct proc_step *p, const char *param);

#endif
