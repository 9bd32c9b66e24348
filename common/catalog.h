#pragma once

/*
 * Catalog: the configured providers, and what an address means under them.
 *
 * Made by common/config from the command line and the file, immutable afterwards: a
 * reload makes a new one, and the old one lives as long as somebody holds it. Used by
 * both processes; only the poller looks at URLs, TLS and headers. Owns everything it
 * points to.
 */

#include "common/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct catalog;
struct catalog_service;

/** Intervals between polls, milliseconds; min_ms <= default_ms <= max_ms. */
struct catalog_interval {
	uint32_t default_ms;
	uint32_t min_ms; /* fastest a subscriber may ask for */
	uint32_t max_ms; /* slowest a subscriber may ask for */
};

#define CATALOG_INTERVAL_DEFAULT_MS 5000
#define CATALOG_INTERVAL_LEAST_MS 50 /* nothing is ever polled faster */
#define CATALOG_INTERVAL_MOST_MS 86400000

/** What a poll of one provider may cost. */
struct catalog_limits {
	uint32_t concurrency;       /* transfers at once, per poller */
	double rate_per_s;          /* requests for the whole fleet; 0 = not limited */
	size_t body_max_bytes;      /* decoded */
	uint32_t timeout_ms;        /* whole transfer */
	uint32_t raw_addresses_max; /* distinct raw addresses watched per gateway */
};

enum catalog_secret_source { CATALOG_LITERAL, CATALOG_ENV, CATALOG_FILE };

/** One request header; a value that is no literal is read when it is needed. */
struct catalog_header {
	char *name;
	enum catalog_secret_source source;
	char *value; /* the literal, the variable's name, or the path */
};

/** One upstream API endpoint: a service, or a service in one region. */
struct catalog_provider {
	char *name;    /* "compute/dfw", "dns"; "default" for --upstream */
	char *service; /* "compute" */
	char *region;  /* "dfw", or NULL for a service without regions */
	char *url;     /* base URL, no trailing /; NULL where this process has none */
	bool is_default;
	bool raw; /* raw URIs allowed */
	struct catalog_interval interval;
	struct catalog_limits limits;
	bool tls_verify;
	char *tls_ca;          /* path or NULL */
	char *tls_certificate; /* path or NULL */
	char *tls_key;         /* path or NULL */
	struct catalog_header *headers;
	size_t header_count;
	struct catalog_header basic; /* user:password; name is NULL where unset */
	char **ignore;               /* JSON pointers with *, for raw URIs */
	size_t ignore_count;
	char *identity; /* member naming a row for raw URIs, or NULL */
};

/** One resource type of a service. */
struct catalog_resource_type {
	char *name;
	char *path; /* "/servers/detail" */
	char *item; /* "/servers/{id}" or NULL */
	struct catalog_interval interval;
	char **ignore;
	size_t ignore_count;
	char *identity; /* or NULL */
};

/** What an address means. Points into the catalog. */
struct catalog_target {
	const struct catalog *catalog;
	const struct catalog_service *aggregate;  /* whose regions; NULL: no aggregate */
	const struct catalog_provider *provider;  /* NULL for an aggregate */
	const struct catalog_resource_type *type; /* NULL for a raw URI */
	struct catalog_interval interval;
	bool is_item;
	/* Path and query below the provider's URL; "" of an aggregate. */
	char uri[ADDRESS_MAX * 2];
};

enum catalog_outcome {
	CATALOG_OK = 0,
	CATALOG_UNKNOWN = 1,       /* no such service, region or type */
	CATALOG_RAW_DENIED = 2,    /* the provider allows no raw URIs */
	CATALOG_NO_DEFAULT = 3,    /* a /uri, and there is no default provider */
	CATALOG_NOT_CANONICAL = 4, /* names the default provider: say /uri */
	CATALOG_AGGREGATE = 5, /* a type in every region: nothing that could be polled */
};

/**
 * Says what @address, which must have parsed, means. Fills @target on CATALOG_OK and
 * CATALOG_AGGREGATE only.
 */
enum catalog_outcome catalog_resolve(const struct catalog *catalog,
	const struct address *address, struct catalog_target *target);

/** One plain sentence for a client, for any outcome but CATALOG_OK. */
const char *catalog_outcome_text(enum catalog_outcome outcome);

/** A copy that owns all it points to, and its end. */
struct catalog_provider catalog_provider_copy(const struct catalog_provider *provider);
void catalog_provider_fini(struct catalog_provider *provider);

/** Providers in configuration order; valid as long as the catalog. */
size_t catalog_providers(
	const struct catalog *catalog, const struct catalog_provider **providers);

/**
 * The regions of a service in configuration order: the one after @before (NULL: the
 * first), or NULL at the end.
 */
const struct catalog_provider *catalog_next_region(const struct catalog *catalog,
	const struct catalog_service *service, const struct catalog_provider *before);

/** By its name ("compute/dfw"), or NULL. */
const struct catalog_provider *catalog_provider(
	const struct catalog *catalog, const char *name);

/** Holds @catalog for what still points into it; ended by catalog_free(). */
struct catalog *catalog_keep(const struct catalog *catalog);

/** Ends one hold; the last one frees it. Accepts NULL. */
void catalog_free(struct catalog *catalog);
