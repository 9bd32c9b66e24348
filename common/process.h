#pragma once

/*
 * Process: what both programs do around their parts: signals, limits, the loop's end.
 */

#include "common/config.h"
#include "common/metrics.h"
#include "common/redis.h"

#include <stdbool.h>
#include <uv.h>

enum process_stop {
	PROCESS_RUNNING,
	PROCESS_DRAINING, /* told to stop: in good order */
	PROCESS_HURRYING, /* told so by SIGINT, or again: as soon as can be */
};

struct process {
	uv_loop_t *loop;
	uv_signal_t terminate;
	uv_signal_t interrupt;
	void (*on_stop)(void *user);
	void *user;
	enum process_stop stop;
	bool was_up; /* Redis has taken us once */
	int status;  /* of the exit */
};

/**
 * Watches SIGTERM and SIGINT, ignores SIGPIPE, raises the limit of open files.
 *
 * @on_stop  runs whenever process->stop has changed; a signal after that ends the process
 *           at once
 */
void process_init(struct process *process, uv_loop_t *loop, void (*on_stop)(void *user),
	void *user);
void process_fini(struct process *process);

/** Has the log be as @config says. */
void process_log(const struct config *config);

/**
 * Does what somebody asks of this process on its own channel: "log LEVELS" changes what
 * is logged (as --log-level), "log" has it be as @config says again.
 *
 * False where @channel is another, or @payload something else.
 */
bool process_take_request(const struct config *config, const struct redis *redis,
	const char *channel, size_t channel_length, const char *payload, size_t length);

/** Redis refuses us for what only a person can mend: ends the process if it never took
 * us. */
void process_refused(struct process *process, const char *reason);

/** Sets what stays as it is, and before each look what both programs show alike. */
void process_start_metrics(struct metrics *metrics);
void process_metrics(const struct redis *redis, struct metrics *metrics);

/** Lets handles that are closing finish, then closes @loop. */
void process_close_loop(uv_loop_t *loop);
