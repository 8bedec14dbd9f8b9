/* fake.h -- the plugin `t` of golden plans and simulations: three kinds of actions,
 * no code behind them. */
#ifndef TESTS_GOLDEN_FAKE_H
#define TESTS_GOLDEN_FAKE_H

#include "core/plan/schema.h"

enum fake_action {
	FAKE_DO,    /* t.do: has all five functions */
	FAKE_BLIND, /* t.blind: can only apply */
	FAKE_LOOK,  /* t.look: reads, verify alone */
};

extern const struct schema_plugin fake_plugin;
extern const struct schema_source fake_source; /* knows `t` and nothing else */

#endif
