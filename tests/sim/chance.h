/* chance.h -- random numbers that are the same everywhere (splitmix64). */
#ifndef TESTS_SIM_CHANCE_H
#define TESTS_SIM_CHANCE_H

#include "core/base/base.h"

struct chance {
	uint64_t state; /* the seed, to begin with */
};

static inline uint64_t
chance_next(struct chance *c)
{
	uint64_t z = (c->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0 up to, not including, n. */
static inline uint32_t
chance_below(struct chance *c, uint32_t n)
{
	return (uint32_t)((chance_next(c) >> 32) * n >> 32);
}

static inline bool
chance_one_in(struct chance *c, uint32_t n)
{
	return chance_below(c, n) == 0;
}

#endif
