/* shim.h -- what the files of the shim share; private.
 *
 * Nothing here may be seen by the program into which the shim is loaded.
 */
#ifndef CORE_CERTIFY_SHIM_H
#define CORE_CERTIFY_SHIM_H

#include "core/certify/fault.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

enum role { ROLE_NONE, ROLE_OWNER, ROLE_WORKER };

struct shim {
	struct fault_page *page; /* NULL: do nothing */
	enum role role;
};

struct shim *the_shim(void);

/* --- shim_loss.c --- */

/* Whether the orchestrator's fd is a file or folder of the state directory; its path. */
bool shim_is_ours(int fd, char path[PATH_MAX]);
/* The same of an absolute path; a relative one is none of ours. */
bool shim_is_our_name(const char *name);
/* A record with room for data_len bytes behind its path; NULL: the arena is full. */
struct fault_record *shim_record(enum fault_record_kind kind, const char *path, size_t data_len);
/* [offset, offset + len) of fd is about to change. */
void shim_keep_bytes(int fd, const char *path, uint64_t offset, uint64_t len);
/* A sync of a file keeps its bytes; one of a folder keeps the names in it. */
void shim_mark(const char *synced, uint32_t state);
/* The file's records mean nothing any more.  Whether its name was durable. */
bool shim_forget(const char *path);

#pragma GCC visibility pop

#endif
