#include "gateway/websocket.h"

#include "common/log.h"
#include "common/memory.h"
#include "gateway/taking.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define WALK_MS 1000
#define PINGS_PER_WALK 1000 /* a herd of connections is not pinged all at once */
#define FLOOD_SECONDS                                                                    \
	10                /* of refused messages, at the rate allowed, end a connection  \
			   */
#define MESSAGE_LEAST 512 /* bytes reserved for a message that comes in pieces */
#define FRAGMENT_HEADER_MAX 10
#define REST_MAX_BYTES (FRAGMENT_HEADER_MAX + WEBSOCKET_FRAGMENT_MAX)
#define CLOSE_REASON_MAX 123       /* RFC 6455, 5.5 */
#define CLOSE_SERVICE_RESTART 1012 /* IANA's registry of close codes */

#define BATCH_FRAMES_MAX 64
#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

/* Frames that go out with one system call, all of one client. */
struct batch {
	struct websocket *websocket; /* whose; NULL: nothing is held back */
	struct frame *frames[BATCH_FRAMES_MAX];
	size_t count;
	size_t length; /* bytes, within the room for a rest */
};

struct websockets {
	struct client_shared *shared;
	struct clock_timer walk;
	struct list all;
	struct batch batch;
	/* The rest of a fragment or a batch on its way to libwebsockets, which wants room
	 * in front.
	 */
	unsigned char rest[LWS_PRE + REST_MAX_BYTES];
};

struct websocket {
	/* What a delivery needs comes first, and with the beginning of the client. */
	struct connection *connection;
	struct websockets *websockets;
	struct frame *partial; /* being sent in fragments */
	bool behind;           /* waits to be writable */
	bool closing;          /* no more data in either direction */
	bool killed;
	bool ignoring;           /* the rest of the message being received */
	uint32_t refused_in_row; /* because there were too many messages */
	struct client client;

	/* What the walk needs. */
	struct list in_all;
	int64_t message_since_ms; /* 0: none is half received */
	int64_t heard_at_ms;
	int64_t pinged_at_ms; /* 0: no pong is awaited */

	char *message;           /* what has come of one in several pieces */
	uint32_t message_length; /* within message_max_bytes */
	uint32_t message_capacity;
	int64_t allowance_us; /* when the messages so far would be evenly spent */
	size_t partial_sent;  /* of its payload */

	uint16_t close_code; /* still to be sent; 0: none */
	const char *close_reason;

	int64_t connected_at_ms;
	int64_t behind_since_ms; /* or since it last took something */
	int64_t closing_since_ms;
	struct taking taking;
};

static int64_t now_ms(const struct websocket *websocket)
{
	return clock_now_ms(websocket->client.shared->clock);
}

/* ---- ending ---- */

static void stop_traffic(struct websocket *websocket)
{
	websocket->closing = true;
	websocket->closing_since_ms = now_ms(websocket);
}

/* For the dead and the harmful. */
static void kill_it(struct websocket *websocket, const char *why)
{
	char client[NETWORK_TEXT_SIZE];

	if (websocket->killed)
		return;
	log_debug("client dropped: %s client=%s", why,
		network_address_text(&websocket->connection->client, client));
	stop_traffic(websocket);
	websocket->killed = true;
	connection_kill(websocket->connection);
}

/* ---- sending ---- */

static void fall_behind(struct websocket *websocket)
{
	if (websocket->behind)
		return;
	websocket->behind = true;
	websocket->behind_since_ms = now_ms(websocket);
	lws_callback_on_writable(websocket->connection->wsi);
}

/* The rest of bytes that are half out: libwebsockets sends it before anything else. */
static void leave_rest(struct websocket *websocket, unsigned char *rest, size_t length)
{
	/* LWS_WRITE_RAW touches nothing in front of @rest, so it may be a shared frame's.
	 */
	if (lws_write(websocket->connection->wsi, rest, length, LWS_WRITE_RAW) < 0) {
		kill_it(websocket, "its connection failed");
		return;
	}
	fall_behind(websocket);
}

/* Nothing is before us: a whole frame may go out. */
static bool socket_is_free(const struct websocket *websocket)
{
	return !websocket->behind && !lws_partial_buffered(websocket->connection->wsi);
}

static bool may_send(const struct websocket *websocket)
{
	return !websocket->closing && socket_is_free(websocket);
}

/* Of what send() or sendmsg() returned, the bytes that went out: none if the client is
 * behind, or gone. */
static size_t judge(struct websocket *websocket, ssize_t sent)
{
	if (sent > 0)
		return (size_t)sent;
	if (sent < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
		kill_it(websocket, strerror(errno));
	else
		fall_behind(websocket);
	return 0;
}

static size_t send_parts(struct websocket *websocket, struct iovec *parts, size_t count)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};

	return judge(websocket, sendmsg(websocket->connection->fd, &message, SEND_FLAGS));
}

static bool send_whole(struct websocket *websocket, unsigned char *bytes, size_t length)
{
	size_t sent = judge(
		websocket, send(websocket->connection->fd, bytes, length, SEND_FLAGS));

	if (sent == 0)
		return false;
	if (sent < length)
		leave_rest(websocket, bytes + sent, length - sent);
	return true;
}

/* RFC 6455, 5.4: text without FIN, continuations, the last one with FIN. */
static size_t fragment_header(unsigned char *header, size_t length, bool first, bool last)
{
	size_t length_bytes = length < 126 ? 0 : length <= UINT16_MAX ? 2 : 8;

	header[0] = (unsigned char)((last ? 0x80 : 0) | (first ? 0x01 : 0));
	header[1] = (unsigned char)(length_bytes == 0 ? length
			: length_bytes == 2           ? 126
						      : 127);
	for (size_t i = 0; i < length_bytes; i++)
		header[2 + i] =
			(unsigned char)((uint64_t)length >> (8 * (length_bytes - 1 - i)));
	return 2 + length_bytes;
}

static void leave_rest_of_fragment(
	struct websocket *websocket, const struct iovec *parts, size_t sent)
{
	unsigned char *rest = websocket->websockets->rest + LWS_PRE;

	memcpy(rest, parts[0].iov_base, parts[0].iov_len);
	memcpy(rest + parts[0].iov_len, parts[1].iov_base, parts[1].iov_len);
	leave_rest(websocket, rest + sent, parts[0].iov_len + parts[1].iov_len - sent);
}

/* Sends the next fragment. False where the client cannot take it now. */
static bool send_fragment(struct websocket *websocket)
{
	struct frame *frame = websocket->partial;
	size_t left = frame_payload_length(frame) - websocket->partial_sent;
	size_t length = left < WEBSOCKET_FRAGMENT_MAX ? left : WEBSOCKET_FRAGMENT_MAX;
	unsigned char header[FRAGMENT_HEADER_MAX];
	struct iovec parts[2];
	size_t sent;

	parts[0].iov_base = header;
	parts[0].iov_len = fragment_header(
		header, length, websocket->partial_sent == 0, length == left);
	parts[1].iov_base = frame->bytes + frame->header_length + websocket->partial_sent;
	parts[1].iov_len = length;
	sent = send_parts(websocket, parts, 2);
	if (sent == 0)
		return false;
	if (sent < parts[0].iov_len + length)
		leave_rest_of_fragment(websocket, parts, sent);
	websocket->partial_sent += length;
	if (length == left) {
		frame_release(frame);
		websocket->partial = NULL;
	}
	return true;
}

static void go_on_with_partial(struct websocket *websocket)
{
	while (websocket->partial != NULL && may_send(websocket))
		if (!send_fragment(websocket))
			return;
}

static bool fits(const struct batch *batch, const struct frame *frame)
{
	return batch->count < BATCH_FRAMES_MAX &&
		batch->length + frame->length <= REST_MAX_BYTES;
}

static void leave_rest_of_batch(struct websocket *websocket, size_t sent)
{
	struct batch *batch = &websocket->websockets->batch;
	unsigned char *rest = websocket->websockets->rest + LWS_PRE, *at = rest;

	for (size_t i = 0; i < batch->count; i++) {
		memcpy(at, batch->frames[i]->bytes, batch->frames[i]->length);
		at += batch->frames[i]->length;
	}
	leave_rest(websocket, rest + sent, batch->length - sent);
}

/* Its frames count as given: what the socket does not take, libwebsockets keeps. */
static void send_batch(struct websocket *websocket)
{
	struct batch *batch = &websocket->websockets->batch;
	struct iovec parts[BATCH_FRAMES_MAX];
	size_t sent;

	if (batch->count == 0)
		return;
	for (size_t i = 0; i < batch->count; i++)
		parts[i] =
			(struct iovec){batch->frames[i]->bytes, batch->frames[i]->length};
	sent = send_parts(websocket, parts, batch->count);
	if (sent < batch->length && !websocket->killed)
		leave_rest_of_batch(websocket, sent);
	while (batch->count > 0)
		frame_release(batch->frames[--batch->count]);
	batch->length = 0;
}

static void wire_hold_back(struct client *client)
{
	struct websocket *websocket = container_of(client, struct websocket, client);

	assert(websocket->websockets->batch.websocket == NULL);
	websocket->websockets->batch.websocket = websocket;
}

static void wire_let_go(struct client *client)
{
	struct websocket *websocket = container_of(client, struct websocket, client);

	send_batch(websocket);
	websocket->websockets->batch.websocket = NULL;
}

static bool wire_send(struct client *client, struct frame *frame,
	const struct subscription *subscription)
{
	struct websocket *websocket = container_of(client, struct websocket, client);
	struct batch *batch = &websocket->websockets->batch;
	bool held_back = batch->websocket == websocket;

	(void)subscription;
	if (held_back && !fits(batch, frame))
		send_batch(websocket);
	if (websocket->partial != NULL || !may_send(websocket)) {
		if (!websocket->closing)
			fall_behind(websocket);
		return false;
	}
	if (frame_payload_length(frame) <= WEBSOCKET_FRAGMENT_MAX) {
		if (!held_back)
			return send_whole(websocket, frame->bytes, frame->length);
		batch->frames[batch->count++] = frame_keep(frame);
		batch->length += frame->length;
		return true;
	}
	websocket->partial = frame_keep(frame);
	websocket->partial_sent = 0;
	go_on_with_partial(websocket);
	return true;
}

static void wire_soon(const struct client *client)
{
	(void)may_send(container_of(client, struct websocket, client));
}

static void wire_drop(struct client *client, const char *reason)
{
	struct websocket *websocket = container_of(client, struct websocket, client);

	kill_it(websocket, reason);
}

static const struct client_wire wire = {
	.send = wire_send,
	.hold_back = wire_hold_back,
	.let_go = wire_let_go,
	.soon = wire_soon,
	.drop = wire_drop,
};

/* RFC 6455, 5.5.1. Debian's libwebsockets 4.1.6 on libuv closes twice when a callback of
 * ours fails, the second time before its own close frame is out: so we send it. */
static void send_close(struct websocket *websocket)
{
	unsigned char bytes[LWS_PRE + 2 + 2 + CLOSE_REASON_MAX] = {0};
	unsigned char *frame = bytes + LWS_PRE;
	size_t length = strlen(websocket->close_reason);

	assert(length <= CLOSE_REASON_MAX);
	frame[0] = 0x88;
	frame[1] = (unsigned char)(2 + length);
	frame[2] = (unsigned char)(websocket->close_code >> 8);
	frame[3] = (unsigned char)websocket->close_code;
	memcpy(frame + 4, websocket->close_reason, length);
	if (send_whole(websocket, frame, 4 + length))
		websocket->close_code = 0;
}

/* @reason is static. The client answers by closing, or is dropped by the walk. */
static void close_politely(struct websocket *websocket, int code, const char *reason)
{
	if (websocket->closing)
		return;
	stop_traffic(websocket);
	websocket->close_code = (uint16_t)code;
	websocket->close_reason = reason;
	if (socket_is_free(websocket))
		send_close(websocket);
}

int websocket_on_writable(struct websocket *websocket)
{
	websocket->behind = false;
	if (websocket->killed)
		return 0;
	if (websocket->closing) {
		if (websocket->close_code != 0)
			send_close(websocket);
		return 0;
	}
	go_on_with_partial(websocket);
	if (websocket->partial == NULL)
		client_flush(&websocket->client);
	return 0;
}

/* ---- receiving ---- */

static void heard(struct websocket *websocket)
{
	websocket->heard_at_ms = now_ms(websocket);
	websocket->pinged_at_ms = 0;
}

int websocket_on_pong(struct websocket *websocket)
{
	heard(websocket);
	return 0;
}

/* RFC 6455, 7.4; the reserved codes below 5000 libwebsockets refuses itself. */
static bool is_close(const unsigned char *body, size_t length)
{
	return length == 0 || (length >= 2 && (body[0] << 8 | body[1]) < 5000);
}

int websocket_on_peer_closes(struct websocket *websocket, const char *body, size_t length)
{
	/* The answer to our close frame: libwebsockets does not know that it went out. */
	if (websocket->closing)
		return -1;
	if (!is_close((const unsigned char *)body, length)) {
		close_politely(websocket, LWS_CLOSE_STATUS_PROTOCOL_ERR,
			"this is no close frame");
		return -1;
	}
	stop_traffic(websocket);
	return 0;
}

static void forget_message(struct websocket *websocket)
{
	free(websocket->message);
	websocket->message = NULL;
	websocket->message_length = 0;
	websocket->message_capacity = 0;
	websocket->message_since_ms = 0;
}

/* A burst of one second's messages, then as many as there are a second (GCRA). */
static bool within_rate(struct websocket *websocket)
{
	int64_t now_us = now_ms(websocket) * 1000;
	int64_t cost_us = 1000000 / websocket->client.shared->limits.messages_per_s;

	if (websocket->allowance_us < now_us)
		websocket->allowance_us = now_us;
	if (websocket->allowance_us + cost_us > now_us + 1000000)
		return false;
	websocket->allowance_us += cost_us;
	websocket->refused_in_row = 0;
	return true;
}

static void refuse_rate(struct websocket *websocket, const char *bytes, size_t length)
{
	uint32_t most = websocket->client.shared->limits.messages_per_s;
	struct refusal refusal;

	if (++websocket->refused_in_row > most * FLOOD_SECONDS) {
		close_politely(websocket, LWS_CLOSE_STATUS_POLICY_VIOLATION,
			"too many messages");
		return;
	}
	refusal_set(&refusal, "rate_limited", "no more than %u messages a second", most);
	client_refuse(&websocket->client, bytes, length, &refusal);
}

static void take_message(struct websocket *websocket, const char *bytes, size_t length)
{
	if (within_rate(websocket))
		client_message(&websocket->client, bytes, length);
	else
		refuse_rate(websocket, bytes, length);
}

static void ignore_rest(
	struct websocket *websocket, const char *code, const char *message)
{
	struct refusal refusal;

	forget_message(websocket);
	websocket->ignoring = true;
	if (!within_rate(websocket)) {
		refuse_rate(websocket, NULL, 0);
		return;
	}
	refusal_set(&refusal, code, "%s", message);
	client_refuse(&websocket->client, NULL, 0, &refusal);
}

static bool make_room(struct websocket *websocket, uint32_t length, uint32_t most)
{
	uint32_t capacity = websocket->message_capacity;
	char *message;

	if (capacity >= length)
		return true;
	if (capacity == 0)
		capacity = MESSAGE_LEAST;
	while (capacity < length)
		capacity *= 2;
	if (capacity > most)
		capacity = most;
	message = realloc(websocket->message, capacity);
	if (message == NULL)
		return false;
	websocket->message = message;
	websocket->message_capacity = capacity;
	return true;
}

static void take_piece(
	struct websocket *websocket, const char *bytes, size_t length, bool last)
{
	uint32_t most = websocket->client.shared->limits.message_max_bytes;
	size_t total = websocket->message_length + length;

	if (total > most) {
		ignore_rest(websocket, "message_too_large",
			"the message is larger than this gateway takes; it was not read");
		return;
	}
	if (last && websocket->message_length == 0) {
		take_message(websocket, bytes, length);
		return;
	}
	if (!make_room(websocket, (uint32_t)total, most)) {
		kill_it(websocket, "out of memory");
		return;
	}
	if (length > 0)
		memcpy(websocket->message + websocket->message_length, bytes, length);
	websocket->message_length = (uint32_t)total;
	if (websocket->message_since_ms == 0)
		websocket->message_since_ms = now_ms(websocket);
	if (!last)
		return;
	take_message(websocket, websocket->message, total);
	forget_message(websocket);
}

int websocket_on_received(struct websocket *websocket, const char *bytes, size_t length)
{
	struct lws *wsi = websocket->connection->wsi;
	bool last = lws_is_final_fragment(wsi);

	heard(websocket);
	if (websocket->closing)
		return 0;
	if (!websocket->ignoring && lws_frame_is_binary(wsi))
		ignore_rest(websocket, "bad_message", "messages are text, not binary");
	if (!websocket->ignoring)
		take_piece(websocket, bytes, length, last);
	if (last)
		websocket->ignoring = false;
	return 0;
}

/* ---- the walk ---- */

static bool ping(struct websocket *websocket, int64_t at_ms)
{
	/* Room in front, for the rest of it may go to libwebsockets, which 4.1.6 does not
	 * tell of a pong that is empty. */
	unsigned char bytes[LWS_PRE + 3] = {0};

	if (!may_send(websocket))
		return false;
	bytes[LWS_PRE] = 0x89; /* RFC 6455, 5.5.2 */
	bytes[LWS_PRE + 1] = 1;
	if (!send_whole(websocket, bytes + LWS_PRE, 3))
		return false;
	websocket->pinged_at_ms = at_ms;
	return true;
}

/* Slow, but alive: nothing runs out for it. A ping waits behind what it has to take. */
static void allow_slow(struct websocket *websocket, int64_t at_ms)
{
	struct taking *taking = &websocket->taking;

	if (!websocket->behind && websocket->pinged_at_ms == 0)
		return;
	taking_look(taking, websocket->connection->fd);
	if (!taking->took || (!websocket->behind && !taking->left))
		return;
	websocket->behind_since_ms = at_ms;
	if (websocket->pinged_at_ms != 0)
		websocket->pinged_at_ms = at_ms;
}

/* Why @websocket must go now, or NULL. */
static const char *overdue(const struct websocket *websocket, int64_t at_ms)
{
	if (websocket->closing)
		return at_ms - websocket->closing_since_ms > WEBSOCKET_CLOSE_MS
			? "its close frame does not go out"
			: NULL;
	if (websocket->pinged_at_ms != 0 &&
		at_ms - websocket->pinged_at_ms >= WEBSOCKET_PONG_MS)
		return "it does not answer pings";
	if (websocket->message_since_ms != 0 &&
		at_ms - websocket->message_since_ms >= WEBSOCKET_MESSAGE_MS)
		return "its message does not end";
	return NULL;
}

static bool too_slow(const struct websocket *websocket, int64_t at_ms)
{
	return !websocket->closing && websocket->behind &&
		at_ms - websocket->behind_since_ms >= WEBSOCKET_SLOW_MS;
}

static void drop_slow(struct websocket *websocket)
{
	metrics_add(websocket->client.shared->metrics, METRIC_SLOW_CLOSED, 1);
	kill_it(websocket, "it takes nothing");
}

/* Returns the pings sent. */
static int look_after(struct websocket *websocket, int64_t at_ms, bool may_ping)
{
	const char *why;

	allow_slow(websocket, at_ms);
	why = overdue(websocket, at_ms);
	if (why != NULL) {
		kill_it(websocket, why);
		return 0;
	}
	if (too_slow(websocket, at_ms)) {
		drop_slow(websocket);
		return 0;
	}
	if (!websocket->client.authenticated &&
		at_ms - websocket->connected_at_ms >= WEBSOCKET_AUTHENTICATE_MS)
		close_politely(websocket, LWS_CLOSE_STATUS_POLICY_VIOLATION,
			"no token was shown in time");
	if (!may_ping || websocket->pinged_at_ms != 0 ||
		at_ms - websocket->heard_at_ms < WEBSOCKET_PING_MS)
		return 0;
	return ping(websocket, at_ms);
}

static void on_walk(struct clock_timer *timer)
{
	struct websockets *websockets = container_of(timer, struct websockets, walk);
	int64_t at_ms = clock_now_ms(websockets->shared->clock);
	int pings = 0;

	list_each (link, &websockets->all)
		pings += look_after(container_of(link, struct websocket, in_all), at_ms,
			pings < PINGS_PER_WALK);
	clock_timer_start_in(&websockets->walk, WALK_MS);
}

/* ---- the whole ---- */

struct websockets *websockets_new(struct client_shared *shared)
{
	struct websockets *websockets = xcalloc(1, sizeof(*websockets));

	websockets->shared = shared;
	list_init(&websockets->all);
	clock_timer_init(&websockets->walk, shared->clock, on_walk);
	clock_timer_start_in(&websockets->walk, WALK_MS);
	return websockets;
}

void websockets_free(struct websockets *websockets)
{
	if (websockets == NULL)
		return;
	clock_timer_stop(&websockets->walk);
	free(websockets);
}

size_t websockets_drain(struct websockets *websockets, size_t most)
{
	size_t told = 0;

	list_each (link, &websockets->all) {
		struct websocket *websocket =
			container_of(link, struct websocket, in_all);

		if (told == most)
			break;
		if (websocket->closing)
			continue;
		close_politely(websocket, CLOSE_SERVICE_RESTART,
			"the gateway is stopping, connect again");
		/* Out of the way of the next turn. */
		list_remove(link);
		list_append(&websockets->all, link);
		told++;
	}
	return told;
}

struct websocket *websocket_new(struct websockets *websockets,
	struct connection *connection, bool single, bool authenticated)
{
	struct websocket *websocket = xcalloc(1, sizeof(*websocket));

	websocket->websockets = websockets;
	websocket->connection = connection;
	client_init(&websocket->client, websockets->shared, &wire, single, authenticated);
	list_append(&websockets->all, &websocket->in_all);
	metrics_add(websockets->shared->metrics, METRIC_CLIENTS_WEBSOCKET, 1);
	websocket->connected_at_ms = now_ms(websocket);
	websocket->heard_at_ms = websocket->connected_at_ms;
	return websocket;
}

void websocket_free(struct websocket *websocket)
{
	if (websocket == NULL)
		return;
	metrics_add(websocket->client.shared->metrics, METRIC_CLIENTS_WEBSOCKET, -1);
	client_fini(&websocket->client);
	forget_message(websocket);
	frame_release(websocket->partial);
	list_remove(&websocket->in_all);
	free(websocket);
}
