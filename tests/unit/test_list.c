#include "common/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
	int number;
	struct list link;
};

static void links_come_back_in_the_order_they_went_in(void **state)
{
	struct item items[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
	struct list list;
	int seen = 0;

	(void)state;
	list_init(&list);
	assert_true(list_empty(&list));
	for (int i = 0; i < 3; i++)
		list_append(&list, &items[i].link);
	list_each (link, &list)
		assert_int_equal(container_of(link, struct item, link)->number, seen++);
	assert_int_equal(seen, 3);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(list_take(&list), &items[i].link);
	assert_null(list_take(&list));
}

static void the_current_link_may_go_while_walking(void **state)
{
	struct item items[3];
	struct list list;

	(void)state;
	list_init(&list);
	for (int i = 0; i < 3; i++)
		list_append(&list, &items[i].link);
	list_each (link, &list)
		list_remove(link);
	assert_true(list_empty(&list));
}

static void removing_twice_does_no_harm(void **state)
{
	struct item a, b;
	struct list list;

	(void)state;
	list_init(&list);
	list_append(&list, &a.link);
	list_append(&list, &b.link);
	list_remove(&a.link);
	assert_ptr_equal(list_take(&list), &b.link);
	list_remove(&a.link);
	assert_true(list_empty(&list));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_come_back_in_the_order_they_went_in),
		cmocka_unit_test(the_current_link_may_go_while_walking),
		cmocka_unit_test(removing_twice_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
