#include "common/redis_socket.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/memory.h"

struct redis_socket {
	redisContext *context;
	uv_poll_t poll;
	uv_prepare_t flush; /* active while there is something new to write */
	int open_handles;
	bool closed;
	bool watches_writable;
	struct redis_socket_events events;
	void *user;
};

static void take_replies(struct redis_socket *socket)
{
	redisContext *context = socket->context;
	void *reply;

	if (redisBufferRead(context) != REDIS_OK) {
		socket->events.on_broken(context->errstr, socket->user);
		return;
	}
	for (size_t replies = 0; !socket->closed; replies++) {
		if (redisGetReplyFromReader(context, &reply) != REDIS_OK) {
			socket->events.on_broken(context->errstr, socket->user);
			return;
		}
		if (!reply && replies == 0)
			socket->events.on_progress(socket->user);
		if (!reply)
			return;
		socket->events.on_reply(reply, socket->user);
		freeReplyObject(reply);
	}
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Each change costs two system calls, so writability is asked for only where it is
 * needed. */
static void watch(struct redis_socket *socket, bool writable)
{
	int events = UV_READABLE | (writable ? UV_WRITABLE : 0);

	if (writable == socket->watches_writable)
		return;
	socket->watches_writable = writable;
	uv_poll_start(&socket->poll, events, on_poll);
}

static void write_out(struct redis_socket *socket)
{
	char reason[sizeof(socket->context->errstr)];
	int done = 0;

	if (redisBufferWrite(socket->context, &done) == REDIS_OK) {
		watch(socket, !done);
		return;
	}
	/* What Redis said before it closed tells more than the failed write. */
	snprintf(reason, sizeof(reason), "%s", socket->context->errstr);
	socket->context->err = 0;
	take_replies(socket);
	if (!socket->closed)
		socket->events.on_broken(reason, socket->user);
}

/* An error from libuv counts as both: reading or writing then says what it is. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct redis_socket *socket = poll->data;

	if (status < 0)
		events = UV_READABLE | UV_WRITABLE;
	if (events & UV_READABLE)
		take_replies(socket);
	if (socket->closed || !(events & UV_WRITABLE))
		return;
	socket->events.on_progress(socket->user);
	write_out(socket);
}

/* All that one turn of the loop had to send leaves in one write, before the loop waits.
 */
static void on_flush(uv_prepare_t *flush)
{
	uv_prepare_stop(flush);
	write_out(flush->data);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct redis_socket *socket = handle->data;

	if (--socket->open_handles > 0)
		return;
	redisFree(socket->context);
	free(socket);
}

static int start(struct redis_socket *socket, uv_loop_t *loop)
{
	int r = uv_poll_init(loop, &socket->poll, socket->context->fd);

	if (r < 0)
		return r;
	socket->poll.data = socket;
	uv_prepare_init(loop, &socket->flush);
	socket->flush.data = socket;
	socket->open_handles = 2;
	watch(socket, true); /* once connected */
	return 0;
}

struct redis_socket *redis_socket_open(uv_loop_t *loop, const struct redis_url *url,
	const char *address, const struct redis_socket_events *events, void *user,
	char *reason, size_t reason_size)
{
	redisContext *context = url->path ? redisConnectUnixNonBlock(url->path)
					  : redisConnectNonBlock(address, url->port);
	struct redis_socket *socket;
	int r;

	if (!context || context->err) {
		snprintf(reason, reason_size, "%s",
			context ? context->errstr : "out of memory");
		if (context)
			redisFree(context);
		return NULL;
	}
	socket = xcalloc(1, sizeof(*socket));
	socket->context = context;
	socket->events = *events;
	socket->user = user;
	r = start(socket, loop);
	if (r < 0) {
		snprintf(reason, reason_size, "%s", uv_strerror(r));
		redisFree(context);
		free(socket);
		return NULL;
	}
	return socket;
}

/* $LENGTH CRLF BYTES CRLF, or *COUNT CRLF without bytes. */
static size_t digits(size_t number)
{
	size_t count = 1;

	while (number >= 10) {
		number /= 10;
		count++;
	}
	return count;
}

size_t redis_socket_send(
	struct redis_socket *socket, int count, const char **words, const size_t *lengths)
{
	size_t bytes = 1 + digits((size_t)count) + 2;

	for (int i = 0; i < count; i++)
		bytes += 1 + digits(lengths[i]) + 2 + lengths[i] + 2;
	if (redisAppendCommandArgv(socket->context, count, words, lengths) != REDIS_OK) {
		log_error("out of memory, giving up bytes=%zu", bytes);
		abort();
	}
	if (!socket->watches_writable && !uv_is_active((uv_handle_t *)&socket->flush))
		uv_prepare_start(&socket->flush, on_flush);
	return bytes;
}

void redis_socket_close(struct redis_socket *socket)
{
	if (!socket)
		return;
	socket->closed = true;
	uv_close((uv_handle_t *)&socket->poll, on_handle_closed);
	uv_close((uv_handle_t *)&socket->flush, on_handle_closed);
}
