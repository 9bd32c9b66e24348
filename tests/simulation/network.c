#include "tests/simulation/network.h"

#include <stdlib.h>

#include "common/memory.h"
#include "tests/simulation/server.h"

#define RETRANSMIT_MOST_US 1500000 /* after a cut, until TCP tries again */

enum packet_kind {
	PACKET_OPEN,    /* to the server */
	PACKET_COMMAND, /* to the server */
	PACKET_REPLY,   /* to the client */
	PACKET_END,     /* either way: the sender has closed */
};

struct packet {
	struct event event;
	struct list held; /* of its wire */
	struct connection *connection;
	enum packet_kind kind;
	struct redis_args words; /* of a command */
	redisReply *reply;
};

/* ---- lifetimes ---- */

static void free_channels(struct connection *connection)
{
	struct list *link;

	while ((link = list_take(&connection->channels)) != NULL)
		free(container_of(link, struct channel, link));
	connection->channel_count = 0;
}

static void connection_release(struct connection *connection)
{
	if (--connection->references > 0 || connection->open_at_server)
		return;
	free_channels(connection);
	list_remove(&connection->in_all);
	free(connection);
}

static void packet_free(struct packet *packet)
{
	list_remove(&packet->held);
	redis_args_fini(&packet->words);
	if (packet->reply)
		freeReplyObject(packet->reply);
	connection_release(packet->connection);
	free(packet);
}

static void drop_packet(struct event *event)
{
	packet_free(container_of(event, struct packet, event));
}

static struct packet *packet_new(struct connection *connection, enum packet_kind kind)
{
	struct packet *packet = xcalloc(1, sizeof(*packet));

	packet->connection = connection;
	packet->kind = kind;
	packet->event.drop = drop_packet;
	list_init(&packet->held);
	connection->references++;
	return packet;
}

static void wire_init(struct wire *wire)
{
	*wire = (struct wire){0};
	list_init(&wire->held);
}

static void drop_held(struct wire *wire)
{
	struct list *link;

	while ((link = list_take(&wire->held)) != NULL)
		packet_free(container_of(link, struct packet, held));
}

/* ---- on the way ---- */

static void put_on_wire(struct wire *wire, struct packet *packet)
{
	struct world *world = packet->connection->world;
	int64_t at_us = world->now_us + world_latency_us(world);

	if (at_us <= wire->last_us)
		at_us = wire->last_us + 1;
	wire->last_us = at_us;
	world_schedule(world, &packet->event, at_us - world->now_us);
}

/* Whether @packet has to wait; those behind it must not overtake it either. */
static bool hold(struct wire *wire, struct packet *packet)
{
	const struct actor *actor = packet->connection->actor;

	if (!(actor && actor->cut_off) && list_empty(&wire->held))
		return false;
	list_append(&wire->held, &packet->held);
	return true;
}

/* The caller holds a reference: letting go of it may free the connection. */
static void forget_at_server(struct connection *connection)
{
	if (!connection->open_at_server)
		return;
	connection->open_at_server = false;
	free_channels(connection);
	list_remove(&connection->link);
}

static void send_down(struct packet *packet);

static void at_server(struct packet *packet)
{
	struct connection *connection = packet->connection;
	struct server *server = connection->server;

	if (packet->kind == PACKET_OPEN && server_accepts(server)) {
		connection->open_at_server = true;
		server_accept(server, connection);
	} else if (packet->kind == PACKET_OPEN && !server_is_silent(server)) {
		send_down(packet_new(connection, PACKET_END));
	} else if (packet->kind == PACKET_COMMAND && connection->open_at_server) {
		server_take(server, connection, &packet->words);
	} else if (packet->kind == PACKET_END) {
		forget_at_server(connection);
	}
	packet_free(packet);
}

static void on_server_turn(struct event *event)
{
	at_server(container_of(event, struct packet, event));
}

static void on_arrival_at_server(struct event *event)
{
	struct packet *packet = container_of(event, struct packet, event);

	if (hold(&packet->connection->up, packet))
		return;
	event->run = on_server_turn;
	if (!server_defer(packet->connection->server, event))
		at_server(packet);
}

static void at_client(struct packet *packet)
{
	struct connection *connection = packet->connection;
	const struct connection_events *events = connection->events;

	if (!events)
		return;
	if (packet->kind == PACKET_END)
		events->on_broken("connection closed", connection->user);
	else if (!connection->reset)
		events->on_reply(packet->reply, connection->user);
}

static void on_arrival_at_client(struct event *event)
{
	struct packet *packet = container_of(event, struct packet, event);

	if (hold(&packet->connection->down, packet))
		return;
	at_client(packet);
	packet_free(packet);
}

static void send_up(struct packet *packet)
{
	packet->event.run = on_arrival_at_server;
	put_on_wire(&packet->connection->up, packet);
}

static void send_down(struct packet *packet)
{
	struct connection *connection = packet->connection;

	if (!connection->actor) {
		packet_free(packet);
		return;
	}
	packet->event.run = on_arrival_at_client;
	packet->event.actor = connection->actor;
	put_on_wire(&connection->down, packet);
}

/* ---- healing ---- */

struct healing {
	struct event event;
	struct connection *connection;
	struct wire *wire;
};

static void drop_healing(struct event *event)
{
	struct healing *healing = container_of(event, struct healing, event);

	connection_release(healing->connection);
	free(healing);
}

/* All at once: what is on its way already must not overtake them. */
static void on_retransmission(struct event *event)
{
	struct healing *healing = container_of(event, struct healing, event);
	struct wire *wire = healing->wire;
	const struct actor *actor = healing->connection->actor;
	struct list arriving;
	struct list *link;

	list_init(&arriving);
	while (!(actor && actor->cut_off) && (link = list_take(&wire->held)) != NULL)
		list_append(&arriving, link);
	while ((link = list_take(&arriving)) != NULL)
		world_happen(&container_of(link, struct packet, held)->event);
	drop_healing(event);
}

static void heal(struct connection *connection, struct wire *wire)
{
	struct world *world = connection->world;
	struct healing *healing;

	if (list_empty(&wire->held))
		return;
	healing = xcalloc(1, sizeof(*healing));
	healing->connection = connection;
	healing->wire = wire;
	healing->event.run = on_retransmission;
	healing->event.drop = drop_healing;
	connection->references++;
	world_schedule(world, &healing->event,
		random_stream_between(&world->random, 0, RETRANSMIT_MOST_US));
}

/* ---- public ---- */

void network_init(struct network *network, struct world *world, struct server *server)
{
	*network = (struct network){.world = world, .server = server};
	list_init(&network->connections);
}

static struct connection *connection_of(struct list *link)
{
	return container_of(link, struct connection, in_all);
}

/* Held packets keep their connection, and may be the last to do so. */
void network_fini(struct network *network)
{
	list_each (link, &network->connections) {
		struct connection *connection = connection_of(link);

		connection->references++;
		drop_held(&connection->up);
		drop_held(&connection->down);
		forget_at_server(connection);
		connection_release(connection);
	}
}

struct connection *connection_open(struct network *network, struct actor *actor,
	const struct connection_events *events, void *user)
{
	struct connection *connection = xcalloc(1, sizeof(*connection));

	connection->references = 1;
	connection->world = network->world;
	connection->server = network->server;
	connection->actor = actor;
	connection->events = events;
	connection->user = user;
	list_init(&connection->link);
	list_init(&connection->channels);
	wire_init(&connection->up);
	wire_init(&connection->down);
	list_append(&network->connections, &connection->in_all);
	send_up(packet_new(connection, PACKET_OPEN));
	return connection;
}

void connection_send(struct connection *connection, struct redis_args *words)
{
	struct packet *packet;

	if (!connection->actor) {
		redis_args_fini(words);
		return;
	}
	packet = packet_new(connection, PACKET_COMMAND);
	packet->words = *words;
	*words = (struct redis_args){0};
	send_up(packet);
}

void connection_close(struct connection *connection)
{
	connection->events = NULL;
	if (connection->actor)
		send_up(packet_new(connection, PACKET_END));
	connection_release(connection);
}

void connection_answer(struct connection *connection, redisReply *reply)
{
	struct packet *packet = packet_new(connection, PACKET_REPLY);

	packet->reply = reply;
	send_down(packet);
}

void connection_end(struct connection *connection, bool tell)
{
	connection->references++;
	if (connection->open_at_server && tell)
		send_down(packet_new(connection, PACKET_END));
	forget_at_server(connection);
	connection_release(connection);
}

void connection_cut(struct connection *connection, enum cut cut)
{
	static const char *const names[] = {"both ends", "the client", "the server"};

	world_note(connection->world, "connection %lld of %s is cut at %s",
		connection->client_id,
		connection->actor ? connection->actor->name : "the dead", names[cut]);
	if (cut == CUT_AT_SERVER) {
		connection_end(connection, true);
		return;
	}
	connection->references++;
	connection->reset = true;
	send_down(packet_new(connection, PACKET_END));
	if (cut == CUT_BOTH)
		forget_at_server(connection);
	connection_release(connection);
}

void network_on_death(struct network *network, struct actor *actor, bool silently)
{
	list_each (link, &network->connections) {
		struct connection *connection = connection_of(link);

		if (connection->actor != actor)
			continue;
		connection->references++;
		connection->actor = NULL;
		drop_held(&connection->up);
		drop_held(&connection->down);
		if (!silently)
			send_up(packet_new(connection, PACKET_END));
		connection_release(connection);
	}
}

void network_on_healed(struct network *network, struct actor *actor)
{
	list_each (link, &network->connections) {
		struct connection *connection = connection_of(link);

		if (connection->actor != actor)
			continue;
		heal(connection, &connection->up);
		heal(connection, &connection->down);
	}
}
