#include "poller/provider_headers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"

/** What tells one content of a file from the next without reading it. */
struct stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified;
};

struct header_value {
	const char *name; /* of the header */
	const struct catalog_header *from;
	bool basic;         /* user:password, sent as Basic credentials */
	char *text;         /* as sent; NULL where there is none */
	struct stamp stamp; /* of the file @text was read from */
};

struct provider_headers {
	const char *provider; /* its name, for the log */
	struct header_value *values;
	size_t count;
	char *userinfo;
	struct catalog_header userinfo_header; /* refers to @userinfo */
	struct header_set *current;            /* NULL where a value is missing */
	int64_t check_at_ms;
	bool read_after_refusal;
	char problem[256]; /* "" where there is none */
};

/* ---- one value ---- */

static bool stamp_equal(const struct stamp *a, const struct stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
		a->modified.tv_sec == b->modified.tv_sec &&
		a->modified.tv_nsec == b->modified.tv_nsec;
}

static struct stamp stamp_of(const struct stat *status)
{
	return (struct stamp){
		.device = status->st_dev,
		.inode = status->st_ino,
		.size = status->st_size,
		.modified = status->st_mtim,
	};
}

/* Bytes of @fd until its end into @buffer. Returns their count or -errno. */
static ssize_t read_all(int fd, char *buffer, size_t size)
{
	size_t used = 0;

	while (used < size) {
		ssize_t count = read(fd, buffer + used, size - used);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (count == 0)
			return (ssize_t)used;
		used += (size_t)count;
	}
	return -EFBIG;
}

static size_t without_newline(const char *text, size_t length)
{
	if (length > 0 && text[length - 1] == '\n')
		length--;
	if (length > 0 && text[length - 1] == '\r')
		length--;
	return length;
}

/* A NUL would hide what follows it: made a byte that is refused like any other. */
static char *text_of(const char *bytes, size_t length)
{
	char *text = xcalloc(1, length + 1);

	for (size_t i = 0; i < length; i++)
		text[i] = bytes[i] ? bytes[i] : '\1';
	return text;
}

/* The file's bytes without the newline at its end, and a NUL. Returns 0 or -errno. */
static int read_secret(const char *path, char **text, struct stamp *stamp)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	char *buffer;
	ssize_t count;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	buffer = xcalloc(1, PROVIDER_SECRET_MAX_BYTES + 1);
	count = read_all(fd, buffer, PROVIDER_SECRET_MAX_BYTES + 1);
	close(fd);
	if (count < 0) {
		free(buffer);
		return (int)count;
	}

	*stamp = stamp_of(&status);
	*text = text_of(buffer, without_newline(buffer, (size_t)count));
	free(buffer);
	return 0;
}

static bool has_control_bytes(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

static bool is_token(const char *name)
{
	if (!*name)
		return false;
	for (; *name; name++) {
		if (*name <= ' ' || *name == 0x7f || strchr("()<>@,;:\\\"/[]?={}", *name))
			return false;
	}
	return true;
}

static char *base64(const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = (const unsigned char *)text;
	size_t length = strlen(text);
	char *result = xcalloc(1, (length + 2) / 3 * 4 + 1);
	char *out = result;

	for (size_t i = 0; i < length; i += 3) {
		size_t left = length - i;
		uint32_t bits = (uint32_t)in[i] << 16;

		if (left > 1)
			bits |= (uint32_t)in[i + 1] << 8;
		if (left > 2)
			bits |= in[i + 2];
		*out++ = digits[bits >> 18];
		*out++ = digits[bits >> 12 & 63];
		*out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
		*out++ = left > 2 ? digits[bits & 63] : '=';
	}
	return result;
}

/* Why @text cannot be sent, or NULL. Literals may be empty, what is read may not. */
static const char *refuse_value(const struct header_value *value, const char *text)
{
	if (!*text && value->from->source != CATALOG_LITERAL)
		return "it is empty";
	if (has_control_bytes(text))
		return "it holds control bytes or more than one line";
	if (value->basic && !strchr(text, ':'))
		return "it is not user:password";
	return NULL;
}

/* Takes @text, which is as configured or read. Returns NULL or why it cannot be sent. */
static const char *value_take(struct header_value *value, char *text, bool *changed)
{
	const char *why = refuse_value(value, text);
	char *sent = text;

	if (!why && value->basic) {
		sent = base64(text);
		free(text);
	}
	if (why) {
		free(sent);
		sent = NULL;
	}
	if (!sent || !value->text || strcmp(sent, value->text) != 0)
		*changed = true;
	free(value->text);
	value->text = sent;
	return why;
}

static const char *value_lose(struct header_value *value, bool *changed, const char *why)
{
	free(value->text);
	value->text = NULL;
	*changed = true;
	return why;
}

/* Returns NULL or why there is no value. Reads the file if it changed, or if @force. */
static const char *value_refresh_file(
	struct header_value *value, bool force, bool *changed)
{
	struct stat status;
	struct stamp stamp;
	char *text = NULL;
	int r;

	if (stat(value->from->value, &status) < 0)
		return value_lose(value, changed, strerror(errno));
	stamp = stamp_of(&status);
	if (value->text && !force && stamp_equal(&stamp, &value->stamp))
		return NULL;

	r = read_secret(value->from->value, &text, &value->stamp);
	if (r < 0)
		return value_lose(value, changed, strerror(-r));
	return value_take(value, text, changed);
}

static const char *value_refresh(struct header_value *value, bool force, bool *changed)
{
	const char *text = value->from->value;

	if (value->from->source == CATALOG_FILE)
		return value_refresh_file(value, force, changed);
	if (value->text)
		return NULL;
	if (value->from->source == CATALOG_ENV)
		text = getenv(value->from->value);
	if (!text)
		return value_lose(value, changed, "the environment variable is not set");
	return value_take(value, xstrdup(text), changed);
}

/* ---- all of a provider's ---- */

static void set_problem(struct provider_headers *headers,
	const struct header_value *value, const char *why)
{
	char problem[sizeof(headers->problem)];

	snprintf(problem, sizeof(problem), "the value of header %s cannot be read: %s",
		value->name, why);
	if (strcmp(problem, headers->problem) == 0)
		return;
	memcpy(headers->problem, problem, sizeof(problem));
	log_warn("a header has no value, not asking its provider "
		 "provider=%s header=%s from=%s reason=\"%s\"",
		headers->provider, value->name,
		value->from->source == CATALOG_LITERAL ? "configuration"
						       : value->from->value,
		why);
}

static struct curl_slist *append_line(
	struct curl_slist *list, const struct header_value *value)
{
	size_t size = strlen(value->name) + strlen(value->text) + sizeof(": Basic ");
	char *line = xcalloc(1, size);
	struct curl_slist *longer;

	if (value->basic)
		snprintf(line, size, "%s: Basic %s", value->name, value->text);
	else if (*value->text)
		snprintf(line, size, "%s: %s", value->name, value->text);
	else
		snprintf(
			line, size, "%s;", value->name); /* how curl sends an empty one */
	longer = curl_slist_append(list, line);
	free(line);
	return longer;
}

/* NULL when out of memory. */
static struct header_set *set_build(const struct provider_headers *headers)
{
	struct header_set *set = xcalloc(1, sizeof(*set));

	set->users = 1;
	for (size_t i = 0; i < headers->count; i++) {
		struct curl_slist *longer = append_line(set->list, &headers->values[i]);

		if (!longer) {
			header_set_release(set);
			return NULL;
		}
		set->list = longer;
	}
	return set;
}

/* Brings every value up to date, and the set that is made of them. */
static void refresh(struct provider_headers *headers, bool force)
{
	bool changed = false;
	bool complete = true;

	for (size_t i = 0; i < headers->count; i++) {
		struct header_value *value = &headers->values[i];
		const char *why = "its name is not valid";

		if (is_token(value->name))
			why = value_refresh(value, force, &changed);
		if (!why)
			continue;
		complete = false;
		set_problem(headers, value, why);
		break;
	}
	if (headers->current && complete && !changed)
		return;

	header_set_release(headers->current);
	headers->current = complete ? set_build(headers) : NULL;
	headers->read_after_refusal = false;
	if (complete)
		snprintf(headers->problem, sizeof(headers->problem), "%s",
			headers->current ? "" : "no memory for the headers");
}

static void add_value(struct provider_headers *headers, const char *name,
	const struct catalog_header *from, bool basic)
{
	struct header_value *value = &headers->values[headers->count++];

	value->name = name;
	value->from = from;
	value->basic = basic;
}

struct provider_headers *provider_headers_new(
	const struct catalog_provider *settings, const char *userinfo)
{
	struct provider_headers *headers = xcalloc(1, sizeof(*headers));

	headers->provider = settings->name;
	headers->check_at_ms = INT64_MIN;
	headers->values = xcalloc(settings->header_count + 1, sizeof(*headers->values));
	for (size_t i = 0; i < settings->header_count; i++)
		add_value(
			headers, settings->headers[i].name, &settings->headers[i], false);
	if (settings->basic.name) {
		add_value(headers, "Authorization", &settings->basic, true);
	} else if (userinfo) {
		headers->userinfo = xstrdup(userinfo);
		headers->userinfo_header.source = CATALOG_LITERAL;
		headers->userinfo_header.value = headers->userinfo;
		add_value(headers, "Authorization", &headers->userinfo_header, true);
	}
	return headers;
}

void provider_headers_free(struct provider_headers *headers)
{
	if (!headers)
		return;
	for (size_t i = 0; i < headers->count; i++)
		free(headers->values[i].text);
	free(headers->values);
	free(headers->userinfo);
	header_set_release(headers->current);
	free(headers);
}

struct header_set *provider_headers_take(
	struct provider_headers *headers, int64_t now_ms, const char **problem)
{
	if (now_ms >= headers->check_at_ms) {
		refresh(headers, false);
		headers->check_at_ms = now_ms + PROVIDER_HEADERS_CHECK_MS;
	}
	if (!headers->current) {
		*problem = headers->problem;
		return NULL;
	}
	headers->current->users++;
	return headers->current;
}

bool provider_headers_refused(
	struct provider_headers *headers, const struct header_set *sent, int64_t now_ms)
{
	if (headers->current == sent && !headers->read_after_refusal) {
		refresh(headers, true);
		headers->check_at_ms = now_ms + PROVIDER_HEADERS_CHECK_MS;
		headers->read_after_refusal = headers->current == sent;
	}
	return headers->current && headers->current != sent;
}

void provider_headers_accepted(struct provider_headers *headers)
{
	headers->read_after_refusal = false;
}

void header_set_release(struct header_set *set)
{
	if (!set || --set->users > 0)
		return;
	curl_slist_free_all(set->list);
	free(set);
}
