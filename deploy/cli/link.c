#include "deploy/cli/link.h"

#include <string.h>

#include "common/list.h"
#include "common/process.h"
#include "deploy/cli/output.h"

#define PATIENCE_MS 5000

static void leave(struct link *link, enum exit_status status)
{
	link->status = status;
	uv_stop(&link->loop);
}

static void on_up(void *user)
{
	struct link *link = user;

	link->opened = true;
	uv_stop(&link->loop);
}

/* Of the first attempt; the link tries again, and patience has an end. Where we are
 * refused, that was said. */
static void on_down(const char *reason, void *user)
{
	if (((struct link *)user)->status == EXIT_FINE)
		output_say("Redis cannot be reached: %s", reason);
}

static void on_message(const char *channel, size_t channel_length, const char *payload,
	size_t length, void *user)
{
	(void)channel, (void)channel_length, (void)payload, (void)length, (void)user;
}

static void on_refused(const char *reason, void *user)
{
	output_say("Redis refuses us: %s; `uricast doctor` may say more", reason);
	leave(user, EXIT_UNREACHABLE);
}

static void on_patience(struct clock_timer *timer)
{
	struct link *link = container_of(timer, struct link, patience);

	if (!link->opened)
		output_say("giving up on Redis after %d s; --redis URL or URICAST_REDIS "
			   "names another",
			PATIENCE_MS / 1000);
	leave(link, link->opened ? EXIT_FINE : EXIT_UNREACHABLE);
}

enum exit_status link_open(struct link *link, const struct options *options)
{
	static const struct redis_events events = {
		on_up, on_down, on_message, on_refused};
	const struct redis_settings settings = {
		options->redis, options->prefix, "uricast"};

	*link = (struct link){.status = EXIT_FINE};
	uv_loop_init(&link->loop);
	link->clock = clock_new(&link->loop);
	clock_timer_init(&link->patience, link->clock, on_patience);
	link->redis = redis_new(&link->loop, link->clock, &settings, &events, link);
	redis_start(link->redis);
	clock_timer_start_in(&link->patience, PATIENCE_MS);
	uv_run(&link->loop, UV_RUN_DEFAULT);
	clock_timer_stop(&link->patience);
	return link->status;
}

static void on_read(int error, const struct fleet *fleet, void *user)
{
	struct link *link = user;

	link->reading = false;
	if (error == 0)
		link->on_read(fleet, link->user);
	else
		output_say("the fleet could not be read: %s", strerror(-error));
	leave(link, error == 0 ? EXIT_FINE : EXIT_UNREACHABLE);
}

enum exit_status link_read(struct link *link, const struct fleet_query *query,
	void (*take)(const struct fleet *fleet, void *user), void *user)
{
	link->on_read = take;
	link->user = user;
	link->reading = true;
	link->status = EXIT_FINE;
	fleet_read(link->redis, link->clock, query, on_read, link);
	while (link->reading && link->status == EXIT_FINE)
		uv_run(&link->loop, UV_RUN_DEFAULT);
	return link->status;
}

void link_wait(struct link *link, int64_t ms)
{
	int64_t end_ms = clock_now_ms(link->clock) + ms;

	clock_timer_start_in(&link->patience, ms);
	while (clock_now_ms(link->clock) < end_ms && link->status == EXIT_FINE)
		uv_run(&link->loop, UV_RUN_DEFAULT);
	clock_timer_stop(&link->patience);
}

void link_close(struct link *link)
{
	redis_free(link->redis);
	clock_timer_stop(&link->patience);
	clock_free(link->clock);
	process_close_loop(&link->loop);
}
