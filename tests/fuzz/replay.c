/* main() of a fuzz target where there is no fuzzer: feeds it each file of its corpus and
 * some thousand mutations of them, the same ones in each run.
 *
 *	NAME_fuzz [--runs N] [--seed N] [FILE|FOLDER...]
 *
 * Without a file the corpus is CORPUS, which the Makefile sets.  What libFuzzer calls a
 * finding is one here too: a crash, an abort, a sanitizer's report.  Before each input the
 * seed and number are in the message that a crash prints, so it can be made again. */
#include "config.h"

#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RUNS 4000
#define RUNS_UNDER_VALGRIND 100
#define SECONDS 5 /* of mutations: slow targets end here */
#define INPUT_MAX ((size_t)1 << 20)
#define FILES_MAX 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int main(int argc, char **argv); /* make fuzz gives it another name, in favour of libFuzzer's */

struct input {
	uint8_t *bytes;
	size_t len;
};

struct corpus {
	struct input v[FILES_MAX];
	size_t n;
};

struct chance {
	uint64_t state;
};

/* splitmix64: small, and each seed gives another stream. */
static uint64_t
chance_next(struct chance *c)
{
	uint64_t z = (c->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static size_t
chance_below(struct chance *c, size_t n)
{
	return n ? (size_t)(chance_next(c) % n) : 0;
}

static void *
need(void *p)
{
	if (!p) {
		perror("replay");
		exit(1);
	}
	return p;
}

/* --- corpus ------------------------------------------------------------------ */

static void
read_file(struct corpus *c, const char *path)
{
	struct input in = {need(malloc(INPUT_MAX)), 0};
	FILE *f = need(fopen(path, "rb"));

	in.len = fread(in.bytes, 1, INPUT_MAX, f);
	fclose(f);
	in.bytes = need(realloc(in.bytes, in.len ? in.len : 1));
	if (c->n < FILES_MAX)
		c->v[c->n++] = in;
	else
		free(in.bytes);
}

static int
is_file(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void
read_path(struct corpus *c, const char *path)
{
	struct dirent **names;
	struct stat st;
	int n;

	if (stat(path, &st) < 0) {
		perror(path);
		exit(1);
	}
	if (!S_ISDIR(st.st_mode)) {
		read_file(c, path);
		return;
	}
	n = scandir(path, &names, is_file, alphasort);
	for (int i = 0; i < n; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		read_path(c, file);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

/* --- mutations ---------------------------------------------------------------- */

/* Bytes that mean something in the texts that we read. */
static const uint8_t telling[] = "\0\n\r\t \"'\\;#()@$.:,=<>[]{}&%/*-+09azAZ\x7f\x80\xff\xfe\xef\xbb\xbf";

static void
change_bytes(struct chance *c, struct input *in)
{
	for (size_t n = 1 + chance_below(c, 4); in->len && n > 0; n--) {
		uint8_t *at = &in->bytes[chance_below(c, in->len)];

		if (chance_below(c, 3))
			*at = telling[chance_below(c, sizeof(telling) - 1)];
		else
			*at ^= (uint8_t)(1u << chance_below(c, 8));
	}
}

static void
remove_bytes(struct chance *c, struct input *in)
{
	size_t at = chance_below(c, in->len), n = chance_below(c, in->len - at);

	if (chance_below(c, 2))
		n %= 16;
	memmove(in->bytes + at, in->bytes + at + n, in->len - at - n);
	in->len -= n;
}

/* Puts a piece of another input (or of this one) somewhere. */
static void
insert_piece(struct chance *c, struct input *in, const struct input *other)
{
	size_t from = chance_below(c, other->len), n = chance_below(c, other->len - from);
	size_t at = chance_below(c, in->len + 1);

	if (n > INPUT_MAX - in->len)
		n = INPUT_MAX - in->len;
	memmove(in->bytes + at + n, in->bytes + at, in->len - at);
	memcpy(in->bytes + at, other->bytes + from, n);
	in->len += n;
}

static void
repeat_byte(struct chance *c, struct input *in)
{
	size_t n = (size_t)1 << chance_below(c, 14), at = chance_below(c, in->len + 1);

	if (n > INPUT_MAX - in->len)
		n = INPUT_MAX - in->len;
	memmove(in->bytes + at + n, in->bytes + at, in->len - at);
	memset(in->bytes + at, telling[chance_below(c, sizeof(telling) - 1)], n);
	in->len += n;
}

static void
mutate(struct chance *c, struct input *in, const struct corpus *all)
{
	for (size_t n = 1 + chance_below(c, 3); n > 0; n--) {
		switch (chance_below(c, 6)) {
		case 0: remove_bytes(c, in); break;
		case 1: insert_piece(c, in, &all->v[chance_below(c, all->n)]); break;
		case 2: in->len = chance_below(c, in->len + 1); break;
		case 3: repeat_byte(c, in); break;
		default: change_bytes(c, in); break;
		}
	}
}

/* --- main --------------------------------------------------------------------- */

/* What a crash prints: set before each input. */
static char where[160];

static void
tell_where(int sig)
{
	ssize_t ignored = write(2, where, strlen(where));

	(void)ignored;
	signal(sig, SIG_DFL);
	raise(sig);
}

/* A copy of its exact size, so that a sanitizer sees each byte beyond it. */
static void
feed(const struct input *in, const char *what, unsigned long long seed, unsigned long run)
{
	uint8_t *copy = need(malloc(in->len ? in->len : 1));

	snprintf(where, sizeof(where), "replay: it was %s %lu of seed %llu\n", what, run, seed);
	memcpy(copy, in->bytes, in->len);
	LLVMFuzzerTestOneInput(copy, in->len);
	free(copy);
}

int
main(int argc, char **argv)
{
	unsigned long runs = getenv("RESITE_UNDER_VALGRIND") ? RUNS_UNDER_VALGRIND : RUNS, i;
	unsigned long long seed = 1;
	struct corpus *all = need(calloc(1, sizeof(*all)));
	struct input in = {need(malloc(INPUT_MAX)), 0};
	struct chance c;
	time_t begun = time(NULL);

	while (argc > 2 && !strncmp(argv[1], "--", 2)) {
		if (!strcmp(argv[1], "--runs"))
			runs = strtoul(argv[2], NULL, 10);
		else if (!strcmp(argv[1], "--seed"))
			seed = strtoull(argv[2], NULL, 10);
		argc -= 2;
		argv += 2;
	}
	if (argc < 2)
		read_path(all, CORPUS);
	for (int k = 1; k < argc; k++)
		read_path(all, argv[k]);
	if (!all->n) {
		fprintf(stderr, "replay: there is no corpus\n");
		return 1;
	}
	signal(SIGABRT, tell_where);
	signal(SIGSEGV, tell_where);
	signal(SIGFPE, tell_where);
	c.state = seed;
	for (i = 0; i < all->n; i++)
		feed(&all->v[i], "file", seed, i);
	for (i = 0; i < runs && time(NULL) - begun < SECONDS; i++) {
		const struct input *from = &all->v[chance_below(&c, all->n)];

		memcpy(in.bytes, from->bytes, from->len);
		in.len = from->len;
		mutate(&c, &in, all);
		feed(&in, "mutation", seed, i);
	}
	printf("ok   %zu files, %lu mutations of seed %llu\n", all->n, i, seed);
	for (i = 0; i < all->n; i++)
		free(all->v[i].bytes);
	free(all);
	free(in.bytes);
	return 0;
}
