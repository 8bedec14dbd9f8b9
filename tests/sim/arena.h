/* arena.h -- the memory of one simulated run, given back all at once.
 *
 * The program is linked with --wrap for malloc and its kin, so what the engine takes
 * while the arena is on comes from it.  Not under a sanitizer or valgrind: they are to
 * see every block.
 */
#ifndef TESTS_SIM_ARENA_H
#define TESTS_SIM_ARENA_H

#include "core/base/base.h"

/* Once, before anything of jansson's is made. */
void arena_init(void);

/* Between on and off, memory comes from the arena while there is room.  What was taken
 * from it must be forgotten before the next on. */
void arena_on(void);
/* Whether all of it had room since on: then nothing needs to be freed. */
bool arena_had_room(void);
void arena_off(void);

#endif
