#include "config.h"

#include "plugins/edge-nexthop/edge.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

struct transfer {
	struct edge *e;
	struct http *http;
	char words[CURL_ERROR_SIZE];
};

void
http_release(struct http *h)
{
	free(h->head);
	free(h->body);
	*h = (struct http){0};
}

static size_t
append(char **text, size_t *text_len, const char *data, size_t len)
{
	char *grown = *text_len + len > RPC_MAX_BYTES ? NULL : realloc(*text, *text_len + len + 1);

	if (!grown)
		return 0;
	memcpy(grown + *text_len, data, len);
	*text_len += len;
	grown[*text_len] = '\0';
	*text = grown;
	return len;
}

static size_t
on_body(char *data, size_t one, size_t len, void *arg)
{
	struct transfer *t = arg;

	(void)one;
	return append(&t->http->body, &t->http->body_len, data, len);
}

static size_t
on_header(char *data, size_t one, size_t len, void *arg)
{
	struct transfer *t = arg;

	(void)one;
	return append(&t->http->head, &t->http->head_len, data, len);
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct transfer *t = arg;

	(void)a, (void)b, (void)c, (void)d;
	return t->e->host->time_left_ms(t->e->op) <= 0;
}

static void
set_up(CURL *h, struct transfer *t, const char *url, const char *credentials)
{
	const char *ca = edge_str(t->e, "ca_file");
	int64_t left = t->e->host->time_left_ms(t->e->op), patience = t->e->net.patience_ms;

	curl_easy_setopt(h, CURLOPT_URL, url);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(h, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	/* The plan says where the server is; a proxy in the environment does not. */
	curl_easy_setopt(h, CURLOPT_PROXY, "");
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)(patience < left ? patience : left));
	curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(h, CURLOPT_XFERINFODATA, t);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(h, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(h, CURLOPT_ERRORBUFFER, t->words);
	if (ca)
		curl_easy_setopt(h, CURLOPT_CAINFO, ca);
	if (credentials)
		curl_easy_setopt(h, CURLOPT_USERPWD, credentials);
}

/* Appends to *list; false: no memory, the list is as it was. */
static bool
add_header(struct curl_slist **list, const char *text)
{
	struct curl_slist *more = curl_slist_append(*list, text);

	if (more)
		*list = more;
	return more != NULL;
}

static int
perform(struct edge *e, CURL *h, struct transfer *t, const char *url)
{
	CURLcode code = curl_easy_perform(h);

	if (e->host->time_left_ms(e->op) <= 0)
		return RESITE_ERR_CANCELLED;
	if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT)
		return net_error(&e->net, RESITE_ERR_INVALID, "%s: %s", url, curl_easy_strerror(code));
	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
		return net_error(&e->net, RESITE_ERR_REFUSED, "%s: %s", url,
				 *t->words ? t->words : curl_easy_strerror(code));
	if (code != CURLE_OK)
		return net_error(&e->net, RESITE_ERR_TRANSIENT, "%s: %s", url,
				 *t->words ? t->words : curl_easy_strerror(code));
	curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &t->http->status);
	/* What reads them need not ask whether anything came. */
	append(&t->http->head, &t->http->head_len, "", 0);
	append(&t->http->body, &t->http->body_len, "", 0);
	return t->http->head && t->http->body
		       ? RESITE_OK : net_error(&e->net, RESITE_ERR_TRANSIENT, "out of memory");
}

int
http_ask(struct edge *e, const char *url, const char *json, const char *host_header,
	 const char *credentials, struct http *ret)
{
	struct transfer t = {.e = e, .http = ret};
	struct curl_slist *headers = NULL;
	CURL *h = curl_easy_init();
	char host[300];
	bool ok = h != NULL;
	int rc;

	*ret = (struct http){0};
	snprintf(host, sizeof(host), "Host: %s", host_header ? host_header : "");
	ok = ok && (!host_header || add_header(&headers, host)) &&
	     (!json || (add_header(&headers, "Content-Type: application/json") &&
			add_header(&headers, "Expect:")));
	if (!ok) {
		rc = net_error(&e->net, RESITE_ERR_TRANSIENT, "out of memory");
	} else {
		set_up(h, &t, url, credentials);
		if (headers)
			curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
		if (json)
			curl_easy_setopt(h, CURLOPT_POSTFIELDS, json);
		rc = perform(e, h, &t, url);
	}
	curl_slist_free_all(headers);
	if (h)
		curl_easy_cleanup(h);
	if (rc != RESITE_OK)
		http_release(ret);
	return rc;
}
