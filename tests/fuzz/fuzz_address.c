/*
 * Addresses: whatever is accepted is canonical, stays so, and holds nothing that could
 * leave the base URL.
 */

#include "common/address.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_canonical(const struct address *address)
{
	static struct address again;

	if (address_parse(&again, address->text, address->length) != ADDRESS_OK ||
		again.length != address->length ||
		memcmp(again.text, address->text, again.length) != 0)
		abort();
}

static void must_stay_below(const struct address *address)
{
	const struct address_part uri = address->uri;

	if (address->kind == ADDRESS_NAMES)
		return;
	if (uri.length == 0 || uri.start[0] != '/' ||
		(uri.length > 1 && uri.start[1] == '/'))
		abort();
	for (size_t i = 0; i < uri.length; i++) {
		if (uri.start[i] <= ' ' || uri.start[i] == '\\' || uri.start[i] == '#' ||
			(unsigned char)uri.start[i] >= 0x7f)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct address address;
	enum address_error error = address_parse(&address, (const char *)data, size);

	if (error != ADDRESS_OK && error != ADDRESS_NOT_CANONICAL)
		return address_error_text(error) == NULL;
	if (address.length > ADDRESS_MAX || strlen(address.text) != address.length)
		abort();
	must_be_canonical(&address);
	must_stay_below(&address);
	return 0;
}
