#include "core/base/base.h"
#include "core/base/error.h"
#include "core/plan/strmap.h"

#include <stdlib.h>
#include <string.h>

static uint32_t
hash_bytes(const char *s, size_t len) /* FNV-1a */
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619u;
	return h;
}

static struct strmap_slot *
find_slot(const struct strmap *map, const char *key, size_t len, uint32_t hash)
{
	size_t i = hash & (map->cap - 1);

	while (map->slot[i].key && (map->slot[i].hash != hash ||
				    strncmp(map->slot[i].key, key, len) ||
				    map->slot[i].key[len]))
		i = (i + 1) & (map->cap - 1);
	return &map->slot[i];
}

static int
grow(struct strmap *map)
{
	struct strmap bigger = {.cap = map->cap ? map->cap * 2 : 16, .len = map->len};

	bigger.slot = calloc(bigger.cap, sizeof(*bigger.slot));
	if (!bigger.slot)
		return E_NOMEM;
	for (size_t i = 0; i < map->cap; i++) {
		size_t at = map->slot[i].hash & (bigger.cap - 1);

		if (!map->slot[i].key)
			continue;
		while (bigger.slot[at].key)
			at = (at + 1) & (bigger.cap - 1);
		bigger.slot[at] = map->slot[i];
	}
	free(map->slot);
	*map = bigger;
	return 0;
}

int
strmap_put(struct strmap *map, const char *key, uint32_t value)
{
	size_t len = strlen(key);
	uint32_t hash = hash_bytes(key, len);
	struct strmap_slot *slot;

	if (map->len * 2 >= map->cap && grow(map) < 0)
		return E_NOMEM;
	slot = find_slot(map, key, len, hash);
	if (slot->key)
		return 0;
	*slot = (struct strmap_slot){key, hash, value};
	map->len++;
	return 1;
}

uint32_t
strmap_getn(const struct strmap *map, const char *key, size_t len)
{
	const struct strmap_slot *slot;

	if (!map->cap)
		return STRMAP_NONE;
	slot = find_slot(map, key, len, hash_bytes(key, len));
	return slot->key ? slot->value : STRMAP_NONE;
}

uint32_t
strmap_get(const struct strmap *map, const char *key)
{
	return strmap_getn(map, key, strlen(key));
}

void
strmap_release(struct strmap *map)
{
	free(map->slot);
	*map = (struct strmap){0};
}
