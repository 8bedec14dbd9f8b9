/* Is a set good enough: its age, and its size beside the set before it. */
#include "sdk/vault/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two machines' clocks may differ by this much. */
#define SKEW_MS (5 * 60 * 1000)

void
vault_age_text(char out[VAULT_AGE_MAX], int64_t age_ms)
{
	long long s = age_ms / 1000;

	if (age_ms < -SKEW_MS)
		snprintf(out, VAULT_AGE_MAX, "dated in the future");
	else if (s < 120)
		snprintf(out, VAULT_AGE_MAX, "%lld s old", s < 0 ? 0 : s);
	else if (s < 2 * 3600)
		snprintf(out, VAULT_AGE_MAX, "%lld min old", s / 60);
	else if (s < 48 * 3600)
		snprintf(out, VAULT_AGE_MAX, "%lld h %lld min old", s / 3600, s / 60 % 60);
	else
		snprintf(out, VAULT_AGE_MAX, "%lld d %lld h old", s / 86400, s / 3600 % 24);
}

static bool
has(const char *reason)
{
	return reason && *reason;
}

int
vault_check_age(const struct vault_set *s, int64_t max_age_ms, const char *reason,
		char note[VAULT_NOTE_MAX], struct vault_error *err)
{
	int64_t age = vault__now_ms() - s->started_ms;
	char is[VAULT_AGE_MAX], may[VAULT_AGE_MAX];

	note[0] = '\0';
	if (max_age_ms <= 0 || (age >= -SKEW_MS && age <= max_age_ms))
		return VAULT_OK;
	vault_age_text(is, age);
	vault_age_text(may, max_age_ms);
	may[strlen(may) - strlen(" old")] = '\0';
	if (!has(reason))
		return vault__fail(err, VAULT_ERR_OLD,
				   "%s is %s; max_age allows at most %s: make a newer set, or give "
				   "max_age_reason to use it all the same", s->path, is, may);
	snprintf(note, VAULT_NOTE_MAX, "set %s of site %s is %s, max_age is %s; used because: %s",
		 s->name, s->site, is, may, reason);
	return VAULT_OK;
}

/* --- growth ----------------------------------------------------------------------------- */

/* What is compared: a manifest, and the plain bytes of its files. */
struct content {
	const json_t *manifest;
	uint64_t bytes;
};

struct fall {
	const char *what;
	uint64_t was, now;
	int64_t percent; /* rounded down */
};

/* Halves and quarters of nothing are nothing: what grew or was empty fell by 0. */
static int64_t
percent_fallen(uint64_t was, uint64_t now)
{
	uint64_t gone = was > now ? was - now : 0;

	return was == 0 ? 0 : was < UINT64_MAX / 100 ? (int64_t)(gone * 100 / was)
						     : (int64_t)(gone / (was / 100));
}

static uint64_t
count_of(const json_t *manifest, const char *key, bool *ret_there)
{
	json_t *n = json_object_get(json_object_get(manifest, "counts"), key);

	*ret_there = json_is_integer(n);
	return json_integer_value(n) > 0 ? (uint64_t)json_integer_value(n) : 0;
}

static void
take_worse(struct fall *worst, const char *what, uint64_t was, uint64_t now)
{
	struct fall f = {what, was, now, percent_fallen(was, now)};

	if (f.percent > worst->percent)
		*worst = f;
}

/* The measure that fell most.  A measure that one of them does not know says nothing. */
static struct fall
find_worst(const struct content *is, const struct content *before)
{
	struct fall worst = {"bytes", before->bytes, is->bytes,
			     percent_fallen(before->bytes, is->bytes)};
	json_t *key;
	size_t i;

	json_array_foreach(json_object_get(before->manifest, "measures"), i, key) {
		const char *name = json_string_value(key);
		bool was_there, is_there;
		uint64_t was = name ? count_of(before->manifest, name, &was_there) : 0;
		uint64_t now = name ? count_of(is->manifest, name, &is_there) : 0;

		if (name && was_there && is_there)
			take_worse(&worst, name, was, now);
	}
	return worst;
}

static int
judge(const struct content *is, const struct vault_set *before, const struct vault_shrink *rule,
      char note[VAULT_NOTE_MAX], struct vault_error *err)
{
	const struct content was = {before->manifest, before->plain};
	struct fall f = find_worst(is, &was);
	bool refuse = rule->refuse_percent > 0 && f.percent > rule->refuse_percent;

	if (!refuse && !(rule->warn_percent > 0 && f.percent > rule->warn_percent))
		return VAULT_OK;
	snprintf(note, VAULT_NOTE_MAX,
		 "%s fell by %" PRId64 " %%: %" PRIu64 ", set %s before it had %" PRIu64,
		 vault__printable(f.what), f.percent, f.now, before->name, f.was);
	if (!refuse)
		return VAULT_OK;
	if (!has(rule->reason))
		return vault__fail(err, VAULT_ERR_SHRUNK,
				   "%s: %s; shrink_refuse allows %" PRId64 " %%: find out what is "
				   "missing, or give shrink_reason if it is right", before->folder,
				   note, rule->refuse_percent);
	snprintf(note + strlen(note), VAULT_NOTE_MAX - strlen(note), "; accepted because: %s",
		 rule->reason);
	return VAULT_OK;
}

int
vault_check_growth(const struct vault_set *s, const struct vault_set *before,
		   const struct vault_shrink *rule, char note[VAULT_NOTE_MAX],
		   struct vault_error *err)
{
	const struct content is = {s->manifest, s->plain};

	note[0] = '\0';
	return before ? judge(&is, before, rule, note, err) : VAULT_OK;
}

int
vault__check_growth_of(const json_t *manifest, uint64_t bytes, const struct vault_set *before,
		       const struct vault_shrink *rule, char note[VAULT_NOTE_MAX],
		       struct vault_error *err)
{
	const struct content is = {manifest, bytes};

	return judge(&is, before, rule, note, err);
}
