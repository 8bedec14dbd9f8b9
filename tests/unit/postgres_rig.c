#define _GNU_SOURCE
#include "tests/unit/postgres_rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

__attribute__((format(printf, 1, 2), noreturn)) static void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "postgres_rig: ");
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}

/* The newest version's folder of programs. */
static bool
find_bin(char out[128])
{
	glob_t g;
	bool found = glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &g) == 0 && g.gl_pathc > 0;

	if (found) {
		snprintf(out, 128, "%s", g.gl_pathv[g.gl_pathc - 1]);
		*strrchr(out, '/') = '\0';
	}
	globfree(&g);
	return found;
}

bool
postgres_rig_possible(void)
{
	char bin[128];

	return find_bin(bin);
}

/* In a session of its own, not as root, and not after us. */
static pid_t
start(const struct postgres_rig *rig, char *const argv[], bool wait)
{
	char log[96];
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int fd;

		setsid();
		if (rig->file_limit > 0)
			setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)rig->file_limit,
								 (rlim_t)rig->file_limit});
		snprintf(log, sizeof log, "%s/log", rig->dir);
		if (geteuid() == 0 && (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY)))
			_exit(126);
		prctl(PR_SET_PDEATHSIG, SIGQUIT);
		fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		setenv("LC_ALL", "C", 1);
		execv(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || (wait && (waitpid(pid, &status, 0) < 0 || status != 0)))
		die("%s failed: see %s/log", argv[0], rig->dir);
	return pid;
}

static int
free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		die("no free port");
	close(fd);
	return ntohs(a.sin_port);
}

static PGconn *
connect_to(const struct postgres_rig *rig, const char *database)
{
	char port[16];
	const char *keys[] = {"host", "port", "user", "dbname", NULL};
	const char *values[] = {rig->dir, port, POSTGRES_RIG_USER, database, NULL};

	snprintf(port, sizeof port, "%d", rig->port);
	return PQconnectdbParams(keys, values, 0);
}

void
postgres_rig_again(struct postgres_rig *rig)
{
	char bin[128], program[160], data[96];
	char *argv[] = {program, (char[]){"-D"}, data, NULL};

	if (!find_bin(bin))
		die("no PostgreSQL here");
	snprintf(program, sizeof program, "%s/postgres", bin);
	snprintf(data, sizeof data, "%s/data", rig->dir);
	rig->pid = start(rig, argv, false);
	for (int i = 0; i < 500; i++) {
		PGconn *conn = connect_to(rig, "postgres");
		bool ok = PQstatus(conn) == CONNECTION_OK;

		PQfinish(conn);
		if (ok)
			return;
		usleep(20000);
	}
	die("no answer in 10 s: see %s/log", rig->dir);
}

static void
initdb(const struct postgres_rig *rig)
{
	char bin[128], program[160], data[96];
	/* A client's share of SCRAM is 4,096 hashes: a second for each login under valgrind. */
	char *login = getenv("RESITE_UNDER_VALGRIND") ? (char[]){"--auth-host=password"} :
							(char[]){"--auth-host=scram-sha-256"};
	char *argv[] = {program, (char[]){"-D"}, data, (char[]){"-U"}, (char[]){POSTGRES_RIG_USER},
			(char[]){"--auth-local=trust"}, login,
			(char[]){"-E"}, (char[]){"UTF8"}, (char[]){"--locale=C.UTF-8"},
			(char[]){"--no-sync"}, (char[]){"--wal-segsize=1"}, (char[]){"--no-instructions"}, NULL};

	if (!find_bin(bin))
		die("no PostgreSQL here");
	snprintf(program, sizeof program, "%s/initdb", bin);
	snprintf(data, sizeof data, "%s/data", rig->dir);
	waitpid(start(rig, argv, true), NULL, WNOHANG);
}

void
postgres_rig_start(struct postgres_rig *rig)
{
	char file[96];
	FILE *out;

	strcpy(rig->dir, "/tmp/postgres-rig-XXXXXX");
	if (!mkdtemp(rig->dir) || (geteuid() == 0 && chown(rig->dir, NOBODY, NOBODY) < 0))
		die("no directory");
	initdb(rig);
	rig->port = free_port();
	snprintf(rig->server, sizeof rig->server, "127.0.0.1:%d", rig->port);
	snprintf(file, sizeof file, "%s/data/postgresql.conf", rig->dir);
	out = fopen(file, "a");
	if (!out)
		die("cannot write %s", file);
	fprintf(out, "port=%d\nlisten_addresses='127.0.0.1'\nunix_socket_directories='%s'\n"
		"fsync=off\nshared_buffers=16MB\nmax_connections=30\n", rig->port, rig->dir);
	fclose(out);
	postgres_rig_again(rig);
	postgres_rig_sql(rig, "postgres", "ALTER ROLE %s PASSWORD '%s'", POSTGRES_RIG_USER,
			 POSTGRES_RIG_PASSWORD);
}

void
postgres_rig_end(struct postgres_rig *rig)
{
	char file[96];

	kill(rig->pid, SIGINT);
	waitpid(rig->pid, NULL, 0);
	/* In a test's own process the server is not our child. */
	snprintf(file, sizeof file, "%s/data/postmaster.pid", rig->dir);
	for (int i = 0; i < 500 && !access(file, F_OK); i++)
		usleep(20000);
	rig->pid = 0;
}

void
postgres_rig_stop(struct postgres_rig *rig)
{
	char command[96];

	if (rig->pid > 0)
		postgres_rig_end(rig);
	snprintf(command, sizeof command, "rm -rf '%s'", rig->dir);
	if (system(command) != 0)
		die("%s failed", command);
}

static PGresult *
run(const struct postgres_rig *rig, const char *database, const char *sql)
{
	PGconn *conn = connect_to(rig, database);
	PGresult *r = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(r);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		die("%s: %s", sql, PQerrorMessage(conn));
	PQfinish(conn);
	return r;
}

void
postgres_rig_sql(const struct postgres_rig *rig, const char *database, const char *fmt, ...)
{
	char sql[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sql, sizeof sql, fmt, ap);
	va_end(ap);
	PQclear(run(rig, database, sql));
}

const char *
postgres_rig_ask(const struct postgres_rig *rig, const char *database, char *buf, size_t cap,
		 const char *fmt, ...)
{
	char sql[4096];
	PGresult *r;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sql, sizeof sql, fmt, ap);
	va_end(ap);
	r = run(rig, database, sql);
	snprintf(buf, cap, "%s", PQntuples(r) ? PQgetvalue(r, 0, 0) : "");
	PQclear(r);
	return buf;
}
