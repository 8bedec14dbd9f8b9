#include "config.h"

#include "tests/unit/kdc_rig.h"
#include "tests/unit/named_server.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KDC "/usr/sbin/krb5kdc"

static void
die(const char *what)
{
	perror(what);
	abort();
}

bool
kdc_installed(void)
{
	return access(KDC, X_OK) == 0 && access("/usr/sbin/kadmin.local", X_OK) == 0 &&
	       access("/usr/bin/kinit", X_OK) == 0;
}

__attribute__((format(printf, 1, 2))) static bool
shell(const char *fmt, ...)
{
	char command[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command) == 0;
}

static FILE *
file_in(const struct kdc_rig *k, const char *name, char path[100])
{
	FILE *f;

	snprintf(path, 100, "%s/%s", k->dir, name);
	f = fopen(path, "w");
	if (!f)
		die(path);
	return f;
}

static void
write_config(const struct kdc_rig *k, int port)
{
	char path[100];
	FILE *f = file_in(k, "krb5.conf", path);

	fprintf(f,
		"[libdefaults]\n default_realm = " KDC_REALM "\n dns_lookup_kdc = false\n"
		" dns_lookup_realm = false\n rdns = false\n dns_canonicalize_hostname = false\n"
		"[realms]\n " KDC_REALM " = {\n  kdc = 127.0.0.1:%d\n }\n"
		"[domain_realm]\n " ZONE " = " KDC_REALM "\n ." ZONE " = " KDC_REALM "\n", port);
	fclose(f);
	setenv("KRB5_CONFIG", path, 1);
	f = file_in(k, "kdc.conf", path);
	fprintf(f,
		"[kdcdefaults]\n kdc_listen = 127.0.0.1:%d\n kdc_tcp_listen = 127.0.0.1:%d\n"
		"[realms]\n " KDC_REALM " = {\n  database_name = %s/principal\n"
		"  key_stash_file = %s/stash\n }\n[logging]\n kdc = FILE:%s/kdc.log\n",
		port, port, k->dir, k->dir, k->dir);
	fclose(f);
	setenv("KRB5_KDC_PROFILE", path, 1);
}

void
kdc_start(struct kdc_rig *k)
{
	char pid_file[100];

	*k = (struct kdc_rig){.dir = "/tmp/resite-kdc.XXXXXX"};
	if (!mkdtemp(k->dir))
		die("mkdtemp");
	write_config(k, free_port());
	if (!shell("/usr/sbin/kdb5_util create -s -r " KDC_REALM " -P only-a-test >/dev/null 2>&1"))
		die("kdb5_util");
	snprintf(pid_file, sizeof(pid_file), "%s/pid", k->dir);
	k->pid = fork();
	if (k->pid == 0) {
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(127);
		execl(KDC, KDC, "-n", "-P", pid_file, (char *)NULL);
		_exit(127);
	}
}

void
kdc_add(const struct kdc_rig *k, const char *principal, const char *file)
{
	if (!shell("printf '%%s\\n' 'addprinc -randkey %s' 'ktadd -k %s/%s %s' | /usr/sbin/kadmin.local >%s/out 2>&1",
		   principal, k->dir, file, principal, k->dir))
		die("kadmin.local");
}

/* The server may not listen yet. */
void
kdc_kinit(const struct kdc_rig *k, const char *principal, const char *keytab, const char *ccache)
{
	for (int i = 0; i < 100; i++) {
		if (shell("kinit -c FILE:%s/%s -k -t %s/%s %s >%s/out 2>&1", k->dir, ccache, k->dir,
			  keytab, principal, k->dir))
			return;
		nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	}
	shell("cat %s/out", k->dir);
	die("kinit");
}

void
kdc_stop(struct kdc_rig *k)
{
	if (k->pid > 0) {
		kill(k->pid, SIGTERM);
		waitpid(k->pid, NULL, 0);
	}
	if (k->dir[0] && !shell("rm -rf '%s'", k->dir))
		fprintf(stderr, "%s was not removed\n", k->dir);
	*k = (struct kdc_rig){0};
}
