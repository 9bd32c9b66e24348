#include "common/log.h"

#include <errno.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char heard[2 * LOG_LINE_MAX];
static int pipe_ends[2], real_stderr;

static int set_up(void **state)
{
	(void)state;
	real_stderr = dup(STDERR_FILENO);
	assert_int_equal(pipe(pipe_ends), 0);
	dup2(pipe_ends[1], STDERR_FILENO);
	log_setup("test", LOG_INFO);
	log_set_line(log_line_text);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	return 0;
}

/* What was logged since, NUL terminated; "" for nothing. */
static const char *hear(void)
{
	ssize_t length;

	/* So that a read never waits. */
	assert_int_equal(write(pipe_ends[1], "", 1), 1);
	length = read(pipe_ends[0], heard, sizeof(heard) - 1);
	assert_true(length > 0);
	heard[length - 1] = '\0';
	return heard;
}

static void set_levels(const char *text)
{
	struct log_levels levels;

	assert_int_equal(log_levels_parse(text, &levels), 0);
	log_set_levels(&levels);
}

static void a_line_says_when_who_and_how_bad(void **state)
{
	unsigned milliseconds;
	long pid;

	(void)state;
	log_warn("polling goes on uri=%s", "/nodes\n2026 fake\x1b[2J");
	assert_int_equal(
		sscanf(hear(), "2%*3d-%*2d-%*2dT%*2d:%*2d:%*2d.%3uZ test[%ld] warn ",
			&milliseconds, &pid),
		2);
	assert_int_equal(pid, getpid());
	assert_non_null(strstr(heard, " polling goes on uri=/nodes?2026 fake?[2J\n"));
	assert_ptr_equal(strchr(heard, '\n'), heard + strlen(heard) - 1);
}

static void a_subsystem_may_say_more_or_less_than_the_others(void **state)
{
	(void)state;
	set_levels("warn,test_log=debug");
	log_debug("of this file");
	assert_non_null(strstr(hear(), " debug of this file\n"));
	log_write(LOG_INFO, "../gateway/relay.c", "of another");
	assert_string_equal(hear(), "");
	set_levels("test_log=error,relay=debug");
	log_warn("of this file");
	assert_string_equal(hear(), "");
	log_write(LOG_DEBUG, "../gateway/relay.c", "of another");
	assert_non_null(strstr(hear(), " debug of another\n"));
	log_write(LOG_INFO, "poller/relay_other.c", "the rest is at info");
	assert_non_null(strstr(hear(), "the rest is at info\n"));
	log_write(LOG_DEBUG, "poller/relay_other.c", "the rest is at info");
	assert_string_equal(hear(), "");
}

static void levels_that_are_none_are_refused(void **state)
{
	static const char *const wrong[] = {"", "loud", "info,", ",info",
		"relay=", "relay=loud", "=debug", "Relay=debug", "re lay=debug",
		"info relay=debug", "debugger",
		"a_name_that_is_longer_than_any_file=debug",
		"a=info,b=info,c=info,d=info,e=info,f=info,g=info,h=info,i=info,"
		"j=info,k=info,l=info,m=info,n=info,o=info,p=info,q=info"};
	struct log_levels levels = {.level = LOG_WARN, .count = 7};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (log_levels_parse(wrong[i], &levels) != -EINVAL)
			fail_msg("accepted: %s", wrong[i]);
	assert_int_equal(levels.level, LOG_WARN);
	assert_int_equal(levels.count, 7);
	assert_int_equal(log_levels_parse("claim=debug,error", &levels), 0);
	assert_int_equal(levels.level, LOG_ERROR);
	assert_int_equal(levels.count, 1);
	assert_string_equal(levels.subsystems[0].name, "claim");
}

static const char *member(struct json_object *object, const char *name)
{
	return json_object_get_string(json_object_object_get(object, name));
}

static struct json_object *hear_object(void)
{
	struct json_object *object;
	size_t length = strlen(hear());

	assert_int_equal(heard[length - 1], '\n');
	assert_true(length <= LOG_LINE_MAX);
	heard[length - 1] = '\0';
	assert_null(strchr(heard, '\n'));
	object = json_tokener_parse(heard);
	assert_non_null(object);
	return object;
}

static void a_json_line_is_an_object_whatever_the_text_is(void **state)
{
	struct json_object *object;

	(void)state;
	log_set_line(log_line_json);
	log_error("it failed uri=%s error=\"%s\"", "/a\\b/ü", "a \"quoted\"\n word");
	object = hear_object();
	assert_string_equal(member(object, "level"), "error");
	assert_string_equal(member(object, "program"), "test");
	assert_string_equal(member(object, "subsystem"), "test_log");
	assert_int_equal(
		json_object_get_int64(json_object_object_get(object, "pid")), getpid());
	assert_int_equal(
		strlen(member(object, "time")), strlen("2026-11-21T22:10:00.123Z"));
	assert_string_equal(member(object, "message"),
		"it failed uri=/a\\b/ü error=\"a \"quoted\"? word\"");
	json_object_put(object);

	log_error("%s", "not UTF-8: \xff\xc3 \xc3\xbc");
	object = hear_object();
	assert_string_equal(member(object, "message"), "not UTF-8: ?? ??");
	json_object_put(object);
}

static void a_long_json_line_is_cut_and_stays_an_object(void **state)
{
	char text[3 * LOG_LINE_MAX];
	struct json_object *object;

	(void)state;
	log_set_line(log_line_json);
	memset(text, '"', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_error("%s", text);
	object = hear_object();
	assert_true(strlen(member(object, "message")) > 500);
	json_object_put(object);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_line_says_when_who_and_how_bad),
		TEST(a_subsystem_may_say_more_or_less_than_the_others),
		TEST(levels_that_are_none_are_refused),
		TEST(a_json_line_is_an_object_whatever_the_text_is),
		TEST(a_long_json_line_is_cut_and_stays_an_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
