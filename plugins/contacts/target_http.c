/* The target of via = "http": RFC 4825 over HTTP. */
#include "plugins/contacts/contacts.h"
#include "plugins/contacts/target.h"

static int
http_open(struct target *t)
{
	struct xcap_options options = call_xcap(t->call, t->answer, t->arg);

	t->inner = xcap_new(&options, &t->call->f);
	return t->inner ? RESITE_OK : t->call->f.rc;
}

static int
http_get(struct target *t, const struct document *d, struct fault *f)
{
	return xcap_get(t->inner, d->index, d->user, d->body, d->len, f);
}

static int
http_put(struct target *t, const struct document *d, const char *etag, struct fault *f)
{
	return xcap_put(t->inner, d->index, d->user, d->body, d->len, etag, f);
}

static int
http_drain(struct target *t, struct fault *f)
{
	return xcap_drain(t->inner, f);
}

static void
http_close(struct target *t)
{
	xcap_free(t->inner);
}

const struct target_kind target_http = {
	.name = "http",
	.open = http_open,
	.get = http_get,
	.put = http_put,
	.drain = http_drain,
	.close = http_close,
};
