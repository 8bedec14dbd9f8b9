/* slapd_rig.h -- a real slapd in a temporary directory, on a free loopback port,
 * with users homed on one pool.  What fails here aborts the test with a message. */
#ifndef RESITE_TESTS_SLAPD_RIG_H
#define RESITE_TESTS_SLAPD_RIG_H

#include <ldap.h>
#include <stdbool.h>
#include <sys/types.h>

#define RIG_SUFFIX "dc=contoso,dc=example"
#define RIG_POOL(id)                                                                       \
	"CN=Lc Services,CN=Microsoft,CN=" id ",CN=Pools,CN=RTC Service,CN=Services,"      \
	"CN=Configuration,DC=contoso,DC=example"
#define RIG_FROM RIG_POOL("1:1")
#define RIG_TO RIG_POOL("2:1")
#define RIG_THIRD RIG_POOL("3:1")
#define RIG_ROOT "cn=root," RIG_SUFFIX
#define RIG_MOVER "cn=mover," RIG_SUFFIX      /* no limits */
#define RIG_LIMITED "cn=limited," RIG_SUFFIX  /* size limit 1000, as slapd has it by default 500 */
#define RIG_PASSWORD "secret"
#define RIG_GUARDED 7                         /* this user's home no one but root may change */

struct rig {
	char dir[64], url[64], url_by_name[64], ldapi_url[160], ca[80];
	int port;
	pid_t pid;  /* 0: not running */
	LDAP *root; /* a connection of the test's own; opened when needed */
};

bool rig_possible(void); /* are slapd and slapadd there? */
struct rig *rig_new(unsigned users, bool guarded);
void rig_free(struct rig *r);
void rig_make_certificates(const char *dir);
void rig_start(struct rig *r);
void rig_kill(struct rig *r, int sig);

unsigned rig_count(struct rig *r, const char *home);
/* Calls each for the DN of every user on home. */
void rig_each(struct rig *r, const char *home, void (*each)(void *, const char *dn), void *arg);
/* Sets attribute of user i to value. */
void rig_set(struct rig *r, unsigned i, const char *attribute, const char *value);
void rig_delete_user(struct rig *r, unsigned i);
/* Hands LDIF to ldapmodify -a. */
void rig_ldif(struct rig *r, const char *ldif);
/* A value of an entry, or NULL.  The caller frees it. */
char *rig_value(struct rig *r, const char *dn, const char *attribute);
/* Adds an entry that says: what is below me is on another server. */
void rig_add_referral(struct rig *r, const char *url);
int rig_free_port(void);

#endif
