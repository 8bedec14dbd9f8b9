/* report.h -- what a command tells resite: JSON objects, one per line of its stdout. */
#ifndef PLUGINS_EXEC_REPORT_H
#define PLUGINS_EXEC_REPORT_H

#include <resite/plugin.h>

#include <jansson.h>
#include <stdbool.h>

/* The outputs of exec.run; "stdout" is the last plain line. */
extern const char *const report_outputs[];

struct report {
	struct resite_op *op;
	const struct resite_host *host;
	bool probing;      /* the command is the probe */
	bool told;         /* a "changes" line has come */
	char *last_line;   /* the last plain line of stdout; owned */
	json_t *undo;      /* array of "undo" objects of the probe; owned, may be NULL */
	int rc;            /* not RESITE_OK: a line that could not be taken; explained */
};

/* Takes one line of stdout or stderr: a JSON object is obeyed, the rest is logged. */
void report_line(struct report *r, bool is_stderr, const char *text);
/* Makes one undo record of an object of strings; durable when RESITE_OK. */
int report_put_undo(struct report *r, const json_t *kv, const char *by_hand);
void report_release(struct report *r);

#endif
