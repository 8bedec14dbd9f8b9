/* contacts.convert and contacts.diff, as a step calls them. */
#define _GNU_SOURCE
#include "plugins/contacts/formats.h"
#include "sdk/testkit/fakehost.h"
#include "tests/unit/run_suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS "http://schemas.microsoft.com/RtcServer/2002/11/dbimpexp"

const struct resite_plugin *resite_plugin_v0(void);

static char dir[64];
static bool traced;

static void
setup(void)
{
	strcpy(dir, "/tmp/contacts-convert-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	traced = getenv("TRACE") != NULL;
}

static void
teardown(void)
{
	char command[100];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* Four at a time. */
static const char *
in_dir(const char *name)
{
	static char paths[4][300];
	static int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof paths[0], "%s/%s", dir, name);
	return path;
}

static const char *
put_text(const char *name, const char *text)
{
	const char *path = in_dir(name);
	FILE *out = fopen(path, "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_int_ge(fputs(text, out), 0);
	fclose(out);
	return path;
}

static char *
get_text(const char *path)
{
	static char text[100000];
	FILE *in = fopen(path, "r");
	size_t n;

	ck_assert_msg(in, "%s", path);
	n = fread(text, 1, sizeof text - 1, in);
	text[n] = '\0';
	fclose(in);
	return text;
}

static size_t
count_files(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	ck_assert_ptr_nonnull(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static struct fakehost *
step(const char *action, const char *const params[][2])
{
	struct fakehost *fh = fakehost_new(fakehost_action(resite_plugin_v0(), action));

	if (traced)
		fakehost_trace(fh, stderr);
	for (size_t i = 0; params[i][0]; i++)
		fakehost_param(fh, params[i][0], params[i][1]);
	return fh;
}

#define STEP(action, ...) step(action, (const char *const[][2]){__VA_ARGS__, {NULL, NULL}})

static void
call(struct fakehost *fh, enum fakehost_phase phase)
{
	int rc = fakehost_call(fh, phase);

	ck_assert_msg(rc == RESITE_OK, "%d: %s", rc, fakehost_failure(fh));
}

static void
fails(struct fakehost *fh, enum fakehost_phase phase, int rc, const char *says)
{
	int got = fakehost_call(fh, phase);

	ck_assert_msg(got == rc, "%d, not %d: %s", got, rc, fakehost_failure(fh));
	ck_assert_msg(strstr(fakehost_failure(fh), says), "'%s' does not say '%s'",
		      fakehost_failure(fh), says);
	fakehost_free(fh);
}

/* A step's life: a change is seen, made, and then there is none. */
static void
lives(struct fakehost *fh)
{
	call(fh, FAKEHOST_CHECK);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	call(fh, FAKEHOST_APPLY);
	call(fh, FAKEHOST_PROBE);
	ck_assert_msg(fakehost_state(fh)->changes == 0, "%s", fakehost_state(fh)->now);
}

static const char rich[] =
	"<HomedResources xmlns=\"" NS "\" xmlns:z='urn:z'>"
	"<HomedResource UserAtHost=\"Bob@contoso.com\"><ContactGroups/><Contacts>"
	"<Contact Buddy=\"alice@contoso.com\" SubscribePresence=\"1\" Groups=\"1\" DisplayName=\"QQ==\"/>"
	"</Contacts><Permissions><z:a/>\r\n</Permissions></HomedResource>"
	"<HomedResource UserAtHost=\"alice@contoso.com\" Flags='1'><ContactGroups>"
	"<ContactGroup Number=\"1\" DisplayName=\"fg==\" ExternalUri=\"\"/>"
	"<ContactGroup Number=\"2\" DisplayName=\"ZGwtaHI=\" ExternalUri=\"PGdyb3VwRGVmaW5pdGlvbi8+\"/>"
	"</ContactGroups><Contacts>"
	"<Contact Buddy=\"bob@contoso.com\" SubscribePresence=\"0\" Groups=\"1\" DisplayName=\"Qm9iIEI=\"/>"
	"<Contact Buddy=\"tel:+1\" Groups=\"1\"/></Contacts><Permissions>p</Permissions></HomedResource>"
	"</HomedResources>";

/* --- convert ---------------------------------------------------------------------------- */

START_TEST(a_file_becomes_one_of_another_format_and_what_is_lost_is_named)
{
	const char *target = in_dir("out.xml");
	struct fakehost *fh = STEP("convert", {"source", put_text("in.xml", rich)}, {"target", target},
				   {"target_format", "xep0227"});
	const struct fakehost_change *changes;
	size_t n;

	call(fh, FAKEHOST_PROBE);
	changes = fakehost_changes(fh, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(changes[0].was, "nothing");
	ck_assert_ptr_nonnull(strstr(changes[0].will_be, "2 users as xep0227"));
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh),
				     "2 users have sections `Permissions` that xep0227 has no place for"));
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "1 user has sections `Flags` that"));
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "1 user has distribution groups"));
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "1 user has contacts who have no address of XMPP"));
	ck_assert_int_ne(access(target, F_OK), 0);
	lives(fh);
	ck_assert_str_eq(fakehost_output(fh, "users"), "2");
	ck_assert_str_eq(fakehost_output(fh, "file"), target);
	ck_assert_ptr_nonnull(strstr(get_text(target), "<item jid=\"bob@contoso.com\" name=\"Bob B\" "
				     "subscription=\"none\"></item>"));
	/* Another content at the target is a change again. */
	put_text("out.xml", "<x/>");
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
	fakehost_free(fh);
}
END_TEST

START_TEST(the_vault_keeps_unknown_sections_byte_for_byte)
{
	const char *source = put_text("in.xml", rich), *vault = in_dir("vault"), *back = in_dir("back");
	struct fakehost *in = STEP("convert", {"source", source}, {"vault", vault}, {"site", "primary"});
	struct fakehost *out = STEP("convert", {"vault", vault}, {"target", back},
				    {"target_format", "docitemset"});
	struct fakehost *again = STEP("convert", {"source", back}, {"target", in_dir("again")},
				      {"target_format", "dbimpexp"});
	struct fakehost *diff = STEP("diff", {"vault", vault}, {"other", in_dir("again")});
	char command[200], *text;

	lives(in);
	ck_assert_uint_eq(strlen(fakehost_output(in, "set")), 21);
	lives(out);
	ck_assert_str_eq(fakehost_losses(out), "");
	lives(again);
	snprintf(command, sizeof command, "iconv -f utf-16 -t utf-8 %s/again >%s/again.txt", dir, dir);
	ck_assert_int_eq(system(command), 0);
	text = get_text(in_dir("again.txt"));
	ck_assert_ptr_nonnull(strstr(text, "<Permissions><z:a/>\r\n</Permissions>"));
	ck_assert_ptr_nonnull(strstr(text, "<Permissions>p</Permissions>"));
	ck_assert_ptr_nonnull(strstr(text, " Flags='1'"));
	ck_assert_ptr_nonnull(strstr(text, "xmlns:z='urn:z'"));
	/* In the vault users are in order. */
	ck_assert(strstr(text, "UserAtHost=\"Bob@") < strstr(text, "UserAtHost=\"alice@"));
	call(diff, FAKEHOST_CHECK);
	call(diff, FAKEHOST_PROBE);
	ck_assert_msg(fakehost_state(diff)->changes == 0, "%s", fakehost_state(diff)->now);
	ck_assert_str_eq(fakehost_output(diff, "users_same"), "2");
	fakehost_free(in);
	fakehost_free(out);
	fakehost_free(again);
	fakehost_free(diff);
}
END_TEST

/* Keys, not passphrases: turning one into a key is slow by design. */
#define HEX_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define OTHER_KEY "100102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

START_TEST(an_encrypted_set_is_read_with_its_key_alone)
{
	const char *vault = in_dir("vault");
	struct fakehost *in = STEP("convert", {"source", put_text("in.xml", rich)}, {"vault", vault},
				   {"site", "primary"}, {"key", "k"});
	struct fakehost *out = STEP("convert", {"vault", vault}, {"target", in_dir("back")},
				    {"target_format", "dbimpexp"}, {"key", "k"});
	char command[200];

	fakehost_secret(in, "k", HEX_KEY);
	fakehost_secret(out, "k", HEX_KEY);
	lives(in);
	snprintf(command, sizeof command, "! grep -rqa contoso.com %s/contacts/*/*.txt*", vault);
	ck_assert_int_eq(system(command), 0);
	lives(out);
	fakehost_secret(out, "k", OTHER_KEY);
	ck_assert_int_eq(fakehost_call(out, FAKEHOST_PROBE), RESITE_ERR_REFUSED);
	fakehost_free(in);
	fakehost_free(out);
	fails(STEP("convert", {"vault", vault}, {"target", in_dir("back")},
		   {"target_format", "dbimpexp"}), FAKEHOST_PROBE, RESITE_ERR_REFUSED, "key");
}
END_TEST

START_TEST(a_folder_has_a_file_for_each_user)
{
	static const char *const kinds[] = {"resource-lists", "xep0227"};

	for (int i = 0; i < 2; i++) {
		const char *folder = in_dir(kinds[i]);
		struct fakehost *fh = STEP("convert", {"source", put_text("in.xml", rich)},
					   {"target", folder}, {"target_format", kinds[i]},
					   {"split", "true"});
		struct fakehost *diff = STEP("diff", {"source", folder}, {"other", in_dir("in.xml")});

		lives(fh);
		ck_assert_uint_eq(count_files(folder), 2);
		/* One file too many is a difference, and is not thrown away. */
		put_text(i ? "xep0227/more.xml" : "resource-lists/more@x.xml", "<x/>");
		call(fh, FAKEHOST_PROBE);
		ck_assert_uint_eq(fakehost_state(fh)->changes, 1);
		ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_REFUSED);
		ck_assert_ptr_nonnull(strstr(fakehost_failure(fh), "holds other files"));
		ck_assert_uint_eq(count_files(folder), 3);
		ck_assert_int_eq(unlink(in_dir(i ? "xep0227/more.xml" : "resource-lists/more@x.xml")), 0);
		call(diff, FAKEHOST_PROBE);
		ck_assert_str_eq(fakehost_output(diff, "users_only"), "0");
		ck_assert_str_eq(fakehost_output(diff, "users_only_other"), "0");
		fakehost_free(fh);
		fakehost_free(diff);
	}
	ck_assert_uint_eq(count_files(dir), 3);
}
END_TEST

START_TEST(a_source_that_breaks_off_leaves_the_target_alone)
{
	static const char *const kinds[] = {"dbimpexp", "docitemset", "xep0227", "resource-lists"};
	char cut[sizeof rich];

	for (int i = 0; i < 4; i++) {
		const char *target = put_text("out", "as it was");

		snprintf(cut, sizeof cut, "%.*s", (int)sizeof rich - 200, rich);
		if (i == 3) {
			unlink(target);
			ck_assert_int_eq(mkdir(target, 0700), 0);
		}
		fails(STEP("convert", {"source", put_text("in.xml", cut)}, {"target", target},
			   {"target_format", kinds[i]}), FAKEHOST_APPLY, RESITE_ERR_REFUSED,
		      "malformed XML");
		ck_assert_uint_eq(count_files(dir), 2);
		if (i < 3)
			ck_assert_str_eq(get_text(target), "as it was");
		else
			ck_assert_uint_eq(count_files(target), 0);
	}
	fails(STEP("convert", {"source", in_dir("in.xml")}, {"vault", in_dir("v")}, {"site", "a"}),
	      FAKEHOST_APPLY, RESITE_ERR_REFUSED, "malformed XML");
}
END_TEST

START_TEST(one_user_twice_makes_no_set)
{
	static const char twice[] = "<HomedResources xmlns=\"" NS "\"><HomedResource UserAtHost=\"a@x\"/>"
				    "<HomedResource UserAtHost=\"a@x\"/></HomedResources>";

	fails(STEP("convert", {"source", put_text("in.xml", twice)}, {"vault", in_dir("v")},
		   {"site", "a"}), FAKEHOST_APPLY, RESITE_ERR_REFUSED, "user 'sip:a@x' is there twice");
}
END_TEST

START_TEST(only_the_users_that_are_named_go_along)
{
	struct fakehost *fh = STEP("convert", {"source", put_text("in.xml", rich)},
				   {"target", in_dir("out")}, {"target_format", "xep0227"},
				   {"users_file", put_text("users", "sip:BOB@contoso.com\n")});

	lives(fh);
	ck_assert_str_eq(fakehost_output(fh, "users"), "1");
	fakehost_free(fh);
	fails(STEP("convert", {"source", in_dir("in.xml")}, {"target", in_dir("out")},
		   {"target_format", "xep0227"}, {"users_file", put_text("users", "sip:x@y\n")}),
	      FAKEHOST_APPLY, RESITE_ERR_REFUSED, "no user is left");
}
END_TEST

START_TEST(a_convert_that_contradicts_itself_is_invalid)
{
	fails(STEP("convert", {"vault", dir}), FAKEHOST_CHECK, RESITE_ERR_INVALID, "'source' says");
	fails(STEP("convert", {"source", dir}), FAKEHOST_CHECK, RESITE_ERR_INVALID, "'target' or 'vault'");
	fails(STEP("convert", {"target", dir}), FAKEHOST_CHECK, RESITE_ERR_INVALID, "'source' or 'vault'");
	fails(STEP("convert", {"source", dir}, {"vault", dir}), FAKEHOST_CHECK, RESITE_ERR_INVALID,
	      "'site' says");
	fails(STEP("convert", {"source", dir}, {"target", dir}), FAKEHOST_CHECK, RESITE_ERR_INVALID,
	      "'target_format' says");
	fails(STEP("convert", {"source", dir}, {"target", dir}, {"vault", dir}), FAKEHOST_CHECK,
	      RESITE_ERR_INVALID, "one thing too many");
	fails(STEP("diff", {"source", dir}), FAKEHOST_CHECK, RESITE_ERR_INVALID, "'other' or 'other_vault'");
	fails(STEP("diff", {"other", dir}), FAKEHOST_CHECK, RESITE_ERR_INVALID, "'source' or 'vault'");
}
END_TEST

/* --- hand-over --------------------------------------------------------------------------- */

/* They keep what they get in "there", beside them. */
static const char *
script(const char *name, const char *text)
{
	const char *path = put_text(name, text);

	ck_assert_int_eq(chmod(path, 0700), 0);
	return path;
}

static struct fakehost *
hand_over(const char *importer, const char *verify)
{
	struct fakehost *fh = STEP("hand-over", {"source", put_text("in.xml", rich)},
				   {"target", in_dir("out.xml")}, {"command", importer},
				   {"command", "{file}"});

	if (verify)
		fakehost_param(fh, "verify", verify);
	return fh;
}

START_TEST(what_is_handed_over_is_there_or_the_step_fails)
{
	/* The path as an argument, and the content on stdin, are the same file. */
	const char *importer = script("importer", "#!/bin/sh\ncmp - \"$1\" || exit 9\n"
				      "cp \"$1\" \"${0%/*}/there\"; echo imported; exit 3\n");
	const char *reader = script("reader", "#!/bin/sh\ncat \"${0%/*}/there\"\n");
	struct fakehost *fh = hand_over(importer, reader);

	call(fh, FAKEHOST_CHECK);
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 2);
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "contacts deleted since come back"));
	call(fh, FAKEHOST_APPLY);
	ck_assert_ptr_nonnull(strstr(fakehost_logs(fh), "the importer exited with 3"));
	ck_assert_str_eq(fakehost_output(fh, "exit_code"), "3");
	call(fh, FAKEHOST_VERIFY);
	ck_assert_ptr_nonnull(strstr(fakehost_logs(fh), "all contacts of 2 users are there"));
	call(fh, FAKEHOST_PROBE);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 0);
	/* The other side loses one of them, or all. */
	put_text("there", "<server-data xmlns='urn:xmpp:pie:0'><host jid='contoso.com'><user name='alice'>"
		 "<query xmlns='jabber:iq:roster'><item jid='tel:+1'/></query></user></host></server-data>");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_ERR_REFUSED);
	ck_assert_msg(strstr(fakehost_failure(fh), "2 of 2 users have not all") &&
		      strstr(fakehost_failure(fh), "no list at all"), "%s", fakehost_failure(fh));
	put_text("there", "ERROR 5");
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_VERIFY), RESITE_ERR_REFUSED);
	ck_assert_ptr_nonnull(strstr(fakehost_failure(fh), "what 'verify' wrote"));
	fakehost_free(fh);
}
END_TEST

/* ejabberd ends its import at what is no JID and at a group without name, and exports a file for each host. */
START_TEST(what_xmpp_has_no_place_for_is_told_and_not_looked_for)
{
	static const char odd[] =
		"<HomedResources xmlns='http://schemas.microsoft.com/RtcServer/2002/11/dbimpexp'>"
		"<HomedResource UserAtHost='alice@contoso.com'><ContactGroups>"
		"<ContactGroup Number='1' DisplayName='fg==' ExternalUri=''/>"
		"<ContactGroup Number='2' DisplayName='' ExternalUri=''/></ContactGroups><Contacts>"
		"<Contact Buddy='bob@contoso.com' SubscribePresence='1' Groups='2' DisplayName=''/>"
		"<Contact Buddy='tel:+15550100' SubscribePresence='1' Groups='1' DisplayName=''/>"
		"<Contact Buddy='carol@fabrikam..com' SubscribePresence='1' Groups='1' DisplayName=''/>"
		"<Contact Buddy='dave@.com' SubscribePresence='1' Groups='1' DisplayName=''/>"
		"<Contact Buddy='erin@x/y' SubscribePresence='1' Groups='1' DisplayName=''/>"
		"<Contact Buddy='fr\302\240ed@x' SubscribePresence='1' Groups='1' DisplayName=''/>"
		"</Contacts></HomedResource>"
		"<HomedResource UserAtHost='gone@contoso.com'><ContactGroups>"
		"<ContactGroup Number='1' DisplayName='fg==' ExternalUri=''/></ContactGroups><Contacts>"
		"<Contact Buddy='tel:+15550100' SubscribePresence='1' Groups='1' DisplayName=''/>"
		"</Contacts></HomedResource></HomedResources>";
	const char *importer = script("importer", "#!/bin/sh\n! grep -e '<group></group>' -e tel: -e '\\.\\.' "
				      "-e '@[.]' -e x/y -e fr\n");
	const char *reader = script("reader", "#!/bin/sh\necho \"<?xml version='1.0'?><host xmlns='urn:xmpp:pie:0' "
				    "jid='contoso.com'><user name='alice'><query xmlns='jabber:iq:roster'>"
				    "<item jid='bob@contoso.com'/></query></user></host>\"\n");
	struct fakehost *fh = STEP("hand-over", {"source", put_text("odd.xml", odd)},
				   {"target", in_dir("out.xml")}, {"target_format", "xep0227"},
				   {"command", importer}, {"verify", reader});

	call(fh, FAKEHOST_PROBE);
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "2 users have contacts who have no address of XMPP"));
	ck_assert_ptr_nonnull(strstr(fakehost_losses(fh), "1 user has groups without a name"));
	call(fh, FAKEHOST_APPLY);
	ck_assert_str_eq(fakehost_output(fh, "exit_code"), "0");
	call(fh, FAKEHOST_VERIFY);
	fakehost_free(fh);
}
END_TEST

START_TEST(an_importer_that_fails_is_not_believed_to_have_worked)
{
	static const struct {
		const char *script;
		int rc;
		const char *says;
	} t[] = {
		{"#!/bin/sh\necho no rights >&2; exit 5\n", RESITE_ERR_REFUSED,
		 "exited with 5: no rights"},
		{"#!/bin/sh\necho timed out >&2; exit 255\n", RESITE_ERR_TRANSIENT,
		 "as ssh does without a connection: timed out"},
		{"#!/bin/sh\nkill -9 $$\n", RESITE_ERR_REFUSED, "killed by signal 9"},
		{"#!/no/such/thing\n", RESITE_ERR_INVALID, "cannot run"},
	};

	/* Under valgrind a child that cannot exec does not share our memory: the last one. */
	for (size_t i = 0; i < sizeof t / sizeof *t - (getenv("RESITE_UNDER_VALGRIND") != NULL); i++)
		fails(hand_over(script("importer", t[i].script), NULL), FAKEHOST_APPLY, t[i].rc, t[i].says);
	fails(hand_over("ssh", NULL), FAKEHOST_CHECK, RESITE_ERR_INVALID, "a program's whole path");
}
END_TEST

/* --- over ssh --------------------------------------------------------------------------------- */

static int
free_port(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sa;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

/* A real one with keys and a port of its own.  As root it wants /run/sshd: it gets a /run of its own. */
static pid_t
start_sshd(int port)
{
	char text[2000];
	pid_t pid;

	snprintf(text, sizeof text,
		 "cd %s && ssh-keygen -q -t ed25519 -N '' -f host && ssh-keygen -q -t ed25519 -N '' -f user && "
		 "cp user.pub keys && printf '[127.0.0.1]:%d %%s\\n' \"$(cat host.pub)\" >known && "
		 "printf 'Port %d\\nListenAddress 127.0.0.1\\nHostKey %s/host\\nAuthorizedKeysFile %s/keys\\n"
		 "PasswordAuthentication no\\nStrictModes no\\nPidFile none\\nUsePAM no\\n' >sshd_config",
		 dir, port, port, dir, dir);
	ck_assert_int_eq(system(text), 0);
	snprintf(text, sizeof text,
		 "run='/usr/sbin/sshd -D -e -f %s/sshd_config'; exec 2>%s/sshd.log; "
		 "if [ $(id -u) = 0 ] && [ ! -d /run/sshd ]; then exec unshare -m sh -c "
		 "\"mount -t tmpfs run /run && mkdir /run/sshd && exec $run\"; fi; exec $run", dir, dir);
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", text, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 200; i++) {
		struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		int fd = socket(AF_INET, SOCK_STREAM, 0), rc;

		rc = connect(fd, (struct sockaddr *)&sa, sizeof sa);
		close(fd);
		if (rc == 0)
			return pid;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return -1;
		usleep(50000);
	}
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	return -1;
}

START_TEST(an_importer_is_run_through_ssh)
{
	const char *importer = script("importer", "#!/bin/sh\ncat >\"${0%/*}/there\"\n");
	const char *reader = script("reader", "#!/bin/sh\ncat \"${0%/*}/there\"\n");
	struct fakehost *fh = STEP("hand-over", {"source", put_text("in.xml", rich)},
				   {"target", in_dir("out.xml")});
	int port = free_port();
	pid_t pid = access("/usr/sbin/sshd", X_OK) == 0 ? start_sshd(port) : -1;
	char number[16], key[100], known[120];

	if (pid < 0) {
		fprintf(stderr, "no sshd could be started here: not tested\n");
		fakehost_free(fh);
		return;
	}
	snprintf(number, sizeof number, "%d", port);
	snprintf(key, sizeof key, "%s/user", dir);
	snprintf(known, sizeof known, "UserKnownHostsFile=%s/known", dir);
	for (int i = 0; i < 2; i++) {
		const char *argv[] = {"/usr/bin/ssh", "-F", "/dev/null", "-i", key, "-o", known, "-o",
				      "BatchMode=yes", "-p", number, "127.0.0.1", i ? reader : importer};

		for (size_t k = 0; k < sizeof argv / sizeof *argv; k++)
			fakehost_param(fh, i ? "verify" : "command", argv[k]);
	}
	call(fh, FAKEHOST_CHECK);
	call(fh, FAKEHOST_APPLY);
	call(fh, FAKEHOST_VERIFY);
	ck_assert_ptr_nonnull(strstr(fakehost_logs(fh), "all contacts of 2 users are there"));
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(fakehost_call(fh, FAKEHOST_APPLY), RESITE_ERR_TRANSIENT);
	ck_assert_msg(strstr(fakehost_failure(fh), "Connection refused"), "%s", fakehost_failure(fh));
	fakehost_free(fh);
}
END_TEST

/* --- diff ------------------------------------------------------------------------------- */

#define HEAD "<server-data xmlns='urn:xmpp:pie:0'><host jid='x'>"
#define TAIL "</host></server-data>"
#define USER(name, items) "<user name='" name "'><query xmlns='jabber:iq:roster'>" items "</query></user>"

static const char before[] = HEAD
	USER("a", "<item jid='same@x' name='S' subscription='both'/>"
	     "<item jid='gone@x' name='G' subscription='both'/>"
	     "<item jid='renamed@x' name='Old' subscription='both'><group>One</group></item>"
	     "<item jid='moved@x' subscription='both'><group>One</group><group>Two</group></item>"
	     "<item jid='quiet@x' subscription='both'/>")
	USER("b", "<item jid='c@x'/>") USER("only", "<item jid='c@x'/><item jid='d@x'/>") TAIL;

static const char after[] = HEAD USER("new", "") USER("b", "<item jid='C@x'/>")
	USER("a", "<item jid='new@x' name='N' subscription='both'/>"
	     "<item jid='SAME@x' name='S' subscription='both'/>"
	     "<item jid='moved@x' subscription='both'><group>Three</group><group>One</group></item>"
	     "<item jid='renamed@x' name='New' subscription='both'><group>One</group></item>"
	     "<item jid='quiet@x' subscription='none'/>") TAIL;

static const struct {
	const char *object, *was, *will_be;
} expected[] = {
	{"new@x", "no list", "a list of 0 contacts"},
	{"only@x", "a list of 2 contacts", "no list"},
	{"a@x: gone@x", "'G' in ~", "not there"},
	{"a@x: moved@x", "'' in One, Two", "'' in One, Three"},
	{"a@x: new@x", "not there", "'N' in ~"},
	{"a@x: quiet@x", "'' in ~", "'' in ~, presence not watched"},
	{"a@x: renamed@x", "'Old' in One", "'New' in One"},
	{"a@x: group Three", "not there", "a group"},
	{"a@x: group Two", "a group", "not there"},
};

static const char *const expected_counts[][2] = {
	{"users", "3"}, {"other_users", "3"}, {"users_same", "1"}, {"users_only", "1"},
	{"users_only_other", "1"}, {"users_changed", "1"}, {"contacts_added", "1"},
	{"contacts_removed", "1"}, {"contacts_renamed", "1"}, {"contacts_moved", "1"},
	{"contacts_watched", "1"}, {"groups_added", "1"}, {"groups_removed", "1"},
	{"groups_changed", "0"},
};

START_TEST(each_difference_is_one_line)
{
	struct fakehost *fh = STEP("diff", {"source", put_text("before", before)},
				   {"other", put_text("after", after)});
	const struct fakehost_change *changes;
	size_t n;

	call(fh, FAKEHOST_CHECK);
	call(fh, FAKEHOST_PROBE);
	changes = fakehost_changes(fh, &n);
	for (size_t i = 0; i < n && i < sizeof expected / sizeof *expected; i++) {
		ck_assert_str_eq(changes[i].object, expected[i].object);
		ck_assert_str_eq(changes[i].was, expected[i].was);
		ck_assert_str_eq(changes[i].will_be, expected[i].will_be);
	}
	ck_assert_uint_eq(n, sizeof expected / sizeof *expected);
	ck_assert_uint_eq(fakehost_state(fh)->changes, n);
	for (size_t i = 0; i < sizeof expected_counts / sizeof *expected_counts; i++)
		ck_assert_msg(!strcmp(fakehost_output(fh, expected_counts[i][0]), expected_counts[i][1]),
			      "%s is %s", expected_counts[i][0],
			      fakehost_output(fh, expected_counts[i][0]));
	fakehost_free(fh);
	fh = STEP("diff", {"source", in_dir("before")}, {"other", in_dir("after")}, {"lines", "2"});
	call(fh, FAKEHOST_PROBE);
	fakehost_changes(fh, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(fakehost_state(fh)->changes, 9);
	ck_assert_ptr_nonnull(strstr(fakehost_logs(fh), "7 further differences"));
	fakehost_free(fh);
}
END_TEST

START_TEST(a_diff_with_a_broken_side_says_which)
{
	fails(STEP("diff", {"source", put_text("before", before)}, {"other", put_text("after", HEAD)}),
	      FAKEHOST_PROBE, RESITE_ERR_REFUSED, "/after: ");
	fails(STEP("diff", {"source", in_dir("none")}, {"other", in_dir("before")}), FAKEHOST_PROBE,
	      RESITE_ERR_REFUSED, "/none: No such file");
}
END_TEST

/* The plan's choices are the formats that there are. */
START_TEST(formats_of_the_plan_are_those_of_the_table)
{
	const struct resite_plugin *p = resite_plugin_v0();
	size_t n_formats = 0, seen = 0;

	while (formats[n_formats].name)
		n_formats++;
	for (uint64_t i = 0; i < p->n_actions; i++)
		for (const struct resite_param *q = p->actions[i].params; q->name; q++) {
			size_t n = 0, first;

			if (!strstr(q->name, "format"))
				continue;
			first = !strcmp(q->choices[0], "auto");
			for (; q->choices[first + n]; n++)
				ck_assert_ptr_nonnull(format_named(q->choices[first + n]));
			/* An importer gets one file. */
			ck_assert_uint_eq(n, strcmp(p->actions[i].name, "hand-over") || first
					     ? n_formats : n_formats - 1);
			seen++;
		}
	ck_assert_uint_ge(seen, 4);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("convert");
	Suite *suite = suite_create("contacts convert");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_file_becomes_one_of_another_format_and_what_is_lost_is_named);
	tcase_add_test(tc, the_vault_keeps_unknown_sections_byte_for_byte);
	tcase_add_test(tc, an_encrypted_set_is_read_with_its_key_alone);
	tcase_add_test(tc, a_folder_has_a_file_for_each_user);
	tcase_add_test(tc, a_source_that_breaks_off_leaves_the_target_alone);
	tcase_add_test(tc, one_user_twice_makes_no_set);
	tcase_add_test(tc, only_the_users_that_are_named_go_along);
	tcase_add_test(tc, a_convert_that_contradicts_itself_is_invalid);
	tcase_add_test(tc, what_is_handed_over_is_there_or_the_step_fails);
	tcase_add_test(tc, an_importer_that_fails_is_not_believed_to_have_worked);
	tcase_add_test(tc, what_xmpp_has_no_place_for_is_told_and_not_looked_for);
	tcase_add_test(tc, an_importer_is_run_through_ssh);
	tcase_add_test(tc, each_difference_is_one_line);
	tcase_add_test(tc, a_diff_with_a_broken_side_says_which);
	tcase_add_test(tc, formats_of_the_plan_are_those_of_the_table);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
