/*
 * Memory that runs out, at every single allocation of a scan and a diff. To be linked
 * with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc.
 */

#include "common/diff.h"
#include "common/document_narrow.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

/* How many allocations succeed before one fails; below 0: all do. */
static int left = -1;

static bool fails(void)
{
	return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

/* More than @count tokens, in an object with more names than are compared in pairs. */
static char *long_text(int count, int changed)
{
	char *text = malloc((size_t)count * 64 + 64), *at = text;

	*at++ = '{';
	for (int i = 0; i < count; i++)
		at += sprintf(at,
			"\"member\\u0020%d\":[{\"id\":%d},{\"id\":2,\"t\":%d}],",
			i + (i % 3 == 2 ? changed : 0), i % 5 == 4 ? changed : 0,
			changed);
	strcpy(at, "\"last\":[1,2,3]}");
	return text;
}

static void a_scan_without_memory_says_so_and_can_be_repeated(void **state)
{
	char *text = long_text(200, 0);
	enum document_error error;
	struct document document;
	int allocations = 0;

	(void)state;
	do {
		document_init(&document);
		left = allocations;
		error = document_scan(&document, text, strlen(text), NULL);
		left = -1;
		if (error) {
			assert_int_equal(error, DOCUMENT_NO_MEMORY);
			assert_int_equal(
				document_scan(&document, text, strlen(text), NULL),
				DOCUMENT_OK);
			allocations++;
		}
		document_fini(&document);
	} while (error);
	assert_true(allocations > 3);
	free(text);
}

static void a_scan_with_help_without_memory_says_so_and_can_be_repeated(void **state)
{
	char *texts[] = {long_text(200, 0), long_text(200, 1000)};
	struct document like, document;
	enum document_error error;
	int allocations = 0;

	(void)state;
	document_init(&like);
	assert_int_equal(
		document_scan(&like, texts[0], strlen(texts[0]), NULL), DOCUMENT_OK);
	do {
		document_init(&document);
		left = allocations;
		error = document_scan_like(
			&document, &like, texts[1], strlen(texts[1]), NULL);
		left = -1;
		if (error) {
			assert_int_equal(error, DOCUMENT_NO_MEMORY);
			assert_int_equal(document.count, 0);
			allocations++;
		}
		document_fini(&document);
	} while (error);
	assert_true(allocations > 3);
	document_fini(&like);
	free(texts[0]);
	free(texts[1]);
}

/* Where one part finds no memory a larger one may find it, so either answer will do. */
static void two_texts_that_found_no_memory_can_be_narrowed_again(void **state)
{
	char *texts[] = {long_text(200, 0), long_text(200, 0)};
	size_t length = strlen(texts[0]);
	struct document before, after;

	(void)state;
	texts[1][length - 3]++;
	for (int allocations = 0; allocations < 5; allocations++) {
		document_init(&before);
		document_init(&after);
		left = allocations;
		document_narrow(&before, texts[0], length, &after, texts[1], length, 100);
		left = -1;
		assert_true(document_narrow(
			&before, texts[0], length, &after, texts[1], length, 100));
		document_fini(&before);
		document_fini(&after);
	}
	left = 0;
	document_init(&before);
	document_init(&after);
	assert_false(document_narrow(
		&before, texts[0], length, &after, texts[1], length, 100));
	left = -1;
	document_fini(&before);
	document_fini(&after);
	free(texts[0]);
	free(texts[1]);
}

static void a_diff_without_memory_says_so_and_can_be_repeated(void **state)
{
	static const char *const ignore[] = {"/last/0", "/*/*/t"};
	static const struct diff_rules rules = {.ignore = ignore, .ignore_count = 2};
	char *texts[] = {long_text(200, 0), long_text(200, 1000)};
	struct document before, after;
	int allocations = 0, outcome;

	(void)state;
	document_init(&before);
	document_init(&after);
	assert_int_equal(
		document_scan(&before, texts[0], strlen(texts[0]), NULL), DOCUMENT_OK);
	assert_int_equal(
		document_scan(&after, texts[1], strlen(texts[1]), NULL), DOCUMENT_OK);
	do {
		struct diff_patch patch = {0};

		left = allocations;
		outcome = diff_documents(&patch, &before, &after, &rules);
		left = -1;
		if (outcome < 0) {
			assert_int_equal(outcome, -ENOMEM);
			assert_int_equal(patch.length, 0);
			assert_int_equal(diff_documents(&patch, &before, &after, &rules),
				DIFF_PATCH);
			allocations++;
		}
		diff_patch_fini(&patch);
	} while (outcome < 0);
	assert_int_equal(outcome, DIFF_PATCH);
	assert_true(allocations > 10);
	document_fini(&before);
	document_fini(&after);
	free(texts[0]);
	free(texts[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scan_without_memory_says_so_and_can_be_repeated),
		cmocka_unit_test(
			a_scan_with_help_without_memory_says_so_and_can_be_repeated),
		cmocka_unit_test(two_texts_that_found_no_memory_can_be_narrowed_again),
		cmocka_unit_test(a_diff_without_memory_says_so_and_can_be_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
