#include "common/reply.h"

#include "common/change.h"
#include "common/memory.h"

#include <string.h>

struct bytes reply_bytes(const redisReply *reply, size_t index)
{
	if (reply->type != REDIS_REPLY_ARRAY || index >= reply->elements ||
		reply->element[index]->type != REDIS_REPLY_STRING)
		return (struct bytes){NULL, 0};
	return (struct bytes){
		reply->element[index]->str, (size_t)reply->element[index]->len};
}

const char *reply_word(const redisReply *reply, size_t index)
{
	struct bytes bytes = reply_bytes(reply, index);

	return bytes.start != NULL ? bytes.start : "";
}

uint64_t reply_number(const redisReply *reply, size_t index)
{
	struct bytes bytes = reply_bytes(reply, index);
	uint64_t number = 0;

	change_number(bytes.start, bytes.length, &number);
	return number;
}

bool reply_is(const redisReply *reply, size_t index, const char *word)
{
	return strcmp(reply_word(reply, index), word) == 0;
}

char *reply_copy(const redisReply *reply, size_t index)
{
	struct bytes bytes = reply_bytes(reply, index);

	return bytes.length > 0 ? xstrndup(bytes.start, bytes.length) : NULL;
}
