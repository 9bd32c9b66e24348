/* Client messages: read, and everything that could be answered from them written. */

#include "gateway/protocol.h"

#include <assert.h>
#include <stdlib.h>

/* What we send must be JSON that a strict parser takes. */
static void check(struct frame *frame)
{
	struct document document;

	assert(frame != NULL);
	document_init(&document);
	assert(document_scan(&document, frame_payload(frame), frame_payload_length(frame),
		       NULL) == DOCUMENT_OK);
	document_fini(&document);
	frame_release(frame);
}

static void answer_all(
	const struct protocol_message *message, const struct refusal *refusal)
{
	struct protocol_answer answer;
	bool refuse = false;

	protocol_answer_begin(&answer, message);
	for (uint32_t uri = protocol_first_uri(message); uri != 0;
		uri = protocol_next_uri(message, uri)) {
		if (refuse)
			protocol_answer_refused(&answer, uri, refusal);
		else
			protocol_answer_done(&answer, uri, message->interval_ms);
		refuse = !refuse;
	}
	check(protocol_answer_end(&answer));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct protocol_message message;
	struct document document;
	struct refusal refusal;
	bool ok;

	document_init(&document);
	ok = protocol_parse(&document, (const char *)data, size, &message, &refusal);
	if (ok)
		refusal_set(&refusal, "code", "message");
	check(protocol_refused_frame(&message, message.uri, &refusal));
	if (ok && message.id.start != NULL) {
		check(protocol_done_frame(&message));
		answer_all(&message, &refusal);
	}
	document_fini(&document);
	check(protocol_content_frame("/a", 1, (struct bytes){(const char *)data, size},
		(struct bytes){"text/plain", 10}));
	return 0;
}
