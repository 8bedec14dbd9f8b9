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
	struct rrset_list set, expect;
	struct rrset *now;
	enum known known;
	uint32_t serial;
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
	static const char *const names[] = {"server", "zone", "record", "records_file",
					    "expect_current", "srv_target"};
	int64_t ttl = s->host->param_i64(s->op, "ttl", 0);
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
	s->set = m->set;
	s->expect = m->expect;
	s->now = m->now;
	s->known = m->known;
	s->serial = m->serial;
	free(m);
	*slot = NULL;
	return true;
}

static void
memory_release(struct memory *m)
{
	if (!m)
		return;
	now_release(m->now, m->set.n);
	rrset_list_release(&m->set);
	rrset_list_release(&m->expect);
	free(m);
}

bool
memory_keep(struct step *s)
{
	void **slot = s->host->memory(s->op);
	struct memory *m = malloc(sizeof(*m));

	if (!m)
		return false;
	memory_release(*slot);
	*m = (struct memory){.set = s->set, .expect = s->expect, .now = s->now,
			     .known = s->known, .serial = s->serial};
	memcpy(m->key, s->memory_key, sizeof(m->key));
	*slot = m;
	s->set = s->expect = (struct rrset_list){0};
	s->now = NULL;
	return true;
}
