#include "plugins/contacts/xcap.h"

#include "plugins/contacts/documents.h"
#include "plugins/contacts/lists.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define WORDS_MAX 200
#define ETAG_MAX 200
/* Replies come in order, so a slow one holds back those after it: this many for each connection
 * may wait behind it before the connections idle. */
#define QUEUE_PER_CONNECTION 4

/* How long to wait before each further try. */
static const int64_t backoff_ms[] = {100, 300, 900};
#define MAX_TRIES (sizeof backoff_ms / sizeof *backoff_ms + 1)

enum job_state { J_FREE, J_WAITING, J_ACTIVE, J_DONE };

struct job {
	enum job_state state;
	bool put;
	uint64_t index;
	char *user;
	struct buf sent, reply;
	CURL *easy;            /* while active */
	unsigned tries;
	int64_t first_ms;      /* when the first try began */
	int64_t not_before_ms; /* of the next try */
	uint64_t ok_before;    /* x->ok when the first try began */
	long status;
	bool conditional;
	char if_match[ETAG_MAX]; /* "": If-None-Match: * */
	struct curl_slist *headers; /* of a conditional PUT */
	char etag[ETAG_MAX];
	char words[WORDS_MAX];
	char error[CURL_ERROR_SIZE];
};

struct xcap {
	struct xcap_options options;
	char *root;
	CURLM *multi;
	struct curl_slist *put_headers, *get_headers;
	CURL **idle; /* handles without a job */
	unsigned n_idle;
	struct job *jobs; /* a ring: head is the oldest request */
	size_t n_jobs, head, used;
	uint64_t ok; /* requests that the server answered as it should */
	struct fault fault; /* rc 0: none */
};

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- what curl hands over ------------------------------------------------------ */

static size_t
on_body(char *data, size_t one, size_t len, void *arg)
{
	struct job *job = arg;

	(void)one;
	if (job->reply.len + len > DOCUMENT_MAX_BYTES)
		return 0;
	buf_add(&job->reply, data, len);
	return job->reply.failed ? 0 : len;
}

/* Without its quotes; one that is too long for us is none. */
static void
keep_etag(struct job *job, const char *value, size_t len)
{
	while (len && (value[len - 1] == '\r' || value[len - 1] == '\n' || value[len - 1] == '"'))
		len--;
	while (len && (*value == ' ' || *value == '"')) {
		value++;
		len--;
	}
	if (len < sizeof job->etag)
		snprintf(job->etag, sizeof job->etag, "%.*s", (int)len, value);
}

/* Keeps the reason of the status line: Kamailio says there what is wrong. */
static size_t
on_header(char *data, size_t one, size_t len, void *arg)
{
	struct job *job = arg;

	(void)one;
	if (len > 9 && !memcmp(data, "HTTP/", 5)) {
		const char *status = memchr(data, ' ', len);
		size_t n = status ? len - (size_t)(status + 1 - data) : 0;

		while (n && (status[n] == '\r' || status[n] == '\n'))
			n--;
		snprintf(job->words, sizeof job->words, "%.*s", (int)n, status ? status + 1 : "");
	} else if (len > 5 && !strncasecmp(data, "ETag:", 5)) {
		keep_etag(job, data + 5, len - 5);
	}
	return len;
}

/* --- set-up -------------------------------------------------------------------- */

static CURL *
new_handle(const struct xcap *x)
{
	const struct xcap_options *o = &x->options;
	CURL *h = curl_easy_init();

	if (!h)
		return NULL;
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(h, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	/* The plan says where the server is; a proxy in the environment does not. */
	curl_easy_setopt(h, CURLOPT_PROXY, "");
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)o->timeout_ms);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
	if (o->ca_file)
		curl_easy_setopt(h, CURLOPT_CAINFO, o->ca_file);
	return h;
}

/* Of a PUT, with a condition or without.  An empty "Expect:" keeps curl from waiting for "100
 * Continue". */
static struct curl_slist *
put_headers(const char *condition)
{
	const char *const lines[] = {"Content-Type: " LISTS_MEDIA_TYPE, "Expect:", condition};
	struct curl_slist *list = NULL;

	for (size_t i = 0; i < sizeof lines / sizeof *lines && lines[i]; i++) {
		struct curl_slist *more = curl_slist_append(list, lines[i]);

		if (!more) {
			curl_slist_free_all(list);
			return NULL;
		}
		list = more;
	}
	return list;
}

static bool
set_up(struct xcap *x)
{
	unsigned n = x->options.connections;

	x->root = strdup(x->options.root);
	x->multi = curl_multi_init();
	x->idle = calloc(n, sizeof *x->idle);
	x->n_jobs = (size_t)n * QUEUE_PER_CONNECTION;
	x->jobs = calloc(x->n_jobs, sizeof *x->jobs);
	x->get_headers = curl_slist_append(NULL, "Accept: " LISTS_MEDIA_TYPE);
	if (!x->root || !x->multi || !x->idle || !x->jobs || !x->get_headers)
		return false;
	x->put_headers = put_headers(NULL);
	if (!x->put_headers)
		return false;
	curl_multi_setopt(x->multi, CURLMOPT_MAXCONNECTS, (long)n);
	curl_multi_setopt(x->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)n);
	while (x->n_idle < n && (x->idle[x->n_idle] = new_handle(x)))
		x->n_idle++;
	return x->n_idle == n;
}

struct xcap *
xcap_new(const struct xcap_options *options, struct fault *f)
{
	struct xcap *x = calloc(1, sizeof *x);

	if (x) {
		size_t len;

		x->options = *options;
		if (set_up(x)) {
			for (len = strlen(x->root); len && x->root[len - 1] == '/'; len--)
				x->root[len - 1] = '\0';
			return x;
		}
	}
	xcap_free(x);
	fault_memory(f);
	return NULL;
}

void
xcap_free(struct xcap *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->n_jobs && x->jobs; i++) {
		struct job *job = &x->jobs[i];

		if (job->easy) {
			curl_multi_remove_handle(x->multi, job->easy);
			curl_easy_cleanup(job->easy);
		}
		free(job->user);
		curl_slist_free_all(job->headers);
		buf_release(&job->sent);
		buf_release(&job->reply);
	}
	for (unsigned i = 0; i < x->n_idle; i++)
		curl_easy_cleanup(x->idle[i]);
	curl_multi_cleanup(x->multi);
	curl_slist_free_all(x->put_headers);
	curl_slist_free_all(x->get_headers);
	free(x->idle);
	free(x->jobs);
	free(x->root);
	free(x);
}

/* --- one try -------------------------------------------------------------------- */

/* ROOT/resource-lists/users/XUI/index */
static void
build_url(struct buf *url, const char *root, const char *user)
{
	buf_puts(url, root);
	buf_puts(url, "/resource-lists/users/");
	target_xui(url, user);
	buf_add(url, "/index", sizeof "/index");
}

/* The headers of a try; NULL when memory is short. */
static struct curl_slist *
headers_of(struct xcap *x, struct job *job)
{
	char condition[ETAG_MAX + 32] = "If-None-Match: *";

	if (!job->put || !job->conditional)
		return job->put ? x->put_headers : x->get_headers;
	if (*job->if_match)
		snprintf(condition, sizeof condition, "If-Match: \"%s\"", job->if_match);
	curl_slist_free_all(job->headers);
	job->headers = put_headers(condition);
	return job->headers;
}

static int
begin_try(struct xcap *x, struct job *job)
{
	CURL *h = x->idle[x->n_idle - 1];
	struct curl_slist *headers = headers_of(x, job);
	struct buf url = {0};

	build_url(&url, x->root, job->user);
	if (!headers || url.failed || curl_easy_setopt(h, CURLOPT_URL, url.p) != CURLE_OK) {
		buf_release(&url);
		return fault_memory(&x->fault);
	}
	buf_release(&url);
	buf_clear(&job->reply);
	job->words[0] = job->error[0] = job->etag[0] = '\0';
	curl_easy_setopt(h, CURLOPT_PRIVATE, job);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, job);
	curl_easy_setopt(h, CURLOPT_HEADERDATA, job);
	curl_easy_setopt(h, CURLOPT_ERRORBUFFER, job->error);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
	if (job->put) {
		/* A body in memory goes out in one write with its head; READFUNCTION would not. */
		curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)job->sent.len);
		curl_easy_setopt(h, CURLOPT_POSTFIELDS, job->sent.p ? job->sent.p : "");
		curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, "PUT");
	} else {
		curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, NULL);
		curl_easy_setopt(h, CURLOPT_HTTPGET, 1L);
	}
	if (curl_multi_add_handle(x->multi, h) != CURLM_OK)
		return fault_memory(&x->fault);
	x->n_idle--;
	job->easy = h;
	job->state = J_ACTIVE;
	if (job->tries++ == 0) {
		job->first_ms = now_ms();
		job->ok_before = x->ok;
	}
	return RESITE_OK;
}

static int
begin_tries(struct xcap *x)
{
	int64_t now = now_ms();

	for (size_t i = 0; i < x->used && x->n_idle > 0; i++) {
		struct job *job = &x->jobs[(x->head + i) % x->n_jobs];

		if (job->state == J_WAITING && job->not_before_ms <= now &&
		    begin_try(x, job) < 0)
			return x->fault.rc;
	}
	return RESITE_OK;
}

/* --- the end of a try ------------------------------------------------------------ */

/* Failures of curl that trying again does not mend. */
static const struct {
	CURLcode code;
	int rc;
} final[] = {
	{CURLE_URL_MALFORMAT, RESITE_ERR_INVALID},
	{CURLE_SSL_CACERT_BADFILE, RESITE_ERR_INVALID},
	{CURLE_PEER_FAILED_VERIFICATION, RESITE_ERR_REFUSED},
	{CURLE_WRITE_ERROR, RESITE_ERR_REFUSED},
};

static int
final_rc(CURLcode code)
{
	for (size_t i = 0; i < sizeof final / sizeof *final; i++)
		if (final[i].code == code)
			return final[i].rc;
	return RESITE_OK;
}

/* "500 Server error" and the begin of the text that came with it. */
static void
collect_words(struct job *job)
{
	size_t len = strlen(job->words);

	if (len == 0)
		len = (size_t)snprintf(job->words, sizeof job->words, "%ld", job->status);
	if (job->reply.len > 0 && job->status >= 300)
		snprintf(job->words + len, sizeof job->words - len, " (%.*s)",
			 job->reply.len > 120 ? 120 : (int)job->reply.len, job->reply.p);
}

static int
give_up(struct xcap *x, const struct job *job, int rc, const char *why)
{
	return fault_set(&x->fault, rc, "%s %s: %s: %s%s", x->root, job->put ? "PUT" : "GET",
			 job->user, why, job->tries > 1 ? " (tried again and again)" : "");
}

/* Another try later, or the end: of this request alone when others pass, else of all. */
static int
again(struct xcap *x, struct job *job, const char *why)
{
	int64_t now = now_ms();

	if (job->tries < MAX_TRIES && now - job->first_ms < 2 * x->options.timeout_ms) {
		job->state = J_WAITING;
		job->not_before_ms = now + backoff_ms[job->tries - 1];
		return RESITE_OK;
	}
	if (job->status >= 500 && x->ok > job->ok_before) {
		job->state = J_DONE;
		return RESITE_OK;
	}
	return give_up(x, job, RESITE_ERR_TRANSIENT, why);
}

static bool
is_lists(CURL *h)
{
	char *type = NULL;

	curl_easy_getinfo(h, CURLINFO_CONTENT_TYPE, &type);
	return type && !strncasecmp(type, LISTS_MEDIA_TYPE, strlen(LISTS_MEDIA_TYPE));
}

/* Why a try failed.  curl hides the reason of a connection that was not made. */
static const char *
describe_failure(const struct job *job, CURL *h, CURLcode code, char *buf, size_t size)
{
	const char *text = job->error[0] ? job->error : curl_easy_strerror(code);
	long os_errno = 0;

	if (job->reply.failed || code == CURLE_WRITE_ERROR)
		return "the answer is longer than any contact list";
	curl_easy_getinfo(h, CURLINFO_OS_ERRNO, &os_errno);
	if (code != CURLE_COULDNT_CONNECT || !os_errno)
		return text;
	snprintf(buf, size, "%s: %s", text, strerror((int)os_errno));
	return buf;
}

static int
end_try(struct xcap *x, struct job *job, CURLcode code)
{
	char buf[2 * CURL_ERROR_SIZE];
	CURL *h = job->easy;
	bool lists = is_lists(h);

	job->status = 0;
	curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &job->status);
	curl_multi_remove_handle(x->multi, h);
	x->idle[x->n_idle++] = h;
	job->easy = NULL;
	if (code != CURLE_OK) {
		const char *why = describe_failure(job, h, code, buf, sizeof(buf));

		job->status = 0;
		return final_rc(code) ? give_up(x, job, final_rc(code), why) : again(x, job, why);
	}
	collect_words(job);
	if (job->status >= 500 || job->status == 429 || job->status == 408)
		return again(x, job, job->words);
	if (!job->put && job->status == 200 && !lists)
		return give_up(x, job, RESITE_ERR_REFUSED,
			       "the answer is no " LISTS_MEDIA_TYPE ": is this an XCAP root?");
	x->ok += job->status < 300 || (!job->put && job->status == 404);
	job->state = J_DONE;
	return RESITE_OK;
}

/* How many requests ended, or < 0. */
static int
end_tries(struct xcap *x)
{
	CURLMsg *msg;
	int left, n = 0;

	while ((msg = curl_multi_info_read(x->multi, &left))) {
		CURLcode code = msg->data.result;
		char *job = NULL;

		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &job);
		if (end_try(x, (struct job *)(void *)job, code) < 0)
			return x->fault.rc;
		n++;
	}
	return n;
}

/* --- the loop -------------------------------------------------------------------- */

/* Hands over the replies that are next in order. */
static int
deliver(struct xcap *x)
{
	while (x->used > 0 && x->jobs[x->head].state == J_DONE) {
		struct job *job = &x->jobs[x->head];
		bool body = !job->put && job->status == 200;
		struct reply reply = {
			.index = job->index,
			.user = job->user,
			.status = job->status,
			.body = !body ? NULL : job->reply.p ? job->reply.p : "",
			.len = body ? job->reply.len : 0,
			.etag = job->etag,
			.sent = job->sent.p,
			.sent_len = job->sent.len,
			.words = job->words,
		};

		if (x->options.done(x->options.arg, &reply, &x->fault) < 0)
			return x->fault.rc;
		job->state = J_FREE;
		x->head = (x->head + 1) % x->n_jobs;
		x->used--;
	}
	return RESITE_OK;
}

/* How long nothing can happen unless a socket says so. */
static int
poll_ms(const struct xcap *x, int64_t left_ms)
{
	int64_t now = now_ms(), ms = left_ms < 1000 ? left_ms : 1000;

	for (size_t i = 0; i < x->used; i++) {
		const struct job *job = &x->jobs[(x->head + i) % x->n_jobs];
		int64_t wait = job->not_before_ms - now;

		if (job->state == J_WAITING && x->n_idle > 0 && wait < ms)
			ms = wait > 0 ? wait : 0;
	}
	return (int)ms;
}

/* One turn: begin what can begin, hand over what has ended, else wait for the sockets. */
static int
turn(struct xcap *x)
{
	struct curl_waitfd cancel = {
		.fd = x->options.host->cancel_fd(x->options.op),
		.events = CURL_WAIT_POLLIN,
	};
	int64_t left = x->options.host->time_left_ms(x->options.op);
	int running, ended;

	if (left <= 0)
		return fault_set(&x->fault, RESITE_ERR_CANCELLED,
				 "stopped before the answer for %s came", x->jobs[x->head].user);
	if (begin_tries(x) < 0)
		return x->fault.rc;
	if (curl_multi_perform(x->multi, &running) != CURLM_OK)
		return fault_set(&x->fault, RESITE_ERR_TRANSIENT, "libcurl cannot go on");
	ended = end_tries(x);
	if (ended != 0)
		return ended < 0 ? ended : deliver(x);
	if (curl_multi_poll(x->multi, &cancel, cancel.fd >= 0, poll_ms(x, left), NULL) !=
	    CURLM_OK)
		return fault_set(&x->fault, RESITE_ERR_TRANSIENT, "libcurl cannot wait");
	return RESITE_OK;
}

static int
run_until(struct xcap *x, size_t at_most, struct fault *f)
{
	while (x->fault.rc == RESITE_OK && x->used > at_most)
		turn(x);
	if (x->fault.rc != RESITE_OK)
		*f = x->fault;
	return x->fault.rc;
}

static int
submit(struct xcap *x, bool put, uint64_t index, const char *user, const char *body,
       size_t len, struct fault *f)
{
	struct job *job;

	if (run_until(x, x->n_jobs - 1, f) < 0)
		return f->rc;
	job = &x->jobs[(x->head + x->used) % x->n_jobs];
	free(job->user);
	job->user = strdup(user);
	buf_clear(&job->sent);
	buf_add(&job->sent, body, len);
	if (!job->user || job->sent.failed)
		return fault_memory(f);
	job->put = put;
	job->conditional = false;
	job->index = index;
	job->tries = 0;
	job->not_before_ms = 0;
	job->state = J_WAITING;
	x->used++;
	return RESITE_OK;
}

int
xcap_put(struct xcap *x, uint64_t index, const char *user, const char *body, size_t len,
	 const char *etag, struct fault *f)
{
	struct job *job;

	if (submit(x, true, index, user, body, len, f) < 0)
		return f->rc;
	if (etag) {
		job = &x->jobs[(x->head + x->used - 1) % x->n_jobs];
		job->conditional = true;
		snprintf(job->if_match, sizeof job->if_match, "%s", etag);
	}
	return RESITE_OK;
}

int
xcap_get(struct xcap *x, uint64_t index, const char *user, const char *body, size_t len,
	 struct fault *f)
{
	return submit(x, false, index, user, body, len, f);
}

int
xcap_drain(struct xcap *x, struct fault *f)
{
	return run_until(x, 0, f);
}
