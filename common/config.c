#include "common/config_draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_options.h"
#include "common/config_value.h"
#include "common/log.h"
#include "common/memory.h"

/* ---- putting together ---- */

/* @upstream  its name and what it allows are set here */
static void add_default(struct catalog *catalog, struct catalog_provider *upstream)
{
	upstream->is_default = true;
	upstream->raw = true;
	catalog_add_provider(
		catalog, catalog_add_service(catalog, "default", false), NULL, upstream);
}

static void add_upstream(struct config_draft *draft)
{
	draft->upstream.interval = catalog_interval_around(draft->interval_ms);
	draft->upstream.tls_verify = !draft->insecure;
	draft->config.assumed = draft->upstream.url == NULL;
	add_default(draft->config.catalog, &draft->upstream);
}

/* Makes the default provider where no file describes any. */
static void complete_catalog(struct config_draft *draft, const struct options *options)
{
	if (draft->config.catalog->service_count > 0) {
		options_refuse_upstream(options, draft);
		return;
	}
	if (draft->config.program == CONFIG_GATEWAY || draft->upstream.url) {
		add_upstream(draft);
		return;
	}
	if (draft->config.file)
		config_mistake(&draft->mistakes, draft->config.file,
			"describes no services, so there is nothing to poll; add "
			"\"services\", "
			"or give --upstream URL");
	else
		config_mistake(&draft->mistakes, "--upstream",
			"is missing, so there is nothing to poll; give --upstream URL "
			"for one "
			"API, or --config FILE for several");
}

static void draft_init(struct config_draft *draft, enum config_program program)
{
	*draft = (struct config_draft){
		.config =
			{
				.program = program,
				.redis = xstrdup("redis://127.0.0.1:6379/0"),
				.prefix = xstrdup("uricast"),
				.lease_ms = 3000,
				.log_levels = {.level = LOG_INFO},
				.catalog = catalog_new(),
			},
		.mistakes = {.program = options_program_name(program)},
		.interval_ms = CATALOG_INTERVAL_DEFAULT_MS,
	};
	catalog_provider_init(&draft->upstream);
	if (program != CONFIG_GATEWAY)
		return;
	draft->config.listen = xstrdup("127.0.0.1:7070");
	draft->config.limits = (struct config_gateway_limits){
		.clients = 18000,
		.subscriptions = 128,
		.message_max_bytes = 64 << 10,
		.messages_per_s = 50,
	};
	draft->config.drain.spread_ms = 5000;
}

static void read_everything(struct config_draft *draft, const struct options *options)
{
	options_apply_file(options, draft);
	if (draft->config.file)
		config_file_read(draft, draft->config.file);
	options_apply(options, draft);
	/* What follows from a mistake is none of its own. */
	if (draft->mistakes.count == 0)
		complete_catalog(draft, options);
}

/* ---- --check-config ---- */

static void print_interval(const struct catalog_interval *interval)
{
	char every[32], least[32], most[32];

	printf("every %s (%s to %s)",
		config_duration_text(every, sizeof(every), interval->default_ms),
		config_duration_text(least, sizeof(least), interval->min_ms),
		config_duration_text(most, sizeof(most), interval->max_ms));
}

static void print_provider(
	const struct catalog *catalog, const struct catalog_provider *provider)
{
	printf("  %s at %s, ", provider->name,
		provider->url ? provider->url : "(the poller's)");
	print_interval(&provider->interval);
	printf("%s%s%s\n", provider->is_default ? ", default" : "",
		provider->raw ? ", raw URIs" : "",
		provider->tls_verify ? "" : ", TLS not verified");
	for (size_t i = 0; i < catalog->service_count; i++) {
		const struct catalog_service *service = &catalog->services[i];

		if (strcmp(service->name, provider->service) != 0)
			continue;
		for (size_t j = 0; j < service->type_count; j++) {
			printf("    %s/%s from %s, ", provider->name,
				service->types[j].name, service->types[j].path);
			print_interval(&service->types[j].interval);
			putchar('\n');
		}
	}
}

static void print_summary(const struct config *config)
{
	char redis[CONFIG_QUOTED_MAX], lease[32];

	printf("The configuration of %s is fine.\n",
		options_program_name(config->program));
	printf("  redis %s, prefix %s, lease %s\n",
		config_quote(redis, config->redis, strlen(config->redis)), config->prefix,
		config_duration_text(lease, sizeof(lease), config->lease_ms));
	if (config->listen)
		printf("  listens on %s\n", config->listen);
	if (config->metrics_listen)
		printf("  metrics on %s\n", config->metrics_listen);
	printf("Providers:\n");
	for (size_t i = 0; i < config->catalog->provider_count; i++)
		print_provider(config->catalog, &config->catalog->providers[i]);
}

/* ---- */

static enum config_outcome finish(struct config *config, struct config_draft *draft)
{
	if (draft->mistakes.count > 0)
		return CONFIG_EXIT_WRONG;
	if (draft->check_only) {
		print_summary(&draft->config);
		return CONFIG_EXIT_OK;
	}
	*config = draft->config;
	return CONFIG_OK;
}

/* @origin  program and command line */
static enum config_outcome read_from(
	const struct config *origin, config_mistake_fn say, struct config *config)
{
	struct config_draft draft;
	struct options *options;
	enum config_outcome outcome = CONFIG_EXIT_OK;
	int argc = origin->argc;
	char **argv = origin->argv;
	bool answered;

	draft_init(&draft, origin->program);
	draft.mistakes.say = say;
	draft.config.argc = argc;
	draft.config.argv = argv;
	options = options_read(&draft, argc, argv, &answered);
	if (!answered) {
		if (draft.mistakes.count == 0)
			read_everything(&draft, options);
		outcome = finish(config, &draft);
	}
	if (outcome != CONFIG_OK)
		config_fini(&draft.config);
	catalog_provider_fini(&draft.upstream);
	options_free(options);
	return outcome;
}

enum config_outcome config_read(
	struct config *config, enum config_program program, int argc, char **argv)
{
	const struct config origin = {.program = program, .argc = argc, .argv = argv};

	return read_from(&origin, NULL, config);
}

enum config_outcome config_read_again(
	const struct config *running, config_mistake_fn say, struct config *next)
{
	return read_from(running, say, next);
}

struct catalog *config_assumed_catalog(const struct catalog_interval *interval)
{
	struct catalog *catalog = catalog_new();
	struct catalog_provider upstream;

	catalog_provider_init(&upstream);
	upstream.interval = *interval;
	add_default(catalog, &upstream);
	catalog_provider_fini(&upstream);
	return catalog;
}

void config_fini(struct config *config)
{
	free(config->redis);
	free(config->prefix);
	free(config->metrics_listen);
	free(config->listen);
	free(config->token_file);
	config_texts_free(config->origins, config->origin_count);
	config_texts_free(config->trusted_proxies, config->trusted_proxy_count);
	catalog_free(config->catalog);
	free(config->file);
}
