/*
 * The floor under any fan-out: a bare WebSocket server that hands what Redis publishes on
 * one resource's channel to every client, one send() of a prebuilt frame each, and does
 * nothing else. What a gateway costs above this is its own.
 */

#include <argp.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/tool.h"
#include "tests/bench/wire.h"

#define EVENTS_MAX 256
#define READ_MAX 16384
#define VERSION_FIELD 2 /* of the header of a change, see common/change.h */
#define CONTENT_FIELD 8

struct client {
	int fd;
	bool open; /* the handshake is done */
	size_t place;
};

struct floor {
	int epoll;
	int listener;
	int signals;
	uint16_t port;
	uint16_t redis_port;
	const char *address;
	redisContext *redis;
	struct client **clients;
	size_t client_count;
	size_t capacity;
	char *frame; /* of the newest change */
	size_t frame_length;
};

/* ---- clients ---- */

static void add_client(struct floor *floor, int fd)
{
	struct client *client = calloc(1, sizeof(*client));

	if (floor->client_count == floor->capacity) {
		floor->capacity = floor->capacity * 2 + 64;
		floor->clients = realloc(
			floor->clients, floor->capacity * sizeof(*floor->clients));
	}
	if (client == NULL || floor->clients == NULL)
		tool_die("no memory for a client");
	client->fd = fd;
	client->place = floor->client_count;
	floor->clients[floor->client_count++] = client;
	tool_watch(floor->epoll, fd, EPOLLIN, client);
}

static void drop_client(struct floor *floor, struct client *client)
{
	struct client *last = floor->clients[--floor->client_count];

	floor->clients[client->place] = last;
	last->place = client->place;
	close(client->fd);
	free(client);
}

static void send_whole(const struct client *client, const char *bytes, size_t length)
{
	ssize_t sent = send(client->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
		return; /* reading will tell */
	if (sent < 0 || (size_t)sent < length)
		tool_die("a client is behind: the floor keeps no queues");
}

/* A request comes whole and is the swarm's, whose key everybody knows. */
static void on_client(struct floor *floor, struct client *client)
{
	static const char answer[] =
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Accept: " WIRE_ACCEPT "\r\n\r\n";
	char bytes[READ_MAX];
	ssize_t got = recv(client->fd, bytes, sizeof(bytes), 0);

	if (got <= 0) {
		drop_client(floor, client);
		return;
	}
	if (client->open)
		return; /* whatever it asks for, it gets everything */
	send_whole(client, answer, sizeof(answer) - 1);
	client->open = true;
}

/* ---- changes ---- */

/* Field @number of the header line at @message; NULL where there are not as many. */
static const char *header_field(const char *message, int number)
{
	for (; number > 0 && message != NULL; number--) {
		message = strchr(message, ' ');
		message = message != NULL ? message + 1 : NULL;
	}
	return message;
}

static void make_frame(struct floor *floor, const char *message)
{
	const char *version = header_field(message, VERSION_FIELD);
	const char *content_field = header_field(message, CONTENT_FIELD);
	const char *content = strchr(message, '\n');
	char *payload;
	int length;

	if (version == NULL || content_field == NULL || content == NULL)
		tool_die("not a change: %.60s", message);
	length = asprintf(&payload,
		"{\"uri\":\"%s\",\"version\":\"%.*s\",\"content\":%.*s}", floor->address,
		(int)strcspn(version, " "), version, atoi(content_field), content + 1);
	if (length < 0)
		tool_die("no memory for a payload");
	free(floor->frame);
	floor->frame = malloc((size_t)length + WIRE_HEADER_MAX);
	if (floor->frame == NULL)
		tool_die("no memory for a frame");
	floor->frame_length =
		wire_write(floor->frame, WIRE_TEXT, payload, (size_t)length, false);
	free(payload);
}

static void fan_out(const struct floor *floor)
{
	for (size_t i = 0; i < floor->client_count; i++)
		if (floor->clients[i]->open)
			send_whole(floor->clients[i], floor->frame, floor->frame_length);
}

static void on_redis(struct floor *floor)
{
	redisReply *reply;

	if (redisBufferRead(floor->redis) != REDIS_OK)
		tool_die("lost Redis");
	while (redisGetReplyFromReader(floor->redis, (void **)&reply) == REDIS_OK &&
		reply != NULL) {
		if (reply->elements == 3 &&
			strcmp(reply->element[0]->str, "message") == 0) {
			make_frame(floor, reply->element[2]->str);
			fan_out(floor);
		}
		freeReplyObject(reply);
	}
}

static void listen_to_redis(struct floor *floor)
{
	redisReply *reply;

	floor->redis = redisConnect("127.0.0.1", floor->redis_port);
	if (floor->redis == NULL || floor->redis->err != 0)
		tool_die("cannot connect to Redis");
	reply = redisCommand(floor->redis, "SUBSCRIBE uricast:change:%s", floor->address);
	if (reply == NULL)
		tool_die("cannot subscribe");
	freeReplyObject(reply);
	tool_watch(floor->epoll, floor->redis->fd, EPOLLIN, &floor->redis);
}

/* ---- the program ---- */

/* False where it is time to end. */
static bool on_event(struct floor *floor, void *pointer)
{
	int fd;

	if (pointer == &floor->signals)
		return tool_take_signal(floor->signals) == SIGUSR1;
	if (pointer == &floor->redis) {
		on_redis(floor);
		return true;
	}
	if (pointer != &floor->listener) {
		on_client(floor, pointer);
		return true;
	}
	while ((fd = tool_accept(floor->listener)) >= 0)
		add_client(floor, fd);
	return true;
}

static void serve(struct floor *floor)
{
	struct epoll_event events[EVENTS_MAX];

	for (;;) {
		int count = epoll_wait(floor->epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++)
			if (!on_event(floor, events[i].data.ptr))
				return;
	}
}

static const struct argp_option options[] = {
	{"port", 'p', "PORT", 0, "Serve WebSockets on 127.0.0.1:PORT", 0},
	{"redis", 'r', "PORT", 0, "Listen to the Redis there", 0},
	{"address", 'a', "ADDRESS", 0, "The resource to hand on (default /r/0)", 0},
	{0},
};

static error_t on_option(int key, char *text, struct argp_state *state)
{
	struct floor *floor = state->input;

	switch (key) {
	case 'p':
		floor->port = (uint16_t)tool_number(state, text, 1, UINT16_MAX);
		return 0;
	case 'r':
		floor->redis_port = (uint16_t)tool_number(state, text, 1, UINT16_MAX);
		return 0;
	case 'a':
		floor->address = text;
		return 0;
	case ARGP_KEY_END:
		if (floor->port == 0 || floor->redis_port == 0)
			argp_error(state, "--port and --redis are needed");
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
		.doc = "Hands one resource's changes to every client, and nothing else.",
	};
	struct floor floor = {.address = "/r/0"};

	argp_parse(&argp, argc, argv, 0, NULL, &floor);
	tool_raise_files();
	floor.epoll = epoll_create1(EPOLL_CLOEXEC);
	floor.listener = tool_listen(floor.port);
	floor.signals = tool_signals();
	tool_watch(floor.epoll, floor.listener, EPOLLIN, &floor.listener);
	tool_watch(floor.epoll, floor.signals, EPOLLIN, &floor.signals);
	listen_to_redis(&floor);

	serve(&floor);

	while (floor.client_count > 0)
		drop_client(&floor, floor.clients[0]);
	free(floor.clients);
	free(floor.frame);
	redisFree(floor.redis);
	return 0;
}
