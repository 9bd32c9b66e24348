#include "common/address.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

/* What a byte may be in an address; see RFC 3986, 2.2 and 2.3. */
enum byte_class {
	BYTE_REFUSED = 0, /* outside RFC 3986 */
	BYTE_UNRESERVED,  /* the same resource escaped or not, so never escaped here */
	BYTE_RESERVED,    /* may mean something; stays as written */
	BYTE_NAME_START = 4,
	BYTE_NAME = 8,
};

#define UNRESERVED_NAME (BYTE_UNRESERVED | BYTE_NAME)
#define UNRESERVED_NAME_START (UNRESERVED_NAME | BYTE_NAME_START)

static const unsigned char byte_classes[256] = {
	['a' ... 'z'] = UNRESERVED_NAME_START,
	['A' ... 'Z'] = UNRESERVED_NAME_START,
	['0' ... '9'] = UNRESERVED_NAME_START,
	['-'] = UNRESERVED_NAME_START,
	['_'] = UNRESERVED_NAME_START,
	['.'] = UNRESERVED_NAME,
	['~'] = BYTE_UNRESERVED,
	[':'] = BYTE_RESERVED,
	['/'] = BYTE_RESERVED,
	['?'] = BYTE_RESERVED,
	['['] = BYTE_RESERVED,
	[']'] = BYTE_RESERVED,
	['@'] = BYTE_RESERVED,
	['!'] = BYTE_RESERVED,
	['$'] = BYTE_RESERVED,
	['&'] = BYTE_RESERVED,
	['\''] = BYTE_RESERVED,
	['('] = BYTE_RESERVED,
	[')'] = BYTE_RESERVED,
	['*'] = BYTE_RESERVED,
	['+'] = BYTE_RESERVED,
	[','] = BYTE_RESERVED,
	[';'] = BYTE_RESERVED,
	['='] = BYTE_RESERVED,
};

static const char *const error_texts[] = {
	[ADDRESS_OK] = "the address is fine",
	[ADDRESS_EMPTY] = "the address is empty",
	[ADDRESS_TOO_LONG] = "the address is longer than 2048 bytes",
	[ADDRESS_CONTROL_BYTE] = "the address holds a control byte",
	[ADDRESS_RAW_BYTE] = "the address holds a byte that must be percent-encoded, "
			     "such as a space, a "
			     "quote, a backslash or one that is not ASCII",
	[ADDRESS_BROKEN_ESCAPE] = "the address holds a % without two hex digits after it",
	[ADDRESS_DOT_SEGMENT] = "the address holds a . or .. segment",
	[ADDRESS_DOUBLE_SLASH] = "the address starts with //",
	[ADDRESS_USERINFO] =
		"the address names a host, a user or a scheme; only a path below "
		"a configured upstream can be watched",
	[ADDRESS_FRAGMENT] = "the address holds a fragment (#)",
	[ADDRESS_NAME] =
		"a service, region, resource type or item in the address is not a "
		"plain name",
	[ADDRESS_SHAPE] = "the address is neither /uri, nor service/region/type, nor "
			  "service/region:/uri",
	[ADDRESS_NOT_CANONICAL] = "the address is not in its canonical form",
};

static bool is_control(unsigned char byte)
{
	return byte < 0x20 || byte == 0x7f;
}

static int hex_value(unsigned char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit |= 0x20;
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The byte that the escape at @text stands for, or -1 where it is broken. */
static int read_escape(const char *text, size_t length)
{
	int high, low;

	if (length < 3)
		return -1;
	high = hex_value((unsigned char)text[1]);
	low = hex_value((unsigned char)text[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Every byte and every escape for itself, the query's too. */
static enum address_error judge_bytes(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];
		int meant = byte;

		if (byte == '%') {
			meant = read_escape(text + i, length - i);
			if (meant < 0)
				return ADDRESS_BROKEN_ESCAPE;
			i += 2;
		}
		if (is_control((unsigned char)meant))
			return ADDRESS_CONTROL_BYTE;
		if (byte == '#')
			return ADDRESS_FRAGMENT;
		if (byte != '%' && byte_classes[byte] == BYTE_REFUSED)
			return ADDRESS_RAW_BYTE;
	}
	return ADDRESS_OK;
}

/* How much of the segment being read counts for telling . and .. from names. */
struct segment {
	size_t dots;
	bool other;  /* holds something else than dots */
	bool params; /* past its first ; */
};

static bool is_dot_segment(const struct segment *segment)
{
	return !segment->other && (segment->dots == 1 || segment->dots == 2);
}

/*
 * Whether a server that decodes the path once could see a . or .. segment in it, be it
 * one that splits at \ or one that drops ;params.
 */
static bool has_dot_segment(const char *path, size_t length)
{
	struct segment segment = {0};

	for (size_t i = 0; i < length; i++) {
		int byte = (unsigned char)path[i];

		if (byte == '%') {
			byte = read_escape(path + i, length - i);
			i += 2;
		}
		if (byte == '/' || byte == '\\') {
			if (is_dot_segment(&segment))
				return true;
			segment = (struct segment){0};
		} else if (byte == ';') {
			segment.params = true;
		} else if (!segment.params) {
			segment.dots += byte == '.';
			segment.other |= byte != '.';
		}
	}
	return is_dot_segment(&segment);
}

static void append(struct address *address, const char *bytes, size_t length)
{
	memcpy(address->text + address->length, bytes, length);
	address->length += length;
}

/* Escapes in upper-case hex, unreserved bytes unescaped. Never longer than @path. */
static void canonicalise_path(struct address *address, const char *path, size_t length)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < length; i++) {
		char escape[3] = {path[i]};
		size_t escape_length = 1;

		if (path[i] == '%') {
			int byte = read_escape(path + i, length - i);

			i += 2;
			if (byte_classes[byte] & BYTE_UNRESERVED) {
				escape[0] = (char)byte;
			} else {
				escape[1] = digits[byte >> 4];
				escape[2] = digits[byte & 15];
				escape_length = 3;
			}
		}
		append(address, escape, escape_length);
	}
}

static void canonicalise(
	struct address *address, const char *text, size_t length, size_t path_length)
{
	address->length = 0;
	canonicalise_path(address, text, path_length);
	if (length - path_length > 1)
		append(address, text + path_length, length - path_length);
	assert(address->length <= length);
	address->text[address->length] = '\0';
}

static bool part_has(const struct address_part *part, char byte)
{
	return memchr(part->start, byte, part->length) != NULL;
}

static bool is_plain_name(const struct address_part *part)
{
	if (part->length == 0 ||
		!(byte_classes[(unsigned char)part->start[0]] & BYTE_NAME_START))
		return false;
	for (size_t i = 1; i < part->length; i++) {
		if (!(byte_classes[(unsigned char)part->start[i]] & BYTE_NAME))
			return false;
	}
	return true;
}

/* An item's id comes from the upstream: any text, but one segment and no query. */
static bool is_item_id(const struct address_part *part)
{
	if (part->length == 0 || part_has(part, '?'))
		return false;
	for (size_t i = 0; i + 2 < part->length; i++) {
		if (part->start[i] == '%' && read_escape(part->start + i, 3) == '/')
			return false;
	}
	return true;
}

/* Splits @names at /; false where they are too many. */
static bool split_names(struct address *address, const char *names, size_t length)
{
	const char *end = names + length, *slash;

	address->name_count = 0;
	for (;; names = slash + 1) {
		if (address->name_count == ADDRESS_NAMES_MAX)
			return false;
		slash = memchr(names, '/', (size_t)(end - names));
		address->names[address->name_count++] = (struct address_part){
			.start = names,
			.length = (size_t)((slash ? slash : end) - names),
		};
		if (!slash)
			return true;
	}
}

/* user@host, host:port/…, http:…, all of them meant for a URL parser. */
static bool names_a_host(const struct address_part *first)
{
	return part_has(first, '@') || part_has(first, ':');
}

static enum address_error parse_names(
	struct address *address, size_t length, size_t least, size_t most)
{
	bool few = split_names(address, address->text, length);
	size_t plain;

	if (names_a_host(&address->names[0]))
		return ADDRESS_USERINFO;
	if (!few || address->name_count < least || address->name_count > most)
		return ADDRESS_SHAPE;

	/* The third name may be a type or an item: only the catalog can tell. */
	plain = address->name_count < 3 ? address->name_count : address->name_count - 1;
	for (size_t i = 0; i < plain; i++) {
		if (!is_plain_name(&address->names[i]))
			return ADDRESS_NAME;
	}
	if (plain < address->name_count && !is_item_id(&address->names[plain]))
		return ADDRESS_NAME;
	return ADDRESS_OK;
}

static enum address_error parse_uri(struct address *address, size_t start)
{
	address->uri.start = address->text + start;
	address->uri.length = address->length - start;
	if (address->uri.length > 1 && address->uri.start[1] == '/')
		return ADDRESS_DOUBLE_SLASH;
	return ADDRESS_OK;
}

static enum address_error parse_raw(struct address *address, size_t colon)
{
	enum address_error error;

	address->kind = ADDRESS_RAW;
	error = parse_names(address, colon, 1, 2);
	if (error)
		return error;
	error = parse_uri(address, colon + 1);
	if (error == ADDRESS_DOUBLE_SLASH && address->name_count == 1)
		return ADDRESS_USERINFO; /* http://host/ is more often meant than dns:… */
	return error;
}

/* Finds the kind and the parts of the canonical text. */
static enum address_error parse_parts(struct address *address)
{
	const char *colon;

	address->name_count = 0;
	address->uri = (struct address_part){0};
	if (address->text[0] == '/') {
		address->kind = ADDRESS_URI;
		return parse_uri(address, 0);
	}
	colon = strstr(address->text, ":/");
	if (colon)
		return parse_raw(address, (size_t)(colon - address->text));
	address->kind = ADDRESS_NAMES;
	return parse_names(address, address->length, 2, ADDRESS_NAMES_MAX);
}

enum address_error address_parse(struct address *address, const char *text, size_t length)
{
	enum address_error error;
	const char *query;
	size_t path_length;

	if (length == 0)
		return ADDRESS_EMPTY;
	if (length > ADDRESS_MAX)
		return ADDRESS_TOO_LONG;
	error = judge_bytes(text, length);
	if (error)
		return error;

	query = memchr(text, '?', length);
	path_length = query ? (size_t)(query - text) : length;
	if (has_dot_segment(text, path_length))
		return ADDRESS_DOT_SEGMENT;
	canonicalise(address, text, length, path_length);
	error = parse_parts(address);
	if (error)
		return error;
	if (address->length != length || memcmp(address->text, text, length) != 0)
		return ADDRESS_NOT_CANONICAL;
	return ADDRESS_OK;
}

const char *address_error_text(enum address_error error)
{
	return error_texts[error];
}
