/* What is said of a body must not depend on how much of it was looked at. */

#include "common/document_narrow.h"
#include "poller/judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define ROWS 60 /* enough for a body that is not scanned whole */
#define TEXT_MAX 65536

struct text {
	char bytes[TEXT_MAX];
	size_t length;
};

static void write_rows(struct text *text)
{
	char *at = text->bytes;

	at += sprintf(at, "{\"rows\":[");
	for (int i = 0; i < ROWS; i++)
		at += sprintf(at,
			"%s{\"id\":%d,\"status\":\"ACTIVE\",\"note\":\"a few words, so "
			"that it is "
			"a row of some length\",\"in\":{\"a\":[%d,\"\\u00e9\xc3\xa9\"]}}",
			i > 0 ? "," : "", i, i);
	at += sprintf(at, "],\"next\":null}");
	text->length = (size_t)(at - text->bytes);
}

/* Puts @come in the place of the first @gone from @start on. */
static void edit(struct text *text, const char *start, const char *gone, const char *come)
{
	char *at = strstr(strstr(text->bytes, start), gone);
	size_t gone_length = strlen(gone), come_length = strlen(come);

	memmove(at + come_length, at + gone_length, strlen(at + gone_length) + 1);
	memcpy(at, come, come_length);
	text->length += come_length - gone_length;
}

static void ask(struct judgement *judgement, struct judge_scratch *scratch,
	const struct text *base, const struct text *body, bool base_judged)
{
	judgement->is_json = true;
	judgement->base = base->bytes;
	judgement->base_length = base->length;
	judgement->base_judged = base_judged;
	judgement->body = body->bytes;
	judgement->length = body->length;
	judge(judgement, scratch);
}

static void assert_judged_alike(const struct judgement *a, const struct judgement *b)
{
	assert_int_equal(a->outcome, b->outcome);
	assert_int_equal(a->patch.length, b->patch.length);
	if (a->patch.length > 0)
		assert_memory_equal(a->patch.bytes, b->patch.bytes, a->patch.length);
}

static void a_body_is_judged_alike_whether_its_base_was_or_not(void **state)
{
	static const struct {
		const char *start, *gone, *come;
		enum judge_outcome outcome;
	} edits[] = {
		{"\"id\":30", "ACTIVE", "ERROR", JUDGE_CHANGED},
		{"\"id\":0", "ACTIVE", "ERROR", JUDGE_CHANGED},
		{"\"id\":59", "ACTIVE", "ERROR", JUDGE_CHANGED},
		{"\"id\":30", "\"id\":30", "\"id\":300", JUDGE_CHANGED},
		{"\"id\":30", "\\u00e9", "\\u00e8", JUDGE_CHANGED},
		{"\"id\":29", ",{", ",{\"id\":77},{", JUDGE_CHANGED},
		{"\"id\":59", "]}}", "]}},{\"id\":60}", JUDGE_CHANGED},
		{"\"next", "null", "1", JUDGE_CHANGED},
		/* the same in other bytes */
		{"\"id\":30", "\\u00e9", "\xc3\xa9", JUDGE_SAME},
		{"\"id\":30", "\"status\":", "\"status\" : ", JUDGE_SAME},
		{"\"id\":30", "\"id\":30,\"status\":\"ACTIVE\"",
			"\"status\":\"ACTIVE\",\"id\":30", JUDGE_SAME},
		/* what no strict parser takes */
		{"\"id\":30", "\xc3\xa9", "\xc3", JUDGE_WRONG},
		{"\"id\":30", "\\u00e9", "\\ud83d", JUDGE_WRONG},
		{"\"id\":30", "\"status\"", "\"id\"", JUDGE_WRONG},
		{"\"id\":30", "ACTIVE\"", "ACTIVE", JUDGE_WRONG},
		{"\"id\":30", "]}}", "]}}}", JUDGE_WRONG},
		{"\"id\":30", "]}},", "]}}", JUDGE_WRONG},
		{"\"id\":30", ":[30", ":[030", JUDGE_WRONG},
	};
	struct judgement all = {0}, little = {0};
	static struct text base, body;
	struct judge_scratch scratch;

	(void)state;
	judge_scratch_init(&scratch);
	write_rows(&base);
	for (size_t i = 0; i < COUNT(edits); i++) {
		memcpy(&body, &base, sizeof(body));
		edit(&body, edits[i].start, edits[i].gone, edits[i].come);
		ask(&all, &scratch, &base, &body, false);
		ask(&little, &scratch, &base, &body, true);
		if (all.outcome != edits[i].outcome)
			fail_msg("edit %zu is judged %d", i, all.outcome);
		assert_judged_alike(&little, &all);
		if (all.outcome == JUDGE_CHANGED) {
			assert_true(all.patch.length > 0);
		} else if (all.outcome == JUDGE_WRONG) {
			assert_string_equal(little.message, all.message);
		}
	}
	diff_patch_fini(&all.patch);
	diff_patch_fini(&little.patch);
	judge_scratch_fini(&scratch);
}

static void where_little_has_changed_little_is_scanned(void **state)
{
	static struct text base, body;
	struct judgement judgement = {0};
	struct judge_scratch scratch;

	(void)state;
	if (!DOCUMENT_NARROW_PAYS)
		skip();
	judge_scratch_init(&scratch);
	write_rows(&base);
	memcpy(&body, &base, sizeof(body));
	edit(&body, "\"id\":30", "ACTIVE", "ERROR");
	ask(&judgement, &scratch, &base, &body, true);
	assert_true(scratch.after.count < 3 * ROWS);
	ask(&judgement, &scratch, &base, &body, false);
	assert_true(scratch.after.count > 10 * ROWS);
	diff_patch_fini(&judgement.patch);
	judge_scratch_fini(&scratch);
}

/* Row by row the new body goes on as the old one does, but one later. */
static void what_cannot_be_told_from_little_is_told_from_all(void **state)
{
	static const char row[] = "{\"a\":1,\"b\":2}", same[] = "{\"b\":2,\"a\":1}";
	static struct text base, body;
	struct judgement all = {0}, little = {0};
	struct judge_scratch scratch;

	(void)state;
	judge_scratch_init(&scratch);
	write_rows(&base);
	edit(&base, "\"id\":30", "]}}", "]}},{\"a\":1,\"b\":2},{\"a\":1,\"b\":2}");
	memcpy(&body, &base, sizeof(body));
	edit(&body, "\"id\":30", row, "{\"b\":2,\"a\":1},{\"a\":1,\"b\":2}");
	assert_non_null(strstr(body.bytes, same));
	ask(&all, &scratch, &base, &body, false);
	ask(&little, &scratch, &base, &body, true);
	assert_int_equal(little.outcome, JUDGE_CHANGED);
	assert_judged_alike(&little, &all);
	assert_true(scratch.after.count > 10 * ROWS);
	diff_patch_fini(&all.patch);
	diff_patch_fini(&little.patch);
	judge_scratch_fini(&scratch);
}

/* Redis is outside: somebody may have put anything there. */
static void a_base_that_is_no_json_helps_nothing(void **state)
{
	static struct text base, body;
	struct judgement judgement = {0};
	struct judge_scratch scratch;

	(void)state;
	judge_scratch_init(&scratch);
	write_rows(&base);
	memcpy(&body, &base, sizeof(body));
	edit(&body, "\"id\":30", "ACTIVE", "ERROR");
	edit(&base, "\"next", "null", "nul");
	ask(&judgement, &scratch, &base, &body, false);
	assert_int_equal(judgement.outcome, JUDGE_CHANGED);
	assert_int_equal(judgement.patch.length, 0);
	/* nor does it excuse the same mistake */
	edit(&body, "\"next", "null", "nul");
	ask(&judgement, &scratch, &base, &body, false);
	assert_int_equal(judgement.outcome, JUDGE_WRONG);
	diff_patch_fini(&judgement.patch);
	judge_scratch_fini(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_is_judged_alike_whether_its_base_was_or_not),
		cmocka_unit_test(where_little_has_changed_little_is_scanned),
		cmocka_unit_test(what_cannot_be_told_from_little_is_told_from_all),
		cmocka_unit_test(a_base_that_is_no_json_helps_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
