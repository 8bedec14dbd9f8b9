/* control.h -- STATE/RUN.sock: an operator's words to a run under way.
 *
 * One JSON object per line each way (connect, say, read the answer):
 *	{"kind":"operator.retry","step":"dns","reason":"named is back"}
 *	{"ok":true,"text":"retry: the run goes on with it","said":false}   or
 *	{"ok":false,"text":"step dns is done","usage":false}
 * said: it had been said before, and nothing was done; usage: what was said can never
 * apply (no such step), whatever the run's state.
 * The actor is who the kernel says that the peer is (SO_PEERCRED), never what the
 * message says; what it says in `sudo` is kept as a hint.  The socket is for its owner
 * (mode 0600), or, where the folder lets its group in (settings.h), for that group.
 */
#ifndef CORE_RUN_CONTROL_H
#define CORE_RUN_CONTROL_H

#include "core/base/error.h"
#include "core/base/json.h"

#include <uv.h>

struct control;

/* What became of a word that was not refused. */
struct control_answer {
	char text[ERROR_MAX]; /* one line for who has said it */
	bool said;            /* it had been said before: nothing was done */
};

/* Handles one word; event has kind, actor and what was said, and is borrowed.  The
 * answer is sent once the word is durable: 0, or a failure with its text. */
typedef int control_word_fn(void *ctx, json_t *event, struct control_answer *answer,
			    struct error *err);

/* NULL with err: the run goes on without it, and says so. */
struct control *control_open(uv_loop_t *loop, const char *state_dir, const char *run,
			     control_word_fn *word, void *ctx, struct error *err);
/* Closes and removes the socket; the loop frees the memory. */
void control_close(struct control *control);

/* The other side: says word (an object) to the run's orchestrator and waits for the
 * answer.  E_NOTFOUND: nobody listens; E_REFUSED, E_INVALID: the answer's text is in
 * err. */
int control_say(const char *state_dir, const char *run, const json_t *word,
		struct control_answer *ret, struct error *err);

/* Whether an orchestrator listens there, and we may speak to it. */
bool control_reachable(const char *state_dir, const char *run);

/* Checks kind and reason of a word from outside. */
int control_check(const json_t *word, struct error *err);

#endif
