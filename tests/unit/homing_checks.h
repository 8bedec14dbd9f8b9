/* homing_checks.h -- what the tests of ldap-homing against real servers share. */
#ifndef RESITE_TESTS_HOMING_CHECKS_H
#define RESITE_TESTS_HOMING_CHECKS_H

#include "sdk/testkit/fakehost.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct resite_plugin *resite_plugin_v0(void);

#define call_is(fh, phase, rc)                                                             \
	do {                                                                               \
		int rc_ = fakehost_call(fh, phase);                                        \
		ck_assert_msg(rc_ == (rc), #phase " gave %d: %s", rc_, fakehost_failure(fh)); \
	} while (0)

#define revert_is(fh, way, rc)                                                             \
	do {                                                                               \
		int rc_ = fakehost_revert(fh, way);                                        \
		ck_assert_msg(rc_ == (rc), #way " gave %d: %s", rc_, fakehost_failure(fh)); \
	} while (0)

#define failure_has(fh, part)                                                              \
	ck_assert_msg(strstr(fakehost_failure(fh), part), "no '%s' in: %s", part,          \
		      fakehost_failure(fh))

#define text_has(text, part) ck_assert_msg(strstr(text, part), "no '%s' in: %s", part, text)

/* A host for the action of that name. */
static inline struct fakehost *
action_host(const char *name)
{
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), name));

	if (getenv("TRACE"))
		fakehost_trace(fh, stderr);
	return fh;
}

static inline void
set_param(struct fakehost *fh, const char *name, const char *text)
{
	fakehost_param_clear(fh, name);
	if (text)
		fakehost_param(fh, name, text);
}

static inline void
output_is(struct fakehost *fh, const char *name, unsigned n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	ck_assert_msg(fakehost_output(fh, name) != NULL, "no output %s", name);
	ck_assert_str_eq(fakehost_output(fh, name), text);
}

#endif
