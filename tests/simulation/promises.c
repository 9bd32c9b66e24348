#include "tests/simulation/promises.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "tests/simulation/simulation.h"
#include "tests/simulation/subscriber.h"

#define LOOK_US 250000
#define SLACK_US 1500000      /* of the network, of renewals and of our own look */
#define GRACE_US 2000000      /* beyond a lease, as the design promises */
#define SILENCE_US 8000000    /* beyond that, while anything may be broken */
#define CONFIRMED_US 22000000 /* a note to Redis every 10 s, a renewal, and a sweep */
#define INTERVALS 3           /* that may pass without a confirmation */

/* ---- looking ---- */

static int64_t lease_us(const struct simulation *simulation)
{
	return (int64_t)simulation->settings.lease_ms * 1000;
}

/* The slowest that anybody asks for. */
static int64_t interval_us(const struct simulation *simulation)
{
	return 2 * (int64_t)simulation->scenario.interval_ms * 1000;
}

static bool is_wanted(const struct simulation *simulation, size_t address)
{
	list_each (link, &simulation->subscribers) {
		const struct subscriber *subscriber =
			container_of(link, struct subscriber, link);

		if (subscriber->address == address && !subscriber->subscription.paused)
			return true;
	}
	return false;
}

/* ---- what holds whatever happens ---- */

static bool is_awake(const struct simulation *simulation, const struct actor *actor)
{
	return !actor->paused &&
		simulation->world.now_us - actor->resumed_us > GRACE_US + SLACK_US;
}

static void check_fresh(struct simulation *simulation,
	const struct gateway_program *gateway, size_t address, struct topic *topic)
{
	const struct upstream_resource *resource =
		&simulation->upstream.resources[address];
	struct bytes content = topic_content(topic);
	uint64_t value;
	int64_t age_us;

	if (topic_state(topic) != RESOURCE_FRESH || !content.start)
		return;
	value = strtoull(content.start + strlen("{\"value\":"), NULL, 10);
	age_us = upstream_age_us(&simulation->upstream, resource, value);
	if (age_us > CONFIRMED_US + INTERVALS * interval_us(simulation) + SLACK_US)
		world_fail(&simulation->world,
			"%s says that %" PRIu64 " of %s is fresh, %" PRId64
			" ms after it ended",
			gateway->actor.name, value, resource->uri, age_us / 1000);
}

/* A topic that nobody sees needs not be true. */
static void check_gateway(
	struct simulation *simulation, const struct gateway_program *gateway)
{
	for (size_t i = 0; i < simulation->upstream.resource_count; i++) {
		const char *uri = simulation->upstream.resources[i].uri;
		struct topic *topic =
			topic_find(relay_topics(gateway->relay), uri, strlen(uri));

		if (topic && topic_interest(topic).subscribers > 0)
			check_fresh(simulation, gateway, i, topic);
	}
}

static void check_silence(struct simulation *simulation, struct subscriber *subscriber)
{
	int64_t waited_us = simulation->world.now_us - subscriber->waits_since_us;
	int64_t most_us = 2 * lease_us(simulation) + GRACE_US + SLACK_US +
		(simulation->scenario.gentle ? 0 : SILENCE_US);

	if (subscriber->subscription.paused || subscriber->slow ||
		subscriber->state != RESOURCE_UNKNOWN ||
		!is_awake(simulation, &subscriber->gateway->actor))
		return;
	if (waited_us > most_us)
		world_fail(&simulation->world,
			"a subscriber of %s waits for %s since %" PRId64
			" ms without a word",
			subscriber->gateway->actor.name,
			simulation->upstream.resources[subscriber->address].uri,
			waited_us / 1000);
}

/* ---- what holds while only processes die and leave ---- */

static int64_t latest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void check_polled(struct simulation *simulation, size_t address)
{
	const struct promises *promises = &simulation->promises;
	const struct promise_address *noted = &promises->addresses[address];
	int64_t since_us = latest(noted->polled_us, promises->poller_died_us);

	if (noted->wanted_us == INT64_MAX || promises->poller_lives_us == INT64_MAX)
		return;
	since_us = latest(since_us, latest(noted->wanted_us, promises->poller_lives_us));
	if (simulation->world.now_us - since_us <=
		interval_us(simulation) + lease_us(simulation) + GRACE_US + SLACK_US)
		return;
	world_fail(&simulation->world,
		"%s is wanted and was not polled for %" PRId64 " ms",
		simulation->upstream.resources[address].uri,
		(simulation->world.now_us - since_us) / 1000);
}

static void check_unwanted(struct simulation *simulation, size_t address)
{
	const struct promise_address *noted = &simulation->promises.addresses[address];
	int64_t since_us =
		latest(noted->unwanted_us, simulation->promises.poller_lives_us);
	int64_t passed_us = simulation->world.now_us - since_us;

	/* Only pollers clean up after gateways. */
	if (noted->unwanted_us != INT64_MAX &&
		passed_us > lease_us(simulation) + GRACE_US + SLACK_US)
		world_fail(&simulation->world,
			"%s is polled, and nobody wants it since %" PRId64 " ms",
			simulation->upstream.resources[address].uri, passed_us / 1000);
}

/* ---- all the time ---- */

static void look(struct simulation *simulation)
{
	for (size_t i = 0; i < simulation->upstream.resource_count; i++) {
		if (simulation->scenario.gentle)
			check_polled(simulation, i);
	}
	for (size_t i = 0; i < SIMULATION_GATEWAYS_MAX; i++) {
		const struct gateway_program *gateway = simulation->gateways[i];

		if (gateway && is_awake(simulation, &gateway->actor))
			check_gateway(simulation, gateway);
	}
	list_each (link, &simulation->subscribers)
		check_silence(simulation, container_of(link, struct subscriber, link));
}

struct look {
	struct event event;
	struct simulation *simulation;
};

static void on_look(struct event *event)
{
	struct look *next = container_of(event, struct look, event);

	look(next->simulation);
	world_schedule(&next->simulation->world, event, LOOK_US);
}

static void on_drop(struct event *event)
{
	free(container_of(event, struct look, event));
}

/* ---- public ---- */

void promises_init(struct simulation *simulation)
{
	struct promises *promises = &simulation->promises;

	*promises = (struct promises){.poller_lives_us = INT64_MAX};
	for (size_t i = 0; i < UPSTREAM_RESOURCES_MAX; i++)
		promises->addresses[i].wanted_us = INT64_MAX;
}

void promises_begin(struct simulation *simulation)
{
	struct look *first = xcalloc(1, sizeof(*first));

	first->simulation = simulation;
	first->event.run = on_look;
	first->event.drop = on_drop;
	world_schedule(&simulation->world, &first->event, LOOK_US);
}

void promises_on_poll(struct simulation *simulation, size_t address)
{
	struct promise_address *noted = &simulation->promises.addresses[address];

	noted->polled_us = simulation->world.now_us;
	if (simulation->scenario.gentle)
		check_unwanted(simulation, address);
}

void promises_on_interest(struct simulation *simulation, size_t address)
{
	struct promise_address *noted = &simulation->promises.addresses[address];
	bool wanted = is_wanted(simulation, address);

	if (wanted && noted->wanted_us == INT64_MAX)
		noted->wanted_us = simulation->world.now_us;
	if (!wanted && noted->unwanted_us == INT64_MAX)
		noted->unwanted_us = simulation->world.now_us;
	if (wanted)
		noted->unwanted_us = INT64_MAX;
	else
		noted->wanted_us = INT64_MAX;
}

void promises_on_pollers(struct simulation *simulation, bool fewer)
{
	struct promises *promises = &simulation->promises;
	bool any = false;

	for (size_t i = 0; i < SIMULATION_POLLERS_MAX; i++)
		any = any ||
			(simulation->pollers[i] &&
				!simulation->pollers[i]->engine.leaving);
	if (fewer)
		promises->poller_died_us = simulation->world.now_us;
	if (!any)
		promises->poller_lives_us = INT64_MAX;
	else if (promises->poller_lives_us == INT64_MAX)
		promises->poller_lives_us = simulation->world.now_us;
}
