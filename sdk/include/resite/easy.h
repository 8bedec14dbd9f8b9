/* resite/easy.h -- printf for the two host functions that take one line of text, and
 * short ways for what most plugins do.
 *
 * Optional: all of it is inline over <resite/plugin.h>.  Texts longer than
 * RESITE_EASY_MAX bytes end in "...".  A secret must never be an argument.
 */
#ifndef RESITE_EASY_H
#define RESITE_EASY_H

#include <resite/plugin.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RESITE_EASY_MAX 1024

enum resite_log_level {
	RESITE_LOG_DEBUG = 0,
	RESITE_LOG_INFO = 1,
	RESITE_LOG_WARN = 2,
	RESITE_LOG_ERROR = 3,
};

/* Formats into buf; a text that was cut ends in "...". */
__attribute__((format(printf, 2, 0))) static inline void
resite_easy_vformat(char buf[RESITE_EASY_MAX], const char *fmt, va_list ap)
{
	int n = vsnprintf(buf, RESITE_EASY_MAX, fmt, ap);

	if (n < 0)
		buf[0] = '\0';
	else if (n >= RESITE_EASY_MAX)
		memcpy(buf + RESITE_EASY_MAX - 4, "...", 4);
}

/* Logs one line at level (enum resite_log_level). */
__attribute__((format(printf, 4, 5))) static inline void
resite_log(struct resite_op *op, const struct resite_host *host, int level,
	   const char *fmt, ...)
{
	char buf[RESITE_EASY_MAX];
	va_list ap;

	va_start(ap, fmt);
	resite_easy_vformat(buf, fmt, ap);
	va_end(ap);
	host->log(op, level, buf);
}

/* Explains a failure and returns rc, so that a plugin can write
 *	return resite_fail(op, host, RESITE_ERR_REFUSED, NULL, "%s: %s", dn, why);
 * param: the parameter at fault, or NULL. */
__attribute__((format(printf, 5, 6))) static inline int
resite_fail(struct resite_op *op, const struct resite_host *host, int rc,
	    const char *param, const char *fmt, ...)
{
	char buf[RESITE_EASY_MAX];
	va_list ap;

	va_start(ap, fmt);
	resite_easy_vformat(buf, fmt, ap);
	va_end(ap);
	host->fail(op, param, 0, buf);
	return rc;
}

/* The single value of a parameter, or fallback when it was not given. */
static inline const char *
resite_str_or(struct resite_op *op, const struct resite_host *host,
	      const char *name, const char *fallback)
{
	return host->param_count(op, name) > 0 ? host->param_str(op, name, 0) : fallback;
}

static inline int64_t
resite_i64_or(struct resite_op *op, const struct resite_host *host,
	      const char *name, int64_t fallback)
{
	return host->param_count(op, name) > 0 ? host->param_i64(op, name, 0) : fallback;
}


/* The value of a key in an undo record; NULL: it has none. */
static inline const char *
resite_kv_get(const struct resite_kv *kv, uint32_t n, const char *key)
{
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(kv[i].key, key))
			return kv[i].value;
	return NULL;
}

/* revert for a plugin that takes its records one by one: calls one() for each, newest
 * first, until it fails or the time is over. */
static inline int
resite_revert_each(struct resite_op *op, const struct resite_host *host,
		   int (*one)(struct resite_op *, const struct resite_host *, uint32_t version,
			      const struct resite_kv *kv, uint32_t n))
{
	const struct resite_kv *kv;
	uint32_t version, n;
	int rc;

	while ((rc = host->undo_next(op, &version, &kv, &n)) == 1) {
		if (host->time_left_ms(op) <= 0)
			return RESITE_ERR_CANCELLED;
		rc = one(op, host, version, kv, n);
		if (rc != RESITE_OK)
			return rc;
	}
	return rc;
}

#endif
