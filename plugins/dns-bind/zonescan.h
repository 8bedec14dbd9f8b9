/* zonescan.h -- reads master files (RFC 1035 5, with $TTL of RFC 2308, RFC 3597 and BIND's
 * $GENERATE) and says where in the text each record stands.  Pure: files come by a function.
 *
 * It does not judge what a record says, the server's own checker does that; it knows exactly
 * what each means: owner, TTL, origin, as BIND's loader would have them.
 */
#ifndef DNS_BIND_ZONESCAN_H
#define DNS_BIND_ZONESCAN_H

#include "plugins/dns-bind/zonename.h"

#define ZONE_DEPTH_MAX 16 /* files that include each other */
#define ZONE_TOKENS_MAX 20000 /* words of one record */
#define ZONE_FILES_MAX 1000

/* Types by number; those that nobody here has to tell apart are ZONE_OTHER. */
enum { ZONE_OTHER = 0, ZONE_RRSIG = 46 };

struct zone_token {
	size_t at, len; /* in the file's text, with quotes */
};

struct zone_record {
	size_t file;       /* index, in the order in which they were opened */
	unsigned line;     /* where it begins, from 1 */
	size_t begin, end; /* from its first byte to behind its line end */
	struct zone_token owner; /* len 0: that of the record before */
	struct zone_token ttl;   /* len 0: $TTL's, or that of the record before */
	size_t fields;           /* where what follows the owner begins */
	const struct name *name, *origin;
	uint32_t ttl_s;
	uint16_t type;
	const struct zone_token *data;
	size_t n_data;
	uint64_t digest; /* of all that it says */
};

/* A $GENERATE line. */
struct zone_generate {
	size_t file;
	unsigned line;
	const struct name *origin;
	struct zone_token owner;
};

struct zone_text {
	const char *bytes;
	size_t len;
};

struct zone_visitor {
	void *ctx;
	/* Opens what an $INCLUDE names (path: not terminated); it must stay until the scan is
	 * over.  0 with *ret, or -1 with err filled: no such file, a loop.  file: the one that
	 * includes it. */
	int (*open)(void *ctx, size_t file, const char *path, size_t path_len,
		    struct zone_text *ret, char *err, size_t err_size);
	/* The file that was opened last but not closed is over. */
	void (*close)(void *ctx);
	void (*record)(void *ctx, const struct zone_record *r);
	void (*generate)(void *ctx, const struct zone_generate *g);
	/* An $INCLUDE that was opened as file; word: its path. */
	void (*include)(void *ctx, size_t in_file, const struct zone_token *word, size_t file);
};

struct zone_error {
	size_t file;
	unsigned line; /* 0: the file as a whole */
	char text[400]; /* never what stands in the file: it may not be a zone */
};

/* Scans a zone whose first file (0) is text. False: it cannot be read whole; why is in err. */
bool zone_scan(const struct zone_text *text, const struct name *zone, const struct zone_visitor *v,
	       struct zone_error *err);

/* "3600", "1h30m"; false: no TTL. */
bool zone_ttl_parse(const char *text, size_t len, uint32_t *ret);
/* Can a $GENERATE owner make this name? */
bool zone_generate_may_make(const struct zone_generate *g, const char *text, const struct name *name);

#endif
