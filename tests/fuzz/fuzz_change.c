/*
 * Change messages from Redis: whatever is accepted lies within the message and adds up to
 * it.
 */

#include "common/change.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_lie_within(struct bytes part, const char *message, size_t size)
{
	if (part.start == NULL)
		return;
	if (part.start < message || part.start + part.length > message + size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *message = (const char *)data;
	struct change change;

	if (change_parse(&change, message, size) != 0)
		return 0;
	must_lie_within(change.content, message, size);
	must_lie_within(change.patch, message, size);
	must_lie_within(change.error, message, size);
	must_lie_within(change.media_type, message, size);
	if (change.state == RESOURCE_UNKNOWN)
		abort();
	return 0;
}
