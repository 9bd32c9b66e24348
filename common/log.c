#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static const char *log_program = "uricast";
static struct log_levels log_levels = {.level = LOG_INFO};
static log_line_fn log_line = log_line_text;
enum log_level log_level_now = LOG_INFO;

/* ---- levels ---- */

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

static bool parse_level(const char *text, size_t length, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(*level_names); i++) {
		if (strlen(level_names[i]) == length &&
			memcmp(text, level_names[i], length) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

/* NAME=LEVEL, or LEVEL for all the others. */
static bool parse_part(struct log_levels *levels, const char *text, size_t length)
{
	const char *equals = memchr(text, '=', length);
	size_t name_length = equals != NULL ? (size_t)(equals - text) : 0;

	if (equals == NULL)
		return parse_level(text, length, &levels->level);
	if (name_length == 0 || name_length > LOG_SUBSYSTEM_MAX ||
		strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") != name_length ||
		levels->count == LOG_SUBSYSTEMS_MAX)
		return false;
	memcpy(levels->subsystems[levels->count].name, text, name_length);
	levels->subsystems[levels->count].name[name_length] = '\0';
	return parse_level(equals + 1, length - name_length - 1,
		&levels->subsystems[levels->count++].level);
}

int log_levels_parse(const char *text, struct log_levels *levels)
{
	struct log_levels read = {.level = LOG_INFO};

	for (;;) {
		size_t length = strcspn(text, ",");

		if (!parse_part(&read, text, length))
			return -EINVAL;
		if (text[length] == '\0')
			break;
		text += length + 1;
	}
	*levels = read;
	return 0;
}

static enum log_level level_of(const struct log_record *record)
{
	for (size_t i = 0; i < log_levels.count; i++)
		if (strlen(log_levels.subsystems[i].name) == record->subsystem_length &&
			memcmp(log_levels.subsystems[i].name, record->subsystem,
				record->subsystem_length) == 0)
			return log_levels.subsystems[i].level;
	return log_levels.level;
}

void log_setup(const char *program, enum log_level level)
{
	log_program = program;
	log_set_levels(&(struct log_levels){.level = level});
}

void log_set_levels(const struct log_levels *levels)
{
	log_levels = *levels;
	log_level_now = levels->level;
	for (size_t i = 0; i < levels->count; i++)
		if (levels->subsystems[i].level > log_level_now)
			log_level_now = levels->subsystems[i].level;
}

void log_set_line(log_line_fn write_line)
{
	log_line = write_line;
}

/* ---- lines ---- */

size_t log_time_text(char *text, const struct timespec *time)
{
	struct tm utc;
	size_t used;

	gmtime_r(&time->tv_sec, &utc);
	used = strftime(text, 20, "%Y-%m-%dT%H:%M:%S", &utc);
	return used +
		(size_t)snprintf(text + used, 6, ".%03uZ",
			(unsigned)(time->tv_nsec / 1000000) % 1000);
}

size_t log_line_text(char *line, const struct log_record *record)
{
	size_t used = log_time_text(line, &record->time), length = record->length;

	used += (size_t)snprintf(line + used, LOG_LINE_MAX - used, " %.64s[%ld] %s ",
		record->program, (long)getpid(), level_names[record->level]);
	if (length > LOG_LINE_MAX - used - 1)
		length = LOG_LINE_MAX - used - 1;
	memcpy(line + used, record->message, length);
	line[used + length] = '\n';
	return used + length + 1;
}

/* Text from outside must not begin a line of its own, or steer a terminal. */
static void blank_controls(char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
	}
}

/* "relay" of "../gateway/relay.c". */
static void set_subsystem(struct log_record *record, const char *file)
{
	const char *slash = strrchr(file, '/');

	record->subsystem = slash != NULL ? slash + 1 : file;
	record->subsystem_length = strcspn(record->subsystem, ".");
}

void log_write(enum log_level level, const char *file, const char *format, ...)
{
	char message[LOG_LINE_MAX], line[LOG_LINE_MAX];
	struct log_record record = {
		.level = level, .program = log_program, .message = message};
	int saved_errno = errno, length;
	va_list arguments;
	ssize_t written;

	set_subsystem(&record, file);
	if (level > level_of(&record))
		return;
	clock_gettime(CLOCK_REALTIME, &record.time);
	va_start(arguments, format);
	length = vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (length < 0)
		length = 0;
	record.length =
		(size_t)length < sizeof(message) ? (size_t)length : sizeof(message) - 1;
	blank_controls(message, record.length);
	written = write(STDERR_FILENO, line, log_line(line, &record));
	(void)written; /* a log that cannot be written has nowhere to say so */
	errno = saved_errno;
}
