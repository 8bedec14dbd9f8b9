#include "plugins/contacts/sorted.h"

#include "plugins/contacts/spool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
sorted_init(struct sorted *s, bool texts, struct fault *f)
{
	*s = (struct sorted){.fd = -1};
	return texts ? spool_open(&s->fd, f) : RESITE_OK;
}

void
sorted_release(struct sorted *s)
{
	buf_release(&s->keys);
	free(s->users);
	s->users = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static int
grow(struct sorted *s, struct fault *f)
{
	size_t cap = s->cap ? s->cap + s->cap / 2 : 1024;
	struct sorted_user *users;

	if (s->n < s->cap)
		return RESITE_OK;
	users = realloc(s->users, cap * sizeof *users);
	if (!users)
		return fault_memory(f);
	s->users = users;
	s->cap = cap;
	return RESITE_OK;
}

int
sorted_add(struct sorted *s, const char *key, const char *a, size_t a_len, const char *b,
	   size_t b_len, struct sorted_user **ret_user, struct fault *f)
{
	struct sorted_user *u;

	if (grow(s, f) < 0)
		return f->rc;
	u = &s->users[s->n];
	*u = (struct sorted_user){
		.key = s->keys.len, .at = s->bytes, .len = {(uint32_t)a_len, (uint32_t)b_len}};
	buf_add(&s->keys, key, strlen(key) + 1);
	if (s->keys.failed)
		return fault_memory(f);
	if (a_len && spool_write(s->fd, a, a_len, f) < 0)
		return f->rc;
	if (b_len && spool_write(s->fd, b, b_len, f) < 0)
		return f->rc;
	s->bytes += a_len + b_len;
	s->n++;
	if (ret_user)
		*ret_user = u;
	return RESITE_OK;
}

const char *
sorted_key(const struct sorted *s, const struct sorted_user *u)
{
	return s->keys.p + u->key;
}

static int
by_key(const void *a, const void *b, void *keys)
{
	const char *p = keys;

	return strcmp(p + ((const struct sorted_user *)a)->key,
		      p + ((const struct sorted_user *)b)->key);
}

int
sorted_finish(struct sorted *s, struct fault *f)
{
	if (s->n)
		qsort_r(s->users, s->n, sizeof *s->users, by_key, s->keys.p);
	for (size_t i = 1; i < s->n; i++)
		if (!by_key(&s->users[i - 1], &s->users[i], s->keys.p))
			return fault_set(f, RESITE_ERR_REFUSED,
					 "user '%s' is there twice: which of the two is meant cannot "
					 "be told", sorted_key(s, &s->users[i]));
	return RESITE_OK;
}

int
sorted_texts(const struct sorted *s, const struct sorted_user *u, struct buf *out, struct fault *f)
{
	size_t len = (size_t)u->len[0] + u->len[1];
	char *to;

	buf_clear(out);
	to = buf_room(out, len + 1);
	if (!to)
		return fault_memory(f);
	out->len = len;
	return spool_read(s->fd, u->at, to, len, f);
}

struct sorted_user *
sorted_find(const struct sorted *s, const char *key)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(key, sorted_key(s, &s->users[mid]));

		if (order == 0)
			return &s->users[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}
