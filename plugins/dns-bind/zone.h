/* zone.h -- one zone as its files have it: what is said of the names that are looked at, and
 * where.  Reads files; changes none.
 *
 * Nothing is kept of other records but a sum over all that they say: after an edit it has to
 * be the same again.  So memory is that of the files, and a million records cost no more than
 * reading them.
 */
#ifndef DNS_BIND_ZONE_H
#define DNS_BIND_ZONE_H

#include "plugins/dns-bind/zonedata.h"

#include <sys/stat.h>

/* A file as it was when it was read: all that is said of it is said of these bytes. */
struct zone_file {
	char *path; /* real path: no link, no .. */
	char *bytes;
	size_t len, map_len;
	struct stat st;
	size_t parent;               /* the file that includes it; of the first: 0 */
	struct zone_token at_parent; /* the word there */
};

/* Where one record of a name stands. */
struct spot {
	size_t file;
	unsigned line;
	size_t begin, end;
	struct zone_token owner, ttl;
	size_t fields;
	uint32_t ttl_s;
	uint16_t type;
	struct zone_token *data;
	size_t n_data;
	struct name origin;
	struct rdata rdata; /* canonical; bytes NULL: of another type, or not well formed */
	uint64_t digest;
	bool first_in_file; /* the first record of its file */
	bool gone;          /* zoneedit.c: it is to be removed */
};

/* A name that is looked at, with its records in the order of the files. */
struct watch {
	struct name name;
	struct spot *spots;
	size_t n, cap;
};

struct zone {
	struct name name;
	char text[NAME_TEXT_MAX]; /* "contoso.example." */
	char **roots;             /* folders that includes may be in; the caller's */
	size_t n_roots;
	const char *directory; /* for relative includes; the caller's */

	struct zone_file *files;
	size_t n_files;
	struct watch *watches; /* hash table */
	size_t n_watches, cap;

	struct spot soa;
	unsigned n_soa, second_soa_line;
	uint32_t serial;
	struct zone_token serial_at;
	uint64_t records, rrsets; /* rrsets: as they stand beside each other */
	uint64_t digest;          /* of all records but the SOA */
	unsigned signed_line;     /* of the first RRSIG; 0: none */
	size_t generate_file;     /* $GENERATE that may make a watched name */
	unsigned generate_line;   /* 0: none */
	bool out_of_memory;
	struct { /* of the scan under way */
		size_t stack[ZONE_DEPTH_MAX + 1], depth;
		size_t last_file;
		bool any;
		struct name last_name;
		uint16_t last_type;
	} at;
	char err[700];
};

/* Result of what reads or writes: what became of it; why is in zone->err. */
enum zone_rc {
	ZONE_OK = 0,
	ZONE_BROKEN = -1,   /* it is no zone that can be edited */
	ZONE_IO = -2,       /* a file cannot be read or written */
	ZONE_CHANGED = -3,  /* somebody else has written to it meanwhile */
	ZONE_DENIED = -4,   /* no right to */
	ZONE_FULL = -5,     /* no room on the disk */
};

/* zone: absolute.  Release in any case. */
bool zone_init(struct zone *z, const char *zone);
void zone_release(struct zone *z);
/* Looks at a name from the next zone_read on; false: no memory. */
bool zone_watch(struct zone *z, const struct name *name);
struct watch *zone_find(const struct zone *z, const struct name *name);
/* Reads the zone from path and what it includes. */
enum zone_rc zone_read(struct zone *z, const char *path);
/* Scans again what was read: after more names are watched. */
enum zone_rc zone_look_again(struct zone *z);
/* The scan of what was read for other purposes; record may be called for each. */
bool zone_each(struct zone *z, void (*record)(void *ctx, const struct zone_record *r), void *ctx);
const char *zone_bytes(const struct zone *z, size_t file);
/* Frees the texts of the files, not what is known of them. */
void zone_forget_bytes(struct zone *z);
/* Fills now (owner and type are given) with what the zone has; *ret_mixed: its records have
 * different TTLs.  False: no memory, or data that is not well formed (z->err). */
bool zone_rrset(struct zone *z, struct rrset *now, bool *ret_mixed);
/* The digest of all records that are not of these RRsets. */
uint64_t zone_digest_without(const struct zone *z, const struct rrset *sets, size_t n);

__attribute__((format(printf, 3, 4))) enum zone_rc zone_fail(struct zone *z, enum zone_rc rc,
							      const char *fmt, ...);

/* zonefile.c: one file.  All set z->err. */
enum zone_rc zone_file_read(struct zone *z, const char *path, struct zone_file *ret);
void zone_file_release(struct zone_file *f);
/* ZONE_CHANGED unless the file at its path is still the one that was read. */
enum zone_rc zone_file_same(struct zone *z, const struct zone_file *f);
enum zone_rc zone_errno(struct zone *z, const char *what, const char *path);

#endif
