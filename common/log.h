#pragma once

/*
 * Log: one line per event on stderr, a plain sentence and then facts.
 *
 * The only global of a process. Levels: error (someone must act), warn (we coped), info
 * (life of the process), debug. A subsystem is a source file: gateway/relay.c is "relay".
 * Never a secret, never a body.
 */

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

#define LOG_SUBSYSTEM_MAX 31  /* bytes of a name */
#define LOG_SUBSYSTEMS_MAX 16 /* that have a level of their own */

/** What is printed: up to @level, but for some subsystems. */
struct log_levels {
	enum log_level level;
	size_t count;
	struct {
		char name[LOG_SUBSYSTEM_MAX + 1];
		enum log_level level;
	} subsystems[LOG_SUBSYSTEMS_MAX];
};

/**
 * Parses "info" or "info,relay=debug,claim=warn": a level, and those of subsystems; info
 * where only these are given.
 *
 * Returns 0 or -EINVAL; then @levels is untouched.
 */
int log_levels_parse(const char *text, struct log_levels *levels);

/** Whether each subsystem in @levels is one of a gateway or of a poller. */
bool log_levels_known(const struct log_levels *levels);

/** One event, as it is about to be written. */
struct log_record {
	enum log_level level;
	struct timespec time;
	const char *program;
	const char *subsystem;
	size_t subsystem_length;
	const char *message; /* without bytes that steer a terminal */
	size_t length;
};

#define LOG_LINE_MAX 4096 /* bytes with the newline; PIPE_BUF: lines never mix */

/** Writes @record with its newline into LOG_LINE_MAX bytes. Returns the bytes written. */
typedef size_t (*log_line_fn)(char *line, const struct log_record *record);

size_t log_line_text(char *line, const struct log_record *record); /* the default */
size_t log_line_json(char *line, const struct log_record *record); /* log_json.c */

const char *log_level_name(enum log_level level);

/** "2026-11-21T22:10:00.123Z", into 25 bytes. Returns its length. */
size_t log_time_text(char *text, const struct timespec *time);

/** Sets who we are and what is printed from now on. @program is not copied. */
void log_setup(const char *program, enum log_level level);

/** Change what is printed, and how; callable at any time. */
void log_set_levels(const struct log_levels *levels);
void log_set_line(log_line_fn write_line);

void log_write(enum log_level level, const char *file, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

extern enum log_level log_level_now; /* of any subsystem; read by the macros only */

#define log_at(level, ...)                                                               \
	do {                                                                             \
		if ((level) <= log_level_now)                                            \
			log_write((level), __FILE__, __VA_ARGS__);                       \
	} while (0)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
