#include "tests/simulation/program.h"

#include <stdlib.h>

#include "common/memory.h"
#include "tests/simulation/network.h"
#include "tests/simulation/server.h"

static void on_up(void *user)
{
	struct poller_program *poller = user;

	poller->connected++;
}

static void on_refused(const char *reason, void *user)
{
	struct poller_program *poller = user;

	world_fail(poller->actor.world, "Redis refuses a poller: %s", reason);
}

static void on_entered(void *user)
{
	struct poller_program *poller = user;

	world_note(poller->actor.world, "entered as %s",
		membership_session(poller->engine.membership));
}

static void on_left(void *user)
{
	struct poller_program *poller = user;

	poller->left = true;
}

struct birth {
	struct poller_program *poller;
	const struct program_settings *settings;
};

static void begin(void *user)
{
	struct birth *birth = user;
	struct poller_program *poller = birth->poller;
	const struct engine_settings settings = {.redis = "unix:/simulated",
		.prefix = SERVER_PREFIX,
		.host = "simulated",
		.lease_ms = birth->settings->lease_ms,
		.catalog = birth->settings->catalog};
	const struct engine_events events = {.up = on_up,
		.refused = on_refused,
		.entered = on_entered,
		.left = on_left};

	engine_init(&poller->engine, NULL, poller->actor.clock, &poller->metrics,
		&settings, &events, poller);
	redis_start(poller->engine.redis);
}

struct poller_program *poller_program_start(
	struct world *world, const char *name, const struct program_settings *settings)
{
	struct poller_program *poller = xcalloc(1, sizeof(*poller));
	struct birth birth = {poller, settings};

	actor_init(&poller->actor, world, name);
	actor_run(&poller->actor, begin, &birth);
	return poller;
}

static void leave(void *user)
{
	struct poller_program *poller = user;

	engine_leave(&poller->engine);
}

void poller_program_stop(struct poller_program *poller)
{
	actor_run(&poller->actor, leave, poller);
}

void poller_program_kill(struct poller_program *poller, bool silently)
{
	if (!poller)
		return;
	actor_die(&poller->actor);
	network_on_death(poller->actor.world->network, &poller->actor, silently);
	engine_close(&poller->engine);
	engine_fini(&poller->engine);
	actor_fini(&poller->actor);
	free(poller);
}
