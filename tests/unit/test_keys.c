#include "common/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_key_is_prefix_name_and_suffix(void **state)
{
	struct key key;

	(void)state;
	key_write(&key, "uricast", KEYS_RESOURCE, "/nodes?bulk=1");
	assert_string_equal(key.text, "uricast:resource:/nodes?bulk=1");
	assert_int_equal(key.length, strlen(key.text));
	key_write(&key, "{uricast:3}", KEYS_TO, "abc");
	assert_string_equal(key.text, "{uricast:3}:to:abc");
	key_write(&key, "uricast", KEYS_UNCLAIMED, "");
	assert_string_equal(key.text, "uricast:unclaimed");
}

static void the_longest_key_fits(void **state)
{
	char prefix[KEYS_PREFIX_MAX + 1], address[2048 + 1];
	struct key key;

	(void)state;
	memset(prefix, 'p', sizeof(prefix) - 1);
	prefix[sizeof(prefix) - 1] = '\0';
	memset(address, 'a', sizeof(address) - 1);
	address[sizeof(address) - 1] = '\0';
	for (int name = 0; name <= KEYS_TO; name++) {
		key_write(&key, prefix, (enum keys_name)name, address);
		assert_int_equal(key.length, strlen(key.text));
	}
}

static void the_suffix_is_found_again(void **state)
{
	const char text[] = "uricast:change:/nodesXXX"; /* not terminated where it ends */
	const char *suffix = key_suffix("uricast", KEYS_CHANGE, text, sizeof(text) - 4);

	(void)state;
	assert_ptr_equal(suffix, text + strlen("uricast:change:"));
	assert_string_equal(key_suffix("uricast", KEYS_WAKE, "uricast:wake", 12), "");
	assert_non_null(key_suffix("u", KEYS_TO, "u:to:", 5));
}

static void another_name_is_not_taken_for_it(void **state)
{
	static const char *const others[] = {"uricast:chang", "uricast:change",
		"uricast:", "uricast", "", "uricast2:change:/a", "uricastXchange:/a",
		"other:change:/a", "uricast:resource:/a"};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_null(
			key_suffix("uricast", KEYS_CHANGE, others[i], strlen(others[i])));
	assert_null(key_suffix("uricast", KEYS_WAKE, "uricast:wakeful", 15));
	assert_null(key_suffix("uricast", KEYS_INTEREST, "uricast:interests:G", 19));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_prefix_name_and_suffix),
		cmocka_unit_test(the_longest_key_fits),
		cmocka_unit_test(the_suffix_is_found_again),
		cmocka_unit_test(another_name_is_not_taken_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
