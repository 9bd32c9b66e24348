#include "gateway/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *const listed[] = {"https://panel.example.com", "http://[::1]:8080"};

static struct access *access_on(const char *listen, size_t origin_count)
{
	const struct access_settings settings = {
		.listen = listen, .origins = listed, .origin_count = origin_count};
	const char *error;
	struct access *access = access_new(&settings, &error);

	assert_non_null(access);
	return access;
}

static void who_shows_no_origin_may_come(void **state)
{
	struct access *access = access_on("127.0.0.1:7070", 0);

	(void)state;
	assert_int_equal(access_judge(access, NULL, "127.0.0.1:7070"), ACCESS_OK);
	assert_int_equal(access_judge(access, "", "localhost"), ACCESS_OK);
	assert_int_equal(access_judge(access, NULL, NULL), ACCESS_OK);
	access_free(access);
}

static void the_own_origin_is_the_host(void **state)
{
	static const struct {
		const char *origin;
		const char *host;
		enum access_verdict verdict;
	} cases[] = {
		{"http://gw:7070", "gw:7070", ACCESS_OK},
		{"HTTP://GW:7070", "gw:7070", ACCESS_OK},
		{"http://gw", "gw:80", ACCESS_OK},
		{"https://gw", "gw", ACCESS_OK},
		{"https://gw:443", "gw", ACCESS_OK},
		{"http://[::1]:7070", "[::1]:7070", ACCESS_OK},
		{"http://gw:7070", "gw:7071", ACCESS_ORIGIN_DENIED},
		{"https://gw", "gw:80", ACCESS_ORIGIN_DENIED},
		{"http://gw:7070", "", ACCESS_ORIGIN_DENIED},
		{"http://gw.evil.org:7070", "gw:7070", ACCESS_ORIGIN_DENIED},
		{"http://evil.org", "gw:7070", ACCESS_ORIGIN_DENIED},
		{"null", "gw:7070", ACCESS_ORIGIN_DENIED},
		{"http://", "gw:7070", ACCESS_ORIGIN_DENIED},
		{"://gw:7070", "gw:7070", ACCESS_ORIGIN_DENIED},
		{"gw:7070", "gw:7070", ACCESS_ORIGIN_DENIED},
		{"http://gw:7070/x", "gw:7070", ACCESS_ORIGIN_DENIED},
	};
	struct access *access = access_on("0.0.0.0:7070", 0);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(access_judge(access, cases[i].origin, cases[i].host),
			cases[i].verdict);
	access_free(access);
}

static void a_listed_origin_may_come_and_read(void **state)
{
	struct access *access = access_on("0.0.0.0:7070", 2);

	(void)state;
	assert_int_equal(
		access_judge(access, "https://panel.example.com", "gw"), ACCESS_OK);
	assert_int_equal(
		access_judge(access, "https://PANEL.example.com:443", "gw"), ACCESS_OK);
	assert_true(access_origin_listed(access, "http://[::1]:8080"));
	assert_int_equal(access_judge(access, "http://panel.example.com", "gw"),
		ACCESS_ORIGIN_DENIED);
	assert_int_equal(access_judge(access, "https://panel.example.com.evil.org", "gw"),
		ACCESS_ORIGIN_DENIED);
	assert_false(access_origin_listed(access, "http://gw"));
	access_free(access);
}

static void on_loopback_the_host_must_be_loopback(void **state)
{
	static const char *const fine[] = {"localhost", "LOCALHOST:7070",
		"app.localhost:7070", "127.0.0.1:7070", "127.8.9.10", "[::1]:7070",
		"panel.example.com"};
	static const char *const rebound[] = {"evil.example.com:7070",
		"127.0.0.1.evil.org", "localhost.evil.org", "notlocalhost", "10.0.0.1",
		"127.0.0.1x", "[::2]"};
	struct access *access = access_on("127.0.0.1:7070", 1);

	(void)state;
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		assert_int_equal(access_judge(access, NULL, fine[i]), ACCESS_OK);
	for (size_t i = 0; i < sizeof(rebound) / sizeof(rebound[0]); i++) {
		char origin[64];

		snprintf(origin, sizeof(origin), "http://%s", rebound[i]);
		assert_int_equal(
			access_judge(access, origin, rebound[i]), ACCESS_HOST_DENIED);
		assert_int_equal(
			access_judge(access, NULL, rebound[i]), ACCESS_HOST_DENIED);
	}
	access_free(access);
}

static void an_origin_that_is_none_is_a_mistake(void **state)
{
	static char *const wrong[] = {"panel.example.com"};
	const struct access_settings settings = {
		.listen = "0.0.0.0:7070", .origins = wrong, .origin_count = 1};
	const char *error = NULL;

	(void)state;
	assert_null(access_new(&settings, &error));
	assert_non_null(strstr(error, "panel.example.com"));
}

/* ---- tokens ---- */

struct file {
	char path[64];
};

static void file_write(const struct file *file, const char *text)
{
	FILE *stream = fopen(file->path, "w");

	assert_non_null(stream);
	fputs(text, stream);
	fclose(stream);
	chmod(file->path, 0600);
}

static void file_make(struct file *file, const char *text)
{
	strcpy(file->path, "/tmp/uricast_tokens_XXXXXX");
	close(mkstemp(file->path));
	file_write(file, text);
}

static struct access *access_with(const struct file *file, const char **error)
{
	const struct access_settings settings = {
		.listen = "127.0.0.1:7070", .token_file = file->path};

	return access_new(&settings, error);
}

static bool valid(struct access *access, const char *token)
{
	return access_token_valid(access, token, strlen(token));
}

static void only_whole_tokens_of_the_file_are_valid(void **state)
{
	const char *error;
	struct access *access;
	struct file file;

	(void)state;
	file_make(&file, "# of the panel\nfirst-token\n\n  second.token  # of cron\n");
	access = access_with(&file, &error);
	assert_non_null(access);
	assert_true(access_wants_token(access));
	assert_true(valid(access, "first-token"));
	assert_true(valid(access, "second.token"));
	assert_false(valid(access, ""));
	assert_false(valid(access, "first-toke"));
	assert_false(valid(access, "first-tokenf"));
	assert_false(valid(access, "first-tokenfirst-token"));
	assert_false(valid(access, "# of the panel"));
	access_free(access);
	unlink(file.path);
}

static void a_changed_file_is_read_again(void **state)
{
	const char *error;
	struct access *access;
	struct file file;

	(void)state;
	file_make(&file, "old\n");
	access = access_with(&file, &error);
	file_write(&file, "newer\n");
	assert_false(valid(access, "old"));
	assert_true(valid(access, "newer"));
	access_free(access);
	unlink(file.path);
}

static void a_file_gone_wrong_locks_nobody_out(void **state)
{
	const char *error;
	struct access *access;
	struct file file;

	(void)state;
	file_make(&file, "good\n");
	access = access_with(&file, &error);
	file_write(&file, "two words\n");
	assert_true(valid(access, "good"));
	unlink(file.path);
	assert_true(valid(access, "good"));
	access_free(access);
}

static void a_file_without_tokens_is_a_mistake(void **state)
{
	static const char *const wrong[] = {"", "# none\n", "two words\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *error = NULL;
		struct file file;

		file_make(&file, wrong[i]);
		assert_null(access_with(&file, &error));
		assert_non_null(strstr(error, file.path));
		unlink(file.path);
	}
}

static void a_token_is_not_in_the_error(void **state)
{
	const char *error = NULL;
	struct file file;

	(void)state;
	file_make(&file, "sesame open\n");
	assert_null(access_with(&file, &error));
	assert_null(strstr(error, "sesame"));
	assert_non_null(strstr(error, "line 1"));
	unlink(file.path);
}

static void with_tokens_any_host_may_be_named(void **state)
{
	const char *error;
	struct access *access;
	struct file file;

	(void)state;
	file_make(&file, "good\n");
	access = access_with(&file, &error);
	assert_int_equal(access_judge(access, NULL, "panel.example.com"), ACCESS_OK);
	access_free(access);
	unlink(file.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_shows_no_origin_may_come),
		cmocka_unit_test(the_own_origin_is_the_host),
		cmocka_unit_test(a_listed_origin_may_come_and_read),
		cmocka_unit_test(on_loopback_the_host_must_be_loopback),
		cmocka_unit_test(an_origin_that_is_none_is_a_mistake),
		cmocka_unit_test(only_whole_tokens_of_the_file_are_valid),
		cmocka_unit_test(a_changed_file_is_read_again),
		cmocka_unit_test(a_file_gone_wrong_locks_nobody_out),
		cmocka_unit_test(a_file_without_tokens_is_a_mistake),
		cmocka_unit_test(a_token_is_not_in_the_error),
		cmocka_unit_test(with_tokens_any_host_may_be_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
