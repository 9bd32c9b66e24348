#pragma once

/*
 * Replies: reading the elements of what a script answers, without trusting its shape.
 *
 * @reply may be of any type; an element that is absent, nil or no string reads as
 * nothing.
 */

#include "common/bytes.h"

#include <hiredis/hiredis.h>

/** Start is NULL where there is nothing. NUL terminated otherwise. */
struct bytes reply_bytes(const redisReply *reply, size_t index);

/** The same as a string; "" where there is nothing. Never NULL. */
const char *reply_word(const redisReply *reply, size_t index);

/** A strict decimal; 0 for anything else. */
uint64_t reply_number(const redisReply *reply, size_t index);

/** Whether the element is exactly @word. */
bool reply_is(const redisReply *reply, size_t index, const char *word);

/** A copy that the caller frees, or NULL where it is nothing or empty. */
char *reply_copy(const redisReply *reply, size_t index);
