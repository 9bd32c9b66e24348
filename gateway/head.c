#include "gateway/head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* Whoever has two of one of these means to be read differently by two readers. */
static const char *const single_fields[] = {"host", "origin", "upgrade", "authorization",
	"content-length", "transfer-encoding", "sec-websocket-key",
	"sec-websocket-version", "sec-websocket-protocol"};

size_t head_length(const char *bytes, size_t length)
{
	const char *end = memmem(bytes, length, "\r\n\r\n", 4);

	return end == NULL ? 0 : (size_t)(end - bytes) + 4;
}

/* RFC 9110, 5.6.2 */
static bool is_token_byte(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
		(byte >= '0' && byte <= '9') ||
		(byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static bool is_token(struct bytes text)
{
	for (size_t i = 0; i < text.length; i++)
		if (!is_token_byte(text.start[i]))
			return false;
	return text.length > 0;
}

/* Takes what is before @mark off @rest, and the mark. False where there is no mark. */
static bool take_until(struct bytes *rest, char mark, struct bytes *taken)
{
	const char *at = memchr(rest->start, mark, rest->length);

	if (at == NULL)
		return false;
	*taken = (struct bytes){rest->start, (size_t)(at - rest->start)};
	rest->start = at + 1;
	rest->length -= taken->length + 1;
	return true;
}

/* Takes a line off @rest, which ends with one. */
static struct bytes take_line(struct bytes *rest)
{
	const char *end = memmem(rest->start, rest->length, "\r\n", 2);
	struct bytes line = {rest->start, (size_t)(end - rest->start)};

	rest->start = end + 2;
	rest->length -= line.length + 2;
	return line;
}

static enum head_method method_of(struct bytes name)
{
	if (bytes_are(name, "GET"))
		return HEAD_METHOD_GET;
	if (bytes_are(name, "HEAD"))
		return HEAD_METHOD_HEAD;
	return bytes_are(name, "OPTIONS") ? HEAD_METHOD_OPTIONS : HEAD_METHOD_OTHER;
}

/* RFC 9112, 3.2.2: a proxy's form of the target names us once more. */
static void skip_authority(struct bytes *target)
{
	static const char scheme[] = "http://";
	size_t length = sizeof(scheme) - 1;
	struct bytes authority;

	if (target->length < length || strncasecmp(target->start, scheme, length) != 0)
		return;
	target->start += length;
	target->length -= length;
	if (!take_until(target, '/', &authority))
		return;
	target->start--;
	target->length++;
}

static const char *parse_request_line(struct head *head, struct bytes line)
{
	struct bytes method, target;

	if (!take_until(&line, ' ', &method) || !is_token(method) ||
		!take_until(&line, ' ', &target))
		return "the request line is not one of HTTP/1.1";
	head->method = method_of(method);
	if (bytes_are(line, "HTTP/1.1"))
		head->keep_alive = true;
	else if (!bytes_are(line, "HTTP/1.0"))
		return "the version is not HTTP/1.1";
	for (size_t i = 0; i < target.length; i++)
		if ((unsigned char)target.start[i] <= ' ' ||
			(unsigned char)target.start[i] >= 0x7f)
			return "the target holds a byte that must be percent-encoded";
	skip_authority(&target);
	if (target.length == 0 || target.start[0] != '/')
		return "the target is not a path";
	if (take_until(&target, '?', &head->path))
		head->query = target;
	else
		head->path = target;
	return NULL;
}

static const char *parse_field(struct head *head, struct bytes line)
{
	struct bytes name;

	if (!take_until(&line, ':', &name) || !is_token(name))
		return "a header line is not \"name: value\"";
	for (size_t i = 0; i < line.length; i++)
		if (((unsigned char)line.start[i] < ' ' && line.start[i] != '\t') ||
			line.start[i] == 0x7f)
			return "a header holds a control byte";
	if (head->field_count == HEAD_FIELDS_MAX)
		return "there are more than 64 headers";
	head->fields[head->field_count].name = name;
	head->fields[head->field_count].value = bytes_trim(line);
	head->field_count++;
	return NULL;
}

static const char *check_single_fields(const struct head *head)
{
	for (size_t i = 0; i < sizeof(single_fields) / sizeof(single_fields[0]); i++) {
		int count = 0;

		for (size_t j = 0; j < head->field_count; j++)
			count += bytes_are_any_case(
				head->fields[j].name, single_fields[i]);
		if (count > 1)
			return "a header that may stand once stands twice";
	}
	return NULL;
}

static const char *parse_framing(struct head *head)
{
	struct bytes length = head_field(head, "content-length");

	head->has_body = head_field(head, "transfer-encoding").start != NULL;
	if (length.start != NULL && !bytes_are(length, "0"))
		head->has_body = true;
	if (head->keep_alive && head_field(head, "host").start == NULL)
		return "there is no Host header";
	if (head_has_word(head, "connection", "close"))
		head->keep_alive = false;
	else if (head_has_word(head, "connection", "keep-alive"))
		head->keep_alive = true;
	return NULL;
}

const char *head_parse(struct head *head, const char *bytes, size_t length)
{
	struct bytes rest = {bytes, length};
	const char *wrong;

	head->field_count = 0;
	head->path = (struct bytes){NULL, 0};
	head->query = (struct bytes){NULL, 0};
	head->keep_alive = false;
	head->has_body = false;
	wrong = parse_request_line(head, take_line(&rest));
	while (wrong == NULL && rest.length > 2)
		wrong = parse_field(head, take_line(&rest));
	if (wrong == NULL)
		wrong = check_single_fields(head);
	return wrong != NULL ? wrong : parse_framing(head);
}

struct bytes head_field(const struct head *head, const char *name)
{
	for (size_t i = 0; i < head->field_count; i++)
		if (bytes_are_any_case(head->fields[i].name, name))
			return head->fields[i].value;
	return (struct bytes){NULL, 0};
}

bool head_has_word(const struct head *head, const char *name, const char *word)
{
	for (size_t i = 0; i < head->field_count; i++) {
		struct bytes list = head->fields[i].value, entry;

		if (!bytes_are_any_case(head->fields[i].name, name))
			continue;
		while (bytes_next_entry(&list, ',', &entry))
			if (bytes_are_any_case(entry, word))
				return true;
	}
	return false;
}

bool head_next_parameter(struct bytes *query, struct bytes *name, struct bytes *value)
{
	struct bytes parameter;

	if (query->start == NULL || query->length == 0)
		return false;
	if (!take_until(query, '&', &parameter)) {
		parameter = *query;
		*query = (struct bytes){NULL, 0};
	}
	if (take_until(&parameter, '=', name)) {
		*value = parameter;
	} else {
		*name = parameter;
		*value = (struct bytes){parameter.start + parameter.length, 0};
	}
	return true;
}

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

long head_decode(struct bytes text, char *buffer)
{
	long written = 0;

	for (size_t i = 0; i < text.length; i++) {
		char byte = text.start[i];

		if (byte == '+')
			byte = ' ';
		if (byte == '%') {
			int high =
				i + 2 < text.length ? hex_digit(text.start[i + 1]) : -1;
			int low = high < 0 ? -1 : hex_digit(text.start[i + 2]);

			if (low < 0)
				return -EILSEQ;
			byte = (char)(high << 4 | low);
			i += 2;
		}
		buffer[written++] = byte;
	}
	return written;
}
