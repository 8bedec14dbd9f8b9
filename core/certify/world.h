/* world.h -- what has happened to the world of the certificate (plugins/certify), and the
 * rules that it must have kept.  Pure but for reading one file.
 */
#ifndef CORE_CERTIFY_WORLD_H
#define CORE_CERTIFY_WORLD_H

#include "core/base/error.h"
#include "core/base/json.h"

#define WORLD_WORD_MAX 64
#define WORLD_FINDINGS_MAX 5

enum world_what { WORLD_EFFECT, WORLD_PROBE, WORLD_UNDO, WORLD_POINT, WORLD_GIVEN, N_WORLD_WHATS };

/* One line of the world's log. */
struct world_line {
	enum world_what what;
	uint32_t generation;
	long pid;
	char step[WORLD_WORD_MAX], object[WORLD_WORD_MAX], value[WORLD_WORD_MAX];
};

struct world {
	struct world_line *line;
	size_t n, cap;
};

/* A step of the certificate's plan, as the rules see it. */
struct world_step {
	const char *name;
	uint32_t objects;
	bool probes;   /* nothing is changed without a look */
	bool records;  /* each change has an undo record */
};

/* The steps that change the world; the last one has no name. */
extern const struct world_step world_steps[];

/* What a journal said when its orchestrator had ended; sets of "step", "step/object" and
 * "kind/step/attempt". */
struct witness {
	uint32_t generation;
	bool any;         /* there was a run */
	bool ended;       /* it was over */
	json_t *intents;  /* steps that were about to be applied */
	json_t *undo;     /* objects with an undo record */
	json_t *points;   /* checkpoints */
	json_t *events;   /* each with its number, the first one of that name */
	json_t *hashes;   /* of event n at n - 1 */
};

/* What was found wrong: the first few, as sentences. */
struct findings {
	size_t n;         /* found; text has at most WORLD_FINDINGS_MAX of them */
	char text[WORLD_FINDINGS_MAX][200];
};

void finding_add(struct findings *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A missing file is an empty world.  E_IO, E_NOMEM, E_CORRUPT. */
int world_read(struct world *world, const char *path, struct error *err);
void world_release(struct world *world);

/* How many objects of step have been changed. */
uint32_t world_done(const struct world *world, const char *step);

/* All that was done by the time of a witness's journal was to be done by it, each change had
 * its undo record in it, and all that it had acknowledged is in it. */
void world_check_witness(const struct world *world, const struct witness *witness,
			 struct findings *f);
/* Each object was changed once, and as in an undisturbed run; no attempt changed something
 * that it had not looked at after the last other one; no two generations acted at once;
 * every attempt was given the last checkpoint. */
void world_check_end(const struct world *world, const struct world *wanted, struct findings *f);

#endif
