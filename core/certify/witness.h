/* witness.h -- what the journal says when an orchestrator has ended, however it did. */
#ifndef CORE_CERTIFY_WITNESS_H
#define CORE_CERTIFY_WITNESS_H

#include "core/certify/world.h"
#include "core/run/load.h"

/* Fills v from the newest run in the store of settings; its generation stays.  safe: up to
 * where the journal was durable before; that part must be there, unchanged.  *ret_end is where
 * it ends now.  What is wrong with the journal itself is a finding; the return value tells
 * only of failures to look. */
int witness_take(struct witness *v, const struct settings *settings,
		 const struct journal_end *safe, struct journal_end *ret_end,
		 struct findings *f, struct error *err);
void witness_release(struct witness *v);

/* Whether what an orchestrator has printed (JSON lines, each when it was durable) is in its
 * journal.  *safe moves on to the last one of them. */
int witness_check_printed(const struct witness *v, const char *path, struct journal_end *safe,
			  struct findings *f, struct error *err);

/* What an operator would say to the newest run now: {"kind", "step"}; NULL: nothing.  A step
 * that failed is done by hand when the world has all of it, else tried again. */
int witness_next_word(const struct settings *settings, const struct world *world, char **ret_run,
		      json_t **ret_word, struct error *err);

#endif
