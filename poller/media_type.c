#include "poller/media_type.h"

#include <string.h>
#include <strings.h>

size_t media_type_length(const char *type)
{
	return strcspn(type, "; \t");
}

bool media_type_is_json(const char *type)
{
	size_t length;

	if (type == NULL)
		return true;
	length = media_type_length(type);
	return (length == 16 && strncasecmp(type, "application/json", 16) == 0) ||
		(length >= 5 && strncasecmp(type + length - 5, "+json", 5) == 0) ||
		length == 0;
}
