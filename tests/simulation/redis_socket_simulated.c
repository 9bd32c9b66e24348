/* The product's Redis link on the simulated network: one socket is one connection. */
#include "common/redis_socket.h"

#include <stdlib.h>

#include "common/memory.h"
#include "common/redis.h"
#include "tests/simulation/network.h"

struct redis_socket {
	struct connection *connection;
	struct redis_socket_events events;
	void *user;
};

static void on_reply(const redisReply *reply, void *user)
{
	struct redis_socket *socket = user;

	socket->events.on_reply(reply, socket->user);
}

static void on_broken(const char *reason, void *user)
{
	struct redis_socket *socket = user;

	socket->events.on_broken(reason, socket->user);
}

static const struct connection_events events_of_connection = {on_reply, on_broken};

struct redis_socket *redis_socket_open(uv_loop_t *loop, const struct redis_url *url,
	const char *address, const struct redis_socket_events *events, void *user,
	char *reason, size_t reason_size)
{
	struct redis_socket *socket = xcalloc(1, sizeof(*socket));
	struct actor *actor = the_world->current;

	(void)loop;
	(void)url;
	(void)address;
	(void)reason;
	(void)reason_size;
	socket->events = *events;
	socket->user = user;
	socket->connection = connection_open(
		actor->world->network, actor, &events_of_connection, socket);
	return socket;
}

size_t redis_socket_send(
	struct redis_socket *socket, int count, const char **words, const size_t *lengths)
{
	struct redis_args args = {0};
	size_t bytes;

	for (int i = 0; i < count; i++)
		redis_args_add(&args, words[i], lengths[i]);
	bytes = args.used;
	connection_send(socket->connection, &args);
	return bytes;
}

void redis_socket_close(struct redis_socket *socket)
{
	if (!socket)
		return;
	connection_close(socket->connection);
	free(socket);
}
