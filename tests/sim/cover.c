#include "core/base/base.h"
#include "tests/sim/cover.h"

const char *
cover_text(enum cover what)
{
#define COVER_TEXT(name, text) text,
	static const char *const texts[] = {COVERED(COVER_TEXT)};
#undef COVER_TEXT

	return texts[what];
}
