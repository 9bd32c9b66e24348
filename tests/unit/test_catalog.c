#include "common/catalog_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add_type(struct catalog_service *service, const char *name, const char *path,
	const char *item, uint32_t interval_ms)
{
	struct catalog_resource_type *type = catalog_add_type(service, name);

	type->path = strdup(path);
	type->item = item ? strdup(item) : NULL;
	type->interval = catalog_interval_around(interval_ms);
}

/* ganeti (default, raw), compute in dfw and ord, dns (raw), sealed (no raw). */
static int make_catalog(void **state)
{
	struct catalog *catalog = catalog_new();
	struct catalog_service *service;
	struct catalog_provider settings;

	catalog_provider_init(&settings);
	settings.is_default = settings.raw = true;
	catalog_add_provider(
		catalog, catalog_add_service(catalog, "ganeti", false), NULL, &settings);

	settings.is_default = settings.raw = false;
	service = catalog_add_service(catalog, "compute", true);
	add_type(service, "servers", "/servers/detail?all=1", "/servers/{id}", 2000);
	add_type(service, "flavors", "/flavors", NULL, 600000);
	catalog_add_provider(catalog, service, "dfw", &settings);
	catalog_add_provider(catalog, service, "ord", &settings)->raw = true;

	service = catalog_add_service(catalog, "dns", false);
	add_type(service, "domains", "/zones", "/zones/{id}/records?x=1", 5000);
	settings.raw = true;
	catalog_add_provider(catalog, service, NULL, &settings);

	settings.raw = false;
	catalog_add_provider(
		catalog, catalog_add_service(catalog, "sealed", false), NULL, &settings);
	catalog_provider_fini(&settings);
	*state = catalog;
	return 0;
}

static int free_catalog(void **state)
{
	catalog_free(*state);
	return 0;
}

static enum catalog_outcome resolve(
	const struct catalog *catalog, const char *text, struct catalog_target *target)
{
	struct address address;

	assert_int_equal(address_parse(&address, text, strlen(text)), ADDRESS_OK);
	return catalog_resolve(catalog, &address, target);
}

static void assert_means(const struct catalog *catalog, const char *text,
	const char *provider, const char *uri)
{
	struct catalog_target target;

	assert_int_equal(resolve(catalog, text, &target), CATALOG_OK);
	assert_string_equal(target.provider->name, provider);
	assert_string_equal(target.uri, uri);
}

static void assert_refused(
	const struct catalog *catalog, const char *text, enum catalog_outcome outcome)
{
	struct catalog_target target = {0}, untouched = {0};

	assert_int_equal(resolve(catalog, text, &target), outcome);
	assert_memory_equal(&target, &untouched, sizeof(target));
}

static void a_uri_goes_to_the_default_provider(void **state)
{
	assert_means(*state, "/nodes?bulk=1", "ganeti", "/nodes?bulk=1");
	assert_means(*state, "/", "ganeti", "/");
}

static void a_raw_uri_goes_to_the_provider_it_names(void **state)
{
	assert_means(*state, "dns:/zones?x=1", "dns", "/zones?x=1");
	assert_means(*state, "compute/ord:/x", "compute/ord", "/x");
}

static void a_raw_uri_is_denied_where_the_provider_allows_none(void **state)
{
	assert_refused(*state, "compute/dfw:/x", CATALOG_RAW_DENIED);
	assert_refused(*state, "sealed:/x", CATALOG_RAW_DENIED);
}

static void the_default_provider_is_not_to_be_named(void **state)
{
	assert_refused(*state, "ganeti:/nodes", CATALOG_NOT_CANONICAL);
}

static void a_type_has_its_path_in_every_region(void **state)
{
	assert_means(
		*state, "compute/dfw/servers", "compute/dfw", "/servers/detail?all=1");
	assert_means(
		*state, "compute/ord/servers", "compute/ord", "/servers/detail?all=1");
	assert_means(*state, "dns/domains", "dns", "/zones");
}

static void an_item_takes_its_place_in_the_template(void **state)
{
	assert_means(*state, "compute/dfw/servers/0a1b", "compute/dfw", "/servers/0a1b");
	assert_means(*state, "dns/domains/a%20b", "dns", "/zones/a%20b/records?x=1");
	assert_means(
		*state, "dns/domains/%25;x@y:z", "dns", "/zones/%25;x@y:z/records?x=1");
}

static void the_longest_item_fits(void **state)
{
	struct catalog_target target;
	char text[ADDRESS_MAX + 1];
	size_t id = ADDRESS_MAX - strlen("dns/domains/");

	memset(text, 'x', ADDRESS_MAX);
	memcpy(text, "dns/domains/", strlen("dns/domains/"));
	text[ADDRESS_MAX] = '\0';
	assert_int_equal(resolve(*state, text, &target), CATALOG_OK);
	assert_int_equal(strlen(target.uri), id + strlen("/zones//records?x=1"));
}

static void a_target_says_type_interval_and_whether_it_is_an_item(void **state)
{
	struct catalog_target target;

	assert_int_equal(resolve(*state, "compute/dfw/servers", &target), CATALOG_OK);
	assert_string_equal(target.type->name, "servers");
	assert_int_equal(target.interval.default_ms, 2000);
	assert_false(target.is_item);
	assert_int_equal(resolve(*state, "compute/dfw/servers/1", &target), CATALOG_OK);
	assert_int_equal(target.interval.default_ms, 2000);
	assert_true(target.is_item);
	assert_int_equal(resolve(*state, "/nodes", &target), CATALOG_OK);
	assert_null(target.type);
	assert_int_equal(target.interval.default_ms, CATALOG_INTERVAL_DEFAULT_MS);
	assert_false(target.is_item);
}

static void what_is_not_configured_is_unknown(void **state)
{
	static const char *const unknown[] = {"nowhere/dfw/servers", "nowhere:/x",
		"compute/lon/servers", "compute/lon:/x", "compute/dfw/volumes",
		"dns/zones", "dns/dfw/domains", "dns/dfw:/x", "dns/domains/1/2",
		"ganeti/nodes", "comput/dfw/servers", "computer/dfw/servers",
		"compute/df/servers", "compute/dfw/server", "Compute/dfw/servers"};

	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
		assert_refused(*state, unknown[i], CATALOG_UNKNOWN);
}

static void an_item_of_a_type_without_items_is_unknown(void **state)
{
	assert_refused(*state, "compute/dfw/flavors/1", CATALOG_UNKNOWN);
}

static void a_service_with_regions_is_nothing_without_one(void **state)
{
	assert_refused(*state, "compute/servers/1", CATALOG_UNKNOWN);
	assert_refused(*state, "compute/volumes", CATALOG_UNKNOWN);
	assert_refused(*state, "compute/dfw", CATALOG_UNKNOWN);
	assert_refused(*state, "compute:/x", CATALOG_UNKNOWN);
}

static void a_type_without_a_region_is_the_aggregate_of_all(void **state)
{
	struct catalog_target target;
	const struct catalog_provider *dfw, *ord;

	assert_int_equal(resolve(*state, "compute/servers", &target), CATALOG_AGGREGATE);
	assert_null(target.provider);
	assert_string_equal(target.type->name, "servers");
	assert_int_equal(target.interval.default_ms, 2000);
	dfw = catalog_next_region(*state, target.aggregate, NULL);
	ord = catalog_next_region(*state, target.aggregate, dfw);
	assert_string_equal(dfw->name, "compute/dfw");
	assert_string_equal(ord->name, "compute/ord");
	assert_null(catalog_next_region(*state, target.aggregate, ord));
	assert_int_equal(resolve(*state, "compute/dfw/servers", &target), CATALOG_OK);
	assert_null(target.aggregate);
}

static void without_a_default_provider_a_uri_has_no_meaning(void **state)
{
	struct catalog *catalog = catalog_new();
	struct catalog_provider settings;

	(void)state;
	assert_refused(catalog, "/nodes", CATALOG_NO_DEFAULT);
	catalog_provider_init(&settings);
	catalog_add_provider(
		catalog, catalog_add_service(catalog, "dns", false), NULL, &settings);
	assert_refused(catalog, "/nodes", CATALOG_NO_DEFAULT);
	catalog_free(catalog);
}

static void a_default_provider_without_raw_uris_denies_them(void **state)
{
	struct catalog *catalog = catalog_new();
	struct catalog_provider settings;

	(void)state;
	catalog_provider_init(&settings);
	settings.is_default = true;
	catalog_add_provider(
		catalog, catalog_add_service(catalog, "dns", false), NULL, &settings);
	assert_refused(catalog, "/nodes", CATALOG_RAW_DENIED);
	assert_refused(catalog, "dns:/nodes", CATALOG_RAW_DENIED);
	catalog_free(catalog);
}

static void providers_are_listed_in_order_and_found_by_name(void **state)
{
	static const char *const names[] = {
		"ganeti", "compute/dfw", "compute/ord", "dns", "sealed"};
	const struct catalog_provider *providers;
	size_t count = catalog_providers(*state, &providers);

	assert_int_equal(count, 5);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(providers[i].name, names[i]);
		assert_ptr_equal(catalog_provider(*state, names[i]), &providers[i]);
	}
	assert_string_equal(providers[1].service, "compute");
	assert_string_equal(providers[1].region, "dfw");
	assert_null(providers[3].region);
	assert_null(catalog_provider(*state, "compute"));
}

static void a_provider_keeps_its_own_copies(void **state)
{
	struct catalog *catalog = catalog_new();
	struct catalog_provider settings, *provider;

	(void)state;
	catalog_provider_init(&settings);
	settings.url = strdup("https://host/2");
	catalog_provider_header(&settings, "X-A")->value = strdup("one");
	provider = catalog_add_provider(
		catalog, catalog_add_service(catalog, "dns", false), NULL, &settings);
	catalog_provider_fini(&settings);
	assert_string_equal(provider->url, "https://host/2");
	assert_string_equal(provider->headers[0].value, "one");
	assert_ptr_equal(catalog_provider_header(provider, "x-a"), &provider->headers[0]);
	assert_int_equal(provider->header_count, 1);
	catalog_free(catalog);
}

static void a_plain_interval_leaves_room_on_both_sides(void **state)
{
	struct catalog_interval interval = catalog_interval_around(5000);

	(void)state;
	assert_int_equal(interval.min_ms, 1000);
	assert_int_equal(interval.max_ms, 3600000);
	interval = catalog_interval_around(250);
	assert_int_equal(interval.min_ms, 250);
	interval = catalog_interval_around(7200000);
	assert_int_equal(interval.max_ms, 7200000);
}

static void a_catalog_lives_as_long_as_somebody_holds_it(void **state)
{
	struct catalog *catalog = catalog_new(), *held = catalog_keep(catalog);

	(void)state;
	assert_ptr_equal(held, catalog);
	catalog_free(catalog);
	catalog_add_service(held, "still-there", false);
	assert_string_equal(held->services[0].name, "still-there");
	catalog_free(held);
}

static void a_target_names_its_catalog(void **state)
{
	struct catalog_target target;

	assert_int_equal(resolve(*state, "/nodes", &target), CATALOG_OK);
	assert_ptr_equal(target.catalog, *state);
}

static void every_outcome_has_a_sentence(void **state)
{
	(void)state;
	for (int outcome = CATALOG_UNKNOWN; outcome <= CATALOG_AGGREGATE; outcome++)
		assert_true(
			strlen(catalog_outcome_text((enum catalog_outcome)outcome)) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_uri_goes_to_the_default_provider),
		cmocka_unit_test(a_raw_uri_goes_to_the_provider_it_names),
		cmocka_unit_test(a_raw_uri_is_denied_where_the_provider_allows_none),
		cmocka_unit_test(the_default_provider_is_not_to_be_named),
		cmocka_unit_test(a_type_has_its_path_in_every_region),
		cmocka_unit_test(an_item_takes_its_place_in_the_template),
		cmocka_unit_test(the_longest_item_fits),
		cmocka_unit_test(a_target_says_type_interval_and_whether_it_is_an_item),
		cmocka_unit_test(what_is_not_configured_is_unknown),
		cmocka_unit_test(an_item_of_a_type_without_items_is_unknown),
		cmocka_unit_test(a_service_with_regions_is_nothing_without_one),
		cmocka_unit_test(a_type_without_a_region_is_the_aggregate_of_all),
		cmocka_unit_test(without_a_default_provider_a_uri_has_no_meaning),
		cmocka_unit_test(a_default_provider_without_raw_uris_denies_them),
		cmocka_unit_test(providers_are_listed_in_order_and_found_by_name),
		cmocka_unit_test(a_provider_keeps_its_own_copies),
		cmocka_unit_test(a_plain_interval_leaves_room_on_both_sides),
		cmocka_unit_test(a_catalog_lives_as_long_as_somebody_holds_it),
		cmocka_unit_test(a_target_names_its_catalog),
		cmocka_unit_test(every_outcome_has_a_sentence),
	};

	return cmocka_run_group_tests(tests, make_catalog, free_catalog);
}
