#pragma once

/*
 * SSE event: one event of a text/event-stream on its way to one client.
 *
 * Its data is the payload of a shared frame, a data: line for each of its lines: written
 * piece by piece as the client takes it, and never copied. A CR, LF or CRLF of the
 * payload ends a line and so reaches the client as LF. Zero it to begin.
 */

#include "gateway/frame.h"
#include "gateway/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#define SSE_EVENT_PARTS_MAX 512 /* of one write; below IOV_MAX */

enum sse_event_piece {
	SSE_EVENT_NONE, /* nothing is on its way */
	SSE_EVENT_HEAD,
	SSE_EVENT_LINE,
	SSE_EVENT_BREAK, /* between two lines, or at the end */
};

struct sse_event {
	struct frame *frame; /* NULL: the head is all */
	struct text head;
	struct sse_event_place {
		enum sse_event_piece piece;
		size_t sent;     /* of the piece */
		size_t line;     /* where the line begins in the payload */
		size_t line_end; /* and ends, without its end of line */
	} place;
};

/** Releases what it holds; it may be begun anew. */
void sse_event_fini(struct sse_event *event);

/**
 * Begins an event; none may be on its way.
 *
 * @frame  kept
 * @id     NUL terminated digits and commas, or NULL: the client keeps the one it has
 *
 * Returns 0 or -ENOMEM.
 */
int sse_event_begin(struct sse_event *event, struct frame *frame, const char *id);

/** Begins what is no event: @text as it is, a comment or a field, with its empty line. */
int sse_event_begin_text(struct sse_event *event, const char *text);

/** Whether something is on its way. */
bool sse_event_busy(const struct sse_event *event);

/**
 * Lists the next bytes to be written, all there are or as many as fit in @most @parts.
 *
 * Returns how many parts were filled.
 */
size_t sse_event_parts(const struct sse_event *event, struct iovec *parts, size_t most);

/** Notes that @bytes of these went out; at its end the event is no longer busy. */
void sse_event_sent(struct sse_event *event, size_t bytes);
