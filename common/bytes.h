#pragma once

/*
 * Bytes: a part of a text that somebody else has.
 */

#include <stdbool.h>
#include <stddef.h>

struct bytes {
	const char *start; /* NULL where there is nothing; not ended by a NUL */
	size_t length;
};

/** All of @text, which may be NULL. */
struct bytes bytes_of(const char *text);

/** Whether @bytes are exactly @text. */
bool bytes_are(struct bytes bytes, const char *text);

/** The same, with ASCII letters in any case. */
bool bytes_are_any_case(struct bytes bytes, const char *text);

/** @bytes without the spaces and tabs around them. */
struct bytes bytes_trim(struct bytes bytes);

/**
 * Takes the next of the entries between @separator off @list, trimmed; an empty list has
 * one, which is empty. False at the end, or where @list has no start.
 */
bool bytes_next_entry(struct bytes *list, char separator, struct bytes *entry);
