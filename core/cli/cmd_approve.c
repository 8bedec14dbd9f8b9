/* approve: by word, or by a text that somebody has signed. */
#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/cli/cli.h"
#include "core/run/signed.h"
#include "core/run/sshsig.h"

#include <stdio.h>
#include <stdlib.h>

#define FILE_MAX_BYTES 16384

static int
read_into(json_t *word, const char *key, const char *path, struct error *err)
{
	struct strbuf text = STRBUF_INIT;
	int rc = strbuf_read_file(&text, path, FILE_MAX_BYTES, err);

	if (rc == 0 && json_object_set_new(word, key, json_stringn(text.buf, text.len)) < 0)
		rc = error_set(err, E_INVALID, "%s is no text", path);
	strbuf_release(&text);
	return rc;
}

static int
approve_signed(const struct command *command, const struct options *o)
{
	json_t *word = cli_word(command, o);
	struct error err = {0};
	int rc;

	if (!o->file || !o->signature)
		rc = error_set(&err, E_INVALID, "a signed approval wants both: --file FILE --signature "
			       "FILE.sig");
	else
		rc = read_into(word, "document", o->file, &err);
	if (rc == 0)
		rc = read_into(word, "signature", o->signature, &err);
	if (rc == 0)
		return cli_say(o, word);
	json_decref(word);
	return cli_fail(o, &err);
}

static void
show_text(const struct options *o, const char *run, const struct strbuf *text)
{
	if (o->json) {
		cli_print_json(json_pack("{s:s, s:s, s:s, s:s}", "run", run, "step", o->args[1],
					 "namespace", SSHSIG_NAMESPACE, "text", text->buf));
		return;
	}
	cli_print(text);
	fprintf(stderr, "keep this in FILE as it is; sign it: ssh-keygen -Y sign -n " SSHSIG_NAMESPACE
		" -f KEY FILE\nthen: resite approve %s %s --file FILE --signature FILE.sig\n", run,
		o->args[1]);
}

static int
print_text(const struct options *o)
{
	struct loaded l = LOADED_INIT;
	struct strbuf text = STRBUF_INIT;
	struct error err = {0};
	char *run = NULL;
	struct cli cli;
	int rc = cli_open(&cli, o);

	if (rc == 0)
		rc = cli_store(&cli, false);
	if (rc == 0 && (find_run(cli.store, o->args[0], &run, &err) < 0 ||
			load_run(&l, &cli.settings, cli.store, run, false, &err) < 0 ||
			signed_text(l.state, cli.store, run, o->args[1], o->reason, clock_wall_ms(),
				    &text, &err) < 0))
		rc = cli_fail(o, &err);
	if (rc == 0)
		show_text(o, run, &text);
	strbuf_release(&text);
	loaded_release(&l);
	free(run);
	cli_close(&cli);
	return rc;
}

int
cmd_approve(const struct command *command, const struct options *o)
{
	if (o->print && !(o->reason && *o->reason))
		return cli_fail(o, &(struct error){E_INVALID, "--print wants a reason, which is signed "
				   "with the rest: --reason TEXT"});
	if (o->print)
		return print_text(o);
	return o->file || o->signature ? approve_signed(command, o) : cmd_word(command, o);
}
