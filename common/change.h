#pragma once

/*
 * Change: what one commit publishes on a resource's channel, and the words of its states.
 *
 * One line of space separated fields, a newline, then three runs of bytes back to back:
 *
 *     REVISION PREVIOUS_REVISION VERSION PREVIOUS_VERSION STATE TYPE CHECKED_AT
 *     INTERVAL_MS CONTENT_BYTES PATCH_BYTES ERROR_BYTES ANSWERED_AT\n
 *     <content><patch><error>
 *
 * TYPE is "json", or the media type of a text ("text/plain"). CONTENT_BYTES is "-" where
 * the content did not change or is above CHANGE_CONTENT_MAX. ANSWERED_AT may be missing:
 * pollers before it was there are understood. Written by
 * common/scripts/commit.lua; read here, strictly.
 */

#include "common/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANGE_CONTENT_MAX (64u << 10) /* larger contents are read, not published */

enum resource_state {
	RESOURCE_UNKNOWN, /* nothing was committed yet; never on the wire */
	RESOURCE_FRESH,
	RESOURCE_STALE, /* content stands, not confirmed */
	RESOURCE_ERROR, /* no content yet */
	RESOURCE_GONE,  /* the upstream says it is no more */
};

/** "fresh", "stale", …; "unknown" for RESOURCE_UNKNOWN. */
const char *resource_state_name(enum resource_state state);

/** The reverse; RESOURCE_UNKNOWN for any other text. */
enum resource_state resource_state_parse(const char *text, size_t length);

/** A parsed message; everything points into it. */
struct change {
	uint64_t revision;
	uint64_t previous_revision;
	uint64_t version; /* 0: no content was ever seen */
	uint64_t previous_version;
	enum resource_state state;
	struct bytes media_type; /* of a text; empty: JSON */
	int64_t checked_at_ms;   /* by Redis's clock */
	uint32_t interval_ms;
	int64_t answered_at_ms; /* end of the upstream's answer, by the wall clock of the
				 * poller's host, for measuring only; 0: there is none */
	struct bytes content;   /* start NULL where it is not in the message */
	struct bytes patch;     /* empty where there is none */
	struct bytes error;     /* a JSON object; empty where the state is fresh */
};

/** Returns 0, or -EBADMSG where @message is not a well formed change. */
int change_parse(struct change *change, const char *message, size_t length);

/**
 * Reads a stored type: "json" gives an empty media type, a media type itself. Returns
 * false for anything else, and for what would need escapes in JSON or a header.
 */
bool change_media_type(struct bytes *media_type, struct bytes type);

/** Strict decimal without sign or leading zeros, up to 2^63-1; false for anything else.
 */
bool change_number(const char *text, size_t length, uint64_t *number);
