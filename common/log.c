#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 4096 /* bytes with the newline; PIPE_BUF: lines never mix */

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static const char *log_program = "uricast";
enum log_level log_level_now = LOG_INFO;

void log_setup(const char *program, enum log_level level)
{
	log_program = program;
	log_level_now = level;
}

void log_set_level(enum log_level level)
{
	log_level_now = level;
}

int log_level_parse(const char *text, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(*level_names); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* "2026-11-21T22:10:00.123Z gateway[4711] warn "; returns the bytes written. */
static size_t write_head(char *line, size_t size, enum log_level level)
{
	struct timespec now;
	struct tm utc;
	size_t used;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	used = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &utc);
	used += (size_t)snprintf(line + used, size - used, ".%03ldZ %.64s[%ld] %s ",
		now.tv_nsec / 1000000, log_program, (long)getpid(), level_names[level]);
	return used;
}

/* Text from outside must not begin a line of its own, or steer a terminal. */
static void blank_controls(char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
	}
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	size_t head = write_head(line, sizeof(line), level);
	size_t room = sizeof(line) - head - 1;
	int saved_errno = errno;
	va_list arguments;
	ssize_t written;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line + head, room, format, arguments);
	va_end(arguments);
	if (length < 0)
		length = 0;
	if ((size_t)length >= room)
		length = (int)room - 1;
	blank_controls(line + head, (size_t)length);
	line[head + (size_t)length] = '\n';
	written = write(STDERR_FILENO, line, head + (size_t)length + 1);
	(void)written; /* a log that cannot be written has nowhere to say so */
	errno = saved_errno;
}
