/* strmap.h -- from strings to small numbers; open addressing. */
#ifndef CORE_PLAN_STRMAP_H
#define CORE_PLAN_STRMAP_H

#include "core/base/base.h"

#define STRMAP_NONE UINT32_MAX

struct strmap_slot {
	const char *key; /* not owned; NULL: free */
	uint32_t hash, value;
};

struct strmap {
	struct strmap_slot *slot; /* cap of them, a power of two */
	size_t len, cap;
};

/* Keeps key, which must outlive the map.  1: put in; 0: the key is there already,
 * its value stays; E_NOMEM. */
int strmap_put(struct strmap *map, const char *key, uint32_t value);

/* STRMAP_NONE when absent. */
uint32_t strmap_get(const struct strmap *map, const char *key);
uint32_t strmap_getn(const struct strmap *map, const char *key, size_t len);

void strmap_release(struct strmap *map);

#endif
