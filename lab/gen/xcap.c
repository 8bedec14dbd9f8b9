/* RFC 4826 documents, and the table in which Kamailio's xcap_server keeps them:
 * rows as a PUT would leave them, without 100,000 PUTs. */
#include "lab/gen/outputs.h"
#include "lab/gen/text.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOC_TYPE_RESOURCE_LISTS = 4 };

static void
put_entry(struct text *t, const struct contact *c)
{
	text_str(t, "    <entry uri=\"sip:");
	text_xml(t, c->address);
	if (!c->name[0]) {
		text_str(t, "\"/>\n");
		return;
	}
	text_str(t, "\"><display-name>");
	text_xml(t, c->name);
	text_str(t, "</display-name></entry>\n");
}

static void
put_list(struct text *t, const struct contact_list *list, unsigned g)
{
	const char *name = strcmp(list->groups[g], "~") == 0 ? "Other Contacts" : list->groups[g];

	text_str(t, "  <list name=\"");
	text_xml(t, name);
	text_str(t, "\">\n    <display-name>");
	text_xml(t, name);
	text_str(t, "</display-name>\n");
	for (unsigned i = 0; i < list->n_contacts; i++)
		if (list->contacts[i].groups >> g & 1)
			put_entry(t, &list->contacts[i]);
	text_str(t, "  </list>\n");
}

static void
put_document(struct text *t, const struct crowd *crowd, unsigned n)
{
	struct contact_list list;

	contacts_of(crowd, n, &list);
	text_str(t, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		    "<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\">\n");
	for (unsigned g = 0; g < list.n_groups; g++)
		put_list(t, &list, g);
	text_str(t, "</resource-lists>\n");
}

int
write_document(const struct crowd *crowd, unsigned n)
{
	struct text t = { 0 };

	put_document(&t, crowd, n);
	fwrite(t.data, 1, t.len, stdout);
	text_release(&t);
	return 0;
}

static int
complain(sqlite3 *db, const char *path, const char *what)
{
	fprintf(stderr, "gen: %s: %s: %s\n", path, what, sqlite3_errmsg(db));
	return -1;
}

static int
read_file(const char *path, struct text *ret_text)
{
	char part[4096];
	size_t n;
	FILE *f = fopen(path, "r");

	if (!f) {
		perror(path);
		return -1;
	}
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		text_add(ret_text, part, n);
	text_add(ret_text, "", 1);
	if (ferror(f)) {
		perror(path);
		fclose(f);
		return -1;
	}
	fclose(f);
	return 0;
}

static int
run_script(sqlite3 *db, const char *path, const char *script)
{
	struct text sql = { 0 };
	int r = read_file(script, &sql);

	if (r == 0 && sqlite3_exec(db, sql.data, NULL, NULL, NULL) != SQLITE_OK)
		r = complain(db, path, script);
	text_release(&sql);
	return r;
}

static int
insert_document(sqlite3_stmt *insert, struct text *doc, const struct crowd *crowd, unsigned n)
{
	struct person p;
	char uri[256], etag[64];

	person_at(crowd, n, &p);
	snprintf(uri, sizeof(uri), "/xcap-root/resource-lists/users/sip:%s@%s/index", p.id,
		 crowd->domain);
	snprintf(etag, sizeof(etag), "lab-%llu-%u", (unsigned long long)crowd->seed, n);
	doc->len = 0;
	put_document(doc, crowd, n);
	sqlite3_bind_text(insert, 1, p.id, -1, SQLITE_STATIC);
	sqlite3_bind_text(insert, 2, crowd->domain, -1, SQLITE_STATIC);
	sqlite3_bind_blob(insert, 3, doc->data, (int)doc->len, SQLITE_STATIC);
	sqlite3_bind_int(insert, 4, DOC_TYPE_RESOURCE_LISTS);
	sqlite3_bind_text(insert, 5, etag, -1, SQLITE_STATIC);
	sqlite3_bind_text(insert, 6, uri, -1, SQLITE_STATIC);
	return sqlite3_step(insert) == SQLITE_DONE && sqlite3_reset(insert) == SQLITE_OK ? 0 : -1;
}

static int
insert_all(sqlite3 *db, const char *path, const struct crowd *crowd)
{
	static const char sql[] =
		"INSERT INTO xcap (username, domain, doc, doc_type, etag, source, doc_uri, port)"
		" VALUES (?, ?, ?, ?, ?, 0, ?, 0)";
	sqlite3_stmt *insert = NULL;
	struct text doc = { 0 };
	int r = 0;

	if (sqlite3_prepare_v2(db, sql, -1, &insert, NULL) != SQLITE_OK)
		return complain(db, path, "INSERT");
	for (unsigned n = 1; n <= crowd->users && r == 0; n++)
		r = insert_document(insert, &doc, crowd, n);
	if (r < 0)
		complain(db, path, "INSERT");
	sqlite3_finalize(insert);
	text_release(&doc);
	return r;
}

static int
fill(sqlite3 *db, const char *path, const struct crowd *crowd, char *const *scripts, int empty)
{
	/* The file is new: if this is interrupted, all of it is thrown away. */
	if (sqlite3_exec(db, "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF; BEGIN", NULL, NULL,
			 NULL) != SQLITE_OK)
		return complain(db, path, "BEGIN");
	for (; *scripts; scripts++)
		if (run_script(db, path, *scripts) < 0)
			return -1;
	if (!empty && insert_all(db, path, crowd) < 0)
		return -1;
	if (sqlite3_exec(db, "COMMIT; PRAGMA journal_mode=WAL", NULL, NULL, NULL) != SQLITE_OK)
		return complain(db, path, "COMMIT");
	return 0;
}

int
write_xcap(const struct crowd *crowd, const char *path, char *const *scripts, int empty)
{
	sqlite3 *db = NULL;
	int r;

	if (sqlite3_open(path, &db) != SQLITE_OK)
		r = complain(db, path, "open");
	else
		r = fill(db, path, crowd, scripts, empty);
	if (sqlite3_close(db) != SQLITE_OK)
		r = complain(db, path, "close");
	return r;
}
