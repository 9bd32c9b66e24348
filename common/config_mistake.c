#include "common/config_mistake.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 100   /* bytes of a value; enough to find it again */
#define COMPARED_MAX 40 /* bytes of a name; none of ours is as long */

void config_mistake(
	struct config_mistakes *mistakes, const char *where, const char *format, ...)
{
	va_list arguments;
	char *what;

	va_start(arguments, format);
	if (vasprintf(&what, format, arguments) < 0)
		abort();
	va_end(arguments);
	if (mistakes->say)
		mistakes->say(where, what);
	else
		fprintf(stderr, "%s: %s: %s\n", mistakes->program, where, what);
	free(what);
	mistakes->count++;
}

/* Where a URL's user and password begin and end; both @value where there are none. */
static const char *find_userinfo(const char *value, size_t length, const char **end)
{
	const char *scheme = memmem(value, length, "://", 3);
	const char *start = scheme ? scheme + 3 : value;
	const char *at = memrchr(start, '@', length - (size_t)(start - value));

	*end = value;
	if (!at || (!scheme && !memchr(start, ':', (size_t)(at - start))))
		return value;
	*end = at;
	return start;
}

const char *config_quote(char *quoted, const char *value, size_t length)
{
	const char *secret_end, *end = value + length;
	const char *secret = find_userinfo(value, length, &secret_end);
	char *out = quoted;

	*out++ = '"';
	for (const char *in = value; in < end; in++) {
		if (in == secret && secret < secret_end) {
			out = mempcpy(out, "***", 3);
			in = secret_end;
		}
		if (out - quoted >= SHOWN_MAX) {
			out = mempcpy(out, "...", 3);
			break;
		}
		*out++ = iscntrl((unsigned char)*in) ? '?' : *in;
	}
	strcpy(out, "\"");
	return quoted;
}

static size_t least(size_t a, size_t b, size_t c)
{
	size_t smaller = a < b ? a : b;

	return smaller < c ? smaller : c;
}

/* Changes of one letter that turn @a into @b; letters in either case are the same. */
static size_t distance_between(const char *a, const char *b)
{
	size_t row[COMPARED_MAX + 1], a_length = strlen(a), b_length = strlen(b);

	if (a_length > COMPARED_MAX || b_length > COMPARED_MAX)
		return a_length + b_length;
	for (size_t j = 0; j <= b_length; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t above = row[j];
			int differs = tolower((unsigned char)a[i - 1]) !=
				tolower((unsigned char)b[j - 1]);

			row[j] = least(above + 1, row[j - 1] + 1, diagonal + differs);
			diagonal = above;
		}
	}
	return row[b_length];
}

void config_nearest_try(struct config_nearest *nearest, const char *name)
{
	size_t distance = distance_between(nearest->wrong, name);

	/* A third of the letters wrong (half of a short name's) is another name. */
	if (distance > strlen(name) / 3 + 1)
		return;
	if (nearest->name && nearest->distance <= distance)
		return;
	nearest->name = name;
	nearest->distance = distance;
}
