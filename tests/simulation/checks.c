#include "tests/simulation/checks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simulation/checks_keyspace.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/simulation.h"
#include "tests/simulation/subscriber.h"

#define KEYSPACE_CHECK_EVERY 32 /* scripts: a look at everything costs more than one */
#define PATIENCE_US 20000000 /* after Redis forgot: until a sweep has seen everything */
#define FULL_TURN 0.9        /* polls keep time to a tenth of their interval */
#define TURNS_KEPT 2         /* a poll that waited long may be followed by one in turn */
#define EARLIEST_TURN 0.8    /* the shortest pause after a failed poll, in intervals */
#define PACE_INTERVALS 4

static const char *uri_of(const struct simulation *simulation, size_t resource)
{
	return simulation->upstream.resources[resource].uri;
}

static struct keyspace *keyspace_now(struct simulation *simulation)
{
	server_move_clock(&simulation->server);
	return &simulation->server.keyspace;
}

/* ---- polls ---- */

static void allow_out_of_turn(struct simulation *simulation, size_t resource)
{
	simulation->checks.budgets[resource].out_of_turn++;
}

static void count_turns(struct simulation *simulation, struct poll_budget *budget)
{
	int64_t passed_us = simulation->world.now_us - budget->counted_at_us;

	budget->counted_at_us = simulation->world.now_us;
	budget->turns +=
		(double)passed_us / (budget->interval_ms * 1000.0 * EARLIEST_TURN);
	if (budget->turns > TURNS_KEPT)
		budget->turns = TURNS_KEPT;
}

/* Reconnects and fences cost what the poller holds a poll out of turn each. */
static void allow_for_troubles(
	struct simulation *simulation, struct poller_program *poller)
{
	uint64_t troubles = poller->connected +
		(uint64_t)poller->metrics.values[METRIC_POLLS_DISCARDED];

	for (; poller->troubles_counted < troubles; poller->troubles_counted++) {
		for (size_t i = 0; i < simulation->upstream.resource_count; i++) {
			if (claim_find(poller->engine.claim, uri_of(simulation, i)))
				allow_out_of_turn(simulation, i);
		}
	}
}

static void spend(struct simulation *simulation, size_t resource)
{
	struct poll_budget *budget = &simulation->checks.budgets[resource];
	const struct upstream_resource *polled =
		&simulation->upstream.resources[resource];

	count_turns(simulation, budget);
	budget->polls++;
	if (budget->turns >= FULL_TURN)
		budget->turns -= 1;
	else if (budget->out_of_turn > 0)
		budget->out_of_turn--;
	else
		world_fail(&simulation->world,
			"%s is polled more often than once each %u ms", polled->uri,
			budget->interval_ms);
	/* A failed poll is tried again by itself; the next one in turn may follow soon.
	 */
	if (polled->fails || polled->gone)
		budget->out_of_turn++;
}

/* Whether Redis has forgotten something that @poller has had no time to find out. */
static bool may_not_know(
	const struct simulation *simulation, const struct poller_program *poller)
{
	int64_t forgot_us = simulation->server.amnesia_at_us;
	int64_t valid_ms = clock_now_ms(poller->actor.clock) -
		membership_valid_since_ms(poller->engine.membership);

	return forgot_us >= 0 &&
		(simulation->world.now_us - forgot_us < PATIENCE_US ||
			valid_ms * 1000 < PATIENCE_US);
}

/* By what Redis holds; it knows best while it has forgotten nothing. */
static void check_holder(struct simulation *simulation, size_t resource,
	const struct poller_program *poller)
{
	struct keyspace *keyspace = keyspace_now(simulation);
	const char *session = membership_session(poller->engine.membership);
	const char *holder = keyspace_lock(keyspace, uri_of(simulation, resource));

	if (may_not_know(simulation, poller))
		return;
	if (keyspace_lease_end_ms(keyspace, "pollers", session) < keyspace->now_us / 1000)
		world_fail(&simulation->world, "%s polls %s and its lease has run out",
			session, uri_of(simulation, resource));
	else if (!holder || strcmp(holder, session) != 0)
		world_fail(&simulation->world, "%s polls %s, which %s holds", session,
			uri_of(simulation, resource), holder ? holder : "nobody");
}

void checks_on_poll(size_t resource, struct actor *actor, bool twice, void *user)
{
	struct simulation *simulation = user;
	struct poller_program *poller = container_of(actor, struct poller_program, actor);

	world_note(&simulation->world, "polls %s", uri_of(simulation, resource));
	simulation->checks.polls++;
	if (twice)
		world_fail(&simulation->world, "%s polls %s twice at once", actor->name,
			uri_of(simulation, resource));
	if (!membership_valid(poller->engine.membership))
		world_fail(&simulation->world, "%s polls %s without a valid lease",
			actor->name, uri_of(simulation, resource));
	check_holder(simulation, resource, poller);
	promises_on_poll(simulation, resource);
	allow_for_troubles(simulation, poller);
	spend(simulation, resource);
}

void checks_on_refresh(struct simulation *simulation, size_t address)
{
	allow_out_of_turn(simulation, address);
}

void checks_on_interest(
	struct simulation *simulation, size_t address, uint32_t interval_ms)
{
	struct poll_budget *budget = &simulation->checks.budgets[address];

	if (interval_ms == 0)
		interval_ms = simulation->scenario.interval_ms;
	if (interval_ms < simulation->scenario.interval_min_ms)
		interval_ms = simulation->scenario.interval_min_ms;
	count_turns(simulation, budget);
	if (interval_ms < budget->interval_ms)
		budget->interval_ms = interval_ms;
}

/* ---- contents ---- */

static void check_version(
	struct simulation *simulation, size_t address, uint64_t version, uint64_t value)
{
	struct checks *checks = &simulation->checks;
	struct known_version *known = checks->versions[address];
	size_t count = checks->version_counts[address];
	size_t remembered = count < CHECKS_VERSIONS_MAX ? count : CHECKS_VERSIONS_MAX;

	for (size_t i = 0; i < remembered; i++) {
		if (known[i].version != version)
			continue;
		if (known[i].value != value)
			world_fail(&simulation->world,
				"version %" PRIu64 " of %s means %" PRIu64
				" and %" PRIu64,
				version, uri_of(simulation, address), known[i].value,
				value);
		return;
	}
	known[count % CHECKS_VERSIONS_MAX] = (struct known_version){version, value};
	checks->version_counts[address]++;
}

void checks_on_content(struct simulation *simulation, struct subscriber *subscriber,
	uint64_t version, uint64_t value)
{
	simulation->checks.contents++;
	/* What a client says that it holds is no promise to grow from. */
	if (version <= subscriber->version && !subscriber->returns)
		world_fail(&simulation->world,
			"%s shows version %" PRIu64 " of %s after %" PRIu64,
			subscriber->gateway->actor.name, version,
			uri_of(simulation, subscriber->address), subscriber->version);
	check_version(simulation, subscriber->address, version, value);
	subscriber->returns = false;
	subscriber->version = version;
	subscriber->value = value;
}

/* ---- scripts ---- */

/* The resource that the argument at @index names, or -1. */
static int resource_at(
	const struct simulation *simulation, const struct redis_args *args, size_t index)
{
	const char *bytes = args->bytes;

	if (index >= args->count)
		return -1;
	for (size_t i = 0; i < index; i++)
		bytes += args->lengths[i];
	for (size_t i = 0; i < simulation->upstream.resource_count; i++) {
		const char *uri = uri_of(simulation, i);

		if (strlen(uri) == args->lengths[index] &&
			memcmp(uri, bytes, args->lengths[index]) == 0)
			return (int)i;
	}
	return -1;
}

void checks_before_script(
	enum redis_script script, const struct redis_args *args, void *user)
{
	struct simulation *simulation = user;
	struct checks *checks = &simulation->checks;

	(void)args;
	if (script != REDIS_SCRIPT_CLAIM)
		return;
	for (size_t i = 0; i < simulation->upstream.resource_count; i++) {
		const char *holder = keyspace_lock(
			&simulation->server.keyspace, uri_of(simulation, i));

		snprintf(checks->holders[i], sizeof(checks->holders[i]), "%s",
			holder ? holder : "");
	}
}

static void count_claims(struct simulation *simulation)
{
	int64_t forgot_us = simulation->server.amnesia_at_us;
	bool forgetful =
		forgot_us >= 0 && simulation->world.now_us - forgot_us < 2 * PATIENCE_US;

	for (size_t i = 0; i < simulation->upstream.resource_count; i++) {
		const char *holder = keyspace_lock(
			&simulation->server.keyspace, uri_of(simulation, i));
		bool taken = holder && strcmp(holder, simulation->checks.holders[i]) != 0;

		if (taken)
			simulation->checks.takeovers++;
		/* What was forgotten is polled and committed again. */
		if (taken || forgetful)
			allow_out_of_turn(simulation, i);
	}
}

static bool answers(const redisReply *reply, const char *word)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
		reply->element[0]->type == REDIS_REPLY_STRING &&
		strcmp(reply->element[0]->str, word) == 0;
}

void checks_after_script(enum redis_script script, const struct redis_args *args,
	const redisReply *reply, void *user)
{
	struct simulation *simulation = user;
	int resource = resource_at(simulation, args, 1);

	if (script == REDIS_SCRIPT_CLAIM)
		count_claims(simulation);
	if (script == REDIS_SCRIPT_COMMIT && resource >= 0 && answers(reply, "behind"))
		allow_out_of_turn(simulation, (size_t)resource);
	if (++simulation->checks.scripts % KEYSPACE_CHECK_EVERY == 0)
		checks_keyspace(simulation);
}

/* ---- in the end ---- */

struct wish {
	uint32_t subscribers;
	uint32_t interval_ms; /* the fastest of them */
};

/* What the subscribers of @gateway, or of all where it is NULL, want of @address. */
static struct wish wish_of(const struct simulation *simulation,
	const struct gateway_program *gateway, size_t address)
{
	struct wish wish = {0, UINT32_MAX};

	list_each (link, &simulation->subscribers) {
		const struct subscriber *subscriber =
			container_of(link, struct subscriber, link);

		if (subscriber->address != address || subscriber->subscription.paused ||
			(gateway && subscriber->gateway != gateway))
			continue;
		wish.subscribers++;
		if (subscriber->subscription.interval_ms < wish.interval_ms)
			wish.interval_ms = subscriber->subscription.interval_ms;
	}
	return wish;
}

static void check_owner(struct simulation *simulation, size_t address, bool wanted)
{
	const char *uri = uri_of(simulation, address);
	const char *holder = keyspace_lock(keyspace_now(simulation), uri);
	bool found = false;

	if (wanted != (holder != NULL)) {
		world_fail(&simulation->world, "%s is %s and %s holds it", uri,
			wanted ? "wanted" : "not wanted", holder ? holder : "nobody");
		return;
	}
	for (size_t i = 0; i < SIMULATION_POLLERS_MAX; i++) {
		struct poller_program *poller = simulation->pollers[i];
		bool holds = poller && claim_find(poller->engine.claim, uri);
		bool named = poller && holder &&
			strcmp(holder, membership_session(poller->engine.membership)) ==
				0;

		found = found || named;
		if (holds != named)
			world_fail(&simulation->world, "%s %s %s and the lock names %s",
				poller->actor.name, holds ? "holds" : "does not hold",
				uri, holder ? holder : "nobody");
	}
	if (wanted && !found)
		world_fail(&simulation->world, "%s is held by %s, which is dead", uri,
			holder);
}

static void check_stored(struct simulation *simulation, size_t address)
{
	const struct upstream_resource *resource =
		&simulation->upstream.resources[address];
	struct keyspace *keyspace = keyspace_now(simulation);
	const char *content = keyspace_stored(keyspace, resource->uri, "content");
	const char *state = keyspace_stored(keyspace, resource->uri, "state");
	char *body = upstream_body(resource);

	if (!content || strcmp(content, body) != 0)
		world_fail(&simulation->world,
			"Redis has %.40s of %s, the upstream %.40s",
			content ? content : "nothing", resource->uri, body);
	else if (!state || strcmp(state, "fresh") != 0)
		world_fail(&simulation->world, "%s is %s in Redis", resource->uri,
			state ? state : "nothing");
	free(body);
}

/* A content above CHANGE_CONTENT_MAX is at a gateway only where somebody needed it. */
static void check_shown(struct simulation *simulation,
	const struct gateway_program *gateway, struct topic *topic)
{
	const char *uri = topic_address(topic);
	const char *stored = keyspace_stored(keyspace_now(simulation), uri, "content");
	struct bytes shown = topic_content(topic);

	if (!shown.start && stored && strlen(stored) > CHANGE_CONTENT_MAX)
		return;
	if (!shown.start || !stored || shown.length != strlen(stored) ||
		memcmp(shown.start, stored, shown.length) != 0)
		world_fail(&simulation->world, "%s shows %.*s of %s, Redis has %.40s",
			gateway->actor.name, shown.length < 40 ? (int)shown.length : 40,
			shown.start ? shown.start : "", uri, stored ? stored : "nothing");
}

static void check_topic(
	struct simulation *simulation, struct gateway_program *gateway, size_t address)
{
	const char *uri = uri_of(simulation, address);
	struct topic *topic = topic_find(relay_topics(gateway->relay), uri, strlen(uri));
	const char *revision = keyspace_stored(keyspace_now(simulation), uri, "revision");

	if (!topic) {
		world_fail(&simulation->world, "%s has no topic %s", gateway->actor.name,
			uri);
		return;
	}
	if (topic_state(topic) != RESOURCE_FRESH)
		world_fail(&simulation->world, "%s says that %s is %s%s%s",
			gateway->actor.name, uri, resource_state_name(topic_state(topic)),
			topic_doubt_code(topic) ? ", " : "",
			topic_doubt_code(topic) ? topic_doubt_code(topic) : "");
	check_shown(simulation, gateway, topic);
	if (!revision || strtoull(revision, NULL, 10) != topic_revision(topic))
		world_fail(&simulation->world,
			"%s holds revision %" PRIu64 " of %s, Redis has %s",
			gateway->actor.name, topic_revision(topic), uri,
			revision ? revision : "none");
}

static void check_share(struct simulation *simulation,
	const struct gateway_program *gateway, size_t address, struct wish wish)
{
	const char *uri = uri_of(simulation, address);
	const char *share = keyspace_share(
		keyspace_now(simulation), uri, membership_session(gateway->membership));
	char expected[32];

	/* The default is registered as 0, so that a poller's own catalog counts. */
	snprintf(expected, sizeof(expected), "%u ", wish.subscribers);
	if ((wish.subscribers > 0) != (share != NULL))
		world_fail(&simulation->world,
			"%s has %u subscribers to %s and registered %s",
			gateway->actor.name, wish.subscribers, uri,
			share ? share : "nothing");
	else if (share && strncmp(share, expected, strlen(expected)) != 0)
		world_fail(&simulation->world,
			"%s has %u subscribers to %s, in Redis it is %s",
			gateway->actor.name, wish.subscribers, uri, share);
}

static void check_subscriber(struct simulation *simulation, struct subscriber *subscriber)
{
	const char *uri = uri_of(simulation, subscriber->address);
	uint64_t value = simulation->upstream.resources[subscriber->address].value;

	if (subscriber->subscription.paused)
		return;
	if (subscriber->version == 0 || subscriber->value != value)
		world_fail(&simulation->world,
			"a subscriber of %s has %" PRIu64 " of %s, the upstream %" PRIu64,
			subscriber->gateway->actor.name, subscriber->value, uri, value);
	else if (subscriber->state != RESOURCE_FRESH)
		world_fail(&simulation->world,
			"a subscriber of %s was told that %s is %s",
			subscriber->gateway->actor.name, uri,
			resource_state_name(subscriber->state));
}

static void check_address(struct simulation *simulation, size_t address)
{
	struct wish wish = wish_of(simulation, NULL, address);

	check_owner(simulation, address, wish.subscribers > 0);
	if (wish.subscribers > 0)
		check_stored(simulation, address);
	for (size_t i = 0; i < SIMULATION_GATEWAYS_MAX; i++) {
		struct gateway_program *gateway = simulation->gateways[i];

		if (!gateway)
			continue;
		wish = wish_of(simulation, gateway, address);
		check_share(simulation, gateway, address, wish);
		if (wish.subscribers > 0)
			check_topic(simulation, gateway, address);
	}
}

void checks_settled(struct simulation *simulation)
{
	for (size_t i = 0; i < simulation->upstream.resource_count; i++)
		check_address(simulation, i);
	list_each (link, &simulation->subscribers)
		check_subscriber(simulation, container_of(link, struct subscriber, link));
	checks_keyspace(simulation);
	checks_sessions(simulation);
}

static void check_pace(
	struct simulation *simulation, size_t address, uint64_t polls, int64_t passed_ms)
{
	struct wish wish = wish_of(simulation, NULL, address);
	int64_t turns = wish.subscribers ? passed_ms / wish.interval_ms : 0;

	if (wish.subscribers == 0
			? polls > 0
			: (int64_t)polls < turns - 1 || (int64_t)polls > turns + 2)
		world_fail(&simulation->world,
			"%s has %u subscribers and is polled %" PRIu64
			" times in %" PRId64 " intervals",
			uri_of(simulation, address), wish.subscribers, polls, turns);
}

void checks_pace(struct simulation *simulation)
{
	uint64_t before[UPSTREAM_RESOURCES_MAX];
	int64_t passed_ms = PACE_INTERVALS * (int64_t)simulation->scenario.interval_ms;

	for (size_t i = 0; i < UPSTREAM_RESOURCES_MAX; i++)
		before[i] = simulation->checks.budgets[i].polls;
	scenario_change_all(simulation);
	world_run(&simulation->world, simulation->world.now_us + passed_ms * 1000);
	for (size_t i = 0; i < simulation->upstream.resource_count; i++)
		check_pace(simulation, i, simulation->checks.budgets[i].polls - before[i],
			passed_ms);
}

void checks_idle(struct simulation *simulation)
{
	uint64_t polls = simulation->checks.polls;

	for (size_t i = 0; i < simulation->upstream.resource_count; i++)
		check_address(simulation, i);
	checks_keyspace(simulation);
	checks_sessions(simulation);
	world_run(&simulation->world, simulation->world.now_us + 10000000);
	if (simulation->checks.polls != polls)
		world_fail(
			&simulation->world, "nobody wants anything, and there are polls");
}

void checks_init(struct simulation *simulation)
{
	struct checks *checks = &simulation->checks;

	*checks = (struct checks){0};
	for (size_t i = 0; i < UPSTREAM_RESOURCES_MAX; i++) {
		checks->budgets[i].interval_ms = simulation->scenario.interval_ms;
		checks->budgets[i].turns = 1;
	}
}
