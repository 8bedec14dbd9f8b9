#include "lab/gen/outputs.h"
#include "lab/gen/text.h"

#include <stdio.h>
#include <string.h>

/* RFC 2849: what is not a SAFE-STRING is written in base64. */
static int
is_safe(const char *s)
{
	if (*s == ' ' || *s == ':' || *s == '<')
		return 0;
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return 0;
	return 1;
}

static void
attribute(struct text *t, const char *name, const char *value)
{
	text_str(t, name);
	if (is_safe(value)) {
		text_str(t, ": ");
		text_str(t, value);
	} else {
		text_str(t, ":: ");
		text_base64(t, value);
	}
	text_str(t, "\n");
}

/* Most users are named by uid; every 97th as Active Directory names a person,
 * with a comma that is part of the name. */
static void
name_entry(unsigned n, const struct person *p, const char *suffix, char *cn, size_t cn_size,
	   char *dn, size_t dn_size)
{
	if (n % 97 == 0) {
		snprintf(cn, cn_size, "%s, %s (%s)", p->family, p->given, p->id);
		snprintf(dn, dn_size, "cn=%s\\, %s (%s),ou=Staff,%s", p->family, p->given, p->id,
			 suffix);
	} else {
		snprintf(cn, cn_size, "%s", p->name);
		snprintf(dn, dn_size, "uid=%s,ou=Staff,%s", p->id, suffix);
	}
}

static void
entry(struct text *t, const struct crowd *crowd, unsigned n, const char *suffix, const char *home)
{
	struct person p;
	char cn[NAME_SIZE + 32], dn[512], address[ADDRESS_SIZE];

	person_at(crowd, n, &p);
	name_entry(n, &p, suffix, cn, sizeof(cn), dn, sizeof(dn));
	attribute(t, "dn", dn);
	text_str(t, "objectClass: inetOrgPerson\nobjectClass: msRTCSIP-UserAux\n");
	attribute(t, "uid", p.id);
	attribute(t, "cn", cn);
	attribute(t, "givenName", p.given);
	attribute(t, "sn", p.family);
	snprintf(address, sizeof(address), "%s@%s", p.id, crowd->domain);
	attribute(t, "mail", address);
	snprintf(address, sizeof(address), "sip:%s@%s", p.id, crowd->domain);
	attribute(t, "msRTCSIP-PrimaryUserAddress", address);
	text_str(t, "msRTCSIP-UserEnabled: TRUE\nmsRTCSIP-OptionFlags: 257\n"
		    "msRTCSIP-DeploymentLocator: SRV:\n");
	/* 4: what is said within the company is archived. */
	attribute(t, "msRTCSIP-ArchivingEnabled", n % 20 == 7 ? "4" : "0");
	attribute(t, "msRTCSIP-PrimaryHomeServer", home);
	text_str(t, "\n");
}

int
write_ldif(const struct crowd *crowd, const char *suffix, const char *home)
{
	struct text t = { 0 };

	for (unsigned n = 1; n <= crowd->users; n++) {
		t.len = 0;
		entry(&t, crowd, n, suffix, home);
		fwrite(t.data, 1, t.len, stdout);
	}
	text_release(&t);
	return 0;
}
