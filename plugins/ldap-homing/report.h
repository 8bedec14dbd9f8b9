/* report.h -- who was not moved and why: JSON lines in a file that is there whole or not. */
#ifndef LDAP_HOMING_REPORT_H
#define LDAP_HOMING_REPORT_H

#include "plugins/ldap-homing/people.h"

struct lh_report_row {
	char *dn, *address, *detail; /* NULL: none */
	enum lh_stay why;
};

struct lh_report {
	const char *path;  /* NULL: no report is wanted */
	char *aside;       /* what will be renamed to path */
	int fd;            /* open on it; -1: not open */
	bool short_of_memory;
	struct lh_report_row *rows;
	size_t n, cap;
};

/* Makes the file aside, so that it is known before the first change that it can be
 * written.  path NULL: no report, and the other functions do nothing. */
int lh_report_open(struct lh_report *r, const char *path, struct lh_error *e);
/* Notes one; what is said of the same DN later counts. */
void lh_report_add(struct lh_report *r, const char *dn, const char *address, enum lh_stay why,
		   const char *detail);
/* Writes it and puts it in its place. */
int lh_report_close(struct lh_report *r, struct lh_error *e);
/* Frees r; a file that lh_report_close has not put in its place is removed. */
void lh_report_release(struct lh_report *r);

#endif
