/* set.h -- a saved chat database: a set of the vault. */
#ifndef GROUPCHAT_SET_H
#define GROUPCHAT_SET_H

#include "plugins/groupchat/database.h"
#include "sdk/vault/vault.h"

#define SET_KIND "chat-database/1"
#define SET_MSSQL_KIND "chat-mssql/1" /* no payload: the backup's file is the server's */
/* The checkpoint that holds the name of the set that a step has written in this run. */
#define SET_WRITTEN "written"
#define SET_DUMP "chat.dump"
#define SET_TOOL "resite groupchat " GROUPCHAT_VERSION

struct set {
	struct vault_set *vault;
	struct inventory tables;
	struct database_form form;
	char mark[DATABASE_MARK_MAX]; /* what a database restored from it is marked with */
	char note[VAULT_NOTE_MAX];    /* "" or what is to be said of its age */
	int64_t age_ms;
	char *path;                   /* of the dump in plain, for programs that we start; set_dump */
	int fd;                       /* that it is read from, or -1 */
};

/* Opens the set of kind that the step names.  flags: VAULT_MANIFEST_ONLY, or 0 to prove every
 * byte. */
int set_open(const struct call *c, const char *kind, unsigned flags, struct set *ret);
/* Opens the set that a database is marked with, by its manifest alone; RESITE_PENDING: the vault
 * does not have it any more. */
int set_open_of_mark(const struct call *c, const char *mark, struct set *ret);
/* Makes s->path: of a set that was opened with 0.  An encrypted dump is decrypted into a file
 * without a name beside the sets. */
int set_dump(const struct call *c, struct set *s);
void set_close(struct set *s);

/* The newest set's manifest; NULL when there is none, or when it is damaged: then a new set is
 * wanted all the more. */
struct vault_set *set_newest(const struct call *c);
/* Was it written by this step in this run, or is it as young as the plan allows? */
bool set_is_fresh(const struct call *c, const struct vault_set *set, const char *kind);

/* A file without a name in the vault's folder, readable by programs that we start under path:
 * whatever ends this process, nothing is left of it. */
int nameless_file(const struct call *c, int *ret_fd, char path[32]);

#endif
