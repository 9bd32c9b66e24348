#pragma once

/*
 * Redis line: one of the link's two connections, which comes back by itself.
 *
 * Owns its commands from redis_line_submit() to their callback: those that wait for room,
 * those in flight in the order Redis will answer them, and their deadlines. Greets each
 * new connection (who am I, who is this, away with the one before) before anything else
 * is sent. Everything but the calls below is the link's, common/redis.c.
 */

#include "common/list.h"
#include "common/redis.h"
#include "common/redis_lookup.h"
#include "common/redis_socket.h"

#define REDIS_RUN_ID_MAX 40
#define REDIS_SECOND_LOOK_MS 100    /* of a deadline, left for a second look */
#define REDIS_DEADLINE_MOST_MS 5000 /* while what was sent before is still answered */
#define REDIS_REASON_MAX 512

struct redis_line;

/** All from the loop. */
struct redis_line_events {
	void (*on_ready)(struct redis_line *line);
	/* After it the callbacks of what was in flight or waiting run, with an error. */
	void (*on_lost)(struct redis_line *line, const char *reason);
	void (*on_refused)(struct redis_line *line, const char *reason);
	/* A message on a channel, [message, channel, payload]. */
	void (*on_message)(struct redis_line *line, const redisReply *message);
};

/** What both lines share. */
struct redis_line_settings {
	uv_loop_t *loop;
	struct clock *clock;
	const struct redis_url *url;
	const char *client_name;
	const char *key; /* the prefix and a colon: KEYS[1] of every script */
	struct redis_line_events events;
	struct redis_counters *counters;
	bool identity_warned; /* that Redis does not let us ask who is who */
};

enum redis_line_state {
	REDIS_LINE_IDLE,     /* waiting for its next attempt */
	REDIS_LINE_GREETING, /* connecting, and the questions that come first */
	REDIS_LINE_READY,
	REDIS_LINE_ENDED,
};

/** The connection of this line that others' commands went through. */
struct redis_line_identity {
	char run_id[REDIS_RUN_ID_MAX + 1]; /* of the server; "" where it is not known */
	long long client_id;
};

struct redis_line {
	struct redis_line_settings *settings;
	const char *name; /* "commands" or "channels" */
	enum redis_line_state state;
	struct redis_lookup *lookup; /* of the name, or NULL; may outlast an attempt */
	struct redis_socket *socket; /* NULL while idle or ended, and during the lookup */
	struct redis_line_identity identity;
	struct redis_line_identity predecessor; /* not yet known to be gone */
	uint64_t known_scripts; /* sent with their text on this connection */
	struct clock_timer reconnect;
	struct clock_timer deadline; /* of the oldest in flight, or the lookup */
	int64_t heard_at_ms;         /* the last answer, or progress of one */
	struct clock_timer ending;
	unsigned attempts;      /* since it was last ready */
	int64_t complain_at_ms; /* no error reply is logged before */
	int64_t no_room_at_ms;  /* nor that Redis refuses to store */
	struct list in_flight;
	struct list waiting;
	struct list ended; /* never sent; their callbacks run from the loop */
	size_t in_flight_count;
	size_t in_flight_bytes;
	char reason[REDIS_REASON_MAX];
};

enum redis_answers {
	REDIS_ONE_ANSWER,
	REDIS_UNTIL_NONE_LEFT, /* UNSUBSCRIBE without channels: one answer for each */
};

struct redis_command {
	struct list link;
	struct redis_args args; /* of a script: ARGV; else the whole command */
	const struct redis_script_text *script; /* NULL for a plain command */
	uint64_t script_bit;                    /* in known_scripts; 0 likewise */
	enum redis_priority priority;
	enum redis_answers answers;
	bool optional; /* that it is refused is nobody's business */
	redis_reply_fn on_reply;
	void *user;

	/* The line's. */
	bool sent_again; /* since Redis had forgotten the script */
	int question;    /* of the greeting; -1 for everything else */
	int error;       /* in ended */
	size_t bytes;
	int64_t sent_at_ms;
	bool overdue; /* its answer was looked for once */
	uint64_t sent_at_ns;
};

/** Begins idle; connects from the next turn of the loop after redis_line_start(). */
void redis_line_init(
	struct redis_line *line, struct redis_line_settings *settings, const char *name);
void redis_line_start(struct redis_line *line);

/** A zeroed command, to be filled and given to a line. */
struct redis_command *redis_command_new(redis_reply_fn on_reply, void *user);

/** Sends @command when it may; ends it with -ENOTCONN where the line is not ready. */
void redis_line_submit(struct redis_line *line, struct redis_command *command);

/** Ends @command, which was not submitted, with @error from the loop. */
void redis_line_end_later(
	struct redis_line *line, struct redis_command *command, int error);

/** Gives the connection up and tries again. From the loop only. Idle lines stay idle. */
void redis_line_lose(struct redis_line *line, const char *reason);

/** The same for a reason that only a person can mend; tries again slowly. */
void redis_line_refuse(struct redis_line *line, const char *reason);

/** Closes the connection. Commands remain, for redis_line_flush(). */
void redis_line_end(struct redis_line *line);

/** Runs the callbacks of what an ended line still has; whether there were any. */
bool redis_line_flush(struct redis_line *line);
