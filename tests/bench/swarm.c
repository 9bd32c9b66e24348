/*
 * A swarm of WebSocket subscribers in one thread.
 *
 * Connects, subscribes, and judges what comes (see tally.h). On SIGUSR1 it measures anew,
 * after --seconds or at SIGTERM it ends and prints one line of JSON. Says on stderr when
 * everybody has the first content of everything.
 */

#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/bench/tally.h"
#include "tests/bench/tool.h"
#include "tests/bench/wire.h"

#define GATEWAYS_MAX 64
#define EVENTS_MAX 256
#define READ_MAX (1u << 20)  /* bytes in one go, with what is left of a frame */
#define SOURCE_CLIENTS 10000 /* per source address: half of the ports there are */
#define ADDRESS_ROOM 2100

enum client_state { CLIENT_CONNECTING, CLIENT_UPGRADING, CLIENT_OPEN, CLIENT_CLOSED };

struct gateway {
	struct sockaddr_in address;
	const char *host; /* as given: HOST:PORT */
};

struct client {
	int fd;
	size_t number;
	enum client_state state;
	char *kept; /* the beginning of a frame; NULL where nothing is left over */
	size_t kept_length;
	char *message; /* its fragments so far */
	size_t message_length;
	bool fragmented;
	char *unsent;
	size_t unsent_length;
};

struct swarm {
	int epoll;
	int signals;
	int timer;
	struct gateway gateways[GATEWAYS_MAX];
	size_t gateway_count;
	const char *path;
	struct tally_settings settings;
	size_t per_message; /* addresses in one "uris"; 0: a message with "uri" for each
			     */
	size_t in_flight_max;
	int64_t awake_us; /* after the last event */
	bool silent;      /* the server sends everything to everybody unasked */
	const char *mode; /* of the subscriptions: what stands behind their address */
	double seconds;

	struct client *clients;
	size_t begun;     /* clients that began to connect */
	size_t in_flight; /* connecting or upgrading */
	size_t open;
	size_t failed;       /* never became open */
	size_t lost;         /* were open, and closed by the gateway */
	unsigned close_code; /* of the first one that said */
	char first_failure[TALLY_NOTE_MAX];
	int64_t started_at_us;
	int64_t connected_after_us; /* 0 until all are open */
	int64_t ready_after_us;     /* 0 until everybody has everything */
	struct tally tally;
	char *buffer; /* what was just read; READ_MAX and room to be read into */
};

/* ---- the end of a client ---- */

static void note_failure(struct swarm *swarm, const char *what)
{
	if (swarm->first_failure[0] == '\0')
		snprintf(swarm->first_failure, sizeof(swarm->first_failure), "%s", what);
}

static void drop(struct swarm *swarm, struct client *client, const char *why)
{
	if (client->state == CLIENT_CLOSED)
		return;
	note_failure(swarm, why);
	if (client->state == CLIENT_OPEN) {
		swarm->open--;
		swarm->lost++;
	} else {
		swarm->in_flight--;
		swarm->failed++;
	}
	client->state = CLIENT_CLOSED;
	close(client->fd);
	free(client->kept);
	free(client->message);
	free(client->unsent);
	client->kept = client->message = client->unsent = NULL;
}

/* ---- sending ---- */

static void keep_unsent(
	struct swarm *swarm, struct client *client, const char *bytes, size_t length)
{
	char *unsent = realloc(client->unsent, client->unsent_length + length);

	if (unsent == NULL)
		tool_die("no memory for what cannot be sent");
	memcpy(unsent + client->unsent_length, bytes, length);
	client->unsent = unsent;
	client->unsent_length += length;
	tool_rewatch(swarm->epoll, client->fd, EPOLLIN | EPOLLOUT, client);
}

static void send_bytes(
	struct swarm *swarm, struct client *client, const char *bytes, size_t length)
{
	ssize_t sent = 0;

	if (client->unsent_length == 0)
		sent = send(client->fd, bytes, length, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN)
		return; /* reading will tell */
	if (sent < 0)
		sent = 0;
	if ((size_t)sent < length)
		keep_unsent(swarm, client, bytes + sent, length - (size_t)sent);
}

static void send_unsent(struct swarm *swarm, struct client *client)
{
	ssize_t sent =
		send(client->fd, client->unsent, client->unsent_length, MSG_NOSIGNAL);

	if (sent <= 0)
		return;
	client->unsent_length -= (size_t)sent;
	memmove(client->unsent, client->unsent + sent, client->unsent_length);
	if (client->unsent_length == 0)
		tool_rewatch(swarm->epoll, client->fd, EPOLLIN, client);
}

static void send_frame(struct swarm *swarm, struct client *client,
	enum wire_opcode opcode, const char *payload, size_t length)
{
	char *frame = malloc(length + WIRE_HEADER_MAX);

	if (frame == NULL)
		tool_die("no memory for a frame");
	send_bytes(
		swarm, client, frame, wire_write(frame, opcode, payload, length, true));
	free(frame);
}

static void subscribe_one(struct swarm *swarm, struct client *client, size_t number)
{
	char message[ADDRESS_ROOM + 64];
	size_t length = (size_t)sprintf(message, "{\"action\":\"subscribe\",\"uri\":\"");

	length += tally_write_address(&swarm->tally, number, message + length);
	length += (size_t)sprintf(message + length, "\"%s}", swarm->mode);
	send_frame(swarm, client, WIRE_TEXT, message, length);
}

static void subscribe_some(
	struct swarm *swarm, struct client *client, size_t first, size_t count)
{
	char *message = malloc(count * (ADDRESS_ROOM + 3) + 64);
	size_t length;

	if (message == NULL)
		tool_die("no memory for a message");
	length = (size_t)sprintf(message, "{\"action\":\"subscribe\",\"uris\":[");
	for (size_t index = first; index < first + count; index++) {
		length += (size_t)sprintf(message + length, index > first ? ",\"" : "\"");
		length += tally_write_address(&swarm->tally,
			tally_number(&swarm->tally, client->number, index),
			message + length);
		message[length++] = '"';
	}
	length += (size_t)sprintf(message + length, "]%s}", swarm->mode);
	send_frame(swarm, client, WIRE_TEXT, message, length);
	free(message);
}

static void subscribe(struct swarm *swarm, struct client *client)
{
	size_t count = swarm->settings.per_client, step = swarm->per_message;

	if (step == 0) {
		for (size_t index = 0; index < count; index++)
			subscribe_one(swarm, client,
				tally_number(&swarm->tally, client->number, index));
		return;
	}
	for (size_t first = 0; first < count; first += step)
		subscribe_some(swarm, client, first,
			count - first < step ? count - first : step);
}

/* ---- receiving ---- */

static void take_text(
	struct swarm *swarm, struct client *client, const struct wire_frame *frame)
{
	int64_t now_us = tool_wall_us();
	char *message;

	if (!client->fragmented && frame->final) {
		tally_take(&swarm->tally, client->number, frame->payload,
			frame->payload_length, now_us);
		return;
	}
	message = realloc(
		client->message, client->message_length + frame->payload_length + 1);
	if (message == NULL)
		tool_die("no memory for a message in fragments");
	memcpy(message + client->message_length, frame->payload, frame->payload_length);
	client->message = message;
	client->message_length += frame->payload_length;
	client->fragmented = !frame->final;
	if (client->fragmented)
		return;
	tally_take(
		&swarm->tally, client->number, message, client->message_length, now_us);
	free(client->message);
	client->message = NULL;
	client->message_length = 0;
}

static void take_close(
	struct swarm *swarm, struct client *client, const struct wire_frame *frame)
{
	const unsigned char *code = (const unsigned char *)frame->payload;

	if (swarm->close_code == 0 && frame->payload_length >= 2)
		swarm->close_code = (unsigned)(code[0] << 8 | code[1]);
	drop(swarm, client, "the gateway closed");
}

static void take_frame(
	struct swarm *swarm, struct client *client, const struct wire_frame *frame)
{
	bool begins = frame->opcode == WIRE_TEXT;

	switch (frame->opcode) {
	case WIRE_TEXT:
	case WIRE_CONTINUATION:
		if (begins == client->fragmented)
			drop(swarm, client, "fragments out of order");
		else
			take_text(swarm, client, frame);
		return;
	case WIRE_PING:
		send_frame(
			swarm, client, WIRE_PONG, frame->payload, frame->payload_length);
		return;
	case WIRE_CLOSE:
		take_close(swarm, client, frame);
		return;
	case WIRE_PONG:
		return;
	default:
		drop(swarm, client, "a frame that is not text");
	}
}

/* Takes the whole frames at @at; returns what is left over. */
static size_t take_frames(
	struct swarm *swarm, struct client *client, char *at, size_t length)
{
	struct wire_frame frame;
	enum wire_outcome outcome = WIRE_INCOMPLETE;

	while (client->state == CLIENT_OPEN &&
		(outcome = wire_read(&frame, at, length, false)) == WIRE_FRAME) {
		take_frame(swarm, client, &frame);
		at += frame.length;
		length -= frame.length;
	}
	if (outcome == WIRE_BROKEN)
		drop(swarm, client, "a broken frame");
	return length;
}

static void note_connected(struct swarm *swarm)
{
	swarm->connected_after_us = tool_wall_us() - swarm->started_at_us;
	fprintf(stderr, "connected after %.3f s\n",
		(double)swarm->connected_after_us / 1e6);
}

static void on_open(struct swarm *swarm, struct client *client)
{
	client->state = CLIENT_OPEN;
	swarm->in_flight--;
	swarm->open++;
	if (swarm->open == swarm->settings.clients)
		note_connected(swarm);
	if (!swarm->silent)
		subscribe(swarm, client);
}

/* Judges the answer to the handshake; returns what is left over after it. */
static size_t take_handshake(
	struct swarm *swarm, struct client *client, char *at, size_t length)
{
	char *end = memmem(at, length, "\r\n\r\n", 4);
	size_t head_length, first_line;

	if (end == NULL)
		return length;
	head_length = (size_t)(end - at) + 4;
	first_line = (size_t)((char *)memchr(at, '\r', length) - at);
	if (memmem(at, first_line, " 101 ", 5) == NULL ||
		memmem(at, head_length, WIRE_ACCEPT, strlen(WIRE_ACCEPT)) == NULL) {
		at[first_line] = '\0';
		drop(swarm, client, at);
		return 0;
	}
	on_open(swarm, client);
	return take_frames(swarm, client, end + 4, length - head_length);
}

static void keep(struct client *client, const char *bytes, size_t length)
{
	char *kept;

	if (length == 0) {
		free(client->kept);
		client->kept = NULL;
		client->kept_length = 0;
		return;
	}
	kept = realloc(client->kept, length);
	if (kept == NULL)
		tool_die("no memory for part of a frame");
	memcpy(kept, bytes, length);
	client->kept = kept;
	client->kept_length = length;
}

static void on_readable(struct swarm *swarm, struct client *client)
{
	size_t length = client->kept_length, left;
	ssize_t got;

	memcpy(swarm->buffer, client->kept != NULL ? client->kept : "", length);
	got = recv(client->fd, swarm->buffer + length, READ_MAX - length, 0);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		drop(swarm, client, got == 0 ? "closed without a word" : strerror(errno));
		return;
	}
	length += (size_t)got;
	left = client->state == CLIENT_UPGRADING
		? take_handshake(swarm, client, swarm->buffer, length)
		: take_frames(swarm, client, swarm->buffer, length);
	if (left == READ_MAX)
		drop(swarm, client, "a frame above 1 MiB");
	if (client->state != CLIENT_CLOSED)
		keep(client, swarm->buffer + length - left, left);
}

/* ---- connecting ---- */

static void on_connected(struct swarm *swarm, struct client *client)
{
	const struct gateway *gateway =
		&swarm->gateways[client->number % swarm->gateway_count];
	char request[WIRE_HANDSHAKE_MAX];
	socklen_t size = sizeof(errno);
	int error = 0;

	getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error != 0) {
		drop(swarm, client, strerror(error));
		return;
	}
	client->state = CLIENT_UPGRADING;
	tool_rewatch(swarm->epoll, client->fd, EPOLLIN, client);
	send_bytes(swarm, client, request,
		wire_handshake(request, gateway->host, swarm->path));
}

/* One source address has too few ports for a large swarm; loopback has many addresses. */
static void choose_source(int fd, size_t number)
{
	struct sockaddr_in source = {
		.sin_family = AF_INET,
		.sin_addr.s_addr =
			htonl(INADDR_LOOPBACK + (uint32_t)(number / SOURCE_CLIENTS)),
	};

	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
	if (bind(fd, (struct sockaddr *)&source, sizeof(source)) < 0)
		tool_die("cannot take a source address");
}

static void connect_one(struct swarm *swarm, struct client *client)
{
	const struct gateway *gateway =
		&swarm->gateways[client->number % swarm->gateway_count];
	struct linger abrupt = {.l_onoff = 1}; /* leaves no TIME_WAIT behind */

	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		tool_die("cannot make socket %zu", client->number);
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof(abrupt));
	if (ntohl(gateway->address.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET)
		choose_source(client->fd, client->number);
	client->state = CLIENT_CONNECTING;
	swarm->in_flight++;
	tool_watch(swarm->epoll, client->fd, EPOLLOUT, client);
	if (connect(client->fd, (const struct sockaddr *)&gateway->address,
		    sizeof(gateway->address)) < 0 &&
		errno != EINPROGRESS)
		drop(swarm, client, strerror(errno));
}

static void connect_some(struct swarm *swarm)
{
	while (swarm->begun < swarm->settings.clients &&
		swarm->in_flight < swarm->in_flight_max) {
		struct client *client = &swarm->clients[swarm->begun];

		client->number = swarm->begun++;
		connect_one(swarm, client);
	}
}

/* ---- the program ---- */

static void on_event(struct swarm *swarm, struct client *client, uint32_t events)
{
	if (client->state == CLIENT_CONNECTING) {
		on_connected(swarm, client);
		return;
	}
	if ((events & EPOLLOUT) != 0 && client->unsent_length > 0)
		send_unsent(swarm, client);
	if ((events & ~(uint32_t)EPOLLOUT) != 0)
		on_readable(swarm, client);
}

/* False where it is time to end. */
static bool on_signal(struct swarm *swarm)
{
	if (tool_take_signal(swarm->signals) != SIGUSR1)
		return false;
	tally_reset(&swarm->tally);
	return true;
}

static void note_ready(struct swarm *swarm)
{
	if (swarm->ready_after_us != 0 || swarm->tally.missing > 0)
		return;
	swarm->ready_after_us = tool_wall_us() - swarm->started_at_us;
	fprintf(stderr, "ready after %.3f s\n", (double)swarm->ready_after_us / 1e6);
}

/*
 * A client that sleeps is woken by who sends to it, and that takes the sender longer than
 * all else. How often that happens depends on who of the two is faster; staying awake
 * while things keep coming, clients cost every sender the same.
 */
static int await_events(const struct swarm *swarm, struct epoll_event *events)
{
	int64_t since_us = tool_wall_us();
	int count = 0;

	while (count == 0 && swarm->awake_us > tool_wall_us() - since_us)
		count = epoll_wait(swarm->epoll, events, EVENTS_MAX, 0);
	return count > 0 ? count : epoll_wait(swarm->epoll, events, EVENTS_MAX, -1);
}

static void run(struct swarm *swarm)
{
	struct epoll_event events[EVENTS_MAX];

	for (;;) {
		int count;

		connect_some(swarm);
		count = await_events(swarm, events);
		for (int i = 0; i < count; i++) {
			void *pointer = events[i].data.ptr;

			if (pointer == &swarm->timer)
				return;
			if (pointer != &swarm->signals)
				on_event(swarm, pointer, events[i].events);
			else if (!on_signal(swarm))
				return;
		}
		note_ready(swarm);
	}
}

static void write_result(struct swarm *swarm)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("{\"clients\":%zu,\"open\":%zu,\"failed\":%zu,\"lost\":%zu,\"close_code\":"
	       "%u,"
	       "\"first_failure\":\"%s\",\"connected_s\":%.3f,\"ready_s\":%.3f,\"cpu_s\":"
	       "%.3f,",
		swarm->settings.clients, swarm->open, swarm->failed, swarm->lost,
		swarm->close_code, swarm->first_failure,
		(double)swarm->connected_after_us / 1e6,
		(double)swarm->ready_after_us / 1e6,
		(double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
	tally_write(&swarm->tally, stdout);
	printf("}\n");
}

static void watch_clock(struct swarm *swarm)
{
	struct itimerspec end = {
		.it_value.tv_sec = (time_t)swarm->seconds,
		.it_value.tv_nsec =
			(long)((swarm->seconds - (double)(time_t)swarm->seconds) * 1e9),
	};

	swarm->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (swarm->timer < 0 || timerfd_settime(swarm->timer, 0, &end, NULL) < 0)
		tool_die("cannot set the timer");
	tool_watch(swarm->epoll, swarm->timer, EPOLLIN, &swarm->timer);
}

enum option_key {
	OPTION_ADDRESSES = 0x100,
	OPTION_PER_CLIENT,
	OPTION_PER_MESSAGE,
	OPTION_IN_FLIGHT,
	OPTION_PATCHES,
	OPTION_SILENT,
	OPTION_AWAKE,
};

static const struct argp_option options[] = {
	{"gateway", 'g', "HOST:PORT", 0, "Where to connect; may be given several times",
		0},
	{"path", 'p', "PATH", 0, "Of the WebSocket (default /ws)", 0},
	{"clients", 'c', "N", 0, "Connections in all (default 1)", 0},
	{"template", 't', "ADDRESS", 0, "With %d for a number (default /r/%d)", 0},
	{"addresses", OPTION_ADDRESSES, "N", 0, "Numbers 0 to N-1 (default 1)", 0},
	{"per-client", OPTION_PER_CLIENT, "K", 0, "Addresses of one client (default 1)",
		0},
	{"per-message", OPTION_PER_MESSAGE, "N", 0,
		"Subscribe to so many addresses with one message (default: one each)", 0},
	{"in-flight", OPTION_IN_FLIGHT, "N", 0, "Connect so many at once (default 200)",
		0},
	{"silent", OPTION_SILENT, NULL, 0, "Subscribe to nothing", 0},
	{"awake", OPTION_AWAKE, "US", 0,
		"Sleep only when nothing has come for so long (default 0)", 0},
	{"patches", OPTION_PATCHES, NULL, 0, "Ask for patches", 0},
	{"seconds", 's', "SECONDS", 0, "End after so long (default: at SIGTERM)", 0},
	{0},
};

static void add_gateway(struct swarm *swarm, const char *text, struct argp_state *state)
{
	if (swarm->gateway_count == GATEWAYS_MAX) {
		argp_error(state, "more than %d gateways", GATEWAYS_MAX);
		return;
	}
	swarm->gateways[swarm->gateway_count++] = (struct gateway){
		.address = tool_endpoint(state, text),
		.host = text,
	};
}

static void check_options(const struct swarm *swarm, struct argp_state *state)
{
	const struct tally_settings *settings = &swarm->settings;

	if (swarm->gateway_count == 0)
		argp_error(state, "--gateway is missing");
	if (strlen(settings->pattern) > ADDRESS_ROOM - 20)
		argp_error(state, "the template is too long");
	if (settings->addresses > 1 && strstr(settings->pattern, "%d") == NULL)
		argp_error(state, "several addresses need %%d in the template");
	if (settings->per_client > settings->addresses)
		argp_error(state, "a client has more addresses than there are");
}

static error_t on_option(int key, char *text, struct argp_state *state)
{
	struct swarm *swarm = state->input;

	switch (key) {
	case 'g':
		add_gateway(swarm, text, state);
		return 0;
	case 'p':
		swarm->path = text;
		return 0;
	case 'c':
		swarm->settings.clients = tool_number(state, text, 1, 1000000);
		return 0;
	case 't':
		swarm->settings.pattern = text;
		return 0;
	case OPTION_ADDRESSES:
		swarm->settings.addresses = tool_number(state, text, 1, 100000000);
		return 0;
	case OPTION_PER_CLIENT:
		swarm->settings.per_client = tool_number(state, text, 1, 100000);
		return 0;
	case OPTION_PER_MESSAGE:
		swarm->per_message = tool_number(state, text, 1, 100000);
		return 0;
	case OPTION_IN_FLIGHT:
		swarm->in_flight_max = tool_number(state, text, 1, 1000000);
		return 0;
	case OPTION_SILENT:
		swarm->silent = true;
		return 0;
	case OPTION_AWAKE:
		swarm->awake_us = (int64_t)tool_number(state, text, 0, 1000000);
		return 0;
	case OPTION_PATCHES:
		swarm->mode = ",\"mode\":\"patch\"";
		return 0;
	case 's':
		swarm->seconds = strtod(text, NULL);
		return 0;
	case ARGP_KEY_END:
		check_options(swarm, state);
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
		.doc = "Subscribes with many clients, and judges what they get.",
	};
	static struct swarm swarm = {
		.path = "/ws",
		.mode = "",
		.settings = {.pattern = "/r/%d",
			.addresses = 1,
			.clients = 1,
			.per_client = 1},
		.in_flight_max = 200,
	};

	argp_parse(&argp, argc, argv, 0, NULL, &swarm);
	tool_raise_files();
	swarm.clients = calloc(swarm.settings.clients, sizeof(*swarm.clients));
	swarm.buffer = malloc(READ_MAX);
	if (swarm.clients == NULL || swarm.buffer == NULL)
		tool_die("no memory for %zu clients", swarm.settings.clients);
	tally_init(&swarm.tally, &swarm.settings);
	swarm.epoll = epoll_create1(EPOLL_CLOEXEC);
	swarm.signals = tool_signals();
	tool_watch(swarm.epoll, swarm.signals, EPOLLIN, &swarm.signals);
	if (swarm.seconds > 0)
		watch_clock(&swarm);
	swarm.started_at_us = tool_wall_us();

	run(&swarm);

	write_result(&swarm);
	tally_fini(&swarm.tally);
	free(swarm.clients);
	free(swarm.buffer);
	return 0;
}
