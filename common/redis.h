#pragma once

/*
 * Redis: one process's link to its shard; commands by script name, and channels.
 *
 * Two connections behind one face: one for commands, one for subscriptions. The link is
 * up when both are. It reconnects by itself (jittered, at most 1 s apart), asks each new
 * connection who it is, kills the one it replaces, and proves the subscribing connection
 * alive by a probe to the process's own channel every 2 s. Knows nothing of what the
 * scripts mean. The simulation puts another socket under it: redis_socket.h.
 */

#include "common/clock.h"
#include "common/metrics.h"
#include "common/redis_scripts.h" /* enum redis_script, made by meson */

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* Of silence while one is owed an answer; then the connection is replaced. */
#define REDIS_DEADLINE_MS 1000
#define REDIS_PROBE_MS 2000          /* between two probes */
#define REDIS_IN_FLIGHT_COMMANDS 256 /* beyond, commands wait here in order */
#define REDIS_IN_FLIGHT_BYTES (4u << 20)

struct redis;

struct redis_settings {
	const char *url;    /* redis://[user[:password]@]host[:port][/db] or unix:/path */
	const char *prefix; /* of every key and channel */
	const char *name;   /* CLIENT SETNAME, seen in CLIENT LIST */
};

/** Told to the owner, from the loop, never from inside a call of this module. */
struct redis_events {
	/* Both connections are ready, and nothing but the own channel is subscribed. */
	void (*on_up)(void *user);
	/* One of them was lost, or never came; @reason is for the log. Once until on_up.
	 * The callbacks of what it had in flight run after this. The other one goes on:
	 * scripts run, and messages come, while only their counterpart is away. */
	void (*on_down)(const char *reason, void *user);
	/* A message on a subscribed channel. Bytes are valid during the call. */
	void (*on_message)(const char *channel, size_t channel_length,
		const char *payload, size_t length, void *user);
	/* Redis refuses us for a reason that only a person can mend (NOAUTH, WRONGPASS,
	 * NOPERM, a key of ours with a wrong type): @reason names it. A connection that
	 * ends for it is told by on_down after this, and tried again every 10 s; this is
	 * told no more often than that. */
	void (*on_refused)(const char *reason, void *user);
};

/**
 * What became of a command.
 *
 * @error  0 with the @reply, which belongs to the link and is never an error reply; else
 *         -ENOTCONN    not sent: the link was down
 *         -ECONNRESET  sent, and the connection was lost or timed out: it may have run
 *         -EAGAIN      Redis cannot now (LOADING, BUSY, READONLY, MASTERDOWN): not run
 *         -ENOSPC      Redis stores nothing now (OOM, MISCONF): not run; logged once a
 *                      minute
 *         -EACCES      refused, see on_refused
 *         -EPROTO      any other error reply; logged
 *
 * Runs exactly once per command, from the loop (also for -ENOTCONN, and at redis_free()).
 */
typedef void (*redis_reply_fn)(int error, const redisReply *reply, void *user);

/** Returns NULL where the url is not of its form. The process must ignore SIGPIPE. */
struct redis *redis_new(uv_loop_t *loop, struct clock *clock,
	const struct redis_settings *settings, const struct redis_events *events,
	void *user);

/**
 * Ends both connections; waiting commands end with -ENOTCONN. Accepts NULL. Not from
 * inside a callback of the link; its handles need one more turn of the loop.
 */
void redis_free(struct redis *redis);

/** Begins connecting. Call once. */
void redis_start(struct redis *redis);

bool redis_is_up(const struct redis *redis);
const char *redis_prefix(const struct redis *redis);

/* ---- commands ---- */

/** Arguments of one command, copied as they are added. Zero it to begin. */
struct redis_args {
	char *bytes; /* all arguments, one after the other */
	size_t used;
	size_t capacity;
	size_t *lengths;
	size_t count;
	size_t lengths_capacity;
};

void redis_args_add(struct redis_args *args, const char *bytes, size_t length);
void redis_args_text(struct redis_args *args, const char *text);
void redis_args_number(struct redis_args *args, int64_t number);
void redis_args_fini(struct redis_args *args);

enum redis_priority {
	REDIS_NORMAL,
	REDIS_URGENT, /* lease renewals: never wait behind the others */
};

/**
 * Runs @script with @args as ARGV; KEYS[1] is the prefix and a colon. Takes the memory of
 * @args, which is zeroed. Its text goes with the first use on each connection, and once
 * more where Redis has forgotten it: then, and only then, a command given later may run
 * before. @on_reply may be NULL.
 */
void redis_script(struct redis *redis, enum redis_script script, struct redis_args *args,
	enum redis_priority priority, redis_reply_fn on_reply, void *user);

/** Runs a plain command; @args begins with its name. Takes the memory of @args. */
void redis_command(struct redis *redis, struct redis_args *args, redis_reply_fn on_reply,
	void *user);

/* ---- channels ---- */

/**
 * Subscribes to a channel. @on_reply runs when Redis has acknowledged it, or with
 * -ENOTCONN/-ECONNRESET. What is subscribed is gone at the next on_up, where the owner
 * subscribes again; between on_down and on_up nothing can be subscribed.
 */
void redis_subscribe(struct redis *redis, const char *channel, size_t length,
	redis_reply_fn on_reply, void *user);
void redis_unsubscribe(struct redis *redis, const char *channel, size_t length);

/**
 * The process's own channel (uricast:to:SESSION): subscribed at once and after every
 * reconnect, before on_up. Probes go there; other messages on it reach on_message. May be
 * called again with another channel, which takes the place of the one before.
 */
void redis_listen(struct redis *redis, const char *channel, size_t length);

/** Counters since the start, for metrics. */
struct redis_counters {
	uint64_t commands; /* sent, scripts counted as one */
	uint64_t bytes_out;
	uint64_t reconnects;
	uint64_t timeouts;
	uint64_t messages;                /* received on channels */
	uint64_t in_flight;               /* now */
	uint64_t waiting;                 /* now, not yet sent */
	struct metrics_histogram latency; /* from sending a command to its answer */
};
void redis_counters(const struct redis *redis, struct redis_counters *counters);
