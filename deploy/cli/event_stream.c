#include "deploy/cli/event_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Sized by what a gateway sends, so it may fail. */
static int append(
	char **bytes, size_t *length, size_t *room, const char *more, size_t count)
{
	if (*length + count > EVENT_STREAM_BYTES_MAX)
		return -EMSGSIZE;
	if (*length + count > *room) {
		size_t larger = 2 * (*length + count) + 256;
		char *grown = realloc(*bytes, larger);

		if (!grown)
			return -ENOMEM;
		*bytes = grown;
		*room = larger;
	}
	if (count > 0)
		memcpy(*bytes + *length, more, count);
	*length += count;
	return 0;
}

static int add_data(struct event_stream *stream, const char *value, size_t length)
{
	int r = 0;

	if (stream->any_data)
		r = append(
			&stream->data, &stream->data_length, &stream->data_room, "\n", 1);
	stream->any_data = true;
	if (r < 0)
		return r;
	return append(
		&stream->data, &stream->data_length, &stream->data_room, value, length);
}

static int take_field(struct event_stream *stream, const char *name, size_t name_length,
	const char *value, size_t length)
{
	if (name_length == 4 && memcmp(name, "data", 4) == 0)
		return add_data(stream, value, length);
	if (name_length == 2 && memcmp(name, "id", 2) == 0 &&
		length <= EVENT_STREAM_ID_MAX && !memchr(value, '\0', length)) {
		memcpy(stream->next_id, value, length);
		stream->next_id[length] = '\0';
	}
	if (name_length == 5 && memcmp(name, "retry", 5) == 0 && length > 0 &&
		length < 8 && strspn(value, "0123456789") >= length)
		stream->retry_ms = (uint32_t)strtoul(value, NULL, 10);
	return 0;
}

static int end_event(struct event_stream *stream)
{
	bool go_on = true;

	strcpy(stream->id, stream->next_id);
	if (stream->any_data)
		go_on = stream->on_event(stream->data, stream->data_length, stream->user);
	stream->any_data = false;
	stream->data_length = 0;
	return go_on ? 0 : -ECANCELED;
}

/* stream->line is terminated. */
static int take_line(struct event_stream *stream)
{
	const char *line = stream->line, *colon, *value;
	size_t length = stream->line_length - 1;

	stream->line_length = 0;
	if (length == 0)
		return end_event(stream);
	colon = memchr(line, ':', length);
	if (!colon)
		return 0;
	value = colon + 1;
	if (value < line + length && *value == ' ')
		value++;
	return take_field(stream, line, (size_t)(colon - line), value,
		(size_t)(line + length - value));
}

void event_stream_init(struct event_stream *stream, event_stream_fn on_event, void *user)
{
	*stream = (struct event_stream){.on_event = on_event, .user = user};
}

void event_stream_fini(struct event_stream *stream)
{
	free(stream->line);
	free(stream->data);
}

int event_stream_feed(struct event_stream *stream, const char *bytes, size_t length)
{
	while (length > 0) {
		const char *end = memchr(bytes, '\n', length);
		size_t taken = end ? (size_t)(end - bytes) : length;
		int r = append(&stream->line, &stream->line_length, &stream->line_room,
			bytes, taken);

		if (r == 0 && end)
			r = append(&stream->line, &stream->line_length,
				&stream->line_room, "", 1);
		if (r == 0 && end)
			r = take_line(stream);
		if (r < 0)
			return r;
		taken += end != NULL;
		bytes += taken;
		length -= taken;
	}
	return 0;
}

void event_stream_restart(struct event_stream *stream)
{
	stream->line_length = 0;
	stream->data_length = 0;
	stream->any_data = false;
	strcpy(stream->next_id, stream->id);
}
