#pragma once

/*
 * Aggregate text: how an aggregate looks as JSON, whole and as the steps of a patch.
 *
 *     {"complete":false,"regions":{"dfw":{"version":"V","state":"fresh","content":…},
 *      "ord":{"state":"error","error":{…}}}}
 *
 * Pure text work. Names of regions need no escapes in JSON or in a pointer (RFC 6901):
 * see common/address.h.
 */

#include "common/change.h"
#include "gateway/text.h"

#include <stdbool.h>
#include <stdint.h>

/** What an aggregate shows of one region. */
struct aggregate_part {
	const char *region;
	uint64_t version; /* 0: there is no content */
	enum resource_state state;
	struct bytes error; /* JSON object; empty where there is none */
	struct bytes content;
	bool is_text; /* the content is no JSON */
};

/** Bytes that a region takes at least, besides its name, error and content. */
#define AGGREGATE_TEXT_LEAST 25

void aggregate_text_begin(struct text *text, bool complete);
void aggregate_text_part(struct text *text, const struct aggregate_part *part);
void aggregate_text_end(struct text *text);

void aggregate_steps_begin(struct text *steps);

/**
 * Adds the steps that make @after of @before.
 *
 * @patch  RFC 6902, from the content of one to that of the other; where it is empty or no
 *         such thing, the content of @after is written; where that is not there, @steps
 *         fails
 */
void aggregate_steps_part(struct text *steps, const struct aggregate_part *before,
	const struct aggregate_part *after, struct bytes patch);
void aggregate_steps_complete(struct text *steps, bool complete);
void aggregate_steps_end(struct text *steps);
