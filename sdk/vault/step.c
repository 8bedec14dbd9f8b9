#include "sdk/vault/step.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define KEY_TEXT_MAX 4096

static int
fail(struct vault_error *err, int code, const char *text)
{
	err->code = code;
	snprintf(err->text, sizeof err->text, "%s", text);
	return code;
}

int
vault_step_rc(int vault_rc)
{
	switch (vault_rc) {
	case VAULT_OK:
		return RESITE_OK;
	case VAULT_ERR_BUSY:
	case VAULT_ERR_MEMORY:
	case VAULT_ERR_REMOTE:
		return RESITE_ERR_TRANSIENT;
	case VAULT_ERR_INVALID:
		return RESITE_ERR_INVALID;
	case VAULT_ERR_STOPPED:
		return RESITE_ERR_CANCELLED;
	}
	return RESITE_ERR_REFUSED;
}

/* The parameter that a person would change. */
static const char *
param_of(int vault_rc)
{
	switch (vault_rc) {
	case VAULT_ERR_KEY:
		return "key";
	case VAULT_ERR_OLD:
		return "max_age";
	case VAULT_ERR_SHRUNK:
		return "shrink_refuse";
	}
	return NULL;
}

int
vault_step_fail(struct resite_op *op, const struct resite_host *host,
		const struct vault_error *err)
{
	host->fail(op, param_of(err->code), 0, err->text);
	return vault_step_rc(err->code);
}

int
vault_step_tick(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	const struct vault_step *step = arg;

	step->host->progress(step->op, done_bytes, total_bytes, "verifying bytes");
	return step->host->time_left_ms(step->op) <= 0;
}

int
vault_step_key(struct resite_op *op, const struct resite_host *host, struct vault_key **ret,
	       struct vault_error *err)
{
	const char *ref = resite_str_or(op, host, "key", NULL);
	char *text;
	int len, rc;

	*ret = NULL;
	if (!ref)
		return VAULT_OK;
	text = malloc(KEY_TEXT_MAX);
	if (!text)
		return fail(err, VAULT_ERR_MEMORY, "out of memory");
	len = host->secret(op, ref, text, KEY_TEXT_MAX);
	if (len < 0)
		rc = fail(err, VAULT_ERR_KEY, "the secret of key cannot be read");
	else if (len > KEY_TEXT_MAX)
		rc = fail(err, VAULT_ERR_KEY, "the secret of key is too long: at most 4096 bytes");
	else
		rc = vault_key_new(ret, text, (size_t)len, err);
	sodium_memzero(text, KEY_TEXT_MAX);
	free(text);
	return rc;
}

static int
check_kind(const struct vault_set *s, const char *kind, const char *site, struct vault_error *err)
{
	char text[VAULT_ERROR_MAX];

	if (kind && strcmp(vault_set_kind(s), kind))
		snprintf(text, sizeof text, "set %s holds '%s', not '%s'", vault_set_name(s),
			 vault_set_kind(s), kind);
	else if (site && strcmp(vault_set_site(s), site))
		snprintf(text, sizeof text, "set %s was made at site '%s', not at '%s': it is not used",
			 vault_set_name(s), vault_set_site(s), site);
	else
		return VAULT_OK;
	return fail(err, VAULT_ERR_DAMAGED, text);
}

static int
check(struct resite_op *op, const struct resite_host *host, const char *kind,
      struct vault_set *s, bool unlock, char note[VAULT_NOTE_MAX], struct vault_error *err)
{
	struct vault_key *key = NULL;
	int rc = check_kind(s, kind, resite_str_or(op, host, "from_site", NULL), err);

	if (rc == VAULT_OK)
		rc = vault_check_age(s, resite_i64_or(op, host, "max_age", 0),
				     resite_str_or(op, host, "max_age_reason", NULL), note, err);
	if (rc == VAULT_OK && unlock && vault_set_encrypted(s)) {
		rc = vault_step_key(op, host, &key, err);
		if (rc == VAULT_OK)
			rc = vault_unlock(s, key, err);
		vault_key_free(key);
	}
	return rc;
}

int
vault_step_open(struct resite_op *op, const struct resite_host *host, const char *kind,
		unsigned flags, struct vault_set **ret, char note[VAULT_NOTE_MAX],
		struct vault_error *err)
{
	struct vault_step step = {op, host};
	struct vault_set *s;

	if (vault_open(&s, host->param_str(op, "vault", 0), host->param_str(op, "name", 0),
		       resite_str_or(op, host, "set", NULL), flags, vault_step_tick, &step, err) < 0)
		return err->code;
	if (check(op, host, kind, s, !(flags & VAULT_MANIFEST_ONLY), note, err) < 0) {
		vault_close(s);
		return err->code;
	}
	*ret = s;
	return VAULT_OK;
}

int
vault_step_write(struct resite_op *op, const struct resite_host *host, const char *kind,
		 const char *tool, struct vault_writer **ret, struct vault_error *err)
{
	const struct vault_about about = {kind, host->param_str(op, "site", 0), tool};
	struct vault_writer *w = NULL;
	struct vault_key *key;

	if (vault_step_key(op, host, &key, err) < 0)
		return err->code;
	if (vault_writer_new(&w, host->param_str(op, "vault", 0), host->param_str(op, "name", 0),
			     &about, err) == VAULT_OK &&
	    vault_writer_encrypt(w, key, err) < 0) {
		vault_writer_free(w);
		w = NULL;
	}
	vault_key_free(key);
	*ret = w;
	return w ? VAULT_OK : err->code;
}

int
vault_step_commit(struct resite_op *op, const struct resite_host *host, struct vault_writer *w,
		  char note[VAULT_NOTE_MAX], struct vault_error *err)
{
	const struct vault_shrink rule = {
		resite_i64_or(op, host, "shrink_warn", 0),
		resite_i64_or(op, host, "shrink_refuse", 0),
		resite_str_or(op, host, "shrink_reason", NULL),
	};

	if (vault_writer_check_growth(w, &rule, note, err) < 0)
		return err->code;
	if (*note)
		resite_log(op, host, RESITE_LOG_WARN, "%s", note);
	return vault_writer_commit(w, err);
}

/* --- sets that a step writes ---------------------------------------------------------- */

#define WRITTEN "written"

int
vault_step_written(struct resite_op *op, const struct resite_host *host,
		   const struct vault_writer *w)
{
	int rc = host->output(op, "set", vault_writer_set(w));

	return rc == RESITE_OK ? host->checkpoint(op, WRITTEN, vault_writer_set(w)) : rc;
}

static bool
will_do(struct resite_op *op, const struct resite_host *host, const char *kind,
	const struct vault_set *s)
{
	const char *data = NULL, *name = host->last_checkpoint(op, &data);
	int64_t age = vault_set_age_ms(s);

	if (name && !strcmp(name, WRITTEN) && data && !strcmp(data, vault_set_name(s)))
		return true;
	return age >= 0 && age < resite_i64_or(op, host, "fresh_for", 0) &&
	       !strcmp(vault_set_kind(s), kind) &&
	       !strcmp(vault_set_site(s), host->param_str(op, "site", 0));
}

int
vault_step_newest(struct resite_op *op, const struct resite_host *host, const char *kind,
		  struct vault_set **ret, bool *ret_will_do, struct vault_error *err)
{
	int rc = vault_open(ret, host->param_str(op, "vault", 0), host->param_str(op, "name", 0), NULL,
			    VAULT_MANIFEST_ONLY, NULL, NULL, err);

	*ret_will_do = rc == VAULT_OK && will_do(op, host, kind, *ret);
	if (rc == VAULT_OK)
		return rc;
	*ret = NULL;
	if (rc == VAULT_ERR_DAMAGED)
		resite_log(op, host, RESITE_LOG_WARN, "%s", err->text);
	return rc == VAULT_ERR_DAMAGED || rc == VAULT_ERR_NONE ? VAULT_OK : rc;
}
