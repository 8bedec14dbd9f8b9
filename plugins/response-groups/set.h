/* set.h -- a configuration in the vault: one line for each object. */
#ifndef RESPONSE_GROUPS_SET_H
#define RESPONSE_GROUPS_SET_H

#include "plugins/response-groups/rows.h"
#include "sdk/vault/step.h"

#define RGS_KIND "response-groups/1"
#define RGS_FILE "configuration.txt"

/* Writes rows into w's payload file, with their counts and digest in the manifest. */
int rgs_set_write(struct vault_writer *w, const struct rgs_rows *rows, struct vault_error *err);
/* Reads them and proves them against the manifest. */
int rgs_set_read(const struct vault_set *s, struct rgs_rows *ret, struct rgs_error *e);

#endif
