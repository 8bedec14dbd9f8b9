#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/vec.h"
#include "core/worker/parent.h"
#include "core/worker/registry.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DESCRIBE_MS = 10 * 1000, READ_MAX = 16 * 1024, WORDS_MAX = 400 };

struct found {
	char *name, *path;
	json_t *hello; /* NULL: not asked yet */
};

struct registry {
	char *worker_path;
	char **dirs; /* NULL-terminated */
	struct {
		struct found *item;
		size_t len, cap;
	} found;
};

/* --- describing one file ------------------------------------------------------------- */

/* One read of each descriptor that has something; false at the end of the socket. */
static bool
read_some(struct pollfd fds[2], struct strbuf *out, struct strbuf *words)
{
	char buf[READ_MAX];
	ssize_t n;

	if (fds[1].revents) {
		n = read(fds[1].fd, buf, sizeof(buf));
		if (n > 0 && words->len < WORDS_MAX)
			strbuf_add(words, buf, (size_t)n);
		if (n <= 0)
			fds[1].fd = -1;
	}
	if (!fds[0].revents)
		return true;
	n = recv(fds[0].fd, buf, sizeof(buf), 0);
	if (n > 0)
		strbuf_add(out, buf, (size_t)n);
	return n > 0 && !memchr(buf, '\n', (size_t)n) && out->len < PROTOCOL_LINE_MAX;
}

/* Reads the first line of the worker into out, what it wrote itself into words.
 * False when the time was over first. */
static bool
read_first_line(const struct worker_process *w, struct strbuf *out, struct strbuf *words)
{
	struct pollfd fds[2] = {{.fd = w->ctl_fd, .events = POLLIN},
				{.fd = w->log_fd, .events = POLLIN}};
	int64_t until = clock_mono_ms() + DESCRIBE_MS, left;

	while ((left = until - clock_mono_ms()) > 0) {
		int n = poll(fds, 2, (int)left);

		if (n < 0 && errno != EINTR)
			return true;
		if (n > 0 && !read_some(fds, out, words))
			return true;
	}
	return false;
}

/* What the worker's answer means; a hello goes to *ret_hello. */
static int
judge_answer(const struct strbuf *out, const char *status, const char *words, json_t **ret_hello,
	     struct error *err)
{
	struct error why = {0};
	json_t *msg;
	int r;

	if (out->len == 0)
		return error_set(err, E_REFUSED, "crashed while loading: %s%s%s", status,
				 *words ? ": " : "", words);
	msg = json_parse(out->buf, out->len, &why);
	if (!msg || protocol_check_nursery(msg, &why) < 0)
		r = error_set(err, E_REFUSED, "did not describe itself: %s", why.text);
	else if (!strcmp(json_str_or(msg, "kind", ""), "refused"))
		r = error_set(err, E_REFUSED, "%s", json_str_or(msg, "text", ""));
	else if (json_int_or(msg, "protocol", 0) != PROTOCOL_VERSION)
		r = error_set(err, E_REFUSED, "resite-worker speaks another protocol than this "
			      "resite: install both from one version");
	else if (strcmp(json_str_or(msg, "kind", ""), "hello") != 0)
		r = error_set(err, E_REFUSED, "did not describe itself");
	else
		r = 0;
	if (r == 0)
		*ret_hello = json_incref(msg);
	json_decref(msg);
	return r;
}

int
registry_describe_file(const char *worker_path, const char *plugin_path, json_t **ret_hello,
		       struct error *err)
{
	struct nursery_config config = {.worker_path = worker_path, .plugin_path = plugin_path,
					.lock_fd = -1};
	struct strbuf out = STRBUF_INIT, words = STRBUF_INIT;
	struct worker_process w;
	char status[128];
	bool in_time;
	int r = worker_spawn(&config, &w, err);

	if (r < 0)
		return r;
	in_time = read_first_line(&w, &out, &words);
	close(w.ctl_fd);
	/* Its socket is at its end, so it goes by itself, unless it hangs. */
	worker_reap(w.pid, in_time ? 1000 : 0, status, sizeof(status));
	close(w.log_fd);
	words.len = words.len > WORDS_MAX ? WORDS_MAX : words.len;
	if (words.cap > 0)
		words.buf[words.len] = '\0';
	for (char *p = words.buf; (p = strpbrk(p, "\r\n")); )
		*p = ' ';
	if (!in_time)
		r = error_set(err, E_REFUSED, "hung while loading: no answer within %d s",
			      DESCRIBE_MS / 1000);
	else
		r = judge_answer(&out, status, words.buf, ret_hello, err);
	if (r < 0)
		error_prefix(err, "%s", plugin_path);
	strbuf_release(&out);
	strbuf_release(&words);
	return r;
}

/* --- the folders --------------------------------------------------------------------- */

static void
free_strings(char **s)
{
	for (size_t i = 0; s && s[i]; i++)
		free(s[i]);
	free(s);
}

static char **
copy_strings(const char *const *s)
{
	size_t n = 0;
	char **copy;

	while (s && s[n])
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < n; i++) {
		if ((copy[i] = strdup(s[i])))
			continue;
		free_strings(copy);
		return NULL;
	}
	return copy;
}

struct registry *
registry_new(const char *worker_path, const char *const *dirs)
{
	struct registry *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->worker_path = strdup(worker_path);
	r->dirs = copy_strings(dirs);
	if (r->worker_path && r->dirs)
		return r;
	registry_free(r);
	return NULL;
}

void
registry_free(struct registry *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->found.len; i++) {
		free(r->found.item[i].name);
		free(r->found.item[i].path);
		json_decref(r->found.item[i].hello);
	}
	free(r->found.item);
	free_strings(r->dirs);
	free(r->worker_path);
	free(r);
}

const char *
registry_worker_path(const struct registry *r)
{
	return r->worker_path;
}

static bool
is_plugin_name(const char *name, size_t len)
{
	if (len == 0 || name[0] < 'a' || name[0] > 'z')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", name[i]))
			return false;
	return true;
}

static struct found *
add_found(struct registry *r, const char *name, const char *path)
{
	struct found f = {.name = strdup(name), .path = strdup(path)};

	if (!f.name || !f.path ||
	    vec_reserve(&r->found.item, r->found.len + 1, &r->found.cap) < 0) {
		free(f.name);
		free(f.path);
		return NULL;
	}
	r->found.item[r->found.len] = f;
	return &r->found.item[r->found.len++];
}

static int
not_found(const struct registry *r, const char *name, struct error *err)
{
	struct strbuf where = STRBUF_INIT;

	for (size_t i = 0; r->dirs[i]; i++)
		strbuf_addf(&where, "%s%s", i ? ", " : "", r->dirs[i]);
	error_set(err, E_NOTFOUND, "no plugin \"%s\": no file %s.so in %s", name, name,
		  where.len ? where.buf : "any folder (none is configured)");
	strbuf_release(&where);
	return E_NOTFOUND;
}

static int
look_up(struct registry *r, const char *name, struct found **ret, struct error *err)
{
	struct strbuf path = STRBUF_INIT;
	struct found *f = NULL;
	bool exists = false;

	for (size_t i = 0; i < r->found.len; i++)
		if (!strcmp(r->found.item[i].name, name)) {
			*ret = &r->found.item[i];
			return 0;
		}
	if (!is_plugin_name(name, strlen(name)))
		return error_set(err, E_INVALID, "\"%s\" is no plugin's name: lower-case letters, "
				 "digits and '-'", name);
	for (size_t i = 0; r->dirs[i] && !exists; i++) {
		strbuf_reset(&path);
		strbuf_addf(&path, "%s/%s.so", r->dirs[i], name);
		exists = access(path.buf, F_OK) == 0;
	}
	if (exists && !path.failed)
		f = add_found(r, name, path.buf);
	strbuf_release(&path);
	if (!exists)
		return not_found(r, name, err);
	if (!f)
		return error_set(err, E_NOMEM, "out of memory");
	*ret = f;
	return 0;
}

int
registry_find(struct registry *r, const char *name, const char **ret_path, struct error *err)
{
	struct found *f;
	int rc = look_up(r, name, &f, err);

	if (rc == 0)
		*ret_path = f->path;
	return rc;
}

int
registry_describe(struct registry *r, const char *name, const json_t **ret_hello,
		  struct error *err)
{
	struct found *f;
	int rc = look_up(r, name, &f, err);

	if (rc == 0 && !f->hello)
		rc = registry_describe_file(r->worker_path, f->path, &f->hello, err);
	if (rc == 0)
		*ret_hello = f->hello;
	return rc;
}

/* --- listing ------------------------------------------------------------------------- */

struct names {
	char **item; /* NULL-terminated once there is one */
	size_t len, cap;
	bool failed;
};

static void
add_name(struct names *names, const char *file)
{
	size_t len = strlen(file);
	char *name;

	if (len <= 3 || strcmp(file + len - 3, ".so") != 0 || !is_plugin_name(file, len - 3))
		return;
	for (size_t i = 0; i < names->len; i++)
		if (strlen(names->item[i]) == len - 3 && !strncmp(names->item[i], file, len - 3))
			return;
	name = strndup(file, len - 3);
	if (!name || vec_reserve(&names->item, names->len + 2, &names->cap) < 0) {
		free(name);
		names->failed = true;
		return;
	}
	names->item[names->len++] = name;
	names->item[names->len] = NULL;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
registry_names(struct registry *r)
{
	struct names names = {0};
	struct dirent *entry;

	for (size_t i = 0; r->dirs[i]; i++) {
		DIR *dir = opendir(r->dirs[i]);

		while (dir && (entry = readdir(dir)))
			add_name(&names, entry->d_name);
		if (dir)
			closedir(dir);
	}
	if (names.failed) {
		free_strings(names.item);
		return NULL;
	}
	if (names.len == 0)
		return calloc(1, sizeof(*names.item));
	qsort(names.item, names.len, sizeof(*names.item), by_name);
	return names.item;
}

void
registry_free_names(char **names)
{
	free_strings(names);
}
