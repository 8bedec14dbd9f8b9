#include "core/base/base.h"
#include "core/view/failback_text.h"

#include <string.h>

static void
count_conflicts(struct divergence *d, const json_t *conflicts)
{
	const json_t *c;
	size_t i;

	json_array_foreach(conflicts, i, c) {
		const char *result = json_str_or(c, "result", "");

		d->gone += !strcmp(result, "gone");
		d->refused += !strcmp(result, "refused");
		d->changed += !strcmp(result, "conflict");
	}
}

struct divergence
divergence_of(const struct preview *p)
{
	struct divergence d = {0};

	for (uint32_t i = 0; i < p->n_steps; i++) {
		const struct preview_step *r = &p->step[i];

		count_conflicts(&d, r->conflicts);
		d.created += r->n_created;
		d.unknown += r->since_why || (r->kind == PREVIEW_FAILED && r->reverts);
	}
	return d;
}

bool
divergence_is_none(const struct divergence *d)
{
	return !d->changed && !d->gone && !d->refused && !d->created && !d->unknown;
}

void
divergence_write(struct strbuf *out, const struct divergence *d, const char *origin)
{
	if (divergence_is_none(d)) {
		strbuf_addf(out, "nothing has diverged since run %s\n", origin);
		return;
	}
	strbuf_addf(out, "diverged since run %s: %" PRIu64 " changed by somebody else, %" PRIu64
		    " gone, %" PRIu64 " created", origin, d->changed, d->gone, d->created);
	if (d->refused)
		strbuf_addf(out, ", %" PRIu64 " that cannot be read", d->refused);
	strbuf_addch(out, '\n');
	if (d->unknown)
		strbuf_addf(out, "  of %" PRIu32 " steps it is not known what has diverged: see above\n",
			    d->unknown);
	if (d->changed || d->unknown)
		strbuf_addstr(out, "  --diverged leave    what was changed stays as it is now; its value "
				   "from before the run is not put back\n"
				   "  --diverged restore  its value from before the run is put back; the "
				   "one of today is lost\n");
	else
		strbuf_addstr(out, "  --diverged leave and --diverged restore do the same here: no "
				   "object has another value of today\n");
	if (d->gone)
		strbuf_addstr(out, "  either way: what is gone stays gone\n");
	if (d->created)
		strbuf_addstr(out, "  either way: what was created since stays where it is; to move it, "
				   "too, run the runbook in that direction afterwards\n");
}

json_t *
divergence_to_json(const struct divergence *d)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I}", "none", divergence_is_none(d), "changed",
			 (json_int_t)d->changed, "gone", (json_int_t)d->gone, "unreadable",
			 (json_int_t)d->refused, "created", (json_int_t)d->created, "unknown_steps",
			 (json_int_t)d->unknown);
}
