/* people.h -- who is homed where, who is to go and who is to stay. */
#ifndef LDAP_HOMING_PEOPLE_H
#define LDAP_HOMING_PEOPLE_H

#include "plugins/ldap-homing/addresses.h"
#include "plugins/ldap-homing/search.h"

enum lh_mid_move { /* what to do with users whom another tool is moving */
	LH_MID_MOVE_MOVE,
	LH_MID_MOVE_LEAVE,
	LH_MID_MOVE_REFUSE,
};

/* Why somebody is not moved.  The names are those of the report: keep both in order. */
enum lh_stay {
	LH_GOES,
	LH_STAYS_FILTERED,  /* does not match filter */
	LH_STAYS_EXCLUDED,  /* matches exclude, or is in exclude_file */
	LH_STAYS_UNLISTED,  /* is not in users_file */
	LH_STAYS_MID_MOVE,  /* another tool is moving her */
	LH_STAYS_REFUSED,   /* the server would not change her */
	LH_STAYS_CONFLICT,  /* somebody else changed or removed her meanwhile */
	LH_STAYS_NOT_FOUND, /* an address in a file that nobody on either home has */
	LH_STAYS_N,
};

const char *lh_stay_name(enum lh_stay why);

struct lh_task {
	const char *base, *attribute, *from, *to;
	const char *noun;              /* "users" */
	const char *moving_attribute;  /* set while another tool moves a user; NULL: none */
	const char *address_attribute; /* read when a file of addresses or a report wants it */
	const char *filter, *exclude;  /* RFC 4515; NULL: none */
	struct lh_addresses *listed;   /* only these; NULL: all */
	struct lh_addresses *left_out; /* not these; NULL: none */
	enum lh_mid_move mid_move;
	uint64_t capacity;             /* of `to`; 0: without limit */
	bool want_addresses;           /* for the report */
	int page_size;
	unsigned window, transaction_size;
	bool skip_references;
};

/* The attributes of an entry that lh_people_on shows. */
enum { LH_HOME, LH_MOVING, LH_ADDRESS };

/* Calls each for every one whose home is home and who matches filter and not exclude:
 * the files and mid_move are for lh_chosen to look at.  names_alone: no attributes. */
int lh_people_on(struct lh_conn *c, const struct lh_task *t, const char *home, bool names_alone,
		 int (*each)(void *arg, const struct lh_entry *entry, struct lh_error *e), void *arg,
		 struct lh_error *e);

/* Does she go, and if not, why?  Notes in the files that the address was met. */
enum lh_stay lh_chosen(const struct lh_task *t, const struct lh_entry *entry);

/* How many of those on home does the task speak of; on `from`: how many are to go. */
int lh_count_on(struct lh_conn *c, const struct lh_task *t, const char *home, uint64_t *ret_n,
		struct lh_error *e);
/* How many are on home, whoever they are. */
int lh_count_all_on(struct lh_conn *c, const struct lh_task *t, const char *home, uint64_t *ret_n,
		    struct lh_error *e);

/* Calls each for those on `from` whom filter or exclude keeps there.  A server that
 * takes a filter for neither true nor false (an attribute that it does not know) hides
 * people from every search with it: that is an error. */
int lh_people_kept(struct lh_conn *c, const struct lh_task *t,
		   int (*each)(void *arg, const struct lh_entry *entry, enum lh_stay why,
			       struct lh_error *e),
		   void *arg, struct lh_error *e);

/* 0, or RESITE_ERR_REFUSED: t->capacity is too small for there + coming. */
int lh_capacity_suffices(const struct lh_task *t, uint64_t there, uint64_t coming,
			 struct lh_error *e);

/* The value of entry's i-th attribute that names the same as home, copied and freed by
 * the caller; NULL: none does, or no memory. */
char *lh_entry_home(const struct lh_entry *entry, int i, const char *home);
/* Its first value, likewise. */
char *lh_entry_text(const struct lh_entry *entry, int i);

/* --- the list of those who are to go ------------------------------------- */

/* The whole list is read before the first change.  A search that runs while its
 * own result shrinks may lose users: what a paging cookie means then is up to
 * the server.  It also means that a limit of the server stops us before we have
 * changed anything.  A user costs her DN and 24 bytes, and her address if it is wanted. */
struct lh_person {
	const char *dn;
	const char *was;     /* the old value as the directory spells it */
	const char *address; /* NULL: not wanted, or she has none */
};

struct lh_list {
	const struct lh_task *task;
	/* Told who stays; may be NULL. */
	void (*stays)(void *arg, const char *dn, const char *address, enum lh_stay why);
	void *arg;
	struct lh_chunk *chunks;
	struct lh_person *people;
	size_t n, cap;
	const char *from;         /* a copy of the task's, which may die before the list */
	uint64_t mid_move;        /* how many are in the middle of another move, go or not */
	char first_mid_move[300]; /* some of them by name */
};

int lh_list_add(struct lh_list *l, const struct lh_entry *entry, struct lh_error *e);
/* Adds all who are to go. */
int lh_list_read(struct lh_list *l, struct lh_conn *c, struct lh_error *e);
void lh_list_release(struct lh_list *l);

/* Adds dn to a line of names as long as there is room: "a; b; c". */
void lh_names_add(char *names, size_t size, const char *dn);
/* RESITE_ERR_REFUSED in words: n users are in the middle of another move. */
int lh_mid_move_refused(const struct lh_task *t, uint64_t n, const char *names,
			struct lh_error *e);

#endif
