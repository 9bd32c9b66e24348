#include "gateway/gateway.h"

#include "common/clock.h"
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
#include "gateway/aggregate.h"
#include "gateway/default_interval.h"
#include "gateway/relay.h"
#include "gateway/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#define LEAVE_MS 5000 /* a Redis that does not answer holds nobody up longer */

struct gateway {
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
	struct relay *relay;
	struct default_interval *default_interval;
	struct aggregates *aggregates;
	struct server *server;
	struct monitor *monitor;

	struct clock_timer drain_delay;
	struct clock_timer leave;
	bool leaving; /* the fleet */
	bool left;
	bool clients_gone;
};

/* ---- what the parts tell each other ---- */

static void on_up(void *user)
{
	struct gateway *gateway = user;

	log_info("connected to Redis");
	gateway->process.was_up = true;
	membership_on_up(gateway->membership);
	relay_on_up(gateway->relay);
}

static void on_down(const char *reason, void *user)
{
	struct gateway *gateway = user;

	log_warn("Redis is away, reconnecting reason=\"%s\"", reason);
	membership_on_down(gateway->membership);
}

static void on_message(const char *channel, size_t channel_length, const char *payload,
	size_t length, void *user)
{
	struct gateway *gateway = user;

	if (process_take_request(gateway->config, gateway->redis, channel, channel_length,
		    payload, length))
		return;
	relay_on_message(gateway->relay, channel, channel_length, payload, length);
}

static void on_refused(const char *reason, void *user)
{
	struct gateway *gateway = user;

	process_refused(&gateway->process, reason);
}

static void on_entered(void *user)
{
	struct gateway *gateway = user;

	metrics_add(&gateway->metrics, METRIC_SESSIONS, 1);
	relay_on_entered(gateway->relay);
	default_interval_on_entered(gateway->default_interval);
}

static void on_lost(void *user)
{
	(void)user;
	log_warn("our session was buried: registering everything again under a new one");
}

static void on_peers(void *user)
{
	struct gateway *gateway = user;

	relay_on_peers(gateway->relay);
}

static void count_topics(struct gateway *gateway)
{
	struct topic_table *topics = relay_topics(gateway->relay);
	struct metrics *metrics = &gateway->metrics;

	metrics_set(metrics, METRIC_TOPICS, (int64_t)topic_count(topics));
	metrics_set(metrics, METRIC_SUBSCRIPTIONS,
		(int64_t)(topic_subscription_count(topics) -
			aggregates_subscription_count(gateway->aggregates)));
}

static void on_renewing(void *user)
{
	struct gateway *gateway = user;
	const int64_t *values = gateway->metrics.values;

	count_topics(gateway);
	membership_fact(
		gateway->membership, "clients", server_count_clients(gateway->server));
	membership_fact(
		gateway->membership, "subscriptions", values[METRIC_SUBSCRIPTIONS]);
	membership_fact(gateway->membership, "resources", values[METRIC_TOPICS]);
}

static void on_renewed(size_t held, void *user)
{
	struct gateway *gateway = user;

	relay_on_renewed(gateway->relay, held);
}

/* ---- monitor ---- */

static const char *not_ready(void *user)
{
	struct gateway *gateway = user;

	if (gateway->process.stop != PROCESS_RUNNING)
		return "draining";
	if (!redis_is_up(gateway->redis))
		return "Redis cannot be reached";
	return membership_valid(gateway->membership) ? NULL : "the lease does not run";
}

static void write_status(char *text, void *user)
{
	struct gateway *gateway = user;

	count_topics(gateway);
	snprintf(text, NOTIFY_STATUS_MAX,
		"%u clients, %lld subscriptions to %lld resources",
		server_count_clients(gateway->server),
		(long long)gateway->metrics.values[METRIC_SUBSCRIPTIONS],
		(long long)gateway->metrics.values[METRIC_TOPICS]);
}

static char *write_metrics(size_t *length, void *user)
{
	struct gateway *gateway = user;

	count_topics(gateway);
	server_count_clients(gateway->server);
	process_metrics(gateway->redis, &gateway->metrics);
	return metrics_write(&gateway->metrics, METRICS_GATEWAY, length);
}

/* ---- another configuration ---- */

/* What only the pollers know is not to be guessed at. */
static void assume(struct gateway *gateway, struct config *config)
{
	if (!config->assumed)
		return;
	catalog_free(config->catalog);
	config->catalog =
		config_assumed_catalog(default_interval_known(gateway->default_interval));
}

static const char *on_reload(struct config *next, void *user)
{
	struct gateway *gateway = user;
	const char *error;

	assume(gateway, next);
	if (!server_reload(gateway->server, next, &error))
		return error;
	/* First: what is an aggregate from now on is made by the new catalog. */
	aggregates_reload(gateway->aggregates, next->catalog);
	relay_reload(gateway->relay, next->catalog);
	return NULL;
}

/* What the pollers grant is another, or known at last. */
static void on_default_interval(const struct catalog_interval *interval, void *user)
{
	struct gateway *gateway = user;
	struct catalog *former = gateway->config->catalog;

	if (!gateway->config->assumed)
		return;
	gateway->config->catalog = config_assumed_catalog(interval);
	server_set_catalog(gateway->server, gateway->config->catalog);
	aggregates_reload(gateway->aggregates, gateway->config->catalog);
	relay_reload(gateway->relay, gateway->config->catalog);
	catalog_free(former);
}

/* ---- leaving ---- */

static void stop_when_done(struct gateway *gateway)
{
	if (!gateway->left || !gateway->clients_gone)
		return;
	log_info("leaving");
	uv_stop(&gateway->loop);
}

static void on_left(void *user)
{
	struct gateway *gateway = user;

	gateway->left = true;
	stop_when_done(gateway);
}

static void on_leave_deadline(struct clock_timer *timer)
{
	struct gateway *gateway = container_of(timer, struct gateway, leave);

	log_warn("Redis or clients did not answer in time, leaving all the same; pollers "
		 "clean up when the lease has run out");
	uv_stop(&gateway->loop);
}

/* What its clients watched is given up in batches, not one by one. */
static void leave_fleet(struct gateway *gateway)
{
	if (gateway->leaving)
		return;
	gateway->leaving = true;
	clock_timer_start_in(&gateway->leave, LEAVE_MS);
	membership_leave(gateway->membership, on_left, gateway);
}

/* Whoever is still here is served till then. */
static void on_drained(void *user)
{
	struct gateway *gateway = user;

	gateway->clients_gone = true;
	leave_fleet(gateway);
	stop_when_done(gateway);
}

static void on_drain_delay(struct clock_timer *timer)
{
	struct gateway *gateway = container_of(timer, struct gateway, drain_delay);

	log_info("sending clients away clients=%u spread_ms=%u",
		server_count_clients(gateway->server), gateway->config->drain.spread_ms);
	server_drain(
		gateway->server, gateway->config->drain.spread_ms, on_drained, gateway);
}

static void on_stop(void *user)
{
	struct gateway *gateway = user;
	const struct config_drain *drain = &gateway->config->drain;

	reload_end(&gateway->reload);
	notify_stopping();
	if (gateway->process.stop == PROCESS_DRAINING) {
		log_info("told to stop: not ready any more, serving on for now "
			 "delay_ms=%u",
			drain->delay_ms);
		clock_timer_start_in(&gateway->drain_delay, drain->delay_ms);
		return;
	}
	log_info("told to stop quickly: sending all clients away clients=%u",
		server_count_clients(gateway->server));
	clock_timer_stop(&gateway->drain_delay);
	leave_fleet(gateway);
	server_drain(gateway->server, 0, on_drained, gateway);
}

/* ---- life ---- */

static void make_parts(struct gateway *gateway)
{
	struct config *config = gateway->config;
	const struct redis_settings redis = {
		config->redis, config->prefix, "uricast-gateway"};
	const struct redis_events redis_events = {on_up, on_down, on_message, on_refused};
	const struct membership_settings member = {
		MEMBERSHIP_GATEWAY, config->lease_ms, gateway->host, URICAST_VERSION};
	const struct membership_events member_events = {
		on_entered, on_lost, on_peers, on_renewing, on_renewed};

	gateway->clock = clock_new(&gateway->loop);
	clock_timer_init(&gateway->drain_delay, gateway->clock, on_drain_delay);
	clock_timer_init(&gateway->leave, gateway->clock, on_leave_deadline);
	gateway->redis =
		redis_new(&gateway->loop, gateway->clock, &redis, &redis_events, gateway);
	gateway->membership = membership_new(
		gateway->clock, gateway->redis, &member, &member_events, gateway);
	gateway->relay = relay_new(gateway->clock, gateway->redis, gateway->membership,
		&gateway->metrics, config->lease_ms);
	gateway->default_interval = default_interval_new(
		gateway->clock, gateway->redis, on_default_interval, gateway);
	assume(gateway, config);
	gateway->aggregates = aggregates_new(
		gateway->clock, relay_topics(gateway->relay), config->catalog);
}

static bool open_ports(struct gateway *gateway)
{
	const struct config *config = gateway->config;
	const struct monitor_events events = {not_ready, write_metrics};
	const struct server_settings settings = {.loop = &gateway->loop,
		.clock = gateway->clock,
		.config = config,
		.redis = gateway->redis,
		.relay = gateway->relay,
		.membership = gateway->membership,
		.metrics = &gateway->metrics};
	const char *error = NULL;

	gateway->server = server_new(&settings, &error);
	if (gateway->server != NULL && config->metrics_listen != NULL)
		gateway->monitor = monitor_new(
			&gateway->loop, config->metrics_listen, &events, gateway, &error);
	if (error != NULL)
		log_error("%s", error);
	return error == NULL;
}

struct gateway *gateway_new(struct config *config)
{
	struct gateway *gateway = xcalloc(1, sizeof(*gateway));
	const struct notify_events notify_events = {not_ready, write_status};

	gateway->config = config;
	gethostname(gateway->host, sizeof(gateway->host) - 1);
	uv_loop_init(&gateway->loop);
	process_init(&gateway->process, &gateway->loop, on_stop, gateway);
	process_start_metrics(&gateway->metrics);
	make_parts(gateway);
	notify_init(&gateway->notify, gateway->clock, &notify_events, gateway);
	reload_init(&gateway->reload, &gateway->loop, gateway->config, &gateway->metrics,
		&gateway->notify, on_reload, gateway);
	if (open_ports(gateway))
		return gateway;
	gateway_free(gateway);
	return NULL;
}

int gateway_run(struct gateway *gateway)
{
	log_info("gateway started version=%s listen=%s", URICAST_VERSION,
		gateway->config->listen);
	redis_start(gateway->redis);
	uv_run(&gateway->loop, UV_RUN_DEFAULT);
	return gateway->process.status;
}

void gateway_free(struct gateway *gateway)
{
	if (gateway == NULL)
		return;
	monitor_free(gateway->monitor);
	server_free(gateway->server);
	aggregates_free(gateway->aggregates);
	/* Ends what is under way, so the others must still be there. */
	redis_free(gateway->redis);
	default_interval_free(gateway->default_interval);
	relay_free(gateway->relay);
	membership_free(gateway->membership);
	clock_timer_stop(&gateway->drain_delay);
	clock_timer_stop(&gateway->leave);
	notify_fini(&gateway->notify);
	reload_fini(&gateway->reload);
	process_fini(&gateway->process);
	clock_free(gateway->clock);
	process_close_loop(&gateway->loop);
	free(gateway);
}
