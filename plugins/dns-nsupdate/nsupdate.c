/* Sending by the program nsupdate: for GSS-TSIG, which needs Kerberos, and where the plan
 * wants the server to be changed by that program and nothing else.  One message for each
 * call, with the same prerequisites as our own, from a script on its standard input. */
#include "config.h"

#include "plugins/dns-nsupdate/script.h"
#include "plugins/dns-nsupdate/step.h"
#include "sdk/proc/command.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 600

struct talk {
	struct step *s;
	char words[WORDS_MAX]; /* all that it said, joined */
};

static void
take_line(void *ctx, bool is_stderr, char *text)
{
	struct talk *t = ctx;
	size_t used = strlen(t->words);

	(void)is_stderr;
	text += strspn(text, "; ");
	if (*text && used + 3 < sizeof(t->words))
		snprintf(t->words + used, sizeof(t->words) - used, "%s%s", used ? "; " : "", text);
}

static int
wait_for(void *ctx, int fd)
{
	struct talk *t = ctx;

	return t->s->host->wait(t->s->op, fd, POLLIN, -1) == RESITE_OK ? 0 : -1;
}

/* The environment with the ticket file of the plan; the caller frees both. */
static char **
environment(const struct step *s, char **ret_own)
{
	const char *ccache = resite_str_or(s->op, s->host, "ccache", NULL);
	size_t n = 0, out = 0;
	char **env;

	while (environ[n])
		n++;
	*ret_own = NULL;
	env = calloc(n + 2, sizeof(*env));
	if (!env || (ccache && asprintf(ret_own, "KRB5CCNAME=FILE:%s", ccache) < 0)) {
		free(env);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (!ccache || strncmp(environ[i], "KRB5CCNAME=", 11))
			env[out++] = environ[i];
	if (*ret_own)
		env[out++] = *ret_own;
	return env;
}

static int
run(struct talk *t, const char *script, size_t len, struct command_end *end)
{
	struct step *s = t->s;
	const char *file = s->host->param_str(s->op, "nsupdate", 0), *what;
	char seconds[24], *own, **env = environment(s, &own);
	const char *argv[6] = {file, "-t", seconds};
	const struct command_io io = {.ctx = t, .line = take_line, .wait = wait_for};
	size_t n = 3;
	int errnum;

	if (!env)
		return net_error(&s->net, RESITE_ERR_TRANSIENT, "out of memory");
	snprintf(seconds, sizeof(seconds), "%lld", (long long)(s->net.patience_ms + 999) / 1000);
	if (s->send == SEND_GSS)
		argv[n++] = "-g";
	if (s->transport != DNS_UDP)
		argv[n++] = "-v";
	errnum = command_run(&(struct command){.argv = (char *const *)(uintptr_t)argv, .env = env,
					       .input = script, .input_len = len},
			     &io, end, &what);
	free(own);
	free(env);
	return errnum ? net_error(&s->net, RESITE_ERR_INVALID, "%s: %s: %s", file, what, strerror(errnum))
		      : RESITE_OK;
}

enum update_verdict
nsupdate_send(struct step *s, struct zone *z, const struct change *const *c, size_t n,
	      struct update_failure *ret)
{
	struct talk t = {.s = s};
	struct command_end end;
	size_t len;
	char *script = script_build(s, z, c, n, &len);
	int rc = RESITE_ERR_TRANSIENT;

	if (script)
		rc = run(&t, script, len, &end);
	else
		net_error(&s->net, rc, "out of memory");
	if (script)
		explicit_bzero(script, len);
	free(script);
	if (rc != RESITE_OK) {
		ret->rc = rc;
		snprintf(ret->text, sizeof(ret->text), "%.400s", s->net.err);
		return UPDATE_FAILED;
	}
	if (end.stopped) {
		ret->rc = resite_fail(s->op, s->host, RESITE_ERR_CANCELLED, NULL,
				      "stopped while nsupdate was at work: whether the update of %s was "
				      "done is unknown", z->text);
		return UPDATE_FAILED;
	}
	return script_judge(end.signal ? -1 : end.exit_code, t.words, ret);
}
