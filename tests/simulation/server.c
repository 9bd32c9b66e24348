#include "tests/simulation/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/memory.h"

/* ---- words of a command ---- */

struct word {
	const char *bytes; /* not NUL terminated */
	size_t length;
};

static struct word word_at(const struct redis_args *words, size_t index)
{
	struct word word = {words->bytes, 0};

	for (size_t i = 0; i < index && i < words->count; i++)
		word.bytes += words->lengths[i];
	if (index < words->count)
		word.length = words->lengths[index];
	return word;
}

static bool word_is(struct word word, const char *text)
{
	return word.length == strlen(text) &&
		strncasecmp(word.bytes, text, word.length) == 0;
}

/* ---- replies ---- */

static redisReply *reply_new(int type)
{
	redisReply *reply = xcalloc(1, sizeof(*reply));

	reply->type = type;
	return reply;
}

static redisReply *reply_bytes(int type, const char *bytes, size_t length)
{
	redisReply *reply = reply_new(type);

	reply->len = length;
	reply->str = xcalloc(length + 1, 1);
	memcpy(reply->str, bytes, length);
	return reply;
}

static redisReply *reply_text(int type, const char *text)
{
	return reply_bytes(type, text, strlen(text));
}

static redisReply *reply_integer(long long integer)
{
	redisReply *reply = reply_new(REDIS_REPLY_INTEGER);

	reply->integer = integer;
	return reply;
}

/* Takes the memory of all three. */
static redisReply *reply_three(redisReply *first, redisReply *second, redisReply *third)
{
	redisReply *reply = reply_new(REDIS_REPLY_ARRAY);

	reply->elements = 3;
	reply->element = xcalloc(3, sizeof(redisReply *));
	reply->element[0] = first;
	reply->element[1] = second;
	reply->element[2] = third;
	return reply;
}

static void answer(struct connection *connection, redisReply *reply)
{
	connection_answer(connection, reply);
}

static void answer_ok(struct connection *connection)
{
	answer(connection, reply_text(REDIS_REPLY_STATUS, "OK"));
}

static void answer_error(struct connection *connection, const char *text)
{
	answer(connection, reply_text(REDIS_REPLY_ERROR, text));
}

/* ---- channels ---- */

static const char *name_of(const struct connection *connection)
{
	return connection->actor ? connection->actor->name : "the dead";
}

static struct channel *channel_find(
	const struct connection *connection, const char *name, size_t length)
{
	list_each (link, &connection->channels) {
		struct channel *channel = container_of(link, struct channel, link);

		if (channel->length == length && memcmp(channel->name, name, length) == 0)
			return channel;
	}
	return NULL;
}

static int64_t on_publish(
	const struct keyspace_text *name, const struct keyspace_text *payload, void *user)
{
	struct server *server = user;
	int64_t receivers = 0;

	list_each (link, &server->connections) {
		struct connection *connection =
			container_of(link, struct connection, link);

		if (!channel_find(connection, name->bytes, name->length))
			continue;
		receivers++;
		if (connection->deaf ||
			random_stream_below(&server->world->random, 1000) <
				server->loss_permille) {
			server->messages_lost++;
			world_note(server->world, "lost to %s: %s %.*s",
				name_of(connection), name->bytes,
				(int)strcspn(payload->bytes, "\n"), payload->bytes);
			continue;
		}
		answer(connection,
			reply_three(reply_text(REDIS_REPLY_STRING, "message"),
				reply_bytes(
					REDIS_REPLY_STRING, name->bytes, name->length),
				reply_bytes(REDIS_REPLY_STRING, payload->bytes,
					payload->length)));
	}
	world_note(server->world, "publish %s %.*s -> %" PRId64, name->bytes,
		(int)strcspn(payload->bytes, "\n"), payload->bytes, receivers);
	return receivers;
}

static void answer_channel(
	struct connection *connection, const char *verb, const char *name, size_t length)
{
	world_note(connection->world, "redis: %s by %s: %.*s", verb, name_of(connection),
		(int)length, name ? name : "");
	answer(connection,
		reply_three(reply_text(REDIS_REPLY_STRING, verb),
			name ? reply_bytes(REDIS_REPLY_STRING, name, length)
			     : reply_new(REDIS_REPLY_NIL),
			reply_integer((long long)connection->channel_count)));
}

static void subscribe(struct connection *connection, struct word name)
{
	struct channel *channel = channel_find(connection, name.bytes, name.length);

	if (!channel) {
		channel = xcalloc(1, sizeof(*channel) + name.length + 1);
		memcpy(channel->name, name.bytes, name.length);
		channel->length = name.length;
		list_append(&connection->channels, &channel->link);
		connection->channel_count++;
	}
	answer_channel(connection, "subscribe", name.bytes, name.length);
}

static void unsubscribe(struct connection *connection, struct word name)
{
	struct channel *channel = channel_find(connection, name.bytes, name.length);

	if (channel) {
		list_remove(&channel->link);
		free(channel);
		connection->channel_count--;
	}
	answer_channel(connection, "unsubscribe", name.bytes, name.length);
}

static void unsubscribe_all(struct connection *connection)
{
	struct list *link;

	if (list_empty(&connection->channels))
		answer_channel(connection, "unsubscribe", NULL, 0);
	while ((link = list_take(&connection->channels)) != NULL) {
		struct channel *channel = container_of(link, struct channel, link);

		connection->channel_count--;
		answer_channel(connection, "unsubscribe", channel->name, channel->length);
		free(channel);
	}
}

/* ---- scripts ---- */

static int script_by_digest(struct word digest)
{
	for (int i = 0; i < REDIS_SCRIPT_COUNT; i++) {
		if (word_is(digest, script_host_digest((enum redis_script)i)))
			return i;
	}
	return -1;
}

static int script_by_text(struct word text)
{
	for (int i = 0; i < REDIS_SCRIPT_COUNT; i++) {
		const char *known = script_host_text((enum redis_script)i);

		if (strlen(known) == text.length &&
			memcmp(known, text.bytes, text.length) == 0)
			return i;
	}
	return -1;
}

/* EVAL or EVALSHA, script, 1, key, ARGV: what @words say after the first four. */
static struct redis_args script_arguments(const struct redis_args *words)
{
	return (struct redis_args){
		.bytes = (char *)word_at(words, 4).bytes,
		.lengths = words->lengths + 4,
		.count = words->count - 4,
	};
}

/* The first words of a reply, and of what it holds. Returns the bytes written. */
static size_t write_reply(char *line, size_t size, const redisReply *reply)
{
	size_t used = 0;

	if (size < 64)
		return 0;
	if (reply->type == REDIS_REPLY_INTEGER)
		return (size_t)snprintf(line, size, "%lld ", reply->integer);
	if (reply->type == REDIS_REPLY_NIL)
		return (size_t)snprintf(line, size, "nil ");
	if (reply->type != REDIS_REPLY_ARRAY)
		return (size_t)snprintf(line, size, "%.40s ", reply->str);
	line[used++] = '[';
	for (size_t i = 0; i < reply->elements; i++)
		used += write_reply(line + used, size - used, reply->element[i]);
	used += (size_t)snprintf(line + used, size - used, "] ");
	return used;
}

static void note_command(struct server *server, const struct connection *connection,
	const char *name, const struct redis_args *args, const redisReply *reply)
{
	char line[512] = "", result[512];
	const char *next = args->bytes;

	if (!server->world->verbose)
		return;
	for (size_t i = 0, used = 0; i < args->count && used + 80 < sizeof(line); i++) {
		used += (size_t)snprintf(line + used, sizeof(line) - used, " %.*s",
			(int)(args->lengths[i] < 64 ? args->lengths[i] : 64), next);
		next += args->lengths[i];
	}
	write_reply(result, sizeof(result), reply);
	world_note(server->world, "redis: %s by %s:%s -> %s", name, name_of(connection),
		line, result);
}

static void run_script(struct server *server, struct connection *connection,
	enum redis_script script, const struct redis_args *words)
{
	struct redis_args args = script_arguments(words);
	redisReply *reply;

	server->scripts_run++;
	server->known_scripts[script] = true;
	server->events.before_script(script, &args, server->user);
	reply = script_host_run(
		server->host, &server->keyspace, script, SERVER_PREFIX, &args);
	note_command(server, connection, script_host_name(script), &args, reply);
	if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "OOM ", 4) != 0)
		world_fail(server->world, "script %s answers an error: %s",
			script_host_name(script), reply->str);
	server->events.after_script(script, &args, reply, server->user);
	answer(connection, reply);
}

static void run_command(struct server *server, struct connection *connection,
	const struct redis_args *words)
{
	redisReply *reply = script_host_command(server->host, &server->keyspace, words);

	note_command(server, connection, "command", words, reply);
	answer(connection, reply);
}

static void take_eval(struct server *server, struct connection *connection,
	const struct redis_args *words, bool with_text)
{
	struct word which = word_at(words, 1);
	int script = with_text ? script_by_text(which) : script_by_digest(which);

	if (words->count < 4 || !word_is(word_at(words, 2), "1") ||
		!word_is(word_at(words, 3), SERVER_PREFIX ":") || script < 0)
		world_fail(server->world, "malformed call of a script");
	else if (!with_text && !server->known_scripts[script])
		answer_error(connection, "NOSCRIPT No matching script. Please use EVAL.");
	else
		run_script(server, connection, (enum redis_script)script, words);
}

/* ---- commands about the server ---- */

static void take_kill(
	struct server *server, struct connection *killer, const struct redis_args *words)
{
	struct word id = word_at(words, 3);
	long long client_id = strtoll(id.bytes, NULL, 10);

	list_each (link, &server->connections) {
		struct connection *connection =
			container_of(link, struct connection, link);

		if (connection->client_id != client_id || server->ignores_kill)
			continue;
		connection_end(connection, true);
		answer(killer, reply_integer(1));
		return;
	}
	answer(killer, reply_integer(0));
}

static void take_client(struct server *server, struct connection *connection,
	const struct redis_args *words)
{
	struct word what = word_at(words, 1);

	if (word_is(what, "SETNAME"))
		answer_ok(connection);
	else if (word_is(what, "ID"))
		answer(connection, reply_integer(connection->client_id));
	else if (word_is(what, "KILL") && word_is(word_at(words, 2), "ID"))
		take_kill(server, connection, words);
	else
		world_fail(server->world, "unknown CLIENT command");
}

static void take_info(struct server *server, struct connection *connection,
	const struct redis_args *words)
{
	char text[128];

	if (word_is(word_at(words, 1), "replication"))
		snprintf(text, sizeof(text), "# Replication\r\nrole:master\r\n");
	else
		snprintf(text, sizeof(text), "# Server\r\nrun_id:%040" PRIx64 "\r\n",
			server->run_id);
	answer(connection, reply_text(REDIS_REPLY_STRING, text));
}

static void take_config(struct connection *connection)
{
	redisReply *reply = reply_new(REDIS_REPLY_ARRAY);

	reply->elements = 2;
	reply->element = xcalloc(2, sizeof(redisReply *));
	reply->element[0] = reply_text(REDIS_REPLY_STRING, "maxmemory-policy");
	reply->element[1] = reply_text(REDIS_REPLY_STRING, "noeviction");
	answer(connection, reply);
}

/* What Redis answers whatever state it is in. Returns whether it was such a command. */
static bool take_always(struct server *server, struct connection *connection,
	const struct redis_args *words)
{
	struct word name = word_at(words, 0);

	if (word_is(name, "CLIENT"))
		take_client(server, connection, words);
	else if (word_is(name, "INFO"))
		take_info(server, connection, words);
	else if (word_is(name, "SUBSCRIBE"))
		subscribe(connection, word_at(words, 1));
	else if (word_is(name, "UNSUBSCRIBE") && words->count > 1)
		unsubscribe(connection, word_at(words, 1));
	else if (word_is(name, "UNSUBSCRIBE"))
		unsubscribe_all(connection);
	else
		return false;
	return true;
}

static void take(struct server *server, struct connection *connection,
	const struct redis_args *words)
{
	struct word name = word_at(words, 0);

	if (take_always(server, connection, words))
		return;
	if (server->loading)
		answer_error(
			connection, "LOADING Redis is loading the dataset in memory");
	else if (word_is(name, "EVALSHA"))
		take_eval(server, connection, words, false);
	else if (word_is(name, "EVAL"))
		take_eval(server, connection, words, true);
	else if (word_is(name, "PING"))
		answer(connection, reply_text(REDIS_REPLY_STATUS, "PONG"));
	else if (word_is(name, "CONFIG"))
		take_config(connection);
	else
		run_command(server, connection, words);
}

/* ---- faults ---- */

void server_pause(struct server *server)
{
	server->paused = true;
}

void server_resume(struct server *server)
{
	struct list *link;

	server->paused = false;
	while ((link = list_take(&server->inbox)) != NULL) {
		struct event *event = container_of(link, struct event, waiting);

		event->run(event);
	}
}

void server_crash(struct server *server, bool silently)
{
	server_resume(server);
	server->up = false;
	server->silent = silently;
	server->loading = false;
	server->keyspace.refuses_writes = false;
	memset(server->known_scripts, 0, sizeof(server->known_scripts));
	while (!list_empty(&server->connections))
		connection_end(
			container_of(server->connections.next, struct connection, link),
			!silently);
}

void server_start(struct server *server, enum server_memory memory)
{
	struct world *world = server->world;

	server->up = true;
	server->silent = false;
	server->run_id = random_stream_u64(&world->random);
	server->last_client_id = 0;
	/* Who was away with it hears only now of what it forgot before. */
	if (memory != SERVER_KEEPS || server->amnesia_at_us >= 0)
		server->amnesia_at_us = world->now_us;
	if (memory == SERVER_KEEPS)
		return;
	server->wall_ahead_us = random_stream_between(&world->random, -300000, 300000);
	if (memory == SERVER_IS_EMPTY)
		keyspace_flush(&server->keyspace);
	else
		keyspace_copy(&server->keyspace, &server->replica);
	server_move_clock(server);
}

void server_replicate(struct server *server)
{
	keyspace_copy(&server->replica, &server->keyspace);
}

struct connection *server_connection_of(
	struct server *server, const struct actor *actor, bool subscribed)
{
	list_each (link, &server->connections) {
		struct connection *connection =
			container_of(link, struct connection, link);

		if (connection->actor == actor &&
			(connection->channel_count > 0) == subscribed)
			return connection;
	}
	return NULL;
}

/* ---- for the network ---- */

bool server_accepts(const struct server *server)
{
	return server->up;
}

bool server_is_silent(const struct server *server)
{
	return server->silent;
}

void server_accept(struct server *server, struct connection *connection)
{
	connection->client_id = ++server->last_client_id;
	list_append(&server->connections, &connection->link);
}

bool server_defer(struct server *server, struct event *event)
{
	if (!server->paused)
		return false;
	list_append(&server->inbox, &event->waiting);
	return true;
}

void server_take(
	struct server *server, struct connection *connection, struct redis_args *words)
{
	server_move_clock(server);
	take(server, connection, words);
	redis_args_fini(words);
}

/* ---- lifetime ---- */

void server_move_clock(struct server *server)
{
	server->keyspace.now_us = world_wall_us(server->world) + server->wall_ahead_us;
}

void server_init(struct server *server, struct world *world, struct script_host *host)
{
	*server = (struct server){.world = world, .host = host, .amnesia_at_us = -1};
	network_init(&server->network, world, server);
	list_init(&server->connections);
	list_init(&server->inbox);
	keyspace_init(&server->keyspace, random_stream_u64(&world->random));
	keyspace_init(&server->replica, 0);
	server->keyspace.on_publish = on_publish;
	server->keyspace.user = server;
	server_start(server, SERVER_KEEPS);
	server_move_clock(server);
}

void server_fini(struct server *server)
{
	struct list *link;

	while ((link = list_take(&server->inbox)) != NULL) {
		struct event *event = container_of(link, struct event, waiting);

		event->drop(event);
	}
	network_fini(&server->network);
	keyspace_flush(&server->keyspace);
	keyspace_flush(&server->replica);
}
