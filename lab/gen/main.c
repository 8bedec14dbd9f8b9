/* gen: the users of the lab and their contact lists, from a seed. */
#include "lab/gen/outputs.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: gen ldif     [--users N] [--seed S] [--domain D] [--suffix DN] [--home DN]\n"
	"       gen xcap     [--users N] [--seed S] [--domain D] [--empty] --db FILE SQL...\n"
	"       gen dbimpexp [--users N] [--seed S] [--domain D]\n"
	"       gen document [--users N] [--seed S] [--domain D] --user N\n"
	"\n"
	"ldif      users below ou=Staff,SUFFIX, on stdout\n"
	"xcap      a new SQLite database for Kamailio's xcap_server; SQL... are the scripts\n"
	"          that make its tables (standard-create.sql presence-create.sql)\n"
	"dbimpexp  the contacts in the export format of Lync Server 2010, on stdout\n"
	"document  one user's contacts in the format of RFC 4826, on stdout\n"
	"\n"
	"The same options give the same people in all four.\n";

struct options {
	struct crowd crowd;
	const char *suffix;
	const char *home;
	const char *db;
	unsigned user;
	int empty;
};

static int
parse_number(const char *name, const char *text, unsigned long long max,
	     unsigned long long *ret_value)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || v > max) {
		fprintf(stderr, "gen: --%s %s: must be a number up to %llu\n", name, text, max);
		return -1;
	}
	*ret_value = v;
	return 0;
}

static int
take_option(struct options *o, int letter)
{
	unsigned long long v;

	switch (letter) {
	case 'n':
		if (parse_number("users", optarg, 10000000, &v) < 0)
			return -1;
		o->crowd.users = (unsigned)v;
		return 0;
	case 's':
		if (parse_number("seed", optarg, UINT64_MAX, &v) < 0)
			return -1;
		o->crowd.seed = v;
		return 0;
	case 'u':
		if (parse_number("user", optarg, 10000000, &v) < 0)
			return -1;
		o->user = (unsigned)v;
		return 0;
	case 'd': o->crowd.domain = optarg; return 0;
	case 'x': o->suffix = optarg; return 0;
	case 'o': o->home = optarg; return 0;
	case 'b': o->db = optarg; return 0;
	case 'e': o->empty = 1; return 0;
	default: fputs(usage, stderr); return -1;
	}
}

static int
parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "users", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ "user", required_argument, NULL, 'u' },
		{ "domain", required_argument, NULL, 'd' },
		{ "suffix", required_argument, NULL, 'x' },
		{ "home", required_argument, NULL, 'o' },
		{ "db", required_argument, NULL, 'b' },
		{ "empty", no_argument, NULL, 'e' },
		{ NULL, 0, NULL, 0 },
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "", longs, NULL)) != -1)
		if (take_option(o, letter) < 0)
			return -1;
	return 0;
}

static int
run(const char *what, const struct options *o, char *const *rest)
{
	if (strcmp(what, "ldif") == 0)
		return write_ldif(&o->crowd, o->suffix, o->home);
	if (strcmp(what, "dbimpexp") == 0)
		return write_dbimpexp(&o->crowd);
	if (strcmp(what, "document") == 0 && o->user > 0)
		return write_document(&o->crowd, o->user);
	if (strcmp(what, "xcap") == 0 && o->db && *rest)
		return write_xcap(&o->crowd, o->db, rest, o->empty);
	fputs(usage, stderr);
	return -2;
}

int
main(int argc, char **argv)
{
	struct options o = {
		.crowd = { .seed = 1, .users = 5000, .domain = "contoso.example" },
		.suffix = "dc=contoso,dc=example",
		.home = "CN=Lc Services,CN=Microsoft,CN=1:1,CN=Pools,CN=RTC Service,CN=Services,"
			"CN=Configuration,DC=contoso,DC=example",
	};
	int r;

	if (argc < 2) {
		fputs(usage, stderr);
		return 2;
	}
	if (parse(&o, argc - 1, argv + 1) < 0)
		return 2;
	r = run(argv[1], &o, argv + 1 + optind);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "gen: stdout: %s\n", strerror(errno));
		return 1;
	}
	return r == -2 ? 2 : r < 0;
}
