#include "plugins/contacts/documents.h"

#include "plugins/contacts/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_SIZE (64 * 1024)
#define LINE_MAX_BYTES 1100

void
documents_put_head(struct buf *out, const char *user, size_t len)
{
	char line[LINE_MAX_BYTES];

	snprintf(line, sizeof line, "doc %zu %s\n", len, user);
	buf_puts(out, line);
}

void
documents_put_none(struct buf *out, const char *user)
{
	buf_puts(out, "none ");
	buf_puts(out, user);
	buf_puts(out, "\n");
}

void
documents_put_end(struct buf *out, uint64_t documents, uint64_t none)
{
	char line[64];

	snprintf(line, sizeof line, "end %" PRIu64 " %" PRIu64 "\n", documents, none);
	buf_puts(out, line);
}

/* Reads on; 0 at the end of the file. */
static int
fill(struct documents *d, struct fault *f)
{
	size_t n = 0;
	char *to;

	if (d->at > 0) {
		memmove(d->in.p, d->in.p + d->at, d->in.len - d->at);
		d->in.len -= d->at;
		d->at = 0;
	}
	to = buf_room(&d->in, READ_SIZE);
	if (!to)
		return fault_memory(f);
	if (d->read(d->arg, to, READ_SIZE, &n, f) < 0)
		return f->rc;
	d->in.len += n;
	return n > 0;
}

static int
bad(const struct documents *d, struct fault *f, const char *what)
{
	return fault_set(f, RESITE_ERR_REFUSED, DOCUMENTS_FILE ": after %" PRIu64 " documents: %s",
			 d->n, what);
}

/* The next line without its newline; a NUL takes the newline's place. */
static int
next_line(struct documents *d, char **ret, struct fault *f)
{
	for (;;) {
		size_t have = d->in.len - d->at;
		char *line = have ? d->in.p + d->at : NULL;
		char *end = have ? memchr(line, '\n', have) : NULL;
		int rc;

		if (end) {
			*end = '\0';
			d->at += (size_t)(end - line) + 1;
			*ret = line;
			return memchr(line, '\0', (size_t)(end - line)) ||
					       end - line >= LINE_MAX_BYTES
				       ? bad(d, f, "a line is no line of this format")
				       : RESITE_OK;
		}
		if (have >= LINE_MAX_BYTES)
			return bad(d, f, "a line is too long");
		rc = fill(d, f);
		if (rc <= 0)
			return rc < 0 ? rc : bad(d, f, "the file ends too early");
	}
}

static int
take_user(struct documents *d, const char *user, struct fault *f)
{
	size_t len = strlen(user);

	if (len >= sizeof d->user || !text_is_address(user, len))
		return bad(d, f, "a user's address is none");
	memcpy(d->user, user, len + 1);
	return RESITE_OK;
}

static int
take_document(struct documents *d, const char *rest, struct document *ret, struct fault *f)
{
	unsigned long len;
	char *end;
	int rc;

	len = *rest >= '0' && *rest <= '9' ? strtoul(rest, &end, 10) : DOCUMENT_MAX_BYTES + 1ul;
	if (len > DOCUMENT_MAX_BYTES || *end != ' ')
		return bad(d, f, "a document's length is none");
	if (take_user(d, end + 1, f) < 0)
		return f->rc;
	while (d->in.len - d->at < len + 1) {
		rc = fill(d, f);
		if (rc <= 0)
			return rc < 0 ? rc : bad(d, f, "the file ends in a document");
	}
	if (d->in.p[d->at + len] != '\n')
		return bad(d, f, "a document is longer than its line says");
	*ret = (struct document){d->n, d->user, d->in.p + d->at, len};
	d->at += len + 1;
	d->n++;
	return 1;
}

static int
take_end(struct documents *d, const char *rest, struct fault *f)
{
	char expected[64];
	int rc;

	snprintf(expected, sizeof expected, "%" PRIu64 " %" PRIu64, d->n, d->n_none);
	if (strcmp(rest, expected))
		return bad(d, f, "the counts at the end are others");
	d->ended = true;
	if (d->at < d->in.len)
		return bad(d, f, "there is more after the end");
	/* Reading to the very end lets the vault check the digest of what we used. */
	rc = fill(d, f);
	return rc > 0 ? bad(d, f, "there is more after the end") : rc;
}

int
documents_next(struct documents *d, struct document *ret, struct fault *f)
{
	char *line;

	if (d->ended)
		return 0;
	if (!d->started) {
		if (next_line(d, &line, f) < 0)
			return f->rc;
		if (strcmp(line, "resite-documents 1"))
			return bad(d, f, "it does not begin with 'resite-documents 1'");
		d->started = true;
	}
	for (;;) {
		if (next_line(d, &line, f) < 0)
			return f->rc;
		if (!strncmp(line, "doc ", 4))
			return take_document(d, line + 4, ret, f);
		if (!strncmp(line, "end ", 4))
			return take_end(d, line + 4, f);
		if (strncmp(line, "none ", 5))
			return bad(d, f, "a line is no line of this format");
		if (take_user(d, line + 5, f) < 0)
			return f->rc;
		d->n_none++;
	}
}

void
documents_release(struct documents *d)
{
	buf_release(&d->in);
}
