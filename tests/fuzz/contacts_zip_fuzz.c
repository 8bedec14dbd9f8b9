/* The zip of Lync 2013: libarchive wants a file. */
#define _GNU_SOURCE
#include "config.h"

#include "plugins/contacts/open.h"
#include "tests/fuzz/contacts_fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int
see(void *arg, const struct model_user *u, struct fault *f)
{
	(void)f;
	if (strlen(model_text(u, u->name)) == 0)
		abort();
	++*(int *)arg;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int n = 0, fd = memfd_create("zip", MFD_CLOEXEC);
	const struct reader reader = {.user = see, .arg = &n};
	struct read_stats stats;
	struct contacts_in in;
	struct fault f;
	char path[64];

	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (contacts_in_file(&in, path, "auto", &f) == 0 &&
	    contacts_in_read(&in, &reader, &stats, &f) == 0 && stats.users != (uint64_t)n)
		abort();
	close(fd);
	return 0;
}
