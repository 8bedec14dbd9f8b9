#include "config.h"

#include "sdk/sip/sipmsg.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- requests ------------------------------------------------------------------ */

char *
sip_request_text(const struct sip_request *r)
{
	bool registers = !strcmp(r->method, "REGISTER");
	int user_len = (int)strcspn(r->user, "@");
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fprintf(f,
		"%s sip:%s SIP/2.0\r\n"
		"Via: SIP/2.0/TCP %s;branch=%s;rport\r\n"
		"Max-Forwards: 70\r\n"
		"From: <sip:%s>;tag=%s\r\n"
		"To: <sip:%s>\r\n"
		"Call-ID: %s\r\n"
		"CSeq: %u %s\r\n"
		"Contact: <sip:%.*s@%s;transport=tcp>\r\n",
		r->method, r->domain, r->local, r->branch, r->user, r->tag,
		registers ? r->user : r->domain, r->call_id, r->cseq, r->method, user_len, r->user,
		r->local);
	if (registers)
		fprintf(f, "Expires: %ld\r\n", r->expires_s);
	if (r->authorization)
		fprintf(f, "%s\r\n", r->authorization);
	fputs("User-Agent: resite\r\nContent-Length: 0\r\n\r\n", f);
	return fclose(f) == 0 ? text : NULL;
}

/* --- responses ------------------------------------------------------------------ */

/* Copies the head, joins folded lines (RFC 3261 §7.3.1) and ends each line with NUL; an
 * empty line ends the whole. */
static char *
unfold(const char *head, size_t len)
{
	char *text = malloc(len + 2), *out = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (head[i] == '\r' && i + 1 < len && head[i + 1] == '\n')
			continue;
		if (head[i] != '\n') {
			*out++ = head[i] ? head[i] : ' ';
		} else if (i + 1 < len && (head[i + 1] == ' ' || head[i + 1] == '\t')) {
			*out++ = ' ';
		} else {
			*out++ = '\0';
		}
	}
	*out++ = '\0';
	*out = '\0';
	return text;
}

static bool
is_header(const char *line, const char *name, const char *compact, const char **ret_value)
{
	size_t len = strcspn(line, ": \t");
	const char *p = line + len + strspn(line + len, " \t");

	if (*p != ':')
		return false;
	if ((strlen(name) != len || strncasecmp(line, name, len)) &&
	    (!compact || strlen(compact) != len || strncasecmp(line, compact, len)))
		return false;
	p++;
	*ret_value = p + strspn(p, " \t");
	return true;
}

static const char *
find_header(const char *lines, const char *name, const char *compact)
{
	const char *value;

	for (; *lines; lines += strlen(lines) + 1)
		if (is_header(lines, name, compact, &value))
			return value;
	return NULL;
}

/* The branch of the topmost Via: its first value ends at a comma. */
static void
find_branch(const char *via, struct sip_response *ret)
{
	const char *end = via ? via + strcspn(via, ",") : NULL;
	const char *p = via ? strchr(via, ';') : NULL;

	for (; p && p < end; p = strchr(p, ';')) {
		p += 1 + strspn(p + 1, " \t");
		if (strncasecmp(p, "branch=", 7))
			continue;
		ret->branch = p + 7;
		ret->branch_len = strcspn(p + 7, ";, \t");
		return;
	}
}

static const char *
read_status_line(const char *line, struct sip_response *ret)
{
	if (strncasecmp(line, "SIP/2.0 ", 8))
		return "its first line is not that of SIP/2.0";
	line += 8;
	if (!isdigit((unsigned char)line[0]) || !isdigit((unsigned char)line[1]) ||
	    !isdigit((unsigned char)line[2]) || (line[3] && line[3] != ' ') || line[0] < '1' ||
	    line[0] > '6')
		return "its status is not three digits";
	ret->status = atoi(line);
	ret->reason = line[3] ? line + 4 : "";
	return NULL;
}

static const char *
read_headers(const char *lines, struct sip_response *ret)
{
	const char *cseq = find_header(lines, "CSeq", NULL);
	char *end;

	find_branch(find_header(lines, "Via", "v"), ret);
	ret->call_id = find_header(lines, "Call-ID", "i");
	ret->contact = find_header(lines, "Contact", "m");
	ret->authenticate = find_header(lines, ret->status == 407 ? "Proxy-Authenticate"
								 : "WWW-Authenticate", NULL);
	if (!ret->branch || !ret->call_id || !cseq)
		return "it lacks Via with branch, Call-ID or CSeq";
	ret->cseq = (unsigned)strtoul(cseq, &end, 10);
	ret->cseq_method = end + strspn(end, " \t");
	return end == cseq ? "its CSeq is no number" : NULL;
}

/* Content-Length is a must on a stream (RFC 3261 §18.3): without it the next message could
 * not be found. */
static bool
content_length(const char *lines, size_t *ret)
{
	const char *value = find_header(lines, "Content-Length", "l");
	char *end;

	if (!value || !isdigit((unsigned char)*value))
		return false;
	*ret = strtoul(value, &end, 10);
	return !end[strspn(end, " \t")] && *ret <= SIP_MESSAGE_MAX;
}

enum sip_parsed
sip_parse(const char *bytes, size_t len, struct sip_response *ret, size_t *ret_used,
	  const char **ret_why)
{
	const char *end, *lines;
	size_t head, body;
	enum sip_parsed kind;

	*ret = (struct sip_response){0};
	for (*ret_used = 0; *ret_used < len && strchr("\r\n", bytes[*ret_used]) && bytes[*ret_used];)
		(*ret_used)++;
	if (*ret_used)
		return SIP_KEEPALIVE;
	end = memmem(bytes, len, "\r\n\r\n", 4);
	*ret_why = "its head is longer than 64 KiB";
	if (!end)
		return len >= SIP_MESSAGE_MAX ? SIP_GARBAGE : SIP_MORE;
	head = (size_t)(end - bytes) + 4;
	ret->text = unfold(bytes, head - 4);
	*ret_why = "out of memory";
	if (!ret->text)
		return SIP_GARBAGE;
	lines = ret->text + strlen(ret->text) + 1;
	kind = strncasecmp(ret->text, "SIP/", 4) && strstr(ret->text, " SIP/2.0") ? SIP_REQUEST
										  : SIP_RESPONSE;
	*ret_why = kind == SIP_RESPONSE ? read_status_line(ret->text, ret) : NULL;
	if (!*ret_why && !content_length(lines, &body))
		*ret_why = "it has no proper Content-Length";
	else if (!*ret_why && len - head < body)
		kind = SIP_MORE;
	else if (!*ret_why && kind == SIP_RESPONSE)
		*ret_why = read_headers(lines, ret);
	if (*ret_why)
		kind = SIP_GARBAGE;
	if (kind != SIP_RESPONSE)
		sip_response_release(ret);
	if (kind == SIP_RESPONSE || kind == SIP_REQUEST)
		*ret_used = head + body;
	return kind;
}

void
sip_response_release(struct sip_response *r)
{
	free(r->text);
	*r = (struct sip_response){0};
}

bool
sip_response_says(const struct sip_response *r, const char *text)
{
	for (const char *line = r->text; *line; line += strlen(line) + 1)
		if (strcasestr(line, text))
			return true;
	return false;
}

bool
sip_answers(const struct sip_response *response, const struct sip_request *request)
{
	return response->branch_len == strlen(request->branch) &&
	       !strncmp(response->branch, request->branch, response->branch_len) &&
	       !strcmp(response->call_id, request->call_id) &&
	       response->cseq == request->cseq && !strcmp(response->cseq_method, request->method);
}

bool
sip_contact_host(const char *contact, char *ret_host, size_t host_cap, char ret_port[6])
{
	const char *p = strcasestr(contact, "sip:"), *at;
	size_t len;

	if (!p)
		return false;
	p += 4;
	at = p + strcspn(p, "@>;,? ");
	if (*at == '@')
		p = at + 1;
	if (*p == '[') {
		len = strcspn(++p, "]");
		at = p + len + (p[len] == ']');
	} else {
		len = strcspn(p, ":>;,? \t");
		at = p + len;
	}
	if (!len || len >= host_cap)
		return false;
	memcpy(ret_host, p, len);
	ret_host[len] = '\0';
	memcpy(ret_port, "5060", 5);
	if (*at != ':')
		return true;
	len = strspn(at + 1, "0123456789");
	if (!len || len > 5)
		return false;
	memcpy(ret_port, at + 1, len);
	ret_port[len] = '\0';
	return true;
}
