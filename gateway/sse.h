#pragma once

/*
 * SSE: the wire of clients that read /resource as a text/event-stream (WHATWG HTML, 9.2).
 *
 * Events carry what frames of a WebSocket do. The id of one is what the client holds
 * after it, a version per address, so that any gateway can go on from there. A client
 * that is behind has one event on its way, shared, and gets what is newest after it.
 */

#include "gateway/client.h"
#include "gateway/query.h"
#include "gateway/site.h"

#define SSE_BEAT_MS 15000       /* of silence, before a comment */
#define SSE_SLOW_MS 30000       /* that a client may take nothing */
#define SSE_RETRY_LEAST_MS 1000 /* before a client connects again; a herd is spread */
#define SSE_RETRY_MOST_MS 3000
#define SSE_MOVE_LEAST_MS 100 /* likewise, of clients that a drain has spread already */
#define SSE_MOVE_MOST_MS 1000

struct sse;

/** All streams of a gateway, with the one timer that walks them. */
struct sse *sse_new(struct client_shared *shared);
void sse_free(struct sse *sse); /* when there are no streams; accepts NULL */

/** Ends as many as @most of those that go on. Returns how many there were. */
size_t sse_drain(struct sse *sse, size_t most);

/** Begins the stream that @query asks for, or refuses it. */
void sse_answer(struct sse *sse, struct site_request *request, const struct query *query);
