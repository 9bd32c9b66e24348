#include "common/fleet.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "tests/redis/redis_server.h"

#define WAIT_MS 60000
#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define ALIVE 4102444800000LL /* a lease that ends in 2100 */

typedef void (*check_fn)(const struct fleet *fleet);

struct world {
	struct redis_server server;
	uv_loop_t loop;
	uv_timer_t tick; /* so that waiting looks at its condition */
	struct clock *clock;
	struct redis *redis;
	bool up;
	int refusals;
	int reads;
	int error;
	check_fn check;
};

/* ---- the world of a test ---- */

static void on_up(void *user)
{
	((struct world *)user)->up = true;
}

static void on_down(const char *reason, void *user)
{
	(void)reason;
	((struct world *)user)->up = false;
}

static void on_message(const char *channel, size_t channel_length, const char *payload,
	size_t length, void *user)
{
	(void)channel, (void)channel_length, (void)payload, (void)length, (void)user;
}

static void on_refused(const char *reason, void *user)
{
	(void)reason;
	((struct world *)user)->refusals++;
}

static void on_tick(uv_timer_t *tick)
{
	(void)tick;
}

#define wait_for(world, condition)                                                       \
	do {                                                                             \
		int64_t until_ms = clock_now_ms((world)->clock) + WAIT_MS;               \
                                                                                         \
		while (!(condition)) {                                                   \
			if (clock_now_ms((world)->clock) > until_ms)                     \
				fail_msg("waited in vain for " #condition);              \
			uv_run(&(world)->loop, UV_RUN_ONCE);                             \
		}                                                                        \
	} while (0)

static int set_up(void **state)
{
	static const struct redis_events events = {
		on_up, on_down, on_message, on_refused};
	struct world *world = xcalloc(1, sizeof(*world));
	char url[64];
	struct redis_settings settings = {
		.url = url, .prefix = "uricast", .name = "uricast-test"};

	signal(SIGPIPE, SIG_IGN);
	redis_server_start(&world->server, NULL);
	uv_loop_init(&world->loop);
	uv_timer_init(&world->loop, &world->tick);
	uv_timer_start(&world->tick, on_tick, 10, 10);
	world->clock = clock_new(&world->loop);
	snprintf(url, sizeof(url), "redis://127.0.0.1:%d", world->server.port);
	world->redis = redis_new(&world->loop, world->clock, &settings, &events, world);
	redis_start(world->redis);
	wait_for(world, world->up);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	redis_free(world->redis);
	clock_free(world->clock);
	uv_close((uv_handle_t *)&world->tick, NULL);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	redis_server_end(&world->server);
	free(world);
	return 0;
}

static void on_read(int error, const struct fleet *fleet, void *user)
{
	struct world *world = user;

	world->reads++;
	world->error = error;
	assert_int_equal(error == 0, fleet != NULL);
	if (fleet)
		world->check(fleet);
}

static void read_fleet(
	struct world *world, const struct fleet_query *query, check_fn check)
{
	world->reads = 0;
	world->check = check;
	fleet_read(world->redis, world->clock, query, on_read, world);
	wait_for(world, world->reads > 0);
	assert_int_equal(world->reads, 1);
	assert_int_equal(world->error, 0);
	assert_int_equal(world->refusals, 0);
}

static const struct fleet_query everything = {"", 100, FLEET_WORST_FIRST};

#define redis_do(world, ...) redis_server_do(&(world)->server, __VA_ARGS__)

static long long redis_ms(struct world *world)
{
	return redis_server_number(&world->server, "EVAL %s 0",
		"local t = redis.call('TIME') "
		"return t[1] * 1000 + t[2] / 1000");
}

/* Two pollers, the second one dead, a gateway, and what tests then say of addresses. */
static void people(struct world *world)
{
	redis_do(world, "ZADD uricast:pollers %lld p1 %lld p2 0 p3", ALIVE,
		redis_ms(world) - 5000);
	redis_do(world, "ZADD uricast:gateways %lld g1", ALIVE);
	redis_do(world,
		"HSET uricast:poller:p1 host h1 pid 17 version 1.2.3 started 1000 "
		"resources 2 polls 30 commits 4");
	redis_do(world, "HSET uricast:gateway:g1 host h2 pid 18 clients 5");
}

static void own(struct world *world, const char *poller, const char *address,
	long long checked_at_ms)
{
	redis_do(world, "SET uricast:lock:%s %s", address, poller);
	redis_do(world, "HSET uricast:owned:%s %s %lld", poller, address, checked_at_ms);
}

static void want(struct world *world, const char *address, const char *share)
{
	redis_do(world, "HSET uricast:interest:%s g1 %s", address, share);
	redis_do(world, "SADD uricast:interests:g1 %s", address);
}

static void store(struct world *world, const char *address, const char *state,
	long long checked_at_ms)
{
	redis_do(world,
		"HSET uricast:resource:%s state %s checked_at %lld changed_at 7 "
		"interval_ms 2000 version 9 status 200 url http://u/%s",
		address, state, checked_at_ms, address);
}

/* ---- tests ---- */

static void check_nothing(const struct fleet *fleet)
{
	assert_int_equal(fleet->poller_count + fleet->gateway_count, 0);
	assert_int_equal(fleet->resource_count + fleet->provider_count, 0);
	assert_int_equal(fleet->summary.resources, 0);
	assert_true(fleet->complete);
	assert_true(fleet->now_ms > 1500000000000);
}

static void an_empty_redis_is_an_empty_fleet(void **state)
{
	read_fleet(*state, &everything, check_nothing);
}

static void check_people(const struct fleet *fleet)
{
	const struct fleet_session *poller = fleet->pollers, *gateway = fleet->gateways;

	assert_int_equal(fleet->poller_count, 3);
	assert_int_equal(fleet->poller_total, 3);
	assert_int_equal(poller[0].life, FLEET_BURIED);
	assert_int_equal(poller[1].life, FLEET_LATE);
	assert_in_range(-poller[1].lease_left_ms, 5000, 60000);
	assert_int_equal(poller[2].life, FLEET_ALIVE);
	assert_string_equal(poller[2].session, "p1");
	assert_string_equal(poller[2].host, "h1");
	assert_string_equal(poller[2].version, "1.2.3");
	assert_int_equal(poller[2].pid, 17);
	assert_int_equal(poller[2].started_at_ms, 1000);
	assert_int_equal(poller[2].polls, 30);
	assert_int_equal(poller[2].commits, 4);
	assert_int_equal(poller[2].held, 1);
	assert_int_equal(poller[2].clients, FLEET_UNTOLD);
	assert_int_equal(fleet->gateway_count, 1);
	assert_int_equal(gateway->clients, 5);
	assert_int_equal(gateway->subscriptions, FLEET_UNTOLD);
}

static void sessions_say_who_they_are_and_whether_they_live(void **state)
{
	people(*state);
	own(*state, "p1", "/a", 1);
	read_fleet(*state, &everything, check_people);
}

static void check_later(const struct fleet *fleet)
{
	const struct fleet_resource *resource = fleet->resources;

	assert_int_equal(fleet->resource_count, 1);
	assert_string_equal(resource->address, "/a?b=1");
	assert_string_equal(resource->owner, "p1");
	assert_true(resource->owner_alive);
	assert_int_equal(resource->state, RESOURCE_FRESH);
	assert_in_range(fleet->now_ms - resource->checked_at_ms, 0, 60000);
	assert_int_equal(resource->changed_at_ms, 7);
	assert_int_equal(resource->interval_ms, 2000);
	assert_int_equal(resource->viewers, 3);
	assert_int_equal(resource->gateways, 1);
	assert_int_equal(resource->status, 200);
	assert_int_equal(resource->version, 9);
	assert_string_equal(resource->url, "http://u//a?b=1");
	assert_null(resource->error);
	assert_int_equal(resource->health, FLEET_FINE);
	assert_int_equal(fleet->summary.viewers, 3);
	assert_int_equal(fleet->summary.oldest_checked_at_ms, resource->checked_at_ms);
}

static void the_later_of_both_checks_counts(void **state)
{
	long long now_ms = redis_ms(*state);

	people(*state);
	want(*state, "/a?b=1", "3 0");
	own(*state, "p1", "/a?b=1", now_ms);
	store(*state, "/a?b=1", "fresh", now_ms - 600000);
	read_fleet(*state, &everything, check_later);
	own(*state, "p1", "/a?b=1", now_ms - 600000);
	store(*state, "/a?b=1", "fresh", now_ms);
	read_fleet(*state, &everything, check_later);
}

static void check_worst(const struct fleet *fleet)
{
	static const char *const names[] = {"/dead", "/unclaimed", "/error", "/stale",
		"/overdue", "/gone", "/waiting"};

	assert_int_equal(fleet->summary.resources, 9);
	assert_int_equal(fleet->resource_count, COUNT(names));
	for (size_t i = 0; i < COUNT(names); i++)
		assert_string_equal(fleet->resources[i].address, names[i]);
	assert_int_equal(fleet->summary.healths[FLEET_UNOWNED], 2);
	assert_int_equal(fleet->summary.healths[FLEET_FINE], 2);
	assert_string_equal(fleet->resources[0].owner, "p2");
	assert_false(fleet->resources[0].owner_alive);
	assert_string_equal(fleet->resources[2].error, "{\"code\":\"x\"}");
	assert_string_equal(fleet_health_name(fleet->resources[2].health), "error");
}

static void what_is_worst_comes_first_and_all_are_counted(void **state)
{
	struct world *world = *state;
	static const char *const states[] = {"error", "stale", "gone"};
	const struct fleet_query seven = {"", 7, FLEET_WORST_FIRST};
	long long now_ms = redis_ms(*state);
	char address[16];

	people(*state);
	for (size_t i = 0; i < COUNT(states); i++) {
		snprintf(address, sizeof(address), "/%s", states[i]);
		own(*state, "p1", address, now_ms);
		store(*state, address, states[i], now_ms);
	}
	redis_do(world, "HSET uricast:resource:/error error %s", "{\"code\":\"x\"}");
	own(*state, "p1", "/fine", now_ms);
	store(*state, "/fine", "fresh", now_ms);
	own(*state, "p1", "/fine2", now_ms);
	store(*state, "/fine2", "fresh", now_ms);
	own(*state, "p1", "/overdue", now_ms - 19000);
	store(*state, "/overdue", "fresh", now_ms - 20000);
	own(*state, "p1", "/waiting", 0);
	own(*state, "p2", "/dead", now_ms - 9000);
	store(*state, "/dead", "fresh", now_ms - 9000);
	want(*state, "/dead", "1 0");
	want(*state, "/unclaimed", "1 0");
	store(*state, "/unclaimed", "fresh", now_ms - 8000);
	redis_do(world, "SADD uricast:unclaimed /unclaimed");
	read_fleet(*state, &seven, check_worst);
}

static void check_filtered(const struct fleet *fleet)
{
	assert_int_equal(fleet->summary.resources, 3);
	assert_int_equal(fleet->resource_count, 2);
	assert_string_equal(fleet->resources[0].address, "/a*b");
	assert_string_equal(fleet->resources[1].address, "/a*c");
}

static void a_filter_takes_addresses_that_begin_so(void **state)
{
	static const char *const addresses[] = {"/a*d", "/a*c", "/axb", "/a*b", "/b"};
	const struct fleet_query query = {"/a*", 2, FLEET_BY_ADDRESS};

	people(*state);
	for (size_t i = 0; i < COUNT(addresses); i++)
		own(*state, "p1", addresses[i], 1);
	read_fleet(*state, &query, check_filtered);
}

static void check_providers(const struct fleet *fleet)
{
	assert_int_equal(fleet->provider_count, 3);
	assert_string_equal(fleet->providers[0].name, "compute/dfw");
	assert_int_equal(fleet->providers[0].resources, 2);
	assert_int_equal(fleet->providers[0].down, 2);
	assert_int_equal(fleet->providers[0].interval_ms, 5000);
	assert_int_equal(fleet->providers[0].budget_second, 0);
	assert_string_equal(fleet->providers[1].name, "default");
	assert_int_equal(fleet->providers[1].resources, 1);
	assert_int_equal(fleet->providers[1].unwell, 1);
	assert_int_equal(fleet->providers[1].down, 0);
	assert_int_equal(fleet->providers[1].budget_second, 50);
	assert_int_equal(fleet->providers[1].budget_pollers, 2);
	assert_int_equal(fleet->providers[1].budget_demand, 12);
	assert_string_equal(fleet->providers[2].name, "dns");
	assert_int_equal(fleet->providers[2].down, 1);
}

static void providers_of_what_is_watched_are_told_with_their_budget(void **state)
{
	struct world *world = *state;

	people(*state);
	own(*state, "p1", "compute/dfw/servers", 1);
	own(*state, "p1", "compute/dfw:/x", 1);
	own(*state, "p1", "dns/zones", 1);
	own(*state, "p1", "/a", 1);
	redis_do(world, "ZADD uricast:pollers %lld p4", ALIVE);
	redis_do(world, "HSET uricast:poller:p1 down %s", "compute/dfw dns");
	redis_do(world, "HSET uricast:poller:p4 down %s", "default-too compute/dfw");
	redis_do(world, "HSET uricast:poller:p2 down %s", "default"); /* and is dead */
	redis_do(world, "HSET uricast:provider:compute/dfw interval_ms 5000");
	redis_do(world, "HSET uricast:provider:dns interval_ms 6000 part:p1 junk");
	redis_do(world,
		"HSET uricast:provider:default interval_ms 7000 parted 50 given 9 "
		"part:p1 %s part:p2 %s part:p3 %s",
		"50 5 50 0 4", "50 7 50 4 9", "49 3 49 0 4");
	read_fleet(*state, &everything, check_providers);
}

static void check_odd(const struct fleet *fleet)
{
	assert_int_equal(fleet->poller_count, 1);
	assert_int_equal(fleet->pollers[0].pid, 0);
	assert_int_equal(fleet->gateway_count, 0);
	assert_int_equal(fleet->summary.odd, 3);
	assert_int_equal(fleet->resource_count, 4);
	for (size_t i = 0; i < fleet->resource_count; i++) {
		assert_int_equal(fleet->resources[i].viewers, 0);
		assert_int_equal(fleet->resources[i].interval_ms, 0);
		assert_int_equal(fleet->resources[i].state, RESOURCE_UNKNOWN);
		assert_int_equal(fleet->resources[i].health, FLEET_WAITING);
	}
	assert_int_equal(fleet->provider_count, 0);
}

static void keys_made_by_hand_do_no_harm(void **state)
{
	struct world *world = *state;
	char huge[5000];

	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	redis_do(world, "ZADD uricast:pollers %lld p1 inf %s", ALIVE, huge);
	redis_do(world, "SADD uricast:gateways g1");
	redis_do(world, "SET uricast:poller:p1 junk");
	redis_do(world, "SADD uricast:owned:p1x /nobodys");
	redis_do(world, "HSET uricast:owned:p1 /a junk /b 99999999999999999999 %s 1",
		huge);
	redis_do(world, "HSET uricast:owned:p1 /c%%d 1 %s 1", "/c d");
	redis_do(world, "EVAL %s 0", "redis.call('HSET', 'uricast:owned:p1', '/\\0', 1)");
	redis_do(world, "HSET uricast:owned:p1 /s -5 /t 1");
	redis_do(world, "SADD uricast:lock:/a p1");
	redis_do(world, "SET uricast:interest:/a junk");
	redis_do(world, "SET uricast:resource:/a junk");
	redis_do(world,
		"HSET uricast:resource:/b state fine checked_at -1 interval_ms 1e9");
	redis_do(world, "HSET uricast:resource:/s interval_ms 9999999999999 error %s",
		huge);
	redis_do(world, "SET uricast:unclaimed junk");
	redis_do(world, "SET uricast:provider:default junk");
	read_fleet(*state, &everything, check_odd);
}

static void check_many(const struct fleet *fleet)
{
	assert_int_equal(fleet->summary.resources, 20000);
	assert_int_equal(fleet->summary.healths[FLEET_UNOWNED], 10000);
	assert_int_equal(fleet->resource_count, 3);
	assert_string_equal(fleet->resources[0].address, "/n10007");
	assert_true(fleet->complete);
}

static void of_many_the_worst_are_found_some_hundred_at_a_time(void **state)
{
	const struct fleet_query query = {"", 3, FLEET_WORST_FIRST};
	struct world *world = *state;

	people(world);
	redis_do(world, "EVAL %s 0 %lld",
		"for i = 1, 20000 do "
		"local a, at = '/n' .. i, i == 10007 and 5 or ARGV[1] - i "
		"redis.call('HSET', 'uricast:resource:' .. a, 'state', 'fresh', "
		"'checked_at', at, 'interval_ms', 1000) "
		"redis.call('HSET', 'uricast:interest:' .. a, 'g1', '1 0') "
		"redis.call('SADD', 'uricast:interests:g1', a) "
		"local p = i <= 10000 and 'p1' or 'p2' "
		"redis.call('SET', 'uricast:lock:' .. a, p) "
		"redis.call('HSET', 'uricast:owned:' .. p, a, at) end",
		redis_ms(world));
	redis_do(world, "CONFIG RESETSTAT");
	read_fleet(world, &query, check_many);
	assert_true(redis_server_number(&world->server, "EVAL %s 0",
			    "return tonumber(string.match(redis.call('INFO', "
			    "'commandstats'), 'cmdstat_mget:calls=(%d+)'))") >= 200);
}

static void check_never(const struct fleet *fleet)
{
	(void)fleet;
	fail_msg("a cancelled reading was told");
}

static void a_reading_can_be_cancelled_at_any_time(void **state)
{
	struct world *world = *state;

	people(world);
	for (int i = 0; i < 50; i++)
		redis_do(world, "HSET uricast:owned:p1 /n%d 1", i);
	world->check = check_never;
	for (int turns = 0; turns < 12; turns++) {
		struct fleet_reading *reading = fleet_read(
			world->redis, world->clock, &everything, on_read, world);

		for (int i = 0; i < turns && world->reads == 0; i++)
			uv_run(&world->loop, UV_RUN_NOWAIT);
		fleet_read_cancel(reading);
	}
	assert_int_equal(world->reads, 0);
}

static void a_lost_redis_ends_a_reading(void **state)
{
	struct world *world = *state;

	people(world);
	fleet_read(world->redis, world->clock, &everything, on_read, world);
	redis_server_kill(&world->server);
	wait_for(world, world->reads == 1);
	assert_int_equal(world->error, -ECONNRESET);
	wait_for(world, !world->up);
	fleet_read(world->redis, world->clock, &everything, on_read, world);
	wait_for(world, world->reads == 2);
	assert_int_equal(world->error, -ENOTCONN);
	redis_server_again(&world->server, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_empty_redis_is_an_empty_fleet),
		TEST(sessions_say_who_they_are_and_whether_they_live),
		TEST(the_later_of_both_checks_counts),
		TEST(what_is_worst_comes_first_and_all_are_counted),
		TEST(a_filter_takes_addresses_that_begin_so),
		TEST(providers_of_what_is_watched_are_told_with_their_budget),
		TEST(keys_made_by_hand_do_no_harm),
		TEST(of_many_the_worst_are_found_some_hundred_at_a_time),
		TEST(a_reading_can_be_cancelled_at_any_time),
		TEST(a_lost_redis_ends_a_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
