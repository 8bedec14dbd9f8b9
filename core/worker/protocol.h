/* protocol.h -- what `resite run`, a nursery and an attempt say to each other.
 *
 * One JSON object per line, UTF-8, at most PROTOCOL_LINE_MAX bytes with the
 * newline.  The first message of each side carries "protocol":1.  A member that
 * the reader does not know is ignored; a kind that it does not know is an error.
 *
 * Parent -> attempt (fd 3)
 *	attempt   the first message, see struct attempt_spec
 *	go        after a held probe: the intent is durable, apply now
 *	stop      after a held probe: end without apply (result OK, phase "probe")
 *	cancel    {why}
 *	done      {id, rc, text}: answers sync and checkpoint; rc 0: durable
 *	secret    {id, rc, value}: rc is the length of the secret or < 0; value is base64
 *	records   {id, rc, records:[{version, kv:{}}], text}: answers pull, newest first; none:
 *	          that were all; rc < 0: they cannot be read, text says why
 * Attempt -> parent
 *	begin     {phase}: the plugin's function is about to be called
 *	log       {level 0..3, text}
 *	change    {object, was, will_be}: not with "hold", whose core asks only how many
 *	state     {phase "probe"|"after", told, now, fingerprint, changes, total}: exactly one
 *	          after each probe that returned OK; told false: the plugin did not say
 *	          (then the rest is "" and 0).  With "hold" it is also sent (told false)
 *	          for an action without a probe: it is what go and stop answer.
 *	loss      {text}
 *	undo      {records:[{version, by_hand, kv:{}}]}: oldest first
 *	sync      {id}: all undo records before it must become durable; wants done
 *	checkpoint {id, name, data}: wants done
 *	output    {name, value}
 *	progress  {done, total, what}
 *	secret    {id, ref}: wants secret
 *	pull      {id, again}: wants records, the next ones of the step; again: the newest ones
 *	reverted  {put_back, already, items:[{object, result, was, set, now}]}: what became of
 *	          records.  result: "put_back", "conflict", "gone" or "refused"; items name
 *	          those that are in neither count, and in a "look" also those to put back
 *	result    {phase, rc, param, retry_after_ms, text}: exactly once, the last message;
 *	          rc is enum resite_rc.  phase "probe" with rc 0: nothing was applied and
 *	          nothing verified (stopped, no more was allowed by "phases", or converged
 *	          and the action has no verify).
 * Parent -> nursery (control socket)
 *	fork      {ids:[N,…], tags:["…",…]} with two descriptors each: the attempt's socket, its
 *	          log pipe; tags: see tag.h
 *	signal    {id, signal}: to the attempt's process group
 * Nursery -> parent
 *	hello     {protocol, abi:[major,minor], plugin:{…}}
 *	refused   {text}: the plugin cannot be used; the nursery then ends
 *	exited    {id, pid, status|signal, maxrss_kb, cpu_us}, or {id, error}: never started
 */
#ifndef CORE_WORKER_PROTOCOL_H
#define CORE_WORKER_PROTOCOL_H

#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/strbuf.h"
#include "core/plan/mode.h"

#define PROTOCOL_VERSION 1
#define PROTOCOL_LINE_MAX (1024 * 1024)

/* The descriptors of a nursery and of an attempt. */
#define PROTOCOL_FD 3
#define PROTOCOL_LOCK_FD 4

enum phase {
	PHASE_NONE, /* nothing of the plugin has been called */
	PHASE_CHECK,
	PHASE_PROBE,
	PHASE_APPLY,
	PHASE_VERIFY,
	PHASE_AFTER, /* the probe after apply */
	PHASE_REVERT,
	N_PHASES
};

#define PHASE_BIT(phase) (1u << (phase))
/* All phases of a step; PHASE_AFTER goes with PHASE_PROBE. */
#define PHASES_STEP (PHASE_BIT(PHASE_CHECK) | PHASE_BIT(PHASE_PROBE) | \
		     PHASE_BIT(PHASE_APPLY) | PHASE_BIT(PHASE_VERIFY))
#define PHASES_PREVIEW (PHASE_BIT(PHASE_CHECK) | PHASE_BIT(PHASE_PROBE))

/* "check", "probe", …; "start" for PHASE_NONE. */
const char *phase_name(enum phase phase);
/* PHASE_NONE when the name is unknown or NULL. */
enum phase phase_from_name(const char *name);

/* "ok", "pending", "invalid", "transient", "conflict", "refused", "cancelled",
 * "bug" for enum resite_rc; "unknown" for any other number. */
const char *rc_name(int rc);
bool rc_known(int rc);

/* The first message to an attempt.  All pointers are borrowed. */
struct attempt_spec {
	const char *run, *step, *action; /* action: without the plugin's name */
	int attempt;                     /* 1, 2, … */
	int mode;                        /* enum resite_mode */
	int64_t timeout_ms;              /* the attempt's deadline, from now */
	const json_t *params;            /* object: name → value or array; checked, defaults in */
	unsigned phases;                 /* PHASE_BIT() of what may run */
	bool hold;                       /* wait for go or stop after the probe */
	const char *checkpoint;          /* name of the last checkpoint, or NULL */
	const char *checkpoint_data;     /* its data */
	int revert;                      /* enum resite_revert_way: only revert runs; 0: the step */
	bool judge;                      /* revert: a look at all records must find each done */
	uint64_t n_records;              /* for its progress: how many there are to pull */
};

/* "look", "put_back", "force" for enum resite_revert_way; NULL and 0 for anything else. */
const char *revert_way_name(int way);
int revert_way_from_name(const char *name);

/* "put_back", "already", "conflict", "gone", "refused" for enum resite_reverted; NULL and 0
 * for anything else. */
const char *reverted_name(int result);
int reverted_from_name(const char *name);

/* Appends the line for spec with its newline. */
void protocol_write_attempt(struct strbuf *sb, const struct attempt_spec *spec);

/* Checks the kind and the members of a message of an attempt, or of a nursery:
 * after 0 every member named above is there with its type.  E_PROTOCOL names what
 * is wrong. */
int protocol_check_attempt(const json_t *msg, struct error *err);
int protocol_check_nursery(const json_t *msg, struct error *err);

/* Cuts a byte stream into lines.  Memory is bounded by max. */
struct lines {
	struct strbuf held; /* an incomplete line */
	size_t max;         /* longest line with its newline */
};

/* Takes len bytes that were read; calls each(ctx, line, len) for every complete
 * line, without its newline, NUL-terminated and writable only by the callee.
 * buf must have one writable byte after len.  Stops with the callee's answer when
 * that is not 0.  E_PROTOCOL when a line is longer than max, E_NOMEM. */
int lines_feed(struct lines *lines, char *buf, size_t len,
	       int (*each)(void *ctx, char *line, size_t len), void *ctx);
void lines_release(struct lines *lines);

/* Appends len bytes as base64 (RFC 4648, with padding). */
void base64_encode(struct strbuf *sb, const void *data, size_t len);
/* Decodes text into buf (at least strlen(text) / 4 * 3 bytes); the length, or
 * E_INVALID. */
int64_t base64_decode(const char *text, void *buf);

#endif
