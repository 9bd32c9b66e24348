#include "tests/simulation/program.h"

#include <stdlib.h>

#include "common/memory.h"
#include "tests/simulation/network.h"
#include "tests/simulation/server.h"

#define LEAVE_MS 5000 /* as in gateway/gateway.c */

static void on_up(void *user)
{
	struct gateway_program *gateway = user;

	membership_on_up(gateway->membership);
	relay_on_up(gateway->relay);
}

static void on_down(const char *reason, void *user)
{
	struct gateway_program *gateway = user;

	world_note(gateway->actor.world, "down: %s", reason);
	membership_on_down(gateway->membership);
}

static void on_message(const char *channel, size_t channel_length, const char *payload,
	size_t length, void *user)
{
	struct gateway_program *gateway = user;

	relay_on_message(gateway->relay, channel, channel_length, payload, length);
}

static void on_refused(const char *reason, void *user)
{
	struct gateway_program *gateway = user;

	world_fail(gateway->actor.world, "Redis refuses a gateway: %s", reason);
}

static void on_entered(void *user)
{
	struct gateway_program *gateway = user;

	world_note(gateway->actor.world, "entered as %s",
		membership_session(gateway->membership));
	relay_on_entered(gateway->relay);
}

static void on_lost(void *user)
{
	(void)user;
}

static void on_peers(void *user)
{
	struct gateway_program *gateway = user;

	relay_on_peers(gateway->relay);
}

static void on_renewing(void *user)
{
	(void)user;
}

static void on_renewed(size_t held, void *user)
{
	struct gateway_program *gateway = user;

	relay_on_renewed(gateway->relay, held);
}

/* ---- leaving ---- */

static void on_left(void *user)
{
	struct gateway_program *gateway = user;

	gateway->left = true;
}

static void on_leave_deadline(struct clock_timer *timer)
{
	on_left(container_of(timer, struct gateway_program, leave));
}

static void leave(void *user)
{
	struct gateway_program *gateway = user;

	gateway->leaving = true;
	clock_timer_start_in(&gateway->leave, LEAVE_MS);
	membership_leave(gateway->membership, on_left, gateway);
}

/* ---- life ---- */

struct birth {
	struct gateway_program *gateway;
	const struct program_settings *settings;
};

static void begin(void *user)
{
	struct birth *birth = user;
	struct gateway_program *gateway = birth->gateway;
	struct clock *clock = gateway->actor.clock;
	uint32_t lease_ms = birth->settings->lease_ms;
	const struct redis_settings redis = {
		"unix:/simulated", SERVER_PREFIX, "uricast-gateway"};
	const struct redis_events redis_events = {on_up, on_down, on_message, on_refused};
	const struct membership_settings member = {
		MEMBERSHIP_GATEWAY, lease_ms, "simulated", "0"};
	const struct membership_events member_events = {
		on_entered, on_lost, on_peers, on_renewing, on_renewed};

	clock_timer_init(&gateway->leave, clock, on_leave_deadline);
	gateway->redis = redis_new(NULL, clock, &redis, &redis_events, gateway);
	gateway->membership =
		membership_new(clock, gateway->redis, &member, &member_events, gateway);
	gateway->relay = relay_new(
		clock, gateway->redis, gateway->membership, &gateway->metrics, lease_ms);
	redis_start(gateway->redis);
}

struct gateway_program *gateway_program_start(
	struct world *world, const char *name, const struct program_settings *settings)
{
	struct gateway_program *gateway = xcalloc(1, sizeof(*gateway));
	struct birth birth = {gateway, settings};

	actor_init(&gateway->actor, world, name);
	actor_run(&gateway->actor, begin, &birth);
	return gateway;
}

void gateway_program_stop(struct gateway_program *gateway)
{
	actor_run(&gateway->actor, leave, gateway);
}

void gateway_program_die(struct gateway_program *gateway, bool silently)
{
	actor_die(&gateway->actor);
	network_on_death(gateway->actor.world->network, &gateway->actor, silently);
}

/* The Redis link goes first: its last callbacks still find the others. */
void gateway_program_free(struct gateway_program *gateway)
{
	redis_free(gateway->redis);
	relay_free(gateway->relay);
	membership_free(gateway->membership);
	clock_timer_stop(&gateway->leave);
	actor_fini(&gateway->actor);
	free(gateway);
}
