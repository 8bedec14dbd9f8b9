/* vrun.h -- a run under virtual time, for golden cases and simulations.
 *
 * The real scheduler, fold and decisions, driven as core/run/run.c drives them; no
 * process, no store, no clock.  Beside the live state goes a shadow that is given
 * nothing but the journal: after each event both must be equal.  That is the
 * guarantee that a resume rests on.
 */
#ifndef TESTS_GOLDEN_VRUN_H
#define TESTS_GOLDEN_VRUN_H

#include "core/engine/decide.h"
#include "core/engine/run_state.h"

/* When virtual time begins; texts count from here.  Not 0: that means "not yet". */
#define VRUN_EPOCH_MS 1000000

struct vevent {
	int64_t time_ms;
	json_t *event;
};

struct vrun {
	const struct graph *graph; /* borrowed */
	struct run_config config;
	json_t *previewed;         /* run.started's, or NULL; borrowed */
	struct run_state *state;   /* live: it takes commands */
	struct run_state *shadow;  /* folds the journal, event by event */
	struct vevent *journal;
	size_t n_journal, journal_cap;
	size_t n_before;           /* events that were durable before the last commit */
	struct sched_command *taken; /* in this turn */
	size_t n_taken, taken_cap;
	int64_t now_ms;
	bool over;                 /* no orchestrator: stopped or done; only a resume goes on */
	bool paused_said;
	bool deep;                 /* in each turn: would a resumed run decide the same? */
	struct strbuf *schedule;   /* what is decided is written here; NULL: nowhere */
	void (*on_command)(void *ctx, const struct sched_command *command); /* or NULL */
	void *ctx;
	struct error broken;       /* the first broken guarantee; code 0: none */
};

/* Zeroes *v and makes its states; E_NOMEM. */
int vrun_init(struct vrun *v, const struct graph *graph, const struct run_config *config);
void vrun_release(struct vrun *v);

/* The first event and the first turn. */
void vrun_start(struct vrun *v, const char *const *only, size_t n_only);

/* Virtual time goes on to time_ms; what wakes up on the way is done. */
void vrun_until(struct vrun *v, int64_t time_ms);

/* An event from a worker.  The reference is taken.  False when it did not fit: err
 * says why, and nothing has changed. */
bool vrun_event(struct vrun *v, json_t *event, struct error *err);

/* A person's word.  The reference is taken.  False when it was refused, and, with code
 * 0 in err, when it had been said before. */
bool vrun_word(struct vrun *v, json_t *event, struct error *err);

/* The orchestrator is lost, or had ended: a new one folds the journal and goes on.
 * False when the run has ended. */
bool vrun_resume(struct vrun *v, struct error *err);

/* The same, but it was lost before its last commit: those events are gone. */
bool vrun_cut(struct vrun *v, struct error *err);

/* A fresh fold of the first n events, which the caller frees; NULL marks v broken. */
struct run_state *vrun_fold(struct vrun *v, size_t n);

/* Whether all that can be asked of two states is the same; if not, err says what. */
bool vrun_same_state(const struct run_state *a, const struct run_state *b, struct error *err);

#endif
