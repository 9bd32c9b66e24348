#pragma once

/*
 * Event stream: text/event-stream, byte by byte, into events.
 *
 * Takes what the gateway sends: lines that end with LF, fields `id`, `data` and `retry`,
 * comments. Knows nothing of connections: what is half said when one ends is dropped by
 * event_stream_restart(), and the id stays.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_STREAM_ID_MAX 4096     /* bytes; longer ones are ignored */
#define EVENT_STREAM_BYTES_MAX (1u << 30) /* of one event */

/** One event; @data is the lines joined by LF, valid during the call. False ends it. */
typedef bool (*event_stream_fn)(const char *data, size_t length, void *user);

struct event_stream {
	event_stream_fn on_event;
	void *user;
	char *line;
	size_t line_length, line_room;
	char *data;
	size_t data_length, data_room;
	bool any_data;
	char id[EVENT_STREAM_ID_MAX + 1]; /* of the last whole event; "" before it */
	char next_id[EVENT_STREAM_ID_MAX + 1];
	uint32_t retry_ms;		  /* 0: not told */
};

void event_stream_init(struct event_stream *stream, event_stream_fn on_event, void *user);
void event_stream_fini(struct event_stream *stream);

/** Returns 0; -ECANCELED where on_event said so; -ENOMEM; -EMSGSIZE for too long an event. */
int event_stream_feed(struct event_stream *stream, const char *bytes, size_t length);

/** Another connection begins. */
void event_stream_restart(struct event_stream *stream);
