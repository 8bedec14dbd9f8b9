/* Writing contact exports of Lync, as the real tools do: UTF-16LE with a byte order mark and CRLF
 * (dbimpexp), names in base64, and no Contacts for who has none. */
#include "plugins/contacts/formats.h"
#include "plugins/contacts/lync.h"
#include "plugins/contacts/text.h"
#include "plugins/contacts/zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NL "\r\n"

static void
put_attribute(struct buf *out, const char *name, const char *value)
{
	buf_puts(out, " ");
	buf_puts(out, name);
	buf_puts(out, "=\"");
	text_escape(out, value);
	buf_puts(out, "\"");
}

static void
put_base64(struct buf *out, const char *name, const char *value)
{
	buf_puts(out, " ");
	buf_puts(out, name);
	buf_puts(out, "=\"");
	text_to_base64(out, value, strlen(value));
	buf_puts(out, "\"");
}

/* One user on her way out. */
struct put {
	struct buf *out;
	const struct model_user *u;
	bool ours;                /* her extras are of this family */
	struct extras_cursor at;
	uint32_t member;          /* the next contact's first */
};

static void
put_extras(struct put *p, enum model_place place, uint32_t owner, const char *before)
{
	if (p->ours)
		extras_put(p->out, p->u, &p->at, place, owner, before);
}

/* Ends a tag whose element holds what is kept of its inside, or nothing. */
static void
put_inside(struct put *p, enum model_place place, uint32_t owner, const char *name)
{
	size_t before;

	buf_puts(p->out, ">");
	before = p->out->len;
	put_extras(p, place, owner, "");
	if (p->out->len == before) {
		p->out->len -= p->out->failed ? 0 : 1;
		buf_puts(p->out, " />" NL);
		return;
	}
	buf_puts(p->out, "</");
	buf_puts(p->out, name);
	buf_puts(p->out, ">" NL);
}

static void
put_groups(struct put *p)
{
	const struct model_user *u = p->u;

	buf_puts(p->out, "    <ContactGroups");
	put_extras(p, PLACE_GROUPS, 0, " ");
	buf_puts(p->out, ">" NL);
	for (uint32_t i = 0; i < u->n_groups; i++) {
		buf_puts(p->out, "      <ContactGroup");
		put_attribute(p->out, "Number", model_text(u, u->groups[i].number));
		put_base64(p->out, "DisplayName", model_text(u, u->groups[i].name));
		put_base64(p->out, "ExternalUri", model_text(u, u->groups[i].external));
		put_extras(p, PLACE_GROUP, i, " ");
		put_inside(p, PLACE_IN_GROUP, i, "ContactGroup");
	}
	put_extras(p, PLACE_IN_GROUPS, 0, NL "      ");
	buf_puts(p->out, "    </ContactGroups>" NL);
}

static void
put_contact(struct put *p, uint32_t i)
{
	const struct model_user *u = p->u;
	const struct model_contact *c = &u->contacts[i];
	const char *space = "";

	buf_puts(p->out, "      <Contact");
	put_attribute(p->out, "Buddy", model_bare(model_text(u, c->buddy)));
	put_attribute(p->out, "SubscribePresence", c->unwatched ? "0" : "1");
	buf_puts(p->out, " Groups=\"");
	for (; p->member < u->n_members && u->members[p->member].contact == i; p->member++) {
		buf_puts(p->out, space);
		text_escape(p->out, model_text(u, u->groups[u->members[p->member].group].number));
		space = " ";
	}
	buf_puts(p->out, "\"");
	put_base64(p->out, "DisplayName", model_text(u, c->name));
	put_extras(p, PLACE_CONTACT, i, " ");
	put_inside(p, PLACE_IN_CONTACT, i, "Contact");
}

static bool
has_extras(const struct put *p, enum model_place place)
{
	struct extras_cursor c = {0};

	return p->ours && extras_next(p->u, &c, place, 0);
}

static void
put_contacts(struct put *p)
{
	if (p->u->n_contacts == 0 && !has_extras(p, PLACE_CONTACTS) &&
	    !has_extras(p, PLACE_IN_CONTACTS))
		return;
	buf_puts(p->out, "    <Contacts");
	put_extras(p, PLACE_CONTACTS, 0, " ");
	buf_puts(p->out, ">" NL);
	for (uint32_t i = 0; i < p->u->n_contacts; i++)
		put_contact(p, i);
	put_extras(p, PLACE_IN_CONTACTS, 0, NL "      ");
	buf_puts(p->out, "    </Contacts>" NL);
}

/* HomedResource; it names its user in a dbimpexp file, not in an item. */
static void
put_resource(struct buf *out, const struct model_user *u, bool named)
{
	struct put p = {.out = out, .u = u, .ours = u->family == FAMILY_LYNC};

	buf_puts(out, "  <HomedResource");
	if (named)
		put_attribute(out, "UserAtHost", model_text(u, u->name));
	put_extras(&p, PLACE_USER, 0, " ");
	buf_puts(out, ">" NL);
	put_groups(&p);
	put_contacts(&p);
	put_extras(&p, PLACE_SECTION, 0, "    ");
	buf_puts(out, has_extras(&p, PLACE_SECTION) ? NL "  </HomedResource>" NL
						    : "  </HomedResource>" NL);
}

/* --- dbimpexp -------------------------------------------------------------------- */

/* Sends what is in w->text, as UTF-16LE. */
static int
flush_wide(struct writer *w, struct fault *f)
{
	text_to_utf16le(&w->wide, w->text.p, w->text.len);
	if (w->text.failed || w->wide.failed)
		return fault_memory(f);
	buf_clear(&w->text);
	if (w->out.write(w->out.arg, w->wide.p, w->wide.len, f) < 0)
		return f->rc;
	buf_clear(&w->wide);
	return RESITE_OK;
}

static int
dbimpexp_begin(struct writer *w, struct fault *f)
{
	buf_puts(&w->text, "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-16\"?>" NL
			   "<HomedResources xmlns=\"" LYNC_NAMESPACE "\">" NL);
	return flush_wide(w, f);
}

static int
dbimpexp_user(struct writer *w, const struct model_user *u, struct fault *f)
{
	put_resource(&w->text, u, true);
	return flush_wide(w, f);
}

static int
dbimpexp_end(struct writer *w, struct fault *f)
{
	buf_puts(&w->text, "</HomedResources>" NL);
	return flush_wide(w, f);
}

const struct format_writer dbimpexp_writer = {
	.begin = dbimpexp_begin,
	.user = dbimpexp_user,
	.end = dbimpexp_end,
};

/* --- the zip of Lync 2013 ---------------------------------------------------------- */

struct package {
	struct archive *archive;
	struct writer *writer;
	struct fault *fault;     /* of the call under way */
};

static la_ssize_t
hand_on(struct archive *a, void *arg, const void *data, size_t len)
{
	struct package *p = arg;

	if (p->writer->out.write(p->writer->out.arg, data, len, p->fault) == RESITE_OK)
		return (la_ssize_t)len;
	archive_set_error(a, EIO, "output");
	return -1;
}

static int
package_failed(struct package *p, struct fault *f)
{
	if (f->rc < 0)
		return f->rc;
	return fault_set(f, RESITE_ERR_TRANSIENT, "zip: %s",
			 archive_error_string(p->archive) ? archive_error_string(p->archive)
							  : "cannot be written");
}

/* The same users give the same bytes: all entries are of the first day that a zip knows. */
static int
begin_entry(struct package *p, const char *name, struct fault *f)
{
	struct archive_entry *entry = archive_entry_new();
	int rc;

	if (!entry)
		return fault_memory(f);
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0600);
	archive_entry_set_mtime(entry, 315619200, 0); /* 1980-01-02 */
	rc = archive_write_header(p->archive, entry);
	archive_entry_free(entry);
	return rc == ARCHIVE_OK ? RESITE_OK : package_failed(p, f);
}

static int
put_text(struct package *p, const char *text, size_t len, struct fault *f)
{
	p->fault = f;
	f->rc = RESITE_OK;
	return archive_write_data(p->archive, text, len) == (la_ssize_t)len ? RESITE_OK
									   : package_failed(p, f);
}

static int
package_begin(struct writer *w, struct fault *f)
{
	static const char types[] =
		"<?xml version=\"1.0\" encoding=\"utf-8\"?><Types xmlns=\"http://schemas.openxmlformats"
		".org/package/2006/content-types\"><Default Extension=\"xml\" ContentType=\"text/xml\""
		" /></Types>";
	static const char head[] = "<?xml version=\"1.0\" encoding=\"utf-8\"?>" NL "<DocItemSet>" NL;
	struct package *p = calloc(1, sizeof *p);

	w->own = p;
	if (!p || !(p->archive = archive_write_new()))
		return fault_memory(f);
	p->writer = w;
	p->fault = f;
	f->rc = RESITE_OK;
	if (archive_write_set_format_zip(p->archive) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(p->archive, 1) != ARCHIVE_OK ||
	    archive_write_open(p->archive, p, NULL, hand_on, NULL) != ARCHIVE_OK)
		return package_failed(p, f);
	if (begin_entry(p, "[Content_Types].xml", f) < 0 ||
	    put_text(p, types, strlen(types), f) < 0 || begin_entry(p, ZIP_PART, f) < 0)
		return f->rc;
	return put_text(p, head, strlen(head), f);
}

static int
package_user(struct writer *w, const struct model_user *u, struct fault *f)
{
	buf_clear(&w->text);
	buf_puts(&w->text, "<DocItem");
	buf_puts(&w->text, " Name=\"" LYNC_ITEM);
	text_escape(&w->text, model_text(u, u->name));
	buf_puts(&w->text, "\"><Data>" NL);
	put_resource(&w->text, u, false);
	buf_puts(&w->text, "</Data></DocItem>" NL);
	return w->text.failed ? fault_memory(f) : put_text(w->own, w->text.p, w->text.len, f);
}

static int
package_end(struct writer *w, struct fault *f)
{
	static const char tail[] = "</DocItemSet>" NL;
	struct package *p = w->own;

	if (put_text(p, tail, strlen(tail), f) < 0)
		return f->rc;
	return archive_write_close(p->archive) == ARCHIVE_OK ? RESITE_OK : package_failed(p, f);
}

static void
package_release(struct writer *w)
{
	struct package *p = w->own;
	struct fault ignored;

	if (p && p->archive) {
		p->fault = &ignored; /* freeing writes what is left, after a failure too */
		archive_write_free(p->archive);
	}
	free(p);
	w->own = NULL;
}

const struct format_writer docitemset_writer = {
	.begin = package_begin,
	.user = package_user,
	.end = package_end,
	.release = package_release,
};
