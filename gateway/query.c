#include "gateway/query.h"

#include "gateway/protocol.h"

#include <string.h>

/* ---- headers ---- */

/* RFC 9110, 12.5.1; weights are not looked at. */
static bool accepts_events(const struct head *head)
{
	for (size_t i = 0; i < head->field_count; i++) {
		struct bytes list = head->fields[i].value, range, type;

		if (!bytes_are_any_case(head->fields[i].name, "accept"))
			continue;
		while (bytes_next_entry(&list, ',', &range))
			if (bytes_next_entry(&range, ';', &type) &&
				bytes_are_any_case(type, "text/event-stream"))
				return true;
	}
	return false;
}

/* RFC 7240, 2: name, or name=value, or name="value", with parameters after it. */
static bool read_preference(struct bytes preference, int64_t *wait_s)
{
	struct bytes pair, name, value;
	uint64_t seconds;

	if (!bytes_next_entry(&preference, ';', &pair) ||
		!bytes_next_entry(&pair, '=', &name) ||
		!bytes_are_any_case(name, "wait") ||
		!bytes_next_entry(&pair, '=', &value))
		return false;
	if (value.length >= 2 && value.start[0] == '"' &&
		value.start[value.length - 1] == '"')
		value = (struct bytes){value.start + 1, value.length - 2};
	if (!change_number(value.start, value.length, &seconds))
		return false;
	*wait_s = seconds < QUERY_WAIT_MAX_S ? (int64_t)seconds : QUERY_WAIT_MAX_S;
	return true;
}

/* The first one counts; what cannot be read is no preference. */
static int64_t read_wait(const struct head *head)
{
	int64_t wait_s = -1;

	for (size_t i = 0; i < head->field_count; i++) {
		struct bytes list = head->fields[i].value, preference;

		if (!bytes_are_any_case(head->fields[i].name, "prefer"))
			continue;
		while (bytes_next_entry(&list, ',', &preference))
			if (read_preference(preference, &wait_s))
				return wait_s;
	}
	return wait_s;
}

/* ---- parameters ---- */

static bool bad_request(struct refusal *refusal, const char *why)
{
	refusal_set(refusal, "bad_request", "%s", why);
	return false;
}

/* A second parameter is most likely the tail of an address that was not encoded. */
static bool refuse_parameter(struct refusal *refusal, struct bytes name)
{
	refusal_set(refusal, "unknown_parameter",
		"unknown parameter \"%.*s\": the address after uri= must be "
		"percent-encoded",
		(int)(name.length < 64 ? name.length : 64), name.start);
	return false;
}

static bool read_uri(struct query *query, struct bytes value, struct refusal *refusal)
{
	(void)value;
	query->uri_count++;
	if (query->uri_count > 1 && !query->stream)
		return bad_request(refusal,
			"uri stands more than once; several are for streams of events "
			"(Accept: text/event-stream)");
	return true;
}

static bool read_mode(struct query *query, struct bytes value, struct refusal *refusal)
{
	query->patches = bytes_are(value, "patch");
	if (query->patches || bytes_are(value, "full"))
		return true;
	refusal_set(refusal, "unsupported_mode", "the modes are full and patch");
	return false;
}

static bool read_interval(
	struct query *query, struct bytes value, struct refusal *refusal)
{
	if (protocol_read_interval(value, &query->interval_ms))
		return true;
	return bad_request(refusal, "interval is not a number of seconds above 0");
}

/* A browser that connects again sends the header, to an address that has not changed: it
 * is the newer one. */
static bool read_cursor(struct query *query, struct bytes value, struct refusal *refusal)
{
	long length;

	if (query->cursor_length > 0)
		return true;
	length = head_decode(value, query->cursor);
	if (length < 0)
		return bad_request(
			refusal, "a % without two hex digits in last-event-id=");
	query->cursor_length = (size_t)length;
	return true;
}

static const struct parameter {
	const char *name;
	bool of_streams;
	bool (*read)(struct query *query, struct bytes value, struct refusal *refusal);
} parameters[] = {
	{"uri", false, read_uri},
	{"mode", true, read_mode},
	{"interval", true, read_interval},
	{"last-event-id", true, read_cursor},
};

static bool read_parameter(struct query *query, struct bytes name, struct bytes value,
	struct refusal *refusal)
{
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
		if (!bytes_are(name, parameters[i].name))
			continue;
		if (!parameters[i].of_streams || query->stream)
			return parameters[i].read(query, value, refusal);
		refusal_set(refusal, "bad_request",
			"%s= is for streams of events (Accept: text/event-stream)",
			parameters[i].name);
		return false;
	}
	return refuse_parameter(refusal, name);
}

bool query_read(struct query *query, const struct head *head, struct refusal *refusal)
{
	struct bytes rest = head->query, name, value;
	struct bytes cursor = head_field(head, "last-event-id");

	query->uris = head->query;
	query->uri_count = 0;
	query->wait_s = read_wait(head);
	query->if_none_match = head_field(head, "if-none-match");
	query->stream = head->method == HEAD_METHOD_GET && accepts_events(head);
	query->patches = false;
	query->interval_ms = 0;
	query->cursor_length = cursor.length;
	if (cursor.length > 0)
		memcpy(query->cursor, cursor.start, cursor.length);
	while (head_next_parameter(&rest, &name, &value))
		if (!read_parameter(query, name, value, refusal))
			return false;
	if (query->uri_count > 0)
		return true;
	return bad_request(refusal, "the parameter uri is missing");
}

bool query_next_uri(struct bytes *uris, struct bytes *uri)
{
	struct bytes name;

	while (head_next_parameter(uris, &name, uri))
		if (bytes_are(name, "uri"))
			return true;
	return false;
}

bool query_parse_address(
	struct refusal *refusal, struct address *address, struct bytes uri)
{
	char text[HEAD_BYTES_MAX];
	long length = head_decode(uri, text);

	if (length >= 0)
		return refusal_parse_address(refusal, address, text, (size_t)length);
	refusal_set(refusal, "bad_address", "a %% without two hex digits in uri=");
	return false;
}

/* ---- versions ---- */

uint64_t query_next_version(struct bytes *versions)
{
	uint64_t version = 0;
	struct bytes entry;

	if (!bytes_next_entry(versions, ',', &entry) ||
		!change_number(entry.start, entry.length, &version))
		return 0;
	return version;
}

/* RFC 9110, 8.8.3: "V" or W/"V". */
static uint64_t read_tag(struct bytes tag)
{
	uint64_t version;

	if (tag.length > 2 && memcmp(tag.start, "W/", 2) == 0)
		tag = (struct bytes){tag.start + 2, tag.length - 2};
	if (tag.length < 2 || tag.start[0] != '"' || tag.start[tag.length - 1] != '"' ||
		!change_number(tag.start + 1, tag.length - 2, &version))
		return 0;
	return version;
}

uint64_t query_newest_tag(struct bytes tags)
{
	uint64_t newest = 0, version;
	struct bytes tag;

	while (bytes_next_entry(&tags, ',', &tag)) {
		version = read_tag(tag);
		if (version > newest)
			newest = version;
	}
	return newest;
}
