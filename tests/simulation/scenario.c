#include "tests/simulation/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "tests/simulation/simulation.h"
#include "tests/simulation/subscriber.h"

#define SUBSCRIBERS_MAX 40
#define BACKOFF_MOST_MS 18000 /* 15 s and a fifth: see backoff_ms() */
#define SWEEPS_MS 25000       /* two sweeps, one of each side, and what they lead to */

static int64_t between(struct simulation *simulation, int64_t least, int64_t most)
{
	return random_stream_between(&simulation->world.random, least, most);
}

/* How long a fault lasts: mostly up to @most_ms, now and then much longer. */
static int64_t a_while(struct simulation *simulation, int64_t most_ms)
{
	int64_t factor = random_stream_chance(&simulation->world.random, 5) ? 8 : 1;

	return between(simulation, 10, factor * most_ms);
}

static bool chance(struct simulation *simulation, unsigned percent)
{
	return random_stream_chance(&simulation->world.random, percent);
}

static size_t below(struct simulation *simulation, size_t count)
{
	return (size_t)random_stream_below(&simulation->world.random, count);
}

/* ---- deeds: what is to be done later ---- */

struct deed {
	struct event event;
	struct simulation *simulation;
	size_t which;
	void (*act)(struct simulation *simulation, size_t which);
};

static void on_deed(struct event *event)
{
	struct deed *deed = container_of(event, struct deed, event);

	deed->act(deed->simulation, deed->which);
	free(deed);
}

static void on_drop(struct event *event)
{
	free(container_of(event, struct deed, event));
}

static void later(struct simulation *simulation, int64_t delay_ms,
	void (*act)(struct simulation *simulation, size_t which), size_t which)
{
	struct deed *deed = xcalloc(1, sizeof(*deed));

	deed->simulation = simulation;
	deed->which = which;
	deed->act = act;
	deed->event.run = on_deed;
	deed->event.drop = on_drop;
	world_schedule(&simulation->world, &deed->event, delay_ms * 1000);
}

/* ---- processes ---- */

static void start_poller(struct simulation *simulation, size_t slot)
{
	if (!simulation->pollers[slot])
		simulation_start_poller(simulation, slot);
}

static void start_gateway(struct simulation *simulation, size_t slot)
{
	if (!simulation->gateways[slot])
		simulation_start_gateway(simulation, slot);
}

static void kill_poller(struct simulation *simulation)
{
	size_t slot = below(simulation, simulation->scenario.pollers);

	simulation_kill_poller(simulation, slot, chance(simulation, 30));
	later(simulation, between(simulation, 0, 12000), start_poller, slot);
}

static void kill_gateway(struct simulation *simulation)
{
	size_t slot = below(simulation, simulation->scenario.gateways);

	simulation_kill_gateway(simulation, slot, chance(simulation, 30));
	later(simulation, between(simulation, 0, 12000), start_gateway, slot);
}

static void bury_left(struct simulation *simulation, size_t which)
{
	simulation_bury_left(simulation);
	if (which > 0)
		later(simulation, 100, bury_left, which - 1);
}

static void stop_poller(struct simulation *simulation)
{
	size_t slot = below(simulation, simulation->scenario.pollers);
	struct poller_program *poller = simulation->pollers[slot];

	if (!poller || poller->engine.leaving || poller->actor.paused)
		return;
	world_note(&simulation->world, "%s is asked to stop", poller->actor.name);
	poller_program_stop(poller);
	promises_on_pollers(simulation, true);
	later(simulation, 100, bury_left, 55);
	later(simulation, between(simulation, 6000, 12000), start_poller, slot);
}

static void part_from(
	struct simulation *simulation, const struct gateway_program *gateway)
{
	list_each (link, &simulation->subscribers) {
		struct subscriber *subscriber =
			container_of(link, struct subscriber, link);

		if (subscriber->gateway == gateway)
			subscriber_leave(subscriber);
	}
}

static void stop_gateway(struct simulation *simulation)
{
	size_t slot = below(simulation, simulation->scenario.gateways);
	struct gateway_program *gateway = simulation->gateways[slot];

	if (!gateway || gateway->leaving || gateway->actor.paused)
		return;
	world_note(&simulation->world, "%s is asked to stop", gateway->actor.name);
	part_from(simulation, gateway);
	gateway_program_stop(gateway);
	later(simulation, 100, bury_left, 55);
	later(simulation, between(simulation, 6000, 12000), start_gateway, slot);
}

/* A running process, or NULL. */
static struct actor *any_actor(struct simulation *simulation)
{
	struct world *world = &simulation->world;

	return world->actor_count ? world->actors[below(simulation, world->actor_count)]
				  : NULL;
}

static void resume_all(struct simulation *simulation, size_t which)
{
	struct world *world = &simulation->world;

	(void)which;
	for (size_t i = 0; i < world->actor_count; i++) {
		if (!world->actors[i]->paused)
			continue;
		world_note(world, "%s goes on", world->actors[i]->name);
		actor_resume(world->actors[i]);
	}
}

static void pause_actor(struct simulation *simulation)
{
	struct actor *actor = any_actor(simulation);

	if (!actor || actor->paused)
		return;
	world_note(&simulation->world, "%s stands still", actor->name);
	actor_pause(actor);
	later(simulation, a_while(simulation, chance(simulation, 50) ? 3500 : 10000),
		resume_all, 0);
}

/* ---- the network ---- */

static void heal_all(struct simulation *simulation, size_t which)
{
	struct world *world = &simulation->world;

	(void)which;
	for (size_t i = 0; i < world->actor_count; i++) {
		struct actor *actor = world->actors[i];

		if (!actor->cut_off)
			continue;
		world_note(world, "%s is back on the network", actor->name);
		actor->cut_off = false;
		network_on_healed(world->network, actor);
	}
}

static void cut_off(struct simulation *simulation)
{
	struct actor *actor = any_actor(simulation);

	if (!actor || actor->cut_off)
		return;
	world_note(&simulation->world, "%s is cut off the network", actor->name);
	actor->cut_off = true;
	later(simulation, a_while(simulation, 8000), heal_all, 0);
}

/* A connection of a running process, or NULL. */
static struct connection *any_connection(struct simulation *simulation, bool subscribed)
{
	struct actor *actor = any_actor(simulation);

	return actor ? server_connection_of(&simulation->server, actor, subscribed)
		     : NULL;
}

static void cut_connection(struct simulation *simulation)
{
	struct connection *connection =
		any_connection(simulation, chance(simulation, 50));

	if (connection)
		connection_cut(connection, (enum cut)below(simulation, CUT_COUNT));
}

static void deafen(struct simulation *simulation)
{
	struct connection *connection = any_connection(simulation, true);

	if (!connection)
		return;
	world_note(
		&simulation->world, "messages to %s get lost", connection->actor->name);
	connection->deaf = true;
}

static void lose_none(struct simulation *simulation, size_t which)
{
	(void)which;
	simulation->server.loss_permille = 0;
}

static void lose_some(struct simulation *simulation)
{
	simulation->server.loss_permille = (unsigned)between(simulation, 5, 300);
	world_note(&simulation->world, "%u of 1000 messages get lost",
		simulation->server.loss_permille);
	later(simulation, between(simulation, 100, 10000), lose_none, 0);
}

/* ---- Redis ---- */

static void resume_redis(struct simulation *simulation, size_t which)
{
	(void)which;
	if (!simulation->server.paused)
		return;
	world_note(&simulation->world, "Redis goes on");
	server_resume(&simulation->server);
}

static void pause_redis(struct simulation *simulation)
{
	world_note(&simulation->world, "Redis stands still");
	server_pause(&simulation->server);
	later(simulation, a_while(simulation, 6000), resume_redis, 0);
}

static void stop_loading(struct simulation *simulation, size_t which)
{
	(void)which;
	simulation->server.loading = false;
}

static void load(struct simulation *simulation)
{
	world_note(&simulation->world, "Redis cannot serve");
	simulation->server.loading = true;
	later(simulation, a_while(simulation, 5000), stop_loading, 0);
}

static void start_redis(struct simulation *simulation, size_t memory)
{
	static const char *const names[] = {"as it was", "empty", "as an older copy"};

	if (simulation->server.up)
		return;
	world_note(&simulation->world, "Redis starts, %s", names[memory]);
	server_start(&simulation->server, (enum server_memory)memory);
	if (chance(simulation, 20))
		load(simulation);
}

static void crash_redis(struct simulation *simulation, size_t memory)
{
	if (!simulation->server.up || simulation->scenario.calm)
		return;
	world_note(&simulation->world, "Redis crashes");
	server_crash(&simulation->server, chance(simulation, 20));
	later(simulation, chance(simulation, 50) ? 0 : a_while(simulation, 6000),
		start_redis, memory);
}

/* A copy is made before, for a failover that forgets what came after. */
static void plan_crash(struct simulation *simulation)
{
	server_replicate(&simulation->server);
	later(simulation, between(simulation, 0, 3000), crash_redis,
		below(simulation, SERVER_MEMORY_COUNT));
}

static void empty_redis(struct simulation *simulation, size_t which)
{
	(void)which;
	simulation->server.keyspace.refuses_writes = false;
}

static void fill_redis(struct simulation *simulation)
{
	world_note(&simulation->world, "Redis has no room");
	simulation->server.keyspace.refuses_writes = true;
	later(simulation, a_while(simulation, 6000), empty_redis, 0);
}

/* ---- the upstream ---- */

static void mend_upstream(struct simulation *simulation, size_t which)
{
	simulation->upstream.resources[which].fails = false;
	simulation->upstream.resources[which].gone = false;
}

static void break_upstream(struct simulation *simulation)
{
	size_t which = below(simulation, simulation->upstream.resource_count);
	struct upstream_resource *resource = &simulation->upstream.resources[which];

	resource->fails = chance(simulation, 70);
	resource->gone = !resource->fails;
	world_note(&simulation->world, "%s %s", resource->uri,
		resource->fails ? "fails" : "is gone");
	later(simulation, a_while(simulation, 10000), mend_upstream, which);
}

static void slow_down(struct simulation *simulation)
{
	simulation->upstream.slowest_us = between(simulation, 1000, 4000000);
}

/* ---- subscribers ---- */

static struct subscriber *any_subscriber(struct simulation *simulation)
{
	size_t count = 0;

	list_each (link, &simulation->subscribers)
		count++;
	if (count == 0)
		return NULL;
	count = below(simulation, count);
	list_each (link, &simulation->subscribers) {
		if (count-- == 0)
			return container_of(link, struct subscriber, link);
	}
	return NULL;
}

static uint32_t any_interval(struct simulation *simulation)
{
	if (chance(simulation, 60))
		return 0;
	return (uint32_t)between(simulation, simulation->scenario.interval_min_ms,
		2 * simulation->scenario.interval_ms);
}

static void join(struct simulation *simulation)
{
	size_t slot = below(simulation, simulation->scenario.gateways);
	struct gateway_program *gateway = simulation->gateways[slot];
	size_t count = 0;

	list_each (link, &simulation->subscribers)
		count++;
	if (!gateway || gateway->leaving || gateway->actor.paused ||
		count >= SUBSCRIBERS_MAX)
		return;
	subscriber_join(simulation, gateway,
		below(simulation, simulation->scenario.addresses),
		any_interval(simulation));
}

static void refresh_one(void *user)
{
	struct subscriber *subscriber = user;

	topic_refresh(subscriber->subscription.topic);
}

static void disturb(struct simulation *simulation, struct subscriber *subscriber)
{
	switch (between(simulation, 0, 5)) {
	case 0:
		subscriber_set_interval(subscriber, any_interval(simulation));
		break;
	case 1:
		subscriber_pause(subscriber, !subscriber->subscription.paused);
		break;
	case 2:
		checks_on_refresh(simulation, subscriber->address);
		actor_run(&subscriber->gateway->actor, refresh_one, subscriber);
		break;
	default:
		subscriber_leave(subscriber);
		break;
	}
}

static void churn_once(struct simulation *simulation)
{
	struct subscriber *subscriber = any_subscriber(simulation);

	if (!subscriber || chance(simulation, 60))
		join(simulation);
	else if (!subscriber->gateway->actor.paused)
		disturb(simulation, subscriber);
}

/* ---- what goes on by itself ---- */

/* The gentle ones first. */
static const struct {
	const char *name;
	void (*strike)(struct simulation *simulation);
} faults[] = {
	{"kill poller", kill_poller},
	{"kill gateway", kill_gateway},
	{"stop poller", stop_poller},
	{"stop gateway", stop_gateway},
	{"pause", pause_actor},
	{"cut off", cut_off},
	{"cut connection", cut_connection},
	{"deafen", deafen},
	{"lose messages", lose_some},
	{"pause Redis", pause_redis},
	{"crash Redis", plan_crash},
	{"loading", load},
	{"no room", fill_redis},
	{"break upstream", break_upstream},
	{"slow upstream", slow_down},
};

#define FAULT_COUNT (sizeof(faults) / sizeof(*faults))
#define GENTLE_COUNT 4

static int64_t around(struct simulation *simulation, int64_t every_ms)
{
	return between(simulation, 0, 2 * every_ms);
}

static bool is_known(const struct scenario *scenario, size_t kind)
{
	return scenario->faults & (uint64_t)1 << kind;
}

static void on_fault(struct simulation *simulation, size_t which)
{
	size_t kind = below(simulation, FAULT_COUNT);

	(void)which;
	if (simulation->scenario.calm || simulation->scenario.faults == 0)
		return;
	while (!is_known(&simulation->scenario, kind))
		kind = (kind + 1) % FAULT_COUNT;
	faults[kind].strike(simulation);
	later(simulation, around(simulation, simulation->scenario.fault_every_ms),
		on_fault, 0);
}

static void on_churn(struct simulation *simulation, size_t which)
{
	(void)which;
	if (simulation->scenario.calm)
		return;
	churn_once(simulation);
	later(simulation, around(simulation, simulation->scenario.churn_every_ms),
		on_churn, 0);
}

static void on_change(struct simulation *simulation, size_t which)
{
	struct upstream_resource *resource = &simulation->upstream.resources[which];

	if (simulation->scenario.calm)
		return;
	upstream_change(&simulation->upstream, resource,
		simulation->scenario.values_return && chance(simulation, 30));
	world_note(&simulation->world, "%s is %llu now", resource->uri,
		(unsigned long long)resource->value);
	later(simulation, around(simulation, simulation->scenario.change_every_ms),
		on_change, which);
}

/* ---- public ---- */

void scenario_choose(struct simulation *simulation)
{
	static const uint32_t intervals_ms[] = {500, 1000, 2000, 5000};
	struct scenario *scenario = &simulation->scenario;

	scenario->pollers = (size_t)between(simulation, 1, SIMULATION_POLLERS_MAX);
	scenario->gateways = (size_t)between(simulation, 1, SIMULATION_GATEWAYS_MAX);
	scenario->addresses = (size_t)between(simulation, 1, UPSTREAM_RESOURCES_MAX);
	scenario->interval_ms = intervals_ms[below(simulation, 4)];
	scenario->interval_min_ms = scenario->interval_ms / 2;
	scenario->fault_ms = between(simulation, 20000, 60000);
	scenario->fault_every_ms = between(simulation, 200, 5000);
	scenario->churn_every_ms = between(simulation, 100, 3000);
	scenario->change_every_ms = between(simulation, 200, 10000);
	scenario->gentle = chance(simulation, 20);
	/* Few kinds at a time: they would hide each other. */
	for (size_t i = 0; i < (scenario->gentle ? GENTLE_COUNT : FAULT_COUNT); i++) {
		if (chance(simulation, scenario->gentle ? 60 : 30))
			scenario->faults |= (uint64_t)1 << i;
	}
	scenario->values_return = chance(simulation, 50);
	scenario->lives_long = chance(simulation, 1);
	scenario->ends_abruptly = chance(simulation, 30);
	for (size_t i = 0; i < FAULT_COUNT; i++) {
		if (is_known(scenario, i))
			world_note(&simulation->world, "faults: %s", faults[i].name);
	}
}

void scenario_favour(struct simulation *simulation, const char *name)
{
	struct scenario *scenario = &simulation->scenario;

	for (size_t i = 0; i < FAULT_COUNT; i++) {
		if (strcmp(faults[i].name, name) != 0)
			continue;
		scenario->gentle = false;
		scenario->faults = (uint64_t)1 << i;
		scenario->fault_every_ms = 500;
		scenario->churn_every_ms = 100;
		return;
	}
	fprintf(stderr, "no fault is called %s\n", name);
	abort();
}

void scenario_begin(struct simulation *simulation)
{
	for (size_t i = 0; i < simulation->scenario.pollers; i++)
		later(simulation, between(simulation, 0, 2000), start_poller, i);
	for (size_t i = 0; i < simulation->scenario.gateways; i++)
		later(simulation, between(simulation, 0, 2000), start_gateway, i);
	for (size_t i = 0; i < simulation->scenario.addresses; i++)
		later(simulation,
			around(simulation, simulation->scenario.change_every_ms),
			on_change, i);
	later(simulation, between(simulation, 0, 2500), on_churn, 0);
	later(simulation, between(simulation, 0, 5000), on_fault, 0);
}

static bool any_poller(const struct simulation *simulation)
{
	for (size_t i = 0; i < simulation->scenario.pollers; i++) {
		if (simulation->pollers[i] && !simulation->pollers[i]->engine.leaving)
			return true;
	}
	return false;
}

void scenario_calm(struct simulation *simulation)
{
	world_note(&simulation->world, "all faults end");
	simulation->scenario.calm = true;
	resume_all(simulation, 0);
	heal_all(simulation, 0);
	resume_redis(simulation, 0);
	start_redis(simulation, SERVER_KEEPS);
	stop_loading(simulation, 0);
	empty_redis(simulation, 0);
	lose_none(simulation, 0);
	for (size_t i = 0; i < simulation->upstream.resource_count; i++)
		mend_upstream(simulation, i);
	simulation->upstream.slowest_us = 50000;
	simulation->upstream.longest_wait_us = 0;
	simulation_bury_left(simulation);
	if (!any_poller(simulation))
		later(simulation, 0, start_poller,
			below(simulation, simulation->scenario.pollers));
	for (int i = 0; i < 5; i++)
		join(simulation);
}

void scenario_change_all(struct simulation *simulation)
{
	for (size_t i = 0; i < simulation->upstream.resource_count; i++)
		upstream_change(
			&simulation->upstream, &simulation->upstream.resources[i], false);
}

int64_t scenario_settle_ms(const struct simulation *simulation)
{
	return simulation->settings.lease_ms + SWEEPS_MS + BACKOFF_MOST_MS +
		2 * (int64_t)simulation->scenario.interval_ms;
}

void scenario_part(struct simulation *simulation)
{
	list_each (link, &simulation->subscribers)
		subscriber_leave(container_of(link, struct subscriber, link));
}

void scenario_stop(struct simulation *simulation)
{
	for (size_t i = 0; i < SIMULATION_GATEWAYS_MAX; i++) {
		if (simulation->gateways[i] && !simulation->gateways[i]->leaving)
			gateway_program_stop(simulation->gateways[i]);
	}
	for (size_t i = 0; i < SIMULATION_POLLERS_MAX; i++) {
		if (simulation->pollers[i] && !simulation->pollers[i]->engine.leaving)
			poller_program_stop(simulation->pollers[i]);
	}
}
