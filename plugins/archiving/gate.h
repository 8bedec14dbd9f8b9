/* gate.h -- the parts of archiving.gate: whether to look, and the two ways of looking. */
#ifndef ARCHIVING_GATE_H
#define ARCHIVING_GATE_H

#include <resite/easy.h>

#include <stdbool.h>
#include <stdint.h>

#define MARKER_ID_MAX 48
/* Of every marker that this plugin ever writes. */
#define MARKER_PREFIX "resite-"

/* Must the archive be seen to take a message?  *ret_why: one sentence.  Pure. */
bool gate_is_needed(int64_t archived, bool critical, char *ret_why, size_t size);

/* Small letters, digits and _, with or without a schema before a dot.  Pure. */
bool gate_is_table(const char *name);

/* In PostgreSQL.  All: RESITE_OK, or a failure that the host has been told of. */

/* Reads only: could a marker be written?  where: "host:port/database, table T". */
int marker_look(struct resite_op *op, const struct resite_host *host, char *where, size_t size);
/* Clears what earlier attempts left (known: the marker of the last one, or NULL), writes id, reads
 * it back and deletes it. */
int marker_prove(struct resite_op *op, const struct resite_host *host, const char *known,
		 const char *id);
/* Is nothing of id left? */
int marker_is_gone(struct resite_op *op, const struct resite_host *host, const char *id);

#endif
