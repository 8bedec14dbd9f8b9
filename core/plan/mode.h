/* mode.h -- the names of enum resite_mode, as plans, journals and workers write them. */
#ifndef CORE_PLAN_MODE_H
#define CORE_PLAN_MODE_H

#include <resite/plugin.h>

/* "disaster", "planned", "rehearsal"; NULL for another number. */
const char *mode_name(int mode);
/* 0: no such mode; name may be NULL. */
int mode_parse(const char *name);

/* The names, from mode_words[1] on, NULL-terminated; mode_words[0] is "". */
extern const char *const mode_words[];

#endif
