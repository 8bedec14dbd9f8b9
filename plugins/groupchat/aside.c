#include "plugins/groupchat/aside.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct aside {
	void (*work)(void *);
	void *arg;
	int end_fd; /* eventfd: written at the end */
};

/* No signal is for this thread; a broken connection must be an error, not SIGPIPE. */
static void *
run(void *arg)
{
	struct aside *a = arg;
	uint64_t one = 1;

	a->work(a->arg);
	if (write(a->end_fd, &one, sizeof one) < 0)
		abort();
	return NULL;
}

int
aside_run(const struct call *c, void (*work)(void *), void *arg, int64_t ms)
{
	struct aside *a = malloc(sizeof *a);
	sigset_t all, before;
	pthread_t thread;
	int errnum, rc;

	if (!a)
		return call_no_memory(c);
	*a = (struct aside){.work = work, .arg = arg, .end_fd = eventfd(0, EFD_CLOEXEC)};
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errnum = a->end_fd < 0 ? errno : pthread_create(&thread, NULL, run, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (errnum != 0) {
		if (a->end_fd >= 0)
			close(a->end_fd);
		free(a);
		return call_fail(c, RESITE_ERR_TRANSIENT, NULL, "a thread cannot be started: %s",
				 strerror(errnum));
	}
	rc = c->host->wait(c->op, a->end_fd, POLLIN, ms);
	if (rc != RESITE_OK) {
		pthread_detach(thread);
		return rc;
	}
	pthread_join(thread, NULL);
	close(a->end_fd);
	free(a);
	return RESITE_OK;
}
