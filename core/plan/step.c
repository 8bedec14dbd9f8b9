#include "core/base/base.h"
#include "core/plan/graph.h"
#include "core/plan/step.h"
#include "core/plan/value.h"

#include <stdio.h>
#include <string.h>

#define ATTEMPTS_MAX 1000

static const char *const on_failure_words[] = {
	[ON_FAILURE_ASK] = "ask", [ON_FAILURE_STOP] = "stop", [ON_FAILURE_CONTINUE] = "continue",
	NULL};
static const char *const rehearse_words[] = {
	[REHEARSE_PROBE] = "probe", [REHEARSE_RUN] = "run", [REHEARSE_SKIP] = "skip", NULL};

const char *
on_failure_name(int on_failure)
{
	return on_failure_words[on_failure];
}

const char *
rehearse_name(int rehearse)
{
	return rehearse_words[rehearse];
}

struct reading {
	struct plan_step *step;
	struct arena *own;
	bool nomem;
};

static struct plan_step *
step_of(void *into)
{
	return ((struct reading *)into)->step;
}

static void
read_nothing(const struct reader *r, const config_setting_t *s, void *into)
{
	(void)r, (void)s, (void)into; /* name: read before all others */
}

/* "PLUGIN.ACTION" */
static void
read_does(const struct reader *r, const config_setting_t *s, void *into)
{
	struct reading *reading = into;
	const char *text, *dot;

	if (!reader_string(r, s, &text))
		return;
	dot = strchr(text, '.');
	if (!dot || dot == text || !dot[1] || strchr(dot + 1, '.')) {
		reader_error(r, s, "'does' must be PLUGIN.ACTION, not \"%s\"", text);
		return;
	}
	reading->step->plugin = arena_strndup(reading->own, text, (size_t)(dot - text));
	reading->step->action = dot + 1;
	reading->step->is_call = !strcmp(reading->step->plugin ? reading->step->plugin : "",
					 PLAN_RUNBOOK);
	reading->nomem |= !reading->step->plugin;
}

static void
read_with(const struct reader *r, const config_setting_t *s, void *into)
{
	if (reader_is_group(r, s))
		step_of(into)->with = s;
}

static void
read_after(const struct reader *r, const config_setting_t *s, void *into)
{
	if (reader_is_strings(r, s))
		step_of(into)->after = s;
}

static void
read_workload(const struct reader *r, const config_setting_t *s, void *into)
{
	const char *name;

	if (reader_string(r, s, &name) && reader_is_name(r, s, "workload", name))
		step_of(into)->workload = name;
}

static void
read_timeout(const struct reader *r, const config_setting_t *s, void *into)
{
	int64_t ms;

	if (!reader_duration(r, s, &ms))
		return;
	if (ms > 0)
		step_of(into)->timeout_ms = ms;
	else
		reader_error(r, s, "'timeout' must be more than 0");
}

static void
read_takes(const struct reader *r, const config_setting_t *s, void *into)
{
	int64_t ms;

	if (!reader_duration(r, s, &ms))
		return;
	if (ms > 0)
		step_of(into)->takes_ms = ms;
	else
		reader_error(r, s, "'takes' must be more than 0");
}

static void
read_attempts(const struct reader *r, const config_setting_t *s, void *into)
{
	int64_t n;

	if (reader_int(r, s, 1, ATTEMPTS_MAX, &n))
		step_of(into)->retry.attempts = (int)n;
}

static void
read_backoff(const struct reader *r, const config_setting_t *s, void *into)
{
	reader_duration(r, s, &step_of(into)->retry.backoff_ms);
}

static void
read_max_backoff(const struct reader *r, const config_setting_t *s, void *into)
{
	reader_duration(r, s, &step_of(into)->retry.max_backoff_ms);
}

static const struct key retry_keys[] = {
	{"attempts", read_attempts}, {"backoff", read_backoff},
	{"max_backoff", read_max_backoff}, {NULL, NULL}};

static void
read_retry(const struct reader *r, const config_setting_t *s, void *into)
{
	struct plan_retry *retry = &step_of(into)->retry;

	if (!reader_is_group(r, s))
		return;
	retry->max_backoff_ms = -1;
	reader_group(r, s, retry_keys, into);
	if (retry->max_backoff_ms < 0) /* a long first wait is no mistake */
		retry->max_backoff_ms = retry->backoff_ms > RETRY_MAX_BACKOFF_MS ?
					retry->backoff_ms : RETRY_MAX_BACKOFF_MS;
	if (retry->max_backoff_ms < retry->backoff_ms)
		reader_error(r, s, "'max_backoff' is less than 'backoff'");
}

static void
read_limits(const struct reader *r, const config_setting_t *s, void *into)
{
	if (reader_is_strings(r, s))
		step_of(into)->limits = s;
}

static void
read_max(const struct reader *r, const config_setting_t *s, void *into)
{
	reader_int(r, s, 0, INT64_MAX, &step_of(into)->expect_max);
}

static void
read_percent(const struct reader *r, const config_setting_t *s, void *into)
{
	int64_t n;

	if (reader_int(r, s, 0, 100, &n))
		step_of(into)->expect_percent = (int)n;
}

static const struct key expect_keys[] = {
	{"max", read_max}, {"percent", read_percent}, {NULL, NULL}};

static void
read_expect(const struct reader *r, const config_setting_t *s, void *into)
{
	if (reader_is_group(r, s))
		reader_group(r, s, expect_keys, into);
}

static void
read_on_failure(const struct reader *r, const config_setting_t *s, void *into)
{
	reader_word(r, s, on_failure_words, &step_of(into)->on_failure);
}

static void
read_modes(const struct reader *r, const config_setting_t *s, void *into)
{
	unsigned modes = 0;

	if (!reader_is_strings(r, s))
		return;
	for (unsigned i = 0, n = setting_count(s); i < n; i++) {
		const config_setting_t *one = setting_item(s, i);
		uint8_t word = 0;

		if (reader_word(r, one, mode_words + 1, &word))
			modes |= MODE_BIT(word + 1);
		else
			return;
	}
	if (!modes)
		reader_error(r, s, "'modes' is empty: the step could never run");
	else
		step_of(into)->modes = modes;
}

static void
read_rehearse(const struct reader *r, const config_setting_t *s, void *into)
{
	reader_word(r, s, rehearse_words, &step_of(into)->rehearse);
}

/* "a", ["a", "b"], [1, 2], "${var.list}" */
static void
read_for_each(const struct reader *r, const config_setting_t *s, void *into)
{
	if (reader_is_value(r, s))
		step_of(into)->for_each = s;
}

static void
read_if(const struct reader *r, const config_setting_t *s, void *into)
{
	if (setting_string(s) || config_setting_type(s) == CONFIG_TYPE_BOOL)
		step_of(into)->cond = s;
	else
		reader_error(r, s, "'if' must be a string with a condition, true or false");
}

static void
read_tolerates_loss(const struct reader *r, const config_setting_t *s, void *into)
{
	reader_bool(r, s, &step_of(into)->tolerates_loss);
}

static void
read_point_of_no_return(const struct reader *r, const config_setting_t *s, void *into)
{
	reader_bool(r, s, &step_of(into)->point_of_no_return);
}

static const struct key step_keys[] = {
	{"name", read_nothing}, {"does", read_does}, {"with", read_with}, {"after", read_after},
	{"workload", read_workload}, {"timeout", read_timeout}, {"takes", read_takes}, {"retry", read_retry},
	{"limits", read_limits}, {"expect", read_expect}, {"on_failure", read_on_failure},
	{"modes", read_modes}, {"rehearse", read_rehearse}, {"for_each", read_for_each},
	{"if", read_if}, {"tolerates_loss", read_tolerates_loss},
	{"point_of_no_return", read_point_of_no_return}, {NULL, NULL}};

const char *
plan_step_key(size_t i)
{
	return i < COUNT_OF(step_keys) ? step_keys[i].name : NULL;
}

/* The name first: every other problem of the step is told with it, or else with its number. */
static void
read_name(struct reader *r, const config_setting_t *s, struct plan_step *step)
{
	const config_setting_t *at = config_setting_get_member(s, "name");
	const char *name;

	if (!at)
		reader_error(r, s, "it has no 'name'");
	else if (reader_string(r, at, &name) && reader_is_name(r, at, "step", name))
		step->name = name;
}

/* What messages call the step until its name is read; number: room for it. */
static const char *
step_label(const config_setting_t *s, size_t index, char number[32])
{
	const config_setting_t *at = config_setting_is_group(s) ?
				     config_setting_get_member(s, "name") : NULL;
	const char *name = at ? setting_string(at) : NULL;

	if (name && name_is_valid(name))
		return name;
	snprintf(number, 32, "%zu", index + 1);
	return number;
}

/* A step that does a runbook has no attempts, so what is said of attempts belongs to the
 * runbook's own steps. */
static void
check_call(const struct reader *r, const config_setting_t *s, const struct plan_step *step)
{
	static const char *const foreign[] = {"timeout", "retry", "expect", "on_failure", "rehearse",
					      "tolerates_loss", "point_of_no_return"};
	unsigned n = step->with ? (unsigned)config_setting_length(step->with) : 0;

	for (size_t i = 0; i < COUNT_OF(foreign); i++) {
		const config_setting_t *at = config_setting_get_member(s, foreign[i]);

		if (at)
			reader_error(r, at, "'%s' belongs to the steps of runbook '%s': a step that "
				     "does a runbook has no attempts of its own", foreign[i],
				     step->action);
	}
	for (unsigned i = 0; i < n; i++)
		reader_is_value(r, config_setting_get_elem(step->with, i));
}

bool
plan_step_read(struct reader *r, const config_setting_t *s, size_t index, struct arena *own,
	       struct plan_step *step)
{
	struct reading reading = {.step = step, .own = own};
	char number[32];

	*step = (struct plan_step){
		.at = reader_place(r, s), .timeout_ms = -1, .expect_max = -1, .expect_percent = -1,
		.modes = MODE_BIT(RESITE_DISASTER) | MODE_BIT(RESITE_PLANNED) |
			 MODE_BIT(RESITE_REHEARSAL),
		.retry = {RETRY_ATTEMPTS, RETRY_BACKOFF_MS, RETRY_MAX_BACKOFF_MS},
	};
	r->inner = (struct scope){"step", step_label(s, index, number)};
	if (!config_setting_is_group(s)) {
		reader_error(r, s, "a step must be a group: { name = ...; does = ...; }");
	} else {
		read_name(r, s, step);
		reader_group(r, s, step_keys, &reading);
		if (!config_setting_get_member(s, "does"))
			reader_error(r, s, "it has no 'does': write does = \"PLUGIN.ACTION\"");
		if (step->is_call)
			check_call(r, s, step);
	}
	r->inner = (struct scope){NULL, NULL};
	return !reading.nomem;
}
