#include "gateway/sse_event.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/bytes.h"

static const char between_lines[] = "\ndata: ";
static const char at_end[] = "\n\n";

static bool is_last_line(
	const struct sse_event *event, const struct sse_event_place *place)
{
	return place->line_end == frame_payload_length(event->frame);
}

/* The whole piece at @place. */
static struct bytes piece_at(
	const struct sse_event *event, const struct sse_event_place *place)
{
	switch (place->piece) {
	case SSE_EVENT_NONE:
		break;
	case SSE_EVENT_HEAD:
		return (struct bytes){event->head.start, event->head.length};
	case SSE_EVENT_LINE:
		return (struct bytes){frame_payload(event->frame) + place->line,
			place->line_end - place->line};
	case SSE_EVENT_BREAK:
		if (is_last_line(event, place))
			return (struct bytes){at_end, sizeof(at_end) - 1};
		return (struct bytes){between_lines, sizeof(between_lines) - 1};
	}
	return (struct bytes){NULL, 0};
}

static void begin_line(
	const struct sse_event *event, struct sse_event_place *place, size_t start)
{
	const char *payload = frame_payload(event->frame);
	size_t left = frame_payload_length(event->frame) - start;
	const char *end = memchr(payload + start, '\n', left);
	/* Up to there only: what has no CR must not be searched once per line. */
	size_t length = end != NULL ? (size_t)(end - payload) - start : left;
	const char *carriage_return = memchr(payload + start, '\r', length);

	if (carriage_return != NULL)
		length = (size_t)(carriage_return - payload) - start;
	place->piece = SSE_EVENT_LINE;
	place->line = start;
	place->line_end = start + length;
}

static size_t end_of_line_length(
	const struct sse_event *event, const struct sse_event_place *place)
{
	const char *end = frame_payload(event->frame) + place->line_end;
	size_t left = frame_payload_length(event->frame) - place->line_end;

	return left >= 2 && end[0] == '\r' && end[1] == '\n' ? 2 : 1;
}

static void next_piece(const struct sse_event *event, struct sse_event_place *place)
{
	place->sent = 0;
	switch (place->piece) {
	case SSE_EVENT_NONE:
		break;
	case SSE_EVENT_HEAD:
		if (event->frame != NULL)
			begin_line(event, place, 0);
		else
			place->piece = SSE_EVENT_NONE;
		break;
	case SSE_EVENT_LINE:
		place->piece = SSE_EVENT_BREAK;
		break;
	case SSE_EVENT_BREAK:
		if (is_last_line(event, place))
			place->piece = SSE_EVENT_NONE;
		else
			begin_line(event, place,
				place->line_end + end_of_line_length(event, place));
		break;
	}
}

void sse_event_fini(struct sse_event *event)
{
	frame_release(event->frame);
	text_fini(&event->head);
	*event = (struct sse_event){0};
}

static int begin(struct sse_event *event, struct frame *frame)
{
	if (event->head.failed) {
		text_fini(&event->head);
		return -ENOMEM;
	}
	event->frame = frame != NULL ? frame_keep(frame) : NULL;
	event->place = (struct sse_event_place){.piece = SSE_EVENT_HEAD};
	return 0;
}

int sse_event_begin(struct sse_event *event, struct frame *frame, const char *id)
{
	assert(!sse_event_busy(event));
	if (id != NULL) {
		text_add_words(&event->head, "id: ");
		text_add_words(&event->head, id);
		text_add_words(&event->head, "\n");
	}
	text_add_words(&event->head, "data: ");
	return begin(event, frame);
}

int sse_event_begin_text(struct sse_event *event, const char *text)
{
	assert(!sse_event_busy(event));
	text_add_words(&event->head, text);
	return begin(event, NULL);
}

bool sse_event_busy(const struct sse_event *event)
{
	return event->place.piece != SSE_EVENT_NONE;
}

size_t sse_event_parts(const struct sse_event *event, struct iovec *parts, size_t most)
{
	struct sse_event_place place = event->place;
	size_t count = 0;

	while (count < most && place.piece != SSE_EVENT_NONE) {
		struct bytes piece = piece_at(event, &place);

		parts[count].iov_base = (char *)piece.start + place.sent;
		parts[count].iov_len = piece.length - place.sent;
		if (parts[count].iov_len > 0)
			count++;
		next_piece(event, &place);
	}
	return count;
}

void sse_event_sent(struct sse_event *event, size_t bytes)
{
	while (sse_event_busy(event)) {
		size_t left = piece_at(event, &event->place).length - event->place.sent;

		if (bytes < left) {
			event->place.sent += bytes;
			return;
		}
		bytes -= left;
		next_piece(event, &event->place);
	}
	sse_event_fini(event);
}
