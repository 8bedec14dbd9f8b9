/* fault.h -- what `resite certify` and its shim (shim.c) share: one mapped file.
 *
 * The certifier writes which call is to go wrong and how; the shim, preloaded into the
 * orchestrator and its workers, counts their calls in all of them together, lets the one
 * go wrong, and keeps what was in each journal file before each write that is not yet
 * durable, so that a power cut can be made of it afterwards (cut.h).
 *
 * Stands alone: the shim links nothing of the core.
 */
#ifndef CORE_CERTIFY_FAULT_H
#define CORE_CERTIFY_FAULT_H

#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#define FAULT_ENV "RESITE_FAULT" /* names the mapped file; the shim does nothing without */
#define FAULT_MAGIC UINT32_C(0x46545352)
#define FAULT_ARENA_BYTES (24u << 20)
/* An effect on the certificate's world is a write that begins so; other lines are notes. */
#define FAULT_EFFECT_PREFIX "effect "

/* Where something can go wrong: a kind of call, counted from 1 in all processes. */
enum fault_place {
	FAULT_WRITE,  /* orchestrator: write, truncation of a file in the state directory */
	FAULT_SYNC,   /* orchestrator: fsync, fdatasync there */
	FAULT_TELL,   /* orchestrator: a message to a worker */
	FAULT_ANSWER, /* worker: a message to the orchestrator */
	FAULT_EFFECT, /* worker: a change of the world */
	N_FAULT_PLACES,
};

enum fault_act {
	FAULT_NONE,
	FAULT_KILL_BEFORE,    /* who calls is killed before it does */
	FAULT_KILL_TORN,      /* when half of it is done */
	FAULT_KILL_AFTER,     /* when it is done */
	FAULT_POWER,          /* power cut before: nothing that was not synced is on disk */
	FAULT_POWER_SOME,     /* power cut after: some sectors of it are on disk */
	FAULT_POWER_AFTER,    /* power cut after: nothing that was not synced is on disk */
	FAULT_NURSERY_BEFORE, /* the worker's nursery is killed */
	FAULT_NURSERY_AFTER,
	FAULT_OWNER_BEFORE,   /* the orchestrator is killed by then */
	FAULT_OWNER_AFTER,
	FAULT_ENOSPC,         /* no space: half of it, and nothing from then on */
	FAULT_EIO,            /* input/output error from then on */
	FAULT_EIO_ONCE,       /* one; a sync that fails so has lost what it was to keep */
	FAULT_SHORT,          /* half of it, which the caller is told */
	FAULT_EIO_AFTER,      /* it is done, and reported as failed */
	N_FAULT_ACTS,
};

/* What a file held before a change that may not be durable. */
enum fault_record_kind {
	FAULT_RECORD_BYTES,  /* [offset, offset + len) was changed; old_len bytes of it follow */
	FAULT_RECORD_CREATE, /* the file was made */
	FAULT_RECORD_DIR,    /* the directory was made */
	FAULT_RECORD_GONE,   /* the file was removed; fault_gone_name(offset) is the same file */
};

enum fault_record_state {
	FAULT_UNSYNCED, /* durable or not: nobody knows */
	FAULT_SYNCED,
	FAULT_LOST,     /* a sync of it has failed: a later one does not help */
	FAULT_VOID,     /* the file has been removed since */
};

struct fault_record {
	uint32_t size;     /* of the record with what follows, a multiple of 8 */
	uint32_t kind;     /* enum fault_record_kind */
	uint32_t state;    /* enum fault_record_state */
	uint32_t path_len; /* bytes of the path that follows, with its NUL */
	uint64_t offset, len, old_size, old_len;
	/* path, then old_len bytes */
};

struct fault_page {
	uint32_t magic;
	uint32_t place;          /* enum fault_place */
	uint32_t at;             /* which call there, from 1 */
	uint32_t act;            /* enum fault_act; FAULT_NONE: only count */
	uint32_t lying_sync;     /* every sync says that it worked and does nothing */
	_Atomic uint32_t count[N_FAULT_PLACES];
	_Atomic uint32_t fired;  /* the fault has happened */
	_Atomic uint32_t cut;    /* the power is off: everybody dies at its next call */
	_Atomic int32_t owner;   /* pid of the orchestrator */
	_Atomic uint32_t full;   /* the arena was too small: what it says is not whole */
	_Atomic uint32_t gone;   /* files removed so far */
	_Atomic uint64_t used;   /* bytes of the arena */
	char root[PATH_MAX];     /* of all that can get lost; ends without a slash */
	_Alignas(8) unsigned char arena[FAULT_ARENA_BYTES];
};

/* Where a removed file is kept, for it comes back when the power fails before its folder is
 * synced. */
static inline int
fault_gone_name(const struct fault_page *page, uint64_t number, char path[PATH_MAX + 32])
{
	return snprintf(path, PATH_MAX + 32, "%s/.gone.%llu", page->root,
			(unsigned long long)number);
}

#endif
