#pragma once

/*
 * Query: what a request to /resource asks for, read from its parameters and headers.
 *
 * Pure text work. What is read points into the head it was read from.
 */

#include "gateway/head.h"
#include "gateway/refusal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUERY_WAIT_MAX_S 60 /* of Prefer: wait=N; more is cut */

struct query {
	struct bytes uris; /* for query_next_uri() */
	size_t uri_count;  /* at least 1; exactly 1 unless it is a stream */

	int64_t wait_s;             /* Prefer: wait=N; -1 where it was not sent */
	struct bytes if_none_match; /* empty where it was not sent */

	bool stream;          /* events are asked for, not one answer */
	bool patches;         /* mode=patch */
	uint32_t interval_ms; /* 0: the default */
	size_t cursor_length;
	char cursor[HEAD_BYTES_MAX]; /* the last event's id; see query_next_version() */
};

/** False with the reason in @refusal. */
bool query_read(struct query *query, const struct head *head, struct refusal *refusal);

/** Takes the next address, as written, off @uris. False at the end. */
bool query_next_uri(struct bytes *uris, struct bytes *uri);

/** Decodes and parses an address as written. False with the reason in @refusal. */
bool query_parse_address(
	struct refusal *refusal, struct address *address, struct bytes uri);

/**
 * Takes the next version off a list of them, as it is in the id of an event. 0 where it
 * is none of ours, and at the end.
 */
uint64_t query_next_version(struct bytes *versions);

/** The newest version in a list of entity tags; 0 where there is none of ours. */
uint64_t query_newest_tag(struct bytes tags);
