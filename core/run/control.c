#include "core/base/base.h"
#include "core/base/strbuf.h"
#include "core/engine/words.h"
#include "core/run/control.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define WORD_MAX 65536

struct control {
	uv_poll_t listening;
	int fd;
	char *path;              /* of the socket, to remove it */
	control_word_fn *word;
	void *ctx;
};

/* One connection: a line in, a line out. */
struct peer {
	uv_poll_t poll;
	struct control *control;
	int fd;
	struct strbuf in;
};

/* A path of any length: sun_path holds 108 bytes, so the folder is named by its
 * descriptor. */
static int
socket_address(const char *state_dir, const char *run, struct sockaddr_un *ret, int *ret_dir_fd,
	       struct error *err)
{
	int dir_fd = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC), n;

	if (dir_fd < 0)
		return error_errno(err, errno, "%s", state_dir);
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s.sock", dir_fd, run);
	if (n < 0 || (size_t)n >= sizeof(ret->sun_path)) {
		close(dir_fd);
		return error_set(err, E_INVALID, "the run's name is too long for a socket");
	}
	*ret_dir_fd = dir_fd;
	return 0;
}

int
control_check(const json_t *word, struct error *err)
{
	const char *kind = json_str_or(word, "kind", "");

	if (!word_find(kind))
		return error_set(err, E_INVALID, "'%s' is no word for a run", kind);
	/* What was signed has its reason in it. */
	if (!*json_str_or(word, "reason", "") && !*json_str_or(word, "document", ""))
		return error_set(err, E_INVALID, "a reason is wanted: it stands in the journal for "
				 "those who read it tomorrow (--reason TEXT)");
	return 0;
}

static void
peer_closed(uv_handle_t *handle)
{
	struct peer *p = handle->data;

	close(p->fd);
	strbuf_release(&p->in);
	free(p);
}

static void
peer_close(struct peer *p)
{
	uv_poll_stop(&p->poll);
	uv_close((uv_handle_t *)&p->poll, peer_closed);
}

static char *
peer_actor(int fd)
{
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t len = sizeof(cred);
	struct strbuf name = STRBUF_INIT;
	struct passwd *pw;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return strdup("unknown");
	pw = getpwuid(cred.uid);
	if (pw)
		strbuf_addstr(&name, pw->pw_name);
	else
		strbuf_addf(&name, "uid %ld", (long)cred.uid);
	return strbuf_detach(&name);
}

/* The event that a word becomes: what may be said, and who the kernel says it is. */
static json_t *
event_of(const json_t *word, const char *actor)
{
	static const char *const members[] = {"step", "reason", "now", "document", "signature",
						"sudo", "mode"};
	json_t *event = json_pack("{s:s, s:s}", "kind", json_str_or(word, "kind", ""), "actor",
				  actor ? actor : "?");

	for (size_t i = 0; event && i < COUNT_OF(members); i++)
		if (json_object_get(word, members[i]))
			json_object_set(event, members[i], json_object_get(word, members[i]));
	return event;
}

static int
hear(struct peer *p, const char *line, size_t len, struct control_answer *ret, struct error *err)
{
	json_t *word = json_parse(line, len, err), *event = NULL;
	char *actor = peer_actor(p->fd);
	int rc = word ? control_check(word, err) : E_INVALID;

	if (rc == 0) {
		event = event_of(word, actor);
		rc = event ? p->control->word(p->control->ctx, event, ret, err) :
			     error_set(err, E_NOMEM, "out of memory");
	}
	json_decref(event);
	json_decref(word);
	free(actor);
	return rc;
}

static void
answer(struct peer *p, const char *line, size_t len)
{
	struct error err = {0};
	struct strbuf out = STRBUF_INIT;
	struct control_answer ret = {.said = false};

	if (hear(p, line, len, &ret, &err) == 0) {
		strbuf_addstr(&out, "{\"ok\":true,\"text\":");
		json_write_string(&out, ret.text);
		strbuf_addf(&out, ",\"said\":%s}\n", ret.said ? "true" : "false");
	} else {
		strbuf_addstr(&out, "{\"ok\":false,\"text\":");
		json_write_string(&out, err.text);
		strbuf_addf(&out, ",\"usage\":%s}\n",
			    err.code == E_INVALID || err.code == E_NOTFOUND ? "true" : "false");
	}
	/* A short answer into an empty socket buffer; a peer that is gone misses it. */
	if (!out.failed && send(p->fd, out.buf, out.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		(void)errno;
	strbuf_release(&out);
}

static void
peer_readable(uv_poll_t *handle, int status, int events)
{
	struct peer *p = handle->data;
	char buf[4096], *newline;
	ssize_t n;

	(void)events;
	n = status < 0 ? 0 : recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		strbuf_add(&p->in, buf, (size_t)n);
	newline = memchr(p->in.buf, '\n', p->in.len);
	if (newline)
		answer(p, p->in.buf, (size_t)(newline - p->in.buf));
	if (newline || n <= 0 || p->in.len > WORD_MAX || p->in.failed)
		peer_close(p);
}

static void
accept_peer(uv_poll_t *handle, int status, int events)
{
	struct control *c = handle->data;
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct peer *p;

	(void)status;
	(void)events;
	if (fd < 0)
		return;
	p = calloc(1, sizeof(*p));
	if (!p || uv_poll_init(handle->loop, &p->poll, fd) < 0) {
		free(p);
		close(fd);
		return;
	}
	*p = (struct peer){.poll = p->poll, .control = c, .fd = fd, .in = STRBUF_INIT};
	p->poll.data = p;
	uv_poll_start(&p->poll, UV_READABLE, peer_readable);
}

/* Whom settings_share lets in may speak: the owner of the folder, and its group. */
static int
set_mode(const char *state_dir, const char *path)
{
	struct stat dir;

	if (stat(state_dir, &dir) < 0)
		return -1;
	if (!(dir.st_mode & S_IXGRP) || !(dir.st_mode & S_ISGID))
		return chmod(path, 0600);
	return chown(path, (uid_t)-1, dir.st_gid) < 0 ? -1 : chmod(path, 0660);
}

static int
listen_at(const char *state_dir, const char *run, struct error *err)
{
	struct sockaddr_un address;
	int dir_fd, fd, rc = socket_address(state_dir, run, &address, &dir_fd, err);

	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(address.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    set_mode(state_dir, address.sun_path) < 0 || listen(fd, 16) < 0) {
		rc = error_errno(err, errno, "control socket %s/%s.sock", state_dir, run);
		if (fd >= 0)
			close(fd);
	}
	close(dir_fd);
	return rc < 0 ? rc : fd;
}

struct control *
control_open(uv_loop_t *loop, const char *state_dir, const char *run, control_word_fn *word,
	     void *ctx, struct error *err)
{
	struct control *c = calloc(1, sizeof(*c));
	struct strbuf path = STRBUF_INIT;

	if (!c) {
		error_set(err, E_NOMEM, "out of memory");
		return NULL;
	}
	strbuf_addf(&path, "%s/%s.sock", state_dir, run);
	c->path = strbuf_detach(&path);
	c->word = word;
	c->ctx = ctx;
	c->fd = listen_at(state_dir, run, err);
	if (c->fd < 0 || !c->path || uv_poll_init(loop, &c->listening, c->fd) < 0) {
		if (c->fd >= 0)
			close(c->fd);
		free(c->path);
		free(c);
		return NULL;
	}
	c->listening.data = c;
	uv_poll_start(&c->listening, UV_READABLE, accept_peer);
	return c;
}

static void
control_closed(uv_handle_t *handle)
{
	struct control *c = handle->data;

	close(c->fd);
	free(c->path);
	free(c);
}

void
control_close(struct control *c)
{
	if (!c)
		return;
	unlink(c->path);
	uv_poll_stop(&c->listening);
	uv_close((uv_handle_t *)&c->listening, control_closed);
}

/* --- the other side ------------------------------------------------------ */

static int
connect_to(const char *state_dir, const char *run, struct error *err)
{
	struct sockaddr_un address;
	int dir_fd, fd, rc = socket_address(state_dir, run, &address, &dir_fd, err);

	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		rc = errno == ENOENT || errno == ECONNREFUSED ?
			     error_set(err, E_NOTFOUND, "run %s is not under way", run) :
			     error_errno(err, errno, "cannot reach run %s", run);
		if (fd >= 0)
			close(fd);
	}
	close(dir_fd);
	return rc < 0 ? rc : fd;
}

bool
control_reachable(const char *state_dir, const char *run)
{
	int fd = connect_to(state_dir, run, NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int
read_answer(int fd, struct control_answer *ret, struct error *err)
{
	struct strbuf in = STRBUF_INIT;
	char buf[4096];
	json_t *reply;
	ssize_t n;
	int rc = 0;

	while (!memchr(in.buf, '\n', in.len) && in.len < WORD_MAX &&
	       (n = recv(fd, buf, sizeof(buf), 0)) > 0)
		strbuf_add(&in, buf, (size_t)n);
	reply = json_parse(in.buf, in.len, NULL);
	if (!reply)
		rc = error_set(err, E_IO, "the run ended before it answered: see its status");
	else if (!json_bool_or(reply, "ok", false))
		rc = error_set(err, json_bool_or(reply, "usage", false) ? E_INVALID : E_REFUSED,
			       "%s", json_str_or(reply, "text", "refused"));
	ret->said = json_bool_or(reply, "said", false);
	snprintf(ret->text, sizeof(ret->text), "%s", json_str_or(reply, "text", ""));
	json_decref(reply);
	strbuf_release(&in);
	return rc;
}

int
control_say(const char *state_dir, const char *run, const json_t *word,
	    struct control_answer *ret, struct error *err)
{
	struct strbuf out = STRBUF_INIT;
	int fd = connect_to(state_dir, run, err), rc;

	if (fd < 0)
		return fd;
	json_write(&out, word);
	strbuf_addch(&out, '\n');
	if (out.failed || send(fd, out.buf, out.len, MSG_NOSIGNAL) != (ssize_t)out.len)
		rc = error_errno(err, errno, "cannot speak to run %s", run);
	else
		rc = read_answer(fd, ret, err);
	strbuf_release(&out);
	close(fd);
	return rc;
}
