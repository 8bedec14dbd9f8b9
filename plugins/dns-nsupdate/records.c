/* The records that a plan gives, and in which of its zones each of them is. */
#include "config.h"

#include "plugins/dns-nsupdate/step.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t"

/* Where records go: what is wanted, or what is expected. */
struct sink {
	struct step *s;
	const char *param; /* for failures */
	bool expected;
	uint32_t ttl;
	const char *path;  /* of the file that is read, or NULL */
	unsigned line;     /* in it */
};

static struct rrset_list *
list_of(const struct sink *k, struct zone *z)
{
	return k->expected ? &z->expect : &z->set;
}

__attribute__((format(printf, 2, 3))) static int
bad_record(const struct sink *k, const char *fmt, ...)
{
	char text[RESITE_EASY_MAX];
	va_list ap;

	va_start(ap, fmt);
	resite_easy_vformat(text, fmt, ap);
	va_end(ap);
	if (k->path)
		return resite_fail(k->s->op, k->s->host, RESITE_ERR_INVALID, k->param, "%s:%u: %s",
				   k->path, k->line, text);
	return resite_fail(k->s->op, k->s->host, RESITE_ERR_INVALID, k->param, "%s", text);
}

/* Of records that give none. */
static uint32_t
default_ttl(const struct step *s)
{
	return (uint32_t)(resite_i64_or(s->op, s->host, "ttl", 0) / 1000);
}

/* --- which zone ------------------------------------------------------------------ */

static bool
ends_in(const uint8_t *name, size_t len, const uint8_t *zone, size_t zone_len)
{
	for (size_t at = 0; at < len && len - at >= zone_len; at += name[at] + 1u)
		if (len - at == zone_len)
			return !memcmp(name + at, zone, zone_len);
	return false;
}

struct zone *
step_zone_of(const struct step *s, const uint8_t *name, size_t len)
{
	struct zone *best = NULL;

	for (size_t i = 0; i < s->n_zones; i++) {
		struct zone *z = &s->zones[i];

		if ((!best || ldns_rdf_size(z->name) > ldns_rdf_size(best->name)) &&
		    ends_in(name, len, ldns_rdf_data(z->name), ldns_rdf_size(z->name)))
			best = z;
	}
	return best;
}

static struct zone *
zone_of_text(const struct step *s, const char *name, size_t len)
{
	struct zone *z = NULL;
	ldns_rdf *rdf = NULL;
	char *copy = strndup(name, len);

	if (copy && ldns_str2rdf_dname(&rdf, copy) == LDNS_STATUS_OK) {
		ldns_dname2canonical(rdf);
		z = step_zone_of(s, ldns_rdf_data(rdf), ldns_rdf_size(rdf));
	}
	ldns_rdf_deep_free(rdf);
	free(copy);
	return z;
}

static bool
is_absolute(const char *name, size_t len)
{
	return len > 0 && name[len - 1] == '.' && (len < 2 || name[len - 2] != '\\');
}

/* --- one record ------------------------------------------------------------------ */

/* Without a zone everything in a record is absolute: data that is not would end at the
 * root, which nobody means. */
static bool
data_is_absolute(const char *text)
{
	size_t len = strlen(text);

	if (!strcasestr(text, " SRV ") && !strcasestr(text, " CNAME "))
		return true;
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	return len && text[len - 1] == '.';
}

/* "sip.contoso.example. 60 A …" is written as "sip 60 A …", which is read much faster. */
static char *
relative_to(const struct zone *z, const char *text, size_t owner_len)
{
	size_t zone_len = strlen(z->text);
	char *line;

	if (owner_len <= zone_len + 1 || memchr(text, '\\', owner_len) ||
	    text[owner_len - zone_len - 1] != '.' ||
	    strncasecmp(text + owner_len - zone_len, z->text, zone_len))
		return NULL;
	return asprintf(&line, "%.*s%s", (int)(owner_len - zone_len - 1), text, text + owner_len) < 0
		       ? NULL
		       : line;
}

static int
add_absolute(const struct sink *k, const char *text, size_t owner_len)
{
	struct zone *z = zone_of_text(k->s, text, owner_len);
	struct rrset_error err;
	char *line;
	bool ok;

	if (!z)
		return bad_record(k, "'%.200s': its owner is in none of the zones of 'zone'", text);
	line = relative_to(z, text, owner_len);
	ok = rrset_add_text(list_of(k, z), line ? line : text, z->name, k->ttl, &err);
	free(line);
	return ok ? RESITE_OK : bad_record(k, "%s", err.text);
}

/* origin: of relative names. */
static int
add_record(const struct sink *k, const char *text, struct zone *origin)
{
	size_t owner_len = strcspn(text, BLANKS);
	struct rrset_error err;

	if (!k->s->zones_named && (!is_absolute(text, owner_len) || !data_is_absolute(text)))
		return bad_record(k, "'%.200s': without 'zone' every name must be absolute, with a dot "
				     "at its end", text);
	if (is_absolute(text, owner_len))
		return add_absolute(k, text, owner_len);
	if (!rrset_add_text(list_of(k, origin), text, origin->name, k->ttl, &err))
		return bad_record(k, "%s", err.text);
	return RESITE_OK;
}

/* A relative name of the first zone may lie in another one, that is below it. */
static int
resettle(const struct sink *k)
{
	for (size_t i = 0; k->s->n_zones > 1 && i < k->s->n_zones; i++) {
		struct rrset_list *list = list_of(k, &k->s->zones[i]);
		size_t kept = 0;

		for (size_t j = 0; j < list->n; j++) {
			struct zone *z = step_zone_of(k->s, list->v[j].owner, list->v[j].owner_len);

			if (z == &k->s->zones[i] || !z)
				list->v[kept++] = list->v[j];
			else if (!rrset_list_take(list_of(k, z), &list->v[j]))
				return step_no_memory(k->s);
		}
		list->n = kept;
	}
	return RESITE_OK;
}

static int
join_all(const struct sink *k)
{
	struct rrset_error err;
	int rc = resettle(k);

	for (size_t i = 0; i < k->s->n_zones && rc == RESITE_OK; i++)
		if (!rrset_list_join(list_of(k, &k->s->zones[i]), &err))
			rc = resite_fail(k->s->op, k->s->host, RESITE_ERR_INVALID, k->param, "%s",
					 err.text);
	return rc;
}

/* --- where they come from ---------------------------------------------------------- */

static int
add_params(struct sink *k)
{
	struct step *s = k->s;
	uint32_t n = s->host->param_count(s->op, k->param);
	int rc = RESITE_OK;

	for (uint32_t i = 0; i < n && rc == RESITE_OK; i++)
		rc = add_record(k, s->host->param_str(s->op, k->param, i), &s->zones[0]);
	return rc;
}

/* "sip A": an RRset without its data; "sip" alone is one of each type, where that is allowed. */
static int
add_name(struct sink *k, const char *text, const char *only_type)
{
	size_t owner_len = strcspn(text, BLANKS);
	const char *type = only_type ? only_type : text + owner_len + strspn(text + owner_len, BLANKS);
	struct zone *z = is_absolute(text, owner_len) ? zone_of_text(k->s, text, owner_len)
						      : &k->s->zones[0];
	struct rrset_error err;

	if (!z || (!k->s->zones_named && !is_absolute(text, owner_len)))
		return bad_record(k, "'%.200s': its owner is in none of the zones of 'zone'", text);
	if (!rrset_add_absent(&z->set, text, owner_len, type, z->name, &err))
		return bad_record(k, "%s", err.text);
	return RESITE_OK;
}

/* RRsets that are to be there no more. */
static int
add_removals(struct step *s)
{
	struct sink k = {.s = s, .param = "remove"};
	uint32_t n = s->host->param_count(s->op, "remove");
	int rc = RESITE_OK;

	for (uint32_t i = 0; i < n && rc == RESITE_OK; i++)
		rc = add_name(&k, s->host->param_str(s->op, "remove", i), NULL);
	return rc;
}

static int
add_name_of_any_type(struct sink *k, const char *text)
{
	static const char *const types[] = {"A", "AAAA", "CNAME", "SRV", "TXT"};
	size_t owner_len = strcspn(text, BLANKS);
	int rc = RESITE_OK;

	if (text[owner_len + strspn(text + owner_len, BLANKS)])
		return add_name(k, text, NULL);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && rc == RESITE_OK; i++)
		rc = add_name(k, text, types[i]);
	return rc;
}

static bool
is_comment(const char *line)
{
	line += strspn(line, " \t\r\n");
	return !*line || *line == ';' || *line == '#';
}

/* "$ORIGIN sub.contoso.example." in a file: relative names are of that zone. */
static int
take_origin(struct sink *k, const char *line, struct zone **ret)
{
	const char *name = line + strcspn(line, BLANKS);
	size_t len;

	name += strspn(name, BLANKS);
	len = strcspn(name, BLANKS);
	for (size_t i = 0; i < k->s->n_zones && k->s->zones_named; i++)
		if (strlen(k->s->zones[i].text) == len && !strncasecmp(k->s->zones[i].text, name, len)) {
			*ret = &k->s->zones[i];
			return RESITE_OK;
		}
	return bad_record(k, "'%.200s': that is none of the zones of 'zone'", line);
}

static int
add_line(struct sink *k, const char *line, struct zone **origin)
{
	if (is_comment(line))
		return RESITE_OK;
	if (!strncasecmp(line, "$ORIGIN", 7))
		return take_origin(k, line, origin);
	return add_record(k, line, *origin);
}

static int
add_lines(struct step *s, const char *path, FILE *f)
{
	struct sink k = {.s = s, .param = "records_file", .path = path,
			 .ttl = default_ttl(s)};
	struct zone *origin = &s->zones[0];
	char *line = NULL;
	size_t cap = 0;
	int rc = RESITE_OK;

	while (rc == RESITE_OK && getline(&line, &cap, f) >= 0) {
		line[strcspn(line, "\r\n")] = '\0';
		k.line++;
		rc = add_line(&k, line, &origin);
	}
	if (rc == RESITE_OK && ferror(f))
		rc = resite_fail(s->op, s->host, RESITE_ERR_TRANSIENT, "records_file", "%s: %s",
				 path, strerror(errno));
	free(line);
	return rc;
}

static int
add_file(struct step *s)
{
	const char *path = resite_str_or(s->op, s->host, "records_file", NULL);
	FILE *f;
	int rc;

	if (!path)
		return RESITE_OK;
	f = fopen(path, "re");
	if (!f)
		return resite_fail(s->op, s->host, RESITE_ERR_INVALID, "records_file", "%s: %s",
				   path, strerror(errno));
	rc = add_lines(s, path, f);
	fclose(f);
	return rc;
}

/* --- all of them ------------------------------------------------------------------- */

static int
check_expect(struct step *s)
{
	for (size_t i = 0; i < s->n_zones; i++)
		for (size_t j = 0; j < s->zones[i].expect.n; j++) {
			const struct rrset *e = &s->zones[i].expect.v[j];
			char *name;

			if (rrset_list_find(&s->zones[i].set, e))
				continue;
			name = rrset_name(e);
			resite_fail(s->op, s->host, RESITE_ERR_INVALID, "expect_current",
				    "%s is expected but not set by this step", name ? name : "?");
			free(name);
			return RESITE_ERR_INVALID;
		}
	return RESITE_OK;
}

static int
parse_records(struct step *s, bool with_file)
{
	uint32_t ttl = default_ttl(s);
	struct sink wanted = {.s = s, .param = "record", .ttl = ttl};
	struct sink expected = {.s = s, .param = "expect_current", .expected = true, .ttl = ttl};
	bool complete = with_file || !s->host->param_count(s->op, "records_file");
	int rc = add_params(&wanted);

	if (rc == RESITE_OK)
		rc = add_removals(s);
	if (rc == RESITE_OK && with_file)
		rc = add_file(s);
	if (rc == RESITE_OK)
		rc = join_all(&wanted);
	if (rc == RESITE_OK && complete && step_total(s) == 0)
		rc = resite_fail(s->op, s->host, RESITE_ERR_INVALID, "record",
				 "no record is given: a step sets at least one, and never empties "
				 "an RRset");
	if (rc == RESITE_OK)
		rc = add_params(&expected);
	if (rc == RESITE_OK)
		rc = join_all(&expected);
	return rc == RESITE_OK && complete ? check_expect(s) : rc;
}

int
step_names_of(const struct step *s, const char *text, struct step *one)
{
	struct sink k = {.s = one, .param = "name"};

	one->zones_named = true;
	for (size_t i = 0; i < s->n_zones; i++)
		if (!step_add_zone(one, s->zones[i].text))
			return step_no_memory(one);
	return add_name_of_any_type(&k, text);
}

int
step_load_names(struct step *s)
{
	struct sink k = {.s = s, .param = "name"};
	uint32_t n = s->host->param_count(s->op, "name");
	int rc = RESITE_OK;

	for (uint32_t i = 0; i < n && rc == RESITE_OK; i++)
		rc = add_name_of_any_type(&k, s->host->param_str(s->op, "name", i));
	return rc == RESITE_OK ? join_all(&k) : rc;
}

int
step_load_records(struct step *s, bool with_file)
{
	int rc = RESITE_OK;

	if (with_file)
		memory_key(s);
	if (!with_file || !memory_take(s))
		rc = parse_records(s, with_file);
	s->loaded = with_file && rc == RESITE_OK;
	return rc;
}
