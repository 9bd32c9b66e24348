#include "common/redis.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/memory.h"
#include "tests/redis/proxy.h"
#include "tests/redis/redis_server.h"

#define WAIT_MS 8000
#define OWN "uricast:to:me"
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* What became of one command. */
struct outcome {
	int runs;
	int error;
	int order; /* among all outcomes of the test, from 1 */
	long long integer;
	char text[64];
};

struct world {
	struct redis_server server;
	uv_loop_t loop;
	uv_timer_t tick; /* so that waiting looks at its condition */
	struct clock *clock;
	struct redis *redis;
	int ups, downs, refusals, messages;
	char down_reason[256];
	char refusal[512];
	char channel[64];
	char payload[64];
	void (*when_down)(struct world *world);
	struct outcome outcome_when_down;
};

static int outcomes_seen;

/* ---- names, of which the resolver of this program knows its own ---- */

static struct {
	const char *addresses[3]; /* up to a NULL, of "redis.test" */
	atomic_int lookups;
	atomic_bool hangs;
} names;

typedef int getaddrinfo_fn(
	const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* Takes the place of the C library's, for the link's threads too. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **result)
{
	getaddrinfo_fn *real = (getaddrinfo_fn *)dlsym(RTLD_NEXT, "getaddrinfo");
	struct addrinfo **next = result;

	if (strcmp(node, "redis.test") != 0)
		return real(node, service, hints, result);
	names.lookups++;
	while (names.hangs)
		usleep(1000);
	for (int i = 0; names.addresses[i]; i++) {
		assert_int_equal(real(names.addresses[i], service, hints, next), 0);
		next = &(*next)->ai_next;
	}
	return next == result ? EAI_NONAME : 0;
}

/* ---- the link's events ---- */

static void on_up(void *user)
{
	((struct world *)user)->ups++;
}

static void on_down(const char *reason, void *user)
{
	struct world *world = user;

	world->downs++;
	snprintf(world->down_reason, sizeof(world->down_reason), "%s", reason);
	if (world->when_down)
		world->when_down(world);
}

static void on_message(const char *channel, size_t channel_length, const char *payload,
	size_t length, void *user)
{
	struct world *world = user;

	world->messages++;
	snprintf(world->channel, sizeof(world->channel), "%.*s", (int)channel_length,
		channel);
	snprintf(world->payload, sizeof(world->payload), "%.*s", (int)length, payload);
}

static void on_refused(const char *reason, void *user)
{
	struct world *world = user;

	world->refusals++;
	snprintf(world->refusal, sizeof(world->refusal), "%s", reason);
}

static const struct redis_events events = {on_up, on_down, on_message, on_refused};

static void on_outcome(int error, const redisReply *reply, void *user)
{
	struct outcome *outcome = user;

	outcome->runs++;
	outcome->error = error;
	outcome->order = ++outcomes_seen;
	assert_true((error == 0) == (reply != NULL));
	if (!reply)
		return;
	assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0)
		reply = reply->element[0];
	outcome->integer = reply->integer;
	if (reply->str)
		snprintf(outcome->text, sizeof(outcome->text), "%s", reply->str);
}

/* ---- the world of a test ---- */

static void on_tick(uv_timer_t *tick)
{
	(void)tick;
}

/* Turns the loop until @condition; fails the test after WAIT_MS. */
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

static void turn_for(struct world *world, int64_t ms)
{
	int64_t until_ms = clock_now_ms(world->clock) + ms;

	while (clock_now_ms(world->clock) < until_ms)
		uv_run(&world->loop, UV_RUN_ONCE);
}

static struct world *world_new(const char *const *arguments)
{
	struct world *world = xcalloc(1, sizeof(*world));

	outcomes_seen = 0;
	redis_server_start(&world->server, arguments);
	uv_loop_init(&world->loop);
	uv_timer_init(&world->loop, &world->tick);
	uv_timer_start(&world->tick, on_tick, 10, 10);
	world->clock = clock_new(&world->loop);
	return world;
}

/* A link to @url, or to the server's port. */
static void link_to(struct world *world, const char *url)
{
	char text[128];
	struct redis_settings settings = {
		.url = url ? url : text, .prefix = "uricast", .name = "uricast-test"};

	snprintf(text, sizeof(text), "redis://127.0.0.1:%d", world->server.port);
	world->redis = redis_new(&world->loop, world->clock, &settings, &events, world);
	assert_non_null(world->redis);
	redis_listen(world->redis, OWN, strlen(OWN));
	redis_start(world->redis);
}

static bool is_quiet(struct world *world)
{
	struct redis_counters counters;

	redis_counters(world->redis, &counters);
	return counters.commands > 3 && counters.in_flight == 0;
}

static struct world *world_with_link(void)
{
	struct world *world = world_new(NULL);

	link_to(world, NULL);
	wait_for(world, world->ups == 1);
	wait_for(world, is_quiet(world)); /* the first probe is back */
	return world;
}

static void world_free(struct world *world)
{
	redis_free(world->redis);
	clock_free(world->clock);
	uv_close((uv_handle_t *)&world->tick, NULL);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	redis_server_end(&world->server);
	free(world);
}

/* Runs `enter` for @session: a script that writes, and answers {entered, TIME}. */
static void enter(struct world *world, const char *session, enum redis_priority priority,
	struct outcome *outcome)
{
	struct redis_args args = {0};

	redis_args_text(&args, "poller");
	redis_args_text(&args, session);
	redis_args_number(&args, 3000);
	redis_args_text(&args, "host");
	redis_args_text(&args, "here");
	redis_script(
		world->redis, REDIS_SCRIPT_ENTER, &args, priority, on_outcome, outcome);
	assert_null(args.bytes);
}

static void command(struct world *world, struct outcome *outcome, const char *name,
	const char *argument)
{
	struct redis_args args = {0};

	redis_args_text(&args, name);
	if (argument)
		redis_args_text(&args, argument);
	redis_command(world->redis, &args, on_outcome, outcome);
}

static void subscribe(struct world *world, const char *channel, struct outcome *outcome)
{
	redis_subscribe(world->redis, channel, strlen(channel), on_outcome, outcome);
}

static bool entered(struct world *world, const char *session)
{
	redisReply *reply =
		redis_server_ask(&world->server, "ZSCORE uricast:pollers %s", session);
	bool found = reply->type == REDIS_REPLY_STRING;

	freeReplyObject(reply);
	return found;
}

/* ---- scripts and commands ---- */

static void a_script_runs_and_answers(void **state)
{
	struct world *world = world_with_link();
	struct outcome script = {0}, ping = {0};

	(void)state;
	assert_true(redis_is_up(world->redis));
	enter(world, "a", REDIS_NORMAL, &script);
	command(world, &ping, "PING", NULL);
	assert_int_equal(script.runs, 0); /* never from inside the call */
	wait_for(world, script.runs && ping.runs);
	assert_int_equal(script.error, 0);
	assert_string_equal(script.text, "entered");
	assert_string_equal(ping.text, "PONG");
	assert_true(entered(world, "a"));
	assert_int_equal(world->downs + world->refusals, 0);
	world_free(world);
}

static bool is_said(struct world *world, const char *section, const char *answer)
{
	redisReply *reply = redis_server_ask(&world->server, "INFO %s", section);
	bool found = strstr(reply->str, answer) != NULL;

	freeReplyObject(reply);
	return found;
}

static long long calls_of(struct world *world, const char *command_name)
{
	redisReply *reply = redis_server_ask(&world->server, "INFO commandstats");
	char head[64];
	const char *line;
	long long calls;

	snprintf(head, sizeof(head), "cmdstat_%s:calls=", command_name);
	line = strstr(reply->str, head);
	calls = line ? strtoll(line + strlen(head), NULL, 10) : 0;
	freeReplyObject(reply);
	return calls;
}

static void a_script_that_redis_forgot_is_sent_with_its_text(void **state)
{
	struct world *world = world_with_link();
	struct outcome outcomes[4] = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(outcomes); i++) {
		if (i == 2)
			redis_server_do(&world->server, "SCRIPT FLUSH");
		enter(world, "a", REDIS_NORMAL, &outcomes[i]);
		wait_for(world, outcomes[i].runs);
		assert_int_equal(outcomes[i].error, 0);
		assert_string_equal(outcomes[i].text, "entered");
	}
	assert_int_equal(calls_of(world, "evalsha"), 3);
	assert_int_equal(calls_of(world, "eval"), 2);
	world_free(world);
}

static void the_first_use_of_a_script_is_not_overtaken(void **state)
{
	struct world *world = world_with_link();

	(void)state;
	for (int connection = 0; connection < 2; connection++) {
		struct outcome script = {0}, later = {0};

		redis_server_do(&world->server, "SCRIPT FLUSH");
		enter(world, "a", REDIS_NORMAL, &script);
		command(world, &later, "ECHO", "hello");
		wait_for(world, script.runs && later.runs);
		assert_int_equal(script.error, 0);
		assert_true(script.order < later.order);
		redis_server_do(&world->server, "CLIENT KILL TYPE normal SKIPME yes");
		wait_for(world, world->ups == connection + 2);
	}
	world_free(world);
}

static void no_more_than_the_cap_is_in_flight_and_urgent_overtakes(void **state)
{
	enum { MANY = 10000 };
	struct world *world = world_with_link();
	struct outcome *outcomes = xcalloc(MANY, sizeof(*outcomes)), urgent = {0};
	struct redis_counters counters;

	(void)state;
	for (int i = 0; i < MANY; i++)
		command(world, &outcomes[i], "ECHO", "hello");
	enter(world, "a", REDIS_URGENT, &urgent);
	redis_counters(world->redis, &counters);
	assert_in_range(counters.in_flight, 1, REDIS_IN_FLIGHT_COMMANDS + 1);
	assert_int_equal(counters.in_flight + counters.waiting, MANY + 1);

	wait_for(world, outcomes[MANY - 1].runs);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(outcomes[i].error, 0);
		assert_int_equal(outcomes[i].runs, 1);
		assert_true(i == 0 || outcomes[i].order > outcomes[i - 1].order);
	}
	assert_int_equal(urgent.error, 0);
	assert_true(urgent.order <= 2 * REDIS_IN_FLIGHT_COMMANDS);
	redis_counters(world->redis, &counters);
	assert_int_equal(counters.in_flight + counters.waiting, 0);
	assert_true(counters.latency.sum_us > 0);
	free(outcomes);
	world_free(world);
}

static void large_commands_are_capped_by_their_bytes(void **state)
{
	enum { MANY = 40, BYTES = 1 << 20 };
	struct world *world = world_with_link();
	struct outcome outcomes[MANY] = {0};
	char *text = xcalloc(BYTES + 1, 1);
	struct redis_counters counters;

	(void)state;
	memset(text, 'x', BYTES);
	for (int i = 0; i < MANY; i++)
		command(world, &outcomes[i], "ECHO", text);
	redis_counters(world->redis, &counters);
	assert_int_equal(counters.in_flight, REDIS_IN_FLIGHT_BYTES / BYTES);
	wait_for(world, outcomes[MANY - 1].runs);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(outcomes[i].error, 0);
	free(text);
	world_free(world);
}

/* Far more than the kernel buffers, and nothing else that would make us write again. */
static void a_command_larger_than_any_buffer_goes_out(void **state)
{
	enum { BYTES = 32 << 20 };
	struct world *world = world_with_link();
	struct outcome outcome = {0};
	char *text = xcalloc(BYTES + 1, 1);

	(void)state;
	memset(text, 'x', BYTES);
	command(world, &outcome, "ECHO", text);
	wait_for(world, outcome.runs);
	assert_int_equal(outcome.error, 0);
	free(text);
	world_free(world);
}

/* ---- names ---- */

static void name_stands_for(const char *first, const char *second)
{
	names.addresses[0] = first;
	names.addresses[1] = second;
	names.addresses[2] = NULL;
}

static void link_to_name(struct world *world)
{
	char url[64];

	snprintf(url, sizeof(url), "redis://redis.test:%d", world->server.port);
	link_to(world, url);
}

static int set_names(void **state)
{
	(void)state;
	log_setup("test_link", LOG_ERROR);
	names.addresses[0] = "127.0.0.1";
	names.addresses[1] = NULL;
	names.lookups = 0;
	names.hangs = false;
	return 0;
}

static void a_name_that_takes_long_to_look_up_holds_nothing_up(void **state)
{
	struct world *world = world_new(NULL);

	(void)state;
	names.hangs = true;
	link_to_name(world);
	wait_for(world, world->downs == 1);
	assert_non_null(strstr(world->down_reason, "redis.test"));
	assert_non_null(strstr(world->down_reason, "not looked up within 1000 ms"));
	turn_for(world, 3 * REDIS_DEADLINE_MS); /* fails where the loop stands still */
	names.hangs = false;
	wait_for(world, world->ups == 1);
	assert_int_equal(world->downs, 1);
	assert_int_equal(names.lookups, 2); /* one for each line, whatever it tried */
	world_free(world);
}

/* Frees the link, closes its loop and exits, with two lookups under way. */
static _Noreturn void end_during_lookups(void)
{
	struct world *world = world_new(NULL);

	names.hangs = true;
	link_to_name(world);
	wait_for(world, names.lookups == 2);
	world_free(world);
	exit(0);
}

static void a_process_that_ends_does_not_wait_for_a_name(void **state)
{
	pid_t child, ended = 0;
	int status;

	(void)state;
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		end_during_lookups();
	for (int waited_ms = 0; ended == 0 && waited_ms < WAIT_MS; waited_ms += 10) {
		usleep(10000);
		ended = waitpid(child, &status, WNOHANG);
	}
	if (ended == 0)
		kill(child, SIGKILL);
	assert_int_equal(ended, child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void of_several_addresses_one_that_answers_is_found(void **state)
{
	struct world *world = world_new(NULL);

	(void)state;
	name_stands_for("127.0.0.2", "127.0.0.1"); /* nothing listens on the first */
	link_to_name(world);
	wait_for(world, world->ups == 1);
	assert_int_equal(world->downs, 1);
	world_free(world);
}

static void a_redis_that_listens_on_ipv4_alone_is_found_at_once(void **state)
{
	struct world *world = world_new(NULL);

	(void)state;
	name_stands_for("::1", "127.0.0.1");
	link_to_name(world);
	wait_for(world, world->ups == 1);
	assert_int_equal(world->downs, 0);
	world_free(world);
}

static void an_address_that_is_silent_does_not_hide_the_next(void **state)
{
	struct world *world = world_new(NULL);
	struct sockaddr_in silent = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)world->server.port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	inet_pton(AF_INET, "127.0.0.2", &silent.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&silent, sizeof(silent)), 0);
	assert_int_equal(listen(fd, 10), 0);
	name_stands_for("127.0.0.2", "127.0.0.1");
	link_to_name(world);
	wait_for(world, world->ups == 1);
	assert_int_equal(world->downs, 1);
	assert_non_null(strstr(world->down_reason, "no answer"));
	close(fd);
	world_free(world);
}

static void a_name_is_looked_up_anew_for_each_connection(void **state)
{
	struct world *world = world_new(NULL);

	(void)state;
	names.addresses[0] = NULL;
	link_to_name(world);
	wait_for(world, world->downs == 1);
	assert_non_null(strstr(world->down_reason, "redis.test"));
	names.addresses[1] = NULL;
	names.addresses[0] = "127.0.0.1";
	wait_for(world, world->ups == 1);
	names.lookups = 0;
	redis_server_do(&world->server, "CLIENT KILL TYPE normal SKIPME yes");
	wait_for(world, world->ups == 2);
	assert_true(names.lookups >= 1);
	world_free(world);
}

/* ---- strange answers ---- */

static void a_full_redis_is_told_as_such(void **state)
{
	struct world *world = world_with_link();
	struct outcome outcome = {0};

	(void)state;
	redis_server_do(&world->server, "CONFIG SET maxmemory 1");
	command(world, &outcome, "INCR", "number");
	wait_for(world, outcome.runs);
	assert_int_equal(outcome.error, -ENOSPC);
	assert_int_equal(world->downs + world->refusals, 0);
	world_free(world);
}

/* It refuses even PING, and goes on reading and publishing. */
static void a_redis_that_cannot_save_is_connected_to(void **state)
{
	struct world *world = world_new(NULL);
	struct outcome script = {0}, read = {0}, healed = {0};
	char path[96];

	(void)state;
	snprintf(path, sizeof(path), "%s/dump.rdb", world->server.directory);
	redis_server_do(&world->server, "CONFIG SET save %s", "3600 1000");
	assert_int_equal(mkdir(path, 0700), 0); /* nothing can be renamed to it */
	redis_server_do(&world->server, "BGSAVE");
	while (!is_said(world, "persistence", "rdb_last_bgsave_status:err"))
		usleep(10000);
	link_to(world, NULL);
	wait_for(world, world->ups == 1);
	enter(world, "a", REDIS_NORMAL, &script);
	command(world, &read, "GET", "nothing");
	wait_for(world, script.runs && read.runs);
	assert_int_equal(script.error, -ENOSPC);
	assert_int_equal(read.error, 0);
	turn_for(world, REDIS_PROBE_MS + 1000); /* the next probe comes back, too */
	assert_int_equal(world->downs + world->refusals, 0);

	redis_server_do(&world->server, "CONFIG SET save %s", "");
	enter(world, "a", REDIS_NORMAL, &healed);
	wait_for(world, healed.runs);
	assert_int_equal(healed.error, 0);
	assert_int_equal(rmdir(path), 0);
	world_free(world);
}

static void a_busy_redis_is_told_as_such(void **state)
{
	struct world *world = world_new(NULL);
	struct outcome outcome = {0};
	struct timeval soon = {.tv_usec = 10000};
	redisContext *busy;

	(void)state;
	redis_server_do(&world->server, "CONFIG SET busy-reply-threshold 10");
	link_to(world, NULL);
	wait_for(world, world->ups == 1);
	busy = redisConnectUnix(world->server.socket_path);
	redisSetTimeout(busy, soon);
	assert_null(redisCommand(busy, "EVAL %s 0", "while true do end"));
	redisFree(busy);

	enter(world, "a", REDIS_NORMAL, &outcome);
	wait_for(world, outcome.runs);
	assert_int_equal(outcome.error, -EAGAIN);
	redis_server_do(&world->server, "SCRIPT KILL"); /* which takes a moment */
	for (int runs = 2; outcome.error == -EAGAIN; runs++) {
		enter(world, "a", REDIS_NORMAL, &outcome);
		wait_for(world, outcome.runs == runs);
	}
	assert_int_equal(outcome.error, 0);
	world_free(world);
}

/* What a name or a proxy leads to may be another server by now: connect again. */
static void a_redis_that_became_a_replica_is_left_until_it_is_none(void **state)
{
	struct world *world = world_with_link();
	struct outcome outcome = {0};

	(void)state;
	redis_server_do(&world->server, "REPLICAOF 127.0.0.1 1");
	enter(world, "a", REDIS_NORMAL, &outcome);
	wait_for(world, outcome.runs);
	assert_int_equal(outcome.error, -EAGAIN);
	wait_for(world, world->downs == 1);
	assert_non_null(strstr(world->down_reason, "READONLY"));
	turn_for(world, 1200);
	assert_int_equal(world->ups, 1);
	redis_server_do(&world->server, "REPLICAOF NO ONE");
	wait_for(world, world->ups == 2);
	assert_int_equal(world->downs, 1);
	world_free(world);
}

static void a_key_of_another_type_is_refused_by_name(void **state)
{
	struct world *world = world_with_link();
	struct outcome outcome = {0};

	(void)state;
	redis_server_do(&world->server, "SET uricast:pollers junk");
	enter(world, "a", REDIS_NORMAL, &outcome);
	wait_for(world, outcome.runs);
	assert_int_equal(outcome.error, -EACCES);
	assert_int_equal(world->refusals, 1);
	assert_non_null(strstr(world->refusal, "script enter: WRONGTYPE"));
	enter(world, "a", REDIS_NORMAL, &outcome);
	wait_for(world, outcome.runs == 2);
	assert_int_equal(world->refusals, 1); /* not for each command */
	world_free(world);
}

static void any_other_error_costs_only_its_command(void **state)
{
	struct world *world = world_with_link();
	struct outcome outcome = {0};

	(void)state;
	log_setup("test_link", LOG_ERROR);
	command(world, &outcome, "NOSUCHCOMMAND", "x");
	wait_for(world, outcome.runs);
	assert_int_equal(outcome.error, -EPROTO);
	assert_int_equal(world->downs + world->refusals, 0);
	world_free(world);
}

/* ---- being let in ---- */

static void a_wrong_password_is_refused(void **state)
{
	struct world *world = world_new(NULL);
	char url[128];

	(void)state;
	redis_server_do(&world->server, "CONFIG SET requirepass sesame");
	snprintf(url, sizeof(url), "redis://:open@127.0.0.1:%d", world->server.port);
	link_to(world, url);
	wait_for(world, world->refusals);
	assert_non_null(strstr(world->refusal, "WRONGPASS"));
	assert_null(strstr(world->refusal, "open"));
	turn_for(world, 300);
	assert_int_equal(world->ups, 0);
	assert_int_equal(world->downs, 1);
	assert_int_equal(world->refusals, 1);
	world_free(world);
}

static void a_missing_password_is_refused(void **state)
{
	struct world *world = world_new(NULL);

	(void)state;
	redis_server_do(&world->server, "CONFIG SET requirepass sesame");
	link_to(world, NULL);
	wait_for(world, world->refusals);
	assert_non_null(strstr(world->refusal, "NOAUTH"));
	world_free(world);
}

static void user_password_database_and_name_are_used(void **state)
{
	struct world *world = world_new(NULL);
	redisReply *clients;
	char url[128];

	(void)state;
	redis_server_do(&world->server, "ACL SETUSER ali on >o/p@n +@all ~* &*");
	snprintf(url, sizeof(url), "redis://ali:o%%2Fp%%40n@127.0.0.1:%d/3",
		world->server.port);
	link_to(world, url);
	wait_for(world, world->ups == 1);
	clients = redis_server_ask(&world->server, "CLIENT LIST TYPE normal");
	assert_non_null(strstr(clients->str, "name=uricast-test"));
	assert_non_null(strstr(clients->str, "user=ali"));
	assert_non_null(strstr(clients->str, "db=3"));
	freeReplyObject(clients);
	world_free(world);
}

static void a_unix_socket_serves_as_well(void **state)
{
	struct world *world = world_new(NULL);
	struct outcome outcome = {0};
	char url[128];

	(void)state;
	snprintf(url, sizeof(url), "unix:%s", world->server.socket_path);
	link_to(world, url);
	wait_for(world, world->ups == 1);
	enter(world, "a", REDIS_NORMAL, &outcome);
	wait_for(world, outcome.runs);
	assert_int_equal(outcome.error, 0);
	world_free(world);
}

static void a_forbidden_script_is_refused_and_a_forbidden_question_is_not(void **state)
{
	struct world *world = world_new(NULL);
	struct outcome outcome = {0};
	char url[128];

	(void)state;
	log_setup("test_link", LOG_ERROR);
	redis_server_do(&world->server,
		"ACL SETUSER ali on nopass +@all -info -client -config -ping -eval ~* "
		"&*");
	snprintf(url, sizeof(url), "redis://ali@127.0.0.1:%d", world->server.port);
	link_to(world, url);
	wait_for(world, world->ups == 1);
	assert_int_equal(world->refusals, 0);
	enter(world, "a", REDIS_NORMAL, &outcome);
	wait_for(world, outcome.runs);
	assert_int_equal(outcome.error, -EACCES);
	assert_int_equal(world->refusals, 1);
	assert_non_null(strstr(world->refusal, "NOPERM"));
	assert_non_null(strstr(world->refusal, "'eval'"));
	world_free(world);
}

static void a_forbidden_channel_is_refused(void **state)
{
	struct world *world = world_new(NULL);
	char url[128];

	(void)state;
	redis_server_do(&world->server, "ACL SETUSER ali on nopass +@all ~* &other:*");
	snprintf(url, sizeof(url), "redis://ali@127.0.0.1:%d", world->server.port);
	link_to(world, url);
	wait_for(world, world->refusals);
	assert_non_null(strstr(world->refusal, "SUBSCRIBE: NOPERM"));
	turn_for(world, 300);
	assert_int_equal(world->ups, 0);
	assert_int_equal(world->downs, 1);
	assert_int_equal(world->refusals, 1);
	world_free(world);
}

static void too_many_clients_are_waited_out(void **state)
{
	struct world *world = world_new(NULL);

	(void)state;
	redis_server_do(&world->server, "CONFIG SET maxclients 1");
	link_to(world, NULL);
	wait_for(world, world->downs);
	assert_non_null(strstr(world->down_reason, "max number of clients"));
	redis_server_do(&world->server, "CONFIG SET maxclients 100");
	wait_for(world, world->ups == 1);
	assert_int_equal(world->refusals, 0);
	world_free(world);
}

/* ---- losing and finding Redis ---- */

static void a_stopped_redis_is_noticed_and_found_again(void **state)
{
	struct world *world = world_with_link();
	struct outcome outcomes[REDIS_IN_FLIGHT_COMMANDS + 20] = {0}, later = {0};
	int64_t begun_ms;

	(void)state;
	kill(world->server.pid, SIGSTOP);
	begun_ms = clock_now_ms(world->clock);
	for (size_t i = 0; i < COUNT(outcomes); i++)
		enter(world, "a", REDIS_NORMAL, &outcomes[i]);
	wait_for(world, outcomes[0].runs);
	assert_in_range(clock_now_ms(world->clock) - begun_ms, REDIS_DEADLINE_MS - 1,
		REDIS_DEADLINE_MS + 900);
	assert_int_equal(world->downs, 1);
	assert_false(redis_is_up(world->redis));
	for (size_t i = 0; i < COUNT(outcomes); i++) {
		assert_int_equal(outcomes[i].runs, 1);
		if (outcomes[i].error != -ECONNRESET)
			assert_int_equal(outcomes[i].error, -ENOTCONN);
	}
	assert_int_equal(outcomes[0].error, -ECONNRESET);
	assert_int_equal(outcomes[COUNT(outcomes) - 1].error, -ENOTCONN);

	enter(world, "a", REDIS_NORMAL, &later);
	assert_int_equal(later.runs, 0);
	wait_for(world, later.runs);
	assert_int_equal(later.error, -ENOTCONN);
	turn_for(world, 1500); /* new connections, accepted by the kernel alone */
	assert_int_equal(world->ups, 1);
	kill(world->server.pid, SIGCONT);
	wait_for(world, world->ups == 2);
	assert_int_equal(world->downs, 1);
	world_free(world);
}

static void a_redis_that_is_silent_from_the_start_is_noticed(void **state)
{
	struct world *world = world_new(NULL);
	int64_t begun_ms;

	(void)state;
	kill(world->server.pid, SIGSTOP);
	begun_ms = clock_now_ms(world->clock);
	link_to(world, NULL);
	wait_for(world, world->downs);
	assert_in_range(clock_now_ms(world->clock) - begun_ms, REDIS_DEADLINE_MS - 1,
		REDIS_DEADLINE_MS + 900);
	kill(world->server.pid, SIGCONT);
	wait_for(world, world->ups == 1);
	assert_int_equal(world->downs, 1);
	world_free(world);
}

static void a_killed_redis_is_found_again_within_a_second(void **state)
{
	struct world *world = world_with_link();
	struct outcome outcome = {0};
	int64_t begun_ms;

	(void)state;
	redis_server_kill(&world->server);
	wait_for(world, world->downs == 1);
	turn_for(world, 3000);
	redis_server_again(&world->server, NULL);
	begun_ms = clock_now_ms(world->clock);
	wait_for(world, world->ups == 2);
	assert_in_range(clock_now_ms(world->clock) - begun_ms, 0, 1300);
	assert_int_equal(world->downs, 1);
	enter(world, "a", REDIS_NORMAL, &outcome);
	wait_for(world, outcome.runs);
	assert_int_equal(outcome.error, 0);
	world_free(world);
}

static void our_own_pause_is_not_taken_for_silence(void **state)
{
	struct world *world = world_with_link();
	struct outcome outcome = {0};

	(void)state;
	enter(world, "a", REDIS_NORMAL, &outcome);
	uv_run(&world->loop, UV_RUN_NOWAIT);
	usleep((REDIS_DEADLINE_MS + 200) * 1000);
	wait_for(world, outcome.runs);
	assert_int_equal(outcome.error, 0);
	assert_int_equal(world->downs, 0);
	world_free(world);
}

/* Together they take twice the deadline. Redis answers whenever it has worked off what it
 * reads at once, 16 KiB. */
static void a_slow_redis_that_answers_is_not_given_up(void **state)
{
	struct world *world = world_with_link();
	struct outcome sleeps[10] = {0}, echoes[10] = {0};
	char text[20001] = {0};

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	for (size_t i = 0; i < COUNT(sleeps); i++) {
		struct redis_args args = {0};

		redis_args_text(&args, "DEBUG");
		redis_args_text(&args, "SLEEP");
		redis_args_text(&args, "0.2");
		redis_command(world->redis, &args, on_outcome, &sleeps[i]);
		command(world, &echoes[i], "ECHO", text);
	}
	wait_for(world, echoes[COUNT(echoes) - 1].runs);
	for (size_t i = 0; i < COUNT(sleeps); i++)
		assert_int_equal(sleeps[i].error | echoes[i].error, 0);
	assert_int_equal(world->downs, 0);
	world_free(world);
}

/* The network holds a command back until we have given up and connected again. */
static void a_late_command_of_an_abandoned_connection_does_not_run(void **state)
{
	struct world *world = world_new(NULL);
	struct outcome first = {0}, late = {0}, next = {0};
	struct proxy proxy;
	char url[64];

	(void)state;
	proxy_start(&proxy, &world->loop, world->server.port);
	snprintf(url, sizeof(url), "redis://127.0.0.1:%d", proxy.port);
	link_to(world, url);
	wait_for(world, world->ups == 1);
	enter(world, "first", REDIS_NORMAL, &first); /* so that Redis knows the script */
	wait_for(world, first.runs);

	proxy_hold_to_redis(&proxy);
	enter(world, "late", REDIS_NORMAL, &late);
	wait_for(world, proxy_held(&proxy) > 0);
	wait_for(world, late.runs);
	assert_int_equal(late.error, -ECONNRESET);
	wait_for(world, world->ups == 2);

	proxy_release(&proxy);
	turn_for(world, 100);
	enter(world, "next", REDIS_NORMAL, &next);
	wait_for(world, next.runs);
	assert_true(entered(world, "next"));
	assert_false(entered(world, "late"));
	proxy_end(&proxy);
	world_free(world);
}

static void an_evicting_policy_is_warned_about_once(void **state)
{
	struct world *world = world_new(NULL);
	FILE *file = tmpfile();
	char text[4096] = {0};
	int saved = dup(STDERR_FILENO);
	char *found;

	(void)state;
	log_setup("test_link", LOG_WARN);
	redis_server_do(&world->server, "CONFIG SET maxmemory-policy allkeys-lru");
	dup2(fileno(file), STDERR_FILENO);
	link_to(world, NULL);
	wait_for(world, world->ups == 1);
	redis_server_do(&world->server, "CLIENT KILL TYPE normal");
	wait_for(world, world->ups == 2);
	turn_for(world, 50);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	found = strstr(text, "maxmemory_policy=allkeys-lru");
	assert_non_null(found);
	assert_null(strstr(found + 1, "maxmemory_policy"));
	world_free(world);
}

/* ---- channels ---- */

static void a_subscription_is_acknowledged_before_its_first_message(void **state)
{
	struct world *world = world_with_link();
	struct outcome outcome = {0};

	(void)state;
	subscribe(world, "uricast:change:/a", &outcome);
	assert_int_equal(outcome.runs, 0);
	wait_for(world, outcome.runs);
	assert_int_equal(outcome.error, 0);
	assert_int_equal(world->messages, 0);
	assert_int_equal(redis_server_number(&world->server,
				 "PUBLISH uricast:change:/a %s", "what is new"),
		1);
	wait_for(world, world->messages == 1);
	assert_string_equal(world->channel, "uricast:change:/a");
	assert_string_equal(world->payload, "what is new");

	redis_unsubscribe(world->redis, "uricast:change:/a", strlen("uricast:change:/a"));
	subscribe(world, "uricast:change:/b", &outcome);
	wait_for(world, outcome.runs == 2);
	assert_int_equal(redis_server_number(&world->server,
				 "PUBLISH uricast:change:/a %s", "nobody listens"),
		0);
	world_free(world);
}

static void thousands_of_channels_are_each_acknowledged(void **state)
{
	enum { MANY = 20000 };
	struct world *world = world_with_link();
	struct outcome *outcomes = xcalloc(MANY, sizeof(*outcomes));
	char channel[64];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(channel, sizeof(channel), "uricast:change:/%d", i);
		subscribe(world, channel, &outcomes[i]);
	}
	wait_for(world, outcomes[MANY - 1].runs);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(outcomes[i].runs, 1);
		assert_int_equal(outcomes[i].error, 0);
	}
	assert_int_equal(redis_server_number(&world->server,
				 "PUBLISH uricast:change:/%d x", MANY - 1),
		1);
	wait_for(world, world->messages == 1);
	free(outcomes);
	world_free(world);
}

static void run_a_script(struct world *world)
{
	enter(world, "meanwhile", REDIS_NORMAL, &world->outcome_when_down);
}

static void commands_go_on_while_the_channels_come_back(void **state)
{
	struct world *world = world_with_link();
	struct outcome outcome = {0};

	(void)state;
	world->when_down = run_a_script;
	redis_server_do(&world->server, "CLIENT KILL TYPE pubsub");
	wait_for(world, world->downs == 1);
	assert_false(redis_is_up(world->redis));
	subscribe(world, "uricast:change:/a", &outcome);
	wait_for(world, outcome.runs);
	assert_int_equal(outcome.error, -ENOTCONN);
	wait_for(world, world->ups == 2);
	assert_int_equal(world->outcome_when_down.runs, 1);
	assert_int_equal(world->outcome_when_down.error, 0);
	assert_int_equal(
		redis_server_number(&world->server, "PUBLISH " OWN " %s", "x"), 1);
	wait_for(world, world->messages == 1);
	assert_string_equal(world->channel, OWN);
	world_free(world);
}

static void nothing_is_subscribed_when_the_commands_come_back(void **state)
{
	struct world *world = world_with_link();
	struct outcome outcomes[3] = {0};

	(void)state;
	subscribe(world, "uricast:change:/a", &outcomes[0]);
	subscribe(world, "uricast:change:/b", &outcomes[1]);
	wait_for(world, outcomes[1].runs);
	redis_server_do(&world->server, "CLIENT KILL TYPE normal");
	wait_for(world, world->downs == 1);
	subscribe(world, "uricast:change:/a", &outcomes[2]);
	wait_for(world, outcomes[2].runs);
	assert_int_equal(outcomes[2].error, -ENOTCONN);
	wait_for(world, world->ups == 2);
	assert_int_equal(
		redis_server_number(&world->server, "PUBLISH uricast:change:/a %s", "x"),
		0);
	assert_int_equal(
		redis_server_number(&world->server, "PUBLISH " OWN " %s", "x"), 1);
	subscribe(world, "uricast:change:/a", &outcomes[2]);
	wait_for(world, outcomes[2].runs == 2);
	assert_int_equal(
		redis_server_number(&world->server, "PUBLISH uricast:change:/a %s", "x"),
		1);
	world_free(world);
}

/* Commands are answered all the while; only what is published does not arrive. */
static void a_silent_subscribing_connection_is_replaced(void **state)
{
	struct world *world = world_new(NULL);
	struct outcome outcome = {0};
	struct proxy proxy;
	char url[64];

	(void)state;
	proxy_start(&proxy, &world->loop, world->server.port);
	snprintf(url, sizeof(url), "redis://127.0.0.1:%d", proxy.port);
	link_to(world, url);
	wait_for(world, world->ups == 1);
	redis_server_do(&world->server, "CLIENT KILL TYPE normal");
	wait_for(world, world->ups == 2);
	/* The commands' connection is the newer one: keep back the other. */
	proxy_hold_from_redis(&proxy);
	redis_server_do(&world->server, "CLIENT KILL TYPE normal");
	wait_for(world, world->downs == 2);
	wait_for(world, world->ups == 3);
	enter(world, "a", REDIS_NORMAL, &outcome);
	wait_for(world, outcome.runs);
	assert_int_equal(outcome.error, 0);
	proxy_end(&proxy);
	world_free(world);
}

static void probes_go_on_and_are_nobody_elses_business(void **state)
{
	struct world *world = world_with_link();
	struct redis_counters before, after;

	(void)state;
	turn_for(world, 100);
	redis_counters(world->redis, &before);
	turn_for(world, 2 * REDIS_PROBE_MS + 100);
	redis_counters(world->redis, &after);
	assert_int_equal(after.commands - before.commands, 2);
	assert_int_equal(world->messages, 0);
	assert_int_equal(world->downs, 0);
	world_free(world);
}

static void another_own_channel_replaces_the_one_before(void **state)
{
	struct world *world = world_with_link();
	struct outcome outcome = {0};

	(void)state;
	redis_listen(world->redis, "uricast:to:you", strlen("uricast:to:you"));
	subscribe(world, "uricast:change:/a", &outcome);
	wait_for(world, outcome.runs);
	assert_int_equal(
		redis_server_number(&world->server, "PUBLISH " OWN " %s", "x"), 0);
	assert_int_equal(
		redis_server_number(&world->server, "PUBLISH uricast:to:you %s", "x"), 1);
	turn_for(world, REDIS_PROBE_MS + 1100);
	assert_int_equal(world->downs, 0);
	world_free(world);
}

static void freeing_ends_every_command(void **state)
{
	struct world *world = world_with_link();
	struct outcome outcomes[REDIS_IN_FLIGHT_COMMANDS + 5] = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(outcomes); i++)
		enter(world, "a", REDIS_NORMAL, &outcomes[i]);
	redis_free(world->redis);
	world->redis = NULL;
	for (size_t i = 0; i < COUNT(outcomes); i++)
		assert_int_equal(outcomes[i].runs, 1);
	assert_int_equal(outcomes[0].error, -ECONNRESET);
	assert_int_equal(outcomes[COUNT(outcomes) - 1].error, -ENOTCONN);
	assert_int_equal(world->downs, 0);
	world_free(world);
}

static void a_url_that_is_none_is_refused(void **state)
{
	static const char *const urls[] = {"", "redis://", "redis://:7000", "http://a",
		"redis://a:0", "redis://a:65536", "redis://a:b", "redis://a/x",
		"redis://[::1", "redis://[::1]7", "redis://%zz@a", "redis://u:%@a",
		"redis://u:%00@a", "unix:", "unix:relative"};
	static const char *const good[] = {"redis://a", "redis://a/", "redis://[::1]:7/2",
		"redis://u@a", "redis://u:p@a", "redis://:p:q@a:1/0", "unix:/a",
		"unix:///a"};
	struct redis_settings settings = {.prefix = "uricast", .name = "test"};
	struct world *world = world_new(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(urls); i++) {
		settings.url = urls[i];
		assert_null(
			redis_new(&world->loop, world->clock, &settings, &events, world));
	}
	for (size_t i = 0; i < COUNT(good); i++) {
		settings.url = good[i];
		world->redis =
			redis_new(&world->loop, world->clock, &settings, &events, world);
		assert_non_null(world->redis);
		redis_free(world->redis);
	}
	world->redis = NULL;
	world_free(world);
}

static int quiet(void **state)
{
	(void)state;
	log_setup("test_link", LOG_WARN);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_script_runs_and_answers, quiet),
		cmocka_unit_test_setup(
			a_script_that_redis_forgot_is_sent_with_its_text, quiet),
		cmocka_unit_test_setup(
			a_name_that_takes_long_to_look_up_holds_nothing_up, set_names),
		cmocka_unit_test_setup(
			a_process_that_ends_does_not_wait_for_a_name, set_names),
		cmocka_unit_test_setup(
			of_several_addresses_one_that_answers_is_found, set_names),
		cmocka_unit_test_setup(
			a_redis_that_listens_on_ipv4_alone_is_found_at_once, set_names),
		cmocka_unit_test_setup(
			an_address_that_is_silent_does_not_hide_the_next, set_names),
		cmocka_unit_test_setup(
			a_name_is_looked_up_anew_for_each_connection, set_names),
		cmocka_unit_test(the_first_use_of_a_script_is_not_overtaken),
		cmocka_unit_test_setup(
			no_more_than_the_cap_is_in_flight_and_urgent_overtakes, quiet),
		cmocka_unit_test_setup(large_commands_are_capped_by_their_bytes, quiet),
		cmocka_unit_test_setup(a_command_larger_than_any_buffer_goes_out, quiet),
		cmocka_unit_test_setup(a_full_redis_is_told_as_such, quiet),
		cmocka_unit_test_setup(a_redis_that_cannot_save_is_connected_to, quiet),
		cmocka_unit_test_setup(a_busy_redis_is_told_as_such, quiet),
		cmocka_unit_test_setup(
			a_redis_that_became_a_replica_is_left_until_it_is_none, quiet),
		cmocka_unit_test_setup(a_key_of_another_type_is_refused_by_name, quiet),
		cmocka_unit_test_setup(any_other_error_costs_only_its_command, quiet),
		cmocka_unit_test_setup(a_wrong_password_is_refused, quiet),
		cmocka_unit_test_setup(a_missing_password_is_refused, quiet),
		cmocka_unit_test_setup(user_password_database_and_name_are_used, quiet),
		cmocka_unit_test_setup(a_unix_socket_serves_as_well, quiet),
		cmocka_unit_test_setup(
			a_forbidden_script_is_refused_and_a_forbidden_question_is_not,
			quiet),
		cmocka_unit_test_setup(a_forbidden_channel_is_refused, quiet),
		cmocka_unit_test_setup(too_many_clients_are_waited_out, quiet),
		cmocka_unit_test_setup(a_stopped_redis_is_noticed_and_found_again, quiet),
		cmocka_unit_test_setup(
			a_redis_that_is_silent_from_the_start_is_noticed, quiet),
		cmocka_unit_test_setup(
			a_killed_redis_is_found_again_within_a_second, quiet),
		cmocka_unit_test_setup(a_slow_redis_that_answers_is_not_given_up, quiet),
		cmocka_unit_test_setup(our_own_pause_is_not_taken_for_silence, quiet),
		cmocka_unit_test_setup(
			a_late_command_of_an_abandoned_connection_does_not_run, quiet),
		cmocka_unit_test_setup(an_evicting_policy_is_warned_about_once, quiet),
		cmocka_unit_test_setup(
			a_subscription_is_acknowledged_before_its_first_message, quiet),
		cmocka_unit_test_setup(
			thousands_of_channels_are_each_acknowledged, quiet),
		cmocka_unit_test_setup(
			commands_go_on_while_the_channels_come_back, quiet),
		cmocka_unit_test_setup(
			nothing_is_subscribed_when_the_commands_come_back, quiet),
		cmocka_unit_test_setup(
			a_silent_subscribing_connection_is_replaced, quiet),
		cmocka_unit_test_setup(probes_go_on_and_are_nobody_elses_business, quiet),
		cmocka_unit_test_setup(
			another_own_channel_replaces_the_one_before, quiet),
		cmocka_unit_test_setup(freeing_ends_every_command, quiet),
		cmocka_unit_test_setup(a_url_that_is_none_is_refused, quiet),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
