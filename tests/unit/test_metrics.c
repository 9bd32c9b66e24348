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
	assert_int_equal(count_of(gateway, "\nuricast_gateway_clients{wire="), 4);
	assert_int_equal(count_of(poller, "\nuricast_poller_resources "), 1);
	assert_non_null(strstr(gateway, "\nprocess_start_time_seconds 0\n"));
	assert_non_null(strstr(poller, "\nprocess_start_time_seconds 0\n"));
	free(gateway);
	free(poller);
}

static void a_histogram_counts_each_duration_in_every_bucket_that_it_fits(void **state)
{
	struct metrics metrics = {0};
	struct metrics_histogram *histogram =
		&metrics.histograms[HISTOGRAM_REDIS_COMMAND];
	size_t length;
	char *text;

	(void)state;
	metrics_histogram_add(histogram, -5); /* as 0 */
	metrics_histogram_add(histogram, 100);
	metrics_histogram_add(histogram, 101);
	metrics_histogram_add(histogram, 61000000);
	metrics_observe_ms(&metrics, HISTOGRAM_REDIS_COMMAND, 2);
	text = metrics_write(&metrics, METRICS_POLLER, &length);
	assert_non_null(strstr(text,
		"# TYPE uricast_redis_command_duration_seconds histogram\n"
		"uricast_redis_command_duration_seconds_bucket{le=\"0.0001\"} 2\n"
		"uricast_redis_command_duration_seconds_bucket{le=\"0.00025\"} 3\n"));
	assert_non_null(strstr(text, "_bucket{le=\"0.001\"} 3\n"));
	assert_non_null(strstr(text, "_bucket{le=\"0.0025\"} 4\n"));
	assert_non_null(strstr(text,
		"uricast_redis_command_duration_seconds_bucket{le=\"60\"} 4\n"
		"uricast_redis_command_duration_seconds_bucket{le=\"+Inf\"} 5\n"
		"uricast_redis_command_duration_seconds_sum 61.002201\n"
		"uricast_redis_command_duration_seconds_count 5\n"));
	free(text);
}

static void what_is_kept_in_microseconds_is_shown_in_seconds(void **state)
{
	struct metrics metrics = {0};
	size_t length;
	char *text;

	(void)state;
	metrics_set(&metrics, METRIC_CPU, 1500000);
	text = metrics_write(&metrics, METRICS_GATEWAY, &length);
	assert_non_null(strstr(text,
		"# TYPE process_cpu_seconds_total counter\n"
		"process_cpu_seconds_total 1.5\n"));
	free(text);
}

static void promtool_finds_nothing_to_say(void **state)
{
	struct metrics metrics = {0};

	(void)state;
	if (system("command -v promtool >/dev/null") != 0)
		skip();
	for (int process = METRICS_GATEWAY; process <= METRICS_BOTH; process++) {
		FILE *promtool = popen("promtool check metrics 2>&1", "w");
		size_t length;
		char *text = metrics_write(&metrics, process, &length);

		assert_non_null(promtool);
		assert_int_equal(fwrite(text, 1, length, promtool), length);
		assert_int_equal(pclose(promtool), 0);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_stands_below_its_help_and_type),
		cmocka_unit_test(labels_share_one_help_and_type),
		cmocka_unit_test(each_process_shows_its_own_and_the_common_ones),
		cmocka_unit_test(
			a_histogram_counts_each_duration_in_every_bucket_that_it_fits),
		cmocka_unit_test(what_is_kept_in_microseconds_is_shown_in_seconds),
		cmocka_unit_test(promtool_finds_nothing_to_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
