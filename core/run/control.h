/* control.h -- STATE/RUN.sock: an operator's words to a run under way.
 *
 * One JSON object per line each way (connect, say, read the answer):
 *	{"kind":"operator.retry","step":"dns","reason":"named is back"}
 *	{"ok":true}   or   {"ok":false,"text":"step dns is done","usage":false}
 * usage: what was said can never apply (no such step), whatever the run's state.
 * The actor is who the kernel says that the peer is (SO_PEERCRED), never what the
 * message says.  The socket is mode 0600 in a folder of mode 0700.
 */
#ifndef CORE_RUN_CONTROL_H
#define CORE_RUN_CONTROL_H

#include "core/base/error.h"
#include "core/base/json.h"

#include <uv.h>

struct control;

/* Handles one word; event has kind, actor and what was said, and is borrowed.  The
 * answer is sent once the word is durable: 0, or a failure with its text. */
typedef int control_word_fn(void *ctx, json_t *event, struct error *err);

/* NULL with err: the run goes on without it, and says so. */
struct control *control_open(uv_loop_t *loop, const char *state_dir, const char *run,
			     control_word_fn *word, void *ctx, struct error *err);
/* Closes and removes the socket; the loop frees the memory. */
void control_close(struct control *control);

/* The other side: says word (an object) to the run's orchestrator and waits for the
 * answer.  E_NOTFOUND: nobody listens; E_REFUSED, E_INVALID: the answer's text is in
 * err. */
int control_say(const char *state_dir, const char *run, const json_t *word, struct error *err);

/* The kinds that may be said: "operator.approve", …  NULL-terminated. */
extern const char *const control_kinds[];

/* Checks kind, step and reason of a word from outside. */
int control_check(const json_t *word, struct error *err);

#endif
