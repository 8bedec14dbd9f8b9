#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/run/sshsig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_MS 5000
#define POLL_MS 2
#define SAYS_MAX 4096

extern char **environ;

/* What ssh-keygen reads is in memory; it opens it by our descriptors. */
struct inputs {
	int signers_fd, signature_fd, text_fd, says_fd; /* -1: not there */
};

static int
memory_file(const char *text, struct error *err)
{
	int fd = memfd_create("resite", MFD_CLOEXEC);

	if (fd < 0 || file_write_all(fd, text, strlen(text)) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
		error_errno(err, errno, "cannot hold a file in memory");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static void
inputs_close(struct inputs *in)
{
	const int fds[] = {in->signers_fd, in->signature_fd, in->text_fd, in->says_fd};

	for (size_t i = 0; i < COUNT_OF(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void
path_of(int fd, char path[64])
{
	snprintf(path, 64, "/proc/%ld/fd/%d", (long)getpid(), fd);
}

/* The exit status of pid; -1 when its time was over, or it ended by a signal. */
static int
wait_for(pid_t pid)
{
	int64_t end_ms = clock_mono_ms() + DEADLINE_MS;
	struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
	int status = 0;
	pid_t got;

	while ((got = waitpid(pid, &status, WNOHANG)) == 0 || (got < 0 && errno == EINTR)) {
		if (clock_mono_ms() >= end_ms)
			kill(pid, SIGKILL);
		nanosleep(&pause, NULL);
	}
	return got == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Runs argv; *ret_says gets the beginning of what it has said. */
static int
keygen(const struct inputs *in, const char *const argv[], int *ret_status, char says[SAYS_MAX],
       struct error *err)
{
	posix_spawn_file_actions_t actions;
	ssize_t n;
	pid_t pid;
	int rc;

	if (ftruncate(in->says_fd, 0) < 0 || lseek(in->says_fd, 0, SEEK_SET) < 0 ||
	    lseek(in->text_fd, 0, SEEK_SET) < 0)
		return error_errno(err, errno, "cannot hold a file in memory");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in->text_fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, in->says_fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, in->says_fd, STDERR_FILENO);
	rc = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (rc == ENOENT)
		return error_set(err, E_NOTFOUND, "there is no ssh-keygen: a signature cannot be "
				 "checked (Debian: openssh-client)");
	if (rc)
		return error_errno(err, rc, "cannot start ssh-keygen");
	*ret_status = wait_for(pid);
	n = pread(in->says_fd, says, SAYS_MAX - 1, 0);
	says[n > 0 ? n : 0] = '\0';
	return 0;
}

/* The first line that ssh-keygen has said, for a message. */
static void
refuse(struct error *err, const char *what, const char *says)
{
	int len = (int)strcspn(says, "\n");

	error_set(err, E_REFUSED, "%s (ssh-keygen: %.*s)", what, len < 300 ? len : 300, says);
}

/* The principal of the key that has made the signature: the first one of its line. */
static int
find_principal(const struct inputs *in, const char *signers, const char *signature, char says[SAYS_MAX],
	       struct error *err)
{
	const char *const argv[] = {"ssh-keygen", "-Y", "find-principals", "-s", signature, "-f", signers, NULL};
	int status, rc = keygen(in, argv, &status, says, err);

	if (rc < 0)
		return rc;
	if (status != 0) {
		refuse(err, "the signature is of no key that the plan's allowed_signers has", says);
		return E_REFUSED;
	}
	says[strcspn(says, "\n")] = '\0';
	if (!*says || strpbrk(says, "*?!"))
		return error_set(err, E_REFUSED, "the key's principal in allowed_signers is '%s': write one "
				 "person's name there, no pattern", says);
	return 0;
}

static int
verify(const struct inputs *in, const char *signers, const char *signature, const char *principal,
       struct error *err)
{
	const char *const argv[] = {"ssh-keygen", "-Y", "verify", "-n", SSHSIG_NAMESPACE, "-I", principal, "-s",
			signature, "-f", signers, NULL};
	char says[SAYS_MAX];
	int status, rc = keygen(in, argv, &status, says, err);

	if (rc < 0 || status == 0)
		return rc;
	refuse(err, "the signature does not fit the text", says);
	return E_REFUSED;
}

int
sshsig_principal(const char *signers, const char *signature, const char *text,
		 struct strbuf *ret, struct error *err)
{
	struct inputs in = {memory_file(signers, err), memory_file(signature, err),
			    memory_file(text, err), memory_file("", err)};
	char signers_path[64], signature_path[64], principal[SAYS_MAX];
	int rc = in.signers_fd < 0 || in.signature_fd < 0 || in.text_fd < 0 || in.says_fd < 0 ?
			 E_IO : 0;

	if (rc == 0) {
		path_of(in.signers_fd, signers_path);
		path_of(in.signature_fd, signature_path);
		rc = find_principal(&in, signers_path, signature_path, principal, err);
	}
	if (rc == 0)
		rc = verify(&in, signers_path, signature_path, principal, err);
	if (rc == 0)
		strbuf_addstr(ret, principal);
	inputs_close(&in);
	return rc;
}
