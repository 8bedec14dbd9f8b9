/* actions.h -- the functions that the table in plugin.c names. */
#ifndef ARCHIVING_ACTIONS_H
#define ARCHIVING_ACTIONS_H

#include <resite/plugin.h>

#define ACTION(name) int name(struct resite_op *op, const struct resite_host *host)

ACTION(gate_check);
ACTION(gate_probe);
ACTION(gate_apply);
ACTION(gate_verify);

#endif
