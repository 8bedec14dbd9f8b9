#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/strbuf.h"
#include "core/certify/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <uv.h>

#define SYNCS_MAX 200
#define SYNCS_MS 1000

/* --- the mount ----------------------------------------------------------- */

struct mount {
	char point[PATH_MAX], type[64], source[PATH_MAX], options[1024], super[1024];
};

/* Whether path lies at or below the mount point. */
static bool
is_at(const char *path, const char *point)
{
	size_t len = strlen(point);

	return !strcmp(point, "/") ||
	       (!strncmp(path, point, len) && (path[len] == '/' || !path[len]));
}

/* One line of /proc/self/mountinfo (proc(5)); optional fields end at " - ". */
static bool
parse_mount(const char *line, struct mount *ret)
{
	const char *dash = strstr(line, " - ");

	return dash &&
	       sscanf(line, "%*s %*s %*s %*s %4095s %1023s", ret->point, ret->options) == 2 &&
	       sscanf(dash, " - %63s %4095s %1023s", ret->type, ret->source, ret->super) == 3;
}

/* The last one of the longest mount points is on top. */
static bool
find_mount(const char *path, struct mount *ret)
{
	FILE *in = fopen("/proc/self/mountinfo", "re");
	struct mount m;
	bool found = false;
	char *line = NULL;
	size_t cap = 0;

	while (in && getline(&line, &cap, in) > 0)
		if (parse_mount(line, &m) && is_at(path, m.point) &&
		    (!found || strlen(m.point) >= strlen(ret->point))) {
			*ret = m;
			found = true;
		}
	free(line);
	if (in)
		fclose(in);
	return found;
}

static json_t *
mount_facts(const char *dir)
{
	struct mount m;
	struct statfs fs;
	json_t *facts;

	if (!find_mount(dir, &m))
		return json_object();
	facts = json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", m.type, "mount_point", m.point,
			  "source", m.source, "mount_options", m.options, "fs_options", m.super);
	if (facts && statfs(dir, &fs) == 0) {
		char magic[24];

		snprintf(magic, sizeof(magic), "0x%lx", (unsigned long)fs.f_type);
		json_object_set_new(facts, "magic", json_string(magic));
		json_object_set_new(facts, "block_bytes", json_integer((json_int_t)fs.f_bsize));
	}
	return facts;
}

/* --- the disk ------------------------------------------------------------ */

/* What the kernel says of the device, where there is one: virtual ones say nothing. */
static void
read_sys(json_t *facts, const char *key, dev_t dev, const char *file)
{
	static const char *const where[] = {"", "../"}; /* the disk, or that of the partition */
	struct strbuf text = STRBUF_INIT;
	char path[128];

	for (size_t i = 0; i < COUNT_OF(where); i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s%s", major(dev), minor(dev),
			 where[i], file);
		if (strbuf_read_file(&text, path, 4096, NULL) < 0)
			continue;
		text.buf[strcspn(text.buf, "\n")] = '\0';
		json_object_set_new(facts, key, json_string_lossy(text.buf));
		break;
	}
	strbuf_release(&text);
}

static json_t *
disk_facts(const char *dir)
{
	json_t *facts = json_object();
	char number[32];
	struct stat st;

	if (!facts || stat(dir, &st) < 0)
		return facts;
	snprintf(number, sizeof(number), "%u:%u", major(st.st_dev), minor(st.st_dev));
	json_object_set_new(facts, "device", json_string(number));
	read_sys(facts, "model", st.st_dev, "device/model");
	read_sys(facts, "rotational", st.st_dev, "queue/rotational");
	read_sys(facts, "write_cache", st.st_dev, "queue/write_cache");
	return facts;
}

/* --- how fast ------------------------------------------------------------ */

static int
measure(int fd, const char *path, double *ret_rate, struct error *err)
{
	static const char block[4096];
	int64_t start_ms = clock_mono_ms(), ms = 0;
	int n = 0;

	for (; n < SYNCS_MAX && ms < SYNCS_MS; n++) {
		if (pwrite(fd, block, sizeof(block), (off_t)n * (off_t)sizeof(block)) < 0 ||
		    fdatasync(fd) < 0)
			return error_errno(err, errno, "%s", path);
		ms = clock_mono_ms() - start_ms;
	}
	*ret_rate = 1000.0 * n / (double)(ms ? ms : 1);
	return 0;
}

static int
sync_rate(const char *dir, double *ret_rate, struct error *err)
{
	char *path;
	int fd, rc;

	if (asprintf(&path, "%s/resite-sync-XXXXXX", dir) < 0)
		return error_set(err, E_NOMEM, "out of memory");
	fd = mkostemp(path, O_CLOEXEC);
	rc = fd < 0 ? error_errno(err, errno, "cannot write in %s", dir) :
		      measure(fd, path, ret_rate, err);
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
	free(path);
	return rc;
}

json_t *
facts_collect(const char *dir, struct error *err)
{
	char real[PATH_MAX], when[CLOCK_TEXT_MAX];
	struct utsname u;
	double rate = 0;
	json_t *facts;

	if (!realpath(dir, real)) {
		error_errno(err, errno, "%s", dir);
		return NULL;
	}
	if (uname(&u) < 0)
		memset(&u, 0, sizeof(u));
	if (sync_rate(real, &rate, err) < 0)
		return NULL;
	facts = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:f}",
			  "time", clock_format_utc(clock_wall_ms(), when),
			  "resite", PACKAGE_VERSION, "sqlite", sqlite3_libversion(),
			  "libuv", uv_version_string(), "kernel", u.release, "machine", u.machine,
			  "host", u.nodename, "folder", real, "file_system", mount_facts(real),
			  "disk", disk_facts(real), "syncs_per_s", rate);
	if (!facts)
		error_set(err, E_NOMEM, "out of memory");
	return facts;
}
