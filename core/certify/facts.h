/* facts.h -- on what a certificate was made. */
#ifndef CORE_CERTIFY_FACTS_H
#define CORE_CERTIFY_FACTS_H

#include "core/base/error.h"
#include "core/base/json.h"

/* Versions, kernel, the file system of dir with its mount options and its disk, and how many
 * writes of 4 KiB a second dir makes durable one by one.  New reference; NULL with err. */
json_t *facts_collect(const char *dir, struct error *err);

#endif
