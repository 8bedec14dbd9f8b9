/* What a run is called, and who says something to it. */
#include "core/base/base.h"
#include "core/base/strbuf.h"
#include "core/run/lock.h"
#include "core/run/run.h"

#include <pwd.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

char *
run_new_id(const char *state_dir, const char *runbook, int64_t wall_ms)
{
	struct strbuf id = STRBUF_INIT;
	time_t s = (time_t)(wall_ms / 1000);
	char when[32];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(when, sizeof(when), "%Y%m%d-%H%M%S", &tm);
	for (int n = 1; n == 1 || (!id.failed && run_lock_known(state_dir, id.buf)); n++) {
		strbuf_reset(&id);
		strbuf_addf(&id, "%s-%s", when, runbook);
		if (n > 1)
			strbuf_addf(&id, "-%d", n);
	}
	return strbuf_detach(&id);
}

char *
run_actor(void)
{
	const struct passwd *pw = getpwuid(getuid());
	struct strbuf name = STRBUF_INIT;

	if (pw)
		strbuf_addstr(&name, pw->pw_name);
	else
		strbuf_addf(&name, "uid %ld", (long)getuid());
	return strbuf_detach(&name);
}

void
run_sign(json_t *event)
{
	const char *sudo = getenv("SUDO_USER");
	char *actor = run_actor();

	json_object_set_new(event, "actor", json_string(actor ? actor : "?"));
	if (sudo && *sudo)
		json_object_set_new(event, "sudo", json_string_lossy(sudo));
	free(actor);
}
