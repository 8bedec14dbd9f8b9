/* shrink.h -- the smallest case that still breaks a rule. */
#ifndef TESTS_SIM_SHRINK_H
#define TESTS_SIM_SHRINK_H

#include "tests/sim/sim.h"

/* Makes *c smaller while it still breaks the same rule: fewer steps, acts, edges,
 * limits, faults, features.  s is used for the tries.  Returns the tries it took. */
uint64_t shrink(struct sim *s, struct sim_case *c);

/* Prints the case: the rule, and a text that tests/golden takes (README in print.c). */
void print_case(struct sim *s, const struct sim_case *c);

/* Writes it as a golden case into the folder dir, which is made.  0, or -1 with errno. */
int write_case(struct sim *s, const struct sim_case *c, const char *dir);

#endif
