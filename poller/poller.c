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
#include "poller/engine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

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
	struct engine engine;
	struct monitor *monitor;

	struct clock_timer providers;
};

/* ---- what the engine tells ---- */

static void on_up(void *user)
{
	struct poller *poller = user;

	poller->process.was_up = true;
}

static void on_refused(const char *reason, void *user)
{
	struct poller *poller = user;

	process_refused(&poller->process, reason);
}

static bool on_message(const char *channel, size_t channel_length, const char *payload,
	size_t length, void *user)
{
	struct poller *poller = user;

	return process_take_request(poller->config, poller->engine.redis, channel,
		channel_length, payload, length);
}

static void on_entered(void *user)
{
	struct poller *poller = user;

	clock_timer_start_in(&poller->providers, 0);
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
	struct membership *membership = poller->engine.membership;
	char down[FLEET_DOWN_MAX];

	membership_fact(membership, "polls", polls(&poller->metrics));
	membership_fact(membership, "commits", poller->metrics.values[METRIC_COMMITS]);
	membership_fact_text(membership, "down",
		schedule_down_names(poller->engine.schedule, down, sizeof(down)));
}

static void on_left(void *user)
{
	struct poller *poller = user;

	uv_stop(&poller->loop);
}

/* ---- monitor ---- */

static const char *not_ready(void *user)
{
	struct poller *poller = user;

	if (poller->engine.leaving)
		return "handing over";
	if (!redis_is_up(poller->engine.redis))
		return "Redis cannot be reached";
	return membership_valid(poller->engine.membership) ? NULL
							   : "the lease does not run";
}

static void write_status(char *text, void *user)
{
	struct poller *poller = user;

	snprintf(text, NOTIFY_STATUS_MAX, "polling %zu resources",
		claim_count(poller->engine.claim));
}

static char *write_metrics(size_t *length, void *user)
{
	struct poller *poller = user;
	struct metrics *metrics = &poller->metrics;
	struct fetcher_counters fetches;

	fetcher_counters(poller->engine.fetcher, &fetches);
	metrics_set(metrics, METRIC_POLL_BYTES, (int64_t)fetches.body_bytes);
	metrics_set(metrics, METRIC_POLLS_WAITING,
		(int64_t)schedule_waiting(poller->engine.schedule));
	metrics_set(metrics, METRIC_PROVIDERS_DOWN,
		(int64_t)schedule_down(poller->engine.schedule));
	metrics_set(metrics, METRIC_OWNED, (int64_t)claim_count(poller->engine.claim));
	process_metrics(poller->engine.redis, metrics);
	return metrics_write(metrics, METRICS_POLLER, length);
}

/* ---- what gateways without a file want to know ---- */

static void publish_provider(
	struct poller *poller, const char *name, const struct catalog_provider *provider)
{
	struct redis_args args = {0};

	redis_args_text(&args, name);
	redis_args_text(&args, "interval_ms");
	redis_args_number(&args, provider->interval.default_ms);
	redis_args_text(&args, "interval_min_ms");
	redis_args_number(&args, provider->interval.min_ms);
	redis_args_text(&args, "interval_max_ms");
	redis_args_number(&args, provider->interval.max_ms);
	redis_script(poller->engine.redis, REDIS_SCRIPT_DESCRIBE, &args, REDIS_NORMAL,
		NULL, NULL);
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

	schedule_reload(poller->engine.schedule, next->catalog);
	claim_reload(poller->engine.claim, next->catalog);
	fetcher_reload(poller->engine.fetcher, next->catalog);
	clock_timer_start_in(&poller->providers, 0);
	return NULL;
}

/* ---- leaving ---- */

static void on_stop(void *user)
{
	struct poller *poller = user;

	if (poller->engine.leaving)
		return; /* it hurries already */
	log_info("leaving: handing over what is owned resources=%zu",
		claim_count(poller->engine.claim));
	reload_end(&poller->reload);
	notify_stopping();
	engine_leave(&poller->engine);
}

/* ---- life ---- */

static void make_engine(struct poller *poller)
{
	const struct config *config = poller->config;
	const struct engine_settings settings = {.redis = config->redis,
		.prefix = config->prefix,
		.host = poller->host,
		.lease_ms = config->lease_ms,
		.catalog = config->catalog};
	const struct engine_events events = {.up = on_up,
		.refused = on_refused,
		.message = on_message,
		.entered = on_entered,
		.renewing = on_renewing,
		.left = on_left};

	engine_init(&poller->engine, &poller->loop, poller->clock, &poller->metrics,
		&settings, &events, poller);
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
	poller->clock = clock_new(&poller->loop);
	clock_timer_init(&poller->providers, poller->clock, on_providers);
	make_engine(poller);
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
	redis_start(poller->engine.redis);
	uv_run(&poller->loop, UV_RUN_DEFAULT);
	return poller->process.status;
}

void poller_free(struct poller *poller)
{
	if (poller == NULL)
		return;
	monitor_free(poller->monitor);
	engine_close(&poller->engine);
	clock_timer_stop(&poller->providers);
	notify_fini(&poller->notify);
	reload_fini(&poller->reload);
	process_fini(&poller->process);
	clock_free(poller->clock);
	process_close_loop(&poller->loop);
	engine_fini(&poller->engine);
	free(poller);
}
