/* diag.h -- the list of everything that is wrong with a plan.
 *
 * Checks never stop at the first problem: each adds a line here and goes on.
 *	plan.conf:17: runbook move, step dns: unknown key 'dose' (did you mean 'does'?)
 */
#ifndef CORE_PLAN_DIAG_H
#define CORE_PLAN_DIAG_H

#include "core/base/base.h"
#include "core/base/strbuf.h"

#include <jansson.h>

enum diag_severity { DIAG_ERROR, DIAG_WARNING };

/* More problems than this are counted, not kept: nobody reads them. */
#define DIAGS_MAX 1000

struct diag {
	char *file;     /* as the person wrote it; owned */
	unsigned line;  /* 1 is the first; 0: the file as a whole */
	int severity;   /* enum diag_severity */
	uint32_t order; /* in which it was found: sorts equal places */
	char *text;     /* one line; owned */
};

struct diags {
	struct diag *item; /* len of them */
	size_t len, cap;
	size_t errors, warnings; /* found, also those past DIAGS_MAX */
	bool failed;             /* one was lost for want of memory */
};

#define DIAGS_INIT {0}

void diags_release(struct diags *d);

/* Adds an error, or a warning, at file:line; file and text are copied.  Out of
 * memory sets d->failed and still counts. */
void diags_add(struct diags *d, const char *file, unsigned line, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
void diags_warn(struct diags *d, const char *file, unsigned line, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* Sorts by file, line and the order in which they were found; drops lines that
 * say the same of the same place. */
void diags_sort(struct diags *d);

/* Appends one line for each problem, and one that counts those not kept. */
void diags_print(const struct diags *d, struct strbuf *out);

/* [{"file","line","severity":"error|warning","text"}]; NULL without memory.
 * New reference. */
json_t *diags_to_json(const struct diags *d);

/* "Did you mean": offer every word that would have been right, then ask. */
#define SUGGEST_WORD_MAX 64 /* longer words are not compared */

struct suggest {
	const char *word; /* what was written */
	char best[SUGGEST_WORD_MAX]; /* the nearest so far; "": none near enough */
	unsigned distance;
};

void suggest_init(struct suggest *s, const char *word);
void suggest_offer(struct suggest *s, const char *candidate);

#define SUGGEST_TEXT_MAX 160

/* " (did you mean 'does'?)", or "" when nothing is near. */
const char *suggest_text(const struct suggest *s, char buf[SUGGEST_TEXT_MAX]);

#endif
