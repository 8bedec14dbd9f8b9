/* What other programs are asked: rndc, and the zone checker. */
#include "config.h"

#include "plugins/dns-bind/step.h"

#include "sdk/proc/command.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORDS_MAX 16

extern char **environ;

/* One run of a program, and what it said. */
struct talk {
	struct step *s;
	int64_t until_ms; /* net_now_ms; < 0: the step's deadline */
	bool late;
	char text[4096];  /* its lines, joined by newlines; the first of them when there are many */
	size_t len;
	struct command_end end;
};

static void
on_line(void *ctx, bool is_stderr, char *text)
{
	struct talk *t = ctx;
	size_t n = strlen(text);

	(void)is_stderr;
	if (t->len + n + 2 > sizeof(t->text))
		return;
	if (t->len)
		t->text[t->len++] = '\n';
	memcpy(t->text + t->len, text, n + 1);
	t->len += n;
}

static int
on_wait(void *ctx, int fd)
{
	struct talk *t = ctx;
	int64_t left = t->until_ms < 0 ? -1 : t->until_ms - net_now_ms();
	int rc = t->until_ms >= 0 && left <= 0 ? RESITE_PENDING
					       : t->s->host->wait(t->s->op, fd, POLLIN, left);

	t->late = rc == RESITE_PENDING;
	return rc == RESITE_OK ? 0 : 1;
}

/* Runs argv; RESITE_OK: it ended by itself, with t->end.exit_code.  param: that names it. */
static int
run(struct talk *t, const char *param, char *const argv[], int64_t patience_ms)
{
	struct step *s = t->s;
	struct command cmd = {.argv = argv, .env = environ};
	struct command_io io = {t, on_line, on_wait};
	const char *what = NULL;
	int errnum;

	t->until_ms = patience_ms < 0 ? -1 : net_now_ms() + patience_ms;
	errnum = command_run(&cmd, &io, &t->end, &what);
	if (errnum)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, param, "%s cannot be run: %s: %s",
				   argv[0], what ? what : "start", strerror(errnum));
	if (t->end.stopped && !t->late)
		return resite_fail(s->op, s->host, RESITE_ERR_CANCELLED, NULL, "%s was stopped", argv[0]);
	if (t->end.stopped)
		return resite_fail(s->op, s->host, RESITE_ERR_TRANSIENT, NULL,
				   "%s has not ended in %lld s and was stopped%s%s", argv[0],
				   (long long)(patience_ms / 1000), t->len ? ": " : "", t->end.tail);
	if (t->end.signal)
		return resite_fail(s->op, s->host, RESITE_ERR_TRANSIENT, NULL, "%s was killed by signal %d",
				   argv[0], t->end.signal);
	/* What shells and wrappers say of a program that is not there. */
	if (t->end.exit_code == 127)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, param, "%s cannot be run: exit 127%s%s",
				   argv[0], t->len ? ": " : "", t->end.tail);
	return RESITE_OK;
}

/* --- rndc ------------------------------------------------------------------------------ */

/* argv never has a secret: rndc reads its key from a file. */
static size_t
rndc_words(struct step *s, const char **words, char port[8])
{
	const char *conf = resite_str_or(s->op, s->host, "rndc_conf", NULL);
	const char *key = resite_str_or(s->op, s->host, "rndc_key", NULL);
	const char *at = resite_str_or(s->op, s->host, "rndc_server", NULL);
	static const char address[] = "-s", number[] = "-p";
	size_t n = 0;

	words[n++] = s->host->param_str(s->op, "rndc", 0);
	if (conf) {
		words[n++] = "-c";
		words[n++] = conf;
	}
	if (key) {
		words[n++] = "-k";
		words[n++] = key;
	}
	if (at) {
		const char *colon = strrchr(at, ':');

		words[n++] = address;
		words[n++] = at;
		if (colon) {
			snprintf(port, 8, "%.7s", colon + 1);
			words[n++] = number;
			words[n++] = port;
		}
	}
	return n;
}

/* What rndc's complaints mean; the first that fits. */
static const struct {
	const char *says;
	int rc;
	const char *hint;
} complaints[] = {
	{"connection refused", RESITE_ERR_TRANSIENT, "is named running, and does it listen there (controls)?"},
	{"timed out", RESITE_ERR_TRANSIENT, "named does not answer"},
	{"bad auth", RESITE_ERR_REFUSED, "the key is not the one that named has"},
	{"connection to remote host closed", RESITE_ERR_REFUSED,
	 "named hung up: another key or algorithm, another clock, or an address that controls does not allow"},
	{"expected a", RESITE_ERR_REFUSED, "named hung up: another key or algorithm?"},
	{"neither", RESITE_ERR_INVALID, "rndc has no key: rndc_conf or rndc_key names its file"},
	{"file not found", RESITE_ERR_INVALID, "is the path right?"},
	{"permission denied", RESITE_ERR_REFUSED, "the rights of the user that resite runs as"},
	{"no matching zone", RESITE_ERR_INVALID, "named does not have this zone"},
	{"not found", RESITE_ERR_INVALID, "named does not have this zone, or view"},
	{"dynamic zone", RESITE_ERR_REFUSED, "it takes dynamic updates: dynamic = \"freeze\", or dns-nsupdate"},
};

static int
rndc_fail(struct step *s, const char *verb, const struct part *p, const char *said)
{
	for (size_t i = 0; i < sizeof(complaints) / sizeof(complaints[0]); i++)
		if (strcasestr(said, complaints[i].says))
			return resite_fail(s->op, s->host, complaints[i].rc, NULL, "rndc %s %s: %.400s (%s)", verb,
					   p->zone.text, said, complaints[i].hint);
	return resite_fail(s->op, s->host, RESITE_ERR_REFUSED, NULL, "rndc %s %s: %.600s", verb,
			   p->zone.text, *said ? said : "it failed without a word");
}

static int
rndc(struct step *s, struct part *p, const char *verb, struct talk *t)
{
	const char *view = resite_str_or(s->op, s->host, "view", NULL), *words[WORDS_MAX] = {NULL};
	char port[8], zone[NAME_TEXT_MAX], *argv[WORDS_MAX] = {NULL};
	size_t n = rndc_words(s, words, port);
	int rc;

	*t = (struct talk){.s = s};
	snprintf(zone, sizeof(zone), "%s", p->zone.text);
	if (strlen(zone) > 1)
		zone[strlen(zone) - 1] = '\0';
	words[n++] = verb;
	words[n++] = zone;
	if (view) {
		words[n++] = "IN";
		words[n++] = view;
	}
	memcpy(argv, words, sizeof(argv)); /* execve promises not to write to them */
	rc = run(t, "rndc", argv, s->host->param_i64(s->op, "rndc_timeout", 0));
	if (rc == RESITE_OK && t->end.exit_code != 0)
		rc = rndc_fail(s, verb, p, t->text);
	return rc;
}

/* The value behind "KEY: " at the start of a line, cut at its end; false: there is none. */
static bool
line_value(const char *text, const char *key, char *ret, size_t size)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) || line[n] != ':')
			continue;
		line += n + 1 + strspn(line + n + 1, " ");
		snprintf(ret, size, "%.*s", (int)strcspn(line, "\n"), line);
		return true;
	}
	return false;
}

int
rndc_status(struct step *s, struct part *p)
{
	struct zone_status *st = &p->status;
	char word[32];
	struct talk t;
	int rc = rndc(s, p, "zonestatus", &t);

	if (rc != RESITE_OK)
		return rc;
	*st = (struct zone_status){.known = true};
	st->dynamic = line_value(t.text, "dynamic", word, sizeof(word)) && !strcmp(word, "yes");
	st->frozen = line_value(t.text, "frozen", word, sizeof(word)) && !strcmp(word, "yes");
	st->secondary = line_value(t.text, "type", word, sizeof(word)) && strcmp(word, "primary") &&
			strcmp(word, "master");
	line_value(t.text, "files", st->files, sizeof(st->files));
	return RESITE_OK;
}

/* "queued" is all that a reload says, also of a zone that named will not load: what became of
 * it is for verify to see. */
int
rndc_reload(struct step *s, struct part *p)
{
	struct talk t;
	int rc = rndc(s, p, "reload", &t);

	if (rc == RESITE_OK)
		resite_log(s->op, s->host, RESITE_LOG_INFO, "rndc reload %s: %s", p->zone.text, t.text);
	return rc;
}

int
rndc_freeze(struct step *s, struct part *p, bool freeze)
{
	struct talk t;

	return rndc(s, p, freeze ? "freeze" : "thaw", &t);
}

/* --- the zone checker --------------------------------------------------------------------- */

int
zone_check(struct step *s, struct part *p, const char *path)
{
	const char *integrity = s->host->param_str(s->op, "check", 0), *words[WORDS_MAX] = {NULL};
	char *argv[WORDS_MAX] = {NULL};
	struct talk t = {.s = s};
	size_t n = 0;
	int rc;

	if (!strcmp(integrity, "off"))
		return RESITE_OK;
	words[n++] = s->host->param_str(s->op, "checkzone", 0);
	words[n++] = "-i";
	words[n++] = integrity;
	words[n++] = "-w";
	words[n++] = p->zone.directory;
	words[n++] = p->zone.text;
	words[n++] = path;
	memcpy(argv, words, sizeof(argv));
	rc = run(&t, "checkzone", argv, -1);
	if (rc == RESITE_OK && t.end.exit_code != 0)
		rc = resite_fail(s->op, s->host, RESITE_ERR_REFUSED, NULL,
				 "%s: named would not load the zone as it would be; nothing was changed. %s: "
				 "%.600s", p->zone.text, words[0], t.text);
	return rc;
}
