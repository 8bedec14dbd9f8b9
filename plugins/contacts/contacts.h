/* What the two actions share. */
#ifndef CONTACTS_CONTACTS_H
#define CONTACTS_CONTACTS_H

#include "plugins/contacts/documents.h"
#include "plugins/contacts/merge.h"
#include "plugins/contacts/target.h"
#include "plugins/contacts/users.h"
#include "plugins/contacts/xcap.h"
#include "sdk/vault/vault.h"

#include <resite/easy.h>

#include <stdbool.h>

#define CONTACTS_VERSION "0.1.0"
/* Documents that a check against the server reads, when the plan does not say. */
#define CONTACTS_SAMPLE "200"
#define AGE_MAX 32

/* One call on one step. */
struct call {
	struct resite_op *op;
	const struct resite_host *host;
	struct fault f;
};

#define call_log(c, level, ...) resite_log((c)->op, (c)->host, level, __VA_ARGS__)
/* Tells the host about c->f, whatever parameter is at fault, and returns its rc. */
int call_failed(struct call *c, const char *param);
static inline const char *
call_str(struct call *c, const char *name)
{
	return resite_str_or(c->op, c->host, name, NULL);
}
static inline int64_t
call_i64(struct call *c, const char *name)
{
	return resite_i64_or(c->op, c->host, name, 0);
}

/* Options from the step's server, ca_file, timeout and connections. */
struct xcap_options call_xcap(struct call *c, target_answer *done, void *arg);
/* The users that the step's users and users_file name, sorted. */
int call_users(struct call *c, struct users *ret);
/* A vault error as a fault. */
int fault_vault(struct fault *f, const struct vault_error *err);
/* vault_tick with a struct call: a heartbeat; stops when time is up. */
int call_vault_tick(void *arg, uint64_t done_bytes, uint64_t total_bytes);
/* Opens a contacts set and proves it; a set of another kind is refused. */
int call_open_set(struct call *c, const char *set, unsigned flags, struct vault_set **ret);
int call_open_set_of(struct call *c, const char *vault, const char *name, const char *set,
		     unsigned flags, struct vault_set **ret);

/* "3 h 12 min" */
void age_text(char out[AGE_MAX], int64_t ms);
int64_t wall_ms(void);

/* --- documents against the server -------------------------------------------- */

/* Hands out documents in order; each returns < 0 (with f filled) to stop. */
typedef int document_each(void *arg, const struct document *d, struct fault *f);

/* The documents of an open set. */
int set_each(const struct vault_set *set, document_each *each, void *arg, struct fault *f);

struct compare {
	/* Set by the caller: which are read from the target. */
	const struct target_kind *kind;
	enum target_use use;
	enum existing existing;        /* a list is the same when nothing would be written */
	int64_t made_ms;               /* of the source: a list written later is newer */
	uint64_t whole;                /* all before it, */
	uint64_t step, end;            /* and of the others before end one in step, */
	uint64_t also;                 /* and the one of this number, counted from 1; 0: none */
	bool tell;                     /* host->change for each that differs */
	/* The answer. */
	uint64_t looked, same, absent; /* the rest of looked differs */
	uint64_t adding, added;        /* lists that a merge adds to, and contacts in all */
	uint64_t newer, back;          /* of these the lists that are newer than the source, ... */
	uint64_t keeping, kept;        /* lists with contacts at the target alone, and these */
	char first[300];               /* what the first that is not the same is like */
	/* Inner. */
	struct call *call;
	struct target target;
	struct merged merged;
};

/* One in so many of total gives about want documents; 1: all, also when want is 0. */
uint64_t sample_step(uint64_t total, uint64_t want);
/* Is the document of this index asked for? */
bool compare_wants(const struct compare *cmp, uint64_t index);
int compare_begin(struct compare *cmp, struct call *c);
document_each compare_ask;
document_each compare_each; /* if it is wanted */
int compare_end(struct compare *cmp, int rc);

#endif
