/* sched_parts.h -- the scheduler's own structures; private to sched*.c. */
#ifndef CORE_ENGINE_SCHED_PARTS_H
#define CORE_ENGINE_SCHED_PARTS_H

#include "core/engine/heap.h"
#include "core/engine/sched.h"

struct node {
	uint32_t blockers;     /* dependencies not done yet */
	uint32_t first_out;    /* its dependents: out[first_out .. next node's] */
	uint32_t first_limit;  /* its limits: limit_of[first_limit .. next node's] */
	uint32_t attempts;     /* opened so far */
	uint32_t tries;        /* of those, counted against max_attempts */
	uint32_t max_attempts; /* tries allowed before a person is asked */
	uint16_t needs;        /* approvals still wanted */
	uint8_t state;         /* enum step_state */
	uint8_t flags;         /* enum sched_step_flags */
	uint8_t policy;        /* enum step_policy */
	bool stops;            /* ASK: it failed, and its policy has stopped the run */
	bool passed_over;      /* DONE because it was SCHED_OUT */
	bool untold;           /* sched_next gave its last command, and no event told of it */
	uint16_t waits_for;    /* READY: the limit in whose list it is, or NO_LIMIT */
	int64_t backoff_ms, max_backoff_ms, timeout_ms;
};

#define NO_LIMIT UINT16_MAX

struct limit {
	uint32_t max;        /* how many at once */
	uint32_t used;       /* now */
	struct heap waiting; /* steps that are ready but for this limit */
};

struct sched {
	uint32_t n_steps;
	struct node *node;      /* n_steps + 1: the last one ends the ranges */
	uint32_t *out;          /* dependents of all steps, one after the other */
	uint16_t *limit_of;     /* limits of all steps, one after the other */
	int64_t *path_ms;       /* longest path from each step; the heaps' key */
	int64_t *wake_key;      /* minus the time when a BACKOFF step wakes */
	struct limit *limit;
	uint16_t n_limits;
	struct heap ready;      /* READY steps that no limit holds back */
	struct heap prompt;     /* READY steps without a process: they wait for no job */
	struct heap sleeping;   /* BACKOFF steps, soonest first */
	uint32_t jobs, running; /* attempts allowed and open */
	uint32_t count[STEP_FAILED + 1];
	int64_t deadline_ms, now_ms;
	bool told_to_stop;      /* start nothing more: a person has said so */
	uint32_t stoppers;      /* steps that stop the run by their policy */
	bool (*decide)(void *ctx, uint32_t step); /* or NULL */
	void *decide_ctx;
	size_t bytes;           /* allocated in all */
};

/* --- sched.c --- */

/* READY when nothing blocks it, else WAITING. */
void sched__make_ready(struct sched *s, uint32_t step);
/* The state alone, with the counts. */
void sched__set_state(struct sched *s, uint32_t step, enum step_state state);
/* A READY step leaves the list it is in. */
void sched__unlist(struct sched *s, uint32_t step);
/* step was woken for a place that it does not take: the next one may try. */
void sched__pass_on(struct sched *s, uint32_t step);
/* step will not block its dependents any more. */
void sched__settle(struct sched *s, uint32_t step, enum step_state state);
/* A person has answered for step: it stops the run no longer. */
void sched__answered(struct sched *s, uint32_t step);

#endif
