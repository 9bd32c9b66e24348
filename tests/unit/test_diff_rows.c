#include "common/diff_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS_MAX 12

/* A list of keys. */
struct list {
	uint32_t keys[2 * ROWS_MAX];
	uint32_t count;
};

static uint32_t take(struct list *list, uint32_t place)
{
	uint32_t key = list->keys[place];

	assert_true(place < list->count);
	memmove(&list->keys[place], &list->keys[place + 1],
		(list->count - place - 1) * sizeof(key));
	list->count--;
	return key;
}

static void put(struct list *list, uint32_t place, uint32_t key)
{
	assert_true(place <= list->count);
	memmove(&list->keys[place + 1], &list->keys[place],
		(list->count - place) * sizeof(key));
	list->keys[place] = key;
	list->count++;
}

static void match(
	struct diff_rows *rows, const struct list *before, const struct list *after)
{
	bool unique;

	assert_int_equal(rows_begin(rows, before->count, after->count), 0);
	for (uint32_t i = 0; i < before->count; i++)
		rows->before[i].key = before->keys[i];
	for (uint32_t i = 0; i < after->count; i++)
		rows->after[i].key = after->keys[i];
	assert_int_equal(rows_match(rows, &unique), 0);
	assert_int_equal(rows_keep_in_order(rows), 0);
}

/* Does to @list what the rows say; returns the number of moves. */
static uint32_t carry_out(
	struct diff_rows *rows, struct list *list, const struct list *after)
{
	uint32_t moves = 0, from, to;

	for (uint32_t i = rows->before_count; i-- > 0;) {
		if (rows->before[i].partner == ROWS_NONE)
			take(list, i);
		else if (rows->before[i].paired)
			list->keys[i] = after->keys[rows->before[i].partner];
	}
	assert_int_equal(rows_place_begin(rows), 0);
	for (uint32_t i = 0; i < rows->after_count; i++) {
		switch (rows_place(rows, i, &from, &to)) {
		case ROWS_STAY:
			break;
		case ROWS_ADD:
			put(list, to, after->keys[i]);
			break;
		case ROWS_MOVE:
			put(list, to, take(list, from));
			moves++;
			break;
		}
	}
	return moves;
}

static void check_steps(struct diff_rows *rows, const struct list *before,
	const struct list *after, bool may_move)
{
	struct list list = *before;

	match(rows, before, after);
	if (!may_move)
		rows_part_moved(rows);
	rows_pair_gaps(rows);
	assert_int_equal(carry_out(rows, &list, after), rows->moved);
	assert_int_equal(list.count, after->count);
	assert_memory_equal(list.keys, after->keys, after->count * sizeof(*list.keys));
}

/* @count different keys below @below, in any order. */
static struct list random_list(uint32_t count, uint32_t below)
{
	struct list all = {.count = below}, list = {.count = count};

	for (uint32_t i = 0; i < below; i++)
		all.keys[i] = i;
	for (uint32_t i = 0; i < count; i++)
		list.keys[i] = take(&all, (uint32_t)rand() % all.count);
	return list;
}

static void the_steps_make_any_list_of_any_other(void **state)
{
	struct diff_rows rows = {0};

	(void)state;
	srand(1);
	for (int i = 0; i < 100000; i++) {
		uint32_t below = 1 + (uint32_t)rand() % ROWS_MAX;
		struct list before = random_list((uint32_t)rand() % (below + 1), below);
		struct list after = random_list((uint32_t)rand() % (below + 1), below);

		check_steps(&rows, &before, &after, i % 2);
	}
	rows_fini(&rows);
}

static void lists_with_keys_that_repeat_are_made_of_each_other(void **state)
{
	struct diff_rows rows = {0};

	(void)state;
	srand(1);
	for (int i = 0; i < 100000; i++) {
		struct list lists[2];

		for (int side = 0; side < 2; side++) {
			lists[side].count = (uint32_t)rand() % ROWS_MAX;
			for (uint32_t k = 0; k < lists[side].count; k++)
				lists[side].keys[k] = (uint32_t)rand() % 4;
		}
		check_steps(&rows, &lists[0], &lists[1], i % 2);
	}
	rows_fini(&rows);
}

static void keys_are_unique_only_if_neither_side_repeats_one(void **state)
{
	static const struct {
		uint32_t before[2], after[2];
		bool unique;
	} cases[] = {
		{{1, 2}, {1, 2}, true},
		{{1, 2}, {3, 4}, true},
		{{1, 1}, {1, 2}, false},
		{{1, 2}, {1, 1}, false},
		{{1, 2}, {3, 3}, false},
		{{1, 1}, {2, 3}, false},
	};
	struct diff_rows rows = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool unique;

		assert_int_equal(rows_begin(&rows, 2, 2), 0);
		for (int k = 0; k < 2; k++) {
			rows.before[k].key = cases[i].before[k];
			rows.after[k].key = cases[i].after[k];
		}
		assert_int_equal(rows_match(&rows, &unique), 0);
		assert_int_equal(unique, cases[i].unique);
	}
	rows_fini(&rows);
}

static void no_fewer_rows_could_move(void **state)
{
	static const struct list before = {{0, 1, 2, 3, 4, 5}, 6};
	static const struct {
		struct list after;
		uint32_t moves;
	} cases[] = {
		{{{0, 1, 2, 3, 4, 5}, 6}, 0},
		{{{5, 0, 1, 2, 3, 4}, 6}, 1},
		{{{1, 2, 3, 4, 5, 0}, 6}, 1},
		{{{5, 4, 3, 2, 1, 0}, 6}, 5},
		{{{3, 4, 5, 0, 1, 2}, 6}, 3},
		{{{1, 0, 3, 2, 5, 4}, 6}, 3},
		{{{9, 5, 8, 0, 1, 7}, 6}, 1},
	};
	struct diff_rows rows = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		match(&rows, &before, &cases[i].after);
		assert_int_equal(rows.moved, cases[i].moves);
	}
	rows_fini(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_steps_make_any_list_of_any_other),
		cmocka_unit_test(lists_with_keys_that_repeat_are_made_of_each_other),
		cmocka_unit_test(keys_are_unique_only_if_neither_side_repeats_one),
		cmocka_unit_test(no_fewer_rows_could_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
