#include "plugins/contacts/produce.h"

#include "plugins/contacts/jid.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- what is there ----------------------------------------------------------------- */

/* The next bytes of what is there are these. */
static bool
is_there(struct produce *p, const char *data, size_t len)
{
	char *to;

	buf_clear(&p->there);
	to = buf_room(&p->there, len);
	for (size_t at = 0; to && at < len;) {
		ssize_t n = read(p->there_fd, to + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return to && !memcmp(to, data, len);
}

static void
forget_there(struct produce *p)
{
	if (p->there_fd >= 0)
		close(p->there_fd);
	p->there_fd = -1;
}

static void
open_there(struct produce *p, const char *path)
{
	forget_there(p);
	p->there_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	p->same = p->same && p->there_fd >= 0;
}

/* The file that is there has no more bytes. */
static void
end_there(struct produce *p)
{
	char byte;

	if (p->there_fd >= 0 && read(p->there_fd, &byte, 1) != 0)
		p->same = false;
	forget_there(p);
}

static void
look_there(struct produce *p)
{
	struct stat st;

	p->same = !p->write;
	if (stat(p->path, &st) < 0)
		snprintf(p->was, sizeof p->was, "%s", errno == ENOENT ? "nothing" : strerror(errno));
	else if (S_ISDIR(st.st_mode))
		snprintf(p->was, sizeof p->was, "a folder");
	else
		snprintf(p->was, sizeof p->was, "a file of %jd bytes", (intmax_t)st.st_size);
}

/* --- output ------------------------------------------------------------------------ */

static int
put(void *arg, const void *data, size_t len, struct fault *f)
{
	struct produce *p = arg;

	p->bytes += len;
	sha256_update(&p->hash, len, data);
	if (p->write)
		return outfile_write(&p->out, data, len, f);
	p->same = p->same && is_there(p, data, len);
	return RESITE_OK;
}

static const struct output *
output_of(struct produce *p)
{
	p->writer.out = (struct output){put, p};
	return &p->writer.out;
}

/* A user's file: as XCAP servers and Prosody name it. */
static void
member_name(const struct produce *p, const struct model_user *u, struct buf *out)
{
	const char *name = model_text(u, u->name);

	buf_clear(out);
	if (p->format->family == FAMILY_XMPP)
		jid_from_address(out, name, strlen(name));
	else
		buf_puts(out, name);
	buf_puts(out, p->format->suffix);
	buf_add(out, "", 1);
}

static int
begin_member(struct produce *p, const struct model_user *u, struct fault *f)
{
	struct buf name = {0}, path = {0};
	int rc = RESITE_OK;

	member_name(p, u, &name);
	buf_puts(&path, p->path);
	buf_puts(&path, "/");
	buf_add(&path, name.p, name.len);
	if (name.failed || path.failed) {
		rc = fault_memory(f);
	} else {
		sha256_update(&p->hash, name.len, (const uint8_t *)name.p);
		if (p->write)
			rc = outfile_member(&p->out, name.p, f);
		else
			open_there(p, path.p);
	}
	buf_release(&name);
	buf_release(&path);
	return rc;
}

static int
put_alone(struct produce *p, const struct model_user *u, struct fault *f)
{
	int rc;

	if (begin_member(p, u, f) < 0)
		return f->rc;
	rc = writer_begin(&p->writer, p->format, *output_of(p), f);
	if (rc == RESITE_OK)
		rc = writer_put(&p->writer, u, f);
	if (rc == RESITE_OK)
		rc = writer_end(&p->writer, f);
	writer_release(&p->writer);
	p->writer = (struct writer){0};
	if (!p->write)
		end_there(p);
	return rc;
}

static int
on_user(void *arg, const struct model_user *u, struct fault *f)
{
	struct produce *p = arg;

	p->users++;
	losses_note(&p->losses, u, p->format);
	return p->split ? put_alone(p, u, f) : writer_put(&p->writer, u, f);
}

/* --- the whole --------------------------------------------------------------------- */

static int
begin(struct produce *p, struct fault *f)
{
	if (p->write && (p->split ? outfile_open_folder(&p->out, p->path, f)
				  : outfile_open(&p->out, p->path, f)) < 0)
		return f->rc;
	if (p->split)
		return RESITE_OK;
	if (!p->write)
		open_there(p, p->path);
	return writer_begin(&p->writer, p->format, *output_of(p), f);
}

/* A folder that has the files, and no others. */
static bool
holds_no_more(const struct produce *p)
{
	DIR *d = opendir(p->path);
	struct dirent *e;
	uint64_t n = 0;

	while (d && (e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	if (d)
		closedir(d);
	return n == p->users;
}

static int
end(struct produce *p, struct fault *f)
{
	uint8_t digest[SHA256_DIGEST_SIZE];

	if (p->users == 0)
		return fault_set(f, RESITE_ERR_REFUSED,
				 "no user is left to write: is the list of users for this source?");
	if (!p->split && writer_end(&p->writer, f) < 0)
		return f->rc;
	if (!p->write && !p->split)
		end_there(p);
	if (p->same && p->split)
		p->same = holds_no_more(p);
	sha256_digest(&p->hash, sizeof digest, digest);
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(p->digest + 2 * i, 3, "%02x", digest[i]);
	return p->write ? outfile_commit(&p->out, f) : RESITE_OK;
}

int
produce_run(struct produce *p)
{
	struct fault *f = &p->source->call->f;
	int rc;

	p->users = p->bytes = 0;
	p->losses = (struct losses){0};
	p->there_fd = -1;
	p->out = (struct outfile){.fd = -1};
	p->writer = (struct writer){0};
	sha256_init(&p->hash);
	look_there(p);
	rc = begin(p, f);
	if (rc == RESITE_OK)
		rc = source_users(p->source, p->format->family == FAMILY_LISTS, on_user, p, &p->stats);
	if (rc == RESITE_OK)
		rc = end(p, f);
	forget_there(p);
	writer_release(&p->writer);
	p->writer = (struct writer){0};
	outfile_release(&p->out);
	buf_release(&p->there);
	return rc;
}

static void
say(void *arg, const char *sentence)
{
	struct call *c = arg;

	c->host->loss(c->op, sentence);
}

void
produce_tell(struct produce *p)
{
	struct call *c = p->source->call;

	losses_tell(&p->losses, p->format, say, c);
	source_remarks(c, &p->stats);
}
