#include "poller/text_room.h"

#include "common/memory.h"

#include <string.h>

const char *text_room_join(
	struct text_room *room, const char *a, const char *b, const char *c)
{
	size_t a_length = strlen(a), b_length = strlen(b), c_size = strlen(c) + 1;

	if (room->size < a_length + b_length + c_size) {
		room->size = 2 * (a_length + b_length + c_size);
		room->text = xreallocarray(room->text, room->size, 1);
	}
	memcpy(room->text, a, a_length);
	memcpy(room->text + a_length, b, b_length);
	memcpy(room->text + a_length + b_length, c, c_size);
	return room->text;
}
