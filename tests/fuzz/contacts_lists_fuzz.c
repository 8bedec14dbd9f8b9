/* Documents of resource-lists, and the file that a vault has them in. */
#include "config.h"

#include "plugins/contacts/documents.h"
#include "tests/fuzz/contacts_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The user as a document that was written anew, not as it came in. */
static int
new_document(void *arg, const struct model_user *u, struct fault *f)
{
	struct model_user copy = *u;

	copy.family = FAMILY_NONE;
	return fuzz_user(arg, &copy, f);
}

static int
read_document(const struct input *in, const struct reader *reader, struct fault *f)
{
	const struct memory *memory = in->bytes.arg;
	struct model_user u = {0};
	struct read_stats stats = {0};
	int rc = lists_read("sip:a@x", memory->all.s, memory->all.len, &u, &stats, f);

	if (rc == 0)
		rc = new_document(reader->arg, &u, f);
	model_release(&u);
	return rc;
}

static void
read_documents(const uint8_t *data, size_t len)
{
	struct memory memory = {.all = {(const char *)data, len}};
	struct slice left = memory.all;
	struct documents d = {.read = bytes_from_memory, .arg = &left};
	struct document one;
	struct fault f;

	while (documents_next(&d, &one, &f) > 0)
		if (one.len > len)
			abort();
	documents_release(&d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len >= strlen(DOCUMENTS_HEAD) && !memcmp(data, DOCUMENTS_HEAD, strlen(DOCUMENTS_HEAD)))
		read_documents(data, len);
	else
		fuzz_round(data, len, "resource-lists", read_document);
	return 0;
}
