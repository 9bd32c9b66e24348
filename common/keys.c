#include "common/keys.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const key_texts[] = {
#define KEY(c_name, lua_name, text) [c_name] = (text),
	KEYS_EACH(KEY)
#undef KEY
};

void key_write(
	struct key *key, const char *prefix, enum keys_name name, const char *suffix)
{
	int length = snprintf(
		key->text, sizeof(key->text), "%s:%s%s", prefix, key_texts[name], suffix);

	assert(length > 0 && (size_t)length < sizeof(key->text));
	key->length = (size_t)length;
}

const char *key_suffix(
	const char *prefix, enum keys_name name, const char *text, size_t length)
{
	size_t prefix_length = strlen(prefix);
	size_t name_length = strlen(key_texts[name]);

	if (length < prefix_length + 1 + name_length)
		return NULL;
	if (memcmp(text, prefix, prefix_length) != 0 || text[prefix_length] != ':')
		return NULL;
	if (memcmp(text + prefix_length + 1, key_texts[name], name_length) != 0)
		return NULL;
	text += prefix_length + 1 + name_length;
	length -= prefix_length + 1 + name_length;
	/* What stands alone has no colon at its end: more would be another name. */
	if (length > 0 && key_texts[name][name_length - 1] != ':')
		return NULL;
	return text;
}
