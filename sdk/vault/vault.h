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
 * - A digest guards against damage; a key (encryption at rest) also against an enemy who can
 *   read or write the vault.  Digests are of the stored bytes: a copy is verified without key.
 * README.md beside this file has the format, for those who must read a set without resite.
 *
 * Nothing here logs or exits.  Functions return 0 or a negative enum vault_rc, and then
 * err->text says what happened to which file.  Not for use by two threads at once.
 */
#ifndef RESITE_VAULT_H
#define RESITE_VAULT_H

#include <stdbool.h>
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
	VAULT_ERR_KEY = -8,     /* encrypted, and the key is missing, wrong or too weak */
	VAULT_ERR_OLD = -9,     /* older than max_age, and nobody gave a reason to use it */
	VAULT_ERR_SHRUNK = -10, /* much smaller than the set before it, likewise */
	VAULT_ERR_REMOTE = -11, /* the other site, or the way to it, refused */
};

#define VAULT_ERROR_MAX 900
#define VAULT_SET_NAME_LEN 21 /* 20261122T231500Z-0000 */

struct vault_error {
	int code;                   /* enum vault_rc */
	char text[VAULT_ERROR_MAX]; /* one line, no newline */
};

/* Called now and then during long work; anything but 0 stops it. */
typedef int vault_tick(void *arg, uint64_t done_bytes, uint64_t total_bytes);

/* --- keys ------------------------------------------------------------------ */

struct vault_key;

/* From the text of a secret: 64 hexadecimal digits are a key, anything else is a passphrase of
 * at least 12 bytes; white space at its end does not count.  The text may be wiped after. */
int vault_key_new(struct vault_key **ret, const char *text, size_t len, struct vault_error *err);
void vault_key_free(struct vault_key *key); /* wipes it; NULL is allowed */

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
/* From here on payload files are encrypted; before the first file.  key may be NULL: plain. */
int vault_writer_encrypt(struct vault_writer *w, const struct vault_key *key,
			 struct vault_error *err);
/* Facts for the manifest; a key given twice keeps the last value.  A measure is a count that
 * says how much content the set has: growth checks compare it with the set before. */
int vault_writer_measure(struct vault_writer *w, const char *key, uint64_t n,
			 struct vault_error *err);
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
/* Are the files of a set that was opened and verified still those that were read then, by their
 * inodes, sizes and times?  Cheap; reading them proves it.  VAULT_ERR_DAMAGED: one is not. */
int vault_recheck(const struct vault_set *s, struct vault_error *err);
/* Gives an encrypted set its key, so that its streams read plain text; VAULT_ERR_KEY when it is
 * another one.  A set that is not encrypted needs none, and key is not looked at. */
int vault_unlock(struct vault_set *s, const struct vault_key *key, struct vault_error *err);
/* The newest set before s of the same kind and site, by its manifest alone.  Damaged ones are
 * passed over.  VAULT_ERR_NONE: there is none. */
int vault_open_before(struct vault_set **ret, const struct vault_set *s, struct vault_error *err);

/* All strings belong to s. */
const char *vault_set_name(const struct vault_set *s);
const char *vault_set_kind(const struct vault_set *s);
const char *vault_set_site(const struct vault_set *s);
const char *vault_set_digest(const struct vault_set *s);    /* of the manifest, so of all */
int64_t vault_set_started_ms(const struct vault_set *s);    /* wall clock, since 1970 */
int64_t vault_set_finished_ms(const struct vault_set *s);
int64_t vault_set_age_ms(const struct vault_set *s);        /* since it was begun */
uint64_t vault_set_bytes(const struct vault_set *s);        /* of all payload files, decrypted */
bool vault_set_encrypted(const struct vault_set *s);
/* Files in the order of the manifest; NULL after the last. */
const char *vault_set_file(const struct vault_set *s, size_t index);
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

/* --- is it good enough? ---------------------------------------------------- */

#define VAULT_NOTE_MAX 500
#define VAULT_AGE_MAX 32

/* "3 h 12 min old" */
void vault_age_text(char out[VAULT_AGE_MAX], int64_t age_ms);

/* Is s, by when it was begun, at most max_age_ms old (0: any age)?  VAULT_ERR_OLD if not, unless
 * reason (the plan's or the operator's; NULL or "": none) says why it is used all the same: then
 * VAULT_OK, and note is a sentence with the age and the reason for the loss statement.  note is
 * "" when all is well.  A set dated in the future counts as too old: its age is not known. */
int vault_check_age(const struct vault_set *s, int64_t max_age_ms, const char *reason,
		    char note[VAULT_NOTE_MAX], struct vault_error *err);

struct vault_shrink {
	int64_t warn_percent;   /* more than this smaller: a note; 0: never */
	int64_t refuse_percent; /* more than this smaller: VAULT_ERR_SHRUNK; 0: never */
	const char *reason;     /* why it is right all the same: a note instead; or NULL */
};

/* Compares bytes and measures of s with those of before (NULL: nothing to compare with). */
int vault_check_growth(const struct vault_set *s, const struct vault_set *before,
		       const struct vault_shrink *rule, char note[VAULT_NOTE_MAX],
		       struct vault_error *err);
/* The same for what was written so far, against the newest set of the same kind and site: to be
 * called before the commit, so that a refused set never appears. */
int vault_writer_check_growth(struct vault_writer *w, const struct vault_shrink *rule,
			      char note[VAULT_NOTE_MAX], struct vault_error *err);

/* --- retention ------------------------------------------------------------- */

struct vault_keep {
	uint32_t last;  /* the newest so many; at least 1 */
	uint32_t days;  /* and the newest of each UTC day, so many days back from the newest set */
};

struct vault_kept {
	char set[VAULT_SET_NAME_LEN + 1];
	int64_t started_ms;
	bool whole;    /* its manifest and its files' sizes are right */
	bool proven;   /* it is the newest that was verified byte by byte */
	bool remove;   /* the rule does not keep it */
	char why[200]; /* why it is kept or removed, or what is wrong with it */
};

/* What the rule says of each set, oldest first; *ret is freed with free.  Kept in any case: the
 * newest set that verifies, and what is damaged (that it is ours cannot be shown: a person
 * removes it).  Damaged sets do not count. */
int vault_retention(struct vault_kept **ret, size_t *ret_n, const char *vault, const char *name,
		    const struct vault_keep *keep, vault_tick *tick, void *arg,
		    struct vault_error *err);
/* Removes one set: it disappears by one rename, then its files go.  Refused (VAULT_ERR_BUSY) while
 * a set of this name is being written, or this one read. */
int vault_remove(const char *vault, const char *name, const char *set, struct vault_error *err);

#endif
