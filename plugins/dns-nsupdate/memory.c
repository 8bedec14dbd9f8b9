/* What one function of an attempt leaves to the next: the records as parsed, and what was
 * last read of them, with the serial of the zone that it was read from.
 *
 * It saves work alone, and nothing in it is believed unless the digest of all parameters is
 * the same. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct memory {
	uint8_t key[SHA256_DIGEST_SIZE];
	struct zone *zones;
	size_t n_zones;
	int64_t lag_since_ms, since;
};

static void
digest_params(struct sha256_ctx *c, const struct step *s, const char *name)
{
	uint32_t n = s->host->param_count(s->op, name);

	sha256_update(c, strlen(name) + 1, (const uint8_t *)name);
	sha256_update(c, sizeof(n), (const uint8_t *)&n);
	for (uint32_t i = 0; i < n; i++) {
		const char *text = s->host->param_str(s->op, name, i);

		sha256_update(c, strlen(text) + 1, (const uint8_t *)text);
	}
}

/* A file that was written to has another time, size or inode. */
static void
digest_file(struct sha256_ctx *c, const struct step *s)
{
	const char *path = resite_str_or(s->op, s->host, "records_file", NULL);
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return;
	sha256_update(c, sizeof(st.st_ino), (const uint8_t *)&st.st_ino);
	sha256_update(c, sizeof(st.st_size), (const uint8_t *)&st.st_size);
	sha256_update(c, sizeof(st.st_mtim), (const uint8_t *)&st.st_mtim);
	sha256_update(c, sizeof(st.st_ctim), (const uint8_t *)&st.st_ctim);
}

void
memory_key(struct step *s)
{
	static const char *const names[] = {"server", "zone", "record", "remove",
					    "records_file", "expect_current", "name",
					    "resolver"};
	int64_t ttl = resite_i64_or(s->op, s->host, "ttl", 0);
	struct sha256_ctx c;

	sha256_init(&c);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		digest_params(&c, s, names[i]);
	sha256_update(&c, sizeof(ttl), (const uint8_t *)&ttl);
	digest_file(&c, s);
	sha256_digest(&c, sizeof(s->memory_key), s->memory_key);
}

bool
memory_take(struct step *s)
{
	void **slot = s->host->memory(s->op);
	struct memory *m = *slot;

	if (!m || memcmp(m->key, s->memory_key, sizeof(m->key)) != 0)
		return false;
	zones_release(s->zones, s->n_zones);
	s->zones = m->zones;
	s->n_zones = m->n_zones;
	s->lag_since_ms = m->lag_since_ms;
	s->since = m->since;
	for (size_t i = 0; i < s->n_zones; i++)
		s->zones[i].s = s;
	free(m);
	*slot = NULL;
	return true;
}

bool
memory_keep(struct step *s)
{
	void **slot = s->host->memory(s->op);
	struct memory *m = *slot;

	if (m)
		zones_release(m->zones, m->n_zones);
	else
		m = malloc(sizeof(*m));
	*slot = m;
	if (!m)
		return false;
	*m = (struct memory){.zones = s->zones, .n_zones = s->n_zones,
			     .lag_since_ms = s->lag_since_ms, .since = s->since};
	memcpy(m->key, s->memory_key, sizeof(m->key));
	s->zones = NULL;
	s->n_zones = 0;
	return true;
}
