/* ldap-homing against a server that does not keep to the protocol, or to the truth: a small
 * process that speaks LDAP just well enough to lie at one place. */
#define _GNU_SOURCE
#include "config.h"

#include "tests/unit/homing_checks.h"
#include "tests/unit/run_suite.h"

#include <arpa/inet.h>
#include <lber.h>
#include <ldap.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define WATCHED true
#else
#define WATCHED (getenv("RESITE_UNDER_VALGRIND") != NULL)
#endif

#define FROM "cn=one,dc=x"
#define TO "cn=two,dc=x"
#define HOME "msRTCSIP-PrimaryHomeServer"

enum trick {
	CUT,        /* half of the answer, and the end of the connection */
	SILENCE,    /* no answer, and the connection stays */
	TRICKLE,    /* a byte now and then */
	HANG_UP,    /* the end of the connection instead of an answer */
	WRONG_ID,   /* the answer to a question that nobody asked */
	CODE,       /* a result code */
	NO_PAGING,  /* the result of a search without the control that says it is whole */
	ALWAYS_MORE,/* there is always another page */
	GIANT,      /* an entry larger than any may be */
	NOTICE,     /* of disconnection */
	WRONG_TYPE, /* an answer of another kind */
	NO_TRUTH,   /* says yes, and does nothing */
	STRANGER,   /* an entry that is no longer homed where it was */
};

static const struct {
	const char *name;
	ber_tag_t at; /* the request that is not answered as it should be */
	enum trick trick;
	int code;
	const char *words; /* the server's */
	enum fakehost_phase phase;
	int rc;
	const char *says; /* of the failure */
} lies[] = {
	{"cut in the bind", LDAP_REQ_BIND, CUT, 0, "", FAKEHOST_PROBE, RESITE_ERR_TRANSIENT, "lost"},
	{"cut in a search", LDAP_REQ_SEARCH, CUT, 0, "", FAKEHOST_PROBE, RESITE_ERR_TRANSIENT, "lost"},
	{"cut in a change", LDAP_REQ_MODIFY, CUT, 0, "", FAKEHOST_APPLY, RESITE_ERR_TRANSIENT, "lost"},
	{"silent in the bind", LDAP_REQ_BIND, SILENCE, 0, "", FAKEHOST_PROBE, RESITE_ERR_TRANSIENT,
	 "accepted the connection but gave no answer for 300 ms"},
	{"silent in a search", LDAP_REQ_SEARCH, SILENCE, 0, "", FAKEHOST_VERIFY, RESITE_ERR_TRANSIENT,
	 "no answer for 300 ms (network_timeout) from a server that answered before"},
	{"silent in a change", LDAP_REQ_MODIFY, SILENCE, 0, "", FAKEHOST_APPLY, RESITE_ERR_TRANSIENT,
	 "no answer for 300 ms (network_timeout) from a server that answered before"},
	{"slow in a search", LDAP_REQ_SEARCH, TRICKLE, 0, "", FAKEHOST_PROBE, RESITE_ERR_CANCELLED, NULL},
	{"gone in a search", LDAP_REQ_SEARCH, HANG_UP, 0, "", FAKEHOST_PROBE, RESITE_ERR_TRANSIENT, "lost"},
	{"gone in a change", LDAP_REQ_MODIFY, HANG_UP, 0, "", FAKEHOST_APPLY, RESITE_ERR_TRANSIENT, "lost"},
	{"an answer to nothing, bind", LDAP_REQ_BIND, WRONG_ID, 0, "", FAKEHOST_PROBE,
	 RESITE_ERR_TRANSIENT, "no answer"},
	{"an answer to nothing, change", LDAP_REQ_MODIFY, WRONG_ID, 0, "", FAKEHOST_APPLY,
	 RESITE_ERR_TRANSIENT, "no answer"},
	{"another version", LDAP_REQ_BIND, CODE, LDAP_PROTOCOL_ERROR, "only version 2 here",
	 FAKEHOST_PROBE, RESITE_ERR_REFUSED, "only version 2 here"},
	{"wrong credentials", LDAP_REQ_BIND, CODE, LDAP_INVALID_CREDENTIALS, "data 52e", FAKEHOST_PROBE,
	 RESITE_ERR_REFUSED, "data 52e"},
	{"too busy", LDAP_REQ_BIND, CODE, LDAP_BUSY, "", FAKEHOST_PROBE, RESITE_ERR_TRANSIENT, "busy"},
	{"a partial list, by size", LDAP_REQ_SEARCH, CODE, LDAP_SIZELIMIT_EXCEEDED, "", FAKEHOST_PROBE,
	 RESITE_ERR_REFUSED, "incomplete"},
	{"a partial list, by time", LDAP_REQ_SEARCH, CODE, LDAP_TIMELIMIT_EXCEEDED, "", FAKEHOST_PROBE,
	 RESITE_ERR_TRANSIENT, "incomplete"},
	{"a list that is elsewhere", LDAP_REQ_SEARCH, CODE, LDAP_REFERRAL, "", FAKEHOST_PROBE,
	 RESITE_ERR_REFUSED, "name the server that does"},
	{"a code that nobody knows", LDAP_REQ_SEARCH, CODE, 4711, "eh", FAKEHOST_PROBE, RESITE_ERR_REFUSED,
	 "4711"},
	{"no permission to change", LDAP_REQ_MODIFY, CODE, LDAP_INSUFFICIENT_ACCESS, "hands off",
	 FAKEHOST_APPLY, RESITE_ERR_REFUSED, "hands off"},
	{"a read-only replica", LDAP_REQ_MODIFY, CODE, LDAP_REFERRAL, "", FAKEHOST_APPLY,
	 RESITE_ERR_REFUSED, "name the server that does"},
	{"busy amid the changes", LDAP_REQ_MODIFY, CODE, LDAP_BUSY, "later", FAKEHOST_APPLY,
	 RESITE_ERR_TRANSIENT, "later"},
	{"no word whether the list is whole", LDAP_REQ_SEARCH, NO_PAGING, 0, "", FAKEHOST_PROBE,
	 RESITE_ERR_REFUSED, "left out the paging control"},
	{"a list without end", LDAP_REQ_SEARCH, ALWAYS_MORE, 0, "", FAKEHOST_APPLY, RESITE_ERR_CANCELLED,
	 NULL},
	{"a giant", LDAP_REQ_SEARCH, GIANT, 0, "", FAKEHOST_PROBE, RESITE_ERR_TRANSIENT, "lost"},
	{"a notice of disconnection", LDAP_REQ_SEARCH, NOTICE, LDAP_UNAVAILABLE, "going down",
	 FAKEHOST_PROBE, RESITE_ERR_TRANSIENT, "Server is unavailable (52)"},
	{"an answer of another kind", LDAP_REQ_SEARCH, WRONG_TYPE, 0, "", FAKEHOST_PROBE,
	 RESITE_ERR_REFUSED, "unknown type"},
	{"yes, and nothing is done", LDAP_REQ_MODIFY, NO_TRUTH, 0, "", FAKEHOST_APPLY,
	 RESITE_ERR_TRANSIENT, "keep appearing"},
	{"somebody who was moved away", LDAP_REQ_MODIFY, STRANGER, 0, "", FAKEHOST_APPLY,
	 RESITE_ERR_CONFLICT, "somebody else changed it; now cn=three"},
	{"the truth", 0, NO_TRUTH, 0, "", FAKEHOST_APPLY, RESITE_OK, NULL}, /* must be the last */
};
#define LIES (sizeof(lies) / sizeof(lies[0]) - 1)

/* --- the server -------------------------------------------------------------------- */

struct server {
	int fd, lie;
	bool moved; /* the one user there is */
};

static void
send_ber(struct server *s, BerElement *ber, size_t at_most)
{
	struct berval bv;

	ber_flatten2(ber, &bv, 0);
	if (send(s->fd, bv.bv_val, bv.bv_len < at_most ? bv.bv_len : at_most, MSG_NOSIGNAL) < 0)
		_exit(0);
	ber_free(ber, 1);
}

static BerElement *
result(int id, ber_tag_t tag, int code, const char *words)
{
	static const char whole[] = "\x30\x05\x02\x01\x00\x04\x00", more[] = "\x30\x06\x02\x01\x00\x04\x01x";
	BerElement *ber = ber_alloc_t(LBER_USE_DER);
	bool always_more = code == -1, paged = tag == LDAP_RES_SEARCH_RESULT && code != -2;

	ber_printf(ber, "{it{ess}", id, tag, code < 0 ? 0 : code, "", words);
	if (paged)
		ber_printf(ber, "t{{so}}", (ber_tag_t)0xa0, LDAP_CONTROL_PAGEDRESULTS,
			   always_more ? more : whole, (ber_len_t)(always_more ? 8 : 7));
	ber_printf(ber, "}");
	return ber;
}

static void
send_entry(struct server *s, int id, const char *dn, const char *home)
{
	BerElement *ber = ber_alloc_t(LBER_USE_DER);

	ber_printf(ber, "{it{s{{s[s]}}}}", id, (ber_tag_t)LDAP_RES_SEARCH_ENTRY, dn, HOME, home);
	send_ber(s, ber, SIZE_MAX);
}

static ber_tag_t
answer_tag(ber_tag_t request)
{
	return request == LDAP_REQ_BIND	  ? LDAP_RES_BIND
	       : request == LDAP_REQ_MODIFY ? LDAP_RES_MODIFY
	       : request == LDAP_REQ_EXTENDED ? LDAP_RES_EXTENDED
					     : LDAP_RES_SEARCH_RESULT;
}

static void
trickle(struct server *s, int id)
{
	struct berval bv;

	ber_flatten2(result(id, LDAP_RES_SEARCH_RESULT, 0, "so slow, so slow, so slow, so slow, so slow"),
		     &bv, 0);
	for (ber_len_t i = 0; i < bv.bv_len; i++) {
		nanosleep(&(struct timespec){0, 60000000}, NULL);
		if (send(s->fd, bv.bv_val + i, 1, MSG_NOSIGNAL) < 0)
			_exit(0);
	}
}

static void
send_giant(struct server *s, int id)
{
	char *dn = malloc(3 << 20);

	memset(dn, 'x', (3 << 20) - 1);
	dn[(3 << 20) - 1] = '\0';
	send_entry(s, id, dn, FROM);
}

static void
lie(struct server *s, int id, ber_tag_t tag)
{
	BerElement *ber;

	switch (lies[s->lie].trick) {
	case CUT:
		send_ber(s, result(id, answer_tag(tag), 0, "and then"), 9);
		_exit(0);
	case HANG_UP:
		_exit(0);
	case SILENCE:
		return;
	case TRICKLE:
		trickle(s, id);
		return;
	case WRONG_ID:
		send_ber(s, result(id + 1000, answer_tag(tag), 0, ""), SIZE_MAX);
		return;
	case CODE:
		send_ber(s, result(id, answer_tag(tag), lies[s->lie].code, lies[s->lie].words), SIZE_MAX);
		return;
	case NO_PAGING:
		send_ber(s, result(id, LDAP_RES_SEARCH_RESULT, -2, ""), SIZE_MAX);
		return;
	case ALWAYS_MORE:
		send_entry(s, id, "uid=a,dc=x", FROM);
		send_ber(s, result(id, LDAP_RES_SEARCH_RESULT, -1, ""), SIZE_MAX);
		nanosleep(&(struct timespec){0, 5000000}, NULL);
		return;
	case GIANT:
		send_giant(s, id);
		return;
	case NOTICE:
		ber = ber_alloc_t(LBER_USE_DER);
		ber_printf(ber, "{it{essts}}", 0, (ber_tag_t)LDAP_RES_EXTENDED, lies[s->lie].code, "",
			   lies[s->lie].words, (ber_tag_t)LDAP_TAG_EXOP_RES_OID,
			   LDAP_NOTICE_OF_DISCONNECTION);
		send_ber(s, ber, SIZE_MAX);
		_exit(0);
	case WRONG_TYPE:
		send_ber(s, result(id, LDAP_RES_MODIFY, 0, ""), SIZE_MAX);
		return;
	case NO_TRUTH:
		send_ber(s, result(id, tag == LDAP_REQ_MODIFY ? LDAP_RES_MODIFY : answer_tag(tag), 0, ""),
			 SIZE_MAX);
		return;
	case STRANGER:
		send_ber(s, result(id, LDAP_RES_MODIFY, LDAP_NO_SUCH_ATTRIBUTE, ""), SIZE_MAX);
		s->moved = true;
		return;
	}
}

static bool
mentions(const struct berval *request, const char *text)
{
	return memmem(request->bv_val, request->bv_len, text, strlen(text)) != NULL;
}

/* A list of users, not one entry by its name. */
static bool
is_list(const struct berval *request)
{
	return mentions(request, HOME) && !mentions(request, "uid=a");
}

/* The truth: one user, whom a change moves.  Whoever asks for an entry by name gets it. */
static void
answer(struct server *s, const struct berval *request, int id, ber_tag_t tag)
{
	if (tag == LDAP_REQ_SEARCH && is_list(request) && mentions(request, FROM) && !s->moved)
		send_entry(s, id, "uid=a,dc=x", FROM);
	else if (tag == LDAP_REQ_SEARCH && mentions(request, "uid=a"))
		send_entry(s, id, "uid=a,dc=x", "cn=three,dc=x");
	else if (tag == LDAP_REQ_SEARCH && !is_list(request) && mentions(request, TO))
		send_entry(s, id, TO, "x");
	if (tag == LDAP_REQ_MODIFY)
		s->moved = true;
	send_ber(s, result(id, answer_tag(tag), 0, ""), SIZE_MAX);
}

static void
receive(int fd, char *to, size_t len)
{
	ssize_t n;

	for (; len; to += n, len -= (size_t)n)
		if ((n = recv(fd, to, len, 0)) <= 0)
			_exit(0);
}

/* One whole message; libldap writes lengths in one byte, or in five. */
static void
receive_message(int fd, char buf[70000], struct berval *ret)
{
	size_t head = 2, len;

	receive(fd, buf, 2);
	len = (unsigned char)buf[1];
	if (len & 0x80) {
		size_t n = len & 0x7f;

		receive(fd, buf + 2, n);
		len = 0;
		for (size_t i = 0; i < n; i++)
			len = len << 8 | (unsigned char)buf[2 + i];
		head += n;
	}
	if (head + len > 70000)
		_exit(1);
	receive(fd, buf + head, len);
	*ret = (struct berval){head + len, buf};
}

static void
serve(struct server *s)
{
	static char buf[70000];

	for (;;) {
		struct berval request;
		BerElement *ber;
		ber_tag_t tag;
		ber_len_t len;
		int id;

		receive_message(s->fd, buf, &request);
		ber = ber_init(&request);
		ber_skip_tag(ber, &len);
		ber_get_int(ber, &id);
		tag = ber_peek_tag(ber, &len);
		ber_free(ber, 1);
		if (tag == LDAP_REQ_UNBIND)
			_exit(0);
		if (tag == lies[s->lie].at && (tag != LDAP_REQ_SEARCH || is_list(&request)))
			lie(s, id, tag);
		else if (tag != LDAP_REQ_ABANDON)
			answer(s, &request, id, tag);
	}
}

static pid_t
start(int which, int *ret_port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(in);
	pid_t pid;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	getsockname(fd, (struct sockaddr *)&in, &len);
	*ret_port = ntohs(in.sin_port);
	pid = fork();
	if (pid == 0) {
		struct server s = {.lie = which};

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		s.fd = accept(fd, NULL, NULL);
		serve(&s);
	}
	close(fd);
	return pid;
}

/* --- the tests ----------------------------------------------------------------------- */

static struct fakehost *
host_for(int port)
{
	struct fakehost *fh = action_host("move");
	char url[64];

	snprintf(url, sizeof(url), "ldap://127.0.0.1:%d", port);
	fakehost_param(fh, "server", url);
	fakehost_param(fh, "base", "dc=x");
	fakehost_param(fh, "from", FROM);
	fakehost_param(fh, "to", TO);
	fakehost_param(fh, "bind_dn", "cn=me,dc=x");
	fakehost_param(fh, "password", "pw");
	fakehost_secret(fh, "pw", "secret");
	fakehost_param(fh, "allow_plaintext", "true");
	fakehost_param(fh, "network_timeout", "300ms");
	fakehost_deadline(fh, WATCHED ? 6000 : 1500);
	return fh;
}

START_TEST(a_lie_is_an_error_in_words_and_never_a_success)
{
	int port, rc;
	pid_t pid;
	struct fakehost *fh;

	if (lies[_i].trick == NOTICE && WATCHED) /* libldap 2.5 forgets to free the notice */
		return;
	pid = start(_i, &port);
	fh = host_for(port);
	rc = fakehost_call(fh, lies[_i].phase);
	ck_assert_msg(rc == lies[_i].rc, "%s: %d: %s", lies[_i].name, rc, fakehost_failure(fh));
	if (lies[_i].says)
		ck_assert_msg(strstr(fakehost_failure(fh), lies[_i].says) != NULL, "%s: no '%s' in: %s",
			      lies[_i].name, lies[_i].says, fakehost_failure(fh));
	ck_assert(!fakehost_state(fh)->told);
	ck_assert_ptr_null(strstr(fakehost_failure(fh), "secret"));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	fakehost_free(fh);
}
END_TEST

/* Or all of the above would prove nothing. */
START_TEST(the_same_server_is_believed_when_it_tells_the_truth)
{
	int port;
	pid_t pid = start((int)LIES, &port);
	struct fakehost *fh;

	fh = host_for(port);
	call_is(fh, FAKEHOST_APPLY, RESITE_OK);
	ck_assert_str_eq(fakehost_output(fh, "moved"), "1");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	fakehost_free(fh);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ldap_homing_liar");
	TCase *tc = tcase_create("lies");

	tcase_set_timeout(tc, 20);
	tcase_add_loop_test(tc, a_lie_is_an_error_in_words_and_never_a_success, 0,
			    (int)LIES);
	tcase_add_test(tc, the_same_server_is_believed_when_it_tells_the_truth);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
