/*
 * The floor under any poller: a bare epoll loop that asks a provider for one path after
 * the other on some kept connections, with If-None-Match where it knows an ETag, and
 * compares the bodies it gets with the last ones. It has no timeouts, no caps and no
 * schedule. What a poller costs above this is its own.
 *
 * Asks for every path once, says so on stderr, and measures from then on; after --seconds
 * or at SIGTERM it prints one line of JSON.
 */

#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/tool.h"

#define EVENTS_MAX 256
#define ETAG_MAX 64

struct path {
	char etag[ETAG_MAX]; /* with quotes; "" where there is none */
	char *body;          /* the last one */
	size_t body_length;
};

struct connection {
	int fd;
	struct path *path; /* asked for */
	char *answer;
	size_t received;
};

struct poll {
	int epoll;
	int signals;
	struct sockaddr_in provider;
	size_t connection_count;
	size_t path_count;
	size_t answer_max;
	double seconds;
	struct connection *connections;
	struct path *paths;
	size_t next;              /* path to ask for */
	size_t known;             /* paths that were answered */
	int64_t measured_from_us; /* 0: not yet */
	uint64_t polls;
	uint64_t not_modified;
	uint64_t identical;
	uint64_t changed;
};

static void ask(struct poll *poll, struct connection *connection)
{
	struct path *path = &poll->paths[poll->next];
	char request[ETAG_MAX + 128];
	int length;

	length = snprintf(request, sizeof(request),
		"GET /r/%zu HTTP/1.1\r\nHost: provider\r\nAccept: */*\r\n%s%s%s\r\n",
		poll->next, path->etag[0] != '\0' ? "If-None-Match: " : "", path->etag,
		path->etag[0] != '\0' ? "\r\n" : "");
	poll->next = (poll->next + 1) % poll->path_count;
	connection->path = path;
	connection->received = 0;
	if (send(connection->fd, request, (size_t)length, MSG_NOSIGNAL) != length)
		tool_die("cannot ask");
}

/* The value of a header line that begins with @name, or NULL. */
static const char *find_header(
	const char *head, size_t length, const char *name, size_t *value_length)
{
	const char *value = memmem(head, length, name, strlen(name)), *end;

	if (value == NULL)
		return NULL;
	value += strlen(name);
	end = memchr(value, '\r', (size_t)(head + length - value));
	*value_length = (size_t)(end - value);
	return value;
}

static void keep_body(struct path *path, const char *body, size_t length)
{
	path->body = realloc(path->body, length + 1);
	if (path->body == NULL)
		tool_die("no memory for a body");
	memcpy(path->body, body, length);
	path->body_length = length;
}

static void take_body(struct poll *poll, struct path *path, const char *head,
	size_t head_length, size_t body_length)
{
	const char *body = head + head_length, *etag;
	size_t etag_length = 0;

	if (path->body != NULL && path->body_length == body_length &&
		memcmp(path->body, body, body_length) == 0) {
		poll->identical++;
		return;
	}
	if (path->body == NULL)
		poll->known++;
	else
		poll->changed++;
	keep_body(path, body, body_length);
	etag = find_header(head, head_length, "\r\nETag: ", &etag_length);
	if (etag != NULL && etag_length < ETAG_MAX) {
		memcpy(path->etag, etag, etag_length);
		path->etag[etag_length] = '\0';
	}
}

/* False where there is more to come. */
static bool take_answer(struct poll *poll, struct connection *connection)
{
	const char *head = connection->answer, *end, *length_text;
	size_t head_length, body_length, unused;

	end = memmem(head, connection->received, "\r\n\r\n", 4);
	if (end == NULL)
		return false;
	head_length = (size_t)(end - head) + 4;
	if (memcmp(head, "HTTP/1.1 304", 12) == 0) {
		poll->not_modified++;
		poll->polls++;
		return true;
	}
	length_text = find_header(head, head_length, "\r\nContent-Length: ", &unused);
	if (memcmp(head, "HTTP/1.1 200", 12) != 0 || length_text == NULL)
		tool_die("not an answer: %.60s", head);
	body_length = strtoull(length_text, NULL, 10);
	if (head_length + body_length > poll->answer_max)
		tool_die("an answer above --answer-max");
	if (connection->received < head_length + body_length)
		return false;
	take_body(poll, connection->path, head, head_length, body_length);
	poll->polls++;
	return true;
}

static void begin_to_measure(struct poll *poll)
{
	poll->measured_from_us = tool_wall_us();
	poll->polls = poll->not_modified = poll->identical = 0;
	fprintf(stderr, "every path is known\n");
}

static void on_readable(struct poll *poll, struct connection *connection)
{
	ssize_t got = recv(connection->fd, connection->answer + connection->received,
		poll->answer_max - connection->received, 0);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0)
		tool_die("the provider closed");
	connection->received += (size_t)got;
	if (!take_answer(poll, connection))
		return;
	if (poll->measured_from_us == 0 && poll->known == poll->path_count)
		begin_to_measure(poll);
	ask(poll, connection);
}

static void connect_all(struct poll *poll)
{
	for (size_t i = 0; i < poll->connection_count; i++) {
		struct connection *connection = &poll->connections[i];

		connection->answer = malloc(poll->answer_max);
		connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connection->answer == NULL || connection->fd < 0 ||
			connect(connection->fd, (struct sockaddr *)&poll->provider,
				sizeof(poll->provider)) < 0)
			tool_die("cannot connect");
		tool_watch(poll->epoll, connection->fd, EPOLLIN, connection);
		ask(poll, connection);
	}
}

static void serve(struct poll *poll)
{
	struct epoll_event events[EVENTS_MAX];

	for (;;) {
		int count = epoll_wait(poll->epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == &poll->signals)
				return;
			on_readable(poll, events[i].data.ptr);
		}
		if (poll->seconds > 0 && poll->measured_from_us > 0 &&
			tool_wall_us() - poll->measured_from_us >
				(int64_t)(poll->seconds * 1e6))
			return;
	}
}

enum option_key {
	OPTION_CONNECTIONS = 0x100,
	OPTION_PATHS,
	OPTION_ANSWER_MAX,
};

static const struct argp_option options[] = {
	{"provider", 'p', "HOST:PORT", 0, "Whom to ask", 0},
	{"connections", OPTION_CONNECTIONS, "N", 0, "Kept (default 64)", 0},
	{"paths", OPTION_PATHS, "N", 0, "/r/0 to /r/N-1 (default 1000)", 0},
	{"answer-max", OPTION_ANSWER_MAX, "BYTES", 0, "Head and body (default 65536)", 0},
	{"seconds", 's', "SECONDS", 0, "End after so long (default: at SIGTERM)", 0},
	{0},
};

static error_t on_option(int key, char *text, struct argp_state *state)
{
	struct poll *poll = state->input;

	switch (key) {
	case 'p':
		poll->provider = tool_endpoint(state, text);
		return 0;
	case OPTION_CONNECTIONS:
		poll->connection_count = tool_number(state, text, 1, 4096);
		return 0;
	case OPTION_PATHS:
		poll->path_count = tool_number(state, text, 1, 10000000);
		return 0;
	case OPTION_ANSWER_MAX:
		poll->answer_max = tool_number(state, text, 1024, 64u << 20);
		return 0;
	case 's':
		poll->seconds = strtod(text, NULL);
		return 0;
	case ARGP_KEY_END:
		if (poll->provider.sin_port == 0)
			argp_error(state, "--provider is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = on_option,
		.doc = "Asks for the same paths again and again, and nothing else.",
	};
	struct poll poll = {
		.connection_count = 64, .path_count = 1000, .answer_max = 65536};

	argp_parse(&argp, argc, argv, 0, NULL, &poll);
	tool_raise_files();
	poll.connections = calloc(poll.connection_count, sizeof(*poll.connections));
	poll.paths = calloc(poll.path_count, sizeof(*poll.paths));
	if (poll.connections == NULL || poll.paths == NULL)
		tool_die("no memory");
	poll.epoll = epoll_create1(EPOLL_CLOEXEC);
	poll.signals = tool_signals();
	tool_watch(poll.epoll, poll.signals, EPOLLIN, &poll.signals);
	connect_all(&poll);

	serve(&poll);

	printf("{\"polls\":%llu,\"not_modified\":%llu,\"identical\":%llu,"
	       "\"changed\":%llu}\n",
		(unsigned long long)poll.polls, (unsigned long long)poll.not_modified,
		(unsigned long long)poll.identical, (unsigned long long)poll.changed);
	return 0;
}
