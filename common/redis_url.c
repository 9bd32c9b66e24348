#include "common/redis_url.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

static char *copy_part(const char *start, size_t length)
{
	char *copy = xcalloc(length + 1, 1);

	memcpy(copy, start, length);
	return copy;
}

static int hex_digit(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	character = (char)tolower((unsigned char)character);
	return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

/* A user or password may hold any byte but NUL, percent-encoded. NULL where it is broken.
 */
static char *unescape_part(const char *start, size_t length)
{
	char *text = xcalloc(length + 1, 1);
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		int high, low;

		if (start[i] != '%') {
			text[used++] = start[i];
			continue;
		}
		high = length - i > 2 ? hex_digit(start[i + 1]) : -1;
		low = high >= 0 ? hex_digit(start[i + 2]) : -1;
		if (low < 0 || (high == 0 && low == 0)) {
			free(text);
			return NULL;
		}
		text[used++] = (char)(high * 16 + low);
		i += 2;
	}
	return text;
}

/* A whole number from 0 to @most up to the end of @text, or -EINVAL. */
static int parse_number(const char *text, size_t length, int most)
{
	int number = 0;

	if (length == 0 || length > 5)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		if (!isdigit((unsigned char)text[i]))
			return -EINVAL;
		number = number * 10 + (text[i] - '0');
	}
	return number <= most ? number : -EINVAL;
}

/* "user", "user:password" or ":password". */
static int parse_userinfo(struct redis_url *url, const char *start, size_t length)
{
	const char *colon = memchr(start, ':', length);
	size_t user_length = colon ? (size_t)(colon - start) : length;

	if (user_length > 0) {
		url->user = unescape_part(start, user_length);
		if (!url->user)
			return -EINVAL;
	}
	/* A user without a password may still be one that needs none. */
	url->password =
		colon ? unescape_part(colon + 1, length - user_length - 1) : xstrdup("");
	return url->password ? 0 : -EINVAL;
}

/* "host", "host:port", "[v6]" or "[v6]:port". */
static int parse_host(struct redis_url *url, const char *start, size_t length)
{
	const char *end = start + length;
	const char *host_end;
	bool bracketed = length > 0 && *start == '[';

	if (bracketed) {
		start++;
		host_end = memchr(start, ']', (size_t)(end - start));
	} else {
		host_end = memchr(start, ':', length);
		host_end = host_end ? host_end : end;
	}
	if (!host_end || host_end == start)
		return -EINVAL;
	url->host = copy_part(start, (size_t)(host_end - start));

	start = host_end + (bracketed ? 1 : 0);
	url->port = REDIS_PORT_DEFAULT;
	if (start == end)
		return 0;
	if (*start != ':')
		return -EINVAL;
	url->port = parse_number(start + 1, (size_t)(end - start) - 1, 65535);
	return url->port > 0 ? 0 : -EINVAL;
}

static int parse_tcp(struct redis_url *url, const char *text)
{
	size_t length = strcspn(text, "/");
	const char *slash = text + length;
	const char *at = memrchr(text, '@', length);
	int r;

	if (at) {
		r = parse_userinfo(url, text, (size_t)(at - text));
		if (r < 0)
			return r;
		length -= (size_t)(at + 1 - text);
		text = at + 1;
	}
	r = parse_host(url, text, length);
	if (r < 0)
		return r;
	if (*slash == '/' && slash[1]) {
		url->database = parse_number(slash + 1, strlen(slash + 1), 99999);
		if (url->database < 0)
			return -EINVAL;
	}
	if (asprintf(&url->place, strchr(url->host, ':') ? "[%s]:%d" : "%s:%d", url->host,
		    url->port) < 0)
		abort();
	return 0;
}

static int parse_unix(struct redis_url *url, const char *path)
{
	if (strncmp(path, "//", 2) == 0)
		path += 2;
	if (*path != '/')
		return -EINVAL;
	url->path = xstrdup(path);
	url->place = xstrdup(path);
	return 0;
}

int redis_url_parse(struct redis_url *url, const char *text)
{
	int r = -EINVAL;

	*url = (struct redis_url){0};
	if (strncmp(text, "redis://", 8) == 0)
		r = parse_tcp(url, text + 8);
	else if (strncmp(text, "unix:", 5) == 0)
		r = parse_unix(url, text + 5);
	if (r < 0)
		redis_url_fini(url);
	return r;
}

void redis_url_fini(struct redis_url *url)
{
	free(url->host);
	free(url->path);
	free(url->user);
	free(url->password);
	free(url->place);
	*url = (struct redis_url){0};
}
