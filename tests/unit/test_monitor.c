#include "common/monitor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/listener.h"
#include "common/log.h"
#include "common/memory.h"

#define ANSWER_MAX (1 << 20)
#define WAIT_MS 5000

struct world {
	uv_loop_t loop;
	uv_timer_t tick; /* so that waiting looks at its condition */
	struct monitor *monitor;
	int port;
	const char *reason;
	size_t metrics_length;
	char answer[ANSWER_MAX + 1];
	int accepted;
};

static const char *not_ready(void *user)
{
	return ((struct world *)user)->reason;
}

static char *metrics(size_t *length, void *user)
{
	struct world *world = user;
	char *text = xcalloc(world->metrics_length + 1, 1);

	memset(text, 'm', world->metrics_length);
	*length = world->metrics_length;
	return text;
}

static const struct monitor_events events = {not_ready, metrics};

static void on_tick(uv_timer_t *tick)
{
	(void)tick;
}

static int connect_to(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* A port that was free a moment ago. */
static int free_port(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static int setup(void **state)
{
	struct world *world = xcalloc(1, sizeof(*world));
	char address[32];
	const char *error = NULL;

	uv_loop_init(&world->loop);
	uv_timer_init(&world->loop, &world->tick);
	uv_timer_start(&world->tick, on_tick, 5, 5);
	world->port = free_port();
	world->metrics_length = 10;
	snprintf(address, sizeof(address), "127.0.0.1:%d", world->port);
	world->monitor = monitor_new(&world->loop, address, &events, world, &error);
	assert_non_null(world->monitor);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	monitor_free(world->monitor);
	uv_close((uv_handle_t *)&world->tick, NULL);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	free(world);
	return 0;
}

/* Turns the loop until @fd is at its end, or @enough was read; into world->answer. */
static void read_answer(struct world *world, int fd, const char *enough)
{
	uint64_t until_ms = uv_now(&world->loop) + WAIT_MS;
	size_t used = 0;
	ssize_t got;

	for (;;) {
		uv_run(&world->loop, UV_RUN_ONCE);
		if (uv_now(&world->loop) > until_ms)
			fail_msg("waited in vain for an answer");
		got = recv(fd, world->answer + used, ANSWER_MAX - used, 0);
		if (got == 0 || (got < 0 && errno != EAGAIN))
			return;
		used += got > 0 ? (size_t)got : 0;
		world->answer[used] = '\0';
		if (enough && strstr(world->answer, enough))
			return;
	}
}

/* Sends @request and returns the status of the answer. */
static int ask(struct world *world, const char *request)
{
	int fd = connect_to(world->port);
	int status = 0;

	*world->answer = '\0';
	assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
	read_answer(world, fd, NULL);
	close(fd);
	sscanf(world->answer, "HTTP/1.%*d %d", &status);
	return status;
}

#define END "\r\nHost: a\r\nConnection: close\r\n\r\n"

static const char *body(struct world *world)
{
	const char *end = strstr(world->answer, "\r\n\r\n");

	return end ? end + 4 : "";
}

static void health_is_answered_while_the_loop_turns(void **state)
{
	struct world *world = *state;

	world->reason = "no Redis";
	assert_int_equal(ask(world, "GET /healthz HTTP/1.1" END), 200);
	assert_string_equal(body(world), "ok\n");
}

static void readiness_says_why_not(void **state)
{
	struct world *world = *state;

	world->reason = "no connection to Redis";
	assert_int_equal(ask(world, "GET /readyz HTTP/1.1" END), 503);
	assert_string_equal(body(world), "no connection to Redis\n");
	world->reason = NULL;
	assert_int_equal(ask(world, "GET /readyz HTTP/1.1" END), 200);
	assert_string_equal(body(world), "ready\n");
}

/* More than the kernel takes at once. */
static void metrics_come_whole(void **state)
{
	struct world *world = *state;

	world->metrics_length = 900000;
	assert_int_equal(ask(world, "GET /metrics HTTP/1.1" END), 200);
	assert_non_null(strstr(world->answer, "version=0.0.4"));
	assert_int_equal(strlen(body(world)), world->metrics_length);
}

static void a_connection_serves_one_request_after_another(void **state)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
	struct world *world = *state;
	int fd = connect_to(world->port);

	for (int i = 0; i < 3; i++) {
		*world->answer = '\0';
		assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
		read_answer(world, fd, "ok\n");
		assert_int_equal(strncmp(world->answer, "HTTP/1.1 200", 12), 0);
	}
	close(fd);
}

static void anything_else_is_refused(void **state)
{
	struct world *world = *state;

	assert_int_equal(ask(world, "GET / HTTP/1.1" END), 404);
	assert_int_equal(ask(world, "GET /metricsx HTTP/1.1" END), 404);
	assert_int_equal(ask(world,
				 "POST /metrics HTTP/1.1\r\nHost: a\r\n"
				 "Content-Length: 3\r\n\r\nabc"),
		405);
	assert_int_equal(ask(world,
				 "GET /metrics HTTP/1.1\r\nHost: a\r\n"
				 "Connection: Upgrade\r\nUpgrade: websocket\r\n"
				 "Sec-WebSocket-Version: 13\r\n"
				 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
		403);
	assert_int_equal(ask(world,
				 "GET /metrics HTTP/1.1\r\nHost: a\r\n"
				 "Connection: Upgrade, HTTP2-Settings\r\n"
				 "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"),
		403);
	assert_int_not_equal(ask(world,
				     "GET /metrics HTTP/1.1\r\nHost: a\r\n"
				     "Connection: Upgrade\r\nUpgrade: other\r\n\r\n"),
		200);
}

static void freeing_with_open_connections_leaves_nothing(void **state)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
	struct world *world = *state;
	int idle = connect_to(world->port), half = connect_to(world->port);
	int served = connect_to(world->port);

	assert_int_equal(send(half, request, 10, 0), 10);
	assert_int_equal(send(served, request, strlen(request), 0), strlen(request));
	read_answer(world, served, "ok\n");
	monitor_free(world->monitor);
	world->monitor = NULL;
	*world->answer = '\0';
	read_answer(world, idle, NULL);
	read_answer(world, half, NULL);
	read_answer(world, served, NULL);
	close(idle);
	close(half);
	close(served);
}

/* ---- the listener ---- */

static void count_and_close(int fd, void *user)
{
	((struct world *)user)->accepted++;
	close(fd);
}

static void a_port_in_use_is_told_by_its_address(void **state)
{
	struct world *world = *state;
	char address[32];
	const char *error = NULL;

	snprintf(address, sizeof(address), "127.0.0.1:%d", world->port);
	assert_null(monitor_new(&world->loop, address, &events, world, &error));
	assert_non_null(strstr(error, address));
	assert_non_null(strstr(error, "something else listens there"));
}

static void an_address_that_is_none_is_refused(void **state)
{
	static const char *const addresses[] = {"", "7070", "localhost",
		"127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70x", "127.0.0.1:65536",
		"127.0.0.1:-1", "::1:80", "[::1]", "[]:80", "no.such.host.invalid:80",
		"192.0.2.1:0"};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		const char *error = NULL;

		assert_null(listener_new(
			&world->loop, addresses[i], count_and_close, world, &error));
		assert_non_null(strstr(error, addresses[i]));
	}
}

static void every_spelling_listens(void **state)
{
	static const char *const addresses[] = {
		"127.0.0.1:0", "localhost:0", ":0", "*:0", "0.0.0.0:0"};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		const char *error = NULL;
		struct listener *listener = listener_new(
			&world->loop, addresses[i], count_and_close, world, &error);
		int fd;

		assert_non_null(listener);
		world->accepted = 0;
		fd = connect_to(listener_port(listener));
		read_answer(world, fd, NULL);
		assert_int_equal(world->accepted, 1);
		close(fd);
		listener_free(listener);
	}
}

static int quiet(void **state)
{
	(void)state;
	log_setup("test_monitor", LOG_WARN);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(health_is_answered_while_the_loop_turns),
		TEST(readiness_says_why_not),
		TEST(metrics_come_whole),
		TEST(a_connection_serves_one_request_after_another),
		TEST(anything_else_is_refused),
		TEST(freeing_with_open_connections_leaves_nothing),
		TEST(a_port_in_use_is_told_by_its_address),
		TEST(an_address_that_is_none_is_refused),
		TEST(every_spelling_listens),
	};

	return cmocka_run_group_tests(tests, quiet, NULL);
}
