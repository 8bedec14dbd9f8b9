#include "plugins/contacts/handover.h"

#include "plugins/contacts/canon.h"
#include "plugins/contacts/produce.h"
#include "plugins/contacts/sorted.h"
#include "plugins/contacts/spool.h"
#include "plugins/contacts/xep0227.h"
#include "sdk/proc/command.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The checkpoint that holds the digest of the file that was handed over in this run. */
#define HANDED_OVER "handed-over"
/* Stands for the file's path in an argument of a command. */
#define FILE_WORD "{file}"
/* ssh could not connect, or lost the connection. */
#define SSH_FAILED 255

extern char **environ;

int
handover_check(struct resite_op *op, const struct resite_host *host)
{
	static const char *const commands[] = {"command", "verify"};
	bool source = host->param_count(op, "source") > 0, vault = host->param_count(op, "vault") > 0;

	if (source == vault)
		return resite_fail(op, host, RESITE_ERR_INVALID, "source",
				   "either 'source' or 'vault' says what is handed over");
	for (size_t i = 0; i < 2; i++)
		if (host->param_count(op, commands[i]) > 0 &&
		    host->param_str(op, commands[i], 0)[0] != '/')
			return resite_fail(op, host, RESITE_ERR_INVALID, commands[i],
					   "'%s' begins with a program's whole path, and is a list: "
					   "[\"/usr/bin/ssh\", \"host\", \"...\"]", commands[i]);
	return RESITE_OK;
}

/* --- commands ---------------------------------------------------------------------- */

static void
on_line(void *ctx, bool is_stderr, char *text)
{
	struct call *c = ctx;

	call_log(c, is_stderr ? RESITE_LOG_WARN : RESITE_LOG_INFO, "%s", text);
}

static int
on_wait(void *ctx, int fd)
{
	struct call *c = ctx;

	return c->host->wait(c->op, fd, POLLIN, -1) != RESITE_OK;
}

/* An argument with the file's path in it. */
static char *
make_argument(const char *text, const char *path)
{
	struct buf out = {0};
	const char *at;

	for (; (at = strstr(text, FILE_WORD)) != NULL; text = at + strlen(FILE_WORD)) {
		buf_add(&out, text, (size_t)(at - text));
		buf_puts(&out, path);
	}
	buf_add(&out, text, strlen(text) + 1);
	if (!out.failed)
		return out.p;
	buf_release(&out);
	return NULL;
}

static void
free_argv(char **argv)
{
	for (char **p = argv; p && *p; p++)
		free(*p);
	free(argv);
}

static char **
make_argv(struct call *c, const char *param, const char *path)
{
	uint32_t n = c->host->param_count(c->op, param);
	char **argv = calloc(n + 1u, sizeof *argv);

	for (uint32_t i = 0; argv && i < n; i++) {
		argv[i] = make_argument(c->host->param_str(c->op, param, i), path);
		if (!argv[i]) {
			free_argv(argv);
			return NULL;
		}
	}
	return argv;
}

/* Runs the command of a parameter: 0, and how it ended in *ret; < 0 when it did not run to its end. */
static int
run(struct call *c, const char *param, struct command cmd, struct command_end *ret)
{
	const struct command_io io = {.ctx = c, .line = on_line, .wait = on_wait};
	char **argv = make_argv(c, param, call_str(c, "target"));
	const char *what = "";
	int errnum;

	if (!argv)
		return fault_memory(&c->f);
	cmd.argv = argv;
	cmd.env = environ;
	errnum = command_run(&cmd, &io, ret, &what);
	if (errnum)
		fault_set(&c->f, RESITE_ERR_INVALID, "'%s': cannot run %s: %s: %s", param, argv[0], what,
			  strerror(errnum));
	else if (ret->stopped)
		fault_set(&c->f, RESITE_ERR_CANCELLED, "'%s' was stopped; it may have done part of its "
			  "work", param);
	else if (ret->signal)
		fault_set(&c->f, RESITE_ERR_REFUSED, "'%s' was killed by signal %d: %s", param, ret->signal,
			  ret->tail);
	free_argv(argv);
	return errnum || ret->stopped || ret->signal ? c->f.rc : RESITE_OK;
}

/* --- probe and apply ------------------------------------------------------------------ */

static struct produce
to_file(struct source *s, bool write)
{
	struct call *c = s->call;

	return (struct produce){.source = s, .format = format_named(call_str(c, "target_format")),
				.path = call_str(c, "target"), .write = write};
}

static bool
was_handed_over(struct call *c, const char *digest)
{
	const char *data = NULL, *name = c->host->last_checkpoint(c->op, &data);

	return name && !strcmp(name, HANDED_OVER) && data && !strcmp(data, digest);
}

static void
tell_loss(struct source *s, uint64_t users)
{
	struct call *c = s->call;
	char age[AGE_MAX], name[200], text[400];

	age_text(age, wall_ms() - s->made_ms);
	source_name(s, name);
	snprintf(text, sizeof text, "contact lists of %" PRIu64 " users come from %s, %s: later changes "
		 "are lost, and where the importer merges, contacts deleted since come back",
		 users, name, age);
	c->host->loss(c->op, text);
}

static int
probe(struct source *s)
{
	struct call *c = s->call;
	struct produce p = to_file(s, false);
	char will_be[300], now[300];
	bool done;

	if (produce_run(&p) < 0)
		return c->f.rc;
	done = p.same && was_handed_over(c, p.digest);
	snprintf(will_be, sizeof will_be, "%" PRIu64 " users as %s, %" PRIu64 " bytes, and %s run", p.users,
		 p.format->name, p.bytes, c->host->param_str(c->op, "command", 0));
	snprintf(now, sizeof now, "%s%s", p.was,
		 done ? ", handed over in this run" : p.same ? ", as it should be, not handed over" : "");
	if (!done)
		c->host->change(c->op, p.path, now, will_be);
	tell_loss(s, p.users);
	produce_tell(&p);
	return c->host->state(c->op, now, p.digest, done ? 0 : p.users, p.users);
}

static int
tell_outputs(struct call *c, const struct produce *p, int exit_code)
{
	const struct { const char *name; uint64_t n; } counts[] = {
		{"users", p->users}, {"bytes", p->bytes}, {"exit_code", (uint64_t)exit_code},
	};
	char text[32];
	int rc = c->host->output(c->op, "file", p->path);

	for (size_t i = 0; rc == RESITE_OK && i < sizeof counts / sizeof *counts; i++) {
		snprintf(text, sizeof text, "%" PRIu64, counts[i].n);
		rc = c->host->output(c->op, counts[i].name, text);
	}
	return rc;
}

/* What an importer's exit code means is often written nowhere (dbimpexp.exe): 0 proves nothing, another
 * is a sign.  With a verify, that one decides. */
static int
judge_exit(struct call *c, const struct command_end *end)
{
	bool verified = c->host->param_count(c->op, "verify") > 0;

	if (end->exit_code == 0) {
		if (!verified)
			call_log(c, RESITE_LOG_WARN, "the importer said 0, which proves nothing: nobody has "
				 "looked what it did (give 'verify')");
		return RESITE_OK;
	}
	if (end->exit_code == SSH_FAILED)
		return fault_set(&c->f, RESITE_ERR_TRANSIENT,
				 "'command' exited with 255, as ssh does without a connection: %s",
				 end->tail);
	if (!verified)
		return fault_set(&c->f, RESITE_ERR_REFUSED,
				 "'command' exited with %d: %s; what it did is not known (give 'verify')",
				 end->exit_code, end->tail);
	call_log(c, RESITE_LOG_WARN, "the importer exited with %d: %s; verify decides", end->exit_code,
		 end->tail);
	return RESITE_OK;
}

static int
apply(struct source *s)
{
	struct call *c = s->call;
	struct produce p = to_file(s, true);
	struct command_end end;

	if (produce_run(&p) < 0)
		return c->f.rc;
	c->host->progress(c->op, 0, p.users, "the importer runs");
	if (run(c, "command", (struct command){.input_path = p.path}, &end) < 0 ||
	    judge_exit(c, &end) < 0)
		return c->f.rc;
	if (c->host->checkpoint(c->op, HANDED_OVER, p.digest) < 0)
		return fault_set(&c->f, RESITE_ERR_TRANSIENT, "the checkpoint could not be written");
	return tell_outputs(c, &p, end.exit_code);
}

/* --- verify: what the other side has now ------------------------------------------------ */

struct there {
	const struct format *format; /* of what was handed over */
	struct sorted users;
	struct canon canon;
	struct buf key, text, want;
	uint64_t n, missing_users, missing_contacts, other_groups;
	char first[300];
};

static int
take_there(void *arg, const struct model_user *u, struct fault *f)
{
	struct there *t = arg;

	if (canon_user(&t->canon, &t->text, u, f) < 0)
		return f->rc;
	canon_key(&t->key, u);
	if (t->key.failed)
		return fault_memory(f);
	return sorted_add(&t->users, t->key.p, t->text.p, t->text.len, NULL, 0, NULL, f);
}

static void
note_missing(struct there *t, const char *user, const char *what, struct slice name)
{
	if (!t->first[0])
		snprintf(t->first, sizeof t->first, "%s has no %s%.*s", user, what,
			 name.len > 100 ? 100 : (int)name.len, name.s);
}

/* What the format has no place for is a loss that was told, and is not looked for. */
static bool
next_wanted(const struct there *t, struct slice *want, struct canon_item *ret, struct slice *name)
{
	while (canon_next(want, ret)) {
		*name = (struct slice){ret->key.s + 2, ret->key.len - 3};
		if (canon_is_contact(ret) && (!t->format->no_phones || xep0227_is_jid(*name)))
			return true;
	}
	return false;
}

/* Contacts that were sent must be there; others may be, since importers merge. */
static void
compare_texts(struct there *t, const char *user, struct slice want, struct slice have)
{
	struct canon_item w, h;
	struct slice name;
	bool more = canon_next(&have, &h), missing = false;

	while (next_wanted(t, &want, &w, &name)) {
		while (more && canon_order(h.key, w.key) < 0)
			more = canon_next(&have, &h);
		if (!more || canon_order(h.key, w.key)) {
			t->missing_contacts++;
			missing = true;
			note_missing(t, user, "contact ", name);
		} else if (canon_order(h.rest, w.rest)) {
			t->other_groups++;
		}
	}
	t->missing_users += missing;
}

static int
look_for(void *arg, const struct model_user *u, struct fault *f)
{
	struct there *t = arg;
	const struct sorted_user *user;
	struct canon_item item;
	struct slice want, name;

	t->n++;
	if (canon_user(&t->canon, &t->want, u, f) < 0)
		return f->rc;
	canon_key(&t->key, u);
	if (t->key.failed)
		return fault_memory(f);
	user = sorted_find(&t->users, t->key.p);
	want = (struct slice){t->want.p, t->want.len};
	if (!user && next_wanted(t, &want, &item, &name)) {
		t->missing_users++;
		note_missing(t, t->key.p, "list at all", (struct slice){"", 0});
	}
	if (!user)
		return RESITE_OK;
	if (sorted_texts(&t->users, user, &t->text, f) < 0)
		return f->rc;
	compare_texts(t, t->key.p, (struct slice){t->want.p, t->want.len},
		      (struct slice){t->text.p, t->text.len});
	return RESITE_OK;
}

static int
compare(struct source *s, struct there *t, const char *path)
{
	struct call *c = s->call;
	const struct reader reader = {.user = take_there, .arg = t};
	struct read_stats stats;
	struct contacts_in in;

	if (contacts_in_file(&in, path, FORMAT_AUTO, &c->f) < 0 ||
	    sorted_init(&t->users, true, &c->f) < 0 ||
	    contacts_in_read(&in, &reader, &stats, &c->f) < 0 || sorted_finish(&t->users, &c->f) < 0) {
		fault_prefix(&c->f, "what 'verify' wrote");
		return c->f.rc;
	}
	return source_users(s, false, look_for, t, &stats);
}

static int
judge(struct call *c, const struct there *t)
{
	if (t->other_groups)
		call_log(c, RESITE_LOG_WARN, "%" PRIu64 " contacts are in other groups there than here",
			 t->other_groups);
	if (t->missing_users == 0) {
		call_log(c, RESITE_LOG_INFO, "all contacts of %" PRIu64 " users are there", t->n);
		return RESITE_OK;
	}
	return fault_set(&c->f, RESITE_ERR_REFUSED,
			 "after the import %" PRIu64 " of %" PRIu64 " users have not all that was handed "
			 "over, %" PRIu64 " contacts are not there: %s", t->missing_users, t->n,
			 t->missing_contacts, t->first);
}

/* The command's stdout is an export of what the other side has, or nothing: then its exit code is all. */
static int
ask(struct source *s, int fd)
{
	struct call *c = s->call;
	struct there there = {.users = {.fd = -1}, .format = format_named(call_str(c, "target_format"))};
	struct command_end end;
	char path[64];
	int rc = run(c, "verify", (struct command){.output_fd = fd}, &end);

	if (rc < 0)
		return rc;
	if (end.exit_code)
		return fault_set(&c->f, end.exit_code == SSH_FAILED ? RESITE_ERR_TRANSIENT
								    : RESITE_ERR_REFUSED,
				 "'verify' exited with %d: %s", end.exit_code, end.tail);
	if (lseek(fd, 0, SEEK_END) == 0) {
		call_log(c, RESITE_LOG_INFO, "'verify' exited with 0 and wrote no export to compare");
		return RESITE_OK;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	rc = compare(s, &there, path);
	if (rc == RESITE_OK)
		rc = judge(c, &there);
	sorted_release(&there.users);
	canon_release(&there.canon);
	buf_release(&there.key);
	buf_release(&there.text);
	buf_release(&there.want);
	return rc;
}

static int
verify(struct source *s)
{
	int fd = -1, rc;

	if (spool_open(&fd, &s->call->f) < 0)
		return s->call->f.rc;
	rc = ask(s, fd);
	close(fd);
	return rc;
}

/* --- all three --------------------------------------------------------------------------- */

static int
with_source(struct resite_op *op, const struct resite_host *host, int (*what)(struct source *))
{
	struct call c = {.op = op, .host = host};
	struct source s;
	int rc = source_open(&s, &c, NULL);

	if (rc == RESITE_OK)
		rc = what(&s);
	if (rc < 0 && c.f.rc < 0)
		call_failed(&c, NULL);
	source_release(&s);
	return rc;
}

int
handover_probe(struct resite_op *op, const struct resite_host *host)
{
	return with_source(op, host, probe);
}

int
handover_apply(struct resite_op *op, const struct resite_host *host)
{
	return with_source(op, host, apply);
}

int
handover_verify(struct resite_op *op, const struct resite_host *host)
{
	return host->param_count(op, "verify") > 0 ? with_source(op, host, verify) : RESITE_OK;
}
