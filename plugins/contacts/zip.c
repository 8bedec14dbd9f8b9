#include "plugins/contacts/zip.h"

#include "plugins/contacts/beneath.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define BLOCK (64 * 1024)

static int
refuse(const struct zip *z, struct fault *f)
{
	const char *why = archive_error_string(z->archive);
	int errnum = archive_errno(z->archive);

	return fault_set(f, RESITE_ERR_REFUSED, "zip: %s",
			 why ? why : errnum > 0 ? strerror(errnum) : "damaged");
}

static void
forget(struct zip *z)
{
	if (z->archive)
		archive_read_free(z->archive);
	z->archive = NULL;
}

static int
start(struct zip *z, struct fault *f)
{
	forget(z);
	z->archive = archive_read_new();
	if (!z->archive)
		return fault_memory(f);
	archive_read_support_format_zip(z->archive);
	z->out_bytes = 0;
	return archive_read_open_filename(z->archive, z->path, BLOCK) == ARCHIVE_OK
		       ? RESITE_OK : refuse(z, f);
}

/* 1: an entry and its name; 0: no more. */
static int
next(struct zip *z, struct archive_entry **ret, const char **ret_name, struct fault *f)
{
	int rc = archive_read_next_header(z->archive, ret);

	if (rc == ARCHIVE_EOF)
		return 0;
	if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
		return refuse(z, f);
	*ret_name = archive_entry_pathname_utf8(*ret);
	if (!*ret_name)
		*ret_name = archive_entry_pathname(*ret);
	if (!*ret_name)
		return fault_set(f, RESITE_ERR_REFUSED, "zip: an entry whose name is no text");
	return 1;
}

static bool
is_part(const char *name)
{
	return !strcasecmp(name, ZIP_PART); /* part names have no case */
}

static int
look_at(struct archive_entry *entry, const char *name, struct fault *f)
{
	char plain[1024];
	size_t len = strlen(name);

	snprintf(plain, sizeof plain, "%s", name);
	if (archive_entry_filetype(entry) == AE_IFDIR && len > 1 && len < sizeof plain &&
	    plain[len - 1] == '/')
		plain[len - 1] = '\0';
	if (len >= sizeof plain || !beneath_is_safe(plain))
		return fault_set(f, RESITE_ERR_REFUSED,
				 "zip: an entry is called '%.200s': no package has such names", name);
	if (archive_entry_is_encrypted(entry))
		return fault_set(f, RESITE_ERR_REFUSED,
				 "zip: '%.200s' is encrypted; Export-CsUserData encrypts nothing", name);
	if (archive_entry_filetype(entry) != AE_IFREG && archive_entry_filetype(entry) != AE_IFDIR)
		return fault_set(f, RESITE_ERR_REFUSED, "zip: '%.200s' is a link or a device", name);
	return RESITE_OK;
}

static int
look_at_all(struct zip *z, struct fault *f)
{
	struct archive_entry *entry;
	const char *name;
	int rc, n = 0, parts = 0;

	if (start(z, f) < 0)
		return f->rc;
	while ((rc = next(z, &entry, &name, f)) > 0) {
		if (look_at(entry, name, f) < 0)
			return f->rc;
		parts += is_part(name);
		if (++n > ZIP_MAX_ENTRIES)
			return fault_set(f, RESITE_ERR_REFUSED, "zip: more than %d entries",
					 ZIP_MAX_ENTRIES);
	}
	if (rc < 0)
		return rc;
	if (parts == 1)
		return RESITE_OK;
	return fault_set(f, RESITE_ERR_REFUSED, "zip: it has %s " ZIP_PART ": %s",
			 parts ? "more than one" : "no",
			 parts ? "which one is meant cannot be told"
			       : "it is not what Export-CsUserData writes");
}

static int
rewind_part(void *arg, struct fault *f)
{
	struct zip *z = arg;
	struct archive_entry *entry;
	const char *name;
	int rc;

	if (start(z, f) < 0)
		return f->rc;
	while ((rc = next(z, &entry, &name, f)) > 0)
		if (is_part(name))
			return RESITE_OK;
	return rc < 0 ? rc : fault_set(f, RESITE_ERR_CONFLICT, "zip: it was changed meanwhile");
}

static int
read_part(void *arg, void *buf, size_t cap, size_t *ret_len, struct fault *f)
{
	struct zip *z = arg;
	la_ssize_t n = archive_read_data(z->archive, buf, cap);

	/* A warning is one about the content, such as a wrong checksum. */
	if (n < 0)
		return refuse(z, f);
	z->out_bytes += (uint64_t)n;
	if (z->out_bytes > (64u << 20) && z->out_bytes / ZIP_MAX_RATIO > z->file_bytes)
		return fault_set(f, RESITE_ERR_REFUSED,
				 "zip: " ZIP_PART " grows to more than %d times the file's size",
				 ZIP_MAX_RATIO);
	*ret_len = (size_t)n;
	return RESITE_OK;
}

int
zip_open(struct zip *z, const char *path, struct fault *f)
{
	struct stat st;

	*z = (struct zip){.path = path, .input = {rewind_part, {read_part, z}}};
	if (stat(path, &st) < 0)
		return fault_set(f, RESITE_ERR_REFUSED, "%s", strerror(errno));
	z->file_bytes = (uint64_t)st.st_size;
	return look_at_all(z, f);
}

void
zip_close(struct zip *z)
{
	forget(z);
}
