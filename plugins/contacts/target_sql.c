/* The target of via = "sql": Kamailio's own table behind its XCAP server, in PostgreSQL.
 *
 * Lists are copied into a temporary table and put into the real one from there, a batch in each
 * transaction, as rows like those that xcap_server writes.  Two connections take turns: while the
 * server inserts the rows of one, the other takes the next.  What a client would be given is
 * asked of the XCAP server itself.
 */
#include "plugins/contacts/target_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* The version of Kamailio's table that we know. */
#define TABLE_VERSION "4"

/* --- parameters ------------------------------------------------------------------- */

static int
sql_check(struct call *c, const char **ret_param)
{
	static const char *const needed[] = {"database_server", "database_user"};
	const char *table = call_str(c, "table");

	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (!call_str(c, needed[i])) {
			*ret_param = needed[i];
			return fault_set(&c->f, RESITE_ERR_INVALID,
					 "via = \"sql\" needs '%s'", needed[i]);
		}
	if (table[strspn(table, "abcdefghijklmnopqrstuvwxyz0123456789_.")] || strlen(table) > 128) {
		*ret_param = "table";
		return fault_set(&c->f, RESITE_ERR_INVALID,
				 "'%s' is no name of a table: small letters, digits, _ and .", table);
	}
	return RESITE_OK;
}

static int
read_password(struct sql *s, struct call *c)
{
	const char *ref = call_str(c, "database_password");
	int len = ref ? c->host->secret(c->op, ref, s->password, sizeof s->password - 1) : 0;

	if (len < 0 || len >= (int)sizeof s->password)
		return fault_set(&c->f, RESITE_ERR_INVALID, "database_password cannot be read, or is "
				 "longer than %zu bytes", sizeof s->password - 1);
	while (len && (s->password[len - 1] == '\n' || s->password[len - 1] == '\r'))
		len--;
	s->password[len] = '\0';
	return RESITE_OK;
}

/* "/xcap-root" of "http://host:port/xcap-root/". */
static void
find_path(struct sql *s, const char *url)
{
	const char *host = strstr(url, "://"), *path = host ? strchr(host + 3, '/') : NULL;
	size_t len = path ? strlen(path) : 0;

	while (len && path[len - 1] == '/')
		len--;
	snprintf(s->path, sizeof s->path, "%.*s", (int)len, path ? path : "");
}

/* --- pieces ------------------------------------------------------------------------ */

int
sql_failed(struct sql *s, const struct pg *pg, int rc)
{
	return fault_set(&s->fault, rc, "%s", pg->err);
}

size_t
sql_add_name(struct buf *names, const char *text)
{
	size_t at = names->len;

	buf_add(names, text, strlen(text) + 1);
	return at;
}

void
sql_add_uri(const struct sql *s, struct buf *names, const char *user)
{
	buf_puts(names, s->path);
	buf_puts(names, "/resource-lists/users/");
	target_xui(names, user);
	buf_add(names, "/index", sizeof "/index");
}

void
sql_add_array(struct buf *out, const struct lane *lane, size_t lo, size_t hi, bool etags)
{
	buf_puts(out, "{");
	for (size_t i = lo; i < hi; i++) {
		const struct item *item = &lane->items[i];
		const char *p = lane->names.p + (etags ? item->etag : item->uri);

		buf_puts(out, i > lo ? ",\"" : "\"");
		for (; *p; p++) {
			if (*p == '"' || *p == '\\')
				buf_add(out, "\\", 1);
			buf_add(out, p, 1);
		}
		buf_puts(out, "\"");
	}
	buf_add(out, "}", 2);
}

void
sql_empty_lane(struct lane *lane)
{
	lane->n = 0;
	lane->sent = 0;
	lane->inserting = false;
	buf_clear(&lane->rows);
	buf_clear(&lane->names);
}

/* --- connecting ------------------------------------------------------------------- */

/* What must be so before the first row is written: a query that says true, and what to say
 * otherwise. */
static const struct {
	const char *sql; /* of one value; $1: the table */
	const char *want, *otherwise;
} needs[] = {
	{"select coalesce(to_regclass($1)::text, '') <> ''", "t", "there is no table of that name"},
	{"select pg_is_in_recovery()", "f", "this server is a standby: promote it first"},
	{"select current_setting('transaction_read_only') = 'on'", "f",
	 "this server takes no writes (default_transaction_read_only)"},
	{"select coalesce((select table_version::text from version where table_name = "
	 "split_part($1, '.', greatest(1, 1 + length($1) - length(replace($1, '.', ''))))), 'none')",
	 TABLE_VERSION, "Kamailio's table 'version' names another version of it, and only version "
	 TABLE_VERSION " (Kamailio 4.0 to 5.8) can be written"},
	{"select has_table_privilege($1, 'select') and has_table_privilege($1, 'insert') and "
	 "has_table_privilege($1, 'update')", "t",
	 "the user needs the rights SELECT, INSERT and UPDATE on it"},
	{"select coalesce(has_sequence_privilege(pg_get_serial_sequence($1, 'id'), 'usage'), true)",
	 "t", "the user needs the right USAGE on the sequence of its column id"},
	{"select has_database_privilege(current_database(), 'temp')", "t",
	 "the user needs the right TEMPORARY on the database"},
};

static int
look_at_table(struct sql *s, struct pg *pg)
{
	const char *params[] = {s->table};

	for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
		PGresult *r = NULL;
		bool param = strstr(needs[i].sql, "$1") != NULL, good;
		int rc = pg_ask(pg, &r, false, needs[i].sql, param, params);

		if (rc != RESITE_OK)
			return sql_failed(s, pg, rc);
		good = PQntuples(r) == 1 && !strcmp(PQgetvalue(r, 0, 0), needs[i].want);
		if (!good)
			fault_set(&s->fault, RESITE_ERR_REFUSED, "%s: table %s: %s (answer: '%.40s')",
				  pg->where, s->table, needs[i].otherwise,
				  PQntuples(r) == 1 ? PQgetvalue(r, 0, 0) : "nothing");
		PQclear(r);
		if (!good)
			return s->fault.rc;
	}
	return RESITE_OK;
}

static const char batch_sql[] =
	"create temporary table resite_batch (username text, domain text, doc bytea, etag text, "
	"doc_uri text, was text) on commit delete rows";

static int
connect_lane(struct sql *s, bool writes)
{
	struct lane *lane = &s->lanes[s->n_lanes];
	int rc = pg_open(&lane->pg, &s->login);

	s->n_lanes++; /* to be closed in any case */
	if (rc != RESITE_OK)
		return sql_failed(s, &lane->pg, rc);
	if (s->n_lanes == 1 && look_at_table(s, &lane->pg) < 0)
		return s->fault.rc;
	rc = writes ? pg_do(&lane->pg, batch_sql, NULL) : RESITE_OK;
	return rc == RESITE_OK ? RESITE_OK : sql_failed(s, &lane->pg, rc);
}

static int
connect_all(struct sql *s, struct target *t)
{
	struct call *c = t->call;
	bool writes = t->use == TARGET_PUT;

	s->login = (struct pg_login){
		.op = c->op, .host = c->host,
		.server = call_str(c, "database_server"), .database = call_str(c, "database"),
		.user = call_str(c, "database_user"), .password = s->password,
		.tls = call_str(c, "database_tls"), .ca_file = call_str(c, "ca_file"),
		.application = "resite contacts", .patience_ms = call_i64(c, "timeout"),
	};
	if (read_password(s, c) < 0)
		return c->f.rc;
	for (unsigned i = 0; i < (writes ? LANES : 1); i++)
		if (connect_lane(s, writes) < 0) {
			c->f = s->fault;
			return c->f.rc;
		}
	return RESITE_OK;
}

static int
sql_open(struct target *t)
{
	struct sql *s = calloc(1, sizeof *s);
	struct call *c = t->call;

	t->inner = s;
	if (s)
		s->lanes = calloc(LANES, sizeof *s->lanes);
	if (!s || !s->lanes)
		return fault_memory(&c->f);
	find_path(s, call_str(c, "server"));
	snprintf(s->table, sizeof s->table, "%s", call_str(c, "table"));
	s->began_s = wall_ms() / 1000;
	/* So that no two loads give the same etags, were they made in the same second. */
	if (getrandom(&s->etags, sizeof s->etags, GRND_NONBLOCK) != sizeof s->etags)
		s->etags = (uint64_t)wall_ms();
	s->etags >>= 16;
	if (connect_all(s, t) < 0)
		return c->f.rc;
	if (t->use == TARGET_READ_BACK) {
		struct xcap_options options = call_xcap(c, t->answer, t->arg);

		s->xcap = xcap_new(&options, &c->f);
		return s->xcap ? RESITE_OK : c->f.rc;
	}
	return RESITE_OK;
}

static void
sql_close(struct target *t)
{
	struct sql *s = t->inner;

	if (!s)
		return;
	for (unsigned i = 0; i < s->n_lanes; i++) {
		pg_close(&s->lanes[i].pg);
		buf_release(&s->lanes[i].rows);
		buf_release(&s->lanes[i].names);
	}
	xcap_free(s->xcap);
	explicit_bzero(s->password, sizeof s->password);
	free(s->lanes);
	free(s);
	t->inner = NULL;
}

/* --- looking -------------------------------------------------------------------------- */

static const char look_sql[] =
	"select x.etag, x.doc from unnest($1::text[]) with ordinality u(uri, n) "
	"left join %s x on x.doc_uri = u.uri order by u.n";
#define LOOK_ROWS 250

static int
answer_look(struct target *t, struct lane *lane, const PGresult *r)
{
	struct sql *s = t->inner;

	if ((size_t)PQntuples(r) != lane->n)
		return fault_set(&s->fault, RESITE_ERR_REFUSED,
				 "%s: table %s has %d rows for %zu addresses: is doc_uri not unique?",
				 lane->pg.where, s->table, PQntuples(r), lane->n);
	for (size_t i = 0; i < lane->n; i++) {
		const struct item *item = &lane->items[i];
		bool there = !PQgetisnull(r, (int)i, 1);
		struct reply reply = {
			.index = item->index, .user = lane->names.p + item->user,
			.status = there ? 200 : 404, .etag = "", .words = "",
			.sent = lane->rows.p ? lane->rows.p + item->row : NULL,
			.sent_len = item->end - item->row,
		};

		if (there) {
			reply.body = PQgetvalue(r, (int)i, 1);
			reply.len = (size_t)PQgetlength(r, (int)i, 1);
			reply.etag = PQgetvalue(r, (int)i, 0);
		}
		if (t->answer(t->arg, &reply, &s->fault) < 0)
			return s->fault.rc;
	}
	return RESITE_OK;
}

static int
look_all(struct target *t, struct lane *lane)
{
	struct sql *s = t->inner;
	struct buf uris = {0};
	PGresult *r = NULL;
	char sql[400];
	int rc;

	if (lane->n == 0)
		return RESITE_OK;
	snprintf(sql, sizeof sql, look_sql, s->table);
	sql_add_array(&uris, lane, 0, lane->n, false);
	if (uris.failed) {
		rc = fault_memory(&s->fault);
	} else {
		rc = pg_ask(&lane->pg, &r, true, sql, 1, (const char *const[]){uris.p});
		rc = rc == RESITE_OK ? answer_look(t, lane, r) : sql_failed(s, &lane->pg, rc);
	}
	PQclear(r);
	buf_release(&uris);
	sql_empty_lane(lane);
	return rc;
}

static int
look_row(struct target *t, const struct document *d)
{
	struct sql *s = t->inner;
	struct lane *lane = &s->lanes[0];
	struct item *item = &lane->items[lane->n++];

	*item = (struct item){.index = d->index, .user = sql_add_name(&lane->names, d->user),
			      .row = lane->rows.len};
	item->uri = lane->names.len;
	sql_add_uri(s, &lane->names, d->user);
	buf_add(&lane->rows, d->body, d->len);
	item->end = lane->rows.len;
	if (lane->rows.failed || lane->names.failed)
		return fault_memory(&s->fault);
	return lane->n == LOOK_ROWS || lane->rows.len >= BATCH_BYTES ? look_all(t, lane) : RESITE_OK;
}

static int
sql_put(struct target *t, const struct document *d, const char *etag, struct fault *f)
{
	struct sql *s = t->inner;

	if (s->fault.rc == RESITE_OK)
		sql_put_row(t, d, etag);
	if (s->fault.rc != RESITE_OK)
		*f = s->fault;
	return s->fault.rc;
}

static int
sql_get(struct target *t, const struct document *d, struct fault *f)
{
	struct sql *s = t->inner;

	if (s->xcap)
		return xcap_get(s->xcap, d->index, d->user, d->body, d->len, f);
	if (s->fault.rc == RESITE_OK)
		look_row(t, d);
	if (s->fault.rc != RESITE_OK)
		*f = s->fault;
	return s->fault.rc;
}

static int
sql_drain(struct target *t, struct fault *f)
{
	struct sql *s = t->inner;

	if (s->xcap)
		return xcap_drain(s->xcap, f);
	if (s->fault.rc == RESITE_OK && t->use == TARGET_LOOK)
		look_all(t, &s->lanes[0]);
	else if (s->fault.rc == RESITE_OK && t->use == TARGET_PUT)
		sql_put_rest(t);
	if (s->fault.rc != RESITE_OK)
		*f = s->fault;
	return s->fault.rc;
}

const struct target_kind target_sql = {
	.name = "sql",
	.stored_apart = true,
	.check = sql_check,
	.open = sql_open,
	.get = sql_get,
	.put = sql_put,
	.drain = sql_drain,
	.close = sql_close,
};
