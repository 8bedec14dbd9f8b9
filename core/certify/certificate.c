/* What a certificate looks like. */
#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/certify/certify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The rest is in the JSON. */
#define FAILURES_SHOWN 20

bool
certificate_whole(const json_t *c)
{
	return json_int_or(c, "cases", 0) > 0 &&
	       json_int_or(c, "cases", 0) == json_int_or(c, "planned", 0);
}

bool
certificate_passed(const json_t *c)
{
	return certificate_whole(c) && json_int_or(c, "passed", 0) > 0 &&
	       !json_int_or(c, "failed", 0);
}

static void
write_facts(struct strbuf *out, const json_t *c)
{
	const json_t *fs = json_object_get(c, "file_system"), *disk = json_object_get(c, "disk");
	const char *model = json_str_or(disk, "model", NULL);

	strbuf_addf(out, "  made        %s in %s on host %s\n", json_str_or(c, "time", ""),
		    json_str_or(c, "folder", ""), json_str_or(c, "host", ""));
	strbuf_addf(out, "  versions    resite %s, SQLite %s, libuv %s\n",
		    json_str_or(c, "resite", ""), json_str_or(c, "sqlite", ""),
		    json_str_or(c, "libuv", ""));
	strbuf_addf(out, "  kernel      Linux %s, %s\n", json_str_or(c, "kernel", ""),
		    json_str_or(c, "machine", ""));
	strbuf_addf(out, "  file system %s at %s (%s; %s), from %s\n", json_str_or(fs, "type", "?"),
		    json_str_or(fs, "mount_point", "?"), json_str_or(fs, "mount_options", "?"),
		    json_str_or(fs, "fs_options", "?"), json_str_or(fs, "source", "?"));
	strbuf_addf(out, "  disk        device %s, %s%s%s\n", json_str_or(disk, "device", "?"),
		    model ? model : "the kernel names no model",
		    json_object_get(disk, "write_cache") ? ", cache: " : "",
		    json_str_or(disk, "write_cache", ""));
	strbuf_addf(out, "  disk speed  %.0f durable writes of 4 KiB a second\n",
		    json_number_value(json_object_get(c, "syncs_per_s")));
}

static void
write_calls(struct strbuf *out, const json_t *c)
{
	const json_t *calls = json_object_get(c, "calls");

	strbuf_addf(out, "  a run makes %" PRId64 " writes and %" PRId64 " syncs of its journal, "
		    "%" PRId64 " messages to workers and %" PRId64 " back,\n              %" PRId64
		    " changes of the world\n", json_int_or(calls, "write", 0),
		    json_int_or(calls, "sync", 0), json_int_or(calls, "tell", 0),
		    json_int_or(calls, "answer", 0), json_int_or(calls, "effect", 0));
}

static void
write_row(struct strbuf *out, const char *place, const char *what, const json_t *t)
{
	strbuf_addf(out, "  %-7s %-62s %6" PRId64 " %6" PRId64 " %6" PRId64 " %6" PRId64 "\n", place,
		    what, json_int_or(t, "cases", 0), json_int_or(t, "passed", 0),
		    json_int_or(t, "failed", 0), json_int_or(t, "not_reached", 0));
}

static void
write_kinds(struct strbuf *out, const json_t *c)
{
	const json_t *kinds = json_object_get(c, "kinds");

	strbuf_addf(out, "  %-7s %-62s %6s %6s %6s %6s\n", "at", "what went wrong", "cases", "passed",
		    "failed", "n. r.");
	for (size_t i = 0; i < json_array_size(kinds); i++) {
		const json_t *k = json_array_get(kinds, i);

		write_row(out, json_str_or(k, "place", ""), json_str_or(k, "meaning", ""), k);
	}
	write_row(out, "", "in all (n. r.: the call was not made this time)", c);
}

static void
write_failures(struct strbuf *out, const json_t *c)
{
	const json_t *all = json_object_get(c, "failures");
	const char *broken = json_str_or(c, "broken", NULL);

	for (size_t i = 0; i < json_array_size(all) && i < FAILURES_SHOWN; i++) {
		const json_t *f = json_array_get(all, i), *texts = json_object_get(f, "findings");

		strbuf_addf(out, "FAILED %s (kept: %s)\n", json_str_or(f, "case", ""),
			    json_str_or(f, "dir", ""));
		for (size_t k = 0; k < json_array_size(texts); k++)
			strbuf_addf(out, "       %s\n",
				    json_string_value(json_array_get(texts, k)));
		strbuf_addf(out, "       again: resite certify --seed %s%s%s --case %s DIR\n",
			    json_str_or(c, "seed", ""), broken ? " --broken " : "",
			    broken ? broken : "", json_str_or(f, "case", ""));
	}
	if (json_array_size(all) > FAILURES_SHOWN)
		strbuf_addf(out, "and %zu more (--json has them all)\n",
			    json_array_size(all) - FAILURES_SHOWN);
}

void
certificate_write(struct strbuf *out, const json_t *c)
{
	const char *broken = json_str_or(c, "broken", NULL);
	int64_t cases = json_int_or(c, "cases", 0), planned = json_int_or(c, "planned", 0);
	char took[CLOCK_TEXT_MAX];

	strbuf_addf(out, "resite crash certificate: %s\n",
		    certificate_passed(c) ? "PASSED" : json_int_or(c, "failed", 0) ? "FAILED" :
		    "NOT WHOLE");
	if (broken)
		strbuf_addf(out, "  NO CERTIFICATE: '%s' was broken on purpose, and must be found\n",
			    broken);
	write_facts(out, c);
	write_calls(out, c);
	strbuf_addf(out, "  cases       %" PRId64 " in %s, seed %s%s\n\n", cases,
		    clock_format_duration(json_int_or(c, "took_ms", 0), took),
		    json_str_or(c, "seed", ""),
		    cases < planned ? "; it was ended before all were tried" : "");
	write_kinds(out, c);
	strbuf_addch(out, '\n');
	write_failures(out, c);
}

static int
save_as(struct strbuf *path, const char *dir, const char *name, const struct strbuf *text,
	struct error *err)
{
	strbuf_reset(path);
	strbuf_addf(path, "%s/%s", dir, name);
	return path->failed ? error_set(err, E_NOMEM, "out of memory") :
			      file_replace(path->buf, 0644, text, err);
}

int
certificate_save(const json_t *c, const char *dir, char **ret_path, struct error *err)
{
	struct strbuf text = STRBUF_INIT, json = STRBUF_INIT, path = STRBUF_INIT;
	int rc;

	certificate_write(&text, c);
	json_write(&json, c);
	strbuf_addch(&json, '\n');
	rc = save_as(&path, dir, "resite-certificate.json", &json, err);
	if (rc == 0)
		rc = save_as(&path, dir, "resite-certificate.txt", &text, err);
	if (rc == 0)
		*ret_path = strbuf_detach(&path);
	strbuf_release(&text);
	strbuf_release(&json);
	strbuf_release(&path);
	return rc;
}
