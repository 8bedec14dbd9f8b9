/* fake.h -- what the parts of the fake host share: fakehost.c is the test's side,
 * fakecalls.c the table of host functions, fakeparams.c the parameters. */
#ifndef RESITE_TESTKIT_FAKE_H
#define RESITE_TESTKIT_FAKE_H

#include "fakehost.h"

struct value {
	const struct resite_param *param;
	char *text;
	int64_t number;
};

struct pair {
	char *key, *value;
};

/* The opaque call handle of plugin.h is, here, the whole fake host. */
struct resite_op {
	const struct resite_action *action;
	struct value *values;
	size_t n_values;
	struct pair *secrets, *outputs;
	size_t n_secrets, n_outputs;
	int mode, cancel_fd;
	int64_t deadline_ms, cancel_after_ms, end_ms;
	unsigned fail_undo;
	void (*on_sync)(void *);
	void *on_sync_arg;
	uint64_t at_progress;            /* 0: no hook is set */
	void (*progress_hook)(void *);   /* NULL: cancel */
	void *progress_arg;
	FILE *trace;

	char *failure, *failure_param, *checkpoint, *checkpoint_data;
	struct fakehost_state state;
	struct fakehost_change *changes;
	size_t n_changes;
	struct fakehost_undo *undos;
	size_t n_undos;
	struct fakehost_reverted *reverteds;
	size_t n_reverteds;
	void *memory;        /* the plugin's slot, of the attempt that goes on */
	int way;             /* enum resite_revert_way; 0: no revert is under way */
	size_t pulled;       /* records handed out, from the newest */
	struct resite_kv *handed; /* a copy of the last, freed with the next call */
	uint32_t n_handed;
	char *losses, *logs;
	uint64_t done, total;
};

struct fakehost {
	struct resite_op op;
};

/* The host functions. */
extern const struct resite_host fake_host;

/* --- fakehost.c --- */

/* Ends the test: it was written wrongly. */
__attribute__((format(printf, 1, 2), noreturn)) void fake_die(const char *fmt, ...);
/* p, or the end of the test when it is NULL. */
void *fake_must(void *p);
/* strdup that takes NULL and does not fail. */
char *fake_copy(const char *s);
/* Frees *slot and puts a copy of s there. */
void fake_replace(char **slot, const char *s);
int64_t fake_now_ms(void);

/* --- fakeparams.c --- */

/* The parameter of the schema; the test ends when there is none. */
const struct resite_param *fake_find_param(const struct resite_action *action, const char *name);
void fake_add_value(struct resite_op *op, const struct resite_param *p, const char *text);
/* Adds defaults, and insists on what is required, as the core does. */
void fake_complete_params(struct resite_op *op);
uint32_t fake_param_count(struct resite_op *op, const char *name);
const char *fake_param_str(struct resite_op *op, const char *name, uint32_t index);
int64_t fake_param_i64(struct resite_op *op, const char *name, uint32_t index);

/* --- fakecalls.c --- */

void fake_set_pair(struct pair **list, size_t *n, const char *key, const char *value);
const char *fake_get_pair(const struct pair *list, size_t n, const char *key);
void fake_free_kv(struct resite_kv *kv, uint32_t n);
/* Turns the timer that is the cancel_fd readable ms from now. */
void fake_cancel_in(struct resite_op *op, int64_t ms);

#endif
