#define _GNU_SOURCE
#include "tests/unit/kamailio_rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SQL "/usr/share/kamailio/db_sqlite/"

/* One TCP worker: db_sqlite does not wait for SQLite's one writer.  WAL is set in the file:
 * Kamailio's own parameter for it is carried out by all its processes at once, and some
 * then end with "database is locked". */
static const char config[] =
	"#!KAMAILIO\n"
	"debug=0\nlog_stderror=yes\nchildren=1\ntcp_children=1\nauto_aliases=no\ndns=no\n"
	"rev_dns=no\nserver_signature=no\ntcp_accept_no_cl=yes\ntcp_rd_buf_size=262144\n"
	"tcp_connection_lifetime=600\nlisten=udp:127.0.0.1:%d\nlisten=tcp:127.0.0.1:%d\n"
	"mpath=\"%s\"\n"
	"loadmodule \"%s.so\"\nloadmodule \"tm.so\"\nloadmodule \"sl.so\"\n"
	"loadmodule \"pv.so\"\nloadmodule \"textops.so\"\nloadmodule \"siputils.so\"\n"
	"loadmodule \"xlog.so\"\nloadmodule \"xhttp.so\"\nloadmodule \"presence.so\"\n"
	"loadmodule \"xcap_server.so\"\n"
	"modparam(\"presence|xcap_server\", \"db_url\", \"%s\")\n"
	"modparam(\"presence\", \"subs_db_mode\", 0)\n"
	"modparam(\"xcap_server\", \"xcap_root\", \"/xcap-root/\")\n"
	"request_route { exit; }\n"
	"event_route[xhttp:request] {\n"
	"  if ($hu =~ \"^/xcap-root/\") {\n"
	"    $xcapuri(u=>data) = $hu;\n"
	"    if ($xcapuri(u=>xuid) =~ \"^sip:.+@.+\") {\n"
	"      switch ($rm) {\n"
	"        case \"PUT\": xcaps_put(\"$xcapuri(u=>xuid)\", \"$hu\", \"$rb\"); exit;\n"
	"        case \"GET\": xcaps_get(\"$xcapuri(u=>xuid)\", \"$hu\"); exit;\n"
	"      }\n"
	"    }\n"
	"  }\n"
	"  xhttp_reply(\"404\", \"Not Found\", \"text/plain\", \"no such thing\\n\");\n"
	"}\n";

__attribute__((format(printf, 1, 2))) static void
run(const char *fmt, ...)
{
	char cmd[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof cmd, fmt, ap);
	va_end(ap);
	if (system(cmd) != 0) {
		fprintf(stderr, "kamailio_rig: failed: %s\n", cmd);
		abort();
	}
}

static bool
find_modules(char out[128])
{
	glob_t g;
	bool found = glob("/usr/lib/*/kamailio/modules/xcap_server.so", 0, NULL, &g) == 0 &&
		     g.gl_pathc > 0;

	if (found) {
		snprintf(out, 128, "%s", g.gl_pathv[0]);
		*(strrchr(out, '/') + 1) = '\0';
	}
	globfree(&g);
	return found;
}

bool
kamailio_rig_possible(void)
{
	char modules[128];

	return !access("/usr/sbin/kamailio", X_OK) && !access("/usr/bin/sqlite3", X_OK) &&
	       !access(SQL "presence-create.sql", R_OK) && find_modules(modules);
}

int
kamailio_rig_free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		abort();
	close(fd);
	return ntohs(a.sin_port);
}

static bool
answers(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;

	close(fd);
	return ok;
}

void
kamailio_rig_again(struct kamailio_rig *rig)
{
	char file[96], log[96];

	snprintf(file, sizeof file, "%s/kamailio.cfg", rig->dir);
	snprintf(log, sizeof log, "%s/log", rig->dir);
	rig->pid = fork();
	if (rig->pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(fd, 1);
		dup2(fd, 2);
		execl("/usr/sbin/kamailio", "kamailio", "-f", file, "-DD", "-E", "-m", "32", "-M",
		      "8", "-w", rig->dir, "-Y", rig->dir, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && !answers(rig->port); i++)
		usleep(20000);
	if (!answers(rig->port)) {
		fprintf(stderr, "kamailio_rig: no answer; see %s\n", log);
		abort();
	}
}

static void
make_directory(struct kamailio_rig *rig)
{
	strcpy(rig->dir, "/tmp/kamailio-rig-XXXXXX");
	if (!mkdtemp(rig->dir))
		abort();
}

static void
start(struct kamailio_rig *rig, const char *db_module, const char *db_url)
{
	char modules[128], file[96];
	FILE *out;

	if (!find_modules(modules))
		abort();
	rig->port = kamailio_rig_free_port();
	snprintf(rig->root, sizeof rig->root, "http://127.0.0.1:%d/xcap-root", rig->port);
	snprintf(file, sizeof file, "%s/kamailio.cfg", rig->dir);
	out = fopen(file, "w");
	if (!out)
		abort();
	fprintf(out, config, rig->port, rig->port, modules, db_module, db_url);
	fclose(out);
	kamailio_rig_again(rig);
}

void
kamailio_rig_start_on(struct kamailio_rig *rig, const char *db_module, const char *db_url)
{
	make_directory(rig);
	start(rig, db_module, db_url);
}

void
kamailio_rig_start(struct kamailio_rig *rig)
{
	char url[96];

	make_directory(rig);
	run("{ echo 'PRAGMA journal_mode=WAL;'; cat " SQL "standard-create.sql " SQL
	    "presence-create.sql; } | sqlite3 %s/x.db >/dev/null",
	    rig->dir);
	snprintf(url, sizeof url, "sqlite:///%s/x.db", rig->dir);
	start(rig, "db_sqlite", url);
}

void
kamailio_rig_end(struct kamailio_rig *rig)
{
	kill(rig->pid, SIGTERM);
	waitpid(rig->pid, NULL, 0);
	rig->pid = 0;
}

void
kamailio_rig_stop(struct kamailio_rig *rig)
{
	if (rig->pid > 0)
		kamailio_rig_end(rig);
	run("rm -rf '%s'", rig->dir);
}
