/* kdc_rig.h -- a real Kerberos realm for tests: private directory, free port, 127.0.0.1. */
#ifndef TESTS_UNIT_KDC_RIG_H
#define TESTS_UNIT_KDC_RIG_H

#include <stdbool.h>
#include <sys/types.h>

#define KDC_REALM "RESITE.TEST"

struct kdc_rig {
	char dir[64]; /* removed by kdc_stop */
	pid_t pid;
};

/* Are krb5kdc, kadmin.local and kinit there? */
bool kdc_installed(void);
/* Starts a realm, and sets KRB5_CONFIG and KRB5_KDC_PROFILE of this process to it. */
void kdc_start(struct kdc_rig *k);
/* Adds a principal with a random key and writes that into DIR/FILE. */
void kdc_add(const struct kdc_rig *k, const char *principal, const char *file);
/* Gets a ticket with the key in DIR/KEYTAB into DIR/CCACHE. */
void kdc_kinit(const struct kdc_rig *k, const char *principal, const char *keytab,
	       const char *ccache);
void kdc_stop(struct kdc_rig *k);

#endif
