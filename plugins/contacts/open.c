#include "plugins/contacts/open.h"

#include "plugins/contacts/contacts.h"
#include "plugins/contacts/lists.h"
#include "plugins/contacts/lync.h"
#include "plugins/contacts/text.h"
#include "plugins/contacts/xep0227.h"
#include "plugins/contacts/xmlin.h"
#include "plugins/contacts/zip.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- what it is -------------------------------------------------------------------- */

static const struct {
	const char *root, *space, *format; /* space NULL: any */
} roots[] = {
	{"HomedResources", LYNC_NAMESPACE, "dbimpexp"},
	{"DocItemSet", NULL, "docitemset"},
	{"server-data", XEP0227_NAMESPACE, "xep0227"},
	{"server-data", XEP0227_DRAFT, "xep0227"},
	{"host", XEP0227_NAMESPACE, "xep0227"},
	{"host", XEP0227_DRAFT, "xep0227"},
	{"resource-lists", LISTS_NAMESPACE, "resource-lists"},
};

struct root {
	struct xmlin x;
	const struct format *format;
	char said[400];
};

static void
on_root(void *arg, const xmlChar *name, const xmlChar *uri, int n, int n_own,
	const xmlChar **attributes)
{
	struct root *r = arg;

	(void)n, (void)n_own, (void)attributes;
	snprintf(r->said, sizeof r->said, "its root is '%.100s' in namespace '%.200s'",
		 (const char *)name, uri ? (const char *)uri : "");
	for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
		if (!strcmp((const char *)name, roots[i].root) &&
		    (!roots[i].space || (uri && !strcmp((const char *)uri, roots[i].space))))
			r->format = format_named(roots[i].format);
	xmlin_stop(&r->x);
}

static void
on_no_end(void *arg)
{
	(void)arg;
}

static int
root_of(int fd, const struct format **ret, struct fault *f)
{
	static const struct xmlin_calls calls = {.start = on_root, .end = on_no_end};
	struct root r = {.x = {.calls = &calls, .arg = &r}};
	const struct bytes bytes = {bytes_from_fd, &fd};
	int rc = xmlin_open(&r.x, f);

	if (rc == RESITE_OK)
		rc = xmlin_run(&r.x, &bytes);
	xmlin_close(&r.x);
	if (rc < 0) {
		fault_prefix(f, "this is no contact export");
		return rc;
	}
	*ret = r.format;
	if (r.format)
		return RESITE_OK;
	return fault_set(f, RESITE_ERR_REFUSED, "this is no contact export that is known: %s",
			 r.said);
}

static int
recognise_file(int fd, const struct format **ret, struct fault *f)
{
	char head[sizeof DOCUMENTS_HEAD];
	ssize_t n = pread(fd, head, sizeof head, 0);

	if (n < 0)
		return fault_set(f, RESITE_ERR_REFUSED, "read: %s", strerror(errno));
	if (n >= 4 && !memcmp(head, "PK", 2) && (head[2] == 3 || head[2] == 5))
		*ret = format_named("docitemset");
	else if (n >= (ssize_t)strlen(DOCUMENTS_HEAD) &&
		 !memcmp(head, DOCUMENTS_HEAD, strlen(DOCUMENTS_HEAD)))
		*ret = format_named("resource-lists");
	else
		return root_of(fd, ret, f);
	return RESITE_OK;
}

/* --- folders --------------------------------------------------------------------------- */

static int
is_candidate(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* name, or the document in a folder of that name, as an XCAP server's tree has it: a plain file.
 * 0: there is none. */
static int
open_member(int dir_fd, const char *name, int *ret_fd, struct fault *f)
{
	char path[400];
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fault_set(f, RESITE_ERR_REFUSED, "'%s': %s", name, strerror(errno));
	snprintf(path, sizeof path, S_ISDIR(st.st_mode) ? "%s/index" : "%s", name);
	if (!S_ISREG(st.st_mode) &&
	    (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode)))
		return 0;
	*ret_fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return *ret_fd >= 0 ? 1 : fault_set(f, RESITE_ERR_REFUSED, "'%s': %s", path,
					    strerror(errno));
}

/* Calls each for the files of a folder in the order of their names. */
static int
folder_each(const char *path, int (*each)(void *arg, int dir_fd, int fd, const char *name,
					  struct fault *f), void *arg, struct fault *f)
{
	struct dirent **list = NULL;
	int dir_fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY), rc = RESITE_OK, fd;
	int n = dir_fd < 0 ? -1 : scandir(path, &list, is_candidate, by_bytes);

	if (n < 0)
		rc = fault_set(f, RESITE_ERR_REFUSED, "%s", strerror(errno));
	for (int i = 0; i < n; i++) {
		if (rc == RESITE_OK && (rc = open_member(dir_fd, list[i]->d_name, &fd, f)) > 0) {
			rc = each(arg, dir_fd, fd, list[i]->d_name, f);
			if (rc < 0)
				fault_prefix(f, "%s", list[i]->d_name);
			close(fd);
		}
		free(list[i]);
	}
	free(list);
	if (dir_fd >= 0)
		close(dir_fd);
	return rc < 0 ? rc : RESITE_OK;
}

/* The first file that is something says what the folder is; what others are is seen when they are read. */
static int
recognise_member(void *arg, int dir_fd, int fd, const char *name, struct fault *f)
{
	const struct format **format = arg;

	(void)dir_fd, (void)name;
	return *format ? RESITE_OK : recognise_file(fd, format, f);
}

static int
recognise(const char *path, const struct format **ret, struct fault *f)
{
	struct stat st;
	int fd, rc;

	*ret = NULL;
	if (stat(path, &st) < 0)
		return fault_set(f, RESITE_ERR_REFUSED, "%s", strerror(errno));
	if (S_ISDIR(st.st_mode)) {
		if (folder_each(path, recognise_member, ret, f) < 0)
			return f->rc;
		return *ret ? RESITE_OK
			    : fault_set(f, RESITE_ERR_REFUSED, "the folder has no file in it");
	}
	if (!S_ISREG(st.st_mode))
		return fault_set(f, RESITE_ERR_REFUSED, "neither a plain file nor a folder");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fault_set(f, RESITE_ERR_REFUSED, "%s", strerror(errno));
	rc = recognise_file(fd, ret, f);
	close(fd);
	return rc;
}

int
contacts_in_file(struct contacts_in *in, const char *path, const char *format, struct fault *f)
{
	const struct format *want = format && strcmp(format, FORMAT_AUTO) ? format_named(format)
									  : NULL;

	*in = (struct contacts_in){.path = path};
	if (recognise(path, &in->format, f) == RESITE_OK && want && want != in->format)
		fault_set(f, RESITE_ERR_REFUSED, "by its content this is '%s' (%s); the plan says "
			  "'%s'", in->format->name, in->format->what, want->name);
	else if (in->format)
		return RESITE_OK;
	fault_prefix(f, "%s", path);
	return f->rc;
}

int
contacts_in_set(struct contacts_in *in, struct vault_set *set, struct fault *f)
{
	const char *original = vault_set_extra(set, ORIGINALS_FORMAT);

	*in = (struct contacts_in){.set = set,
				   .format = format_named(original ? original : "resource-lists")};
	if (in->format)
		return RESITE_OK;
	return fault_set(f, RESITE_ERR_REFUSED, "set %s has its users as '%s', which is not known",
			 vault_set_name(set), original);
}

/* --- reading ----------------------------------------------------------------------------- */

/* One reading of a whole source. */
struct reading {
	const struct contacts_in *in;
	const struct reader *reader;
	struct read_stats *stats;
	struct model_user user;
	struct fault *fault;
};

/* The sum of what several files had. */
static void
add_stats(struct read_stats *to, const struct read_stats *from)
{
	to->users += from->users;
	to->users_without_contacts += from->users_without_contacts;
	to->groups += from->groups;
	to->distribution_groups += from->distribution_groups;
	to->contacts += from->contacts;
	to->self_contacts += from->self_contacts;
	to->duplicates += from->duplicates;
	to->other_sections += from->other_sections;
	to->nameless_users += from->nameless_users;
	to->odd_names += from->odd_names;
	to->not_users += from->not_users;
	to->nested += from->nested;
	to->bytes += from->bytes;
	to->names = from->names;
}

static int
read_document(struct reading *r, const char *user, const char *body, size_t len)
{
	int rc = lists_read(user, body, len, &r->user, r->stats, r->fault);

	if (rc < 0)
		fault_prefix(r->fault, "%s", user);
	else
		rc = r->reader->user(r->reader->arg, &r->user, r->fault);
	return rc;
}

/* A user of a set as she was in the file that the set was made of. */
static int
read_original(struct reading *r, const struct document *d)
{
	const char *names = vault_set_extra(r->in->set, ORIGINALS_NAMES);
	struct memory memory = {.all = {d->body, d->len}};
	const struct input in = input_of_memory(&memory);
	struct reader reader = *r->reader;
	struct read_stats one;
	int rc;

	reader.piece = NULL;
	reader.names = names && !strcmp(names, "plain") ? NAMES_PLAIN : NAMES_BASE64;
	rc = r->in->format->family == FAMILY_LYNC ? lync_read(&in, &reader, &one, r->fault)
						  : xep0227_read(&in, -1, &reader, &one, r->fault);
	if (rc == RESITE_OK)
		add_stats(r->stats, &one);
	else
		fault_prefix(r->fault, "%s", d->user);
	return rc;
}

static int
read_documents(struct reading *r, const struct bytes *bytes)
{
	struct documents documents = {.read = bytes->read, .arg = bytes->arg};
	struct document d;
	bool lists = r->in->format->family == FAMILY_LISTS;
	int rc;

	while ((rc = documents_next(&documents, &d, r->fault)) > 0) {
		rc = lists ? read_document(r, d.user, d.body, d.len) : read_original(r, &d);
		if (rc < 0)
			break;
	}
	documents_release(&documents);
	return rc;
}

static int
read_stream(void *arg, void *buf, size_t cap, size_t *ret_len, struct fault *f)
{
	struct vault_error err;

	return vault_stream_read(arg, buf, cap, ret_len, &err) < 0 ? fault_vault(f, &err)
								   : RESITE_OK;
}

static int
read_set(struct reading *r)
{
	bool lists = r->in->format->family == FAMILY_LISTS;
	struct vault_stream *stream;
	struct vault_error err;
	int rc;

	if (vault_stream_open(&stream, r->in->set, lists ? DOCUMENTS_FILE : ORIGINALS_FILE,
			      &err) < 0)
		return fault_vault(r->fault, &err);
	rc = read_documents(r, &(struct bytes){read_stream, stream});
	vault_stream_close(stream);
	return rc;
}

/* --- files ------------------------------------------------------------------------------ */

/* Between a file and a parser that does not tell what it reads. */
struct told {
	struct reading *r;
	int fd;
};

static int
read_told(void *arg, void *buf, size_t cap, size_t *ret_len, struct fault *f)
{
	struct told *t = arg;
	const struct reader *reader = t->r->reader;

	if (bytes_from_fd(&t->fd, buf, cap, ret_len, f) < 0)
		return f->rc;
	return reader->piece && *ret_len ? reader->piece(reader->arg, buf, *ret_len, f)
					 : RESITE_OK;
}

/* The address that a file is named after: sip:alice@contoso.com.xml */
static bool
user_of(const char *name, char out[TEXT_ADDRESS_MAX + 1])
{
	size_t len = strlen(name);

	if (len > 4 && !strcmp(name + len - 4, ".xml"))
		len -= 4;
	if (len + 4 > TEXT_ADDRESS_MAX || !text_is_address(name, len))
		return false;
	snprintf(out, TEXT_ADDRESS_MAX + 1, "%.*s", (int)len, name);
	return true;
}

static int
read_all(struct told *t, struct buf *out)
{
	size_t n = 1;

	while (n > 0) {
		char *to = buf_room(out, 64 * 1024);

		if (!to || out->len > DOCUMENT_MAX_BYTES)
			return fault_set(t->r->fault, RESITE_ERR_REFUSED,
					 "larger than a document may be, %u MiB",
					 DOCUMENT_MAX_BYTES >> 20);
		if (read_told(t, to, 64 * 1024, &n, t->r->fault) < 0)
			return t->r->fault->rc;
		out->len += n;
	}
	return RESITE_OK;
}

/* A document of resource-lists alone: its user is in its name. */
static int
read_single(struct told *t, const char *name)
{
	char user[TEXT_ADDRESS_MAX + 1];
	struct buf body = {0};
	int rc;

	if (!user_of(name, user))
		return fault_set(t->r->fault, RESITE_ERR_REFUSED,
				 "whose list it is must be in its name: user@host.xml");
	rc = read_all(t, &body);
	if (rc == RESITE_OK)
		rc = read_document(t->r, user, body.p ? body.p : "", body.len);
	buf_release(&body);
	return rc;
}

static int
read_lists(struct told *t, const char *name)
{
	char head[sizeof DOCUMENTS_HEAD];
	const struct bytes bytes = {read_told, t};
	ssize_t n = pread(t->fd, head, strlen(DOCUMENTS_HEAD), 0);

	if (n == (ssize_t)strlen(DOCUMENTS_HEAD) && !memcmp(head, DOCUMENTS_HEAD, (size_t)n))
		return read_documents(t->r, &bytes);
	return read_single(t, name);
}

static bool
is_zip(int fd)
{
	char head[2];

	return pread(fd, head, 2, 0) == 2 && !memcmp(head, "PK", 2);
}

static int
read_lync(struct reading *r, int fd, struct read_stats *one)
{
	const struct input in = input_of_fd(&fd);
	struct zip zip;
	int rc;

	if (!is_zip(fd))
		return lync_read(&in, r->reader, one, r->fault);
	rc = zip_open(&zip, r->in->path, r->fault);
	if (rc == RESITE_OK)
		rc = lync_read(&zip.input, r->reader, one, r->fault);
	zip_close(&zip);
	return rc;
}

/* One file, which may be one of a folder. */
static int
read_file(void *arg, int dir_fd, int fd, const char *name, struct fault *f)
{
	struct reading *r = arg;
	struct read_stats one = {0};
	struct told told = {r, fd};
	const struct input in = input_of_fd(&fd);
	int rc;

	(void)f;
	if (r->in->format->family == FAMILY_LISTS)
		return read_lists(&told, name);
	rc = r->in->format->family == FAMILY_XMPP
		     ? xep0227_read(&in, dir_fd, r->reader, &one, r->fault)
		     : read_lync(r, fd, &one);
	if (rc == RESITE_OK)
		add_stats(r->stats, &one);
	return rc;
}

static int
read_path(struct reading *r)
{
	const char *path = r->in->path, *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	struct stat st;
	int fd, dir_fd, rc;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return folder_each(path, read_file, r, r->fault);
	snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fault_set(r->fault, RESITE_ERR_REFUSED, "%s", strerror(errno));
	dir_fd = open(dir, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	rc = read_file(r, dir_fd, fd, slash ? slash + 1 : path, r->fault);
	if (dir_fd >= 0)
		close(dir_fd);
	close(fd);
	return rc;
}

int
contacts_in_read(const struct contacts_in *in, const struct reader *reader,
		 struct read_stats *ret, struct fault *f)
{
	struct read_stats stats = {0};
	struct reading r = {.in = in, .reader = reader, .stats = &stats, .fault = f};
	int rc = in->set ? read_set(&r) : read_path(&r);

	model_release(&r.user);
	if (rc == RESITE_OK)
		*ret = stats;
	else if (in->path)
		fault_prefix(f, "%s", in->path);
	return rc;
}
