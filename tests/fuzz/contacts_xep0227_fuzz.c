/* Exports of XMPP servers.  Nothing may be included: there is no folder. */
#include "config.h"

#include "tests/fuzz/contacts_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int
read_xmpp(const struct input *in, const struct reader *reader, struct fault *f)
{
	struct read_stats stats;

	return xep0227_read(in, -1, reader, &stats, f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	fuzz_round(data, len, "xep0227", read_xmpp);
	return 0;
}
