#pragma once

/*
 * Text room: where a text is written again and again without asking for memory each time.
 */

#include <stddef.h>

/** To begin with zeroed. Grows and never shrinks; its owner frees the text. */
struct text_room {
	char *text; /* NULL: nothing was written yet */
	size_t size;
};

/** Writes @a, @b and @c, which are not in @room, one after the other; returns the text.
 */
const char *text_room_join(
	struct text_room *room, const char *a, const char *b, const char *c);
