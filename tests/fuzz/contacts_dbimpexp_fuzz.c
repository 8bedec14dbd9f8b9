/* Contact exports of Lync 2010, and the XML of those of 2013. */
#include "config.h"

#include "tests/fuzz/contacts_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int
read_lync(const struct input *in, const struct reader *reader, struct fault *f)
{
	struct read_stats stats;

	return lync_read(in, reader, &stats, f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	fuzz_round(data, len, "dbimpexp", read_lync);
	return 0;
}
