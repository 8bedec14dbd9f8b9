#include "config.h"

#include "tests/unit/named_server.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAMED "/usr/sbin/named"

static void
die(const char *what)
{
	perror(what);
	abort();
}

bool
named_installed(void)
{
	return access(NAMED, X_OK) == 0;
}

static int
bind_at(int type, int port, int *ret_port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, type, 0);

	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0) {
		close(fd);
		return -1;
	}
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

int
free_port(void)
{
	for (;;) {
		int port, same, udp = -1, tcp = bind_at(SOCK_STREAM, 0, &port);

		if (tcp >= 0)
			udp = bind_at(SOCK_DGRAM, port, &same);
		if (tcp >= 0)
			close(tcp);
		if (udp >= 0) {
			close(udp);
			return port;
		}
	}
}

static FILE *
file_in(const struct named_server *s, const char *name)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	f = fopen(path, "w");
	if (!f)
		die(path);
	return f;
}

static void
write_keys(FILE *f)
{
	static const char *const keys[] = {KEY_256, KEY_1, KEY_384, KEY_512};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char alg[32], name[32], secret[128];

		if (sscanf(keys[i], "%31[^:]:%31[^:]:%127s", alg, name, secret) == 3)
			fprintf(f, "key \"%s\" { algorithm %s; secret \"%s\"; };\n", name, alg,
				secret);
	}
}

static void
write_options(const struct named_server *s, FILE *f)
{
	write_keys(f);
	fprintf(f,
		"options {\n directory \"%s\"; pid-file \"%s/pid\"; lock-file none;\n"
		" session-keyfile \"%s/session.key\"; managed-keys-directory \"%s\";\n"
		" listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };\n"
		" recursion no; dnssec-validation no; empty-zones-enable no;\n"
		" minimal-responses yes; notify explicit; notify-delay 0;\n%s%s%s%s};\n"
		"controls {};\n"
		"logging { channel f { file \"%s/log\"; severity info; }; category default { f; };\n"
		" category update { null; }; category lame-servers { null; }; };\n",
		s->dir, s->dir, s->dir, s->dir, s->port, s->deaf ? " allow-notify { none; };\n" : "",
		s->keytab ? " tkey-gssapi-keytab \"" : "", s->keytab ? s->keytab : "",
		s->keytab ? "\";\n" : "", s->dir);
}

static void
write_zone(const struct named_server *s, const char *more)
{
	FILE *f = file_in(s, "zone");

	fputs("$ORIGIN " ZONE ".\n$TTL 60\n"
	      "@ SOA ns1 admin 1 3600 600 86400 60\n"
	      "@ NS ns1\nns1 A 127.0.0.1\n"
	      "sip 86400 A 10.1.0.10\n"
	      "multi A 10.1.0.1\nmulti A 10.1.0.2\n"
	      "_sip._tcp 300 SRV 0 0 5060 sip\n"
	      "alias CNAME sip\n"
	      "note TXT \"one two\" \"th\\\"ree\"\n"
	      "*.wild A 10.1.0.77\n", f);
	fputs(more, f);
	fclose(f);
}

/* One of the further zones. */
static void
write_more_zone(const struct named_server *s, FILE *conf, int i)
{
	char name[32];
	FILE *f;

	snprintf(name, sizeof(name), "z%d", i);
	f = file_in(s, name);
	fprintf(f, "$ORIGIN z%d.example.\n$TTL 60\n@ SOA ns1 admin 1 3600 600 86400 60\n@ NS ns1\n"
		"ns1 A 127.0.0.1\nsip 86400 A 10.1.0.10\nalias 86400 CNAME sip\n", i);
	fclose(f);
	fprintf(conf, "zone \"z%d.example\" { type primary; file \"z%d\"; allow-transfer { any; };"
		" allow-update { key upd; }; };\n", i, i);
}

static void
write_resolver(const struct named_server *s)
{
	FILE *f = file_in(s, "named.conf");

	fprintf(f,
		"options {\n directory \"%s\"; pid-file \"%s/pid\"; lock-file none;\n"
		" session-keyfile \"%s/session.key\"; managed-keys-directory \"%s\";\n"
		" listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };\n"
		" recursion yes; allow-recursion { any; }; dnssec-validation no; empty-zones-enable no;\n"
		" forward only; forwarders { 127.0.0.1 port %d; };\n};\n"
		"controls {};\nlogging { channel f { file \"%s/log\"; severity info; };"
		" category default { f; }; };\n",
		s->dir, s->dir, s->dir, s->dir, s->port, s->forward_port, s->dir);
	fclose(f);
}

static void
write_config(const struct named_server *s, int notify_port)
{
	FILE *f = file_in(s, "named.conf");

	write_options(s, f);
	for (int i = 0; i < s->zones; i++)
		write_more_zone(s, f, i);
	if (s->primary_port)
		fprintf(f, "zone \"" ZONE "\" { type secondary; file \"zone.bak\"; "
			"primaries port %d { 127.0.0.1; }; };\n", s->primary_port);
	else
		fprintf(f, "zone \"" ZONE "\" { type primary; file \"zone\"; allow-transfer { %s; };\n"
			" %s\n", s->closed ? "none" : "any",
			s->keytab ? "update-policy { grant upd@RESITE.TEST zonesub any; };"
				  : "allow-update { key upd; key upd1; key upd384; key upd512; };");
	if (!s->primary_port && notify_port)
		fprintf(f, " also-notify { 127.0.0.1 port %d; };\n", notify_port);
	if (!s->primary_port)
		fputs("};\n", f);
	fclose(f);
}

/* Ready when the zone is served, that is, for a secondary, transferred. */
static void
wait_ready(const struct named_server *s)
{
	for (int i = 0; i < 500; i++) {
		if (*dig(s, ZONE, "SOA"))
			return;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	fprintf(stderr, "named in %s does not answer\n", s->dir);
	abort();
}

void
named_resume(struct named_server *s)
{
	char conf[160], copy[160];

	snprintf(conf, sizeof(conf), "%s/named.conf", s->dir);
	snprintf(copy, sizeof(copy), "%s/zone.bak", s->dir);
	unlink(copy); /* with its copy a secondary would only ask after the refresh time */
	s->pid = fork();
	if (s->pid == 0) {
		execl(NAMED, NAMED, "-f", "-4", "-n", "1", "-c", conf, (char *)NULL);
		_exit(127);
	}
	wait_ready(s);
}

static void
start(struct named_server *s, int port, int notify_port, const char *more)
{
	snprintf(s->dir, sizeof(s->dir), "/tmp/resite-named.XXXXXX");
	if (!mkdtemp(s->dir))
		die("mkdtemp");
	s->port = port ? port : free_port();
	snprintf(s->at, sizeof(s->at), "127.0.0.1:%d", s->port);
	if (s->forward_port)
		write_resolver(s);
	else
		write_config(s, notify_port);
	if (!s->primary_port && !s->forward_port)
		write_zone(s, more);
	named_resume(s);
}

void
named_start_primary(struct named_server *s, const char *more_records, int notify_port)
{
	*s = (struct named_server){0};
	start(s, 0, notify_port, more_records);
}

void
named_start(struct named_server *s)
{
	start(s, 0, 0, "");
}

void
named_start_closed(struct named_server *s)
{
	*s = (struct named_server){.closed = true};
	start(s, 0, 0, "");
}

int
named_transfers(const struct named_server *s)
{
	char command[128];
	int n = 0;
	FILE *f;

	snprintf(command, sizeof(command), "grep -c 'XFR started' '%s/log'", s->dir);
	f = popen(command, "r");
	if (!f || fscanf(f, "%d", &n) != 1)
		die(command);
	pclose(f); /* grep's status is 1 when it counts none */
	return n;
}

void
named_start_secondary(struct named_server *s, int port, int primary_port, bool deaf)
{
	*s = (struct named_server){.primary_port = primary_port, .deaf = deaf};
	start(s, port, 0, "");
}

void
named_halt(struct named_server *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGTERM);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

void
named_stop(struct named_server *s)
{
	char command[128];

	named_halt(s);
	snprintf(command, sizeof(command), "rm -rf '%s'", s->dir);
	if (s->dir[0] && system(command) != 0)
		fprintf(stderr, "%s was not removed\n", s->dir);
	s->dir[0] = '\0';
}

const char *
dig(const struct named_server *s, const char *name, const char *type)
{
	static char out[4096];
	char command[400];
	size_t n = 0, got;
	FILE *f;

	snprintf(command, sizeof(command),
		 "dig +short +time=2 +tries=3 +noidnout @127.0.0.1 -p %d %s %s 2>/dev/null | "
		 "grep -v '^;' | sort | tr '\\n' ' ' | sed 's/ $//'", s->port, name, type);
	f = popen(command, "r");
	while (f && (got = fread(out + n, 1, sizeof(out) - 1 - n, f)) > 0)
		n += got;
	if (f)
		pclose(f);
	out[n] = '\0';
	return out;
}

void
nsupdate(const struct named_server *s, const char *lines)
{
	char command[200];
	FILE *f;

	snprintf(command, sizeof(command), "nsupdate -y %s", KEY_256);
	f = popen(command, "w");
	if (!f)
		die("nsupdate");
	fprintf(f, "server 127.0.0.1 %d\nzone " ZONE ".\n%s\nsend\n", s->port, lines);
	if (pclose(f) != 0)
		die("nsupdate failed");
}
