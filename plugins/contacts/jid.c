#include "plugins/contacts/jid.h"

#include <string.h>
#include <strings.h>

static const struct {
	char c;
	const char code[4];
} escapes[] = {
	{' ', "\\20"}, {'"', "\\22"}, {'&', "\\26"}, {'\'', "\\27"}, {'/', "\\2f"},
	{':', "\\3a"}, {'<', "\\3c"}, {'>', "\\3e"}, {'@', "\\40"}, {'\\', "\\5c"},
};

#define N_ESCAPES (sizeof escapes / sizeof *escapes)

/* The escape that s begins with, or N_ESCAPES. */
static size_t
escape_at(const char *s, size_t len)
{
	size_t i = 0;

	while (i < N_ESCAPES && (len < 3 || strncasecmp(s, escapes[i].code, 3)))
		i++;
	return i;
}

static size_t
local_length(const char *s, size_t len)
{
	const char *at = memrchr(s, '@', len);

	return at ? (size_t)(at - s) : 0;
}

static void
add_lower(struct buf *out, char c)
{
	if (c >= 'A' && c <= 'Z')
		c = (char)(c + 'a' - 'A');
	buf_add(out, &c, 1);
}

static void
escape(struct buf *out, const char *address, size_t local, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		size_t e = N_ESCAPES;

		/* A backslash stands for itself, unless what follows would make it an escape. */
		if (i < local && (address[i] != '\\' ||
				  escape_at(address + i, local - i) < N_ESCAPES))
			for (e = 0; e < N_ESCAPES && escapes[e].c != address[i]; e++)
				;
		if (e < N_ESCAPES)
			buf_add(out, escapes[e].code, 3);
		else
			add_lower(out, address[i]);
	}
}

void
jid_from_address(struct buf *out, const char *address, size_t len)
{
	escape(out, address, local_length(address, len), len);
}

void
jid_from_local(struct buf *out, const char *local, size_t len)
{
	escape(out, local, len, len);
}

static void
unescape(struct buf *out, const char *jid, size_t local, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		size_t e = i < local ? escape_at(jid + i, local - i) : N_ESCAPES;

		if (e < N_ESCAPES) {
			buf_add(out, &escapes[e].c, 1);
			i += 2;
		} else {
			buf_add(out, jid + i, 1);
		}
	}
}

void
jid_to_address(struct buf *out, const char *jid, size_t len)
{
	unescape(out, jid, local_length(jid, len), len);
}

void
jid_to_local(struct buf *out, const char *local, size_t len)
{
	unescape(out, local, len, len);
}

struct slice
jid_local(const char *address)
{
	size_t len = strlen(address), local = local_length(address, len);

	return (struct slice){address, local ? local : len};
}
