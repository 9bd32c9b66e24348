/*
 * Fetches against a real upstream, fetch_upstream.py, which does what the path says and
 * tells us what it saw.
 */

#include "poller/fetch.h"

#include <fcntl.h>
#include <libgen.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"

#define BODY "{\"name\":\"a\",\"rows\":[1,2,3]}" /* of most answers */
#define PATIENCE_MS 10000
#define ANSWERS_MAX 16
#define NAME_OF_A_STUCK_RESOLVER "stuck.invalid"

/* ---- the upstream ---- */

struct upstream {
	char directory[64]; /* ours, for certificates and secrets */
	pid_t pid;
	int to_fd;
	int from_fd;
	int port;
	int tls_port;
	int http2_port;
};

static struct upstream upstream;

static char *path_in_directory(const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s", upstream.directory, name) > 0);
	return path;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void make_certificate(void)
{
	char command[512];

	snprintf(command, sizeof(command),
		"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
		"-nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 "
		"-keyout %s/key.pem -out %s/certificate.pem 2>/dev/null",
		upstream.directory, upstream.directory);
	assert_int_equal(system(command), 0);
}

static void run_upstream(int in, int out)
{
	char here[] = __FILE__;
	char program[512];
	char certificate[128];
	char key[128];

	snprintf(program, sizeof(program), "%s/fetch_upstream.py", dirname(here));
	snprintf(certificate, sizeof(certificate), "%s/certificate.pem",
		upstream.directory);
	snprintf(key, sizeof(key), "%s/key.pem", upstream.directory);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	execl("/usr/bin/python3", "/usr/bin/python3", program, certificate, key, NULL);
	_exit(127);
}

static void read_ports(void)
{
	char line[64] = "";

	for (size_t i = 0; i + 1 < sizeof(line); i++) {
		assert_int_equal(read(upstream.from_fd, &line[i], 1), 1);
		if (line[i] == '\n')
			break;
	}
	assert_int_equal(sscanf(line, "ready %d %d %d", &upstream.port,
				 &upstream.tls_port, &upstream.http2_port),
		3);
	fcntl(upstream.from_fd, F_SETFL, O_NONBLOCK);
}

static int start_upstream(void **state)
{
	int in[2];
	int out[2];

	(void)state;
	log_setup("test_fetch", LOG_ERROR);
	strcpy(upstream.directory, "/tmp/test_fetch.XXXXXX");
	assert_non_null(mkdtemp(upstream.directory));
	make_certificate();
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	upstream.pid = fork();
	assert_true(upstream.pid >= 0);
	if (upstream.pid == 0)
		run_upstream(in[0], out[1]);
	close(in[0]);
	close(out[1]);
	upstream.to_fd = in[1];
	upstream.from_fd = out[0];
	read_ports();
	return 0;
}

static int stop_upstream(void **state)
{
	char command[128];

	(void)state;
	close(upstream.to_fd);
	waitpid(upstream.pid, NULL, 0);
	close(upstream.from_fd);
	snprintf(command, sizeof(command), "rm -r %s", upstream.directory);
	return system(command);
}

/* ---- one test ---- */

/** A copy of a result, and whether it came. */
struct answer {
	struct test *test;
	size_t place; /* among all that came, from 1; 0 while it has not */
	enum fetch_outcome outcome;
	long status;
	char body[256]; /* as much as fits */
	size_t length;
	struct digest digest;
	char content_type[300]; /* "" for NULL, as the next two */
	char etag[600];
	char last_modified[64];
	char url[256];
	char error_code[32];
	char error_message[400];
	int64_t retry_after_ms;
	int64_t started_at_ms;
	struct answer *then; /* fetched from inside the callback of this one */
};

struct test {
	uv_loop_t loop;
	uv_timer_t guard;
	uv_poll_t watch; /* what the upstream says */
	struct clock *clock;
	struct fetcher *fetcher;
	struct catalog_provider provider;
	char url[128];
	size_t starts_left; /* how often may_start still says yes */
	size_t asked;       /* how often may_start was */
	size_t came;
	struct answer answers[ANSWERS_MAX];
	char seen[1 << 16]; /* what the upstream said since the test began */
	size_t seen_length;
};

static bool may_start(void *user)
{
	struct test *test = user;

	test->asked++;
	if (test->starts_left == 0)
		return false;
	test->starts_left--;
	return true;
}

static void on_guard(uv_timer_t *guard)
{
	(void)guard;
	fail_msg("nothing happened for %d ms", PATIENCE_MS);
}

static void look(struct test *test)
{
	ssize_t count;

	do {
		count = read(upstream.from_fd, test->seen + test->seen_length,
			sizeof(test->seen) - 1 - test->seen_length);
		if (count > 0)
			test->seen_length += (size_t)count;
	} while (count > 0);
	test->seen[test->seen_length] = '\0';
}

static void on_said(uv_poll_t *watch, int status, int events)
{
	(void)status;
	(void)events;
	look(watch->data);
}

static int setup(void **state)
{
	static const struct fetcher_events events = {.may_start = may_start};
	struct test *test = calloc(1, sizeof(*test));

	assert_int_equal(uv_loop_init(&test->loop), 0);
	uv_timer_init(&test->loop, &test->guard);
	uv_timer_start(&test->guard, on_guard, PATIENCE_MS, 0);
	uv_poll_init(&test->loop, &test->watch, upstream.from_fd);
	test->watch.data = test;
	uv_poll_start(&test->watch, UV_READABLE, on_said);
	test->clock = clock_new(&test->loop);
	test->fetcher = fetcher_new(&test->loop, test->clock, &events, test);
	test->starts_left = SIZE_MAX;
	snprintf(test->url, sizeof(test->url), "http://127.0.0.1:%d/base", upstream.port);
	test->provider = (struct catalog_provider){
		.name = "default",
		.url = test->url,
		.limits = {.concurrency = 16,
			.body_max_bytes = 1 << 20,
			.timeout_ms = 10000},
		.tls_verify = true,
	};
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct test *test = *state;

	fetcher_free(test->fetcher);
	clock_free(test->clock);
	uv_close((uv_handle_t *)&test->guard, NULL);
	uv_close((uv_handle_t *)&test->watch, NULL);
	uv_run(&test->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&test->loop), 0);
	free(test);
	return 0;
}

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

static struct fetch *start(struct test *test, struct answer *answer, const char *uri);

static void on_done(const struct fetch_result *result, void *user)
{
	struct answer *answer = user;

	assert_int_equal(answer->place, 0);
	answer->place = ++answer->test->came;
	answer->outcome = result->outcome;
	answer->status = result->status;
	answer->length = result->length;
	snprintf(answer->body, sizeof(answer->body), "%.*s", (int)result->length,
		result->body);
	answer->digest = result->digest;
	copy_text(
		answer->content_type, sizeof(answer->content_type), result->content_type);
	copy_text(answer->etag, sizeof(answer->etag), result->etag);
	copy_text(answer->last_modified, sizeof(answer->last_modified),
		result->last_modified);
	copy_text(answer->url, sizeof(answer->url), result->url);
	copy_text(answer->error_code, sizeof(answer->error_code), result->error_code);
	copy_text(answer->error_message, sizeof(answer->error_message),
		result->error_message);
	answer->retry_after_ms = result->retry_after_ms;
	answer->started_at_ms = result->started_at_ms;
	if (answer->then)
		start(answer->test, answer->then, "/content");
}

static struct fetch *start_request(
	struct test *test, struct answer *answer, const struct fetch_request *request)
{
	struct answer *then = answer->then;

	*answer = (struct answer){.test = test, .then = then};
	return fetch_start(test->fetcher, request, on_done, answer);
}

static struct fetch *start(struct test *test, struct answer *answer, const char *uri)
{
	struct fetch_request request = {.provider = &test->provider, .uri = uri};

	return start_request(test, answer, &request);
}

static void wait_for(struct test *test, size_t came)
{
	while (test->came < came)
		uv_run(&test->loop, UV_RUN_ONCE);
	look(test);
}

static const struct answer *finish_request(
	struct test *test, const struct fetch_request *request)
{
	struct answer *answer = &test->answers[0];

	start_request(test, answer, request);
	while (!answer->place)
		uv_run(&test->loop, UV_RUN_ONCE);
	look(test);
	return answer;
}

static const struct answer *get(struct test *test, const char *uri)
{
	struct fetch_request request = {.provider = &test->provider, .uri = uri};

	return finish_request(test, &request);
}

/** Another provider at the same upstream, so that it has its own line and connections. */
static void tell_upstream(struct test *test, const char *uri)
{
	struct catalog_provider other = test->provider;
	struct fetch_request request = {.provider = &other, .uri = uri};
	struct answer *answer = &test->answers[ANSWERS_MAX - 1];

	other.name = "other";
	other.headers = NULL;
	other.header_count = 0;
	start_request(test, answer, &request);
	while (!answer->place)
		uv_run(&test->loop, UV_RUN_ONCE);
	assert_int_equal(answer->status, 200);
	test->came--; /* what the test counts is its own */
}

/* How many lines of what the upstream said begin with @start. */
static size_t said(struct test *test, const char *begin)
{
	size_t count = 0;

	look(test);
	for (const char *line = test->seen; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		count += strncmp(line, begin, strlen(begin)) == 0;
	}
	return count;
}

/* How many connections carried a request. One that carried none may be accepted late. */
static size_t connections_used(struct test *test)
{
	char head[64];
	int number;
	int offset;
	size_t count = 0;

	look(test);
	for (const char *line = test->seen; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "request %d %n", &number, &offset) != 1)
			continue;
		snprintf(head, sizeof(head), "%.*s", offset, line);
		count += strstr(test->seen, head) == line;
	}
	return count;
}

static void wait_until_said(struct test *test, const char *begin, size_t count)
{
	while (said(test, begin) < count)
		uv_run(&test->loop, UV_RUN_ONCE);
}

/* How often the upstream was asked for exactly this target. */
static size_t times_asked(struct test *test, const char *target)
{
	char line[512];
	size_t count = 0;

	look(test);
	snprintf(line, sizeof(line), " GET %s HTTP/1.1\n", target);
	for (const char *at = strstr(test->seen, line); at; at = strstr(at + 1, line))
		count++;
	return count;
}

static void assert_content(const struct answer *answer)
{
	if (answer->outcome != FETCH_CONTENT)
		fail_msg("%s: %s", answer->error_code, answer->error_message);
	assert_int_equal(answer->status, 200);
	assert_string_equal(answer->body, BODY);
}

static void assert_failed(
	const struct answer *answer, const char *code, const char *words)
{
	assert_int_equal(answer->outcome, FETCH_FAILED);
	if (strcmp(answer->error_code, code) != 0 ||
		!strstr(answer->error_message, words))
		fail_msg("%s: %s", answer->error_code, answer->error_message);
	assert_null(strchr(answer->error_message, '\n'));
}

/* Lets the clock go on without waiting for anything. */
static void run_for(struct test *test, int64_t duration_ms)
{
	int64_t end_ms = clock_now_ms(test->clock) + duration_ms;

	while (clock_now_ms(test->clock) < end_ms) {
		uv_run(&test->loop, UV_RUN_NOWAIT);
		usleep(5000);
	}
}

/* ---- answers ---- */

static void a_200_gives_its_content(void **state)
{
	struct test *test = *state;
	const struct answer *answer = get(test, "/etag?a=1");
	char url[256];

	assert_content(answer);
	assert_int_equal(answer->length, strlen(BODY));
	assert_string_equal(answer->etag, "\"v1\"");
	assert_string_equal(answer->last_modified, "Sat, 01 Jan 2022 00:00:00 GMT");
	assert_string_equal(answer->content_type, "application/json");
	assert_int_equal(answer->retry_after_ms, 0);
	snprintf(url, sizeof(url), "%s/etag?a=1", test->url);
	assert_string_equal(answer->url, url);
	/* Of these very bytes, by the XXH3_128bits of libxxhash.so. */
	assert_string_equal(answer->digest.text, "a3213d187c457f8f46ed644eac3329a2");
}

static void an_empty_body_is_content(void **state)
{
	const struct answer *answer = get(*state, "/empty");

	assert_int_equal(answer->outcome, FETCH_CONTENT);
	assert_int_equal(answer->length, 0);
	assert_string_equal(answer->digest.text, "99aa06d3014798d86001c324468d497f");
}

static void the_same_bytes_are_unchanged(void **state)
{
	struct test *test = *state;
	struct digest digest = get(test, "/content")->digest;
	struct fetch_request request = {
		.provider = &test->provider, .uri = "/content", .digest = &digest};
	const struct answer *answer = finish_request(test, &request);

	assert_int_equal(answer->outcome, FETCH_UNCHANGED);
	assert_int_equal(answer->status, 200);
	assert_int_equal(answer->length, 0);
	assert_string_equal(answer->digest.text, digest.text);

	request.uri = "/polls";
	assert_int_equal(finish_request(test, &request)->outcome, FETCH_CONTENT);
}

static void a_304_is_unchanged(void **state)
{
	struct test *test = *state;
	struct fetch_request request = {
		.provider = &test->provider, .uri = "/etag", .etag = "\"v1\""};
	const struct answer *answer = finish_request(test, &request);

	assert_int_equal(answer->outcome, FETCH_UNCHANGED);
	assert_int_equal(answer->status, 304);
	assert_string_equal(answer->etag, "\"v1\"");

	request.etag = "\"v0\"";
	assert_content(finish_request(test, &request));
}

static void a_304_that_was_not_asked_for_fails(void **state)
{
	struct test *test = *state;
	struct fetch_request request = {
		.provider = &test->provider, .uri = "/unasked_304", .etag = "a\r\nX: b"};

	assert_failed(get(test, "/unasked_304"), "upstream_protocol", "304");
	/* Conditions that cannot stand in a request are left out. */
	assert_failed(finish_request(test, &request), "upstream_protocol", "304");
}

static void a_request_says_who_asks_and_on_what_condition(void **state)
{
	struct test *test = *state;
	struct fetch_request request = {.provider = &test->provider,
		.uri = "/echo",
		.etag = "W/\"1\"",
		.last_modified = "Sat, 01 Jan 2022 00:00:00 GMT"};
	const struct answer *answer = finish_request(test, &request);

	assert_int_equal(answer->outcome, FETCH_CONTENT);
	assert_non_null(strstr(answer->body, "If-None-Match: W/\"1\"\r\n"));
	assert_non_null(strstr(
		answer->body, "If-Modified-Since: Sat, 01 Jan 2022 00:00:00 GMT\r\n"));
	assert_non_null(strstr(answer->body, "User-Agent: uricast/" URICAST_VERSION));
	assert_non_null(strstr(answer->body, "Accept-Encoding: gzip\r\n"));
	assert_null(strstr(answer->body, "Cookie"));

	answer = get(test, "/echo"); /* nothing of the last one is left */
	assert_null(strstr(answer->body, "If-"));
}

static void a_compressed_body_is_decoded(void **state)
{
	assert_content(get(*state, "/zipped"));
}

static void any_status_but_200_fails(void **state)
{
	struct test *test = *state;

	assert_failed(get(test, "/no_content"), "upstream_status", "answered 204");
	assert_int_equal(test->answers[0].status, 204);
	assert_failed(get(test, "/partial"), "upstream_status", "only a 200");
	assert_failed(get(test, "/gone"), "upstream_status", "answered 410");
	assert_int_equal(test->answers[0].status, 410);
}

static void an_upstream_says_when_to_ask_again(void **state)
{
	struct test *test = *state;
	const struct answer *answer = get(test, "/retry_seconds");

	assert_failed(answer, "upstream_status", "answered 503");
	assert_int_equal(answer->retry_after_ms, 7000);
	answer = get(test, "/retry_date");
	assert_in_range(answer->retry_after_ms, 57000, 60000);
	answer = get(test, "/retry_long");
	assert_in_range(answer->retry_after_ms, 3600000, 86400000);
}

static void what_is_not_http_is_a_protocol_failure(void **state)
{
	assert_failed(get(*state, "/garbage"), "upstream_protocol", "127.0.0.1");
	assert_failed(get(*state, "/broken_gzip"), "upstream_protocol", "decoded");
}

static void headers_of_other_answers_do_not_count(void **state)
{
	struct test *test = *state;
	const struct answer *answer = get(test, "/interim");

	assert_content(answer);
	assert_string_equal(answer->etag, "");
	answer = get(test, "/trailer");
	assert_string_equal(answer->body, "body");
	assert_string_equal(answer->etag, "\"head\"");
}

static void strange_headers_do_no_harm(void **state)
{
	const struct answer *answer = get(*state, "/strange_headers");

	assert_content(answer);
	assert_string_equal(answer->etag, "");
	assert_string_equal(answer->last_modified, "");
	assert_int_equal(strlen(answer->content_type), 255);
}

/* ---- limits ---- */

static void a_body_larger_than_the_limit_ends_the_transfer(void **state)
{
	static const char *const uris[] = {"/endless", "/bomb", "/large?65537"};
	struct test *test = *state;

	test->provider.limits.body_max_bytes = 65536;
	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		struct fetcher_counters counters;

		assert_failed(get(test, uris[i]), "upstream_too_large", "65536");
		fetcher_counters(test->fetcher, &counters);
		assert_in_range(counters.body_bytes, 65537, (i + 1) * 100000);
		wait_until_said(test, "end", i + 1);
	}
	assert_int_equal(get(test, "/large?65536")->outcome, FETCH_CONTENT);
	assert_int_equal(test->answers[0].length, 65536);
	assert_int_equal(get(test, "/large?40000")->length, 40000);
}

static void the_body_of_a_refusal_is_not_read_for_ever(void **state)
{
	const struct answer *answer = get(*state, "/endless_refusal");

	assert_failed(answer, "upstream_status", "answered 503");
	assert_int_equal(answer->retry_after_ms, 3000);
}

static void too_many_headers_end_the_transfer(void **state)
{
	struct test *test = *state;

	assert_content(get(test, "/headers?200"));
	assert_failed(get(test, "/headers?300"), "upstream_too_large", "header");
	assert_failed(get(test, "/wide_headers"), "upstream_too_large", "header");
	assert_failed(get(test, "/long_header"), "upstream_too_large", "header");
}

static void a_silent_upstream_times_out(void **state)
{
	struct test *test = *state;
	const struct answer *answer;
	int64_t took_ms;

	test->provider.limits.timeout_ms = 200;
	answer = get(test, "/slow");
	took_ms = clock_now_ms(test->clock) - answer->started_at_ms;
	assert_failed(answer, "upstream_timeout", "no whole answer");
	assert_in_range(took_ms, 190, 2000);
	assert_failed(get(test, "/slow_body"), "upstream_timeout", "within 0.2 s");
}

static void the_time_in_the_waiting_line_does_not_count(void **state)
{
	struct test *test = *state;

	test->provider.limits.timeout_ms = 400;
	test->provider.limits.concurrency = 1;
	start(test, &test->answers[0], "/slow");
	start(test, &test->answers[1], "/slow");
	start(test, &test->answers[2], "/content");
	wait_for(test, 3);
	assert_failed(&test->answers[1], "upstream_timeout", "");
	assert_content(&test->answers[2]);
	assert_true(
		test->answers[1].started_at_ms >= test->answers[0].started_at_ms + 390);
}

/* ---- connections ---- */

static void a_closed_port_is_refused(void **state)
{
	struct test *test = *state;
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char words[64];

	/* Bound but not listening: nobody else gets the port. */
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	getsockname(fd, (struct sockaddr *)&address, &length);
	snprintf(test->url, sizeof(test->url), "http://127.0.0.1:%d",
		ntohs(address.sin_port));
	snprintf(words, sizeof(words), "connection refused by 127.0.0.1:%d",
		ntohs(address.sin_port));
	assert_failed(get(test, "/content"), "upstream_connect", words);
	close(fd);
}

static void a_whole_answer_before_a_reset_counts(void **state)
{
	struct test *test = *state;

	start(test, &test->answers[0], "/reset_after");
	wait_until_said(test, "request", 1);
	while (said(test, "end") == 0) /* both come to us at once */
		usleep(1000);
	wait_for(test, 1);
	assert_content(&test->answers[0]);
}

static void an_answer_that_breaks_off_is_closed(void **state)
{
	struct test *test = *state;

	assert_failed(get(test, "/reset"), "upstream_closed", "broke");
	assert_failed(get(test, "/half"), "upstream_closed", "whole");
	assert_failed(get(test, "/half_chunk"), "upstream_closed", "");
	assert_failed(get(test, "/nothing"), "upstream_closed", "without an answer");
}

static void connections_are_used_again(void **state)
{
	struct test *test = *state;

	for (int i = 0; i < 20; i++)
		assert_content(get(test, "/content"));
	for (int i = 0; i < 4; i++)
		start(test, &test->answers[i], "/content");
	wait_for(test, 24);
	for (int i = 0; i < 4; i++)
		start(test, &test->answers[i], "/content");
	wait_for(test, 28);
	assert_int_equal(said(test, "request"), 28);
	assert_in_range(connections_used(test), 1, 4);
}

static void count_turn(uv_prepare_t *prepare)
{
	(*(size_t *)prepare->data)++;
}

static void do_nothing(uv_timer_t *timer)
{
	(void)timer;
}

static void an_idle_connection_that_closes_costs_nothing(void **state)
{
	struct test *test = *state;
	uv_prepare_t prepare;
	uv_timer_t timer;
	size_t turns = 0;

	assert_content(get(test, "/once"));
	wait_until_said(test, "end", 1);
	uv_prepare_init(&test->loop, &prepare);
	prepare.data = &turns;
	uv_prepare_start(&prepare, count_turn);
	uv_timer_init(&test->loop, &timer);
	uv_timer_start(&timer, do_nothing, 200, 0);
	while (uv_is_active((uv_handle_t *)&timer))
		uv_run(&test->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&prepare, NULL);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&test->loop, UV_RUN_NOWAIT);
	assert_in_range(turns, 1, 10);

	assert_content(get(test, "/content")); /* on a new one */
	assert_int_equal(connections_used(test), 2);
}

/* Stands in for the one of libc, in libcurl too: no name is known, and to find out takes
 * long for one of them, as when no name server answers. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **result)
{
	(void)service;
	(void)hints;
	(void)result;
	if (strcmp(node, NAME_OF_A_STUCK_RESOLVER) == 0)
		sleep(3);
	return EAI_NONAME;
}

static void a_name_that_does_not_exist_is_a_dns_failure(void **state)
{
	struct test *test = *state;

	strcpy(test->url, "http://nowhere.invalid/base");
	assert_failed(get(test, "/content"), "upstream_dns", "nowhere.invalid:80");
}

static void a_resolver_that_is_stuck_does_not_hold_the_loop(void **state)
{
	struct test *test = *state;
	int64_t begin_ms = clock_now_ms(test->clock);

	strcpy(test->url, "http://" NAME_OF_A_STUCK_RESOLVER "/base");
	test->provider.limits.timeout_ms = 100;
	assert_failed(get(test, "/content"), "upstream_timeout", "no connection to");
	fetch_cancel(start(test, &test->answers[1], "/content"));
	start(test, &test->answers[2], "/content");
	uv_run(&test->loop, UV_RUN_NOWAIT);
	assert_in_range(clock_now_ms(test->clock) - begin_ms, 0, 1500);
}

/* ---- redirects and addresses ---- */

static void a_redirect_within_the_provider_is_followed(void **state)
{
	struct test *test = *state;
	char uri[256];

	assert_content(get(test, "/redirect?/base/content"));
	assert_content(get(test, "/redirect?content%2Fa?b=%2F"));
	assert_true(times_asked(test, "/base/content%2Fa?b=%2F"));
	snprintf(uri, sizeof(uri), "/redirect?http://user:pw@127.0.0.1:%d/base/content",
		upstream.port);
	assert_content(get(test, uri));
	assert_content(get(test, "/again?2"));
	snprintf(uri, sizeof(uri), "%s/again?2", test->url);
	assert_string_equal(test->answers[0].url, uri);
	assert_failed(get(test, "/again?3"), "upstream_redirect", "more than 3");
	assert_int_equal(test->asked, 5);
}

static void a_redirect_out_of_the_provider_is_refused(void **state)
{
	static const char *const locations[] = {
		"http://elsewhere.invalid/base/content",
		"//elsewhere.invalid/base/content",
		"https://127.0.0.1/base/content",
		"ftp://127.0.0.1/base/content",
		"gibberish:content",
		"/other/content",
		"/basecontent",
		"/base",
		"../content",
		"/base/../content",
		"/base/%2e%2e/content",
		"/base/x/..%2f..%2fcontent",
		"/base//elsewhere.invalid",
		"",
	};
	struct test *test = *state;

	for (size_t i = 0; i < sizeof(locations) / sizeof(locations[0]); i++) {
		char uri[256];

		/* What follows the ? is not judged as a path. */
		snprintf(uri, sizeof(uri), "/redirect?%s", locations[i]);
		assert_failed(get(test, uri), "upstream_redirect", "redirected");
		assert_int_equal(test->answers[0].status, 302);
		assert_int_equal(said(test, "request"), i + 1);
	}
}

static void a_redirect_is_told_without_its_secrets(void **state)
{
	struct test *test = *state;

	assert_failed(get(test, "/redirect?http://user:pw@elsewhere.invalid:1/p?token=t"),
		"upstream_redirect", "redirected to http://elsewhere.invalid:1, outside");
	assert_null(strstr(test->answers[0].error_message, "pw"));
	assert_null(strstr(test->answers[0].error_message, "token"));
}

static void a_uri_is_sent_exactly_as_it_is(void **state)
{
	static const char *const uris[] = {
		"/api/queues/%2F/q",
		"/api/queues/%2f/q",
		"/@elsewhere.invalid/x",
		"/a//b",
		"/:80/x",
		"/x@y:z",
		"/;a=b",
		"/a?u=http://elsewhere.invalid/../x&v=%2e%2e",
		"/a?",
		"/",
	};
	struct test *test = *state;

	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		char target[128];

		assert_content(get(test, uris[i]));
		snprintf(target, sizeof(target), "/base%s", uris[i]);
		assert_true(times_asked(test, target));
	}
}

static void a_hostile_uri_is_not_asked_for(void **state)
{
	static const char *const uris[] = {
		"//elsewhere.invalid/x",
		"@elsewhere.invalid/x",
		".elsewhere.invalid/x",
		":80/x",
		"",
		"http://elsewhere.invalid/x",
		"/../x",
		"/a/%2e%2E/x",
		"/a/..%2fx",
		"/a\\..\\x",
		"/%00",
		"/%0d%0aX:%20y",
		"/a HTTP/1.1\r\nX: y",
		"/a\nb",
		"/a#b",
		"/%zz",
	};
	struct test *test = *state;

	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++)
		assert_failed(get(test, uris[i]), "upstream_protocol", "not asked");
	assert_content(get(test, "/content"));
	assert_int_equal(connections_used(test), 1);
	assert_int_equal(said(test, "request"), 1);
}

static void a_base_url_may_end_in_a_slash(void **state)
{
	struct test *test = *state;

	strcat(test->url, "/");
	assert_content(get(test, "/content"));
	assert_true(times_asked(test, "/base/content"));
	assert_null(strstr(test->answers[0].url, "//content"));
	snprintf(test->url, sizeof(test->url), "http://127.0.0.1:%d/", upstream.port);
	assert_content(get(test, "/root"));
	assert_true(times_asked(test, "/root"));
	snprintf(test->url, sizeof(test->url), "http://127.0.0.1:%d/B%%2Fb/../c",
		upstream.port);
	assert_content(get(test, "/x"));
	assert_true(times_asked(test, "/B%2Fb/../c/x"));
}

static void a_base_url_that_cannot_be_used_fails(void **state)
{
	static const char *const urls[] = {"ftp://127.0.0.1/", "127.0.0.1", "http://",
		"http://h/?q", "http://h/#f", ""};
	struct test *test = *state;

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		strcpy(test->url, urls[i]);
		assert_failed(get(test, "/content"), "upstream_protocol", "base URL");
	}
}

static void a_proxy_of_the_environment_is_not_used(void **state)
{
	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	setenv("all_proxy", "http://127.0.0.1:1/", 1);
	assert_content(get(*state, "/content"));
	unsetenv("http_proxy");
	unsetenv("all_proxy");
}

/* ---- TLS ---- */

static void use_tls(struct test *test)
{
	snprintf(test->url, sizeof(test->url), "https://127.0.0.1:%d/base",
		upstream.tls_port);
}

static void a_certificate_nobody_knows_is_refused(void **state)
{
	struct test *test = *state;

	use_tls(test);
	assert_failed(get(test, "/content"), "upstream_tls",
		"is not trusted (self-signed certificate); pass --insecure");
	assert_int_equal(said(test, "request"), 0);
}

static void a_certificate_is_taken_where_none_is_verified(void **state)
{
	struct test *test = *state;

	use_tls(test);
	test->provider.tls_verify = false;
	assert_content(get(test, "/content"));
	assert_content(get(test, "/content"));
	assert_int_equal(connections_used(test), 1);

	/* That connection is not for those who verify. */
	test->provider.tls_verify = true;
	assert_failed(get(test, "/content"), "upstream_tls", "not trusted");
}

static void a_certificate_is_trusted_by_its_ca(void **state)
{
	struct test *test = *state;

	use_tls(test);
	test->provider.tls_ca = path_in_directory("certificate.pem");
	assert_content(get(test, "/content"));
	/* The certificate is for 127.0.0.1 only. */
	snprintf(test->url, sizeof(test->url), "https://localhost:%d/base",
		upstream.tls_port);
	assert_failed(get(test, "/content"), "upstream_tls", "match");
	free(test->provider.tls_ca);

	test->provider.tls_ca = path_in_directory("missing.pem");
	assert_failed(get(test, "/content"), "upstream_tls", "CA file");
	free(test->provider.tls_ca);
}

static void http2_is_used_where_it_is_offered(void **state)
{
	struct test *test = *state;

	test->provider.tls_verify = false;
	snprintf(test->url, sizeof(test->url), "https://127.0.0.1:%d/base",
		upstream.http2_port);
	start(test, &test->answers[0], "/content");
	start(test, &test->answers[1], "/content");
	wait_for(test, 2);
	assert_content(&test->answers[0]);
	assert_content(&test->answers[1]);
	assert_int_equal(said(test, "request"), 2);
	assert_int_equal(connections_used(test), 1);
}

static void a_silent_http2_connection_is_not_used_again(void **state)
{
	struct test *test = *state;

	test->provider.tls_verify = false;
	test->provider.limits.timeout_ms = 1000;
	snprintf(test->url, sizeof(test->url), "https://127.0.0.1:%d/base",
		upstream.http2_port);
	assert_content(get(test, "/content"));
	assert_content(get(test, "/content"));
	assert_failed(get(test, "/content"), "upstream_timeout", "no whole answer");
	assert_content(get(test, "/content"));
	assert_int_equal(connections_used(test), 2);
}

static void an_upstream_without_tls_is_a_tls_failure(void **state)
{
	struct test *test = *state;

	snprintf(
		test->url, sizeof(test->url), "https://127.0.0.1:%d/base", upstream.port);
	assert_failed(get(test, "/content"), "upstream_tls", "did not agree on TLS");
}

/* ---- headers ---- */

static void headers_come_from_the_configuration_and_the_environment(void **state)
{
	struct test *test = *state;
	struct catalog_header headers[] = {
		{"X-Literal", CATALOG_LITERAL, "a b"},
		{"X-Empty", CATALOG_LITERAL, ""},
		{"X-Environment", CATALOG_ENV, "TEST_FETCH_VALUE"},
	};
	const struct answer *answer;

	test->provider.headers = headers;
	test->provider.header_count = 3;
	setenv("TEST_FETCH_VALUE", "from outside", 1);
	answer = get(test, "/echo");
	assert_non_null(strstr(answer->body, "X-Literal: a b\r\n"));
	assert_non_null(strstr(answer->body, "X-Empty:\r\n"));
	assert_non_null(strstr(answer->body, "X-Environment: from outside\r\n"));
	unsetenv("TEST_FETCH_VALUE");

	headers[2].value = "TEST_FETCH_NOT_SET";
	assert_failed(get(test, "/echo"), "upstream_secret", "X-Environment");
	assert_int_equal(said(test, "request"), 1);
}

static void a_header_file_is_read_again_when_it_changes(void **state)
{
	struct test *test = *state;
	char *path = path_in_directory("token");
	struct catalog_header header = {"X-Token", CATALOG_FILE, path};

	test->provider.headers = &header;
	test->provider.header_count = 1;
	write_file(path, "one\n");
	assert_non_null(strstr(get(test, "/echo")->body, "X-Token: one\r\n"));
	write_file(path, "second\r\n");
	assert_non_null(strstr(get(test, "/echo")->body, "X-Token: one\r\n"));
	run_for(test, 1100);
	assert_non_null(strstr(get(test, "/echo")->body, "X-Token: second\r\n"));

	unlink(path);
	run_for(test, 1100);
	assert_failed(get(test, "/echo"), "upstream_secret", "No such file");
	write_file(path, "third");
	run_for(test, 1100);
	assert_non_null(strstr(get(test, "/echo")->body, "X-Token: third\r\n"));
	unlink(path);
	free(path);
}

static void a_header_file_is_read_again_at_a_401(void **state)
{
	struct test *test = *state;
	char *path = path_in_directory("token");
	struct catalog_header header = {"X-Token", CATALOG_FILE, path};

	test->provider.headers = &header;
	test->provider.header_count = 1;
	write_file(path, "first");
	tell_upstream(test, "/expect?first");
	assert_content(get(test, "/guarded"));
	write_file(path, "other");
	tell_upstream(test, "/expect?other");
	assert_content(get(test, "/guarded"));
	assert_int_equal(times_asked(test, "/base/guarded"), 3);

	/* Nothing new in the file: no second request. */
	tell_upstream(test, "/expect?third");
	assert_failed(get(test, "/guarded"), "upstream_status", "answered 401");
	assert_failed(get(test, "/guarded"), "upstream_status", "answered 401");
	assert_int_equal(times_asked(test, "/base/guarded"), 5);
	unlink(path);
	free(path);
}

static void a_value_of_more_than_one_line_is_refused(void **state)
{
	static const char *const values[] = {
		"a\nb", "a\r\nX: b\n", "a\tb", "a\x7f", "\n"};
	struct test *test = *state;
	char *path = path_in_directory("token");
	struct catalog_header header = {"X-Token", CATALOG_FILE, path};

	test->provider.headers = &header;
	test->provider.header_count = 1;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char name[16];

		snprintf(name, sizeof(name), "X-Token-%zu", i);
		header.name = name;
		write_file(path, values[i]);
		assert_failed(get(test, "/echo"), "upstream_secret", name);
	}
	assert_int_equal(said(test, "request"), 0);

	header = (struct catalog_header){"X-Token", CATALOG_LITERAL, "a\r\nX: b"};
	assert_failed(get(test, "/echo"), "upstream_secret", "X-Token");
	header = (struct catalog_header){"X Token", CATALOG_LITERAL, "a"};
	assert_failed(get(test, "/echo"), "upstream_secret", "name");
	unlink(path);
	free(path);
}

static void basic_credentials_come_from_a_file_or_the_url(void **state)
{
	struct test *test = *state;
	char *path = path_in_directory("basic");

	snprintf(test->url, sizeof(test->url),
		"http://Aladdin:open%%20sesame@127.0.0.1:%d", upstream.port);
	strcat(test->url, "/base");
	assert_non_null(strstr(get(test, "/echo")->body,
		"Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
	assert_null(strstr(test->answers[0].url, "Aladdin"));
	assert_failed(get(test, "/gone"), "upstream_status", "");
	assert_null(strstr(test->answers[0].error_message, "Aladdin"));

	write_file(path, "a:b\n");
	test->provider.basic = (struct catalog_header){"basic", CATALOG_FILE, path};
	assert_non_null(
		strstr(get(test, "/echo")->body, "Authorization: Basic YTpi\r\n"));
	write_file(path, "without a colon");
	test->provider.basic.name = "again";
	assert_failed(get(test, "/echo"), "upstream_secret", "user:password");
	assert_null(strstr(test->answers[0].error_message, "colon"));
	unlink(path);
	free(path);
}

/* ---- the waiting line ---- */

static void a_provider_is_asked_no_more_at_once_than_its_cap(void **state)
{
	struct test *test = *state;
	struct fetcher_counters counters;

	test->provider.limits.concurrency = 2;
	for (int i = 0; i < 6; i++) {
		char uri[32];

		snprintf(uri, sizeof(uri), "/hold?%d", i);
		start(test, &test->answers[i], uri);
	}
	wait_until_said(test, "request", 2);
	run_for(test, 50);
	assert_int_equal(said(test, "request"), 2);
	fetcher_counters(test->fetcher, &counters);
	assert_int_equal(counters.under_way, 2);
	assert_int_equal(counters.waiting, 4);

	for (size_t released = 1; released <= 6; released++) {
		char target[32];

		tell_upstream(test, "/release?1");
		wait_for(test, released);
		if (released > 4)
			continue;
		snprintf(target, sizeof(target), "/base/hold?%zu", released + 1);
		while (!times_asked(test, target))
			uv_run(&test->loop, UV_RUN_ONCE);
		snprintf(target, sizeof(target), "/base/hold?%zu", released + 2);
		assert_int_equal(times_asked(test, target), 0);
	}
	for (int i = 0; i < 6; i++)
		assert_content(&test->answers[i]);
	fetcher_counters(test->fetcher, &counters);
	assert_int_equal(counters.under_way, 0);
	assert_int_equal(counters.waiting, 0);
}

static void a_full_line_does_not_hold_another_provider(void **state)
{
	struct test *test = *state;

	test->provider.limits.concurrency = 1;
	start(test, &test->answers[0], "/hold");
	start(test, &test->answers[1], "/content");
	wait_until_said(test, "request", 1);
	tell_upstream(test, "/content");
	assert_int_equal(test->came, 0);
	tell_upstream(test, "/release?1");
	wait_for(test, 2);
}

static void what_is_cancelled_is_never_heard_of_again(void **state)
{
	struct test *test = *state;
	struct fetch *under_way;
	struct fetch *waiting;

	test->provider.limits.concurrency = 1;
	under_way = start(test, &test->answers[0], "/slow");
	waiting = start(test, &test->answers[1], "/polls");
	start(test, &test->answers[2], "/content");
	wait_until_said(test, "request", 1);
	fetch_cancel(waiting);
	fetch_cancel(under_way);
	wait_for(test, 1);
	assert_content(&test->answers[2]); /* has the place now */
	wait_until_said(test, "end", 1);
	assert_int_equal(said(test, "request"), 2);
	fetch_cancel(start(test, &test->answers[3], "/content")); /* not even looked at */
	run_for(test, 20);
	assert_int_equal(said(test, "request"), 2);
	assert_int_equal(test->came, 1);
}

/** Cancels the others from its callback. */
struct canceller {
	struct fetch *others[3];
	size_t runs;
};

static void on_done_cancel(const struct fetch_result *result, void *user)
{
	struct canceller *canceller = user;

	assert_int_equal(result->outcome, FETCH_NOT_STARTED);
	canceller->runs++;
	for (size_t i = 0; i < 3; i++)
		fetch_cancel(canceller->others[i]);
}

static void a_callback_may_cancel_others_that_ended_with_it(void **state)
{
	struct test *test = *state;
	struct fetch_request request = {.provider = &test->provider, .uri = "/content"};
	struct canceller canceller = {0};

	test->starts_left = 0;
	fetch_start(test->fetcher, &request, on_done_cancel, &canceller);
	for (int i = 0; i < 3; i++)
		canceller.others[i] = start(test, &test->answers[i], "/content");
	while (canceller.runs == 0)
		uv_run(&test->loop, UV_RUN_ONCE);
	run_for(test, 20);
	assert_int_equal(canceller.runs, 1);
	assert_int_equal(test->came, 0);
}

static void a_callback_may_start_the_next(void **state)
{
	struct test *test = *state;

	test->provider.limits.concurrency = 1;
	test->answers[0].then = &test->answers[1];
	test->answers[1].then = &test->answers[2];
	start(test, &test->answers[0], "/content");
	wait_for(test, 3);
	assert_content(&test->answers[2]);
	assert_int_equal(connections_used(test), 1);
}

static void what_waits_is_asked_about_when_its_turn_comes(void **state)
{
	struct test *test = *state;

	test->provider.limits.concurrency = 1;
	start(test, &test->answers[0], "/hold");
	start(test, &test->answers[1], "/polls");
	start(test, &test->answers[2], "/polls");
	wait_until_said(test, "request", 1);
	test->starts_left = 1; /* for the release */
	tell_upstream(test, "/release?1");
	wait_for(test, 3);
	assert_content(&test->answers[0]);
	assert_int_equal(test->answers[1].outcome, FETCH_NOT_STARTED);
	assert_int_equal(test->answers[2].outcome, FETCH_NOT_STARTED);
	assert_int_equal(said(test, "request"), 2);
}

static void nothing_is_heard_from_a_freed_fetcher(void **state)
{
	struct test *test = *state;

	test->provider.limits.concurrency = 2;
	for (int i = 0; i < 4; i++)
		start(test, &test->answers[i], "/slow");
	wait_until_said(test, "request", 2);
	fetcher_free(test->fetcher);
	test->fetcher = NULL;
	wait_until_said(test, "end", 2);
	assert_int_equal(test->came, 0);
}

static void what_may_not_start_is_told_so(void **state)
{
	struct test *test = *state;
	const struct answer *answer;

	test->starts_left = 0;
	answer = get(test, "/polls");
	assert_int_equal(answer->outcome, FETCH_NOT_STARTED);
	assert_int_equal(answer->status, 0);
	test->starts_left = SIZE_MAX;
	assert_content(get(test, "/content"));
	assert_int_equal(said(test, "request"), 1);
	assert_int_equal(connections_used(test), 1);
	assert_int_equal(test->asked, 2);
}

static void changed_settings_count_at_the_same_place_in_memory(void **state)
{
	struct test *test = *state;
	struct fetch *fetch;

	fetch = start(test, &test->answers[1], "/slow");
	wait_until_said(test, "request", 1);
	snprintf(test->url, sizeof(test->url), "http://127.0.0.1:%d/new", upstream.port);
	assert_content(get(test, "/content"));
	assert_true(times_asked(test, "/new/content"));
	fetch_cancel(fetch);
	assert_content(get(test, "/content"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_200_gives_its_content),
		TEST(an_empty_body_is_content),
		TEST(the_same_bytes_are_unchanged),
		TEST(a_304_is_unchanged),
		TEST(a_304_that_was_not_asked_for_fails),
		TEST(a_request_says_who_asks_and_on_what_condition),
		TEST(a_compressed_body_is_decoded),
		TEST(any_status_but_200_fails),
		TEST(an_upstream_says_when_to_ask_again),
		TEST(what_is_not_http_is_a_protocol_failure),
		TEST(headers_of_other_answers_do_not_count),
		TEST(strange_headers_do_no_harm),
		TEST(a_body_larger_than_the_limit_ends_the_transfer),
		TEST(the_body_of_a_refusal_is_not_read_for_ever),
		TEST(too_many_headers_end_the_transfer),
		TEST(a_silent_upstream_times_out),
		TEST(the_time_in_the_waiting_line_does_not_count),
		TEST(a_closed_port_is_refused),
		TEST(a_whole_answer_before_a_reset_counts),
		TEST(an_answer_that_breaks_off_is_closed),
		TEST(connections_are_used_again),
		TEST(an_idle_connection_that_closes_costs_nothing),
		TEST(a_name_that_does_not_exist_is_a_dns_failure),
		TEST(a_resolver_that_is_stuck_does_not_hold_the_loop),
		TEST(a_redirect_within_the_provider_is_followed),
		TEST(a_redirect_out_of_the_provider_is_refused),
		TEST(a_redirect_is_told_without_its_secrets),
		TEST(a_uri_is_sent_exactly_as_it_is),
		TEST(a_hostile_uri_is_not_asked_for),
		TEST(a_base_url_may_end_in_a_slash),
		TEST(a_base_url_that_cannot_be_used_fails),
		TEST(a_proxy_of_the_environment_is_not_used),
		TEST(a_certificate_nobody_knows_is_refused),
		TEST(a_certificate_is_taken_where_none_is_verified),
		TEST(a_certificate_is_trusted_by_its_ca),
		TEST(http2_is_used_where_it_is_offered),
		TEST(a_silent_http2_connection_is_not_used_again),
		TEST(an_upstream_without_tls_is_a_tls_failure),
		TEST(headers_come_from_the_configuration_and_the_environment),
		TEST(a_header_file_is_read_again_when_it_changes),
		TEST(a_header_file_is_read_again_at_a_401),
		TEST(a_value_of_more_than_one_line_is_refused),
		TEST(basic_credentials_come_from_a_file_or_the_url),
		TEST(a_provider_is_asked_no_more_at_once_than_its_cap),
		TEST(a_full_line_does_not_hold_another_provider),
		TEST(what_is_cancelled_is_never_heard_of_again),
		TEST(a_callback_may_cancel_others_that_ended_with_it),
		TEST(a_callback_may_start_the_next),
		TEST(what_waits_is_asked_about_when_its_turn_comes),
		TEST(nothing_is_heard_from_a_freed_fetcher),
		TEST(what_may_not_start_is_told_so),
		TEST(changed_settings_count_at_the_same_place_in_memory),
	};

	return cmocka_run_group_tests(tests, start_upstream, stop_upstream);
}
