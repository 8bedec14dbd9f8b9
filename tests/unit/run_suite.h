/* run_suite.h -- what every Check program ends its main with. */
#ifndef RESITE_TESTS_RUN_SUITE_H
#define RESITE_TESTS_RUN_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Runs all tests of suite, which it frees; the program's exit status.  CK_VERBOSITY says
 * how much is printed. */
static inline int
run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
