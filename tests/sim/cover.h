/* cover.h -- how often each thing was exercised. */
#ifndef TESTS_SIM_COVER_H
#define TESTS_SIM_COVER_H

#include "core/base/base.h"

#define COVERED(X)                                                                              \
	X(RUNS, "runs")                                                                         \
	X(STEPS, "steps")                                                                       \
	X(EVENTS, "events")                                                                     \
	X(COMMITS, "commits, each with fold == live state")                                     \
	X(JSON_RUNS, "runs whose durable state is folded from JSON")                            \
	X(PLANNED, "runs in mode planned")                                                      \
	X(DISASTER, "runs in mode disaster")                                                    \
	X(REHEARSAL, "runs in mode rehearsal")                                                  \
	X(LIMITED, "runs with limits")                                                          \
	X(RUN_DEADLINE, "runs with a deadline of their own")                                    \
	X(MODAL, "runs with steps of one mode only")                                            \
	X(BOUND, "runs bound to a preview")                                                     \
	X(STARTS, "attempts started")                                                           \
	X(RETRIES, "of these: not the step's first")                                            \
	X(GATES, "gates opened")                                                                \
	X(PASSES, "joins and steps passed over")                                                \
	X(WAKES, "backoffs that ended by time")                                                 \
	X(DECIDED_APPLY, "probes: apply")                                                       \
	X(DECIDED_CONVERGED, "probes: converged")                                               \
	X(DECIDED_LOOK, "probes: look only")                                                    \
	X(DECIDED_REFUSED, "probes: refused (expect, or doubt)")                                \
	X(APPLIED, "changes of the world")                                                      \
	X(APPLIED_BLIND, "of these: by actions that cannot look")                               \
	X(UNDO, "undo records acknowledged")                                                    \
	X(NOTES, "checkpoints and outputs")                                                     \
	X(OK, "ends: ok")                                                                       \
	X(TRANSIENT, "ends: transient")                                                         \
	X(CONFLICT, "ends: conflict")                                                           \
	X(REFUSED, "ends: refused")                                                             \
	X(INVALID, "ends: invalid")                                                             \
	X(BUG, "ends: bug")                                                                     \
	X(CANCELLED, "ends: cancelled")                                                         \
	X(UNKNOWN, "ends: unknown")                                                             \
	X(KILLED, "of these: killed at the deadline")                                           \
	X(NURSERY, "of these: the nursery was lost")                                            \
	X(BATCHES, "turns with several ends at once")                                           \
	X(APPROVE, "words: approve")                                                            \
	X(RETRY, "words: retry")                                                                \
	X(SKIP, "words: skip")                                                                  \
	X(BY_HAND, "words: by-hand")                                                            \
	X(PAUSE, "words: pause")                                                                \
	X(STOP, "words: stop, and stop --now")                                                  \
	X(CONTINUE, "words: continue")                                                          \
	X(MODE, "words: mode disaster")                                                         \
	X(ABANDON, "words: abandon")                                                            \
	X(STOP_NOW, "attempts cancelled by stop --now")                                         \
	X(SAID, "words said before, with nothing left to do")                                   \
	X(OFFLINE, "words to a run that is not under way")                                      \
	X(WORD_REFUSED, "words refused")                                                        \
	X(TWICE, "of these: approved by the same person before")                                \
	X(LATE, "words said after the run had ended, refused")                                  \
	X(STALE, "events that cannot be, refused")                                              \
	X(LOST, "orchestrators killed between turns")                                           \
	X(CUT, "killed before a commit: its events are gone")                                   \
	X(LOST_COMMITTED, "killed after a commit, before its effects")                          \
	X(LOST_HALFWAY, "killed in the middle of its effects")                                  \
	X(OPEN_LOST, "attempts that were open then")                                            \
	X(HELD, "pauses by a person")                                                           \
	X(PAUSED, "pauses, each with a reason and a word that helps")                           \
	X(STOPPED_BY_PERSON, "stops by a person")                                               \
	X(STOPPED_BY_POLICY, "stops by a step's policy")                                        \
	X(RESUMED, "resumes")                                                                   \
	X(ENDED_DONE, "runs that ended done")                                                   \
	X(ENDED_FAILED, "runs that ended with failed steps passed")

#define COVER_NAME(name, text) COVER_##name,
enum cover { COVERED(COVER_NAME) COVERS };
#undef COVER_NAME

/* What it is, for the table. */
const char *cover_text(enum cover what);

#endif
