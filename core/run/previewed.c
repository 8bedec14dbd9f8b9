#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/run/previewed.h"

#include <stdlib.h>
#include <string.h>

/* With every change of a mass move in it. */
#define FILE_MAX_BYTES (256u << 20)

/* --- what a file is for --------------------------------------------------- */

static json_t *
only_to_json(const struct bind_request *req)
{
	json_t *only = json_array();

	for (size_t i = 0; only && i < req->n_only; i++)
		json_array_append_new(only, json_string(req->only[i]));
	return only;
}

/* What must be the same when the file is used as when it was made. */
static json_t *
purpose(const struct loaded *l, const struct bind_request *req)
{
	char hash[JOURNAL_HASH_MAX];

	journal_hash(l->text.flat.buf, l->text.flat.len, hash);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:s}", "plan", l->graph->plan, "runbook",
			 l->graph->runbook, "from", l->graph->from, "to", l->graph->to, "mode",
			 mode_name(l->graph->mode), "only", only_to_json(req), "plan_sha256", hash);
}

static int
differs(const char *path, const char *key, const json_t *wanted, const json_t *got,
	struct error *err)
{
	char *w, *g;
	int rc;

	if (!strcmp(key, "plan_sha256"))
		return error_set(err, E_REFUSED, "%s was made of another text of this plan: make "
				 "the preview again", path);
	w = json_dumps(wanted, JSON_ENCODE_ANY | JSON_COMPACT);
	g = got ? json_dumps(got, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	rc = error_set(err, E_REFUSED, "%s is a preview of another %s: %s, and here it is %s", path,
		       key, g ? g : "none", w ? w : "?");
	free(w);
	free(g);
	return rc;
}

static int
check_purpose(const char *path, const json_t *file, json_t *wanted, struct error *err)
{
	const char *key;
	json_t *value;

	json_object_foreach (wanted, key, value)
		if (!json_equal(value, json_object_get(file, key)))
			return differs(path, key, value, json_object_get(file, key), err);
	return 0;
}

/* --- writing ---------------------------------------------------------------- */

int
previewed_keep(const char *path, const json_t *found, struct error *err)
{
	struct strbuf text = STRBUF_INIT;
	int rc;

	json_write(&text, found);
	strbuf_addch(&text, '\n');
	/* What it names is nobody's business but the operator's. */
	rc = file_replace(path, 0600, &text, err);
	strbuf_release(&text);
	return rc;
}

int
previewed_write(const char *path, const struct loaded *l, const struct bind_request *req,
		json_t *found, struct error *err)
{
	json_t *about = purpose(l, req);
	char made[CLOCK_TEXT_MAX];
	int rc = 0;

	clock_format_utc(clock_wall_ms(), made);
	if (!about || json_object_update(found, about) < 0 ||
	    json_object_set_new(found, "resite_preview", json_integer(PREVIEWED_FORMAT)) < 0 ||
	    json_object_set_new(found, "made", json_string(made)) < 0)
		rc = error_set(err, E_NOMEM, "out of memory");
	json_decref(about);
	return rc < 0 ? rc : previewed_keep(path, found, err);
}

/* --- reading ---------------------------------------------------------------- */

static int
parse_file(const char *path, json_t **ret, struct error *err)
{
	struct strbuf text = STRBUF_INIT;
	int rc = strbuf_read_file(&text, path, FILE_MAX_BYTES, err);
	json_t *file = NULL;

	if (rc == 0)
		file = json_parse(text.buf, text.len, err);
	strbuf_release(&text);
	if (rc < 0)
		return rc;
	if (json_int_or(file, "resite_preview", 0) == PREVIEWED_FORMAT) {
		*ret = file;
		return 0;
	}
	rc = json_int_or(file, "resite_preview", 0) > PREVIEWED_FORMAT ?
		error_set(err, E_INVALID, "%s was made by a newer resite", path) :
		error_set(err, E_INVALID, "%s is no file of resite preview -o", path);
	json_decref(file);
	return rc;
}

int
previewed_read(const char *path, const struct loaded *l, const struct bind_request *req,
	       json_t **ret, struct error *err)
{
	json_t *file = NULL, *wanted;
	int rc = parse_file(path, &file, err);

	if (rc < 0)
		return rc;
	wanted = purpose(l, req);
	rc = wanted ? check_purpose(path, file, wanted, err) :
		      error_set(err, E_NOMEM, "out of memory");
	json_decref(wanted);
	if (rc < 0)
		json_decref(file);
	else
		*ret = file;
	return rc;
}

static json_t *
bound_step(const json_t *step)
{
	static const char *const keys[] = {"now", "fingerprint", "changes", "total"};
	json_t *bound = json_object();

	for (size_t i = 0; bound && i < COUNT_OF(keys); i++)
		json_object_set(bound, keys[i], json_object_get(step, keys[i]));
	return bound;
}

int
previewed_bind(const json_t *previewed, json_t **ret, struct error *err)
{
	json_t *steps = json_object(), *step;
	size_t i;

	json_array_foreach (json_object_get(previewed, "steps"), i, step) {
		const char *kind = json_str_or(step, "kind", "");

		if (!strcmp(kind, "failed")) {
			json_decref(steps);
			return error_set(err, E_REFUSED, "in this preview the probe of step %s had "
					 "failed (%s): mend that and make the preview again",
					 json_str_or(step, "name", "?"),
					 json_str_or(step, "error", "?"));
		}
		if (!strcmp(kind, "probed"))
			json_object_set_new(steps, json_str_or(step, "name", "?"),
					    bound_step(step));
	}
	*ret = json_pack("{s:s, s:s, s:o}", "made", json_str_or(previewed, "made", "?"),
			 "plan_sha256", json_str_or(previewed, "plan_sha256", "?"), "steps", steps);
	return *ret ? 0 : error_set(err, E_NOMEM, "out of memory");
}
