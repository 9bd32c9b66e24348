#define REDIS_SCRIPTS_TEXT /* this file is the one that holds the scripts' text */
#include "common/redis.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/redis_line.h"
#include "common/redis_url.h"

#define PROBE_TEXT "probe "
#define REFUSED_AGAIN_MS 9000 /* below the retry of a refused connection */

/* Whether what was subscribed before is gone from the subscribing connection. */
enum channels_state { CHANNELS_UNKNOWN, CHANNELS_CLEARING, CHANNELS_CLEAR };

struct redis {
	struct redis_line_settings settings;
	struct redis_events events;
	void *user;
	struct redis_url url;
	char *prefix;
	char *client_name;
	char *key;
	struct redis_line commands;
	struct redis_line channels;
	struct redis_counters counters;

	bool up;
	bool told_down; /* since it was last up, or the start */
	bool policy_known;
	bool refused_told;
	int64_t refused_at_ms;

	enum channels_state channels_state;
	char *own; /* channel; NULL before redis_listen() */
	size_t own_length;
	unsigned own_pending; /* subscriptions of it not yet acknowledged */
	bool listening;

	struct clock_timer probe;
	uint64_t probe_number;
	bool probe_out;     /* sent, and not yet back */
	bool probe_overdue; /* it was looked for once */
	int64_t probe_sent_at_ms;
};

static struct redis *redis_of(struct redis_line *line)
{
	return container_of(line->settings, struct redis, settings);
}

static struct redis_command *plain_command(
	const char *name, redis_reply_fn on_reply, void *user)
{
	struct redis_command *command = redis_command_new(on_reply, user);

	redis_args_text(&command->args, name);
	return command;
}

/* ---- the probe: what we publish to ourselves must come back ---- */

static bool is_probe(
	const struct redis *redis, const redisReply *channel, const redisReply *payload)
{
	return redis->own && channel->len == redis->own_length &&
		memcmp(channel->str, redis->own, redis->own_length) == 0 &&
		strncmp(payload->str, PROBE_TEXT, strlen(PROBE_TEXT)) == 0;
}

static void start_next_probe(struct redis *redis)
{
	redis->probe_out = false;
	clock_timer_start(&redis->probe, redis->probe_sent_at_ms + REDIS_PROBE_MS);
}

/* The deadline counts from here: until Redis has published it, it is late with
 * everything, and where it did not, the probe's absence proves nothing. */
static void on_probe_published(int error, const redisReply *reply, void *user)
{
	struct redis *redis = user;

	(void)reply;
	if (!redis->probe_out || error == -ECONNRESET)
		return;
	if (error != 0)
		start_next_probe(redis);
	else
		clock_timer_start_in(
			&redis->probe, REDIS_DEADLINE_MS - REDIS_SECOND_LOOK_MS);
}

static void on_probe_back(struct redis *redis, const char *payload)
{
	uint64_t number = strtoull(payload + strlen(PROBE_TEXT), NULL, 10);

	if (redis->probe_out && number == redis->probe_number)
		start_next_probe(redis);
}

static void send_probe(struct redis *redis)
{
	struct redis_command *command =
		plain_command("PUBLISH", on_probe_published, redis);
	char payload[32];

	snprintf(payload, sizeof(payload), PROBE_TEXT "%" PRIu64, ++redis->probe_number);
	redis_args_add(&command->args, redis->own, redis->own_length);
	redis_args_text(&command->args, payload);
	command->priority = REDIS_URGENT;
	redis->probe_out = true;
	redis->probe_overdue = false;
	redis->probe_sent_at_ms = clock_now_ms(redis->settings.clock);
	redis_line_submit(&redis->commands, command);
}

/* With a second look, for the reason that commands have one. */
static void on_probe_due(struct clock_timer *timer)
{
	struct redis *redis = container_of(timer, struct redis, probe);

	if (!redis->up || !redis->listening)
		return;
	if (!redis->probe_out) {
		send_probe(redis);
		return;
	}
	if (!redis->probe_overdue) {
		redis->probe_overdue = true;
		clock_timer_start_in(timer, REDIS_SECOND_LOOK_MS);
		return;
	}
	redis->counters.timeouts++;
	redis_line_lose(
		&redis->channels, "what we published to ourselves did not come back");
}

static void stop_probing(struct redis *redis)
{
	redis->probe_out = false;
	clock_timer_stop(&redis->probe);
}

/* ---- coming up ---- */

static void maybe_up(struct redis *redis);

static void on_cleared(int error, const redisReply *reply, void *user)
{
	struct redis *redis = user;

	(void)reply;
	if (error != 0)
		return;
	redis->channels_state = CHANNELS_CLEAR;
	maybe_up(redis);
}

static void on_listening(int error, const redisReply *reply, void *user)
{
	struct redis *redis = user;

	(void)reply;
	redis->own_pending--;
	if (error == -ECONNRESET || error == -ENOTCONN)
		return;
	if (error != 0) {
		/* The line has told what was refused; without it we are never up. */
		redis_line_refuse(&redis->channels, "our own channel was refused");
		return;
	}
	if (redis->own_pending > 0)
		return;
	redis->listening = true;
	if (redis->up)
		clock_timer_start_in(&redis->probe, 0);
	maybe_up(redis);
}

static void listen_now(struct redis *redis)
{
	struct redis_command *command = plain_command("SUBSCRIBE", on_listening, redis);

	redis_args_add(&command->args, redis->own, redis->own_length);
	redis->own_pending++;
	redis_line_submit(&redis->channels, command);
}

/* A subscribing connection that stood while the other was away is not new: the owner, who
 * subscribes again, may have lost interest in some. So all go. */
static void clear_channels(struct redis *redis)
{
	struct redis_command *command = plain_command("UNSUBSCRIBE", on_cleared, redis);

	command->answers = REDIS_UNTIL_NONE_LEFT;
	redis->channels_state = CHANNELS_CLEARING;
	redis->listening = false;
	redis_line_submit(&redis->channels, command);
	if (redis->own)
		listen_now(redis);
}

static bool both_ready(const struct redis *redis)
{
	return redis->commands.state == REDIS_LINE_READY &&
		redis->channels.state == REDIS_LINE_READY;
}

static void maybe_up(struct redis *redis)
{
	if (redis->up || !both_ready(redis))
		return;
	if (redis->channels_state == CHANNELS_UNKNOWN)
		clear_channels(redis);
	if (redis->channels_state != CHANNELS_CLEAR || (redis->own && !redis->listening))
		return;
	redis->up = true;
	redis->told_down = false;
	if (redis->listening)
		clock_timer_start_in(&redis->probe, 0);
	redis->events.on_up(redis->user);
}

static void on_policy(int error, const redisReply *reply, void *user)
{
	struct redis *redis = user;
	const char *policy;

	if (error == -ECONNRESET || error == -ENOTCONN)
		return;
	redis->policy_known = true;
	if (error != 0 || reply->type != REDIS_REPLY_ARRAY || reply->elements < 2)
		return;
	policy = reply->element[1]->str;
	if (policy && strcmp(policy, "noeviction") != 0)
		log_warn("Redis may evict our keys when its memory is full: set its "
			 "maxmemory-policy to noeviction maxmemory_policy=%s",
			policy);
}

static void ask_policy(struct redis *redis)
{
	struct redis_command *command = plain_command("CONFIG", on_policy, redis);

	redis_args_text(&command->args, "GET");
	redis_args_text(&command->args, "maxmemory-policy");
	command->optional = true;
	redis_line_submit(&redis->commands, command);
}

/* ---- what the lines tell ---- */

static void on_ready(struct redis_line *line)
{
	struct redis *redis = redis_of(line);

	if (line == &redis->commands && !redis->policy_known)
		ask_policy(redis);
	maybe_up(redis);
}

static void on_lost(struct redis_line *line, const char *reason)
{
	struct redis *redis = redis_of(line);

	redis->up = false;
	stop_probing(redis);
	if (line == &redis->channels) {
		redis->channels_state = CHANNELS_UNKNOWN;
		redis->listening = false;
	} else if (redis->channels_state == CHANNELS_CLEAR) {
		redis->channels_state = CHANNELS_UNKNOWN;
	}
	if (redis->told_down)
		return;
	redis->told_down = true;
	redis->events.on_down(reason, redis->user);
}

static void on_refused(struct redis_line *line, const char *reason)
{
	struct redis *redis = redis_of(line);
	int64_t now_ms = clock_now_ms(redis->settings.clock);

	if (redis->refused_told && now_ms < redis->refused_at_ms + REFUSED_AGAIN_MS) {
		log_debug("redis refused reason=\"%s\"", reason);
		return;
	}
	redis->refused_told = true;
	redis->refused_at_ms = now_ms;
	redis->events.on_refused(reason, redis->user);
}

static void on_message(struct redis_line *line, const redisReply *message)
{
	struct redis *redis = redis_of(line);
	const redisReply *channel = message->element[1];
	const redisReply *payload = message->element[2];

	if (is_probe(redis, channel, payload)) {
		on_probe_back(redis, payload->str);
		return;
	}
	redis->counters.messages++;
	redis->events.on_message(
		channel->str, channel->len, payload->str, payload->len, redis->user);
}

/* ---- public ---- */

static char *key_of_scripts(const char *prefix)
{
	size_t length = strlen(prefix);
	char *key = xcalloc(length + 2, 1);

	memcpy(key, prefix, length);
	key[length] = ':';
	return key;
}

struct redis *redis_new(uv_loop_t *loop, struct clock *clock,
	const struct redis_settings *settings, const struct redis_events *events,
	void *user)
{
	struct redis *redis = xcalloc(1, sizeof(*redis));

	if (redis_url_parse(&redis->url, settings->url) < 0) {
		free(redis);
		return NULL;
	}
	redis->events = *events;
	redis->user = user;
	redis->prefix = xstrdup(settings->prefix);
	redis->client_name = xstrdup(settings->name);
	redis->key = key_of_scripts(settings->prefix);
	redis->settings = (struct redis_line_settings){
		.loop = loop,
		.clock = clock,
		.url = &redis->url,
		.client_name = redis->client_name,
		.key = redis->key,
		.events = {on_ready, on_lost, on_refused, on_message},
		.counters = &redis->counters,
	};
	redis_line_init(&redis->commands, &redis->settings, "commands");
	redis_line_init(&redis->channels, &redis->settings, "channels");
	clock_timer_init(&redis->probe, clock, on_probe_due);
	return redis;
}

void redis_free(struct redis *redis)
{
	if (!redis)
		return;
	redis->up = false;
	stop_probing(redis);
	redis_line_end(&redis->commands);
	redis_line_end(&redis->channels);
	/* A callback may give us another command, which ends likewise. */
	while (redis_line_flush(&redis->commands) || redis_line_flush(&redis->channels))
		;
	redis_url_fini(&redis->url);
	free(redis->prefix);
	free(redis->client_name);
	free(redis->key);
	free(redis->own);
	free(redis);
}

void redis_start(struct redis *redis)
{
	redis_line_start(&redis->commands);
	redis_line_start(&redis->channels);
}

bool redis_is_up(const struct redis *redis)
{
	return redis->up;
}

const char *redis_prefix(const struct redis *redis)
{
	return redis->prefix;
}

/* Empties @args, whose memory is the command's now. */
static void take_args(struct redis_command *command, struct redis_args *args)
{
	command->args = *args;
	*args = (struct redis_args){0};
}

void redis_script(struct redis *redis, enum redis_script script, struct redis_args *args,
	enum redis_priority priority, redis_reply_fn on_reply, void *user)
{
	struct redis_command *command = redis_command_new(on_reply, user);

	take_args(command, args);
	command->script = &redis_script_texts[script];
	command->script_bit = (uint64_t)1 << script;
	command->priority = priority;
	redis_line_submit(&redis->commands, command);
}

void redis_command(
	struct redis *redis, struct redis_args *args, redis_reply_fn on_reply, void *user)
{
	struct redis_command *command = redis_command_new(on_reply, user);

	take_args(command, args);
	redis_line_submit(&redis->commands, command);
}

void redis_subscribe(struct redis *redis, const char *channel, size_t length,
	redis_reply_fn on_reply, void *user)
{
	struct redis_command *command = plain_command("SUBSCRIBE", on_reply, user);

	redis_args_add(&command->args, channel, length);
	if (redis->up)
		redis_line_submit(&redis->channels, command);
	else
		redis_line_end_later(&redis->channels, command, -ENOTCONN);
}

static void leave_channel(struct redis *redis, const char *channel, size_t length)
{
	struct redis_command *command = plain_command("UNSUBSCRIBE", NULL, NULL);

	redis_args_add(&command->args, channel, length);
	redis_line_submit(&redis->channels, command);
}

void redis_unsubscribe(struct redis *redis, const char *channel, size_t length)
{
	if (redis->up)
		leave_channel(redis, channel, length);
}

/* The one before is left at once; probes wait until the new one is acknowledged. */
void redis_listen(struct redis *redis, const char *channel, size_t length)
{
	bool connected = redis->channels_state != CHANNELS_UNKNOWN;

	if (redis->own && length == redis->own_length &&
		memcmp(channel, redis->own, length) == 0)
		return;
	if (redis->own && connected)
		leave_channel(redis, redis->own, redis->own_length);
	free(redis->own);
	redis->own = xcalloc(length + 1, 1);
	memcpy(redis->own, channel, length);
	redis->own_length = length;
	if (!connected)
		return;
	redis->listening = false;
	stop_probing(redis);
	listen_now(redis);
}

void redis_counters(const struct redis *redis, struct redis_counters *counters)
{
	*counters = redis->counters;
}
