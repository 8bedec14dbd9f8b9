/* Secrets that a step uses must be there before anything starts. */
#include "core/base/base.h"
#include "core/base/redact.h"
#include "core/plan/bind.h"
#include "core/plan/secret.h"

#include <string.h>
#include <sys/stat.h>

/* The file of a secret, relative to the plan's folder, in the graph's memory;
 * NULL when it cannot be told (said, or nomem). */
static const char *
absolute_file(struct binder *b, const struct plan_secret *secret)
{
	struct subst_result file = SUBST_RESULT_INIT;
	struct strbuf path = STRBUF_INIT;
	const char *copy = NULL;

	if (subst_secret_file(&b->subst, &b->r, secret, &file)) {
		if (file.text.buf[0] != '/')
			strbuf_addf(&path, "%s/", b->plan->text->dir);
		strbuf_addstr(&path, file.text.buf);
		copy = path.failed || file.text.failed ? NULL : arena_strdup(b->own, path.buf);
		b->nomem |= !copy;
	}
	strbuf_release(&path);
	subst_result_release(&file);
	return copy;
}

static void
check_file_mode(struct binder *b, const struct plan_secret *secret, const char *file)
{
	struct stat st;

	if (stat(file, &st) == 0 && (st.st_mode & S_IRWXO))
		reader_warn_at(&b->r, secret->at, "secret %s: %s can be read by everybody "
			       "(mode %04o): chmod o= %s", secret->name, file,
			       (unsigned)(st.st_mode & 07777), file);
}

static void
check_secret(struct binder *b, const struct plan_secret *secret, const char *file,
	     const config_setting_t *at)
{
	struct strbuf value = STRBUF_INIT;
	struct error err = {0};
	int rc = secret_read(file, secret->env, &value, &err);

	if (rc == E_NOMEM)
		b->nomem = true;
	else if (rc < 0)
		reader_error(&b->r, at, "secret '%s' (declared at %s:%u): %s", secret->name,
			     secret->at.file, secret->at.line, err.text);
	else if (value.len < REDACT_MIN)
		reader_warn_at(&b->r, secret->at, "secret %s: it has fewer than %d bytes, so it "
			       "cannot be kept out of texts", secret->name, REDACT_MIN);
	if (rc == 0 && file)
		check_file_mode(b, secret, file);
	secret_wipe(&value);
}

void
bind_secret_use(struct binder *b, const char *name, const config_setting_t *at)
{
	const struct plan_secret *secret = plan_secret(b->plan, name);
	size_t i = (size_t)(secret - b->plan->secrets);
	const char *file = NULL;

	if (b->secret_used[i])
		return;
	b->secret_used[i] = true;
	if (b->req->skip_secrets)
		return;
	if (secret->file)
		file = absolute_file(b, secret);
	if (file || secret->env)
		check_secret(b, secret, file, at);
}

void
bind_secrets(struct binder *b)
{
	struct graph_secret *secrets;
	uint32_t n = 0;

	for (size_t i = 0; i < b->plan->n_secrets; i++)
		n += b->secret_used[i];
	secrets = arena_array(b->own, n ? n : 1, sizeof(*secrets));
	if (!secrets) {
		b->nomem = true;
		return;
	}
	b->g->secrets = secrets;
	for (size_t i = 0; i < b->plan->n_secrets; i++) {
		const struct plan_secret *s = &b->plan->secrets[i];

		if (b->secret_used[i])
			secrets[b->g->n_secrets++] = (struct graph_secret){
				.name = bind_word(b, s->name), .env = bind_word(b, s->env),
				.file = s->file ? absolute_file(b, s) : NULL,
				.at = bind_place(b, s->at)};
	}
}
