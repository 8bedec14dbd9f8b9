/* What belongs to the site assumed lost: its networks and its hosts. */
#include "core/base/base.h"
#include "core/plan/bind.h"
#include "core/plan/value.h"

#include <string.h>

struct hosts {
	const char **item;
	size_t len;
};

struct networks {
	const struct plan_site *site;
	struct cidr *item;
	size_t len;
};

/* Problems of a site's values are told as plan_load tells them, so once. */
static struct reader
site_reader(const struct binder *b, const struct plan_site *site)
{
	struct reader r = b->r;

	r.outer = (struct scope){"site", site->name};
	r.inner = (struct scope){NULL, NULL};
	return r;
}

/* The host in a value of a site: a name, an address, HOST:PORT or a URL. */
static void
host_of(const char *text, char host[DNS_NAME_MAX + 2])
{
	static const struct schema_param endpoint = {.type = RESITE_T_ENDPOINT};
	struct strbuf json = STRBUF_INIT;
	size_t len = strlen(text);

	host[0] = '\0';
	if (strstr(text, "://"))
		value_host(RESITE_T_URL, text, host);
	else if (len && len <= DNS_NAME_MAX && text[strspn(text, "0123456789abcdefABCDEF:.")] == '\0' &&
		 strchr(text, ':') && value_to_json(&endpoint, text, "/", &json, NULL) < 0)
		memcpy(host, text, len + 1); /* a bare IPv6 address */
	else if (value_to_json(&endpoint, text, "/", &json, NULL) == 0 ||
		 (len && text[strcspn(text, ":=/ ,")] == '\0'))
		value_host(RESITE_T_ENDPOINT, text, host);
	strbuf_release(&json);
}

static bool
has_host(const struct hosts *hosts, const char *host)
{
	for (size_t i = 0; i < hosts->len; i++)
		if (!strcmp(hosts->item[i], host))
			return true;
	return false;
}

/* Calls each with every text of the site's values that can be known now. */
static void
each_text(struct binder *b, const struct plan_site *site, bool networks, void *into,
	  void (*each)(struct binder *b, void *into, const config_setting_t *at,
		       const char *text))
{
	struct reader r = site_reader(b, site);

	for (size_t i = 0; i < site->values.len; i++) {
		const struct plan_value *v = &site->values.item[i];
		unsigned n = setting_count(v->setting);

		r.inner = (struct scope){"value", v->name};
		if (networks != !strcmp(v->name, "networks"))
			continue;
		for (unsigned k = 0; k < n; k++) {
			struct subst_result res = SUBST_RESULT_INIT;
			const config_setting_t *at = setting_item(v->setting, k);

			if (setting_string(at) && subst_scalar(&b->subst, &r, at, &res) &&
			    !res.secret && !res.list && !res.deferred && !res.text.failed)
				each(b, into, at, res.text.buf);
			b->nomem |= res.text.failed;
			subst_result_release(&res);
		}
	}
}

static void
add_host(struct binder *b, void *into, const config_setting_t *at, const char *text)
{
	struct hosts *hosts = into;
	char host[DNS_NAME_MAX + 2];

	(void)at;
	host_of(text, host);
	if (host[0] && hosts->item)
		hosts->item[hosts->len++] = bind_word(b, host);
}

static void
add_network(struct binder *b, void *into, const config_setting_t *at, const char *text)
{
	struct networks *networks = into;
	struct reader r = site_reader(b, networks->site);

	if (cidr_parse(text, &networks->item[networks->len]))
		networks->len++;
	else
		reader_bad_network(&r, at, text);
}

static size_t
count_texts(const struct plan_site *site)
{
	size_t n = 1;

	for (size_t i = 0; i < site->values.len; i++)
		n += setting_count(site->values.item[i].setting);
	return n;
}

static struct hosts
hosts_of(struct binder *b, const struct plan_site *site)
{
	struct hosts hosts = {.item = arena_array(b->own, count_texts(site), sizeof(char *))};

	b->nomem |= !hosts.item;
	each_text(b, site, false, &hosts, add_host);
	return hosts;
}

void
bind_lost(struct binder *b)
{
	const struct plan_site *from = b->subst.from;
	struct lost_site *lost = arena_alloc(b->own, sizeof(*lost));
	struct networks networks = {from, NULL, 0};
	struct hosts theirs, ours;
	size_t kept = 0;

	if (!lost) {
		b->nomem = true;
		return;
	}
	lost->name = bind_word(b, from->name);
	networks.item = arena_array(b->own, count_texts(from), sizeof(*networks.item));
	theirs = hosts_of(b, from);
	ours = hosts_of(b, b->subst.to);
	if (b->nomem || !networks.item) {
		b->nomem = true;
		return;
	}
	each_text(b, from, true, &networks, add_network);
	lost->networks = networks.item;
	lost->n_networks = networks.len;
	for (size_t i = 0; i < theirs.len; i++) /* what both have survives */
		if (!has_host(&ours, theirs.item[i]))
			theirs.item[kept++] = theirs.item[i];
	lost->values = theirs.item;
	lost->n_values = kept;
	if (!plan_value(&from->values, "networks")) {
		struct reader r = site_reader(b, from);

		reader_warn_at(&r, from->at, "it has no 'networks': steps that depend on it while "
			       "it is lost may not be found");
	}
	b->g->lost = lost;
}
