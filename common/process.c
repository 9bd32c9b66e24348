#include "common/process.h"

#include "common/keys.h"
#include "common/log.h"
#include "log_subsystems.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void on_signal(uv_signal_t *handle, int signal_number)
{
	struct process *process = handle->data;
	enum process_stop stop = PROCESS_DRAINING;

	/* Whoever sits at a terminal, or asks twice, is in a hurry. */
	if (signal_number == SIGINT || process->stop != PROCESS_RUNNING)
		stop = PROCESS_HURRYING;
	if (process->stop == PROCESS_HURRYING) {
		log_warn("told to stop once more, ending at once signal=%d",
			signal_number);
		_exit(1);
	}
	process->stop = stop;
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

/* ---- the log ---- */

void process_log(const struct config *config)
{
	log_set_line(config->log_json ? log_line_json : log_line_text);
	log_set_levels(&config->log_levels);
}

static void change_levels(const struct config *config, const char *text)
{
	struct log_levels levels = config->log_levels;

	if (text[0] != '\0' && log_levels_parse(text, &levels) < 0) {
		log_warn("asked to change the level of the log to what is none, it stays "
			 "level=\"%s\"",
			text);
		return;
	}
	if (!log_levels_known(&levels)) {
		log_warn("asked for the log of a part that no program has, it stays "
			 "level=\"%s\" parts=\"%s\"",
			text, LOG_SUBSYSTEMS);
		return;
	}
	log_set_levels(&levels);
	log_info("the level of the log was changed until the configuration is read again "
		 "level=%s",
		text[0] != '\0' ? text : "(as configured)");
}

bool process_take_request(const struct config *config, const struct redis *redis,
	const char *channel, size_t channel_length, const char *payload, size_t length)
{
	static const char word[] = "log";
	char text[512] = "";

	if (key_suffix(redis_prefix(redis), KEYS_TO, channel, channel_length) == NULL ||
		length < sizeof(word) - 1 || length >= sizeof(text) ||
		memcmp(payload, word, sizeof(word) - 1) != 0)
		return false;
	memcpy(text, payload, length);
	if (text[sizeof(word) - 1] != '\0' && text[sizeof(word) - 1] != ' ')
		return false;
	change_levels(config, length > sizeof(word) ? text + sizeof(word) : "");
	return true;
}

/* ---- metrics ---- */

void process_start_metrics(struct metrics *metrics)
{
	metrics_set(metrics, METRIC_BUILD, 1);
	metrics_set(metrics, METRIC_START_TIME, (int64_t)time(NULL));
}

/* Linux tells the number itself since 6.2; else they are counted. */
static int64_t open_files(void)
{
	struct stat about;
	int64_t count = -3; /* ".", "..", and the directory itself */
	DIR *directory;

	if (stat("/proc/self/fd", &about) == 0 && about.st_size > 0)
		return about.st_size;
	directory = opendir("/proc/self/fd");
	if (directory == NULL)
		return 0;
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

static int64_t microseconds(struct timeval time)
{
	return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

static void memory_metrics(struct metrics *metrics)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long page = sysconf(_SC_PAGESIZE), size = 0, resident = 0;

	if (file == NULL)
		return;
	if (fscanf(file, "%ld %ld", &size, &resident) == 2) {
		metrics_set(metrics, METRIC_VIRTUAL, (int64_t)size * page);
		metrics_set(metrics, METRIC_RESIDENT, (int64_t)resident * page);
	}
	fclose(file);
}

static void system_metrics(struct metrics *metrics)
{
	struct rusage usage;
	struct rlimit files;

	if (getrusage(RUSAGE_SELF, &usage) == 0)
		metrics_set(metrics, METRIC_CPU,
			microseconds(usage.ru_utime) + microseconds(usage.ru_stime));
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		metrics_set(metrics, METRIC_FILES_MOST, (int64_t)files.rlim_cur);
	metrics_set(metrics, METRIC_OPEN_FILES, open_files());
	memory_metrics(metrics);
}

void process_metrics(const struct redis *redis, struct metrics *metrics)
{
	struct redis_counters counters;

	system_metrics(metrics);
	redis_counters(redis, &counters);
	metrics->histograms[HISTOGRAM_REDIS_COMMAND] = counters.latency;
	metrics_set(metrics, METRIC_REDIS_WAITING, (int64_t)counters.waiting);
	metrics_set(metrics, METRIC_REDIS_TIMEOUTS, (int64_t)counters.timeouts);
	metrics_set(metrics, METRIC_REDIS_UP, redis_is_up(redis));
	metrics_set(metrics, METRIC_REDIS_COMMANDS, (int64_t)counters.commands);
	metrics_set(metrics, METRIC_REDIS_RECONNECTS, (int64_t)counters.reconnects);
	metrics_set(metrics, METRIC_REDIS_MESSAGES, (int64_t)counters.messages);
}

void process_close_loop(uv_loop_t *loop)
{
	for (int turn = 0; turn < 1000 && uv_loop_close(loop) == UV_EBUSY; turn++)
		uv_run(loop, UV_RUN_ONCE); /* what worker threads do is waited for */
}
