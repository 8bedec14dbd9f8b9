#include "core/base/base.h"
#include "core/plan/mode.h"

#include <string.h>

const char *const mode_words[] = {
	[0] = "",
	[RESITE_DISASTER] = "disaster",
	[RESITE_PLANNED] = "planned",
	[RESITE_REHEARSAL] = "rehearsal",
	NULL,
};

const char *
mode_name(int mode)
{
	return mode > 0 && mode <= RESITE_REHEARSAL ? mode_words[mode] : NULL;
}

int
mode_parse(const char *name)
{
	for (int mode = 1; name && mode_words[mode]; mode++)
		if (!strcmp(name, mode_words[mode]))
			return mode;
	return 0;
}
