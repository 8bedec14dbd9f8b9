#include "core/base/base.h"
#include "core/base/vec.h"
#include "core/certify/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const what_names[N_WORLD_WHATS] = {
	[WORLD_EFFECT] = "effect", [WORLD_PROBE] = "probe", [WORLD_UNDO] = "undo",
	[WORLD_POINT] = "point", [WORLD_GIVEN] = "given",
};

const struct world_step world_steps[] = {
	{"put", 6, true, true},
	{"carry", 4, true, false},
	{"mark", 1, false, false},
	{"use", 2, true, true},
	{NULL, 0, false, false},
};

void
finding_add(struct findings *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (f->n < WORLD_FINDINGS_MAX)
		vsnprintf(f->text[f->n], sizeof(f->text[f->n]), fmt, ap);
	va_end(ap);
	f->n++;
}

/* --- reading ------------------------------------------------------------- */

static int
parse(const char *text, struct world_line *ret)
{
	char what[WORLD_WORD_MAX];

	if (sscanf(text, "%63s %" SCNu32 " %ld %63s %63s %63s", what, &ret->generation, &ret->pid,
		   ret->step, ret->object, ret->value) != 6)
		return -1;
	for (int i = 0; i < N_WORLD_WHATS; i++)
		if (!strcmp(what, what_names[i])) {
			ret->what = (enum world_what)i;
			return 0;
		}
	return -1;
}

int
world_read(struct world *w, const char *path, struct error *err)
{
	FILE *in = fopen(path, "re");
	char text[512];
	int rc = 0;

	if (!in)
		return errno == ENOENT ? 0 : error_errno(err, errno, "%s", path);
	while (rc == 0 && fgets(text, sizeof(text), in)) {
		if (vec_reserve(&w->line, w->n + 1, &w->cap) < 0)
			rc = error_set(err, E_NOMEM, "out of memory");
		else if (parse(text, &w->line[w->n]) < 0)
			rc = error_set(err, E_CORRUPT, "%s, line %zu: '%s'", path, w->n + 1, text);
		else
			w->n++;
	}
	fclose(in);
	return rc;
}

void
world_release(struct world *w)
{
	free(w->line);
	*w = (struct world){0};
}

/* --- looking ------------------------------------------------------------- */

static const struct world_step *
find_step(const char *name)
{
	const struct world_step *s = world_steps;

	while (s->name && strcmp(s->name, name))
		s++;
	return s->name ? s : NULL;
}

/* The last effect on an object before line end; NULL: none. */
static const struct world_line *
last_effect(const struct world *w, size_t end, const char *step, const char *object)
{
	for (size_t i = end; i-- > 0;) {
		const struct world_line *l = &w->line[i];

		if (l->what == WORLD_EFFECT && !strcmp(l->step, step) &&
		    !strcmp(l->object, object))
			return l;
	}
	return NULL;
}

uint32_t
world_done(const struct world *w, const char *step)
{
	const struct world_step *s = find_step(step);
	uint32_t done = 0;
	char object[16];

	for (uint32_t i = 1; s && i <= s->objects; i++) {
		snprintf(object, sizeof(object), "%" PRIu32, i);
		done += last_effect(w, w->n, step, object) != NULL;
	}
	return done;
}

static bool
has(const json_t *set, const char *step, const char *object)
{
	char key[2 * WORLD_WORD_MAX + 2];

	snprintf(key, sizeof(key), "%s/%s", step, object);
	return json_object_get(set, key) != NULL;
}

/* --- rules --------------------------------------------------------------- */

void
world_check_witness(const struct world *w, const struct witness *v, struct findings *f)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct world_line *l = &w->line[i];
		const struct world_step *s = find_step(l->step);

		if (l->generation > v->generation)
			continue;
		if (l->what == WORLD_EFFECT && !json_object_get(v->intents, l->step))
			finding_add(f, "%s/%s was changed, but the journal of launch %" PRIu32
				    " has no intent", l->step, l->object, v->generation);
		if (l->what == WORLD_EFFECT && s && s->records && !has(v->undo, l->step, l->object))
			finding_add(f, "%s/%s was changed, but the journal of launch %" PRIu32
				    " has no undo record", l->step, l->object, v->generation);
		if (l->what == WORLD_UNDO && !has(v->undo, l->step, l->object))
			finding_add(f, "the undo record of %s/%s was acknowledged and is lost after "
				    "launch %" PRIu32, l->step, l->object, v->generation);
		if (l->what == WORLD_POINT && !has(v->points, l->step, l->object))
			finding_add(f, "checkpoint %s of %s was acknowledged and is lost after launch "
				    "%" PRIu32, l->object, l->step, v->generation);
	}
}

/* An effect at line i: the attempt has looked since anybody else changed the step. */
static void
check_look(const struct world *w, size_t i, struct findings *f)
{
	const struct world_line *e = &w->line[i];

	while (i-- > 0) {
		const struct world_line *l = &w->line[i];

		if (strcmp(l->step, e->step))
			continue;
		if (l->what == WORLD_PROBE && l->pid == e->pid)
			return;
		if (l->what == WORLD_EFFECT && l->pid != e->pid)
			break;
	}
	finding_add(f, "%s/%s was changed by an attempt that had not looked", e->step, e->object);
}

/* Apply began at line i: it was given the last checkpoint that was acknowledged. */
static void
check_given(const struct world *w, size_t i, struct findings *f)
{
	const struct world_line *g = &w->line[i];

	for (size_t k = i; k-- > 0;) {
		const struct world_line *l = &w->line[k];

		if (l->what != WORLD_POINT || strcmp(l->step, g->step))
			continue;
		if (atoll(g->object) < atoll(l->object))
			finding_add(f, "%s was given checkpoint %s, and %s had been acknowledged",
				    g->step, g->object, l->object);
		return;
	}
}

static void
check_line(const struct world *w, size_t i, struct findings *f)
{
	const struct world_line *l = &w->line[i];
	const struct world_step *s = find_step(l->step);

	if (i && l->generation < w->line[i - 1].generation)
		finding_add(f, "a worker of launch %" PRIu32 " acted after one of launch %" PRIu32,
			    l->generation, w->line[i - 1].generation);
	if (l->what == WORLD_GIVEN)
		check_given(w, i, f);
	if (l->what != WORLD_EFFECT)
		return;
	if (last_effect(w, i, l->step, l->object))
		finding_add(f, "%s/%s was changed twice", l->step, l->object);
	if (s && s->probes)
		check_look(w, i, f);
}

void
world_check_end(const struct world *w, const struct world *wanted, struct findings *f)
{
	for (size_t i = 0; i < w->n; i++)
		check_line(w, i, f);
	for (const struct world_step *s = world_steps; s->name; s++)
		for (uint32_t i = 1; i <= s->objects; i++) {
			const struct world_line *is, *should;
			char object[16];

			snprintf(object, sizeof(object), "%" PRIu32, i);
			is = last_effect(w, w->n, s->name, object);
			should = last_effect(wanted, wanted->n, s->name, object);
			if (!is || !should || strcmp(is->value, should->value))
				finding_add(f, "%s/%s is '%s' in the end, and '%s' in an undisturbed "
					    "run", s->name, object, is ? is->value : "",
					    should ? should->value : "");
		}
}
