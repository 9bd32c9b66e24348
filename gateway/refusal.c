#include "gateway/refusal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void refusal_set(struct refusal *refusal, const char *code, const char *format, ...)
{
	va_list arguments;

	refusal->code = code;
	refusal->canonical[0] = '\0';
	va_start(arguments, format);
	vsnprintf(refusal->message, sizeof(refusal->message), format, arguments);
	va_end(arguments);
}

void refusal_write(const struct refusal *refusal, struct text *text)
{
	text_add_words(text, "{\"code\":\"");
	text_add_words(text, refusal->code);
	text_add_words(text, "\",\"message\":");
	text_add_quoted(text, refusal->message, strlen(refusal->message));
	if (refusal->canonical[0] != '\0') {
		text_add_words(text, ",\"canonical\":");
		text_add_quoted(text, refusal->canonical, strlen(refusal->canonical));
	}
	text_add_words(text, "}");
}

static void set_not_canonical(
	struct refusal *refusal, const char *canonical, size_t length)
{
	refusal_set(refusal, "not_canonical",
		"the canonical form of this address is %.*s", (int)length, canonical);
	memcpy(refusal->canonical, canonical, length);
	refusal->canonical[length] = '\0';
}

bool refusal_parse_address(struct refusal *refusal, struct address *address,
	const char *bytes, size_t length)
{
	enum address_error error = address_parse(address, bytes, length);

	if (error == ADDRESS_OK)
		return true;
	if (error == ADDRESS_NOT_CANONICAL)
		set_not_canonical(refusal, address->text, address->length);
	else
		refusal_set(refusal, "bad_address", "%s", address_error_text(error));
	return false;
}

bool refusal_resolve(struct refusal *refusal, const struct catalog *catalog,
	const struct address *address, struct catalog_target *target)
{
	enum catalog_outcome outcome = catalog_resolve(catalog, address, target);

	if (outcome == CATALOG_OK || outcome == CATALOG_AGGREGATE)
		return true;
	if (outcome == CATALOG_NOT_CANONICAL)
		set_not_canonical(refusal, address->uri.start, address->uri.length);
	else
		refusal_set(refusal,
			outcome == CATALOG_RAW_DENIED ? "raw_denied" : "unknown_address",
			"%s", catalog_outcome_text(outcome));
	return false;
}
