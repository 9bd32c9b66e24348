/* common/log.h in virtual time: what the processes log stands in the event log. */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "tests/simulation/world.h"

static const char *const level_names[] = {"error", "warn", "info", "debug"};

enum log_level log_level_now = LOG_ERROR;

void log_setup(const char *program, enum log_level level)
{
	(void)program;
	log_level_now = level;
}

void log_write(enum log_level level, const char *file, const char *format, ...)
{
	char line[1024];
	va_list arguments;

	(void)file;
	if (!the_world)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	world_note(the_world, "%s: %s", level_names[level], line);
}
