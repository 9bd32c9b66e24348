#include "tests/simulation/subscriber.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "tests/simulation/simulation.h"

#define QUICK_MOST_US 5000
#define SLOW_MOST_US 2000000

/* ---- what it is told ---- */

/* The number behind @label, which may be in quotes; 0 without it. */
static uint64_t number_after(const char *text, const char *label)
{
	const char *at = strstr(text, label);

	if (!at)
		return 0;
	at += strlen(label);
	return strtoull(at + (*at == '"'), NULL, 10);
}

static void take_content(struct subscriber *subscriber, const char *payload)
{
	struct simulation *simulation = subscriber->simulation;
	uint64_t version = number_after(payload, "\"version\":");
	uint64_t base = number_after(payload, "\"base\":");
	uint64_t value = number_after(payload, "\"value\":");

	if (version == 0 || value == 0 ||
		(base != 0) != (strstr(payload, "\"patch\":[") != NULL))
		world_fail(&simulation->world, "strange frame: %.200s", payload);
	else if (base != 0 &&
		(base != subscriber->version || !subscriber->subscription.patches))
		world_fail(&simulation->world,
			"a subscriber at %" PRIu64 " gets a patch from %" PRIu64,
			subscriber->version, base);
	checks_on_content(simulation, subscriber, version, value);
	/* Content says that it is fresh until a state has been told. */
	if (subscriber->state == RESOURCE_UNKNOWN)
		subscriber->state = RESOURCE_FRESH;
}

static void take_state(struct subscriber *subscriber, const char *state)
{
	subscriber->state = resource_state_parse(state, strcspn(state, "\""));
	if (subscriber->state == RESOURCE_UNKNOWN)
		world_fail(&subscriber->simulation->world, "strange state: %s", state);
}

static void take_frame(struct subscriber *subscriber, const struct frame *frame)
{
	char payload[2048];
	const char *state;

	snprintf(payload, sizeof(payload), "%.*s", (int)frame_payload_length(frame),
		frame_payload(frame));
	world_note(&subscriber->simulation->world, "told: %.200s", payload);
	state = strstr(payload, "\"state\":\"");
	if (state)
		take_state(subscriber, state + strlen("\"state\":\""));
	else
		take_content(subscriber, payload);
}

static void on_writable(struct event *event)
{
	struct subscriber *subscriber = container_of(event, struct subscriber, writable);
	struct frame *frame;

	subscriber->waits = false;
	if (subscriber->gone) {
		free(subscriber);
		return;
	}
	frame = subscription_owed(&subscriber->subscription);
	for (int i = 0; frame && i < 10; i++) {
		take_frame(subscriber, frame);
		subscription_given(&subscriber->subscription);
		frame = subscription_owed(&subscriber->subscription);
	}
	if (frame)
		world_fail(&subscriber->simulation->world, "frames without end are owed");
}

static void on_drop(struct event *event)
{
	struct subscriber *subscriber = container_of(event, struct subscriber, writable);

	subscriber->waits = false;
	if (subscriber->gone)
		free(subscriber);
}

static void on_owed(struct subscription *subscription)
{
	struct subscriber *subscriber =
		container_of(subscription, struct subscriber, subscription);
	struct world *world = &subscriber->simulation->world;

	if (subscriber->waits || !subscriber->gateway->actor.alive)
		return;
	subscriber->waits = true;
	world_schedule(world, &subscriber->writable,
		random_stream_between(&world->random, 0,
			subscriber->slow ? SLOW_MOST_US : QUICK_MOST_US));
}

/* ---- coming and going ---- */

struct wish {
	struct subscriber *subscriber;
	uint32_t interval_ms;
	bool paused;
};

static void subscribe(void *user)
{
	struct wish *wish = user;
	struct subscriber *subscriber = wish->subscriber;
	struct simulation *simulation = subscriber->simulation;
	const char *text = simulation->upstream.resources[subscriber->address].uri;
	static struct catalog_target target;
	static struct address address;

	if (address_parse(&address, text, strlen(text)) != ADDRESS_OK ||
		catalog_resolve(simulation->catalog, &address, &target) != CATALOG_OK ||
		topic_subscribe(relay_topics(subscriber->gateway->relay), text, &target,
			wish->interval_ms, &subscriber->subscription,
			on_owed) != TOPIC_OK) {
		world_fail(&simulation->world, "cannot subscribe to %s", text);
		return;
	}
	if (subscriber->version != 0)
		subscription_holds(&subscriber->subscription, subscriber->version);
	on_owed(&subscriber->subscription);
}

/* A client of a gateway that died comes back, to whichever. */
static void return_one(struct simulation *simulation, struct subscriber *subscriber)
{
	struct orphan *orphan = &simulation->orphans[subscriber->address];

	if (orphan->version == 0 || random_stream_chance(&simulation->world.random, 50))
		return;
	subscriber->returns = true;
	subscriber->version = orphan->version;
	subscriber->value = orphan->value;
	subscriber->state = RESOURCE_FRESH;
	*orphan = (struct orphan){0};
}

void subscriber_join(struct simulation *simulation, struct gateway_program *gateway,
	size_t address, uint32_t interval_ms)
{
	struct subscriber *subscriber = xcalloc(1, sizeof(*subscriber));
	struct wish wish = {.subscriber = subscriber, .interval_ms = interval_ms};

	subscriber->simulation = simulation;
	subscriber->gateway = gateway;
	subscriber->address = address;
	subscriber->waits_since_us = simulation->world.now_us;
	subscriber->slow = random_stream_chance(&simulation->world.random, 10);
	subscriber->subscription.patches =
		random_stream_chance(&simulation->world.random, 40);
	return_one(simulation, subscriber);
	subscriber->writable.actor = &gateway->actor;
	subscriber->writable.run = on_writable;
	subscriber->writable.drop = on_drop;
	list_append(&simulation->subscribers, &subscriber->link);
	world_note(&simulation->world, "%s: a subscriber to %s joins, interval %" PRIu32,
		gateway->actor.name, simulation->upstream.resources[address].uri,
		interval_ms);
	checks_on_interest(simulation, address, interval_ms);
	promises_on_interest(simulation, address);
	actor_run(&gateway->actor, subscribe, &wish);
}

static void unsubscribe(void *user)
{
	struct subscriber *subscriber = user;

	topic_unsubscribe(&subscriber->subscription);
}

static void end(struct subscriber *subscriber)
{
	list_remove(&subscriber->link);
	promises_on_interest(subscriber->simulation, subscriber->address);
	subscriber->gone = true;
	if (!subscriber->waits)
		free(subscriber);
}

void subscriber_leave(struct subscriber *subscriber)
{
	struct simulation *simulation = subscriber->simulation;

	world_note(&simulation->world, "%s: a subscriber to %s leaves",
		subscriber->gateway->actor.name,
		simulation->upstream.resources[subscriber->address].uri);
	actor_run(&subscriber->gateway->actor, unsubscribe, subscriber);
	end(subscriber);
}

static void pause_or_resume(void *user)
{
	struct wish *wish = user;

	subscription_pause(&wish->subscriber->subscription, wish->paused);
	if (!wish->paused)
		on_owed(&wish->subscriber->subscription);
}

void subscriber_pause(struct subscriber *subscriber, bool paused)
{
	struct wish wish = {.subscriber = subscriber, .paused = paused};

	world_note(&subscriber->simulation->world, "%s: a subscriber to %s %s",
		subscriber->gateway->actor.name,
		subscriber->simulation->upstream.resources[subscriber->address].uri,
		paused ? "pauses" : "goes on");
	subscriber->waits_since_us = subscriber->simulation->world.now_us;
	actor_run(&subscriber->gateway->actor, pause_or_resume, &wish);
	promises_on_interest(subscriber->simulation, subscriber->address);
}

static void set_interval(void *user)
{
	struct wish *wish = user;

	subscription_set_interval(&wish->subscriber->subscription, wish->interval_ms);
}

void subscriber_set_interval(struct subscriber *subscriber, uint32_t interval_ms)
{
	struct wish wish = {.subscriber = subscriber, .interval_ms = interval_ms};

	world_note(&subscriber->simulation->world,
		"%s: a subscriber to %s wants an interval of %" PRIu32,
		subscriber->gateway->actor.name,
		subscriber->simulation->upstream.resources[subscriber->address].uri,
		interval_ms);
	checks_on_interest(subscriber->simulation, subscriber->address, interval_ms);
	actor_run(&subscriber->gateway->actor, set_interval, &wish);
}

void subscribers_lose_gateway(
	struct simulation *simulation, const struct gateway_program *gateway)
{
	list_each (link, &simulation->subscribers) {
		struct subscriber *subscriber =
			container_of(link, struct subscriber, link);

		if (subscriber->gateway != gateway)
			continue;
		simulation->orphans[subscriber->address] =
			(struct orphan){subscriber->version, subscriber->value};
		topic_unsubscribe(&subscriber->subscription);
		end(subscriber);
	}
}
