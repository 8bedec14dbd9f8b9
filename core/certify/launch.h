/* launch.h -- starts the program under the shim and waits for its end. */
#ifndef CORE_CERTIFY_LAUNCH_H
#define CORE_CERTIFY_LAUNCH_H

#include "core/certify/fault.h"
#include "core/certify/lane.h"

/* What the program says with its exit status (core/run/run.h). */
#define EXIT_STATUS_DONE 0
#define EXIT_STATUS_PAUSED 3

struct launch_setup {
	char **env;                /* of what is started; owned */
	char *plan;                /* path; owned */
	const char *resite, *dir;  /* borrowed: the program, the case's folder */
	struct fault_page *page;   /* mapped */
	int page_fd;
};

struct launch_end {
	bool hung;                 /* it did not end in time and was killed */
	int status, signal;        /* exit status, or what killed it */
};

/* *ret_page is the page that all launches share; it lives as long as the setup. */
int launch_setup_init(struct launch_setup *setup, const struct lane_setup *lane, const char *dir,
		      struct fault_page **ret_page, struct error *err);
void launch_setup_release(struct launch_setup *setup);

/* `resite run`, or `resite resume`, as generation n, to its end. */
int launch_orchestrator(struct launch_setup *setup, bool resume, uint32_t n,
			struct launch_end *ret, struct error *err);

/* `resite WORD RUN STEP`; E_REFUSED: it did not take it. */
int launch_word(struct launch_setup *setup, const char *word, const char *run, const char *step,
		uint32_t n, struct error *err);

/* Kills every process that was started and is left, and waits for their ends. */
void launch_kill_all(void);
/* Whether all of them are gone within ms; else they are killed. */
bool launch_all_gone(int64_t ms);

#endif
