#pragma once

/*
 * Configuration: command line over environment over file over default.
 *
 * One call reads everything and says exactly what is wrong: file, path and value. The
 * result is plain data that the rest of the program only reads.
 */

#include "common/catalog.h"
#include "common/config_mistake.h"
#include "common/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_program { CONFIG_GATEWAY, CONFIG_POLLER };

struct config_gateway_limits {
	uint32_t clients;             /* connections of this process; default 18000 */
	uint32_t subscriptions;       /* per connection; default 128 */
	uint32_t message_max_bytes;   /* from a client; default 64 KiB */
	uint32_t clients_per_address; /* of them; 0: any number, the default */
	uint32_t messages_per_s;      /* per connection, bursts of as many; default 50 */
};

/** How a gateway that is told to stop sends its clients away. */
struct config_drain {
	uint32_t delay_ms;  /* not ready, but serving, before it begins; default 0 */
	uint32_t spread_ms; /* over which they are sent away evenly; default 5 s */
};

struct config {
	enum config_program program;
	char *redis;          /* redis://[user:password@]host:port/db or unix:/path */
	char *prefix;         /* of every key; default "uricast" */
	uint32_t lease_ms;    /* default 3000 */
	char *metrics_listen; /* HOST:PORT or NULL */
	struct log_levels log_levels;
	bool log_json; /* lines are JSON objects */

	/* gateway only */
	char *listen;     /* HOST:PORT; default 127.0.0.1:7070 */
	char *token_file; /* or NULL */
	char **origins;
	size_t origin_count;
	char **trusted_proxies; /* ADDRESS or ADDRESS/BITS */
	size_t trusted_proxy_count;
	struct config_gateway_limits limits;
	struct config_drain drain;

	struct catalog *catalog; /* owned */
	bool assumed; /* no file describes a service: the default provider only */
	char *file;   /* what --config named, or NULL */

	int argc; /* of the program, to read everything again */
	char **argv;
};

enum config_outcome {
	CONFIG_OK = 0,
	CONFIG_EXIT_OK = 1, /* --help, --version, --check-config: printed, leave with 0 */
	CONFIG_EXIT_WRONG = 2 /* a mistake, already said on stderr; leave with 2 */
};

/**
 * Reads options, environment and file.
 *
 * @config  filled on CONFIG_OK only, released by config_fini()
 * @argv    must outlive the configuration
 */
enum config_outcome config_read(
	struct config *config, enum config_program program, int argc, char **argv);

/**
 * Reads what @running was made of again, as it is now.
 *
 * @say   hears of every mistake
 * @next  as config_read()
 */
enum config_outcome config_read_again(
	const struct config *running, config_mistake_fn say, struct config *next);

/**
 * The catalog of a gateway that no file tells of services: the default provider.
 *
 * @interval  as far as is known; copied
 *
 * Returns a catalog that catalog_free() ends.
 */
struct catalog *config_assumed_catalog(const struct catalog_interval *interval);

void config_fini(struct config *config);
