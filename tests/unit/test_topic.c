#include "gateway/topic.h"

#include "common/memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VIEWERS_MAX 3000

struct viewer {
	struct subscription subscription;
	char last[256]; /* payload of the last frame */
	int frames;
	int told;  /* that it is owed something */
	int soon;  /* that it will be told */
	bool slow; /* takes nothing */
};

struct fixture {
	struct clock *clock;
	struct topic_table *table;
	struct catalog_provider provider;
	struct catalog_target target;
	int wanted;
	int unwanted;
	int needed;
	int served;
	int64_t answered_at_ms; /* the last that was served */
};

static void on_wanted(struct topic *topic, void *user)
{
	(void)topic;
	((struct fixture *)user)->wanted++;
}

static void on_unwanted(struct topic *topic, void *user)
{
	(void)topic;
	((struct fixture *)user)->unwanted++;
}

static void on_needed(struct topic *topic, void *user)
{
	(void)topic;
	((struct fixture *)user)->needed++;
}

static void on_served(int64_t answered_at_ms, void *user)
{
	struct fixture *fixture = user;

	fixture->served++;
	fixture->answered_at_ms = answered_at_ms;
}

static int set_up(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));
	const struct topic_events events = {.wanted = on_wanted,
		.unwanted = on_unwanted,
		.needed = on_needed,
		.served = on_served};

	fixture->clock = clock_new(NULL);
	fixture->table = topic_table_new(fixture->clock, &events, fixture);
	fixture->provider.name = "default";
	fixture->provider.limits.raw_addresses_max = 2;
	fixture->target.provider = &fixture->provider;
	fixture->target.interval = (struct catalog_interval){5000, 1000, 60000};
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	topic_table_free(fixture->table);
	clock_free(fixture->clock);
	free(fixture);
	return 0;
}

static void take(struct viewer *viewer)
{
	struct frame *frame;

	while (!viewer->slow &&
		(frame = subscription_owed(&viewer->subscription)) != NULL) {
		snprintf(viewer->last, sizeof(viewer->last), "%.*s",
			(int)frame_payload_length(frame), frame_payload(frame));
		viewer->frames++;
		subscription_given(&viewer->subscription);
	}
}

static void on_owed(struct subscription *subscription)
{
	struct viewer *viewer = (struct viewer *)subscription;

	viewer->told++;
	take(viewer);
}

static struct topic *watch(struct fixture *fixture, struct viewer *viewer)
{
	assert_int_equal(topic_subscribe(fixture->table, "/nodes", &fixture->target, 0,
				 &viewer->subscription, on_owed),
		TOPIC_OK);
	return viewer->subscription.topic;
}

static void run(struct fixture *fixture)
{
	for (int turn = 0; turn < 10; turn++)
		clock_run(fixture->clock);
}

static int apply(struct fixture *fixture, struct topic *topic, uint64_t revision,
	enum resource_state state, const char *content, const char *error)
{
	struct change change = {
		.revision = revision,
		.version = content != NULL ? revision : topic_version(topic),
		.state = state,
		.interval_ms = 5000,
		.content = {content, content != NULL ? strlen(content) : 0},
		.error = {error, error != NULL ? strlen(error) : 0},
	};
	int r = topic_apply(topic, &change);

	run(fixture);
	return r;
}

static void every_viewer_gets_a_change_once(void **state)
{
	struct fixture *fixture = *state;
	struct viewer a = {0}, b = {0};
	struct topic *topic = watch(fixture, &a);

	watch(fixture, &b);
	assert_int_equal(apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL), 0);
	assert_string_equal(
		a.last, "{\"uri\":\"/nodes\",\"version\":\"7\",\"content\":[1]}");
	assert_string_equal(b.last, a.last);
	assert_int_equal(a.frames, 1);
	assert_int_equal(apply(fixture, topic, 7, RESOURCE_FRESH, "[2]", NULL), 0);
	assert_int_equal(apply(fixture, topic, 6, RESOURCE_FRESH, "[2]", NULL), 0);
	assert_int_equal(a.frames, 1);
	topic_unsubscribe(&a.subscription);
	topic_unsubscribe(&b.subscription);
}

static void a_newcomer_is_owed_what_is_there_and_then_what_is_wrong_with_it(void **state)
{
	struct fixture *fixture = *state;
	struct viewer a = {0}, late = {0};
	struct topic *topic = watch(fixture, &a);

	apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL);
	apply(fixture, topic, 8, RESOURCE_STALE, NULL, "{\"code\":\"x\"}");
	watch(fixture, &late);
	take(&late);
	assert_int_equal(late.frames, 2);
	assert_string_equal(late.last,
		"{\"uri\":\"/nodes\",\"state\":\"stale\",\"error\":{\"code\":\"x\"}}");
	apply(fixture, topic, 9, RESOURCE_FRESH, NULL, NULL);
	assert_string_equal(late.last, "{\"uri\":\"/nodes\",\"state\":\"fresh\"}");
	assert_string_equal(a.last, late.last);
	topic_unsubscribe(&a.subscription);
	topic_unsubscribe(&late.subscription);
}

static void a_slow_viewer_gets_the_newest_only(void **state)
{
	struct fixture *fixture = *state;
	struct viewer slow = {.slow = true};
	struct topic *topic = watch(fixture, &slow);

	apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL);
	apply(fixture, topic, 8, RESOURCE_STALE, NULL, "{}");
	apply(fixture, topic, 9, RESOURCE_FRESH, "[2]", NULL);
	slow.slow = false;
	take(&slow);
	assert_int_equal(slow.frames, 1);
	assert_string_equal(
		slow.last, "{\"uri\":\"/nodes\",\"version\":\"9\",\"content\":[2]}");
	topic_unsubscribe(&slow.subscription);
}

static void a_change_without_the_content_it_needs_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct viewer a = {0};
	struct topic *topic = watch(fixture, &a);
	struct change change = {
		.revision = 9, .version = 9, .state = RESOURCE_FRESH, .interval_ms = 1};

	assert_int_equal(topic_apply(topic, &change), -ESTALE);
	assert_int_equal(topic_revision(topic), 0);
	topic_unsubscribe(&a.subscription);
}

static int apply_patch(struct fixture *fixture, struct topic *topic, uint64_t revision,
	uint64_t base, const char *content, const char *patch)
{
	struct change change = {
		.revision = revision,
		.version = revision,
		.previous_version = base,
		.state = RESOURCE_FRESH,
		.interval_ms = 5000,
		.content = {content, content != NULL ? strlen(content) : 0},
		.patch = {patch, strlen(patch)},
	};
	int r = topic_apply(topic, &change);

	run(fixture);
	return r;
}

static void patches_go_to_who_sits_at_their_base_and_wants_them(void **state)
{
	struct fixture *fixture = *state;
	struct viewer full = {0}, patched = {0}, late = {.slow = true};
	struct topic *topic = watch(fixture, &full);

	watch(fixture, &patched);
	watch(fixture, &late);
	patched.subscription.patches = true;
	late.subscription.patches = true;
	apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL);
	late.slow = false;
	assert_int_equal(apply_patch(fixture, topic, 8, 7, "[2]", "[{}]"), 0);
	assert_string_equal(patched.last,
		"{\"uri\":\"/nodes\",\"version\":\"8\",\"base\":\"7\",\"patch\":[{}]}");
	assert_string_equal(
		full.last, "{\"uri\":\"/nodes\",\"version\":\"8\",\"content\":[2]}");
	assert_string_equal(late.last, full.last);
	topic_unsubscribe(&full.subscription);
	topic_unsubscribe(&patched.subscription);
	topic_unsubscribe(&late.subscription);
}

static void a_patch_alone_serves_patches_and_has_the_content_read_for_the_others(
	void **state)
{
	struct fixture *fixture = *state;
	struct viewer full = {0}, patched = {0};
	struct topic *topic = watch(fixture, &full);

	watch(fixture, &patched);
	patched.subscription.patches = true;
	apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL);
	assert_int_equal(apply_patch(fixture, topic, 8, 7, NULL, "[{}]"), 0);
	assert_int_equal(patched.frames, 2);
	assert_int_equal(full.frames, 1);
	assert_true(fixture->needed > 0);
	assert_null(topic_content(topic).start);
	assert_int_equal(apply(fixture, topic, 8, RESOURCE_FRESH, "[2]", NULL), 0);
	assert_string_equal(
		full.last, "{\"uri\":\"/nodes\",\"version\":\"8\",\"content\":[2]}");
	assert_int_equal(patched.frames, 2);
	assert_int_equal(apply_patch(fixture, topic, 11, 10, NULL, "[{}]"), -ESTALE);
	topic_unsubscribe(&full.subscription);
	topic_unsubscribe(&patched.subscription);
}

static void who_holds_the_current_version_gets_nothing_and_who_a_newer_one_waits(
	void **state)
{
	struct fixture *fixture = *state;
	struct viewer first = {0}, current = {0}, ahead = {0};
	struct topic *topic = watch(fixture, &first);

	apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL);
	watch(fixture, &current);
	subscription_holds(&current.subscription, 7);
	watch(fixture, &ahead);
	subscription_holds(&ahead.subscription, 9);
	take(&current);
	take(&ahead);
	assert_int_equal(current.frames, 0);
	assert_int_equal(ahead.frames, 0);
	assert_int_equal(fixture->needed, 1);
	topic_was_read(topic); /* and nothing newer was there */
	run(fixture);
	assert_int_equal(ahead.frames, 1);
	assert_int_equal(current.frames, 0);
	topic_unsubscribe(&first.subscription);
	topic_unsubscribe(&current.subscription);
	topic_unsubscribe(&ahead.subscription);
}

static void a_text_is_quoted_and_says_what_it_is(void **state)
{
	struct fixture *fixture = *state;
	struct viewer a = {0};
	struct topic *topic = watch(fixture, &a);
	struct change change = {.revision = 7,
		.version = 7,
		.state = RESOURCE_FRESH,
		.interval_ms = 1,
		.media_type = {"text/html", 9},
		.content = {"<a \"b\">", 7}};

	assert_int_equal(topic_apply(topic, &change), 0);
	run(fixture);
	assert_string_equal(a.last,
		"{\"uri\":\"/nodes\",\"version\":\"7\",\"type\":\"text/html\","
		"\"content\":\"<a \\\"b\\\">\"}");
	assert_memory_equal(topic_content(topic).start, "<a \"b\">", 7);
	topic_unsubscribe(&a.subscription);
}

static void doubt_is_told_once_and_taken_back(void **state)
{
	struct fixture *fixture = *state;
	struct viewer a = {0};
	struct topic *topic = watch(fixture, &a);

	apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL);
	topic_doubt(topic, "no_poller", "nobody \"there\"", 0);
	topic_doubt(topic, "no_poller", "nobody \"there\"", 5000);
	run(fixture);
	assert_int_equal(a.frames, 2);
	assert_string_equal(a.last,
		"{\"uri\":\"/"
		"nodes\",\"state\":\"stale\",\"error\":{\"code\":\"no_poller\","
		"\"message\":\"nobody \\\"there\\\"\","
		"\"since\":\"1970-01-01T00:00:00.000Z\"}}");
	topic_doubt(topic, NULL, NULL, 0);
	run(fixture);
	assert_string_equal(a.last, "{\"uri\":\"/nodes\",\"state\":\"fresh\"}");
	topic_unsubscribe(&a.subscription);
}

static void without_redis_whoever_lacks_the_content_hears_why(void **state)
{
	struct fixture *fixture = *state;
	struct viewer patched = {0}, late = {0};
	struct topic *topic = watch(fixture, &patched);

	patched.subscription.patches = true;
	apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL);
	apply_patch(fixture, topic, 8, 7, NULL, "[{}]");
	watch(fixture, &late);
	topic_doubt(topic, "redis_unavailable", "Redis is away", 0);
	run(fixture);
	assert_int_equal(late.frames, 1);
	assert_non_null(strstr(late.last, "\"state\":\"error\""));
	assert_non_null(strstr(late.last, "redis_unavailable"));
	assert_non_null(strstr(patched.last, "\"state\":\"stale\""));
	apply(fixture, topic, 8, RESOURCE_FRESH, "[2]", NULL);
	assert_int_equal(late.frames, 3);
	assert_non_null(strstr(late.last, "\"state\":\"stale\""));
	topic_doubt(topic, NULL, NULL, 0);
	run(fixture);
	assert_string_equal(late.last, "{\"uri\":\"/nodes\",\"state\":\"fresh\"}");
	topic_unsubscribe(&patched.subscription);
	topic_unsubscribe(&late.subscription);
}

static void content_that_redis_forgot_stands_as_stale(void **state)
{
	struct fixture *fixture = *state;
	struct viewer a = {0};
	struct topic *topic = watch(fixture, &a);
	struct change forgot = {.revision = 8,
		.version = 0,
		.state = RESOURCE_ERROR,
		.interval_ms = 1,
		.error = {"{}", 2}};

	apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL);
	assert_int_equal(topic_apply(topic, &forgot), 0);
	assert_int_equal(topic_state(topic), RESOURCE_STALE);
	assert_int_equal(topic_content(topic).length, 3);
	topic_unsubscribe(&a.subscription);
}

static void interest_is_the_visible_viewers_and_the_fastest_pace(void **state)
{
	struct fixture *fixture = *state;
	struct viewer a = {0}, b = {0};
	struct topic *topic = watch(fixture, &a);

	watch(fixture, &b);
	assert_int_equal(topic_interest(topic).interval_ms, 0);
	subscription_set_interval(&b.subscription, 10);
	assert_int_equal(b.subscription.interval_ms, 1000);
	assert_int_equal(topic_interest(topic).interval_ms, 1000);
	subscription_pause(&b.subscription, true);
	assert_int_equal(topic_interest(topic).subscribers, 1);
	assert_int_equal(topic_interest(topic).interval_ms, 0);
	subscription_pause(&a.subscription, true);
	assert_int_equal(fixture->unwanted, 1);
	topic_unsubscribe(&a.subscription);
	topic_unsubscribe(&b.subscription);
}

static void another_catalog_grants_anew_what_was_asked_for(void **state)
{
	struct fixture *fixture = *state;
	struct viewer fast = {0}, plain = {0};
	struct topic *topic = watch(fixture, &fast);

	watch(fixture, &plain);
	subscription_set_interval(&fast.subscription, 100);
	assert_int_equal(fast.subscription.interval_ms, 1000);
	fixture->target.interval = (struct catalog_interval){2000, 500, 60000};
	topic_retarget(topic, &fixture->target);
	assert_int_equal(fast.subscription.interval_ms, 500);
	assert_int_equal(plain.subscription.interval_ms, 2000);
	assert_int_equal(topic_interest(topic).interval_ms, 500);
	topic_unsubscribe(&fast.subscription);
	topic_unsubscribe(&plain.subscription);
}

static void the_same_catalog_again_is_nothing_to_anybody(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0};
	struct topic *topic = watch(fixture, &viewer);
	int wanted = fixture->wanted;

	apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL);
	topic_retarget(topic, &fixture->target);
	run(fixture);
	assert_int_equal(viewer.frames, 1);
	assert_int_equal(fixture->wanted, wanted);
	assert_int_equal(fixture->unwanted, 0);
	topic_unsubscribe(&viewer.subscription);
}

static void what_the_catalog_lost_is_told_once_and_then_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0}, empty = {0};
	struct topic *topic = watch(fixture, &viewer);

	apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL);
	topic_set_unknown(topic, "unknown_address", "no such service", 0);
	run(fixture);
	assert_string_equal(viewer.last,
		"{\"uri\":\"/nodes\",\"state\":\"stale\",\"error\":{\"code\":"
		"\"unknown_address\",\"message\":\"no such service\",\"since\":"
		"\"1970-01-01T00:00:00.000Z\"}}");
	assert_int_equal(fixture->unwanted, 1);
	assert_int_equal(topic_interest(topic).subscribers, 0);
	topic_doubt(topic, "no_poller", "no poller is running", 0);
	topic_doubt(topic, NULL, NULL, 0);
	apply(fixture, topic, 8, RESOURCE_FRESH, "[2]", NULL);
	assert_int_equal(viewer.frames, 2);
	watch(fixture, &empty);
	take(&empty);
	assert_int_equal(empty.frames, 1);
	assert_string_equal(empty.last, viewer.last);
	topic_unsubscribe(&viewer.subscription);
	topic_unsubscribe(&empty.subscription);
}

static void what_comes_back_is_wanted_and_doubted_until_it_is_confirmed(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0};
	struct topic *topic = watch(fixture, &viewer);
	int wanted = fixture->wanted;

	apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL);
	topic_set_unknown(topic, "unknown_address", "no such service", 0);
	run(fixture);
	topic_retarget(topic, &fixture->target);
	run(fixture);
	assert_int_equal(fixture->wanted, wanted + 1);
	assert_int_equal(topic_interest(topic).subscribers, 1);
	assert_int_equal(viewer.frames, 2);
	topic_doubt(topic, NULL, NULL, 0);
	run(fixture);
	assert_string_equal(viewer.last, "{\"uri\":\"/nodes\",\"state\":\"fresh\"}");
	topic_unsubscribe(&viewer.subscription);
}

static void a_raw_address_counts_for_the_provider_it_belongs_to_now(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_provider other = {
		.name = "other", .limits = {.raw_addresses_max = 1}};
	struct catalog_target target = {
		.provider = &other, .interval = {5000, 1000, 60000}};
	struct viewer viewer = {0}, second = {0};
	struct topic *topic = watch(fixture, &viewer);

	topic_retarget(topic, &target);
	assert_int_equal(topic_subscribe(fixture->table, "/b", &target, 0,
				 &second.subscription, on_owed),
		TOPIC_PROVIDER_FULL);
	topic_unsubscribe(&viewer.subscription);
	assert_int_equal(topic_subscribe(fixture->table, "/b", &target, 0,
				 &second.subscription, on_owed),
		TOPIC_OK);
	topic_unsubscribe(&second.subscription);
}

static void a_provider_takes_so_many_raw_addresses_and_no_more(void **state)
{
	struct fixture *fixture = *state;
	struct subscription a = {0}, b = {0}, c = {0};

	topic_subscribe(fixture->table, "/a", &fixture->target, 0, &a, on_owed);
	topic_subscribe(fixture->table, "/b", &fixture->target, 0, &b, on_owed);
	assert_int_equal(
		topic_subscribe(fixture->table, "/c", &fixture->target, 0, &c, on_owed),
		TOPIC_PROVIDER_FULL);
	topic_unsubscribe(&a);
	assert_int_equal(
		topic_subscribe(fixture->table, "/c", &fixture->target, 0, &c, on_owed),
		TOPIC_OK);
	topic_unsubscribe(&b);
	topic_unsubscribe(&c);
}

static struct viewer *leaver;

static void on_owed_leaves(struct subscription *subscription)
{
	take((struct viewer *)subscription);
	topic_unsubscribe(subscription);
	if (leaver != NULL)
		topic_unsubscribe(&leaver->subscription);
	leaver = NULL;
}

static void viewers_may_leave_while_a_change_goes_round(void **state)
{
	struct fixture *fixture = *state;
	struct viewer *viewers = xcalloc(VIEWERS_MAX, sizeof(*viewers));
	struct topic *topic = NULL;
	int told = 0;

	for (int i = 0; i < VIEWERS_MAX; i++) {
		topic_subscribe(fixture->table, "/nodes", &fixture->target, 0,
			&viewers[i].subscription, i % 2 ? on_owed : on_owed_leaves);
		topic = viewers[i].subscription.topic;
	}
	leaver = &viewers[1];
	apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL);
	for (int i = 0; i < VIEWERS_MAX; i++)
		told += viewers[i].frames;
	assert_int_equal(told, VIEWERS_MAX - 1);
	assert_int_equal(topic_subscribers(topic), VIEWERS_MAX / 2 - 1);
	for (int i = 0; i < VIEWERS_MAX; i++)
		topic_unsubscribe(&viewers[i].subscription);
	free(viewers);
}

static void who_was_told_may_leave_before_the_others_are(void **state)
{
	struct fixture *fixture = *state;
	struct viewer *viewers = xcalloc(VIEWERS_MAX, sizeof(*viewers));
	struct topic *topic = NULL;
	struct change change = {.revision = 7,
		.version = 7,
		.state = RESOURCE_FRESH,
		.interval_ms = 1,
		.content = {"[1]", 3}};

	for (int i = 0; i < VIEWERS_MAX; i++)
		topic = watch(fixture, &viewers[i]);
	topic_apply(topic, &change);
	clock_run(fixture->clock); /* one slice only */
	for (int i = 0; i < VIEWERS_MAX; i += 3)
		topic_unsubscribe(&viewers[i].subscription);
	run(fixture);
	for (int i = 0; i < VIEWERS_MAX; i++) {
		if (viewers[i].subscription.topic != NULL)
			assert_int_equal(viewers[i].told, 1);
		assert_in_range(viewers[i].told, 0, 1);
		topic_unsubscribe(&viewers[i].subscription);
	}
	assert_int_equal(topic_subscribers(topic), 0);
	free(viewers);
}

static void on_soon(const struct subscription *subscription)
{
	struct viewer *viewer = (struct viewer *)subscription;

	assert_int_equal(viewer->told, 0);
	viewer->soon++;
}

static void whoever_is_told_next_is_looked_at_before(void **state)
{
	struct fixture *fixture = *state;
	const int count = VIEWERS_MAX - 3; /* the last few are looked at, too */
	struct viewer *viewers = xcalloc((size_t)count, sizeof(*viewers));
	struct topic *topic = NULL;

	for (int i = 0; i < count; i++) {
		viewers[i].subscription.on_soon = on_soon;
		topic = watch(fixture, &viewers[i]);
		subscription_pause(&viewers[i].subscription, i % 5 == 0);
	}
	apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL);
	for (int i = 0; i < count; i++) {
		assert_int_equal(viewers[i].told, i % 5 != 0);
		assert_int_equal(viewers[i].soon, viewers[i].told);
		topic_unsubscribe(&viewers[i].subscription);
	}
	free(viewers);
}

static void a_newer_change_overtakes_one_that_is_still_going_round(void **state)
{
	struct fixture *fixture = *state;
	struct viewer *viewers = xcalloc(VIEWERS_MAX, sizeof(*viewers));
	struct change change = {.state = RESOURCE_FRESH, .interval_ms = 1};
	struct topic *topic = NULL;
	int told = 0;

	for (int i = 0; i < VIEWERS_MAX; i++)
		topic = watch(fixture, &viewers[i]);
	change.revision = change.version = 7;
	change.content = (struct bytes){"[1]", 3};
	topic_apply(topic, &change);
	clock_run(fixture->clock); /* one slice only */
	change.revision = change.version = 8;
	topic_apply(topic, &change);
	run(fixture);
	for (int i = 0; i < VIEWERS_MAX; i++) {
		assert_int_equal(viewers[i].subscription.version_given, 8);
		told += viewers[i].frames;
		topic_unsubscribe(&viewers[i].subscription);
	}
	assert_in_range(told, VIEWERS_MAX + 1, 2 * VIEWERS_MAX - 1);
	free(viewers);
}

static void a_change_is_served_when_its_last_viewer_is(void **state)
{
	struct fixture *fixture = *state;
	struct viewer *viewers = xcalloc(VIEWERS_MAX, sizeof(*viewers));
	struct change change = {.revision = 7,
		.version = 7,
		.state = RESOURCE_FRESH,
		.interval_ms = 1,
		.answered_at_ms = 1234,
		.content = {"[1]", 3}};
	struct topic *topic = NULL;

	for (int i = 0; i < VIEWERS_MAX; i++)
		topic = watch(fixture, &viewers[i]);
	topic_apply(topic, &change);
	clock_run(fixture->clock); /* one slice only */
	assert_int_equal(fixture->served, 0);
	run(fixture);
	assert_int_equal(fixture->served, 1);
	assert_int_equal(fixture->answered_at_ms, 1234);
	topic_doubt(topic, "no_poller", "nobody polls", 0);
	run(fixture);
	assert_int_equal(fixture->served, 1);
	for (int i = 0; i < VIEWERS_MAX; i++)
		topic_unsubscribe(&viewers[i].subscription);
	free(viewers);
}

static void a_change_whose_content_must_be_read_is_served_after_that(void **state)
{
	struct fixture *fixture = *state;
	struct viewer whole = {0}, patched = {.subscription.patches = true};
	struct topic *topic = watch(fixture, &whole);
	struct change change = {.revision = 8,
		.previous_version = 7,
		.version = 8,
		.state = RESOURCE_FRESH,
		.interval_ms = 1,
		.answered_at_ms = 1234,
		.patch = {"[]", 2}};

	watch(fixture, &patched);
	apply(fixture, topic, 7, RESOURCE_FRESH, "[1]", NULL);
	assert_int_equal(topic_apply(topic, &change), 0);
	run(fixture);
	assert_int_equal(patched.frames, 2);
	assert_int_equal(fixture->served, 0);
	change.patch = (struct bytes){NULL, 0};
	change.content = (struct bytes){"[2]", 3};
	change.answered_at_ms = 0;
	assert_int_equal(topic_apply(topic, &change), 0);
	run(fixture);
	assert_int_equal(whole.frames, 2);
	assert_int_equal(fixture->served, 1);
	assert_int_equal(fixture->answered_at_ms, 1234);
	topic_unsubscribe(&whole.subscription);
	topic_unsubscribe(&patched.subscription);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(every_viewer_gets_a_change_once),
		TEST(a_newcomer_is_owed_what_is_there_and_then_what_is_wrong_with_it),
		TEST(a_slow_viewer_gets_the_newest_only),
		TEST(a_change_without_the_content_it_needs_is_refused),
		TEST(patches_go_to_who_sits_at_their_base_and_wants_them),
		TEST(a_patch_alone_serves_patches_and_has_the_content_read_for_the_others),
		TEST(who_holds_the_current_version_gets_nothing_and_who_a_newer_one_waits),
		TEST(a_text_is_quoted_and_says_what_it_is),
		TEST(doubt_is_told_once_and_taken_back),
		TEST(without_redis_whoever_lacks_the_content_hears_why),
		TEST(content_that_redis_forgot_stands_as_stale),
		TEST(interest_is_the_visible_viewers_and_the_fastest_pace),
		TEST(a_provider_takes_so_many_raw_addresses_and_no_more),
		TEST(another_catalog_grants_anew_what_was_asked_for),
		TEST(the_same_catalog_again_is_nothing_to_anybody),
		TEST(what_the_catalog_lost_is_told_once_and_then_nothing),
		TEST(what_comes_back_is_wanted_and_doubted_until_it_is_confirmed),
		TEST(a_raw_address_counts_for_the_provider_it_belongs_to_now),
		TEST(viewers_may_leave_while_a_change_goes_round),
		TEST(who_was_told_may_leave_before_the_others_are),
		TEST(whoever_is_told_next_is_looked_at_before),
		TEST(a_newer_change_overtakes_one_that_is_still_going_round),
		TEST(a_change_is_served_when_its_last_viewer_is),
		TEST(a_change_whose_content_must_be_read_is_served_after_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
