#include "tests/simulation/program.h"

#include <stdlib.h>

#include "common/memory.h"
#include "tests/simulation/network.h"
#include "tests/simulation/server.h"

#define LEAVE_MS 5000 /* as in poller/poller.c */

static void on_up(void *user)
{
	struct poller_program *poller = user;

	poller->connected++;
	membership_on_up(poller->membership);
	claim_on_up(poller->claim);
}

static void on_down(const char *reason, void *user)
{
	struct poller_program *poller = user;

	world_note(poller->actor.world, "down: %s", reason);
	membership_on_down(poller->membership);
}

static void on_message(const char *channel, size_t channel_length, const char *payload,
	size_t length, void *user)
{
	struct poller_program *poller = user;

	claim_on_message(poller->claim, channel, channel_length, payload, length);
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
		membership_session(poller->membership));
	claim_on_entered(poller->claim);
}

static void on_lost(void *user)
{
	struct poller_program *poller = user;

	claim_on_lost(poller->claim);
}

static void on_peers(void *user)
{
	struct poller_program *poller = user;

	claim_on_peers(poller->claim);
}

static void on_renewing(void *user)
{
	struct poller_program *poller = user;

	claim_on_renewing(poller->claim);
}

static void on_renewed(size_t held, void *user)
{
	struct poller_program *poller = user;

	claim_on_renewed(poller->claim, held);
}

static void on_claimed(struct resource *resource, int64_t spread_ms, void *user)
{
	struct poller_program *poller = user;

	world_note(poller->actor.world, "holds %s", resource->address);
	schedule_claimed(poller->schedule, resource, spread_ms);
}

static void on_reread(struct resource *resource, void *user)
{
	struct poller_program *poller = user;

	schedule_reread(poller->schedule, resource);
}

static void on_unwanted(struct resource *resource, void *user)
{
	struct poller_program *poller = user;

	schedule_unwanted(poller->schedule, resource);
}

static void on_dropped(struct resource *resource, void *user)
{
	struct poller_program *poller = user;

	world_note(poller->actor.world, "drops %s", resource->address);
	schedule_dropped(poller->schedule, resource);
}

static void on_refresh(struct resource *resource, void *user)
{
	struct poller_program *poller = user;

	schedule_refresh(poller->schedule, resource);
}

static void on_poll_done(
	struct resource *resource, bool failed, int64_t retry_ms, void *user)
{
	struct poller_program *poller = user;

	schedule_done(poller->schedule, resource, failed, retry_ms);
	claim_polled(poller->claim, resource);
}

static void on_not_ours(struct resource *resource, void *user)
{
	struct poller_program *poller = user;

	claim_drop(poller->claim, resource);
}

static struct resource *on_find(const char *address, void *user)
{
	struct poller_program *poller = user;

	return claim_find(poller->claim, address);
}

static bool may_start(void *user)
{
	struct poller_program *poller = user;

	return membership_valid(poller->membership);
}

/* ---- leaving ---- */

static void on_left(void *user)
{
	struct poller_program *poller = user;

	poller->left = true;
}

static void on_leave_deadline(struct clock_timer *timer)
{
	on_left(container_of(timer, struct poller_program, leave));
}

static void leave(void *user)
{
	struct poller_program *poller = user;

	poller->leaving = true;
	claim_drain(poller->claim);
	clock_timer_start_in(&poller->leave, LEAVE_MS);
	membership_leave(poller->membership, on_left, poller);
}

/* ---- life ---- */

static void make_parts(
	struct poller_program *poller, const struct program_settings *settings)
{
	struct clock *clock = poller->actor.clock;
	const struct redis_settings redis = {
		"unix:/simulated", SERVER_PREFIX, "uricast-poller"};
	const struct redis_events redis_events = {on_up, on_down, on_message, on_refused};
	const struct membership_settings member = {
		MEMBERSHIP_POLLER, settings->lease_ms, "simulated", "0"};
	const struct membership_events member_events = {
		on_entered, on_lost, on_peers, on_renewing, on_renewed};
	const struct fetcher_events fetcher_events = {may_start};
	const struct commits_events commits_events = {on_poll_done, on_not_ours, on_find};
	const struct claim_events claim_events = {
		on_claimed, on_reread, on_unwanted, on_dropped, on_refresh};

	clock_timer_init(&poller->leave, clock, on_leave_deadline);
	poller->redis = redis_new(NULL, clock, &redis, &redis_events, poller);
	poller->membership =
		membership_new(clock, poller->redis, &member, &member_events, poller);
	poller->fetcher = fetcher_new(NULL, clock, &fetcher_events, poller);
	poller->commits = commits_new(NULL, clock, poller->redis, poller->membership,
		&poller->metrics, &commits_events, poller);
	poller->schedule = schedule_new(clock, poller->redis, poller->membership,
		settings->catalog, poller->fetcher, poller->commits, &poller->metrics);
	poller->claim = claim_new(clock, poller->redis, poller->membership,
		settings->catalog, &poller->metrics, &claim_events, poller);
}

struct birth {
	struct poller_program *poller;
	const struct program_settings *settings;
};

static void begin(void *user)
{
	struct birth *birth = user;

	make_parts(birth->poller, birth->settings);
	redis_start(birth->poller->redis);
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

void poller_program_stop(struct poller_program *poller)
{
	actor_run(&poller->actor, leave, poller);
}

/* The Redis link goes first: its last callbacks still find the others. */
void poller_program_kill(struct poller_program *poller, bool silently)
{
	if (!poller)
		return;
	actor_die(&poller->actor);
	network_on_death(poller->actor.world->network, &poller->actor, silently);
	redis_free(poller->redis);
	claim_free(poller->claim);
	schedule_free(poller->schedule);
	commits_free(poller->commits);
	fetcher_free(poller->fetcher);
	membership_free(poller->membership);
	clock_timer_stop(&poller->leave);
	actor_fini(&poller->actor);
	free(poller);
}
