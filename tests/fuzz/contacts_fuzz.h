/* What the fuzz targets of the contact formats share: whatever a reader takes for users is written in
 * each format, and what was written is read again and says the same. */
#ifndef CONTACTS_FUZZ_H
#define CONTACTS_FUZZ_H

#include "plugins/contacts/canon.h"
#include "plugins/contacts/lists.h"
#include "plugins/contacts/lync.h"
#include "plugins/contacts/formats.h"
#include "plugins/contacts/xep0227.h"

#include <stdlib.h>
#include <string.h>

struct fuzz {
	struct canon canon;
	struct buf said, again;  /* canonical texts of all users, before and after */
	struct buf one, file;
	struct writer writer;
	bool writing;
};

static int
fuzz_append(void *arg, const void *data, size_t len, struct fault *f)
{
	(void)f;
	buf_add(arg, data, len);
	return 0;
}

static int
fuzz_user(void *arg, const struct model_user *u, struct fault *f)
{
	struct fuzz *z = arg;
	struct buf *to = z->writing ? &z->said : &z->again;

	for (uint32_t m = 0; m < u->n_members; m++)
		if (u->members[m].contact >= u->n_contacts || u->members[m].group >= u->n_groups)
			abort();
	if (canon_user(&z->canon, &z->one, u, f) < 0)
		return f->rc;
	buf_add(to, z->one.p, z->one.len);
	canon_key(&z->one, u);
	buf_add(to, z->one.p, z->one.len);
	return z->writing ? writer_put(&z->writer, u, f) : 0;
}

/* How the target reads; the same for what was written. */
typedef int fuzz_read(const struct input *in, const struct reader *reader, struct fault *f);

/* Reads the bytes, writes what they say in the format, reads that, and compares. */
static inline void
fuzz_round(const uint8_t *data, size_t len, const char *format, fuzz_read *read)
{
	struct fuzz z = {.writing = true};
	struct memory memory = {.all = {(const char *)data, len}};
	struct input in = input_of_memory(&memory);
	struct reader reader = {.user = fuzz_user, .arg = &z, .native = true};
	struct fault f;

	if (writer_begin(&z.writer, format_named(format), (struct output){fuzz_append, &z.file}, &f) < 0)
		abort();
	if (read(&in, &reader, &f) == 0 && writer_end(&z.writer, &f) == 0) {
		z.writing = false;
		memory.all = (struct slice){z.file.p, z.file.len};
		if (read(&in, &reader, &f) < 0 || z.said.len != z.again.len ||
		    (z.said.len && memcmp(z.said.p, z.again.p, z.said.len)))
			abort();
	}
	writer_release(&z.writer);
	canon_release(&z.canon);
	buf_release(&z.said);
	buf_release(&z.again);
	buf_release(&z.one);
	buf_release(&z.file);
}

#endif
