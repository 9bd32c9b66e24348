#pragma once

/*
 * Protocol: what clients and the gateway say to each other, as JSON text. The shapes
 * stand in docs/protocol.md.
 *
 * Pure text work: knows nothing of sockets, topics or who may do what. What a client
 * sends is judged by common/document.h; what is echoed of it (id, uri) goes back byte for
 * byte.
 */

#include "common/change.h"
#include "common/document.h"
#include "gateway/frame.h"
#include "gateway/refusal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTOCOL_ID_MAX 256 /* bytes of an id as JSON */

enum protocol_action {
	PROTOCOL_SUBSCRIBE,
	PROTOCOL_UNSUBSCRIBE,
	PROTOCOL_PAUSE,
	PROTOCOL_RESUME,
	PROTOCOL_REFRESH,
	PROTOCOL_STATUS,
	PROTOCOL_AUTHENTICATE,
	PROTOCOL_ACTION_COUNT
};

/** A client's message. Refers to the document and to the bytes it was read from. */
struct protocol_message {
	const struct document *document;
	enum protocol_action action;
	struct bytes id;      /* as JSON; start NULL where there is none */
	uint32_t uri;         /* token of the string "uri", or 0 */
	uint32_t uris;        /* token of the array "uris", or 0 */
	uint32_t token;       /* token of the string "token", or 0 */
	uint32_t interval_ms; /* 0: the default */
	uint64_t since;       /* the version the client holds; 0: none, or none of ours */
	bool patches;         /* mode is patch */
};

/**
 * Reads one message. Every member has the right type afterwards, and what the action
 * needs is there: uri or uris (not both), the id, or the token.
 *
 * @document  filled anew; must outlive @message
 * @refusal   set where false is returned; id and uri of @message are then whatever could
 *            be read, for the answer
 */
bool protocol_parse(struct document *document, const char *bytes, size_t length,
	struct protocol_message *message, struct refusal *refusal);

/** Reads a number of seconds above 0; what is out of range is cut. */
bool protocol_read_interval(struct bytes text, uint32_t *interval_ms);

/** Writes @ms as a number of seconds, with as many decimals as it takes. */
void protocol_write_seconds(struct text *text, uint32_t ms);

/** Walks the addresses of a message: the first, and the one after @uri; 0 at the end. */
uint32_t protocol_first_uri(const struct protocol_message *message);
uint32_t protocol_next_uri(const struct protocol_message *message, uint32_t uri);
uint32_t protocol_uri_count(const struct protocol_message *message);

/** One answer to a message that has an id, written address by address. */
struct protocol_answer {
	const struct protocol_message *message;
	struct text text;
	bool begun; /* something stands in the array */
};

void protocol_answer_begin(
	struct protocol_answer *answer, const struct protocol_message *message);

/** Adds what became of @uri: done, with @interval_ms where that is not 0. */
void protocol_answer_done(
	struct protocol_answer *answer, uint32_t uri, uint32_t interval_ms);
void protocol_answer_refused(
	struct protocol_answer *answer, uint32_t uri, const struct refusal *refusal);

/** How fresh a resource is. What is 0, or RESOURCE_UNKNOWN, is not known and not said. */
struct protocol_status {
	enum resource_state state;
	uint64_t version;
	uint32_t interval_ms;
	int64_t checked_at_ms; /* since 1970 */
	int64_t changed_at_ms; /* since 1970 */
};

/** Adds the status of @uri. */
void protocol_answer_status(struct protocol_answer *answer, uint32_t uri,
	const struct protocol_status *status);

/** Returns the frame, or NULL when out of memory. */
struct frame *protocol_answer_end(struct protocol_answer *answer);

/** {"id":1,"ok":true}: for what has no address. NULL when out of memory. */
struct frame *protocol_done_frame(const struct protocol_message *message);

/**
 * The answer to what was refused as a whole: by its id, else by its uri, else bare.
 *
 * @message  NULL where nothing could be read
 * @uri      token of the address it is about, or 0
 */
struct frame *protocol_refused_frame(const struct protocol_message *message, uint32_t uri,
	const struct refusal *refusal);

/**
 * {"uri":…,"version":"V","content":…}, the content byte for byte at the end before the
 * brace. A text, which has a @media_type, is quoted as a JSON string, and "type" says
 * what it is. NULL when out of memory.
 */
struct frame *protocol_content_frame(const char *address, uint64_t version,
	struct bytes content, struct bytes media_type);

/** {"uri":…,"version":"W","base":"V","patch":[…]}. NULL when out of memory. */
struct frame *protocol_patch_frame(
	const char *address, uint64_t version, uint64_t base, struct bytes patch);

/** {"uri":…,"state":"stale","error":{…}}, or without @error where it is empty. */
struct frame *protocol_state_frame(
	const char *address, enum resource_state state, struct bytes error);
