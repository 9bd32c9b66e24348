#include "gateway/access.h"

#include "common/log.h"
#include "common/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define TOKENS_MAX 10000

struct token {
	char *text;
	size_t length;
};

struct tokens {
	struct token *all;
	size_t count;
};

struct access {
	struct access_settings settings;
	bool loopback; /* what we listen on */
	struct tokens tokens;
	struct stat seen; /* of the token file when it was last read */
	bool complained;  /* that it cannot be read now */
};

static char error_text[512];

/* ---- hosts and origins ---- */

/* HOST[:PORT], as in a Host header or behind the scheme of an origin. */
struct authority {
	const char *host;
	size_t host_length;
	const char *port; /* "" where there is none */
};

static struct authority authority_of(const char *text)
{
	const char *end = text[0] == '[' ? strchr(text, ']') : NULL;
	struct authority authority = {.host = text, .port = ""};

	end = end != NULL ? end + 1 : text + strcspn(text, ":");
	authority.host_length = (size_t)(end - text);
	if (end[0] == ':')
		authority.port = end + 1;
	return authority;
}

/* Splits an origin; false for "null" and whatever else has no host. */
static bool split_origin(
	const char *origin, size_t *scheme_length, struct authority *authority)
{
	const char *mark = strstr(origin, "://");

	if (mark == NULL || mark == origin || mark[3] == '\0')
		return false;
	*scheme_length = (size_t)(mark - origin);
	*authority = authority_of(mark + 3);
	return authority->host_length > 0;
}

static const char *default_port(const char *scheme, size_t length)
{
	if (length == 5 && strncasecmp(scheme, "https", 5) == 0)
		return "443";
	return length == 4 && strncasecmp(scheme, "http", 4) == 0 ? "80" : "";
}

static bool same_host(struct authority a, struct authority b)
{
	return a.host_length == b.host_length &&
		strncasecmp(a.host, b.host, a.host_length) == 0;
}

/* A port left out is the one that the origin's scheme implies: TLS may end before us. */
static bool same_authority(
	struct authority a, struct authority b, const char *implied_port)
{
	return same_host(a, b) &&
		strcmp(a.port[0] != '\0' ? a.port : implied_port,
			b.port[0] != '\0' ? b.port : implied_port) == 0;
}

static bool origin_is_host(const char *origin, const char *host)
{
	struct authority authority;
	size_t scheme_length;

	return host[0] != '\0' && split_origin(origin, &scheme_length, &authority) &&
		same_authority(authority, authority_of(host),
			default_port(origin, scheme_length));
}

static bool same_origin(const char *a, const char *b)
{
	struct authority a_authority, b_authority;
	size_t a_scheme, b_scheme;

	return split_origin(a, &a_scheme, &a_authority) &&
		split_origin(b, &b_scheme, &b_authority) && a_scheme == b_scheme &&
		strncasecmp(a, b, a_scheme) == 0 &&
		same_authority(a_authority, b_authority, default_port(a, a_scheme));
}

bool access_origin_listed(const struct access *access, const char *origin)
{
	for (size_t i = 0; i < access->settings.origin_count; i++)
		if (same_origin(access->settings.origins[i], origin))
			return true;
	return false;
}

static bool names_loopback(struct authority authority)
{
	static const char localhost[] = "localhost";
	static const char under_localhost[] = ".localhost";
	struct authority named = {localhost, sizeof(localhost) - 1, ""};
	size_t suffix = sizeof(under_localhost) - 1;
	unsigned a, b, c, d;
	char text[64], rest;

	if (authority.host_length >= sizeof(text))
		return false;
	memcpy(text, authority.host, authority.host_length);
	text[authority.host_length] = '\0';
	if (same_host(authority, named) || strcmp(text, "[::1]") == 0)
		return true;
	if (authority.host_length > suffix &&
		strcasecmp(text + authority.host_length - suffix, under_localhost) == 0)
		return true;
	return sscanf(text, "%3u.%3u.%3u.%3u%c", &a, &b, &c, &d, &rest) == 4 && a == 127;
}

static bool listed_host(const struct access *access, const char *host)
{
	for (size_t i = 0; i < access->settings.origin_count; i++)
		if (origin_is_host(access->settings.origins[i], host))
			return true;
	return false;
}

static bool host_allowed(const struct access *access, const char *host)
{
	if (!access->loopback || access_wants_token(access) || host[0] == '\0')
		return true;
	return names_loopback(authority_of(host)) || listed_host(access, host);
}

enum access_verdict access_judge(
	const struct access *access, const char *origin, const char *host)
{
	if (host == NULL)
		host = "";
	if (!host_allowed(access, host))
		return ACCESS_HOST_DENIED;
	if (origin == NULL || origin[0] == '\0')
		return ACCESS_OK;
	if (origin_is_host(origin, host) || access_origin_listed(access, origin))
		return ACCESS_OK;
	return ACCESS_ORIGIN_DENIED;
}

const char *access_verdict_text(enum access_verdict verdict)
{
	switch (verdict) {
	case ACCESS_OK:
		break;
	case ACCESS_ORIGIN_DENIED:
		return "this page's origin is not the gateway's own and not among its "
		       "origins";
	case ACCESS_HOST_DENIED:
		return "the gateway listens on loopback and does not go by this Host: "
		       "list its "
		       "origin, or use a token file";
	}
	return "allowed";
}

/* ---- tokens ---- */

static void tokens_fini(struct tokens *tokens)
{
	for (size_t i = 0; i < tokens->count; i++)
		free(tokens->all[i].text);
	free(tokens->all);
	*tokens = (struct tokens){0};
}

/* Takes a line apart: the token in it, or "" where it holds none. */
static char *trim(char *line)
{
	size_t length;

	line[strcspn(line, "#\r\n")] = '\0';
	line += strspn(line, " \t");
	length = strlen(line);
	while (length > 0 && strchr(" \t", line[length - 1]) != NULL)
		length--;
	line[length] = '\0';
	return line;
}

static int read_lines(FILE *file, struct tokens *tokens, size_t *line_number)
{
	char line[ACCESS_TOKEN_MAX * 2];

	for (*line_number = 1; fgets(line, sizeof(line), file) != NULL; ++*line_number) {
		bool whole = strchr(line, '\n') != NULL || feof(file);
		char *text = trim(line);

		if (!whole || strlen(text) > ACCESS_TOKEN_MAX)
			return -EMSGSIZE;
		if (strpbrk(text, " \t") != NULL)
			return -EINVAL;
		if (text[0] == '\0')
			continue;
		if (tokens->count == TOKENS_MAX)
			return -E2BIG;
		tokens->all = xreallocarray(
			tokens->all, tokens->count + 1, sizeof(*tokens->all));
		tokens->all[tokens->count++] =
			(struct token){xstrdup(text), strlen(text)};
	}
	return ferror(file) ? -EIO : 0;
}

static const char *why(int error)
{
	switch (error) {
	case -EMSGSIZE:
		return "a line is longer than 512 bytes";
	case -EINVAL:
		return "a token has a space in it";
	case -E2BIG:
		return "there are more than 10000 tokens";
	case -ENODATA:
		return "there is no token in it";
	}
	return strerror(-error);
}

static void warn_of_readers(const struct access *access)
{
	if (access->seen.st_mode & (S_IRWXG | S_IRWXO))
		log_warn("the token file can be read by others than its owner: chmod 600 "
			 "it "
			 "path=%s mode=%03o",
			access->settings.token_file, access->seen.st_mode & 0777);
}

/* Replaces the tokens by what the file holds now, or leaves them as they are. */
static int read_tokens(struct access *access)
{
	FILE *file = fopen(access->settings.token_file, "re");
	struct tokens tokens = {0};
	struct stat seen;
	size_t line_number = 0;
	int r;

	if (file == NULL) {
		r = -errno;
		goto out;
	}
	r = fstat(fileno(file), &seen) == 0 ? read_lines(file, &tokens, &line_number)
					    : -errno;
	fclose(file);
	if (r == 0 && tokens.count == 0)
		r = -ENODATA;
	if (r < 0)
		goto out;
	tokens_fini(&access->tokens);
	access->tokens = tokens;
	access->seen = seen;
	warn_of_readers(access);
	return 0;
out:
	tokens_fini(&tokens);
	if (line_number > 0)
		snprintf(error_text, sizeof(error_text), "token file %s, line %zu: %s",
			access->settings.token_file, line_number, why(r));
	else
		snprintf(error_text, sizeof(error_text), "token file %s: %s",
			access->settings.token_file, why(r));
	return r;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
		a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A file that cannot be read just now (being replaced, say) locks nobody out. */
static void read_again_if_changed(struct access *access)
{
	struct stat now;

	if (stat(access->settings.token_file, &now) == 0 &&
		same_file(&now, &access->seen))
		return;
	if (read_tokens(access) == 0) {
		log_info("token file read again tokens=%zu", access->tokens.count);
		access->complained = false;
	} else if (!access->complained) {
		log_warn(
			"token file not usable, going on with the tokens read before: %s",
			error_text);
		access->complained = true;
	}
}

bool access_wants_token(const struct access *access)
{
	return access->settings.token_file != NULL;
}

/* Takes as long wherever the first difference is. */
static bool equal(const struct token *token, const char *text, size_t length)
{
	size_t difference = token->length ^ length;

	for (size_t i = 0; i < length; i++)
		difference |= (unsigned char)(token->text[i % token->length] ^ text[i]);
	return difference == 0;
}

bool access_token_valid(struct access *access, const char *token, size_t length)
{
	bool valid = false;

	if (!access_wants_token(access))
		return true;
	read_again_if_changed(access);
	for (size_t i = 0; i < access->tokens.count; i++)
		valid |= equal(&access->tokens.all[i], token, length);
	return valid;
}

/* ---- the rules as a whole ---- */

struct access *access_new(const struct access_settings *settings, const char **error)
{
	struct access *access = xcalloc(1, sizeof(*access));
	struct authority authority;
	size_t scheme_length;

	access->settings = *settings;
	access->loopback = names_loopback(authority_of(settings->listen));
	for (size_t i = 0; i < settings->origin_count; i++) {
		if (split_origin(settings->origins[i], &scheme_length, &authority))
			continue;
		snprintf(error_text, sizeof(error_text),
			"origin \"%s\" is not of the form https://host[:port]",
			settings->origins[i]);
		goto refuse;
	}
	if (settings->token_file == NULL || read_tokens(access) == 0)
		return access;
refuse:
	*error = error_text;
	access_free(access);
	return NULL;
}

void access_free(struct access *access)
{
	if (access == NULL)
		return;
	tokens_fini(&access->tokens);
	free(access);
}
