#define _GNU_SOURCE
#include "config.h"
#include "plugins/ldap-homing/report.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
cannot(struct lh_error *e, const struct lh_report *r, const char *what, int rc)
{
	return lh_error_set(e, rc, "report: %s: %s: %s", r->path, what, strerror(errno));
}

int
lh_report_open(struct lh_report *r, const char *path, struct lh_error *e)
{
	*r = (struct lh_report){.path = path, .fd = -1};
	if (!path)
		return 0;
	if (asprintf(&r->aside, "%s.XXXXXX", path) < 0) {
		r->aside = NULL;
		return lh_error_set(e, RESITE_ERR_TRANSIENT, "out of memory");
	}
	r->fd = mkostemp(r->aside, O_CLOEXEC);
	if (r->fd >= 0)
		return 0;
	free(r->aside);
	r->aside = NULL;
	return cannot(e, r, "the file cannot be made beside it, so nobody was moved",
		      RESITE_ERR_INVALID);
}

void
lh_report_add(struct lh_report *r, const char *dn, const char *address, enum lh_stay why,
	      const char *detail)
{
	if (!r->path)
		return;
	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 64;
		struct lh_report_row *more = realloc(r->rows, cap * sizeof(*more));

		if (!more) {
			r->short_of_memory = true;
			return;
		}
		r->rows = more;
		r->cap = cap;
	}
	r->rows[r->n++] = (struct lh_report_row){dn ? strdup(dn) : NULL,
						 address ? strdup(address) : NULL,
						 detail ? strdup(detail) : NULL, why};
}

/* --- writing --------------------------------------------------------------- */

/* The length of a character in UTF-8; 0: it is none. */
static int
utf8_len(const unsigned char *p)
{
	int n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3
		: p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;

	for (int i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

static void
put_member(FILE *f, const char *sep, const char *name, const char *value)
{
	const unsigned char *p = (const unsigned char *)value;
	int n;

	if (!value)
		return;
	fprintf(f, "%s\"%s\":\"", sep, name);
	for (; *p; p += n) {
		n = utf8_len(p);
		if (n == 0)
			fputs("\\ufffd", f), n = 1;
		else if (*p < 0x20 || *p == 0x7f)
			fprintf(f, "\\u%04x", *p);
		else if (*p == '"' || *p == '\\')
			fprintf(f, "\\%c", *p);
		else
			fwrite(p, 1, (size_t)n, f);
	}
	fputc('"', f);
}

/* By DN, and what was said last comes last. */
static int
by_name(const void *a, const void *b)
{
	const struct lh_report_row *x = *(const struct lh_report_row *const *)a;
	const struct lh_report_row *y = *(const struct lh_report_row *const *)b;
	int order = strcmp(x->dn ? x->dn : "", y->dn ? y->dn : "");

	return order ? order : x < y ? -1 : x > y;
}

static bool
same_entry(const struct lh_report_row *a, const struct lh_report_row *b)
{
	return a->dn && b->dn && !strcmp(a->dn, b->dn);
}

static int
write_rows(struct lh_report *r, FILE *f, struct lh_error *e)
{
	const struct lh_report_row **order = calloc(r->n + 1, sizeof(struct lh_report_row *));

	if (!order || r->short_of_memory) {
		free(order);
		return lh_error_set(e, RESITE_ERR_TRANSIENT, "report: out of memory");
	}
	for (size_t i = 0; i < r->n; i++)
		order[i] = &r->rows[i];
	qsort(order, r->n, sizeof(struct lh_report_row *), by_name);
	for (size_t i = 0; i < r->n; i++) {
		if (i + 1 < r->n && same_entry(order[i], order[i + 1]))
			continue;
		put_member(f, "{", "why", lh_stay_name(order[i]->why));
		put_member(f, ",", "dn", order[i]->dn);
		put_member(f, ",", "address", order[i]->address);
		put_member(f, ",", "detail", order[i]->detail);
		fputs("}\n", f);
	}
	free(order);
	return 0;
}

/* The new name itself must outlive a crash too. */
static int
sync_folder(const struct lh_report *r, struct lh_error *e)
{
	char *copy = strdup(r->path);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int rc = fd < 0 || fsync(fd) < 0 ? cannot(e, r, "its folder", RESITE_ERR_TRANSIENT) : 0;

	if (fd >= 0)
		close(fd);
	free(copy);
	return rc;
}

int
lh_report_close(struct lh_report *r, struct lh_error *e)
{
	FILE *f;
	bool bad;

	if (!r->path || r->fd < 0)
		return 0;
	f = fdopen(r->fd, "w");
	if (!f)
		return cannot(e, r, "writing", RESITE_ERR_TRANSIENT);
	r->fd = -1;
	if (write_rows(r, f, e)) {
		fclose(f);
		return e->rc;
	}
	bad = fflush(f) || fsync(fileno(f));
	bad |= fclose(f) != 0;
	if (bad || rename(r->aside, r->path) < 0)
		return cannot(e, r, "writing", RESITE_ERR_TRANSIENT);
	free(r->aside);
	r->aside = NULL;
	return sync_folder(r, e);
}

void
lh_report_release(struct lh_report *r)
{
	if (r->path && r->fd >= 0)
		close(r->fd);
	if (r->aside)
		unlink(r->aside);
	free(r->aside);
	for (size_t i = 0; i < r->n; i++) {
		free(r->rows[i].dn);
		free(r->rows[i].address);
		free(r->rows[i].detail);
	}
	free(r->rows);
	*r = (struct lh_report){.fd = -1};
}
