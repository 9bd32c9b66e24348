#include "common/change.h"

#include <errno.h>
#include <string.h>

static const char *const state_names[] = {
	[RESOURCE_UNKNOWN] = "unknown",
	[RESOURCE_FRESH] = "fresh",
	[RESOURCE_STALE] = "stale",
	[RESOURCE_ERROR] = "error",
	[RESOURCE_GONE] = "gone",
};

const char *resource_state_name(enum resource_state state)
{
	return state_names[state];
}

enum resource_state resource_state_parse(const char *text, size_t length)
{
	struct bytes word = {text, length};

	for (int state = RESOURCE_FRESH; state <= RESOURCE_GONE; state++) {
		if (bytes_are(word, state_names[state]))
			return state;
	}
	return RESOURCE_UNKNOWN;
}

bool change_number(const char *text, size_t length, uint64_t *number)
{
	uint64_t value = 0;

	if (length == 0 || length > 19 || (length > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	if (value > INT64_MAX)
		return false;
	*number = value;
	return true;
}

bool change_media_type(struct bytes *media_type, struct bytes type)
{
	*media_type = (struct bytes){NULL, 0};
	if (bytes_are(type, "json"))
		return true;
	if (type.length == 0 || memchr(type.start, '/', type.length) == NULL)
		return false;
	for (size_t i = 0; i < type.length; i++) {
		if (type.start[i] <= ' ' || type.start[i] >= 0x7f ||
			type.start[i] == '"' || type.start[i] == '\\')
			return false;
	}
	*media_type = type;
	return true;
}

enum field {
	FIELD_REVISION,
	FIELD_PREVIOUS_REVISION,
	FIELD_VERSION,
	FIELD_PREVIOUS_VERSION,
	FIELD_STATE,
	FIELD_TYPE,
	FIELD_CHECKED_AT,
	FIELD_INTERVAL,
	FIELD_CONTENT,
	FIELD_PATCH,
	FIELD_ERROR,
	FIELD_ANSWERED_AT, /* start NULL where it is missing */
	FIELD_COUNT
};

/* Cuts the header line into fields. Returns where the line's newline is, or NULL. */
static const char *cut_header(
	struct bytes fields[FIELD_COUNT], const char *message, size_t length)
{
	const char *end = memchr(message, '\n', length < 256 ? length : 256);
	const char *at = message;

	if (end == NULL)
		return NULL;
	for (int i = 0; i < FIELD_COUNT; i++) {
		const char *stop = memchr(at, ' ', (size_t)(end - at));

		fields[i] = (struct bytes){at, (size_t)((stop ? stop : end) - at)};
		if (stop == NULL) {
			fields[FIELD_ANSWERED_AT] =
				i == FIELD_ERROR ? (struct bytes){NULL, 0} : fields[i];
			return i >= FIELD_ERROR ? end : NULL;
		}
		at = stop + 1;
	}
	return NULL;
}

static bool field_number(const struct bytes *field, uint64_t *number)
{
	return change_number(field->start, field->length, number);
}

/* Takes @size bytes off the front of @rest. */
static bool take(struct bytes *part, struct bytes *rest, uint64_t size)
{
	if (size > rest->length)
		return false;
	*part = (struct bytes){rest->start, size};
	rest->start += size;
	rest->length -= size;
	return true;
}

static bool parse_numbers(struct change *change, const struct bytes fields[FIELD_COUNT])
{
	uint64_t checked_at, interval, answered_at = 0;

	if (!field_number(&fields[FIELD_REVISION], &change->revision) ||
		!field_number(
			&fields[FIELD_PREVIOUS_REVISION], &change->previous_revision) ||
		!field_number(&fields[FIELD_VERSION], &change->version) ||
		!field_number(
			&fields[FIELD_PREVIOUS_VERSION], &change->previous_version) ||
		!field_number(&fields[FIELD_CHECKED_AT], &checked_at) ||
		!field_number(&fields[FIELD_INTERVAL], &interval) ||
		interval > UINT32_MAX ||
		(fields[FIELD_ANSWERED_AT].start != NULL &&
			!field_number(&fields[FIELD_ANSWERED_AT], &answered_at)))
		return false;
	change->answered_at_ms = (int64_t)answered_at;
	change->checked_at_ms = (int64_t)checked_at;
	change->interval_ms = (uint32_t)interval;
	return true;
}

static bool parse_bodies(
	struct change *change, const struct bytes fields[FIELD_COUNT], struct bytes rest)
{
	uint64_t content, patch, error;

	if (!bytes_are(fields[FIELD_CONTENT], "-")) {
		if (!field_number(&fields[FIELD_CONTENT], &content) ||
			!take(&change->content, &rest, content))
			return false;
	}
	return field_number(&fields[FIELD_PATCH], &patch) &&
		take(&change->patch, &rest, patch) &&
		field_number(&fields[FIELD_ERROR], &error) &&
		take(&change->error, &rest, error) && rest.length == 0;
}

int change_parse(struct change *change, const char *message, size_t length)
{
	struct bytes fields[FIELD_COUNT];
	const char *end = cut_header(fields, message, length);

	*change = (struct change){0};
	if (end == NULL || !parse_numbers(change, fields))
		return -EBADMSG;
	change->state = resource_state_parse(
		fields[FIELD_STATE].start, fields[FIELD_STATE].length);
	if (change->state == RESOURCE_UNKNOWN ||
		!change_media_type(&change->media_type, fields[FIELD_TYPE]))
		return -EBADMSG;

	struct bytes rest = {end + 1, length - (size_t)(end + 1 - message)};
	return parse_bodies(change, fields, rest) ? 0 : -EBADMSG;
}
