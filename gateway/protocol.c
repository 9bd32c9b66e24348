#include "gateway/protocol.h"

#include "common/instant.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ECHO_MAX 2048           /* bytes of a client's uri that an answer repeats */
#define INTERVAL_MOST_S 4000000 /* more is cut: it has to fit 32 bits of milliseconds */

struct action {
	const char *name;
	enum protocol_action action;
	bool needs_uri;
	bool needs_id;
	bool needs_token;
};

static const struct action actions[PROTOCOL_ACTION_COUNT] = {
	{"subscribe", PROTOCOL_SUBSCRIBE, true, false, false},
	{"unsubscribe", PROTOCOL_UNSUBSCRIBE, true, false, false},
	{"pause", PROTOCOL_PAUSE, false, false, false},
	{"resume", PROTOCOL_RESUME, false, false, false},
	{"refresh", PROTOCOL_REFRESH, true, false, false},
	{"status", PROTOCOL_STATUS, true, true, false},
	{"authenticate", PROTOCOL_AUTHENTICATE, false, false, true},
};

/* ---- reading ---- */

static enum document_type type_of(const struct document *document, uint32_t token)
{
	return (enum document_type)document->tokens[token].type;
}

/* The value of @name, or 0 where it is absent or null. */
static uint32_t member(const struct document *document, const char *name)
{
	uint32_t value = document_member(document, 0, name);

	return value != 0 && type_of(document, value) == DOCUMENT_NULL ? 0 : value;
}

static bool bad_message(struct refusal *refusal, const char *why)
{
	refusal_set(refusal, "bad_message", "%s", why);
	return false;
}

static bool read_id(struct protocol_message *message, struct refusal *refusal)
{
	const struct document *document = message->document;
	uint32_t value = member(document, "id");
	const struct document_token *token;

	if (value == 0)
		return true;
	token = &document->tokens[value];
	if (token->type != DOCUMENT_NUMBER && token->type != DOCUMENT_STRING)
		return bad_message(refusal, "the id is neither a number nor a string");
	if (token->length > PROTOCOL_ID_MAX)
		return bad_message(refusal, "the id is longer than 256 bytes");
	message->id = (struct bytes){document->bytes + token->start, token->length};
	return true;
}

static bool read_uri(struct protocol_message *message, struct refusal *refusal)
{
	uint32_t value = member(message->document, "uri");

	if (value == 0)
		return true;
	if (type_of(message->document, value) != DOCUMENT_STRING)
		return bad_message(refusal, "uri is not a string");
	message->uri = value;
	return true;
}

static bool read_uris(struct protocol_message *message, struct refusal *refusal)
{
	const struct document *document = message->document;
	uint32_t value = member(document, "uris");

	if (value == 0)
		return true;
	if (message->uri != 0)
		return bad_message(refusal, "a message has uri or uris, not both");
	if (type_of(document, value) != DOCUMENT_ARRAY ||
		document->tokens[value].count == 0)
		return bad_message(refusal, "uris is not an array with addresses in it");
	for (uint32_t uri = value + 1; uri < document->tokens[value].next;
		uri = document->tokens[uri].next)
		if (type_of(document, uri) != DOCUMENT_STRING)
			return bad_message(
				refusal, "uris holds something that is not a string");
	message->uris = value;
	return true;
}

bool protocol_read_interval(struct bytes text, uint32_t *interval_ms)
{
	char digits[64], *end;
	double seconds;

	if (text.length == 0 || text.length >= sizeof(digits))
		return false;
	memcpy(digits, text.start, text.length);
	digits[text.length] = '\0';
	/* strtod() knows more spellings than JSON does. */
	if (strspn(digits, "0123456789.eE+-") != text.length)
		return false;
	seconds = strtod(digits, &end);
	if (*end != '\0' || !(seconds > 0))
		return false;
	if (seconds > INTERVAL_MOST_S)
		seconds = INTERVAL_MOST_S;
	*interval_ms = (uint32_t)lround(seconds * 1000);
	if (*interval_ms == 0)
		*interval_ms = 1;
	return true;
}

void protocol_write_seconds(struct text *text, uint32_t ms)
{
	char digits[16];
	size_t length;

	snprintf(digits, sizeof(digits), "%u.%03u", ms / 1000, ms % 1000);
	length = strlen(digits);
	while (digits[length - 1] == '0')
		length--;
	if (digits[length - 1] == '.')
		length--;
	text_add(text, digits, length);
}

static bool read_interval(struct protocol_message *message, struct refusal *refusal)
{
	const struct document *document = message->document;
	uint32_t value = member(document, "interval");
	const struct document_token *token;

	if (value == 0)
		return true;
	token = &document->tokens[value];
	if (token->type == DOCUMENT_NUMBER &&
		protocol_read_interval(
			(struct bytes){document->bytes + token->start, token->length},
			&message->interval_ms))
		return true;
	return bad_message(refusal, "interval is not a number of seconds above 0");
}

static bool read_mode(struct protocol_message *message, struct refusal *refusal)
{
	uint32_t value = member(message->document, "mode");

	if (value == 0)
		return true;
	if (type_of(message->document, value) != DOCUMENT_STRING)
		return bad_message(refusal, "mode is not a string");
	message->patches = document_string_is(message->document, value, "patch");
	if (message->patches || document_string_is(message->document, value, "full"))
		return true;
	refusal_set(refusal, "unsupported_mode", "the modes are full and patch");
	return false;
}

/* Opaque to clients: what is not one of our versions is just not the current one. */
static bool read_since(struct protocol_message *message, struct refusal *refusal)
{
	const struct document *document = message->document;
	uint32_t value = member(document, "since");
	char text[32];
	int64_t length;

	if (value == 0)
		return true;
	if (type_of(document, value) != DOCUMENT_STRING)
		return bad_message(refusal, "since is not a string");
	length = document_string(document, value, text, sizeof(text));
	if (length < 0 || !change_number(text, (size_t)length, &message->since))
		message->since = 0;
	return true;
}

static bool read_token(struct protocol_message *message, struct refusal *refusal)
{
	uint32_t value = member(message->document, "token");

	if (value == 0)
		return true;
	if (type_of(message->document, value) != DOCUMENT_STRING)
		return bad_message(refusal, "token is not a string");
	message->token = value;
	return true;
}

static bool read_action(struct protocol_message *message, struct refusal *refusal)
{
	uint32_t value = member(message->document, "action");

	if (value == 0 || type_of(message->document, value) != DOCUMENT_STRING)
		return bad_message(refusal, "the message has no action");
	for (size_t i = 0; i < PROTOCOL_ACTION_COUNT; i++) {
		if (!document_string_is(message->document, value, actions[i].name))
			continue;
		message->action = actions[i].action;
		if (actions[i].needs_uri && message->uri == 0 && message->uris == 0)
			return bad_message(refusal, "this action needs uri or uris");
		if (actions[i].needs_id && message->id.start == NULL)
			return bad_message(refusal, "this action needs an id");
		if (actions[i].needs_token && message->token == 0)
			return bad_message(refusal, "this action needs a token");
		return true;
	}
	refusal_set(refusal, "unknown_action",
		"the actions are subscribe, unsubscribe, pause, resume, refresh, "
		"status, authenticate");
	return false;
}

bool protocol_parse(struct document *document, const char *bytes, size_t length,
	struct protocol_message *message, struct refusal *refusal)
{
	enum document_error error;
	size_t offset = 0;

	*message = (struct protocol_message){.document = document};
	error = document_scan(document, bytes, length, &offset);
	if (error != DOCUMENT_OK) {
		refusal_set(refusal, "bad_message",
			"the message is not JSON: %s at byte %zu",
			document_error_text(error), offset);
		return false;
	}
	if (type_of(document, 0) != DOCUMENT_OBJECT)
		return bad_message(refusal, "the message is not a JSON object");
	/* What an answer needs comes first. */
	return read_id(message, refusal) && read_uri(message, refusal) &&
		read_uris(message, refusal) && read_token(message, refusal) &&
		read_action(message, refusal) && read_interval(message, refusal) &&
		read_mode(message, refusal) && read_since(message, refusal);
}

uint32_t protocol_first_uri(const struct protocol_message *message)
{
	return message->uris != 0 ? message->uris + 1 : message->uri;
}

uint32_t protocol_next_uri(const struct protocol_message *message, uint32_t uri)
{
	const struct document_token *tokens = message->document->tokens;

	if (message->uris == 0 || tokens[uri].next >= tokens[message->uris].next)
		return 0;
	return tokens[uri].next;
}

uint32_t protocol_uri_count(const struct protocol_message *message)
{
	if (message->uris != 0)
		return message->document->tokens[message->uris].count;
	return message->uri != 0;
}

/* ---- answering ---- */

/* How many bytes of the JSON string at @at cannot be parted. */
static size_t unit_length(const char *at)
{
	unsigned char first = (unsigned char)at[0];

	if (first == '\\' && at[1] != 'u')
		return 2;
	if (first == '\\')
		/* A high surrogate stands with its low one: the document was judged. */
		return (at[2] == 'd' || at[2] == 'D') && strchr("89abAB", at[3]) ? 12 : 6;
	if (first >= 0xf0)
		return 4;
	if (first >= 0xe0)
		return 3;
	return first >= 0xc0 ? 2 : 1;
}

/* Repeats a client's string as it was sent, cut where it is longer than ECHO_MAX. */
static void add_echo(struct text *text, const struct document *document, uint32_t string)
{
	const struct document_token *token = &document->tokens[string];
	const char *start = document->bytes + token->start;
	size_t length = 1, unit;

	if (token->length <= ECHO_MAX + 2) {
		text_add(text, start, token->length);
		return;
	}
	for (;;) {
		unit = unit_length(start + length);
		if (length + unit > ECHO_MAX + 1)
			break;
		length += unit;
	}
	text_add(text, start, length);
	text_add(text, "\"", 1);
}

static struct frame *frame_of_text(struct text *text)
{
	struct frame_part part = {text->start, text->length};
	struct frame *frame = text->failed ? NULL : frame_new(&part, 1);

	text_fini(text);
	return frame;
}

static void add_id(struct text *text, const struct protocol_message *message)
{
	text_add_words(text, "{\"id\":");
	text_add(text, message->id.start, message->id.length);
}

static void add_interval(struct text *text, uint32_t interval_ms)
{
	if (interval_ms == 0)
		return;
	text_add_words(text, ",\"interval\":");
	protocol_write_seconds(text, interval_ms);
}

void protocol_answer_begin(
	struct protocol_answer *answer, const struct protocol_message *message)
{
	*answer = (struct protocol_answer){.message = message};
	add_id(&answer->text, message);
	if (message->uris != 0)
		text_add_words(&answer->text, ",\"ok\":true,\"uris\":[");
}

static void answer_uri(struct protocol_answer *answer, uint32_t uri)
{
	bool many = answer->message->uris != 0;

	text_add_words(&answer->text,
		!many                   ? ",\"ok\":true,\"uri\":"
			: answer->begun ? ",{\"uri\":"
					: "{\"uri\":");
	add_echo(&answer->text, answer->message->document, uri);
	answer->begun = true;
}

void protocol_answer_done(
	struct protocol_answer *answer, uint32_t uri, uint32_t interval_ms)
{
	answer_uri(answer, uri);
	add_interval(&answer->text, interval_ms);
	if (answer->message->uris != 0)
		text_add_words(&answer->text, "}");
}

static void add_instant(struct text *text, const char *name, int64_t at_ms)
{
	char instant[INSTANT_SIZE];

	if (at_ms == 0)
		return;
	text_add_words(text, ",\"");
	text_add_words(text, name);
	text_add_words(text, "\":\"");
	text_add_words(text, instant_write(instant, at_ms));
	text_add_words(text, "\"");
}

void protocol_answer_status(struct protocol_answer *answer, uint32_t uri,
	const struct protocol_status *status)
{
	struct text *text = &answer->text;

	answer_uri(answer, uri);
	if (status->state != RESOURCE_UNKNOWN) {
		text_add_words(text, ",\"state\":\"");
		text_add_words(text, resource_state_name(status->state));
		text_add_words(text, "\"");
	}
	if (status->version != 0) {
		text_add_words(text, ",\"version\":\"");
		text_add_number(text, status->version);
		text_add_words(text, "\"");
	}
	add_interval(text, status->interval_ms);
	add_instant(text, "checked_at", status->checked_at_ms);
	add_instant(text, "changed_at", status->changed_at_ms);
	if (answer->message->uris != 0)
		text_add_words(text, "}");
}

void protocol_answer_refused(
	struct protocol_answer *answer, uint32_t uri, const struct refusal *refusal)
{
	bool many = answer->message->uris != 0;

	if (many)
		answer_uri(answer, uri);
	text_add_words(&answer->text, ",\"error\":");
	refusal_write(refusal, &answer->text);
	if (many)
		text_add_words(&answer->text, "}");
}

struct frame *protocol_answer_end(struct protocol_answer *answer)
{
	text_add_words(&answer->text, answer->message->uris != 0 ? "]}" : "}");
	return frame_of_text(&answer->text);
}

struct frame *protocol_done_frame(const struct protocol_message *message)
{
	struct text text = {0};

	add_id(&text, message);
	text_add_words(&text, ",\"ok\":true}");
	return frame_of_text(&text);
}

struct frame *protocol_refused_frame(const struct protocol_message *message, uint32_t uri,
	const struct refusal *refusal)
{
	struct text text = {0};

	if (message != NULL && message->id.start != NULL) {
		add_id(&text, message);
		text_add_words(&text, ",");
	} else if (message != NULL && uri != 0) {
		text_add_words(&text, "{\"uri\":");
		add_echo(&text, message->document, uri);
		text_add_words(&text, ",");
	} else {
		text_add_words(&text, "{");
	}
	text_add_words(&text, "\"error\":");
	refusal_write(refusal, &text);
	text_add_words(&text, "}");
	return frame_of_text(&text);
}

/* ---- telling ---- */

/* Canonical addresses hold nothing that JSON would escape: see common/address.h. */
static struct frame_part words(const char *text)
{
	return (struct frame_part){text, strlen(text)};
}

struct frame *protocol_content_frame(const char *address, uint64_t version,
	struct bytes content, struct bytes media_type)
{
	struct text quoted = {0};
	struct frame *frame = NULL;
	char version_text[24];

	snprintf(version_text, sizeof(version_text), "%llu", (unsigned long long)version);
	if (media_type.length > 0) {
		text_add_quoted(&quoted, content.start, content.length);
		content = (struct bytes){quoted.start, quoted.length};
	}
	if (!quoted.failed) {
		struct frame_part parts[] = {words("{\"uri\":\""), words(address),
			words("\",\"version\":\""), words(version_text),
			words(media_type.length > 0 ? "\",\"type\":\"" : ""),
			{media_type.start, media_type.length}, words("\",\"content\":"),
			{content.start, content.length}, words("}")};

		frame = frame_new(parts, sizeof(parts) / sizeof(parts[0]));
	}
	text_fini(&quoted);
	return frame;
}

struct frame *protocol_patch_frame(
	const char *address, uint64_t version, uint64_t base, struct bytes patch)
{
	char version_text[24], base_text[24];
	struct frame_part parts[] = {words("{\"uri\":\""), words(address),
		words("\",\"version\":\""), {version_text, 0}, words("\",\"base\":\""),
		{base_text, 0}, words("\",\"patch\":"), {patch.start, patch.length},
		words("}")};

	parts[3].length = (size_t)snprintf(
		version_text, sizeof(version_text), "%llu", (unsigned long long)version);
	parts[5].length = (size_t)snprintf(
		base_text, sizeof(base_text), "%llu", (unsigned long long)base);
	return frame_new(parts, sizeof(parts) / sizeof(parts[0]));
}

struct frame *protocol_state_frame(
	const char *address, enum resource_state state, struct bytes error)
{
	struct frame_part parts[] = {words("{\"uri\":\""), words(address),
		words("\",\"state\":\""), words(resource_state_name(state)),
		words(error.length > 0 ? "\",\"error\":" : "\""),
		{error.start, error.length}, words("}")};

	return frame_new(parts, sizeof(parts) / sizeof(parts[0]));
}
