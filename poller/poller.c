#include "poller/poller.h"

#include "common/clock.h"
#include "common/fleet.h"
#include "common/list.h"
#include "common/log.h"
#include "common/membership.h"
#include "common/memory.h"
#include "common/metrics.h"
#include "common/monitor.h"
#include "common/notify.h"
#include "common/process.h"
#include "common/redis.h"
#include "common/reload.h"
#include "poller/claim.h"
#include "poller/commit.h"
#include "poller/fetch.h"
#include "poller/schedule.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define LEAVE_MS 5000     /* a Redis that does not answer holds nobody up longer */
#define PROVIDER_MS 60000 /* between two notes of what our providers are */

struct poller {
	struct config *config;
	struct metrics metrics;
	char host[256];

	uv_loop_t loop;
	struct process process;
	struct reload reload;
	struct notify notify;
	struct clock *clock;
	struct redis *redis;
	struct membership *membership;
	struct fetcher *fetcher;
	struct commits *commits;
	struct schedule *schedule;
	struct claim *claim;
	struct monitor *monitor;

	struct clock_timer providers;
	struct clock_timer leave;
	bool leaving;
};

/* ---- what the parts tell each other ---- */

static void on_up(void *user)
{
	struct poller *poller = user;

	log_info("connected to Redis");
	poller->process.was_up = true;
	membership_on_up(poller->membership);
	claim_on_up(poller->claim);
}

static void on_down(const char *reason, void *user)
{
	struct poller *poller = user;

	log_warn("Redis is away, reconnecting reason=\"%s\"", reason);
	membership_on_down(poller->membership);
}

static void on_message(const char *channel, size_t channel_length, const char *payload,
	size_t length, void *user)
{
	struct poller *poller = user;

	if (process_take_request(poller->config, poller->redis, channel, channel_length,
		    payload, length))
		return;
	claim_on_message(poller->claim, channel, channel_length, payload, length);
}

static void on_refused(const char *reason, void *user)
{
	struct poller *poller = user;

	process_refused(&poller->process, reason);
}

static void on_entered(void *user)
{
	struct poller *poller = user;

	metrics_add(&poller->metrics, METRIC_SESSIONS, 1);
	claim_on_entered(poller->claim);
	clock_timer_start_in(&poller->providers, 0);
}

static void on_lost(void *user)
{
	struct poller *poller = user;

	claim_on_lost(poller->claim);
}

static void on_peers(void *user)
{
	struct poller *poller = user;

	claim_on_peers(poller->claim);
}

static int64_t polls(const struct metrics *metrics)
{
	return metrics->values[METRIC_POLLS_UNCHANGED] +
		metrics->values[METRIC_POLLS_CHANGED] +
		metrics->values[METRIC_POLLS_FAILED];
}

static void on_renewing(void *user)
{
	struct poller *poller = user;
	char down[FLEET_DOWN_MAX];

	claim_on_renewing(poller->claim);
	membership_fact(poller->membership, "polls", polls(&poller->metrics));
	membership_fact(
		poller->membership, "commits", poller->metrics.values[METRIC_COMMITS]);
	membership_fact_text(poller->membership, "down",
		schedule_down_names(poller->schedule, down, sizeof(down)));
}

static void on_renewed(size_t held, void *user)
{
	struct poller *poller = user;

	claim_on_renewed(poller->claim, held);
}

static void on_claimed(struct resource *resource, int64_t spread_ms, void *user)
{
	struct poller *poller = user;

	schedule_claimed(poller->schedule, resource, spread_ms);
}

static void on_reread(struct resource *resource, void *user)
{
	struct poller *poller = user;

	schedule_reread(poller->schedule, resource);
}

static void on_unwanted(struct resource *resource, void *user)
{
	struct poller *poller = user;

	schedule_unwanted(poller->schedule, resource);
}

static void on_dropped(struct resource *resource, void *user)
{
	struct poller *poller = user;

	schedule_dropped(poller->schedule, resource);
}

static void on_refresh(struct resource *resource, void *user)
{
	struct poller *poller = user;

	schedule_refresh(poller->schedule, resource);
}

static void on_poll_done(
	struct resource *resource, bool failed, int64_t retry_ms, void *user)
{
	struct poller *poller = user;

	schedule_done(poller->schedule, resource, failed, retry_ms);
	claim_polled(poller->claim, resource);
}

static void on_not_ours(struct resource *resource, void *user)
{
	struct poller *poller = user;

	claim_drop(poller->claim, resource);
}

static struct resource *on_find(const char *address, void *user)
{
	struct poller *poller = user;

	return poller->claim != NULL ? claim_find(poller->claim, address) : NULL;
}

static bool may_start(void *user)
{
	struct poller *poller = user;

	return membership_valid(poller->membership);
}

/* ---- monitor ---- */

static const char *not_ready(void *user)
{
	struct poller *poller = user;

	if (poller->leaving)
		return "handing over";
	if (!redis_is_up(poller->redis))
		return "Redis cannot be reached";
	return membership_valid(poller->membership) ? NULL : "the lease does not run";
}

static void write_status(char *text, void *user)
{
	struct poller *poller = user;

	snprintf(text, NOTIFY_STATUS_MAX, "polling %zu resources",
		claim_count(poller->claim));
}

static char *write_metrics(size_t *length, void *user)
{
	struct poller *poller = user;
	struct metrics *metrics = &poller->metrics;
	struct fetcher_counters fetches;

	fetcher_counters(poller->fetcher, &fetches);
	metrics_set(metrics, METRIC_POLL_BYTES, (int64_t)fetches.body_bytes);
	metrics_set(metrics, METRIC_POLLS_WAITING,
		(int64_t)schedule_waiting(poller->schedule));
	metrics_set(
		metrics, METRIC_PROVIDERS_DOWN, (int64_t)schedule_down(poller->schedule));
	metrics_set(metrics, METRIC_OWNED, (int64_t)claim_count(poller->claim));
	process_metrics(poller->redis, metrics);
	return metrics_write(metrics, METRICS_POLLER, length);
}

/* ---- what gateways without a file want to know ---- */

static void publish_provider(struct poller *poller, const char *name,
	const struct catalog_provider *provider)
{
	struct redis_args args = {0};

	redis_args_text(&args, name);
	redis_args_text(&args, "interval_ms");
	redis_args_number(&args, provider->interval.default_ms);
	redis_args_text(&args, "interval_min_ms");
	redis_args_number(&args, provider->interval.min_ms);
	redis_args_text(&args, "interval_max_ms");
	redis_args_number(&args, provider->interval.max_ms);
	redis_script(
		poller->redis, REDIS_SCRIPT_DESCRIBE, &args, REDIS_NORMAL, NULL, NULL);
}

static void on_providers(struct clock_timer *timer)
{
	struct poller *poller = container_of(timer, struct poller, providers);
	const struct catalog_provider *providers;
	size_t count = catalog_providers(poller->config->catalog, &providers);

	for (size_t i = 0; i < count; i++) {
		publish_provider(poller, providers[i].name, &providers[i]);
		/* A gateway without a file knows no other name for it. */
		if (providers[i].is_default && strcmp(providers[i].name, "default") != 0)
			publish_provider(poller, "default", &providers[i]);
	}
	clock_timer_start_in(timer, PROVIDER_MS);
}

/* ---- another configuration ---- */

/* The schedule first: the claim tells it of intervals by the new catalog. */
static const char *on_reload(struct config *next, void *user)
{
	struct poller *poller = user;

	schedule_reload(poller->schedule, next->catalog);
	claim_reload(poller->claim, next->catalog);
	fetcher_reload(poller->fetcher, next->catalog);
	clock_timer_start_in(&poller->providers, 0);
	return NULL;
}

/* ---- leaving ---- */

static void on_left(void *user)
{
	struct poller *poller = user;

	log_info("everything is handed over, leaving");
	uv_stop(&poller->loop);
}

static void on_leave_deadline(struct clock_timer *timer)
{
	struct poller *poller = container_of(timer, struct poller, leave);

	log_warn("Redis did not answer in time, leaving all the same; others take over "
		 "when "
		 "the lease has run out");
	uv_stop(&poller->loop);
}

static void on_stop(void *user)
{
	struct poller *poller = user;

	if (poller->leaving)
		return; /* it hurries already */
	log_info("leaving: handing over what is owned resources=%zu",
		claim_count(poller->claim));
	poller->leaving = true;
	reload_end(&poller->reload);
	notify_stopping();
	claim_drain(poller->claim);
	clock_timer_start_in(&poller->leave, LEAVE_MS);
	membership_leave(poller->membership, on_left, poller);
}

/* ---- life ---- */

static void make_parts(struct poller *poller)
{
	const struct config *config = poller->config;
	const struct redis_settings redis = {
		config->redis, config->prefix, "uricast-poller"};
	const struct redis_events redis_events = {on_up, on_down, on_message, on_refused};
	const struct membership_settings member = {
		MEMBERSHIP_POLLER, config->lease_ms, poller->host, URICAST_VERSION};
	const struct membership_events member_events = {
		on_entered, on_lost, on_peers, on_renewing, on_renewed};
	const struct fetcher_events fetcher_events = {may_start};
	const struct commits_events commits_events = {on_poll_done, on_not_ours, on_find};
	const struct claim_events claim_events = {
		on_claimed, on_reread, on_unwanted, on_dropped, on_refresh};

	poller->clock = clock_new(&poller->loop);
	clock_timer_init(&poller->providers, poller->clock, on_providers);
	clock_timer_init(&poller->leave, poller->clock, on_leave_deadline);
	poller->redis =
		redis_new(&poller->loop, poller->clock, &redis, &redis_events, poller);
	poller->membership = membership_new(
		poller->clock, poller->redis, &member, &member_events, poller);
	poller->fetcher =
		fetcher_new(&poller->loop, poller->clock, &fetcher_events, poller);
	poller->commits = commits_new(&poller->loop, poller->clock, poller->redis,
		poller->membership, &poller->metrics, &commits_events, poller);
	poller->schedule = schedule_new(poller->clock, poller->redis, poller->membership,
		config->catalog, poller->fetcher, poller->commits, &poller->metrics);
	poller->claim = claim_new(poller->clock, poller->redis, poller->membership,
		config->catalog, &poller->metrics, &claim_events, poller);
}

struct poller *poller_new(struct config *config)
{
	struct poller *poller = xcalloc(1, sizeof(*poller));
	const struct monitor_events monitor_events = {not_ready, write_metrics};
	const struct notify_events notify_events = {not_ready, write_status};
	const char *error;

	poller->config = config;
	gethostname(poller->host, sizeof(poller->host) - 1);
	uv_loop_init(&poller->loop);
	process_init(&poller->process, &poller->loop, on_stop, poller);
	process_start_metrics(&poller->metrics);
	make_parts(poller);
	notify_init(&poller->notify, poller->clock, &notify_events, poller);
	reload_init(&poller->reload, &poller->loop, poller->config, &poller->metrics,
		&poller->notify, on_reload, poller);
	if (config->metrics_listen == NULL)
		return poller;
	poller->monitor = monitor_new(
		&poller->loop, config->metrics_listen, &monitor_events, poller, &error);
	if (poller->monitor != NULL)
		return poller;
	log_error("%s", error);
	poller_free(poller);
	return NULL;
}

int poller_run(struct poller *poller)
{
	log_info("poller started version=%s", URICAST_VERSION);
	redis_start(poller->redis);
	uv_run(&poller->loop, UV_RUN_DEFAULT);
	return poller->process.status;
}

void poller_free(struct poller *poller)
{
	if (poller == NULL)
		return;
	monitor_free(poller->monitor);
	/* Ends what is under way, so the others must still be there. */
	redis_free(poller->redis);
	claim_free(poller->claim);
	poller->claim = NULL; /* what comes off the worker pool finds nothing any more */
	schedule_free(poller->schedule);
	fetcher_free(poller->fetcher);
	membership_free(poller->membership);
	clock_timer_stop(&poller->providers);
	clock_timer_stop(&poller->leave);
	notify_fini(&poller->notify);
	reload_fini(&poller->reload);
	process_fini(&poller->process);
	clock_free(poller->clock);
	process_close_loop(&poller->loop);
	commits_free(poller->commits);
	free(poller);
}
