/* sdk/vault/vault.h -- verified backup sets in a directory.
 *
 *	VAULT/NAME/20261122T231500Z-0000/     one set: complete, or not there
 *		documents.txt                 payload, any number of files
 *		manifest.json                 what the set is, and the digest of each file
 *
 * The promises:
 * - A set appears by one rename, after all its bytes are on the disk.  What a crash or a
 *   full disk leaves behind is a directory whose name begins with a dot; no reader looks
 *   at it and the next writer removes it.
 * - Sets are ordered by name, and a new set's name is greater than all before it, also
 *   when the clock was set back.  The true times are in the manifest.
 * - A reader gets the newest set, or an error that names the file and what is wrong with
 *   it; an older set is used only when it is asked for by name.
 * - A digest guards against damage, not against an enemy who can write to the vault.
 *
 * Nothing here logs or exits.  Functions return 0 or a negative enum vault_rc, and then
 * err->text says what happened to which file.  Not for use by two threads at once.
 */
#ifndef RESITE_VAULT_H
#define RESITE_VAULT_H

#include <stddef.h>
#include <stdint.h>

enum vault_rc {
	VAULT_OK = 0,
	VAULT_ERR_NONE = -1,    /* there is no set, or no set of that name */
	VAULT_ERR_DAMAGED = -2, /* a set is not what its manifest says */
	VAULT_ERR_IO = -3,      /* the system refused; also a full disk */
	VAULT_ERR_BUSY = -4,    /* another process is writing a set of this name */
	VAULT_ERR_INVALID = -5, /* a name that the vault does not allow */
	VAULT_ERR_MEMORY = -6,
	VAULT_ERR_STOPPED = -7, /* the tick function said stop */
};

#define VAULT_ERROR_MAX 900
#define VAULT_SET_NAME_LEN 21 /* 20261122T231500Z-0000 */

struct vault_error {
	int code;                   /* enum vault_rc */
	char text[VAULT_ERROR_MAX]; /* one line, no newline */
};

/* Called now and then during long work; anything but 0 stops it. */
typedef int vault_tick(void *arg, uint64_t done_bytes, uint64_t total_bytes);

/* --- writing --------------------------------------------------------------- */

struct vault_writer;

struct vault_about {
	const char *kind; /* what the payload is, with its version: "contacts/1" */
	const char *site; /* where the data came from; never empty */
	const char *tool; /* the program and its version */
};

/* Begins a set in vault/name; both folders are made (0700) when absent.  Holds a lock on
 * the folder until the writer is freed, and removes what a crashed writer left there. */
int vault_writer_new(struct vault_writer **ret, const char *vault, const char *name,
		     const struct vault_about *about, struct vault_error *err);
/* Begins the next payload file; one is open at a time. */
int vault_writer_file(struct vault_writer *w, const char *file, struct vault_error *err);
/* Appends to the open file. */
int vault_writer_write(struct vault_writer *w, const void *data, size_t len,
		       struct vault_error *err);
/* Facts for the manifest; a key given twice keeps the last value. */
int vault_writer_count(struct vault_writer *w, const char *key, uint64_t n,
		       struct vault_error *err);
int vault_writer_extra(struct vault_writer *w, const char *key, const char *value,
		       struct vault_error *err);
/* Makes the set durable and visible; only vault_writer_set and _free may follow. */
int vault_writer_commit(struct vault_writer *w, struct vault_error *err);
/* The committed set's name, of VAULT_SET_NAME_LEN bytes; belongs to w. */
const char *vault_writer_set(const struct vault_writer *w);
/* Frees w; what was not committed is removed.  NULL is allowed. */
void vault_writer_free(struct vault_writer *w);

/* --- reading --------------------------------------------------------------- */

struct vault_set;

enum vault_open_flags {
	/* Do not read the payload: for its age and counts only, never to restore from. */
	VAULT_MANIFEST_ONLY = 1u << 0,
};

/* Opens set, or the newest one when set is NULL, and verifies all of it: the manifest's
 * own digest, that no file is missing or extra, each file's size and SHA-256.  A newest
 * set that fails is VAULT_ERR_DAMAGED, and the text names the older sets.  tick may be
 * NULL. */
int vault_open(struct vault_set **ret, const char *vault, const char *name, const char *set,
	       unsigned flags, vault_tick *tick, void *arg, struct vault_error *err);
void vault_close(struct vault_set *s);

/* All strings belong to s. */
const char *vault_set_name(const struct vault_set *s);
const char *vault_set_kind(const struct vault_set *s);
const char *vault_set_site(const struct vault_set *s);
const char *vault_set_digest(const struct vault_set *s);    /* of the manifest, so of all */
int64_t vault_set_started_ms(const struct vault_set *s);    /* wall clock, since 1970 */
int64_t vault_set_finished_ms(const struct vault_set *s);
uint64_t vault_set_bytes(const struct vault_set *s);        /* of all payload files */
uint64_t vault_set_count(const struct vault_set *s, const char *key);    /* 0 if absent */
const char *vault_set_extra(const struct vault_set *s, const char *key); /* NULL if absent */

struct vault_stream;

/* Opens one payload file for reading from its start.  The set must outlive it. */
int vault_stream_open(struct vault_stream **ret, const struct vault_set *s, const char *file,
		      struct vault_error *err);
/* Reads at most cap bytes; *ret_len 0 is the end.  The file is hashed again on the way: if
 * it has changed since vault_open, the end is VAULT_ERR_DAMAGED. */
int vault_stream_read(struct vault_stream *st, void *buf, size_t cap, size_t *ret_len,
		      struct vault_error *err);
void vault_stream_close(struct vault_stream *st);

#endif
