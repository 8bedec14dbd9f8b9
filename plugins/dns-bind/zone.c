#include "config.h"

#include "plugins/dns-bind/zone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOA 6

/* --- names that are looked at --------------------------------------------------------- */

static size_t
hash_of(const struct name *n)
{
	uint64_t h = UINT64_C(1469598103934665603);

	for (size_t i = 0; i < n->len; i++)
		h = (h ^ n->wire[i]) * UINT64_C(1099511628211);
	return (size_t)(h ^ (h >> 29));
}

/* The place of a name: its own, or a free one. */
static struct watch *
slot_of(struct watch *table, size_t cap, const struct name *n)
{
	size_t i = hash_of(n) & (cap - 1);

	while (table[i].name.len && !name_equal(&table[i].name, n))
		i = (i + 1) & (cap - 1);
	return &table[i];
}

struct watch *
zone_find(const struct zone *z, const struct name *name)
{
	struct watch *w = z->cap ? slot_of(z->watches, z->cap, name) : NULL;

	return w && w->name.len ? w : NULL;
}

static bool
grow(struct zone *z)
{
	size_t cap = z->cap ? 2 * z->cap : 64;
	struct watch *table = calloc(cap, sizeof(*table));

	if (!table)
		return false;
	for (size_t i = 0; i < z->cap; i++)
		if (z->watches[i].name.len)
			*slot_of(table, cap, &z->watches[i].name) = z->watches[i];
	free(z->watches);
	z->watches = table;
	z->cap = cap;
	return true;
}

bool
zone_watch(struct zone *z, const struct name *name)
{
	struct watch *w;

	if (2 * z->n_watches >= z->cap && !grow(z))
		return false;
	w = slot_of(z->watches, z->cap, name);
	if (!w->name.len) {
		w->name = *name;
		z->n_watches++;
	}
	return true;
}

static void
spot_release(struct spot *s)
{
	free(s->data);
	free(s->rdata.bytes);
	*s = (struct spot){0};
}

static void
forget_spots(struct zone *z)
{
	for (size_t i = 0; i < z->cap; i++) {
		struct watch *w = &z->watches[i];

		for (size_t k = 0; k < w->n; k++)
			spot_release(&w->spots[k]);
		w->n = 0;
	}
	spot_release(&z->soa);
	z->n_soa = z->signed_line = z->generate_line = 0;
	z->records = z->rrsets = z->digest = 0;
}

bool
zone_init(struct zone *z, const char *zone)
{
	*z = (struct zone){0};
	if (!name_parse(zone, strlen(zone), NULL, &z->name))
		return false;
	name_text(&z->name, NULL, z->text);
	return true;
}

static void
forget_files(struct zone *z)
{
	for (size_t i = 0; i < z->n_files; i++)
		zone_file_release(&z->files[i]);
	free(z->files);
	z->files = NULL;
	z->n_files = 0;
}

void
zone_release(struct zone *z)
{
	forget_spots(z);
	for (size_t i = 0; i < z->cap; i++)
		free(z->watches[i].spots);
	free(z->watches);
	forget_files(z);
	*z = (struct zone){0};
}

/* --- scan --------------------------------------------------------------------------- */

static bool
fill_spot(struct zone *z, struct spot *s, const struct zone_record *r)
{
	static const size_t no_data = 1; /* malloc(0) may be NULL */
	uint8_t *buf = malloc(ZONE_DATA_MAX);
	int len = buf ? zone_data_wire(z->files[r->file].bytes, r, buf) : -1;

	*s = (struct spot){.file = r->file, .line = r->line, .begin = r->begin, .end = r->end,
			   .owner = r->owner, .ttl = r->ttl, .fields = r->fields, .ttl_s = r->ttl_s,
			   .type = r->type, .n_data = r->n_data, .origin = *r->origin,
			   .digest = r->digest};
	s->data = malloc((r->n_data + no_data) * sizeof(*s->data));
	if (s->data && r->n_data)
		memcpy(s->data, r->data, r->n_data * sizeof(*s->data));
	if (len >= 0 && (s->rdata.bytes = malloc((size_t)len + no_data))) {
		memcpy(s->rdata.bytes, buf, (size_t)len);
		s->rdata.len = (uint16_t)len;
	}
	free(buf);
	return buf && s->data && (len < 0 || s->rdata.bytes);
}

static void
take_soa(struct zone *z, const struct zone_record *r)
{
	const char *text;

	if (z->n_soa++) {
		z->second_soa_line = r->line;
		return;
	}
	if (!fill_spot(z, &z->soa, r))
		z->out_of_memory = true;
	z->serial_at = r->n_data > 2 ? r->data[2] : (struct zone_token){0, 0};
	text = z->files[r->file].bytes + z->serial_at.at;
	z->serial = 0;
	for (size_t i = 0; i < z->serial_at.len; i++) {
		uint64_t next = 10 * (uint64_t)z->serial + (uint64_t)(text[i] - '0');

		if (text[i] < '0' || text[i] > '9' || next > UINT32_MAX) {
			z->serial_at.len = 0;
			break;
		}
		z->serial = (uint32_t)next;
	}
}

static void
keep_spot(struct zone *z, struct watch *w, const struct zone_record *r, bool first)
{
	if (w->n == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : 4;
		struct spot *grown = realloc(w->spots, cap * sizeof(*grown));

		if (!grown) {
			z->out_of_memory = true;
			return;
		}
		w->spots = grown;
		w->cap = cap;
	}
	if (!fill_spot(z, &w->spots[w->n], r))
		z->out_of_memory = true;
	w->spots[w->n++].first_in_file = first;
}

static void
on_record(void *ctx, const struct zone_record *r)
{
	struct zone *z = ctx;
	bool same_name = z->at.any && name_equal(&z->at.last_name, r->name);
	bool first = !z->at.any || z->at.last_file != r->file;
	struct watch *w;

	z->records++;
	if (!same_name || z->at.last_type != r->type || r->type == ZONE_OTHER)
		z->rrsets++;
	if (!same_name) {
		z->at.last_name.len = r->name->len;
		memcpy(z->at.last_name.wire, r->name->wire, r->name->len);
	}
	z->at.last_type = r->type;
	z->at.last_file = r->file;
	z->at.any = true;
	if (r->type == ZONE_RRSIG && !z->signed_line)
		z->signed_line = r->line;
	if (r->type == SOA) {
		take_soa(z, r);
		return;
	}
	z->digest += r->digest;
	w = zone_find(z, r->name);
	if (w)
		keep_spot(z, w, r, first);
}

static void
on_generate(void *ctx, const struct zone_generate *g)
{
	struct zone *z = ctx;

	for (size_t i = 0; i < z->cap && !z->generate_line; i++) {
		const struct watch *w = &z->watches[i];

		if (w->name.len && zone_generate_may_make(g, z->files[g->file].bytes, &w->name)) {
			z->generate_line = g->line;
			z->generate_file = g->file;
		}
	}
}

static void
on_include(void *ctx, size_t in_file, const struct zone_token *word, size_t file)
{
	struct zone *z = ctx;

	z->files[file].parent = in_file;
	z->files[file].at_parent = *word;
}

static bool
is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return !strncmp(path, folder, n) && (path[n] == '/' || (n > 0 && folder[n - 1] == '/'));
}

static bool
may_include(const struct zone *z, const char *path)
{
	for (size_t i = 0; i < z->n_roots; i++)
		if (is_below(path, z->roots[i]))
			return true;
	return z->n_roots == 0;
}

/* The path as the file has it, made absolute; a bare one is relative to named's directory. */
static bool
include_path(const struct zone *z, const char *path, size_t len, char *ret, size_t size)
{
	int n;

	if (!len || memchr(path, '\0', len) || memchr(path, '\\', len))
		return false;
	n = *path == '/' || !z->directory
		    ? snprintf(ret, size, "%.*s", (int)len, path)
		    : snprintf(ret, size, "%s/%.*s", z->directory, (int)len, path);
	return n > 0 && (size_t)n < size;
}

static int
refuse_include(const char *text, char *err, size_t err_size)
{
	snprintf(err, err_size, "%s", text);
	return -1;
}

/* The second scan finds the files that the first has read. */
static int
on_open_again(void *ctx, size_t file, const char *path, size_t path_len, struct zone_text *ret,
	      char *err, size_t err_size)
{
	struct zone *z = ctx;
	size_t next = ++z->at.stack[0];

	(void)file, (void)path, (void)path_len;
	if (next >= z->n_files)
		return refuse_include("it was not there before", err, err_size);
	*ret = (struct zone_text){z->files[next].bytes, z->files[next].len};
	return 0;
}

static void
on_close_again(void *ctx)
{
	(void)ctx;
}

static int
on_open(void *ctx, size_t file, const char *path, size_t path_len, struct zone_text *ret, char *err,
	size_t err_size)
{
	struct zone *z = ctx;
	struct zone_file *grown, f;
	char full[4096];

	(void)file;
	if (!include_path(z, path, path_len, full, sizeof(full)))
		return refuse_include("the path of the file cannot be read", err, err_size);
	if (zone_file_read(z, full, &f) != ZONE_OK)
		return refuse_include(z->err, err, err_size);
	for (size_t i = 0; i <= z->at.depth; i++)
		if (!strcmp(z->files[z->at.stack[i]].path, f.path)) {
			snprintf(err, err_size, "%.200s includes itself", f.path);
			zone_file_release(&f);
			return -1;
		}
	if (!may_include(z, f.path)) {
		snprintf(err, err_size, "%.150s is outside of the zone's folder: if it is meant, name its "
			 "folder in include_from", f.path);
		zone_file_release(&f);
		return -1;
	}
	grown = realloc(z->files, (z->n_files + 1) * sizeof(*grown));
	if (!grown) {
		zone_file_release(&f);
		return refuse_include("out of memory", err, err_size);
	}
	z->files = grown;
	z->files[z->n_files] = f;
	z->at.stack[++z->at.depth] = z->n_files++;
	*ret = (struct zone_text){f.bytes, f.len};
	return 0;
}

static void
on_close(void *ctx)
{
	((struct zone *)ctx)->at.depth--;
}

static enum zone_rc
scan_fail(struct zone *z, const struct zone_error *e)
{
	char text[sizeof(z->err)];

	snprintf(text, sizeof(text), "%.250s:%u: %s",
		 e->file < z->n_files ? z->files[e->file].path : "?", e->line, e->text);
	return zone_fail(z, ZONE_BROKEN, "%s", text);
}

static enum zone_rc
scan(struct zone *z, bool again)
{
	struct zone_visitor v = {.ctx = z, .open = again ? on_open_again : on_open,
				 .close = again ? on_close_again : on_close, .record = on_record,
				 .generate = on_generate, .include = on_include};
	struct zone_text text = {z->files[0].bytes, z->files[0].len};
	struct zone_error err = {0};
	bool ok;

	forget_spots(z);
	memset(&z->at, 0, sizeof(z->at));
	ok = zone_scan(&text, &z->name, &v, &err);
	if (z->out_of_memory)
		return zone_fail(z, ZONE_IO, "out of memory");
	if (!ok)
		return scan_fail(z, &err);
	if (z->n_soa == 0)
		return zone_fail(z, ZONE_BROKEN, "%s has no SOA record: it is no zone", z->files[0].path);
	if (z->n_soa > 1)
		return zone_fail(z, ZONE_BROKEN, "%s has two SOA records, lines %u and %u: a zone has one",
				 z->files[0].path, z->soa.line, z->second_soa_line);
	if (!z->serial_at.len)
		return zone_fail(z, ZONE_BROKEN, "%s:%u: the SOA record has no serial that can be raised",
				 z->files[z->soa.file].path, z->soa.line);
	return ZONE_OK;
}

enum zone_rc
zone_read(struct zone *z, const char *path)
{
	enum zone_rc rc;

	forget_spots(z);
	forget_files(z);
	z->files = calloc(1, sizeof(*z->files));
	if (!z->files)
		return zone_fail(z, ZONE_IO, "out of memory");
	rc = zone_file_read(z, path, &z->files[0]);
	if (rc != ZONE_OK)
		return rc;
	z->n_files = 1;
	return scan(z, false);
}

enum zone_rc
zone_look_again(struct zone *z)
{
	return scan(z, true);
}

static void
ignore_generate(void *ctx, const struct zone_generate *g)
{
	(void)ctx, (void)g;
}

struct each {
	struct zone *z;
	void (*record)(void *ctx, const struct zone_record *r);
	void *ctx;
};

static int
each_open(void *ctx, size_t file, const char *path, size_t path_len, struct zone_text *ret, char *err,
	  size_t err_size)
{
	return on_open_again(((struct each *)ctx)->z, file, path, path_len, ret, err, err_size);
}

static void
each_record(void *ctx, const struct zone_record *r)
{
	struct each *e = ctx;

	e->record(e->ctx, r);
}

bool
zone_each(struct zone *z, void (*record)(void *ctx, const struct zone_record *r), void *ctx)
{
	struct each e = {z, record, ctx};
	struct zone_visitor v = {.ctx = &e, .open = each_open, .close = on_close_again,
				 .record = each_record, .generate = ignore_generate};
	struct zone_text text = {z->files[0].bytes, z->files[0].len};
	struct zone_error err = {0};

	memset(&z->at, 0, sizeof(z->at));
	return zone_scan(&text, &z->name, &v, &err);
}

const char *
zone_bytes(const struct zone *z, size_t file)
{
	return z->files[file].bytes;
}

bool
zone_rrset(struct zone *z, struct rrset *now, bool *ret_mixed)
{
	struct name name;
	struct watch *w = name_from_wire(now->owner, now->owner_len, &name) ? zone_find(z, &name) : NULL;
	bool any = false;

	rrset_clear(now);
	*ret_mixed = false;
	for (size_t i = 0; w && i < w->n; i++) {
		const struct spot *s = &w->spots[i];

		if (s->type != now->type)
			continue;
		if (!s->rdata.bytes) {
			zone_fail(z, ZONE_BROKEN, "%s:%u: the data of the record cannot be read",
				  z->files[s->file].path, s->line);
			return false;
		}
		if (!rrset_add_rdata(now, s->rdata.bytes, s->rdata.len))
			return false;
		*ret_mixed |= any && s->ttl_s != now->ttl;
		if (!any)
			now->ttl = s->ttl_s;
		any = true;
	}
	return true;
}

uint64_t
zone_digest_without(const struct zone *z, const struct rrset *sets, size_t n)
{
	uint64_t digest = z->digest;

	for (size_t i = 0; i < n; i++) {
		struct name name;
		struct watch *w =
			name_from_wire(sets[i].owner, sets[i].owner_len, &name) ? zone_find(z, &name) : NULL;

		for (size_t k = 0; w && k < w->n; k++)
			if (w->spots[k].type == sets[i].type)
				digest -= w->spots[k].digest;
	}
	return digest;
}
