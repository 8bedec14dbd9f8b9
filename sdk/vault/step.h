/* sdk/vault/step.h -- the vault for a plugin's step, by the parameters of params.h.
 *
 * All return 0 or a negative enum vault_rc with err filled; vault_step_fail turns that into what
 * the host is told. */
#ifndef RESITE_VAULT_STEP_H
#define RESITE_VAULT_STEP_H

#include "sdk/vault/params.h"
#include "sdk/vault/vault.h"

#include <resite/easy.h>

/* What the core should do about a vault's failure: an enum resite_rc. */
int vault_step_rc(int vault_rc);
/* Explains err to the host and returns vault_step_rc of it. */
int vault_step_fail(struct resite_op *op, const struct resite_host *host,
		    const struct vault_error *err);

/* A vault_tick: a heartbeat; stops when time is up. */
struct vault_step {
	struct resite_op *op;
	const struct resite_host *host;
};
vault_tick vault_step_tick; /* arg: struct vault_step */

/* From the step's key; *ret is NULL when it has none. */
int vault_step_key(struct resite_op *op, const struct resite_host *host, struct vault_key **ret,
		   struct vault_error *err);

/* Opens the set that the step asks for (vault, name, set, from_site, max_age, max_age_reason),
 * of kind (NULL: any), and gives it the step's key.  flags as vault_open; the payload is for
 * reading only when VAULT_MANIFEST_ONLY is not among them.  note: "" or a sentence for
 * host->loss. */
int vault_step_open(struct resite_op *op, const struct resite_host *host, const char *kind,
		    unsigned flags, struct vault_set **ret, char note[VAULT_NOTE_MAX],
		    struct vault_error *err);

/* Begins a set by vault, name, site and key.  tool: the plugin and its version. */
int vault_step_write(struct resite_op *op, const struct resite_host *host, const char *kind,
		     const char *tool, struct vault_writer **ret, struct vault_error *err);
/* Compares with the set before (shrink_warn, shrink_refuse, shrink_reason), logs what is to be
 * said of that, then makes the set visible.  note as above. */
int vault_step_commit(struct resite_op *op, const struct resite_host *host,
		      struct vault_writer *w, char note[VAULT_NOTE_MAX], struct vault_error *err);
/* After the commit: the output "set", and a checkpoint by which vault_step_newest knows it. */
int vault_step_written(struct resite_op *op, const struct resite_host *host,
		       const struct vault_writer *w);

/* For the probe of a step that writes sets: the newest one by its manifest; *ret is NULL when
 * there is none, or a damaged one, which is logged: then a new set is wanted all the more.
 * *ret_will_do: this step has written it in this run, or it is of this kind and site, and younger
 * than fresh_for. */
int vault_step_newest(struct resite_op *op, const struct resite_host *host, const char *kind,
		      struct vault_set **ret, bool *ret_will_do, struct vault_error *err);

#endif
