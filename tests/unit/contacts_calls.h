/* contacts_calls.h -- one phase of a step, and what is expected of it. */
#ifndef TESTS_UNIT_CONTACTS_CALLS_H
#define TESTS_UNIT_CONTACTS_CALLS_H

#include "sdk/testkit/fakehost.h"

#include <check.h>
#include <string.h>

static inline void
call(struct fakehost *fh, enum fakehost_phase phase)
{
	int rc = fakehost_call(fh, phase);

	ck_assert_msg(rc == RESITE_OK, "%d: %s", rc, fakehost_failure(fh));
}

static inline void
fails(struct fakehost *fh, enum fakehost_phase phase, int rc, const char *says)
{
	int got = fakehost_call(fh, phase);

	ck_assert_msg(got == rc, "%d, not %d: %s", got, rc, fakehost_failure(fh));
	ck_assert_msg(strstr(fakehost_failure(fh), says), "'%s' does not say '%s'",
		      fakehost_failure(fh), says);
}

#endif
