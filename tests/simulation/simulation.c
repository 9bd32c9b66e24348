#include "tests/simulation/simulation.h"

#include <stdio.h>

#include "common/catalog_build.h"
#include "tests/simulation/checks_keyspace.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/subscriber.h"

#define LEASE_MS 3000
#define LEAVE_US 7000000         /* for what SIGTERM begins */
#define SLOWEST_US 5000000       /* until every subscriber has taken what it is owed */
#define IDLE_US 30000000         /* linger, sweeps and leases */
#define LONG_US 2000000000       /* two lives of a key that nobody extends */
#define FORGETTING_US 3700000000 /* two lives of an index */

/* ---- processes ---- */

static void name_next(struct simulation *simulation, const char *kind, size_t slot,
	char *name, size_t size)
{
	snprintf(name, size, "%s %zu.%u", kind, slot, ++simulation->incarnations);
}

struct poller_program *simulation_start_poller(struct simulation *simulation, size_t slot)
{
	char name[24];

	name_next(simulation, "poller", slot, name, sizeof(name));
	world_note(&simulation->world, "%s starts", name);
	simulation->pollers[slot] =
		poller_program_start(&simulation->world, name, &simulation->settings);
	promises_on_pollers(simulation, false);
	return simulation->pollers[slot];
}

struct gateway_program *simulation_start_gateway(
	struct simulation *simulation, size_t slot)
{
	char name[24];

	name_next(simulation, "gateway", slot, name, sizeof(name));
	world_note(&simulation->world, "%s starts", name);
	simulation->gateways[slot] =
		gateway_program_start(&simulation->world, name, &simulation->settings);
	return simulation->gateways[slot];
}

void simulation_kill_poller(struct simulation *simulation, size_t slot, bool silently)
{
	struct poller_program *poller = simulation->pollers[slot];

	if (!poller)
		return;
	world_note(&simulation->world, "%s dies", poller->actor.name);
	simulation->pollers[slot] = NULL;
	promises_on_pollers(simulation, true);
	poller_program_kill(poller, silently);
}

void simulation_kill_gateway(struct simulation *simulation, size_t slot, bool silently)
{
	struct gateway_program *gateway = simulation->gateways[slot];

	if (!gateway)
		return;
	world_note(&simulation->world, "%s dies", gateway->actor.name);
	simulation->gateways[slot] = NULL;
	gateway_program_die(gateway, silently);
	subscribers_lose_gateway(simulation, gateway);
	gateway_program_free(gateway);
}

void simulation_bury_left(struct simulation *simulation)
{
	for (size_t i = 0; i < SIMULATION_POLLERS_MAX; i++) {
		if (simulation->pollers[i] && simulation->pollers[i]->left)
			simulation_kill_poller(simulation, i, false);
	}
	for (size_t i = 0; i < SIMULATION_GATEWAYS_MAX; i++) {
		if (simulation->gateways[i] && simulation->gateways[i]->left)
			simulation_kill_gateway(simulation, i, false);
	}
}

static void kill_all(struct simulation *simulation)
{
	for (size_t i = 0; i < SIMULATION_POLLERS_MAX; i++)
		simulation_kill_poller(simulation, i, false);
	for (size_t i = 0; i < SIMULATION_GATEWAYS_MAX; i++)
		simulation_kill_gateway(simulation, i, false);
}

/* ---- a run ---- */

static struct catalog *make_catalog(const struct scenario *scenario)
{
	struct catalog *catalog = catalog_new();
	struct catalog_service *service = catalog_add_service(catalog, "default", false);
	struct catalog_provider settings;
	struct catalog_provider *provider;

	catalog_provider_init(&settings);
	provider = catalog_add_provider(catalog, service, NULL, &settings);
	catalog_provider_fini(&settings);
	provider->is_default = true;
	provider->raw = true;
	provider->interval = (struct catalog_interval){
		.default_ms = scenario->interval_ms,
		.min_ms = scenario->interval_min_ms,
		.max_ms = CATALOG_INTERVAL_MOST_MS,
	};
	return catalog;
}

static void pass(struct simulation *simulation, int64_t us)
{
	world_run(&simulation->world, simulation->world.now_us + us);
}

static void check(struct simulation *simulation, void (*judge)(struct simulation *))
{
	if (!simulation->world.failed)
		judge(simulation);
}

static void live(struct simulation *simulation)
{
	scenario_begin(simulation);
	promises_begin(simulation);
	pass(simulation, simulation->scenario.fault_ms * 1000);
	if (simulation->world.failed)
		return;
	scenario_calm(simulation);
	pass(simulation, scenario_settle_ms(simulation) * 1000);
	check(simulation, checks_settled);
	check(simulation, checks_pace);
	pass(simulation, SLOWEST_US);
	check(simulation, checks_settled);
	if (!simulation->scenario.lives_long)
		return;
	pass(simulation, LONG_US);
	check(simulation, checks_settled);
}

static void end(struct simulation *simulation)
{
	if (!simulation->world.failed && !simulation->scenario.ends_abruptly) {
		scenario_part(simulation);
		pass(simulation, IDLE_US);
		check(simulation, checks_idle);
		scenario_stop(simulation);
		pass(simulation, LEAVE_US);
	}
	kill_all(simulation);
	pass(simulation, FORGETTING_US);
	check(simulation, checks_leftovers);
}

void simulation_run(struct simulation *simulation)
{
	live(simulation);
	end(simulation);
}

static void watch(struct simulation *simulation)
{
	simulation->upstream.events.on_poll = checks_on_poll;
	simulation->upstream.user = simulation;
	simulation->server.events.before_script = checks_before_script;
	simulation->server.events.after_script = checks_after_script;
	simulation->server.user = simulation;
	checks_init(simulation);
	promises_init(simulation);
}

void simulation_init(struct simulation *simulation, uint64_t seed,
	struct script_host *host, bool verbose)
{
	struct world *world = &simulation->world;

	*simulation = (struct simulation){0};
	the_world = world;
	world_init(world, seed);
	world->verbose = verbose;
	list_init(&simulation->subscribers);
	scenario_choose(simulation);
	server_init(&simulation->server, world, host);
	upstream_init(&simulation->upstream, world, simulation->scenario.addresses);
	simulation->upstream.slowest_us = 200000;
	simulation->upstream.longest_wait_us = 300000;
	simulation->upstream.has_etags = random_stream_chance(&world->random, 50);
	world->network = &simulation->server.network;
	world->upstream = &simulation->upstream;
	simulation->catalog = make_catalog(&simulation->scenario);
	simulation->settings.catalog = simulation->catalog;
	simulation->settings.lease_ms = LEASE_MS;
	watch(simulation);
}

void simulation_fini(struct simulation *simulation)
{
	world_fini(&simulation->world);
	server_fini(&simulation->server);
	catalog_free(simulation->catalog);
	the_world = NULL;
}
