/* certify.h -- the crash certificate: does a run survive whatever happens, on this disk?
 *
 * A small run with a step of each kind (plugins/certify) is carried out undisturbed, and the
 * calls that it makes are counted: writes and syncs of the journal, messages between the
 * orchestrator and its workers, changes of the world.  Then it is carried out again and
 * again, and each time one of these calls goes wrong (cases.h); it is resumed as an operator
 * would, to its end; and what happened is held against the rules of world.h.
 */
#ifndef CORE_CERTIFY_CERTIFY_H
#define CORE_CERTIFY_CERTIFY_H

#include "core/base/json.h"
#include "core/base/strbuf.h"
#include "core/run/settings.h"

#define CERTIFY_POINTS_DEFAULT 400

struct certify_options {
	const char *dir;      /* on the disk that is to be certified; made when it is not there */
	uint64_t seed;        /* of the choice of cases, and of what a power cut leaves */
	size_t cases;         /* at most that many; 0: all */
	const char *only;     /* one case (cases.h), or NULL */
	const char *broken;   /* break on purpose: "sync", "undo", "probe"; or NULL */
	uint32_t jobs;        /* cases at once; 0: one for each processor */
};

/* Called after each case. */
typedef void certify_progress_fn(void *ctx, size_t done, size_t total, size_t failed);

/* Makes a certificate: an object {facts…, cases, kinds, failures}.  A case that fails is no
 * failure of the call.  SIGINT and SIGTERM end it early.  E_INVALID: an option; E_IO, E_NOMEM. */
int certify_run(const struct settings *settings, const struct certify_options *options,
		certify_progress_fn *progress, void *ctx, json_t **ret, struct error *err);

/* Whether all that was planned was tried. */
bool certificate_whole(const json_t *certificate);
/* Whether it was, and everything has passed. */
bool certificate_passed(const json_t *certificate);
/* For people. */
void certificate_write(struct strbuf *out, const json_t *certificate);
/* Saves DIR/resite-certificate.txt and .json; *ret_path is the first one's path, to be freed. */
int certificate_save(const json_t *certificate, const char *dir, char **ret_path,
		     struct error *err);

#endif
