#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/memory.h"
#include "deploy/cli/commands.h"
#include "deploy/cli/event_stream.h"
#include "deploy/cli/http.h"
#include "deploy/cli/output.h"
#include "deploy/cli/watch_print.h"

#define SILENT_MS 45000 /* three heartbeats of a gateway */
#define RETRY_FIRST_MS 500
#define RETRY_MOST_MS 10000
#define LOOK_MS 1000 /* at the clock, while nothing happens */

struct watch {
	const struct options *options;
	CURLM *multi;
	struct http http; /* of the connection at hand */
	struct event_stream events;
	uint32_t seen;       /* events */
	int64_t deadline_ms; /* INT64_MAX: none */
	int64_t heard_ms;
	bool streaming;    /* the connection has said something */
	int wrong;         /* what event_stream_feed() returned, if not 0 */
	unsigned attempts; /* in a row that came to nothing */
};

static int64_t now_ms(void)
{
	return (int64_t)(uv_hrtime() / 1000000);
}

static bool is_over(const struct watch *watch)
{
	return (watch->options->count > 0 && watch->seen >= watch->options->count) ||
		now_ms() >= watch->deadline_ms;
}

/* ---- what comes ---- */

static bool on_event(const char *data, size_t length, void *user)
{
	struct watch *watch = user;

	if (!watch_print(watch->options, data, length)) {
		output_say("the gateway sent an event that this version does not know; "
			   "going on without it");
		return true;
	}
	watch->seen++;
	return !is_over(watch);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
	struct watch *watch = user;

	watch->heard_ms = now_ms();
	if (http_status(&watch->http) != 200) {
		http_refused(&watch->http, bytes, count);
		return size * count;
	}
	watch->streaming = true;
	watch->wrong = event_stream_feed(&watch->events, bytes, count);
	return watch->wrong == 0 ? size * count : 0;
}

/* ---- one connection ---- */

static enum exit_status begin(struct watch *watch)
{
	const struct options *options = watch->options;
	char parameters[64], *resume;
	enum exit_status status;
	int length = snprintf(parameters, sizeof(parameters), "&mode=patch");

	if (options->interval_ms > 0)
		snprintf(parameters + length, sizeof(parameters) - (size_t)length,
			"&interval=%g", options->interval_ms / 1000.0);
	status = http_init(&watch->http, options, parameters);
	if (status != EXIT_FINE)
		return status;
	http_header(&watch->http, "Accept: text/event-stream");
	if (*watch->events.id &&
		asprintf(&resume, "Last-Event-ID: %s", watch->events.id) >= 0) {
		http_header(&watch->http, resume);
		free(resume);
	}
	curl_easy_setopt(watch->http.easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(watch->http.easy, CURLOPT_WRITEDATA, watch);
	event_stream_restart(&watch->events);
	watch->heard_ms = now_ms();
	watch->streaming = false;
	curl_multi_add_handle(watch->multi, watch->http.easy);
	return EXIT_FINE;
}

static int wait_ms(const struct watch *watch)
{
	int64_t left_ms = watch->deadline_ms - now_ms();

	return left_ms < 0 ? 0 : left_ms < LOOK_MS ? (int)left_ms : LOOK_MS;
}

/* Until the connection ends, or ought to. Returns why, for people. */
static const char *serve(struct watch *watch)
{
	int running = 1, left;
	CURLMsg *message;

	while (running && !is_over(watch)) {
		curl_multi_perform(watch->multi, &running);
		if (now_ms() - watch->heard_ms > SILENT_MS)
			return "the gateway was silent for 45 s";
		if (running)
			curl_multi_poll(watch->multi, NULL, 0, wait_ms(watch), NULL);
	}
	if (watch->wrong == -ENOMEM)
		return "there is no memory for what it sent";
	if (watch->wrong == -EMSGSIZE)
		return "it sent an event of more than a gigabyte";
	message = curl_multi_info_read(watch->multi, &left);
	if (message && message->data.result != CURLE_OK)
		return *watch->http.error ? watch->http.error
					  : curl_easy_strerror(message->data.result);
	return "the gateway ended the connection";
}

static int64_t retry_ms(const struct watch *watch)
{
	int64_t delay_ms = RETRY_FIRST_MS;

	if (watch->attempts <= 1 && watch->events.retry_ms > 0)
		delay_ms = watch->events.retry_ms;
	for (unsigned i = 1; i < watch->attempts && delay_ms < RETRY_MOST_MS; i++)
		delay_ms *= 2;
	return delay_ms < RETRY_MOST_MS ? delay_ms : RETRY_MOST_MS;
}

static void pause_for(struct watch *watch, int64_t delay_ms)
{
	int64_t end_ms = now_ms() + delay_ms;

	while (now_ms() < end_ms && !is_over(watch)) {
		int64_t left_ms = end_ms - now_ms(), most_ms = wait_ms(watch);

		curl_multi_poll(watch->multi, NULL, 0,
			(int)(left_ms < most_ms ? left_ms : most_ms), NULL);
	}
}

/* A refusal that will not be another one the next time. */
static bool is_final(long status)
{
	return status != 0 && status != 200 && status < 500;
}

static enum exit_status watch_once(struct watch *watch)
{
	enum exit_status status = begin(watch);
	const char *reason;
	long answer;
	int64_t delay_ms;

	if (status != EXIT_FINE)
		return status;
	reason = serve(watch);
	answer = http_status(&watch->http);
	watch->attempts = watch->streaming ? 0 : watch->attempts + 1;
	if (is_final(answer))
		status = http_explain(&watch->http, watch->options);
	else if (!is_over(watch)) {
		delay_ms = retry_ms(watch);
		if (answer != 0 && answer != 200)
			http_explain(&watch->http, watch->options);
		else
			output_say("%s: %s", watch->options->gateway, reason);
		output_say("trying again in %.1f s", (double)delay_ms / 1000);
		curl_multi_remove_handle(watch->multi, watch->http.easy);
		http_fini(&watch->http);
		pause_for(watch, delay_ms);
		return EXIT_FINE;
	}
	curl_multi_remove_handle(watch->multi, watch->http.easy);
	http_fini(&watch->http);
	return status;
}

enum exit_status watch_run(const struct options *options)
{
	struct watch *watch = xcalloc(1, sizeof(*watch));
	enum exit_status status = EXIT_FINE;
	bool short_of_count;

	watch->options = options;
	watch->multi = curl_multi_init();
	event_stream_init(&watch->events, on_event, watch);
	watch->deadline_ms =
		options->timeout_ms ? now_ms() + (int64_t)options->timeout_ms : INT64_MAX;
	while (status == EXIT_FINE && !is_over(watch))
		status = watch_once(watch);
	short_of_count = options->count > 0 && watch->seen < options->count;
	if (status == EXIT_FINE && short_of_count) {
		output_say("%u of %u events came within the timeout", watch->seen,
			options->count);
		status = EXIT_TIMEOUT;
	}
	event_stream_fini(&watch->events);
	curl_multi_cleanup(watch->multi);
	free(watch);
	return status;
}
