#pragma once

/*
 * Mistakes in the configuration: said as they are found, on stderr unless somebody else
 * wants to hear them, and counted.
 */

#include <stddef.h>

/** Hears of one mistake. @where and @what are as in config_mistake(). */
typedef void (*config_mistake_fn)(const char *where, const char *what);

struct config_mistakes {
	const char *program;   /* begins every line on stderr */
	config_mistake_fn say; /* hears of them instead; NULL: stderr */
	size_t count;
};

/**
 * Says one mistake.
 *
 * @where   an option, a variable, or file:line:column: path
 * @format  a sentence without its full stop that says how to mend it
 */
void config_mistake(struct config_mistakes *mistakes, const char *where,
	const char *format, ...) __attribute__((format(printf, 3, 4)));

#define CONFIG_QUOTED_MAX 160

/**
 * Brings a value into a form that can be shown: quoted, cut where it is long, without
 * control bytes and without what stands before the @ of a URL.
 *
 * @quoted  CONFIG_QUOTED_MAX bytes
 *
 * Returns @quoted.
 */
const char *config_quote(char *quoted, const char *value, size_t length);

/** Remembers the nearest of the names it is shown. Zero it but for @wrong to begin. */
struct config_nearest {
	const char *wrong;
	const char *name; /* NULL while none is near enough to suggest */
	size_t distance;
};
void config_nearest_try(struct config_nearest *nearest, const char *name);
