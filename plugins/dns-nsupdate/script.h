/* script.h -- what nsupdate is told and what its words mean.  Pure. */
#ifndef DNS_NSUPDATE_SCRIPT_H
#define DNS_NSUPDATE_SCRIPT_H

#include "plugins/dns-nsupdate/step.h"

/* The script of one message with these changes and their prerequisites; with a TSIG key it
 * holds the secret: wipe it.  For the caller to free; NULL: no memory. */
char *script_build(const struct step *s, const struct zone *z, const struct change *const *c,
		   size_t n, size_t *ret_len);
/* exit_code < 0: it was killed.  words: all that it printed, joined by "; ". */
enum update_verdict script_judge(int exit_code, const char *words, struct update_failure *ret);

#endif
