#include "common/process.h"

#include "common/log.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void on_signal(uv_signal_t *handle, int signal_number)
{
	struct process *process = handle->data;

	if (process->stopping) {
		log_warn("second signal, ending at once signal=%d", signal_number);
		_exit(1);
	}
	process->stopping = true;
	process->on_stop(process->user);
}

static void watch(struct process *process, uv_signal_t *handle, int signal_number)
{
	uv_signal_init(process->loop, handle);
	handle->data = process;
	uv_signal_start(handle, on_signal, signal_number);
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

void process_init(
	struct process *process, uv_loop_t *loop, void (*on_stop)(void *user), void *user)
{
	*process = (struct process){.loop = loop, .on_stop = on_stop, .user = user};
	signal(SIGPIPE, SIG_IGN);
	raise_file_limit();
	watch(process, &process->terminate, SIGTERM);
	watch(process, &process->interrupt, SIGINT);
}

void process_fini(struct process *process)
{
	uv_close((uv_handle_t *)&process->terminate, NULL);
	uv_close((uv_handle_t *)&process->interrupt, NULL);
}

void process_refused(struct process *process, const char *reason)
{
	log_error(
		"Redis refuses us, mend its configuration or ours reason=\"%s\"", reason);
	if (process->was_up)
		return;
	process->status = 1;
	uv_stop(process->loop);
}

void process_start_metrics(struct metrics *metrics)
{
	metrics_set(metrics, METRIC_UP_SINCE, (int64_t)time(NULL));
}

void process_redis_metrics(const struct redis *redis, struct metrics *metrics)
{
	struct redis_counters counters;

	redis_counters(redis, &counters);
	metrics_set(metrics, METRIC_REDIS_UP, redis_is_up(redis));
	metrics_set(metrics, METRIC_REDIS_COMMANDS, (int64_t)counters.commands);
	metrics_set(metrics, METRIC_REDIS_RECONNECTS, (int64_t)counters.reconnects);
	metrics_set(metrics, METRIC_REDIS_MESSAGES, (int64_t)counters.messages);
}

void process_close_loop(uv_loop_t *loop)
{
	for (int turn = 0; turn < 1000 && uv_loop_close(loop) == UV_EBUSY; turn++)
		uv_run(loop, UV_RUN_NOWAIT);
}
