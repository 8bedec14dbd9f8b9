/* resite/plugin.h -- the one header a plugin needs.              (ABI 0: DRAFT)
 *
 * Promise from ABI 1.0 on: a plugin binary built against 1.m loads in any host 1.n;
 * if m > n, whenever plugin->needs_minor <= n.  Structs grow only at the end; a field
 * that the other side does not know reads as 0, and 0 means "as before it existed".
 * Until then the minor is the number of the draft: each change of this header that a
 * plugin's binary could see adds one, and a host loads plugins of its own draft alone.
 *
 * Strings are UTF-8 and NUL-terminated.  Durations are int64_t milliseconds, _ms.
 * Nobody frees memory that the other side allocated:
 *   host -> plugin pointers are valid until the callback returns (undo_next's: until
 *   the next undo_next);
 *   plugin -> host pointers are copied before the host function returns;
 *   the descriptor and all it points to is static and never freed.
 * Threads: the host calls from one thread, one call at a time, in a process that runs
 * nothing else.  Only functions marked [any-thread] may be called from other threads.
 * What one call leaves to the next of its attempt is in host->memory, never in a static.
 */
#ifndef RESITE_PLUGIN_H
#define RESITE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RESITE_ABI_MAGIC UINT32_C(0x54495352) /* "RSIT", little-endian */
#define RESITE_ABI_MAJOR 0                    /* becomes 1 once, when frozen */
#define RESITE_ABI_MINOR 3                    /* major 0: the draft; 3: memory */

/* What the core should DO about a result, not what went wrong. */
enum resite_rc {
	RESITE_OK = 0,
	RESITE_PENDING = 1,        /* verify: not yet, ask again after retry_after_ms */
	RESITE_ERR_INVALID = -1,   /* never retry; tell the author of the plan */
	RESITE_ERR_TRANSIENT = -2, /* retry under the step's policy */
	RESITE_ERR_CONFLICT = -3,  /* the world is not what probe saw: probe again */
	RESITE_ERR_REFUSED = -4,   /* the other side said no: stop, ask a person */
	RESITE_ERR_CANCELLED = -5, /* stopped because cancel or deadline fired */
	RESITE_ERR_BUG = -6,       /* a bug in the plugin: stop, keep the evidence */
};

enum resite_type {
	RESITE_T_STRING = 1,
	RESITE_T_BOOL = 2,
	RESITE_T_INT = 3,
	RESITE_T_DURATION = 4, /* plan "30s"; plugin int64_t ms */
	RESITE_T_ENUM = 5,
	RESITE_T_DOMAIN = 6,   /* canonical: absolute, lower case, trailing dot */
	RESITE_T_ENDPOINT = 7, /* host:port; checked against the site assumed lost */
	RESITE_T_URL = 8,      /* likewise */
	RESITE_T_PATH = 9,     /* absolute, or relative to the plan's folder */
	RESITE_T_SIZE = 10,    /* plan "64M"; plugin int64_t bytes */
	RESITE_T_SECRET = 11,  /* a reference; fetch with host->secret */
};

enum resite_param_flags {
	RESITE_PARAM_REQUIRED = 1u << 0,
	RESITE_PARAM_REPEATED = 1u << 1, /* plan: one value or a list */
};

struct resite_param {
	const char *name;           /* [a-z][a-z0-9_]*, never renamed */
	const char *summary;        /* one line, with its unit, no full stop */
	int32_t type;               /* enum resite_type */
	uint32_t flags;             /* enum resite_param_flags */
	const char *def;            /* default as written in a plan, or NULL */
	const char *const *choices; /* RESITE_T_ENUM: NULL-terminated */
	int64_t min, max;           /* INT, DURATION, SIZE; both 0: unbounded */
};

struct resite_op; /* one call on one step; opaque */

struct resite_kv { /* frozen: passed in arrays, never grows */
	const char *key, *value;
};

enum resite_mode { RESITE_DISASTER = 1, RESITE_PLANNED = 2, RESITE_REHEARSAL = 3 };

/* What revert may do. */
enum resite_revert_way {
	RESITE_LOOK = 1,     /* read only: report what PUT_BACK would find and do */
	RESITE_PUT_BACK = 2, /* compare-and-swap: only what still holds the value that we wrote */
	RESITE_FORCE = 3,    /* put the former value back, whatever is there now */
};

/* What became of one undo record (LOOK: what would become of it). */
enum resite_reverted {
	RESITE_REVERTED_PUT_BACK = 1, /* the former value is there again */
	RESITE_REVERTED_ALREADY = 2,  /* it was there before */
	RESITE_REVERTED_CONFLICT = 3, /* neither our value nor the former one: left alone */
	RESITE_REVERTED_GONE = 4,     /* the object itself is no longer there */
	RESITE_REVERTED_REFUSED = 5,  /* the other side said no: now is what it said */
};

struct resite_host {
	uint32_t struct_size, abi_minor;

	/* [any-thread] level: 0 debug .. 3 error.  One line, no newline. */
	void (*log)(struct resite_op *, int level, const char *msg);
	/* Explain the failure about to be returned; param may be NULL. */
	void (*fail)(struct resite_op *, const char *param, int64_t retry_after_ms, const char *msg);

	/* Parameters; the core has checked type, range and presence. */
	uint32_t (*param_count)(struct resite_op *, const char *name);
	const char *(*param_str)(struct resite_op *, const char *name, uint32_t index);
	int64_t (*param_i64)(struct resite_op *, const char *name, uint32_t index);
	int (*mode)(struct resite_op *); /* enum resite_mode */

	/* probe: one object that apply would change; as many calls as there are. */
	int (*change)(struct resite_op *, const char *object, const char *was, const char *will_be);
	/* probe's answer.  now: one line, what is there.  fingerprint: digest of all that
	 * was read that apply depends on.  changes 0 of total: the step has converged.
	 * A probe that returns RESITE_OK without this call cannot tell: apply then runs
	 * always, and after a lost attempt a person is asked. */
	int (*state)(struct resite_op *, const char *now, const char *fingerprint,
		     uint64_t changes, uint64_t total);
	/* probe: one sentence about what will be lost, with its age or count. */
	int (*loss)(struct resite_op *, const char *sentence);

	/* Durable when it returns RESITE_OK.  Call BEFORE the change it can undo.
	 * kv holds was.* and set.*; by_hand is one line a person can follow. */
	int (*undo_put)(struct resite_op *, uint32_t version, const char *by_hand,
			const struct resite_kv *kv, uint32_t n);
	/* Many records, durable together with the next sync. */
	int (*undo_add)(struct resite_op *, uint32_t version, const char *by_hand,
			const struct resite_kv *kv, uint32_t n);
	int (*sync)(struct resite_op *);
	/* revert: the next undo record that the step has written, newest first.  1: a record,
	 * valid until the next call; 0: no more; < 0: failed, hand it on.  Records may be
	 * pulled ahead of what is done with them. */
	int (*undo_next)(struct resite_op *, uint32_t *version,
			 const struct resite_kv **kv, uint32_t *n);
	int (*revert_way)(struct resite_op *); /* enum resite_revert_way */
	/* revert: once for each record pulled, in any order.  object: by the name that
	 * change() gives it in probe; result: enum resite_reverted; was: the former value,
	 * set: what we wrote, now: what was found there; NULL: none.  A look that cannot
	 * look says PUT_BACK with set and without now. */
	int (*reverted)(struct resite_op *, const char *object, int result, const char *was,
			const char *set, const char *now);
	/* Durable marker; a re-run after a crash sees the last one. */
	int (*checkpoint)(struct resite_op *, const char *name, const char *data);
	const char *(*last_checkpoint)(struct resite_op *, const char **data);

	int (*output)(struct resite_op *, const char *name, const char *value);
	/* Also the heartbeat: silence is shown to the operator, only the deadline kills. */
	void (*progress)(struct resite_op *, uint64_t done, uint64_t total, const char *what);
	int64_t (*time_left_ms)(struct resite_op *); /* [any-thread] 0: stop now */
	int (*cancel_fd)(struct resite_op *);        /* [any-thread] readable once cancelled */
	/* Wait until fd is ready for events (poll.h), or sleep when fd is -1, at most ms
	 * (< 0: until the deadline).  RESITE_OK: fd is ready; RESITE_PENDING: time is up;
	 * RESITE_ERR_CANCELLED: cancelled, or the deadline is over: stop now. */
	int (*wait)(struct resite_op *, int fd, short events, int64_t ms);
	/* Copies at most cap bytes of the secret; returns its whole length, or < 0.  ref is
	 * the value of a RESITE_T_SECRET parameter.  Never log it; wipe it after use. */
	int (*secret)(struct resite_op *, const char *ref, void *buf, size_t cap);
	/* Named, versioned, optional interfaces, "resite.NAME/1"; NULL if absent. [any-thread] */
	const void *(*extension)(struct resite_op *, const char *id);
	/* One slot that is this attempt's own: NULL at its start, then what the plugin put
	 * there, for check, probe, apply, verify and revert alike.  What it points to is the
	 * plugin's; the host never reads or frees it: the process ends with the attempt.
	 * It saves work and proves nothing: a later attempt begins with NULL. */
	void **(*memory)(struct resite_op *);
};

enum resite_action_flags {
	RESITE_ACT_READONLY = 1u << 0,   /* changes nothing outside; has no revert */
	RESITE_ACT_REVERSIBLE = 1u << 1, /* revert restores value by value */
	RESITE_ACT_CARRIES = 1u << 2,    /* moves data: the way back is the same action, turned round */
	RESITE_ACT_NOTIFY = 1u << 3,     /* seen by people; cannot be unsent */
};

struct resite_action {
	const char *name;           /* "move": written NAME.move in a plan */
	const char *summary;
	uint64_t flags;
	int64_t default_timeout_ms;
	const struct resite_param *params; /* ends with a NULL name */
	const char *const *outputs;        /* NULL-terminated; may be NULL */

	int (*check)(struct resite_op *, const struct resite_host *);  /* no I/O; optional */
	int (*probe)(struct resite_op *, const struct resite_host *);  /* reads only */
	/* Idempotent, resumable.  A server carries a statement out to its end even when the
	 * attempt that sent it was killed, perhaps after this one's probe: compare and swap, or
	 * hold a lock of the server that ends with the connection. */
	int (*apply)(struct resite_op *, const struct resite_host *);
	/* Reads only; asks the outside world.  Also called without apply before it, when probe
	 * says changes 0: an earlier attempt may have applied and not lived to verify. */
	int (*verify)(struct resite_op *, const struct resite_host *);
	/* Puts back what undo records say (undo_next), as revert_way allows, and reports each
	 * (reverted).  Conflicts are reports, no failure.  Idempotent: a lost attempt is made
	 * again from the newest record on.  RESITE_ERR_REFUSED: some were refused. */
	int (*revert)(struct resite_op *, const struct resite_host *);
};

struct resite_plugin {
	/* Set by RESITE_PLUGIN(); they protect the rest. */
	uint32_t magic;
	uint16_t abi_major, abi_minor;
	uint32_t struct_size, action_size, param_size;
	uint32_t needs_minor;
	const char *name, *version, *summary;
	const char *const *needs;  /* extension ids the host must have, or NULL */
	const struct resite_action *actions;
	uint64_t n_actions;        /* 64 bits: no struct here may end in padding */
};

typedef const struct resite_plugin *resite_plugin_v0_fn(void);

#define RESITE_PLUGIN_SYMBOL "resite_plugin_v0"

/* Defines the one exported function.  The arguments are designated initializers for
 * the fields from needs_minor on:
 *	RESITE_PLUGIN(.name = "dns", .version = "1", .summary = "...",
 *		      .actions = actions, .n_actions = 2)
 */
#define RESITE_PLUGIN(...)                                                     \
	__attribute__((visibility("default"))) const struct resite_plugin *    \
	resite_plugin_v0(void);                                                \
	const struct resite_plugin *resite_plugin_v0(void)                     \
	{                                                                      \
		static const struct resite_plugin plugin_ = {                  \
			.magic = RESITE_ABI_MAGIC,                             \
			.abi_major = RESITE_ABI_MAJOR,                         \
			.abi_minor = RESITE_ABI_MINOR,                         \
			.struct_size = sizeof(struct resite_plugin),           \
			.action_size = sizeof(struct resite_action),           \
			.param_size = sizeof(struct resite_param),             \
			__VA_ARGS__};                                          \
		return &plugin_;                                               \
	}

/* Why these shapes:
 * - a function, not data, as the only exported symbol: it returns static const data and does no
 *   work, so a scan is fast and without effect; the major is in its name.
 * - action_size and param_size are strides: arrays of structs can grow too.  Static-assert that no
 *   versioned struct ends in padding, or an old binary's padding is read as a new field.
 * - no out-structs from host to plugin: a newer plugin would write past an older host's struct.
 *   undo_next hands out pointers to frozen kv pairs instead.
 * - callbacks take op and host alone: new inputs are new host functions; signatures never change.
 * - undo_add + sync: a mass move writes its records a thousand at a time, one durable write each.
 * - revert pulls its records: a plugin keeps as many under way as its server likes, and a hundred
 *   thousand of them pass through neither side's memory at once.
 * - one revert for undo, its preview (LOOK) and the way back: what is looked at is what is done.
 */

#ifdef __cplusplus
}
#endif
#endif
