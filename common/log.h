#pragma once

/*
 * Log: one line per event on stderr, a plain sentence and then facts.
 *
 * The only global of a process. Levels: error (someone must act), warn (we coped), info
 * (life of the process), debug. Never a secret, never a body.
 */

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/** Sets what is printed from now on; callable at any time. @program is not copied. */
void log_setup(const char *program, enum log_level level);

/** Changes that level. */
void log_set_level(enum log_level level);

/** Parses "error", "warn", "info" or "debug". Returns 0 or -EINVAL. */
int log_level_parse(const char *text, enum log_level *level);

void log_write(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

extern enum log_level log_level_now; /* read by the macros only */

#define log_at(level, ...) \
	do { \
		if ((level) <= log_level_now) \
			log_write((level), __VA_ARGS__); \
	} while (0)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
