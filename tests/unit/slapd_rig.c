#define _GNU_SOURCE
#include "config.h"
#include "tests/unit/slapd_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLAPD "/usr/sbin/slapd"
#define SLAPADD "/usr/sbin/slapadd"

static const char conf[] =
	"include /etc/ldap/schema/core.schema\n"
	"include /etc/ldap/schema/cosine.schema\n"
	"include /etc/ldap/schema/inetorgperson.schema\n"
	"attributetype ( 1.2.840.113556.1.6.24.1.57 NAME 'msRTCSIP-PrimaryHomeServer'\n"
	"  EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 SINGLE-VALUE )\n"
	"attributetype ( 1.2.840.113556.1.6.24.1.47 NAME 'msRTCSIP-TargetHomeServer'\n"
	"  EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 SINGLE-VALUE )\n"
	"attributetype ( 1.2.840.113556.1.6.24.1.1 NAME 'msRTCSIP-PrimaryUserAddress'\n"
	"  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )\n"
	"attributetype ( 1.3.6.1.4.1.99999.1.3 NAME 'msRTCSIP-BackEndServer'\n"
	"  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )\n"
	"attributetype ( 1.3.6.1.4.1.99999.1.4 NAME 'dNSHostName'\n"
	"  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )\n"
	"attributetype ( 1.3.6.1.4.1.99999.1.5 NAME 'msRTCSIP-ConferenceDirectoryHomePool'\n"
	"  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )\n"
	"attributetype ( 1.3.6.1.4.1.99999.1.8 NAME 'msRTCSIP-ArchivingEnabled'\n"
	"  EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )\n"
	"objectclass ( 1.3.6.1.4.1.99999.1.104 NAME 'msRTCSIP-UserAux' SUP top AUXILIARY\n"
	"  MAY ( msRTCSIP-PrimaryHomeServer $ msRTCSIP-TargetHomeServer $\n"
	"  msRTCSIP-PrimaryUserAddress $ msRTCSIP-ArchivingEnabled ) )\n"
	"objectclass ( 1.3.6.1.4.1.99999.1.105 NAME 'msRTCSIP-Pool' SUP top STRUCTURAL\n"
	"  MUST cn MAY dNSHostName )\n"
	"objectclass ( 1.3.6.1.4.1.99999.1.106 NAME 'msRTCSIP-PoolService' SUP top STRUCTURAL MUST cn )\n"
	"objectclass ( 1.3.6.1.4.1.99999.1.107 NAME 'msRTCSIP-ConferenceDirectory' SUP top STRUCTURAL\n"
	"  MUST cn MAY msRTCSIP-ConferenceDirectoryHomePool )\n"
	"objectclass ( 1.3.6.1.4.1.99999.1.108 NAME 'msRTCSIP-GlobalTopologySetting' SUP top STRUCTURAL\n"
	"  MUST cn MAY msRTCSIP-BackEndServer )\n"
	"modulepath /usr/lib/ldap\n"
	"moduleload back_mdb\n"
	"authz-regexp gidNumber=.*\\+uidNumber=.*,cn=peercred,cn=external,cn=auth " RIG_MOVER "\n"
	"sizelimit 1000\n"
	"loglevel none\n"
	"threads 2\n";

static const char database[] =
	"database mdb\n"
	"suffix " RIG_SUFFIX "\n"
	"rootdn " RIG_ROOT "\n"
	"rootpw " RIG_PASSWORD "\n"
	"maxsize 1073741824\n"
	"index objectClass,msRTCSIP-PrimaryHomeServer eq\n"
	"limits dn.exact=\"" RIG_MOVER "\" size=unlimited\n";

static const char access_rules[] =
	"access to attrs=userPassword by * auth\n"
	"access to * by dn.exact=\"" RIG_MOVER "\" write by dn.exact=\"" RIG_LIMITED "\" write "
	"by * read\n";

static void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("slapd_rig: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}

static void
shell(const char *fmt, ...)
{
	char *line;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) < 0)
		die("out of memory");
	va_end(ap);
	if (system(line) != 0)
		die("failed: %s", line);
	free(line);
}

bool
rig_possible(void)
{
	return access(SLAPD, X_OK) == 0 && access(SLAPADD, X_OK) == 0;
}

int
rig_free_port(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&in, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&in, &len) < 0)
		die("no free port: %s", strerror(errno));
	close(fd);
	return ntohs(in.sin_port);
}

/* --- making ----------------------------------------------------------------- */

static FILE *
create(const struct rig *r, const char *name)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", r->dir, name);
	f = fopen(path, "w");
	if (!f)
		die("%s: %s", path, strerror(errno));
	return f;
}

static void
write_conf(const struct rig *r, bool guarded)
{
	FILE *f = create(r, "slapd.conf");

	fputs(conf, f);
	fprintf(f, "pidfile %s/slapd.pid\n", r->dir);
	fprintf(f, "TLSCACertificateFile %s/ca.crt\nTLSCertificateFile %s/server.crt\n"
		   "TLSCertificateKeyFile %s/server.key\n", r->dir, r->dir, r->dir);
	fputs(database, f);
	fprintf(f, "directory %s/db\n", r->dir);
	if (guarded)
		fprintf(f, "access to dn.exact=\"uid=u%05d,ou=Staff," RIG_SUFFIX
			   "\" attrs=msRTCSIP-PrimaryHomeServer by * read\n", RIG_GUARDED);
	fputs(access_rules, f);
	fclose(f);
}

static void
write_tree(FILE *f)
{
	static const char *const nodes[] = {
		"cn=Configuration", "cn=Services,cn=Configuration",
		"cn=RTC Service,cn=Services,cn=Configuration",
		"cn=Pools,cn=RTC Service,cn=Services,cn=Configuration"};

	fputs("dn: " RIG_SUFFIX "\nobjectClass: domain\ndc: contoso\n\n"
	      "dn: ou=Staff," RIG_SUFFIX "\nobjectClass: organizationalUnit\nou: Staff\n\n", f);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		fprintf(f, "dn: %s," RIG_SUFFIX "\nobjectClass: applicationProcess\n\n", nodes[i]);
	for (int i = 1; i <= 3; i++) {
		const char *pools = nodes[3];

		fprintf(f, "dn: cn=%d:1,%s," RIG_SUFFIX "\nobjectClass: msRTCSIP-Pool\n"
			   "dNSHostName: pool%02d.contoso.example\n\n", i, pools, i);
		fprintf(f, "dn: cn=Microsoft,cn=%d:1,%s," RIG_SUFFIX
			   "\nobjectClass: applicationProcess\n\n", i, pools);
		fprintf(f, "dn: cn=Lc Services,cn=Microsoft,cn=%d:1,%s," RIG_SUFFIX
			   "\nobjectClass: msRTCSIP-PoolService\n\n", i, pools);
	}
	fputs("dn: " RIG_MOVER "\nobjectClass: person\nsn: m\nuserPassword: " RIG_PASSWORD "\n\n"
	      "dn: " RIG_LIMITED "\nobjectClass: person\nsn: l\nuserPassword: " RIG_PASSWORD "\n\n", f);
}

static void
write_ldif(const struct rig *r, unsigned users)
{
	FILE *f = create(r, "users.ldif");

	write_tree(f);
	for (unsigned i = 0; i < users; i++)
		fprintf(f, "dn: uid=u%05u,ou=Staff," RIG_SUFFIX "\nobjectClass: inetOrgPerson\n"
			   "objectClass: msRTCSIP-UserAux\ncn: User %u\nsn: %u\n"
			   "msRTCSIP-PrimaryUserAddress: sip:u%05u@contoso.example\n"
			   "msRTCSIP-PrimaryHomeServer: " RIG_FROM "\n\n", i, i, i, i);
	fclose(f);
}

void
rig_make_certificates(const char *dir)
{
	shell("cd %s && { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
	      "-keyout ca.key -out ca.crt -days 2 -subj '/CN=Test CA' && "
	      "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key "
	      "-out server.csr -subj '/CN=localhost' && "
	      "printf 'subjectAltName=IP:127.0.0.1\\n' > ext && "
	      "openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 "
	      "-extfile ext -out server.crt; } > openssl.log 2>&1", dir);
}

struct rig *
rig_new(unsigned users, bool guarded)
{
	struct rig *r = calloc(1, sizeof(*r));

	if (!r)
		die("out of memory");
	snprintf(r->dir, sizeof(r->dir), "/tmp/resite-slapd-XXXXXX");
	if (!mkdtemp(r->dir))
		die("mkdtemp: %s", strerror(errno));
	snprintf(r->ca, sizeof(r->ca), "%s/ca.crt", r->dir);
	shell("mkdir %s/db", r->dir);
	rig_make_certificates(r->dir);
	write_conf(r, guarded);
	write_ldif(r, users);
	shell("%s -q -f %s/slapd.conf -l %s/users.ldif 2>%s/slapadd.log", SLAPADD, r->dir, r->dir,
	      r->dir);
	r->port = rig_free_port();
	snprintf(r->url, sizeof(r->url), "ldap://127.0.0.1:%d", r->port);
	snprintf(r->url_by_name, sizeof(r->url_by_name), "ldap://localhost:%d", r->port);
	snprintf(r->ldapi_url, sizeof(r->ldapi_url), "ldapi://%%2Ftmp%%2F%s%%2Fldapi", r->dir + 5);
	rig_start(r);
	return r;
}

/* --- running ------------------------------------------------------------------ */

static bool
answers(const struct rig *r)
{
	const int version = LDAP_VERSION3;
	LDAP *ld = NULL;
	bool yes = ldap_initialize(&ld, r->url) == LDAP_SUCCESS &&
		   ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version) == LDAP_OPT_SUCCESS &&
		   ldap_simple_bind_s(ld, NULL, NULL) == LDAP_SUCCESS;

	if (ld)
		ldap_unbind_ext_s(ld, NULL, NULL);
	return yes;
}

void
rig_start(struct rig *r)
{
	char conf_path[80], urls[300];

	snprintf(conf_path, sizeof(conf_path), "%s/slapd.conf", r->dir);
	snprintf(urls, sizeof(urls), "%s/ %s/", r->url, r->ldapi_url);
	r->pid = fork();
	if (r->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* an aborted test leaves no server behind */
		execl(SLAPD, SLAPD, "-d", "0", "-f", conf_path, "-h", urls, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500; i++) {
		if (answers(r))
			return;
		if (waitpid(r->pid, NULL, WNOHANG) == r->pid)
			die("slapd ended at once");
		nanosleep(&(struct timespec){0, 20000000}, NULL);
	}
	die("slapd does not answer on %s", r->url);
}

void
rig_kill(struct rig *r, int sig)
{
	if (r->root)
		ldap_unbind_ext_s(r->root, NULL, NULL);
	r->root = NULL;
	if (!r->pid)
		return;
	kill(r->pid, sig);
	waitpid(r->pid, NULL, 0);
	r->pid = 0;
}

void
rig_free(struct rig *r)
{
	rig_kill(r, SIGKILL); /* a slapd that has locked its database hears nothing else */
	shell("rm -rf %s", r->dir);
	free(r);
}

/* --- looking and meddling ------------------------------------------------------- */

static LDAP *
as_root(struct rig *r)
{
	int version = LDAP_VERSION3;

	if (r->root)
		return r->root;
	if (ldap_initialize(&r->root, r->url) != LDAP_SUCCESS)
		die("ldap_initialize");
	ldap_set_option(r->root, LDAP_OPT_PROTOCOL_VERSION, &version);
	if (ldap_simple_bind_s(r->root, RIG_ROOT, RIG_PASSWORD) != LDAP_SUCCESS)
		die("the test's own bind failed");
	return r->root;
}

void
rig_each(struct rig *r, const char *home, void (*each)(void *, const char *), void *arg)
{
	char filter[400], *no_attrs[] = {(char *)(uintptr_t)LDAP_NO_ATTRS, NULL};
	LDAPMessage *all = NULL;

	snprintf(filter, sizeof(filter), "(msRTCSIP-PrimaryHomeServer=%s)", home);
	if (ldap_search_ext_s(as_root(r), RIG_SUFFIX, LDAP_SCOPE_SUBTREE, filter, no_attrs, 0, NULL,
			      NULL, NULL, LDAP_NO_LIMIT, &all) != LDAP_SUCCESS)
		die("the test's own search failed");
	for (LDAPMessage *m = ldap_first_entry(r->root, all); m; m = ldap_next_entry(r->root, m)) {
		char *dn = ldap_get_dn(r->root, m);

		each(arg, dn);
		ldap_memfree(dn);
	}
	ldap_msgfree(all);
}

static void
count_one(void *arg, const char *dn)
{
	(void)dn;
	++*(unsigned *)arg;
}

unsigned
rig_count(struct rig *r, const char *home)
{
	unsigned n = 0;

	rig_each(r, home, count_one, &n);
	return n;
}

void
rig_set(struct rig *r, unsigned i, const char *attribute, const char *value)
{
	char *values[] = {(char *)(uintptr_t)value, NULL}, dn[100];
	LDAPMod mod = {.mod_op = LDAP_MOD_REPLACE, .mod_type = (char *)(uintptr_t)attribute};
	LDAPMod *mods[] = {&mod, NULL};

	mod.mod_values = values;
	snprintf(dn, sizeof(dn), "uid=u%05u,ou=Staff," RIG_SUFFIX, i);
	if (ldap_modify_ext_s(as_root(r), dn, mods, NULL, NULL) != LDAP_SUCCESS)
		die("the test's own change of %s failed", dn);
}

void
rig_delete_user(struct rig *r, unsigned i)
{
	char dn[100];

	snprintf(dn, sizeof(dn), "uid=u%05u,ou=Staff," RIG_SUFFIX, i);
	if (ldap_delete_ext_s(as_root(r), dn, NULL, NULL) != LDAP_SUCCESS)
		die("the test's own delete of %s failed", dn);
}

void
rig_ldif(struct rig *r, const char *ldif)
{
	FILE *f = create(r, "more.ldif");

	fputs(ldif, f);
	fclose(f);
	shell("ldapmodify -a -x -H %s -D " RIG_ROOT " -w " RIG_PASSWORD " -f %s/more.ldif >%s/more.log 2>&1",
	      r->url, r->dir, r->dir);
}

char *
rig_value(struct rig *r, const char *dn, const char *attribute)
{
	char *attrs[] = {(char *)(uintptr_t)attribute, NULL}, *value = NULL;
	LDAPMessage *all = NULL;
	struct berval **values;

	if (ldap_search_ext_s(as_root(r), dn, LDAP_SCOPE_BASE, "(objectClass=*)", attrs, 0, NULL, NULL,
			      NULL, LDAP_NO_LIMIT, &all) != LDAP_SUCCESS)
		die("the test's own search for %s failed", dn);
	values = ldap_get_values_len(r->root, ldap_first_entry(r->root, all), attribute);
	if (values)
		value = strndup(values[0]->bv_val, values[0]->bv_len);
	ldap_value_free_len(values);
	ldap_msgfree(all);
	return value;
}

void
rig_add_referral(struct rig *r, const char *url)
{
	char *classes[] = {(char *)(uintptr_t)"referral", (char *)(uintptr_t)"extensibleObject", NULL};
	char *refs[] = {(char *)(uintptr_t)url, NULL};
	LDAPMod class = {.mod_type = (char *)(uintptr_t)"objectClass"};
	LDAPMod ref = {.mod_type = (char *)(uintptr_t)"ref"};
	LDAPMod *mods[] = {&class, &ref, NULL};

	class.mod_values = classes;
	ref.mod_values = refs;
	if (ldap_add_ext_s(as_root(r), "ou=Elsewhere," RIG_SUFFIX, mods, NULL, NULL) != LDAP_SUCCESS)
		die("the test's own add failed");
}
