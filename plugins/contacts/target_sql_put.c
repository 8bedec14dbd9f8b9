/* The putting side of via = "sql": rows, batches, and connections that take turns. */
#include "plugins/contacts/lists.h"
#include "plugins/contacts/target_sql.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE (256 * 1024)
/* What xcap_server writes for resource-lists. */
#define DOC_TYPE "4"

/* --- rows --------------------------------------------------------------------------- */

static void
add_field(struct buf *out, const char *data, size_t len)
{
	uint32_t n = htonl((uint32_t)len);

	buf_add(out, &n, sizeof n);
	buf_add(out, data, len);
}

static void
add_null(struct buf *out)
{
	uint32_t n = htonl(UINT32_MAX);

	buf_add(out, &n, sizeof n);
}

/* xcap_server takes user and host from the XUI as it stands in the path. */
static void
split_xui(const char *uri, const char **user, size_t *n_user, const char **host, size_t *n_host)
{
	const char *xui = strstr(uri, "/resource-lists/users/") + strlen("/resource-lists/users/");
	const char *end = xui + strlen(xui) - strlen("/index"), *at;

	if (!strncmp(xui, "sip:", 4))
		xui += 4;
	at = strchr(xui, '@');
	if (!at || at > end)
		at = end;
	*user = xui;
	*n_user = (size_t)(at - xui);
	*host = at < end ? at + 1 : end;
	*n_host = (size_t)(end - *host);
}

/* A list that is no XML would be taken by the table, and then the server could not hand it out. */
static size_t
find_bad(struct lane *lane, const struct document *d)
{
	struct lists_counts counts;
	struct fault why;

	return lists_count(d->body, d->len, &counts, &why) < 0 ? sql_add_name(&lane->names, why.text)
							       : 0;
}

static void
add_row(struct sql *s, struct lane *lane, const struct document *d, const char *was, bool doubtful)
{
	struct item *item = &lane->items[lane->n++];
	uint16_t fields = htons(6);
	const char *uri, *user, *host;
	size_t n_user, n_host;
	char etag[80];

	*item = (struct item){.index = d->index, .user = sql_add_name(&lane->names, d->user),
			      .row = lane->rows.len};
	item->bad = doubtful ? find_bad(lane, d) : 0;
	item->uri = lane->names.len;
	sql_add_uri(s, &lane->names, d->user);
	/* The form of the server's own: when, who, and a number. */
	snprintf(etag, sizeof etag, "sr-%" PRId64 "-%ld-%" PRIu64, s->began_s, (long)getpid(),
		 ++s->etags);
	item->etag = sql_add_name(&lane->names, etag);
	item->end = lane->rows.len;
	if (lane->names.failed || item->bad)
		return;
	uri = lane->names.p + item->uri;
	split_xui(uri, &user, &n_user, &host, &n_host);
	buf_add(&lane->rows, &fields, sizeof fields);
	add_field(&lane->rows, user, n_user);
	add_field(&lane->rows, host, n_host);
	add_field(&lane->rows, d->body, d->len);
	add_field(&lane->rows, etag, strlen(etag));
	add_field(&lane->rows, uri, strlen(uri));
	if (was)
		add_field(&lane->rows, was, strlen(was));
	else
		add_null(&lane->rows);
	item->end = lane->rows.len;
}

/* --- a batch -------------------------------------------------------------------------- */

static const char copy_head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
#define COPY_HEAD_LEN 19
static const char copy_end[] = "\377\377";

static int
begin_copy(struct pg *pg)
{
	int rc = pg_copy_begin(pg, "begin; copy resite_batch from stdin (format binary)");

	return rc == RESITE_OK ? pg_copy_data(pg, copy_head, COPY_HEAD_LEN) : rc;
}

static int
end_copy(struct pg *pg)
{
	int rc = pg_copy_data(pg, copy_end, 2);

	return rc == RESITE_OK ? pg_copy_end(pg) : rc;
}

/* What becomes of the batch in the real table. */
static const char replace_sql[] =
	"insert into %s as x (username, domain, doc, doc_type, etag, source, doc_uri, port) "
	"select username, domain, doc, " DOC_TYPE ", etag, 0, doc_uri, 0 from resite_batch "
	"on conflict (doc_uri) do update set doc = excluded.doc, etag = excluded.etag, "
	"username = excluded.username, domain = excluded.domain, doc_type = excluded.doc_type, "
	"source = 0, port = 0; commit";
static const char conditional_sql[] =
	"update %s x set doc = b.doc, etag = b.etag, source = 0, port = 0 from resite_batch b "
	"where x.doc_uri = b.doc_uri and (b.was is null or (b.was <> '' and x.etag = b.was)); "
	"insert into %s (username, domain, doc, doc_type, etag, source, doc_uri, port) "
	"select username, domain, doc, " DOC_TYPE ", etag, 0, doc_uri, 0 from resite_batch "
	"where was is null or was = '' on conflict (doc_uri) do nothing; commit";
/* Which of the batch are not there now: those that a condition held back. */
static const char missing_sql[] =
	"select u.n - 1 from unnest($1::text[], $2::text[]) with ordinality u(uri, etag, n) "
	"where not exists (select 1 from %s x where x.doc_uri = u.uri and x.etag = u.etag)";

static int
send_insert(struct sql *s, struct pg *pg)
{
	char sql[1600];

	if (s->conditional)
		snprintf(sql, sizeof sql, conditional_sql, s->table, s->table);
	else
		snprintf(sql, sizeof sql, replace_sql, s->table);
	return pg_send(pg, sql);
}

static int
answer(struct target *t, const struct lane *lane, const struct item *item, long status,
       const char *words)
{
	struct sql *s = t->inner;
	const struct reply reply = {
		.index = item->index, .user = lane->names.p + item->user, .status = status,
		.etag = "", .words = words,
	};

	return t->answer(t->arg, &reply, &s->fault);
}

/* An error of this row, not of the server or of what we are allowed to do: the rest can go on. */
static bool
is_about_data(const char *state)
{
	return !strncmp(state, "21", 2) || !strncmp(state, "22", 2) || !strncmp(state, "23", 2) ||
	       !strncmp(state, "P0001", 5) || !strncmp(state, "54", 2);
}

/* Marks in held the items that a condition held back. */
static int
find_held(struct sql *s, struct lane *lane, size_t lo, size_t hi, bool held[BATCH_ROWS])
{
	struct buf uris = {0}, etags = {0};
	PGresult *r = NULL;
	char sql[400];
	int rc;

	snprintf(sql, sizeof sql, missing_sql, s->table);
	sql_add_array(&uris, lane, lo, hi, false);
	sql_add_array(&etags, lane, lo, hi, true);
	if (uris.failed || etags.failed)
		rc = fault_memory(&s->fault);
	else if ((rc = pg_ask(&lane->pg, &r, false, sql, 2,
			      (const char *const[]){uris.p, etags.p})) != RESITE_OK)
		sql_failed(s, &lane->pg, rc);
	for (int i = 0; r && i < PQntuples(r); i++) {
		size_t n = strtoull(PQgetvalue(r, i, 0), NULL, 10);

		if (n < hi - lo)
			held[lo + n] = true;
	}
	PQclear(r);
	buf_release(&uris);
	buf_release(&etags);
	return rc;
}

static size_t
count_rows(const struct lane *lane, size_t lo, size_t hi)
{
	size_t n = 0;

	for (size_t i = lo; i < hi; i++)
		n += lane->items[i].bad == 0;
	return n;
}

/* The batch is committed: each item's answer. */
static int
answer_range(struct target *t, struct lane *lane, size_t lo, size_t hi)
{
	struct sql *s = t->inner;
	size_t rows = count_rows(lane, lo, hi);
	bool held[BATCH_ROWS] = {false};

	if (lane->pg.touched != rows && !s->conditional)
		return fault_set(&s->fault, RESITE_ERR_REFUSED,
				 "%s: table %s took %" PRIu64 " of %zu rows and said no error: is there "
				 "a trigger or a rule on it?", lane->pg.where, s->table,
				 lane->pg.touched, rows);
	if (lane->pg.touched != rows && find_held(s, lane, lo, hi, held) < 0)
		return s->fault.rc;
	for (size_t i = lo; i < hi; i++) {
		const struct item *item = &lane->items[i];
		int rc;

		if (item->bad)
			rc = answer(t, lane, item, 400, lane->names.p + item->bad);
		else if (held[i])
			rc = answer(t, lane, item, 412, "another list is there by now");
		else
			rc = answer(t, lane, item, 200, "");
		if (rc < 0)
			return s->fault.rc;
	}
	return RESITE_OK;
}

/* Items lo to hi, at once and waited for. */
static int
put_range(struct sql *s, struct lane *lane, size_t lo, size_t hi)
{
	struct pg *pg = &lane->pg;
	const char *rows = lane->rows.p + lane->items[lo].row;
	size_t len = lane->items[hi - 1].end - lane->items[lo].row;
	int rc = begin_copy(pg);

	if (rc == RESITE_OK)
		rc = pg_copy_data(pg, rows, len);
	if (rc == RESITE_OK)
		rc = end_copy(pg);
	if (rc == RESITE_OK)
		rc = send_insert(s, pg);
	if (rc == RESITE_OK)
		rc = pg_finish(pg, NULL);
	return rc;
}

/* The words of the error before it stay. */
static int
roll_back(struct sql *s, struct pg *pg)
{
	char err[sizeof pg->err];
	int rc;

	memcpy(err, pg->err, sizeof err);
	rc = pg_do(pg, "rollback", NULL);
	if (rc != RESITE_OK)
		return sql_failed(s, pg, rc);
	memcpy(pg->err, err, sizeof err);
	return RESITE_OK;
}

/* The table does not take some row of these: halves find which, and the others go in. */
static int
put_halves(struct target *t, struct lane *lane, size_t lo, size_t hi)
{
	struct sql *s = t->inner;
	size_t mid = lo + (hi - lo) / 2;
	int rc = put_range(s, lane, lo, hi);

	if (rc == RESITE_OK)
		return answer_range(t, lane, lo, hi);
	if (!is_about_data(lane->pg.state))
		return sql_failed(s, &lane->pg, rc);
	if (roll_back(s, &lane->pg) < 0)
		return s->fault.rc;
	if (hi - lo == 1)
		return answer(t, lane, &lane->items[lo], 400, lane->pg.err);
	return put_halves(t, lane, lo, mid) < 0 ? s->fault.rc : put_halves(t, lane, mid, hi);
}

/* --- the lanes ------------------------------------------------------------------------ */

static int collect(struct target *t, struct lane *lane);

/* A batch that failed with rc: row by row when it is a row's fault, else the end.  Older batches
 * are answered first. */
static int
batch_failed(struct target *t, struct lane *lane, int rc)
{
	struct sql *s = t->inner;

	if (!is_about_data(lane->pg.state))
		return sql_failed(s, &lane->pg, rc);
	lane->inserting = false;
	for (unsigned i = 0; i < s->n_lanes; i++)
		if (&s->lanes[i] != lane && collect(t, &s->lanes[i]) < 0)
			return s->fault.rc;
	if (roll_back(s, &lane->pg) < 0 || put_halves(t, lane, 0, lane->n) < 0)
		return s->fault.rc;
	sql_empty_lane(lane);
	return RESITE_OK;
}

/* Waits for the answer to a lane's INSERT. */
static int
collect(struct target *t, struct lane *lane)
{
	struct sql *s = t->inner;
	int rc;

	if (!lane->inserting)
		return RESITE_OK;
	rc = pg_finish(&lane->pg, NULL);
	if (rc != RESITE_OK)
		return batch_failed(t, lane, rc);
	if (answer_range(t, lane, 0, lane->n) < 0)
		return s->fault.rc;
	sql_empty_lane(lane);
	return RESITE_OK;
}

/* Hands what is not sent yet to the COPY. */
static int
send_rows(struct lane *lane)
{
	int rc = pg_copy_data(&lane->pg, lane->rows.p + lane->sent, lane->rows.len - lane->sent);

	lane->sent = lane->rows.len;
	return rc;
}

/* The batch is whole: its INSERT begins, and the next lane is the one that takes rows. */
static int
end_batch(struct target *t, struct lane *lane)
{
	struct sql *s = t->inner;
	int rc = send_rows(lane);

	if (rc == RESITE_OK)
		rc = end_copy(&lane->pg);
	if (rc == RESITE_OK)
		rc = send_insert(s, &lane->pg);
	if (rc != RESITE_OK)
		return batch_failed(t, lane, rc);
	lane->inserting = true;
	s->at = (s->at + 1) % s->n_lanes;
	return collect(t, &s->lanes[s->at]);
}

int
sql_put_row(struct target *t, const struct document *d, const char *etag)
{
	struct sql *s = t->inner;
	struct lane *lane = &s->lanes[s->at];
	int rc;

	if (lane->n == 0 && (rc = begin_copy(&lane->pg)) != RESITE_OK)
		return sql_failed(s, &lane->pg, rc);
	s->conditional = s->conditional || etag;
	add_row(s, lane, d, etag, t->doubtful);
	if (lane->rows.failed || lane->names.failed)
		return fault_memory(&s->fault);
	if (lane->n == BATCH_ROWS || lane->rows.len >= BATCH_BYTES)
		return end_batch(t, lane);
	if (lane->rows.len - lane->sent >= PIECE && (rc = send_rows(lane)) != RESITE_OK)
		return sql_failed(s, &lane->pg, rc);
	return RESITE_OK;
}

int
sql_put_rest(struct target *t)
{
	struct sql *s = t->inner;

	if (s->lanes[s->at].n > 0)
		end_batch(t, &s->lanes[s->at]);
	for (unsigned i = 0; i < s->n_lanes && s->fault.rc == RESITE_OK; i++)
		collect(t, &s->lanes[(s->at + i) % s->n_lanes]);
	return s->fault.rc;
}
