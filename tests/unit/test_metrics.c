#include "common/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t count_of(const char *text, const char *part)
{
	size_t count = 0;

	for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
		count++;
	return count;
}

static void a_value_stands_below_its_help_and_type(void **state)
{
	struct metrics metrics = {0};
	size_t length;
	char *text;

	(void)state;
	metrics_set(&metrics, METRIC_REDIS_UP, 1);
	metrics_add(&metrics, METRIC_REDIS_COMMANDS, 40);
	metrics_add(&metrics, METRIC_REDIS_COMMANDS, 2);
	text = metrics_write(&metrics, METRICS_GATEWAY, &length);
	assert_int_equal(length, strlen(text));
	assert_non_null(strstr(text,
		"# HELP uricast_redis_commands_total Commands sent to Redis, a script "
		"counted as one.\n"
		"# TYPE uricast_redis_commands_total counter\n"
		"uricast_redis_commands_total 42\n"));
	assert_non_null(strstr(text,
		"# TYPE uricast_redis_up gauge\n"
		"uricast_redis_up 1\n"));
	free(text);
}

static void labels_share_one_help_and_type(void **state)
{
	struct metrics metrics = {0};
	size_t length;
	char *text;

	(void)state;
	metrics_set(&metrics, METRIC_POLLS_CHANGED, 7);
	text = metrics_write(&metrics, METRICS_POLLER, &length);
	assert_int_equal(count_of(text, "# HELP uricast_poller_polls_total "), 1);
	assert_int_equal(
		count_of(text, "# TYPE uricast_poller_polls_total counter\n"), 1);
	assert_int_equal(count_of(text, "\nuricast_poller_polls_total{outcome=\""), 4);
	assert_non_null(
		strstr(text, "\nuricast_poller_polls_total{outcome=\"changed\"} 7\n"));
	free(text);
}

static void each_process_shows_its_own_and_the_common_ones(void **state)
{
	struct metrics metrics = {0};
	size_t length;
	char *gateway, *poller;

	(void)state;
	gateway = metrics_write(&metrics, METRICS_GATEWAY, &length);
	poller = metrics_write(&metrics, METRICS_POLLER, &length);
	assert_int_equal(count_of(gateway, "uricast_poller_"), 0);
	assert_int_equal(count_of(poller, "uricast_gateway_"), 0);
	assert_int_equal(count_of(gateway, "\nuricast_gateway_clients "), 1);
	assert_int_equal(count_of(poller, "\nuricast_poller_resources "), 1);
	assert_non_null(strstr(gateway, "uricast_start_time_seconds 0\n"));
	assert_non_null(strstr(poller, "uricast_start_time_seconds 0\n"));
	free(gateway);
	free(poller);
}

/* What Prometheus refuses: a name that comes again after another one. */
static void every_name_is_described_once_and_stands_together(void **state)
{
	static const char *const kinds[] = {"counter", "gauge"};
	struct metrics metrics = {0};
	char name[128], head[160];
	size_t length, lines = 0;
	char *text;

	(void)state;
	text = metrics_write(&metrics, METRICS_BOTH, &length);
	for (char *line = strtok(strdupa(text), "\n"); line; line = strtok(NULL, "\n")) {
		if (*line == '#')
			continue;
		lines++;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(line, "{ "), line);
		snprintf(head, sizeof(head), "# HELP %s ", name);
		assert_int_equal(count_of(text, head), 1);
		snprintf(head, sizeof(head), "# TYPE %s %s\n", name,
			kinds[strstr(name, "_total") ? 0 : 1]);
		assert_int_equal(count_of(text, head), 1);
	}
	assert_int_equal(lines, METRIC_COUNT);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_stands_below_its_help_and_type),
		cmocka_unit_test(labels_share_one_help_and_type),
		cmocka_unit_test(each_process_shows_its_own_and_the_common_ones),
		cmocka_unit_test(every_name_is_described_once_and_stands_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
