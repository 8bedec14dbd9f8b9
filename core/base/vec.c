#include "core/base/base.h"
#include "core/base/error.h"
#include "core/base/vec.h"

#include <stdlib.h>
#include <string.h>

int
vec_grow(void *array, size_t size, size_t need, size_t *cap)
{
	size_t grown_cap = *cap ? *cap : 8;
	void *old, *grown;

	if (need <= *cap)
		return 0;
	while (grown_cap < need)
		grown_cap *= 2;
	if (grown_cap > SIZE_MAX / size)
		return E_NOMEM;
	memcpy(&old, array, sizeof(old));
	grown = realloc(old, grown_cap * size);
	if (!grown)
		return E_NOMEM;
	memcpy(array, &grown, sizeof(grown));
	*cap = grown_cap;
	return 0;
}
