/* call.h -- one call on one step: what every file of this plugin is handed.
 *
 * Functions that return int return enum resite_rc; on anything but RESITE_OK (and
 * RESITE_PENDING) the host has been told why.
 */
#ifndef GROUPCHAT_CALL_H
#define GROUPCHAT_CALL_H

#include <resite/easy.h>

#include <stddef.h>
#include <stdint.h>

#define GROUPCHAT_VERSION "0.1.0"
#define AGE_MAX 32
#define STAMP_LEN 16 /* 20261123t061530z */
#define SECRET_MAX 1024

struct call {
	struct resite_op *op;
	const struct resite_host *host;
};

#define call_fail(c, rc, param, ...) resite_fail((c)->op, (c)->host, rc, param, __VA_ARGS__)
#define call_log(c, level, ...) resite_log((c)->op, (c)->host, level, __VA_ARGS__)

/* The value of a parameter; NULL or 0 when it was not given. */
static inline const char *
call_str(const struct call *c, const char *name)
{
	return resite_str_or(c->op, c->host, name, NULL);
}
static inline int64_t
call_i64(const struct call *c, const char *name)
{
	return resite_i64_or(c->op, c->host, name, 0);
}

int call_no_memory(const struct call *c);
/* The secret that parameter param names, NUL-terminated, "" when it was not given; to be
 * wiped by the caller. */
int call_secret(const struct call *c, const char *param, char buf[SECRET_MAX]);
/* printf into one output of the step. */
__attribute__((format(printf, 3, 4))) int call_output(const struct call *c, const char *name,
						      const char *fmt, ...);

/* Wall clock, since 1970. */
int64_t wall_ms(void);
/* 20261123t061530z: a time as part of a database's name. */
void stamp_text(char out[STAMP_LEN + 1], int64_t ms);
/* "3 h 12 min old" */
void age_text(char out[AGE_MAX], int64_t ms);
/* A server's words on one line: each run of white space and control characters is one
 * space. */
void one_line(char *out, size_t cap, const char *text);

#endif
