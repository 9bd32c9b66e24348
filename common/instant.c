#include "common/instant.h"

#include <stdio.h>
#include <time.h>

const char *instant_write(char text[INSTANT_SIZE], int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm parts;
	size_t length;

	gmtime_r(&seconds, &parts);
	length = strftime(text, INSTANT_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(text + length, INSTANT_SIZE - length, ".%03dZ", (int)(wall_ms % 1000));
	return text;
}
