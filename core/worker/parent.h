/* parent.h -- what nursery*.c, attempt.c, spawn.c and registry.c share. */
#ifndef CORE_WORKER_PARENT_H
#define CORE_WORKER_PARENT_H

#include "core/base/base.h"
#include "core/worker/nursery.h"

#include <sys/types.h>

enum {
	READ_BYTES = 128 * 1024,  /* one read, and the most of one attempt in a loop turn */
	LOG_LINE_MAX = 4096,      /* longer lines of a process are cut */
	LOG_LINES_MAX = 10000,    /* of one attempt; more are counted and dropped */
	LOG_BYTES_MAX = 1 << 20,  /* likewise */
	LOG_PAUSE_MS = 50,        /* between two reads from an attempt over its budget */
	OUT_BYTES_MAX = 64 << 20, /* answers that an attempt has not read */
	LINGER_MS = 250,          /* for pipes that somebody holds open after the end */
	KILLED_WAIT_MS = 5000,    /* from SIGKILL to the nursery's word that it has ended */
	LOST_LINGER_MS = 2000,    /* for attempts to die after their nursery */
	ORPHANS_WAIT_MS = 1000,   /* for processes that were sent SIGKILL */
	FORK_BATCH = 64,          /* attempts in one message to a nursery */
};

/* Cuts a process's output into lines of bounded length. */
struct log_lines {
	struct strbuf held; /* an incomplete line */
	bool skipping;      /* the rest of a line that was cut */
};

/* Calls each(ctx, line) for every complete line in len bytes (which it may write). */
void log_lines_feed(struct log_lines *l, char *buf, size_t len,
		    void (*each)(void *ctx, const char *line), void *ctx);
/* The same for a last line without its newline; frees the memory. */
void log_lines_end(struct log_lines *l, void (*each)(void *ctx, const char *line), void *ctx);

/* How the kill of an attempt goes on. */
enum stage {
	STAGE_RUNNING,
	STAGE_CANCELLED, /* was asked to stop */
	STAGE_TERM,      /* SIGTERM was sent */
	STAGE_KILL,      /* SIGKILL was sent */
};

struct attempt {
	struct nursery *nursery;
	int64_t id;              /* slot and generation */
	struct attempt_events events;
	void *ctx;
	int sock_fd, log_fd;     /* -1: closed */
	int child_sock_fd, child_log_fd; /* until the fork message is sent; then -1 */
	bool sock_out;           /* EPOLLOUT is asked for */
	bool log_paused;         /* over its budget: not in the epoll set */
	bool exited;             /* reported by the nursery, or the nursery is gone */
	bool lost;               /* the latter */
	bool ended;              /* ended() was called; freed when the loop's turn is over */
	struct lines in;
	struct strbuf out;       /* not yet taken by the socket */
	struct log_lines log;
	uint64_t n_logs, log_bytes;
	int64_t log_due_ms;      /* when a paused log is read again */

	enum stage stage;
	enum attempt_outcome reason; /* TIMEOUT, CANCELLED or PROTOCOL once decided, else CLEAN */
	int64_t timeout_ms, due_ms;  /* due: the next step of the kill, or the linger's end */
	struct attempt_end end;
	char *param, *text;          /* end.param and end.text; owned */
	char *tag;                   /* of its processes, see tag.h; owned; NULL: none */
	char why[512];
	struct attempt *next_dead;
};

struct nursery {
	uv_loop_t *loop;
	struct nursery_config config; /* strings owned */
	struct nursery_events events;
	void *ctx;
	pid_t pid;                   /* 0: reaped */
	int ctl_fd, log_fd, ep_fd;
	uv_poll_t poll;              /* of ep_fd */
	uv_timer_t timer;            /* the earliest due time of all attempts */
	uv_idle_t idle;              /* sends what is queued; an active one keeps the loop awake */
	int n_handles;               /* not yet closed */
	bool hello, lost, lost_told, stopped, ctl_out_armed;
	int64_t hello_due_ms, timer_due_ms;
	struct lines in;
	struct log_lines log;
	struct strbuf out;           /* lines for the control socket */
	char *buf;                   /* READ_BYTES + 1 */
	char why[512];               /* why it is lost */

	/* Attempts by slot: id = generation << 16 | slot. */
	struct {
		struct attempt **item;
		size_t len, cap;
	} slots;
	struct {
		uint32_t *item;
		size_t len, cap;
	} free_slots;
	int64_t generation;
	unsigned n_open;
	struct {
		struct attempt **item;
		size_t len, cap;
	} queued;                    /* not yet sent to the nursery */
	struct attempt *dead;        /* ended, freed at the end of the turn */
};

/* --- spawn.c --- */

struct worker_process {
	pid_t pid;
	int ctl_fd; /* the parent's end */
	int log_fd; /* reads its stdout and stderr */
};

/* Starts `worker_path plugin_path`.  E_IO. */
int worker_spawn(const struct nursery_config *config, struct worker_process *ret,
		 struct error *err);
/* Waits at most ms for the process, then kills it, and says how it ended. */
void worker_reap(pid_t pid, int64_t ms, char *why, size_t why_size);
/* "killed by signal 11 (Segmentation fault)", "exit status 3". */
void describe_status(int status, char *buf, size_t size);

/* --- nursery.c --- */

enum watch { WATCH_CTL, WATCH_NURSERY_LOG, WATCH_SOCK, WATCH_LOG };

/* epoll_ctl of one descriptor under a tag that outlives it harmlessly. */
int nursery_watch(struct nursery *n, int op, int fd, uint32_t events, int64_t id,
		  enum watch what);
/* Asks for a look at all due times at the latest then. */
void nursery_due(struct nursery *n, int64_t due_ms);
/* Sends a signal to the attempt's group. */
void nursery_signal(struct nursery *n, int64_t id, int sig);
/* It does not do what it is told: kills it and, with it, all its attempts. */
void nursery_hung(struct nursery *n);
/* Sends what is to be sent and the queued attempts; what the socket does not take now goes as
 * soon as it is writable. */
void nursery_flush(struct nursery *n);
/* Gives the attempt an id and queues it; E_NOMEM, E_BUSY. */
int nursery_adopt(struct nursery *n, struct attempt *a);
/* Takes the attempt out of its slot and onto the dead list. */
void nursery_bury(struct nursery *n, struct attempt *a);

/* --- answer.c --- */

/* Sends now what the socket takes and keeps the rest; wipes sb. */
void attempt_send_line(struct attempt *a, struct strbuf *sb);
/* Sends what was kept. */
void attempt_flush_out(struct attempt *a);

/* --- attempt.c --- */

/* Fails the attempt: it is killed, nothing more is read from it. */
void attempt_broke_protocol(struct attempt *a, const char *what);

void attempt_on_sock(struct attempt *a, uint32_t events);
void attempt_on_log(struct attempt *a);
/* The nursery's word: how the process ended. */
void attempt_on_exited(struct attempt *a, const json_t *msg);
/* The nursery is gone. */
void attempt_on_lost(struct attempt *a);
/* Does what is due at now; returns when to look again (INT64_MAX: never). */
int64_t attempt_on_due(struct attempt *a, int64_t now);
/* Ends it whatever is open. */
void attempt_end_now(struct attempt *a);
void attempt_free(struct attempt *a);

#endif
