#include "core/base/base.h"
#include "core/base/vec.h"
#include "core/certify/cut.h"
#include "core/certify/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a disk writes whole. */
#define SECTOR 512

struct cutting {
	struct fault_page *page;
	bool some;
	uint64_t seed;
	struct fault_record **record; /* oldest first */
	size_t n, cap;
	struct error *err;
};

static const char *
path_of(const struct fault_record *r)
{
	return (const char *)(r + 1);
}

static uint64_t
mix(uint64_t x)
{
	/* splitmix64 */
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Whether that part of a file is on disk although it was not synced. */
static bool
is_kept(const struct cutting *c, const char *path, uint64_t part)
{
	uint64_t x = mix(c->seed + part);

	for (; *path; path++)
		x = mix(x ^ (unsigned char)*path);
	return c->some && (x & 1);
}

static int
collect(struct cutting *c)
{
	for (uint64_t at = 0; at < c->page->used;) {
		struct fault_record *r = (struct fault_record *)(void *)(c->page->arena + at);

		at += r->size;
		if (vec_reserve(&c->record, c->n + 1, &c->cap) < 0)
			return error_set(c->err, E_NOMEM, "out of memory");
		c->record[c->n++] = r;
	}
	return 0;
}

/* --- bytes --------------------------------------------------------------- */

struct image {
	int fd;
	const char *path;
	uint64_t size;       /* what it will be */
	bool size_known;     /* nothing older changes it */
	bool *known;         /* by sector: nothing older changes it */
	uint64_t n_sectors;
};

/* Puts back what was in sector s before r. */
static int
put_back(const struct image *im, const struct fault_record *r, uint64_t s, struct error *err)
{
	const char *old = path_of(r) + r->path_len;
	uint64_t from = s * SECTOR > r->offset ? s * SECTOR : r->offset;
	uint64_t end = (s + 1) * SECTOR < r->offset + r->len ? (s + 1) * SECTOR : r->offset + r->len;
	char bytes[SECTOR] = {0}; /* beyond the old end: nothing was there */

	for (uint64_t at = from; at < end && at < r->offset + r->old_len; at++)
		bytes[at - from] = old[at - r->offset];
	if (pwrite(im->fd, bytes, end - from, (off_t)from) != (ssize_t)(end - from))
		return error_errno(err, errno, "%s", im->path);
	return 0;
}

/* One change, the newest first. */
static int
undo_bytes(const struct cutting *c, struct image *im, const struct fault_record *r)
{
	bool synced = r->state == FAULT_SYNCED;
	int rc = 0;

	for (uint64_t s = r->offset / SECTOR; rc == 0 && r->len && s * SECTOR < r->offset + r->len;
	     s++) {
		if (s >= im->n_sectors || im->known[s])
			continue;
		if (synced || is_kept(c, im->path, s))
			im->known[s] = true;
		else
			rc = put_back(im, r, s, c->err);
	}
	if (!im->size_known && (synced || is_kept(c, im->path, UINT64_MAX)))
		im->size_known = true;
	else if (!im->size_known)
		im->size = r->old_size;
	return rc;
}

/* How far any change of the file has reached. */
static uint64_t
reach(const struct cutting *c, const char *path, uint64_t size)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->record[i]->kind == FAULT_RECORD_BYTES && !strcmp(path_of(c->record[i]), path) &&
		    c->record[i]->offset + c->record[i]->len > size)
			size = c->record[i]->offset + c->record[i]->len;
	return size;
}

static int
undo_all_bytes(struct cutting *c, struct image *im)
{
	int rc = 0;

	for (size_t i = c->n; rc == 0 && i-- > 0;) {
		struct fault_record *r = c->record[i];

		if (r->kind != FAULT_RECORD_BYTES || r->state == FAULT_VOID ||
		    strcmp(path_of(r), im->path))
			continue;
		rc = undo_bytes(c, im, r);
	}
	if (rc == 0 && ftruncate(im->fd, (off_t)im->size) < 0)
		rc = error_errno(c->err, errno, "%s", im->path);
	return rc;
}

static int
cut_file(struct cutting *c, const char *path)
{
	struct image im = {.path = path, .fd = open(path, O_RDWR | O_CLOEXEC)};
	struct stat st;
	int rc = 0;

	if (im.fd < 0)
		return errno == ENOENT ? 0 : error_errno(c->err, errno, "%s", path);
	if (fstat(im.fd, &st) < 0)
		rc = error_errno(c->err, errno, "%s", path);
	if (rc == 0) {
		im.size = (uint64_t)st.st_size;
		im.n_sectors = reach(c, path, im.size) / SECTOR + 1;
		im.known = calloc(im.n_sectors, sizeof(*im.known));
		rc = im.known ? undo_all_bytes(c, &im) : error_set(c->err, E_NOMEM, "out of memory");
	}
	free(im.known);
	close(im.fd);
	return rc;
}

/* --- names --------------------------------------------------------------- */

/* Each name that has a record after this one of the same name, too, is taken there. */
static bool
is_last_of_its_name(const struct cutting *c, size_t at)
{
	for (size_t i = at + 1; i < c->n; i++)
		if (c->record[i]->state != FAULT_VOID &&
		    c->record[i]->kind == FAULT_RECORD_BYTES &&
		    !strcmp(path_of(c->record[i]), path_of(c->record[at])))
			return false;
	return true;
}

/* Takes back what happened to one name. */
static int
cut_name(const struct cutting *c, const struct fault_record *r)
{
	char kept[PATH_MAX + 32];

	if (r->kind != FAULT_RECORD_GONE)
		return files_remove(path_of(r), c->err);
	fault_gone_name(c->page, r->offset, kept);
	if (rename(kept, path_of(r)) < 0)
		return error_errno(c->err, errno, "%s", path_of(r));
	return 0;
}

/* The newest first: what happened to a name is on disk in its order, or not at all. */
static int
cut_names(const struct cutting *c)
{
	int rc = 0;

	for (size_t i = c->n; rc == 0 && i-- > 0;) {
		const struct fault_record *r = c->record[i];

		if (r->kind != FAULT_RECORD_BYTES && r->state == FAULT_UNSYNCED &&
		    !is_kept(c, path_of(r), UINT64_MAX - 1))
			rc = cut_name(c, r);
	}
	return rc;
}

int
cut_apply(struct fault_page *page, bool some, uint64_t seed, struct error *err)
{
	struct cutting c = {.page = page, .some = some, .seed = seed, .err = err};
	int rc = collect(&c);

	for (size_t i = 0; rc == 0 && i < c.n; i++)
		if (c.record[i]->kind == FAULT_RECORD_BYTES && c.record[i]->state != FAULT_VOID &&
		    is_last_of_its_name(&c, i))
			rc = cut_file(&c, path_of(c.record[i]));
	if (rc == 0)
		rc = cut_names(&c);
	free(c.record);
	page->used = 0;
	return rc;
}
