#ifndef VAULT_ACTIONS_H
#define VAULT_ACTIONS_H

#include "sdk/vault/step.h"

#define ACTION(name) int name(struct resite_op *op, const struct resite_host *host)
ACTION(check_probe);
ACTION(check_verify);
ACTION(retain_probe);
ACTION(retain_apply);
ACTION(copy_check);
ACTION(copy_probe);
ACTION(copy_apply);
ACTION(copy_verify);
ACTION(trial_verify);

#endif
