#include "common/bytes.h"

#include <string.h>
#include <strings.h>

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

struct bytes bytes_of(const char *text)
{
	return (struct bytes){text, text != NULL ? strlen(text) : 0};
}

bool bytes_are(struct bytes bytes, const char *text)
{
	return bytes.length == strlen(text) &&
		memcmp(bytes.start, text, bytes.length) == 0;
}

bool bytes_are_any_case(struct bytes bytes, const char *text)
{
	return bytes.length == strlen(text) &&
		strncasecmp(bytes.start, text, bytes.length) == 0;
}

struct bytes bytes_trim(struct bytes bytes)
{
	while (bytes.length > 0 && is_blank(bytes.start[0])) {
		bytes.start++;
		bytes.length--;
	}
	while (bytes.length > 0 && is_blank(bytes.start[bytes.length - 1]))
		bytes.length--;
	return bytes;
}

bool bytes_next_entry(struct bytes *list, char separator, struct bytes *entry)
{
	const char *end;

	if (list->start == NULL)
		return false;
	end = memchr(list->start, separator, list->length);
	if (end == NULL) {
		*entry = bytes_trim(*list);
		*list = (struct bytes){NULL, 0};
		return true;
	}
	*entry = bytes_trim((struct bytes){list->start, (size_t)(end - list->start)});
	list->length -= (size_t)(end + 1 - list->start);
	list->start = end + 1;
	return true;
}
