/* documents.txt, the payload of a contacts set: every user's document, byte for byte.
 *
 *	resite-documents 1
 *	doc 454 sip:alice@contoso.com
 *	<?xml version="1.0" ... 454 bytes, then a newline ...
 *	none sip:bob@contoso.com
 *	end 1 1
 *
 * Users are in the order of their bytes, so two sets can be compared with diff(1); "none" is a user
 * whom the server was asked about and who has no list; "end" counts both.
 */
#ifndef CONTACTS_DOCUMENTS_H
#define CONTACTS_DOCUMENTS_H

#include "plugins/contacts/buf.h"
#include "plugins/contacts/fault.h"

#define DOCUMENTS_FILE "documents.txt"
#define DOCUMENTS_KIND "contacts/1"
#define DOCUMENTS_HEAD "resite-documents 1\n"
/* Beside it, in sets that were made from files of other formats: each user as she was in that file, in
 * the same frame; and in the manifest's extra, which format that is and how it writes names. */
#define ORIGINALS_FILE "originals.txt"
#define ORIGINALS_FORMAT "originals"
#define ORIGINALS_NAMES "originals_names"
#define DOCUMENT_MAX_BYTES (8u << 20) /* of one document; also what a server may answer */

struct document {
	uint64_t index;   /* among the documents, from 0; users without one do not count */
	const char *user; /* sip:alice@contoso.com */
	const char *body;
	size_t len;
};

/* Appends to out what stands before a document's bytes; a newline stands after them. */
void documents_put_head(struct buf *out, const char *user, size_t len);
void documents_put_none(struct buf *out, const char *user);
void documents_put_end(struct buf *out, uint64_t documents, uint64_t none);

struct documents {
	/* Reads at most cap bytes; *ret_len 0 is the end. */
	int (*read)(void *arg, void *buf, size_t cap, size_t *ret_len, struct fault *f);
	void *arg;
	struct buf in;   /* bytes read; those before at are used */
	size_t at;
	bool started, ended;
	uint64_t n, n_none;
	char user[1008];
};

/* 1: *ret is the next document, valid until the next call; 0: there are no more, and the file
 * ended as it should; < 0: f says where the file is not as it should be. */
int documents_next(struct documents *d, struct document *ret, struct fault *f);
/* Frees the buffer; d itself and arg are the caller's. */
void documents_release(struct documents *d);

#endif
