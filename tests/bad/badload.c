/* badload.c -- files that cannot be used as plugins; BADLOAD_* chooses how. */
#define _GNU_SOURCE
#include <resite/plugin.h>

#include <signal.h>
#include <unistd.h>

__attribute__((unused)) static int
ok(struct resite_op *op, const struct resite_host *host)
{
	(void)op;
	(void)host;
	return RESITE_OK;
}

__attribute__((unused)) static const struct resite_action actions[] = {
	{.name = "noop", .summary = "does nothing", .apply = ok},
};

#define BAD(...) \
	RESITE_PLUGIN(.name = "bad", .version = "1", .summary = "unusable", .actions = actions, \
		      .n_actions = 1, __VA_ARGS__)

#pragma GCC diagnostic ignored "-Woverride-init"

#if defined BADLOAD_MAGIC
BAD(.magic = 0x12345678)
#elif defined BADLOAD_MAJOR
BAD(.abi_major = 7)
#elif defined BADLOAD_MINOR
BAD(.needs_minor = 99)
#elif defined BADLOAD_DRAFT
BAD(.abi_minor = 1)
#elif defined BADLOAD_NAME
BAD(.name = "another")
#elif defined BADLOAD_SIZE
BAD(.action_size = 3)
#elif defined BADLOAD_SYMBOL
__attribute__((visibility("default"))) int resite_plugin_v3(void);
int
resite_plugin_v3(void)
{
	return 3;
}
#elif defined BADLOAD_NONE
__attribute__((visibility("default"))) int some_library(void);
int
some_library(void)
{
	return 3;
}
#elif defined BADLOAD_CRASH
__attribute__((constructor)) static void
at_load(void)
{
	signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler would exit instead */
	raise(SIGSEGV);
}
BAD(.needs_minor = 0)
#elif defined BADLOAD_HANG
__attribute__((constructor)) static void
at_load(void)
{
	for (;;)
		pause();
}
BAD(.needs_minor = 0)
#endif
