#define _GNU_SOURCE
#include "fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct resite_param *
fake_find_param(const struct resite_action *action, const char *name)
{
	for (const struct resite_param *p = action->params; p && p->name; p++)
		if (!strcmp(p->name, name))
			return p;
	fake_die("action %s has no parameter '%s'", action->name, name);
	return NULL;
}

static int64_t
parse_unit(const struct resite_param *p, const char *text, const char *const *units,
	   const int64_t *factors)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || end == text)
		fake_die("%s: '%s' is no number", p->name, text);
	for (size_t i = 0; units[i]; i++)
		if (!strcmp(end, units[i]))
			return n * factors[i];
	fake_die("%s: '%s' has no known unit", p->name, text);
	return 0;
}

static int64_t
parse_number(const struct resite_param *p, const char *text)
{
	switch (p->type) {
	case RESITE_T_BOOL:
		return !strcmp(text, "true");
	case RESITE_T_INT:
		return parse_unit(p, text, (const char *const[]){"", NULL}, (const int64_t[]){1});
	case RESITE_T_DURATION:
		return parse_unit(p, text, (const char *const[]){"ms", "s", "m", "h", "d", NULL},
				  (const int64_t[]){1, 1000, 60000, 3600000, 86400000});
	case RESITE_T_SIZE:
		return parse_unit(p, text, (const char *const[]){"", "K", "M", "G", NULL},
				  (const int64_t[]){1, 1 << 10, 1 << 20, 1 << 30});
	}
	return 0;
}

void
fake_add_value(struct resite_op *op, const struct resite_param *p, const char *text)
{
	op->values = fake_must(realloc(op->values, (op->n_values + 1) * sizeof(*op->values)));
	op->values[op->n_values++] = (struct value){p, fake_copy(text), parse_number(p, text)};
}

static const struct value *
nth_value(struct resite_op *op, const char *name, uint32_t index)
{
	for (size_t i = 0; i < op->n_values; i++)
		if (!strcmp(op->values[i].param->name, name) && index-- == 0)
			return &op->values[i];
	return NULL;
}

/* Code that several actions share may ask for a parameter that one of them has not. */
uint32_t
fake_param_count(struct resite_op *op, const char *name)
{
	uint32_t n = 0;

	for (size_t i = 0; i < op->n_values; i++)
		n += !strcmp(op->values[i].param->name, name);
	return n;
}

const char *
fake_param_str(struct resite_op *op, const char *name, uint32_t index)
{
	const struct value *v = nth_value(op, name, index);

	fake_find_param(op->action, name);
	return v ? v->text : NULL;
}

int64_t
fake_param_i64(struct resite_op *op, const char *name, uint32_t index)
{
	const struct value *v = nth_value(op, name, index);

	fake_find_param(op->action, name);
	return v ? v->number : 0;
}

/* Adds defaults, and insists on what is required, as the core does. */
void
fake_complete_params(struct resite_op *op)
{
	for (const struct resite_param *p = op->action->params; p && p->name; p++) {
		if (fake_param_count(op, p->name))
			continue;
		if (p->def)
			fake_add_value(op, p, p->def);
		else if (p->flags & RESITE_PARAM_REQUIRED)
			fake_die("required parameter '%s' is missing", p->name);
	}
}
