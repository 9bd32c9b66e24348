/* Heads of HTTP requests, the queries in them, and what they say of proxies. */

#include "gateway/forwarded.h"
#include "gateway/head.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char decoded[HEAD_BYTES_MAX];
	const char *bytes = (const char *)data;
	size_t length = head_length(bytes, size);
	struct bytes query, name, value;
	struct head head;
	struct network all = {.bits = 0};
	struct forwarded_trust everybody = {&all, 1};
	struct network_address peer = {{0}};

	if (length == 0 || length > HEAD_BYTES_MAX ||
		head_parse(&head, bytes, length) != NULL)
		return 0;
	assert(head.path.length > 0 && head.path.start[0] == '/');
	for (size_t i = 0; i < head.field_count; i++)
		assert(head.fields[i].value.start + head.fields[i].value.length <=
			bytes + length);
	forwarded_client(&everybody, &peer, &head);
	query = head.query;
	while (head_next_parameter(&query, &name, &value))
		assert(head_decode(value, decoded) <= (long)value.length);
	return 0;
}
