#include "tests/redis/proxy.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

struct pair;

/* One direction: what is read at @from is written at @to, or kept. */
struct lane {
	struct pair *pair;
	uv_tcp_t from;
	struct lane *other; /* where we write is where it reads */
	bool held;
	bool ended; /* the sender is gone; told once nothing is kept */
	char *bytes;
	size_t length;
};

struct pair {
	struct proxy *proxy;
	struct list link;
	struct lane to_redis;
	struct lane from_redis;
	uv_connect_t connect;
	bool connected;
	int open_handles;
};

static void on_pair_closed(uv_handle_t *handle)
{
	struct lane *lane = handle->data;
	struct pair *pair = lane->pair;

	if (--pair->open_handles > 0)
		return;
	free(pair->to_redis.bytes);
	free(pair->from_redis.bytes);
	free(pair);
}

static void close_lane(struct lane *lane)
{
	if (!uv_is_closing((uv_handle_t *)&lane->from))
		uv_close((uv_handle_t *)&lane->from, on_pair_closed);
}

static void close_pair(struct pair *pair)
{
	list_remove(&pair->link);
	close_lane(&pair->to_redis);
	close_lane(&pair->from_redis);
}

static void on_written(uv_write_t *request, int status)
{
	(void)status;
	free(request);
}

/* Passes on what may pass: the bytes, then the end. */
static void pass(struct lane *lane)
{
	uv_stream_t *to = (uv_stream_t *)&lane->other->from;
	uv_write_t *request;
	uv_buf_t buffer;

	if (lane->held || !lane->pair->connected || uv_is_closing((uv_handle_t *)to))
		return;
	if (lane->length > 0) {
		request = xcalloc(1, sizeof(*request) + lane->length);
		memcpy(request + 1, lane->bytes, lane->length);
		buffer = uv_buf_init((char *)(request + 1), (unsigned)lane->length);
		lane->length = 0;
		if (uv_write(request, to, &buffer, 1, on_written) < 0)
			free(request);
	}
	if (lane->ended)
		close_pair(lane->pair);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct lane *lane = handle->data;

	lane->bytes = xreallocarray(lane->bytes, lane->length + suggested, 1);
	*buffer = uv_buf_init(lane->bytes + lane->length, (unsigned)suggested);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
	struct lane *lane = stream->data;

	(void)buffer;
	if (length < 0) {
		lane->ended = true;
		uv_read_stop(stream);
	} else {
		lane->length += (size_t)length;
	}
	pass(lane);
}

static void on_connected(uv_connect_t *request, int status)
{
	struct pair *pair = request->data;

	if (status < 0) {
		if (status != UV_ECANCELED)
			close_pair(pair);
		return;
	}
	pair->connected = true;
	uv_read_start((uv_stream_t *)&pair->from_redis.from, on_allocate, on_read);
	pass(&pair->to_redis);
}

static void lane_init(struct lane *lane, struct pair *pair, struct lane *other)
{
	lane->pair = pair;
	lane->other = other;
	uv_tcp_init(pair->proxy->loop, &lane->from);
	lane->from.data = lane;
	pair->open_handles++;
}

static void on_client(uv_stream_t *listener, int status)
{
	struct proxy *proxy = listener->data;
	struct pair *pair = xcalloc(1, sizeof(*pair));
	struct sockaddr_in address;

	(void)status;
	pair->proxy = proxy;
	lane_init(&pair->to_redis, pair, &pair->from_redis);
	lane_init(&pair->from_redis, pair, &pair->to_redis);
	list_append(&proxy->pairs, &pair->link);
	proxy->pair_count++;
	uv_accept(listener, (uv_stream_t *)&pair->to_redis.from);
	uv_ip4_addr("127.0.0.1", proxy->redis_port, &address);
	pair->connect.data = pair;
	uv_tcp_connect(&pair->connect, &pair->from_redis.from,
		(const struct sockaddr *)&address, on_connected);
	uv_read_start((uv_stream_t *)&pair->to_redis.from, on_allocate, on_read);
}

void proxy_start(struct proxy *proxy, uv_loop_t *loop, int redis_port)
{
	struct sockaddr_in address;
	int length = sizeof(address);

	*proxy = (struct proxy){.loop = loop, .redis_port = redis_port};
	list_init(&proxy->pairs);
	uv_ip4_addr("127.0.0.1", 0, &address);
	uv_tcp_init(loop, &proxy->listener);
	proxy->listener.data = proxy;
	uv_tcp_bind(&proxy->listener, (const struct sockaddr *)&address, 0);
	if (uv_listen((uv_stream_t *)&proxy->listener, 16, on_client) < 0)
		abort();
	uv_tcp_getsockname(&proxy->listener, (struct sockaddr *)&address, &length);
	proxy->port = ntohs(address.sin_port);
}

void proxy_hold_to_redis(struct proxy *proxy)
{
	list_each (link, &proxy->pairs)
		container_of(link, struct pair, link)->to_redis.held = true;
}

void proxy_hold_from_redis(struct proxy *proxy)
{
	list_each (link, &proxy->pairs)
		container_of(link, struct pair, link)->from_redis.held = true;
}

void proxy_release(struct proxy *proxy)
{
	list_each (link, &proxy->pairs) {
		struct pair *pair = container_of(link, struct pair, link);

		pair->to_redis.held = false;
		pair->from_redis.held = false;
		pass(&pair->from_redis);
		pass(&pair->to_redis);
	}
}

size_t proxy_held(const struct proxy *proxy)
{
	size_t held = 0;

	list_each (link, &proxy->pairs)
		held += container_of(link, struct pair, link)->to_redis.length;
	return held;
}

void proxy_end(struct proxy *proxy)
{
	list_each (link, &proxy->pairs)
		close_pair(container_of(link, struct pair, link));
	uv_close((uv_handle_t *)&proxy->listener, NULL);
}
