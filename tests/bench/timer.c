/*
 * The floor under any schedule: as many bare libuv timers as there are resources, each
 * due once per interval at a phase of its own, which do nothing but tell how late they
 * were called. At SIGTERM it prints one line of JSON.
 */

#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "tests/bench/histogram.h"
#include "tests/bench/tool.h"

struct alarm {
	uv_timer_t timer;
	uint64_t due_ms; /* by the clock of uv_hrtime() */
};

struct settings {
	size_t timers;
	uint64_t interval_ms;
	struct histogram lateness;
};

static struct settings settings = {.timers = 1000, .interval_ms = 1000};

static void on_due(uv_timer_t *timer)
{
	struct alarm *alarm = (struct alarm *)timer;
	uint64_t now_ms = uv_now(timer->loop);

	histogram_add(&settings.lateness,
		(int64_t)(uv_hrtime() / 1000) - (int64_t)alarm->due_ms * 1000);
	alarm->due_ms += settings.interval_ms;
	uv_timer_start(
		timer, on_due, alarm->due_ms > now_ms ? alarm->due_ms - now_ms : 0, 0);
}

static void on_signal(uv_signal_t *handle, int number)
{
	(void)number;
	uv_stop(handle->loop);
}

static const struct argp_option options[] = {
	{"timers", 't', "N", 0, "How many (default 1000)", 0},
	{"interval", 'i', "MS", 0, "Each is due so often (default 1000)", 0},
	{0},
};

static error_t on_option(int key, char *text, struct argp_state *state)
{
	switch (key) {
	case 't':
		settings.timers = tool_number(state, text, 1, 10000000);
		return 0;
	case 'i':
		settings.interval_ms = tool_number(state, text, 1, 86400000);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = on_option,
		.doc = "Tells how late timers of libuv are called.",
	};
	uv_loop_t *loop = uv_default_loop();
	struct alarm *alarms;
	uv_signal_t end;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	alarms = calloc(settings.timers, sizeof(*alarms));
	if (alarms == NULL)
		tool_die("no memory for timers");
	uv_signal_init(loop, &end);
	uv_signal_start(&end, on_signal, SIGTERM);
	for (size_t i = 0; i < settings.timers; i++) {
		uint64_t phase_ms = i * settings.interval_ms / settings.timers;

		uv_timer_init(loop, &alarms[i].timer);
		alarms[i].due_ms = uv_now(loop) + phase_ms + 1;
		uv_timer_start(&alarms[i].timer, on_due, phase_ms + 1, 0);
	}

	uv_run(loop, UV_RUN_DEFAULT);

	histogram_write(&settings.lateness, stdout);
	putchar('\n');
	free(alarms);
	return 0;
}
