#include "plugins/contacts/target.h"

#include "plugins/contacts/contacts.h"

#include <stdio.h>
#include <string.h>

static const struct target_kind *const kinds[] = {&target_http, &target_sql};

const struct target_kind *
target_of(struct call *c)
{
	const char *via = call_str(c, "via");

	for (size_t i = 0; via && i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i]->name, via))
			return kinds[i];
	return &target_http;
}

int
target_open(struct target *t, const struct target_kind *kind, struct call *c, enum target_use use,
	    target_answer *answer, void *arg)
{
	*t = (struct target){
		.kind = kind, .call = c, .use = use, .answer = answer, .arg = arg,
	};
	return t->kind->open(t);
}

int
target_close(struct target *t, int rc)
{
	if (rc == RESITE_OK)
		rc = t->kind->drain(t, &t->call->f);
	t->kind->close(t);
	return rc;
}

void
target_xui(struct buf *out, const char *user)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~:@!$&'()*+,;=";

	for (const char *p = user; *p; p++) {
		char code[4];

		if (strchr(plain, *p)) {
			buf_add(out, p, 1);
		} else {
			snprintf(code, sizeof code, "%%%02X", (unsigned char)*p);
			buf_puts(out, code);
		}
	}
}
