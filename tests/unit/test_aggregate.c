#include "gateway/aggregate.h"

#include "common/catalog_build.h"
#include "common/memory.h"
#include "gateway/relay_link.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define URI "compute/servers"
#define REGIONS 3
#define STEPS 400 /* of the random walk */
#define PAD                                                                              \
	"\"pad\":\"------------------------------------------------------------"         \
	"------------------------------------------------------------------------\""

static const char *const names[REGIONS] = {"dfw", "ord", "lon"};

/* A client that holds what it was told, patches applied by code of this file alone. */
struct viewer {
	struct subscription subscription;
	struct json_object *held;
	char *last; /* payload of the last frame */
	int frames;
	int patches;
	bool only_reads; /* applies nothing */
};

/* A gateway whose Redis is the test. */
struct fixture {
	struct clock *clock;
	int64_t now_ms;
	struct catalog *catalog;
	struct topic_table *table;
	struct aggregates *aggregates;
	int needed;
	int refreshed;
};

static void on_interest(struct topic *topic, void *user)
{
	(void)topic;
	(void)user;
}

static void on_needed(struct topic *topic, void *user)
{
	(void)topic;
	((struct fixture *)user)->needed++;
}

static void on_refreshed(struct topic *topic, void *user)
{
	(void)topic;
	((struct fixture *)user)->refreshed++;
}

static struct catalog *make_catalog(void)
{
	struct catalog *catalog = catalog_new();
	struct catalog_service *service = catalog_add_service(catalog, "compute", true);
	struct catalog_resource_type *type = catalog_add_type(service, "servers");
	struct catalog_provider settings;

	type->path = xstrdup("/servers");
	type->interval = catalog_interval_around(5000);
	catalog_provider_init(&settings);
	for (int i = 0; i < REGIONS; i++)
		catalog_add_provider(catalog, service, names[i], &settings);
	catalog_provider_fini(&settings);
	return catalog;
}

static struct fixture *fixture_new(void)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));
	const struct topic_events events = {.wanted = on_interest,
		.unwanted = on_interest,
		.needed = on_needed,
		.refreshed = on_refreshed};

	fixture->clock = clock_new(NULL);
	fixture->catalog = make_catalog();
	fixture->table = topic_table_new(fixture->clock, &events, fixture);
	fixture->aggregates =
		aggregates_new(fixture->clock, fixture->table, fixture->catalog);
	return fixture;
}

static void fixture_free(struct fixture *fixture)
{
	aggregates_free(fixture->aggregates);
	topic_table_free(fixture->table);
	catalog_free(fixture->catalog);
	clock_free(fixture->clock);
	free(fixture);
}

static int set_up(void **state)
{
	*state = fixture_new();
	return 0;
}

static int tear_down(void **state)
{
	fixture_free(*state);
	return 0;
}

static void pass(struct fixture *fixture, int64_t ms)
{
	fixture->now_ms += ms;
	clock_move(fixture->clock, fixture->now_ms, fixture->now_ms);
	for (int turn = 0; turn < 10; turn++)
		clock_run(fixture->clock);
}

/* ---- a small applier: RFC 6902 for whole objects, as far as it is used here ---- */

static void apply_step(struct json_object **whole, struct json_object *step)
{
	const char *op = json_object_get_string(json_object_object_get(step, "op"));
	const char *path = json_object_get_string(json_object_object_get(step, "path"));
	struct json_object *value = json_object_object_get(step, "value");
	const char *name = strrchr(path, '/');
	char *parent_path = xstrndup(path, (size_t)(name - path));
	struct json_object *parent = *whole;

	assert_true(*parent_path == '\0' ||
		json_pointer_get(*whole, parent_path, &parent) == 0);
	assert_int_equal(json_object_get_type(parent), json_type_object);
	assert_int_equal(json_object_object_get_ex(parent, name + 1, NULL),
		strcmp(op, "add") != 0);
	if (strcmp(op, "remove") == 0)
		json_object_object_del(parent, name + 1);
	else
		json_object_object_add(parent, name + 1, json_object_get(value));
	free(parent_path);
}

static void hold(struct viewer *viewer, struct json_object *frame)
{
	struct json_object *patch;

	if (!json_object_object_get_ex(frame, "patch", &patch)) {
		json_object_put(viewer->held);
		viewer->held = json_object_get(json_object_object_get(frame, "content"));
		return;
	}
	viewer->patches++;
	if (viewer->only_reads)
		return;
	for (size_t i = 0; i < json_object_array_length(patch); i++)
		apply_step(&viewer->held, json_object_array_get_idx(patch, i));
}

static void take(struct viewer *viewer)
{
	struct frame *frame;

	while ((frame = subscription_owed(&viewer->subscription)) != NULL) {
		struct json_object *parsed;

		free(viewer->last);
		viewer->last = xcalloc(1, frame_payload_length(frame) + 1);
		memcpy(viewer->last, frame_payload(frame), frame_payload_length(frame));
		parsed = json_tokener_parse(viewer->last);
		assert_non_null(parsed);
		if (json_object_object_get_ex(parsed, "version", NULL))
			hold(viewer, parsed);
		json_object_put(parsed);
		viewer->frames++;
		subscription_given(&viewer->subscription);
	}
}

static void on_owed(struct subscription *subscription)
{
	take((struct viewer *)subscription);
}

static void watch(struct fixture *fixture, struct viewer *viewer, bool patches)
{
	struct catalog_target target;
	struct address address;

	assert_int_equal(address_parse(&address, URI, strlen(URI)), ADDRESS_OK);
	assert_int_equal(
		catalog_resolve(fixture->catalog, &address, &target), CATALOG_AGGREGATE);
	assert_int_equal(topic_subscribe(fixture->table, URI, &target, 0,
				 &viewer->subscription, on_owed),
		TOPIC_OK);
	viewer->subscription.patches = patches;
	pass(fixture, 0);
	take(viewer);
	pass(fixture, 0);
}

static void leave(struct fixture *fixture, struct viewer *viewer)
{
	topic_unsubscribe(&viewer->subscription);
	pass(fixture, 0);
	json_object_put(viewer->held);
	free(viewer->last);
	*viewer = (struct viewer){0};
}

/* ---- what Redis says ---- */

static struct topic *region(struct fixture *fixture, const char *name)
{
	char address[64];
	struct topic *topic;

	snprintf(address, sizeof(address), "compute/%s/servers", name);
	topic = topic_find(fixture->table, address, strlen(address));
	assert_non_null(topic);
	return topic;
}

static void say(struct fixture *fixture, const char *name, const struct change *change)
{
	struct topic *topic = region(fixture, name);

	topic_relay_link(topic)->read = true;
	assert_int_equal(topic_apply(topic, change), 0);
	pass(fixture, 0);
}

static void answer(
	struct fixture *fixture, const char *name, uint64_t revision, const char *content)
{
	say(fixture, name,
		&(struct change){.revision = revision,
			.version = revision,
			.state = RESOURCE_FRESH,
			.content = bytes_of(content)});
}

static void refuse(
	struct fixture *fixture, const char *name, uint64_t revision, const char *error)
{
	uint64_t version = topic_version(region(fixture, name));

	say(fixture, name,
		&(struct change){.revision = revision,
			.version = version,
			.state = version != 0 ? RESOURCE_STALE : RESOURCE_ERROR,
			.error = bytes_of(error)});
}

static void change(struct fixture *fixture, const char *name, uint64_t revision,
	const char *patch, const char *content)
{
	say(fixture, name,
		&(struct change){.revision = revision,
			.version = revision,
			.previous_version = topic_version(region(fixture, name)),
			.state = RESOURCE_FRESH,
			.patch = bytes_of(patch),
			.content = bytes_of(content)});
}

/* ---- the first content ---- */

static void the_first_content_goes_out_when_every_region_has_answered_or_failed(
	void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0};

	watch(fixture, &viewer, false);
	answer(fixture, "ord", 20, "[ 1 ]");
	refuse(fixture, "lon", 3, "{\"code\":\"x\"}");
	assert_int_equal(viewer.frames, 0);
	answer(fixture, "dfw", 100, "{}");
	assert_int_equal(viewer.frames, 1);
	assert_string_equal(viewer.last,
		"{\"uri\":\"compute/servers\",\"version\":\"123\",\"content\":"
		"{\"complete\":false,\"regions\":{"
		"\"dfw\":{\"version\":\"100\",\"state\":\"fresh\",\"content\":{}},"
		"\"ord\":{\"version\":\"20\",\"state\":\"fresh\",\"content\":[ 1 ]},"
		"\"lon\":{\"state\":\"error\",\"error\":{\"code\":\"x\"}}}}}");
	leave(fixture, &viewer);
}

static void or_two_seconds_after_the_first_did(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0};

	watch(fixture, &viewer, false);
	pass(fixture, 60000);
	answer(fixture, "ord", 20, "1");
	pass(fixture, 1999);
	assert_int_equal(viewer.frames, 0);
	pass(fixture, 1);
	assert_string_equal(viewer.last,
		"{\"uri\":\"compute/servers\",\"version\":\"20\",\"content\":"
		"{\"complete\":false,\"regions\":{"
		"\"dfw\":{\"state\":\"error\",\"error\":{\"code\":\"no_content\","
		"\"message\":\"no answer has come yet\"}},"
		"\"ord\":{\"version\":\"20\",\"state\":\"fresh\",\"content\":1},"
		"\"lon\":{\"state\":\"error\",\"error\":{\"code\":\"no_content\","
		"\"message\":\"no answer has come yet\"}}}}}");
	leave(fixture, &viewer);
}

static void what_others_watch_already_is_there_at_once(void **state)
{
	struct fixture *fixture = *state;
	struct viewer first = {0}, second = {0};

	watch(fixture, &first, false);
	for (int i = 0; i < REGIONS; i++)
		answer(fixture, names[i], 1, "1");
	watch(fixture, &second, false);
	assert_string_equal(second.last, first.last);
	leave(fixture, &first);
	leave(fixture, &second);
	assert_int_equal(aggregates_subscription_count(fixture->aggregates), 0);
	assert_null(topic_find(fixture->table, URI, strlen(URI)));
}

static void without_any_answer_there_is_only_the_doubt(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0};

	watch(fixture, &viewer, false);
	for (int i = 0; i < REGIONS; i++)
		topic_doubt(region(fixture, names[i]), "redis_unavailable", "away", 0);
	pass(fixture, 0);
	assert_int_equal(viewer.frames, 1);
	assert_non_null(strstr(viewer.last, "\"state\":\"error\""));
	assert_non_null(strstr(viewer.last, "redis_unavailable"));
	leave(fixture, &viewer);
}

/* ---- patches ---- */

static void watch_three(struct fixture *fixture, struct viewer *viewer, bool patches)
{
	watch(fixture, viewer, patches);
	answer(fixture, "dfw", 100, "{\"a\":1," PAD "}");
	answer(fixture, "ord", 200, "{\"a\":1," PAD "}");
	answer(fixture, "lon", 300, "{\"a\":1," PAD "}");
	assert_int_equal(viewer->frames, 1);
}

static void a_regions_patch_is_moved_below_its_content(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {.only_reads = true};

	watch_three(fixture, &viewer, true);
	change(fixture, "ord", 201,
		"[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/c~1\"},"
		"{\"value\":{\"path\":\"/x\"}, \"op\":\"add\", \"path\":\"\"}]",
		"7");
	assert_string_equal(viewer.last,
		"{\"uri\":\"compute/servers\",\"version\":\"601\",\"base\":\"600\","
		"\"patch\":[{\"op\":\"replace\",\"path\":\"/regions/ord/version\","
		"\"value\":\"201\"},"
		"{\"op\":\"move\",\"from\":\"/regions/ord/content/a\","
		"\"path\":\"/regions/ord/content/c~1\"},"
		"{\"value\":{\"path\":\"/x\"}, \"op\":\"add\", "
		"\"path\":\"/regions/ord/content\"}]}");
	leave(fixture, &viewer);
}

static void a_failure_and_a_recovery_are_patches_too(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0};

	watch_three(fixture, &viewer, true);
	refuse(fixture, "ord", 201, "{\"code\":\"x\"}");
	assert_string_equal(viewer.last,
		"{\"uri\":\"compute/servers\",\"version\":\"601\",\"base\":\"600\","
		"\"patch\":[{\"op\":\"replace\",\"path\":\"/regions/ord/state\","
		"\"value\":\"stale\"},"
		"{\"op\":\"add\",\"path\":\"/regions/ord/error\","
		"\"value\":{\"code\":\"x\"}},"
		"{\"op\":\"replace\",\"path\":\"/complete\",\"value\":false}]}");
	answer(fixture, "ord", 202, "3");
	assert_string_equal(viewer.last,
		"{\"uri\":\"compute/servers\",\"version\":\"602\",\"base\":\"601\","
		"\"patch\":[{\"op\":\"replace\",\"path\":\"/regions/ord/version\","
		"\"value\":\"202\"},"
		"{\"op\":\"replace\",\"path\":\"/regions/ord/"
		"state\",\"value\":\"fresh\"},"
		"{\"op\":\"remove\",\"path\":\"/regions/ord/error\"},"
		"{\"op\":\"replace\",\"path\":\"/regions/ord/content\",\"value\":3},"
		"{\"op\":\"replace\",\"path\":\"/complete\",\"value\":true}]}");
	leave(fixture, &viewer);
}

static void changes_of_one_round_are_one_patch(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0};
	struct change both = {.revision = 900,
		.version = 900,
		.state = RESOURCE_FRESH,
		.content = bytes_of("5")};

	watch_three(fixture, &viewer, true);
	topic_apply(region(fixture, "dfw"), &both);
	topic_apply(region(fixture, "lon"), &both);
	pass(fixture, 0);
	assert_int_equal(viewer.frames, 2);
	assert_int_equal(viewer.patches, 1);
	assert_non_null(strstr(viewer.last, "\"version\":\"2000\",\"base\":\"600\""));
	leave(fixture, &viewer);
}

static void the_whole_is_made_only_for_who_needs_it(void **state)
{
	struct fixture *fixture = *state;
	struct viewer patched = {0}, late = {0};

	watch_three(fixture, &patched, true);
	change(fixture, "ord", 201, "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":3}]",
		"{\"a\":3," PAD "}");
	assert_int_equal(patched.patches, 1);
	assert_null(topic_content(patched.subscription.topic).start);
	watch(fixture, &late, true);
	assert_int_equal(late.frames, 1);
	assert_true(json_object_equal(late.held, patched.held));
	assert_int_equal(patched.frames, 2);
	leave(fixture, &patched);
	leave(fixture, &late);
}

static void a_patch_larger_than_the_content_is_not_sent(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0};

	watch(fixture, &viewer, true);
	for (int i = 0; i < REGIONS; i++)
		answer(fixture, names[i], 1, "1");
	for (int i = 0; i < REGIONS; i++) {
		struct change new = {.revision = 2,
			.version = 2,
			.state = RESOURCE_FRESH,
			.content = bytes_of("2")};

		topic_apply(region(fixture, names[i]), &new);
	}
	pass(fixture, 0);
	assert_int_equal(viewer.frames, 2);
	assert_int_equal(viewer.patches, 0);
	leave(fixture, &viewer);
}

static void a_large_content_is_read_where_no_patch_leads_to_it(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0};

	watch_three(fixture, &viewer, true);
	/* Two patches came in one round: the first is known no more. */
	topic_apply(region(fixture, "ord"),
		&(struct change){.revision = 201,
			.version = 201,
			.previous_version = 200,
			.state = RESOURCE_FRESH,
			.patch = bytes_of("[{}]")});
	change(fixture, "ord", 202, "[{}]", NULL);
	assert_int_equal(viewer.frames, 1);
	assert_int_equal(fixture->needed, 1);
	/* The others go on meanwhile. */
	refuse(fixture, "lon", 301, "{}");
	assert_int_equal(viewer.frames, 2);
	answer(fixture, "ord", 202, "[1,2,3]");
	assert_int_equal(viewer.frames, 3);
	assert_int_equal(viewer.patches, 2);
	assert_non_null(strstr(viewer.last, "\"value\":[1,2,3]"));
	leave(fixture, &viewer);
}

static void a_text_is_a_string_in_it(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0};

	watch_three(fixture, &viewer, false);
	say(fixture, "dfw",
		&(struct change){.revision = 101,
			.version = 101,
			.state = RESOURCE_FRESH,
			.media_type = bytes_of("text/plain"),
			.content = bytes_of("say \"hi\"")});
	assert_non_null(strstr(viewer.last, "\"content\":\"say \\\"hi\\\"\"}"));
	leave(fixture, &viewer);
}

/* ---- the walk: two gateways, the same news in another order ---- */

static uint64_t walk_seed;

static unsigned draw(unsigned below)
{
	walk_seed = walk_seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(walk_seed >> 33) % below;
}

/* Tells both gateways of the same commit; the second hears of it when it does. */
struct commit {
	const char *name;
	uint64_t revision, version, previous;
	enum resource_state state;
	char content[256], patch[96];
	bool changed;
};

static void tell(struct fixture *fixture, const struct commit *commit)
{
	struct topic *topic = region(fixture, commit->name);

	topic_relay_link(topic)->read = true;
	topic_apply(topic,
		&(struct change){.revision = commit->revision,
			.version = commit->version,
			.previous_version = commit->previous,
			.state = commit->state,
			.error = bytes_of(commit->state == RESOURCE_FRESH
					? NULL
					: "{\"code\":\"x\"}"),
			.patch = bytes_of(commit->changed ? commit->patch : NULL),
			.content = bytes_of(commit->changed ? commit->content : NULL)});
}

static void next_commit(struct commit *commit, uint64_t revision)
{
	commit->revision = revision;
	commit->previous = commit->version;
	commit->changed = commit->version == 0 ? draw(2) : draw(3) > 0;
	if (commit->changed) {
		unsigned n = draw(100000);

		commit->version = revision;
		snprintf(commit->content, sizeof(commit->content), "{\"n\":%u," PAD "}",
			n);
		snprintf(commit->patch, sizeof(commit->patch),
			"[{\"op\":\"replace\",\"path\":\"/n\",\"value\":%u}]", n);
	}
	commit->state = commit->version == 0 ? RESOURCE_ERROR
		: commit->changed || draw(2) ? RESOURCE_FRESH
					     : RESOURCE_STALE;
	if (commit->previous == 0)
		commit->patch[0] = '\0';
}

static void gateways_that_have_seen_the_same_show_the_same(void **state)
{
	struct fixture *gateways[2] = {*state, fixture_new()};
	struct viewer patched[2] = {0}, full[2] = {0};
	struct commit commits[REGIONS] = {
		{.name = "dfw"}, {.name = "ord"}, {.name = "lon"}};
	uint64_t shown = 0;

	walk_seed = 4;
	for (int i = 0; i < 2; i++) {
		watch(gateways[i], &patched[i], true);
		watch(gateways[i], &full[i], false);
	}
	for (uint64_t step = 1; step <= STEPS; step++) {
		unsigned one = draw(REGIONS),
			 two = (one + 1 + draw(REGIONS - 1)) % REGIONS;

		next_commit(&commits[one], 1000 * step + draw(500));
		next_commit(&commits[two], 1000 * step + 500 + draw(500));
		tell(gateways[0], &commits[one]);
		if (draw(2))
			pass(gateways[0], 0);
		tell(gateways[0], &commits[two]);
		tell(gateways[1], &commits[two]);
		if (draw(2))
			pass(gateways[1], 0);
		tell(gateways[1], &commits[one]);
		for (int i = 0; i < 2; i++) {
			pass(gateways[i], 0);
			pass(gateways[i], AGGREGATE_PATIENCE_MS);
			assert_true(json_object_equal(patched[i].held, full[i].held));
		}
		assert_true(json_object_equal(full[0].held, full[1].held));
		assert_int_equal(full[0].subscription.version_given,
			full[1].subscription.version_given);
		assert_true(full[0].subscription.version_given > shown);
		shown = full[0].subscription.version_given;
	}
	assert_true(patched[0].patches > STEPS / 2);
	for (int i = 0; i < 2; i++) {
		leave(gateways[i], &patched[i]);
		leave(gateways[i], &full[i]);
	}
	fixture_free(gateways[1]);
}

/* ---- doubts, and what is asked of the regions ---- */

static void a_doubt_about_a_region_is_one_about_the_aggregate(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0};

	watch_three(fixture, &viewer, false);
	topic_doubt(region(fixture, "ord"), "no_poller", "nobody", 0);
	pass(fixture, 0);
	assert_non_null(strstr(
		viewer.last, "\"state\":\"stale\",\"error\":{\"code\":\"no_poller\""));
	topic_doubt(region(fixture, "ord"), NULL, NULL, 0);
	pass(fixture, 0);
	assert_string_equal(
		viewer.last, "{\"uri\":\"compute/servers\",\"state\":\"fresh\"}");
	leave(fixture, &viewer);
}

static void a_doubt_about_a_region_that_never_answered_is_data_already(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0};

	watch(fixture, &viewer, false);
	answer(fixture, "dfw", 1, "1");
	answer(fixture, "ord", 1, "1");
	topic_doubt(region(fixture, "lon"), "unconfirmed", "nothing came", 0);
	pass(fixture, 0);
	assert_int_equal(viewer.frames, 1);
	assert_non_null(strstr(viewer.last, "\"lon\":{\"state\":\"error\""));
	leave(fixture, &viewer);
}

static void pace_pause_and_refresh_reach_every_region(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0};

	watch_three(fixture, &viewer, false);
	subscription_set_interval(&viewer.subscription, 1500);
	pass(fixture, 0);
	topic_refresh(viewer.subscription.topic);
	assert_int_equal(fixture->refreshed, REGIONS);
	for (int i = 0; i < REGIONS; i++)
		assert_int_equal(
			topic_interest(region(fixture, names[i])).interval_ms, 1500);
	subscription_pause(&viewer.subscription, true);
	pass(fixture, 0);
	for (int i = 0; i < REGIONS; i++)
		assert_int_equal(
			topic_interest(region(fixture, names[i])).subscribers, 0);
	answer(fixture, "ord", 201, "2");
	assert_int_equal(viewer.frames, 1);
	subscription_pause(&viewer.subscription, false);
	pass(fixture, 0);
	assert_int_equal(viewer.frames, 2);
	leave(fixture, &viewer);
}

static void who_is_ahead_waits_until_the_regions_were_read(void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0}, ahead = {0};

	watch_three(fixture, &viewer, false);
	ahead.subscription.paused = true;
	watch(fixture, &ahead, false);
	subscription_holds(&ahead.subscription, 601);
	subscription_pause(&ahead.subscription, false);
	take(&ahead);
	pass(fixture, 0);
	assert_int_equal(fixture->needed, REGIONS);
	assert_int_equal(ahead.frames, 0);
	for (int i = 0; i < REGIONS; i++) {
		topic_was_read(region(fixture, names[i]));
		pass(fixture, 0);
		assert_int_equal(ahead.frames, i == REGIONS - 1);
	}
	assert_string_equal(ahead.last, viewer.last);
	leave(fixture, &viewer);
	leave(fixture, &ahead);
}

static void it_was_checked_when_the_least_checked_was_and_changed_with_the_last(
	void **state)
{
	struct fixture *fixture = *state;
	struct viewer viewer = {0};
	struct topic_times times;

	watch(fixture, &viewer, false);
	answer(fixture, "dfw", 5000, "1");
	answer(fixture, "ord", 7000, "1");
	refuse(fixture, "lon", 9000, "{}");
	topic_checked(region(fixture, "dfw"), 40);
	topic_checked(region(fixture, "ord"), 30);
	times = topic_times(viewer.subscription.topic);
	assert_int_equal(times.checked_at_ms, 30);
	assert_int_equal(times.changed_at_ms, 9);
	leave(fixture, &viewer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_first_content_goes_out_when_every_region_has_answered_or_failed),
		TEST(or_two_seconds_after_the_first_did),
		TEST(what_others_watch_already_is_there_at_once),
		TEST(without_any_answer_there_is_only_the_doubt),
		TEST(a_regions_patch_is_moved_below_its_content),
		TEST(a_failure_and_a_recovery_are_patches_too),
		TEST(changes_of_one_round_are_one_patch),
		TEST(the_whole_is_made_only_for_who_needs_it),
		TEST(a_patch_larger_than_the_content_is_not_sent),
		TEST(a_large_content_is_read_where_no_patch_leads_to_it),
		TEST(a_text_is_a_string_in_it),
		TEST(gateways_that_have_seen_the_same_show_the_same),
		TEST(a_doubt_about_a_region_is_one_about_the_aggregate),
		TEST(a_doubt_about_a_region_that_never_answered_is_data_already),
		TEST(pace_pause_and_refresh_reach_every_region),
		TEST(who_is_ahead_waits_until_the_regions_were_read),
		TEST(it_was_checked_when_the_least_checked_was_and_changed_with_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
