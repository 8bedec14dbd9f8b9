#include "sdk/vault/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

__attribute__((format(printf, 3, 0))) static int
set_text(struct vault_error *err, int code, const char *fmt, va_list ap)
{
	err->code = code;
	if (vsnprintf(err->text, sizeof err->text, fmt, ap) < 0)
		err->text[0] = '\0';
	return code;
}

int
vault__fail(struct vault_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_text(err, code, fmt, ap);
	va_end(ap);
	return code;
}

int
vault__fail_errno(struct vault_error *err, const char *fmt, ...)
{
	int saved = errno;
	size_t len;
	va_list ap;

	va_start(ap, fmt);
	set_text(err, VAULT_ERR_IO, fmt, ap);
	va_end(ap);
	len = strlen(err->text);
	snprintf(err->text + len, sizeof err->text - len, ": %s", strerror(saved));
	return VAULT_ERR_IO;
}

bool
vault__name_ok(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= 100 && name[0] != '.' &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			    "0123456789._-") == len;
}

bool
vault__set_name_ok(const char *name)
{
	static const char form[] = "dddddddd"
				   "T"
				   "dddddd"
				   "Z-"
				   "xxxx";

	if (strlen(name) != VAULT_SET_NAME_LEN)
		return false;
	for (size_t i = 0; i < VAULT_SET_NAME_LEN; i++) {
		bool digit = name[i] >= '0' && name[i] <= '9';

		if (form[i] == 'd' ? !digit
		    : form[i] == 'x' ? !digit && !(name[i] >= 'A' && name[i] <= 'F')
				     : name[i] != form[i])
			return false;
	}
	return true;
}

const char *
vault__printable(const char *name)
{
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			return "?";
	return name;
}

void
vault__to_hex(char *out, const uint8_t *raw, size_t len)
{
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

void
vault__hex(char out[VAULT_HEX], struct sha256_ctx *hash)
{
	uint8_t raw[SHA256_DIGEST_SIZE];

	sha256_digest(hash, sizeof raw, raw);
	vault__to_hex(out, raw, sizeof raw);
}

int64_t
vault__now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
vault__time_text(char out[VAULT_TIME_LEN], int64_t wall_ms)
{
	time_t s = (time_t)(wall_ms / 1000);
	struct tm tm;

	gmtime_r(&s, &tm);
	/* A year of five digits cannot come from the clock of this program. */
	strftime(out, VAULT_TIME_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + 19, VAULT_TIME_LEN - 19, ".%03uZ", (unsigned)(wall_ms % 1000) % 1000);
}

int64_t
vault__time_parse(const char *text)
{
	struct tm tm = {0};
	int ms, end = 0;

	if (strlen(text) != VAULT_TIME_LEN - 1 ||
	    sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms, &end) != 7 ||
	    end != VAULT_TIME_LEN - 1 || tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 ||
	    tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 || tm.tm_hour > 23 ||
	    tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60 || ms < 0)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t)timegm(&tm) * 1000 + ms;
}

bool
vault__manifest_digest(char out[VAULT_HEX], const json_t *manifest, bool with_seal)
{
	struct sha256_ctx hash;
	json_t *copy = json_copy((json_t *)(uintptr_t)manifest);
	char *text;

	if (!copy)
		return false;
	json_object_del(copy, "digest");
	if (!with_seal)
		json_object_del(copy, "seal");
	text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(copy);
	if (!text)
		return false;
	sha256_init(&hash);
	sha256_update(&hash, strlen(text), (const uint8_t *)text);
	vault__hex(out, &hash);
	free(text);
	return true;
}
