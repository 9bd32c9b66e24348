#pragma once

/*
 * How a catalog is made: for common/config only. Everybody else sees common/catalog.h.
 *
 * Pointers to what was added are valid until the next of its kind is added.
 */

#include "common/catalog.h"

#define CATALOG_CONCURRENCY_DEFAULT 16
#define CATALOG_BODY_MAX_DEFAULT (8u << 20)
#define CATALOG_TIMEOUT_DEFAULT_MS 10000
#define CATALOG_RAW_ADDRESSES_DEFAULT 10000

/** A service: its providers carry its name. */
struct catalog_service {
	char *name;
	bool regional; /* one provider per region; else one in all */
	struct catalog_resource_type *types;
	size_t type_count;
};

struct catalog {
	size_t holds; /* catalog_new() is one, each catalog_keep() another */
	struct catalog_provider *providers;
	size_t provider_count;
	struct catalog_service *services;
	size_t service_count;
};

struct catalog *catalog_new(void);

struct catalog_service *catalog_add_service(
	struct catalog *catalog, const char *name, bool regional);

/**
 * Adds a copy of @settings as the provider of @service in @region.
 *
 * @settings  its names are ignored
 * @region    NULL for a service without regions
 */
struct catalog_provider *catalog_add_provider(struct catalog *catalog,
	const struct catalog_service *service, const char *region,
	const struct catalog_provider *settings);

/** Adds a type that has nothing but its name. */
struct catalog_resource_type *catalog_add_type(
	struct catalog_service *service, const char *name);

/** The interval that follows from saying nothing but @default_ms. */
struct catalog_interval catalog_interval_around(uint32_t default_ms);

/** Sets every default: no URL, no headers, TLS verified. */
void catalog_provider_init(struct catalog_provider *provider);

/** The header called @name, in any case; added if there is none. */
struct catalog_header *catalog_provider_header(
	struct catalog_provider *provider, const char *name);

/** Takes the header called @name, in any case, away again, if there is one. */
void catalog_provider_drop_header(struct catalog_provider *provider, const char *name);
void catalog_provider_drop_basic(struct catalog_provider *provider);
