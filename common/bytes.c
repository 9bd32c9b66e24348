#include "common/bytes.h"

#include <string.h>

bool bytes_are(struct bytes bytes, const char *text)
{
	return bytes.length == strlen(text) &&
		memcmp(bytes.start, text, bytes.length) == 0;
}

struct bytes bytes_trim(struct bytes bytes)
{
	while (bytes.length > 0 && strchr(" \t", bytes.start[0]) != NULL) {
		bytes.start++;
		bytes.length--;
	}
	while (bytes.length > 0 && strchr(" \t", bytes.start[bytes.length - 1]) != NULL)
		bytes.length--;
	return bytes;
}
