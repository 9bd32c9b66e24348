#include "common/config_draft.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/config_reader.h"
#include "common/memory.h"

/* What the readers below share, as reader->user; of all files of a directory. */
struct file {
	struct config_draft *draft;
	struct reader_places *places;
	const char *default_name; /* of the provider that is the default, or NULL */
};

/* ---- providers ---- */

static void read_interval(struct reader *reader, uint32_t token, void *field)
{
	static const struct member members[] = {
		MEMBER_VALUE("default", TAKES_AMOUNT, config_value_interval,
			struct catalog_interval, default_ms),
		MEMBER_VALUE("min", TAKES_AMOUNT, config_value_interval,
			struct catalog_interval, min_ms),
		MEMBER_VALUE("max", TAKES_AMOUNT, config_value_interval,
			struct catalog_interval, max_ms),
		MEMBER_END,
	};
	struct catalog_interval *interval = field, said = {0};

	if (reader->document.tokens[token].type != DOCUMENT_OBJECT) {
		said.default_ms = interval->default_ms;
		reader_value(reader, token, TAKES_AMOUNT, config_value_interval,
			&said.default_ms);
		*interval = catalog_interval_around(said.default_ms);
		return;
	}
	reader_members(reader, token, members, &said);
	*interval = catalog_interval_around(
		said.default_ms ? said.default_ms : interval->default_ms);
	if (said.min_ms)
		interval->min_ms = said.min_ms;
	if (said.max_ms)
		interval->max_ms = said.max_ms;
	if (interval->min_ms > interval->default_ms ||
		interval->default_ms > interval->max_ms)
		reader_mistake(reader, token,
			"min (%u ms), default (%u ms) and max (%u ms) are not in order",
			interval->min_ms, interval->default_ms, interval->max_ms);
}

static void read_provider_ignore(struct reader *reader, uint32_t token, void *field)
{
	struct catalog_provider *provider = field;

	reader_texts(reader, token, config_value_pointer, &provider->ignore,
		&provider->ignore_count);
}

/* The bytes a header's name may hold by RFC 9110, 5.6.2. */
static bool is_header_name(const char *name)
{
	static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789!#$%&'*+-.^_`|~";

	return *name && !name[strspn(name, token)];
}

/* Anything that could end the header's line and begin another. */
static bool is_header_value(const char *value)
{
	for (; *value; value++) {
		if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7f)
			return false;
	}
	return true;
}

static const char *parse_secret(const char *text, struct catalog_header *header)
{
	const char *value = text;

	header->source = CATALOG_LITERAL;
	if (strncmp(text, "env:", 4) == 0) {
		header->source = CATALOG_ENV;
		value = text + 4;
	} else if (strncmp(text, "file:", 5) == 0) {
		header->source = CATALOG_FILE;
		value = text + 5;
	}
	if (header->source != CATALOG_LITERAL && !*value)
		return "the value names nothing after its env: or file:";
	if (!is_header_value(value))
		return "the value holds a control byte";
	free(header->value);
	header->value = xstrdup(value);
	return NULL;
}

/* Said without the value, which is a secret wherever it stands. */
static char *secret_text(struct reader *reader, uint32_t token)
{
	if (reader->document.tokens[token].type == DOCUMENT_STRING)
		return reader_text(reader, token);
	reader_mistake(reader, token, "the value must be a string");
	return NULL;
}

static void read_header(
	struct reader *reader, const char *name, uint32_t token, void *user)
{
	struct catalog_provider *provider = user;
	const char *wrong;
	char *text;

	if (!is_header_name(name)) {
		reader_mistake(reader, token - 1, "this cannot be a header's name");
		return;
	}
	text = secret_text(reader, token);
	if (!text)
		return;
	wrong = parse_secret(text, catalog_provider_header(provider, name));
	if (wrong)
		reader_mistake(reader, token, "%s", wrong);
	free(text);
}

/* As written: who spells them with escapes gets the last one. */
static bool same_header(const struct reader *reader, uint32_t a, uint32_t b)
{
	const struct document_token *tokens = reader->document.tokens;

	return tokens[a].length == tokens[b].length &&
		strncasecmp(reader->bytes + tokens[a].start,
			reader->bytes + tokens[b].start, tokens[a].length) == 0;
}

/* One would take the other's place unsaid. */
static void check_header_names(struct reader *reader, uint32_t object)
{
	const struct document_token *tokens = reader->document.tokens;

	for (uint32_t i = object + 1; i < tokens[object].next; i = tokens[i + 1].next) {
		for (uint32_t j = object + 1; j < i; j = tokens[j + 1].next) {
			if (same_header(reader, i, j))
				reader_mistake(reader, i,
					"this header stands there in another case, too; "
					"leave one of them");
		}
	}
}

static void read_headers(struct reader *reader, uint32_t token, void *field)
{
	if (reader->document.tokens[token].type != DOCUMENT_OBJECT) {
		reader_mistake(reader, token, "must be an object of names and values");
		return;
	}
	reader_each(reader, token, read_header, field);
	check_header_names(reader, token);
}

static void read_basic(struct reader *reader, uint32_t token, void *field)
{
	struct catalog_header *basic = field;
	char *text = secret_text(reader, token);
	const char *wrong;

	if (!text)
		return;
	wrong = parse_secret(text, basic);
	if (!wrong && basic->source == CATALOG_LITERAL)
		wrong = "the user and password must not stand here; write \"file:PATH\" "
			"or "
			"\"env:NAME\" for where user:password is";
	if (wrong)
		reader_mistake(reader, token, "%s", wrong);
	free(basic->name);
	basic->name = xstrdup("Authorization");
	free(text);
}

/* The name of the header that "basic" sends, among those said at @token; 0: not there.
 */
static uint32_t find_authorization(const struct reader *reader, uint32_t token)
{
	static const char name[] = "\"authorization\"";
	const size_t length = sizeof(name) - 1;
	const struct document_token *tokens = reader->document.tokens;
	uint32_t headers = document_member(&reader->document, token, "headers");

	if (headers == 0 || tokens[headers].type != DOCUMENT_OBJECT)
		return 0;
	for (uint32_t i = headers + 1; i < tokens[headers].next; i = tokens[i + 1].next) {
		if (tokens[i].length == length &&
			strncasecmp(reader->bytes + tokens[i].start, name, length) == 0)
			return i;
	}
	return 0;
}

/* Credentials are sent once: what a region says takes the place of its service's. */
static void settle_authorization(
	struct reader *reader, uint32_t token, struct catalog_provider *provider)
{
	uint32_t basic = document_member(&reader->document, token, "basic");
	uint32_t header = find_authorization(reader, token);

	if (basic != 0 && header != 0)
		reader_mistake(reader, header,
			"\"basic\" is sent as this header, too; leave one of them");
	else if (basic != 0)
		catalog_provider_drop_header(provider, "Authorization");
	else if (header != 0)
		catalog_provider_drop_basic(provider);
}

static void read_tls(struct reader *reader, uint32_t token, void *field)
{
	static const struct member members[] = {
		MEMBER_VALUE("verify", TAKES_FLAG, config_value_flag,
			struct catalog_provider, tls_verify),
		MEMBER_VALUE("ca", TAKES_TEXT, config_value_path, struct catalog_provider,
			tls_ca),
		MEMBER_VALUE("certificate", TAKES_TEXT, config_value_path,
			struct catalog_provider, tls_certificate),
		MEMBER_VALUE("key", TAKES_TEXT, config_value_path,
			struct catalog_provider, tls_key),
		MEMBER_END,
	};
	struct catalog_provider *provider = field;

	reader_members(reader, token, members, provider);
	if (provider->tls_key && !provider->tls_certificate)
		reader_mistake(reader, token, "a key needs its certificate");
}

static void read_limits(struct reader *reader, uint32_t token, void *field)
{
	static const struct member members[] = {
		MEMBER_VALUE("concurrency", TAKES_COUNT, config_value_concurrency,
			struct catalog_limits, concurrency),
		MEMBER_VALUE("rate", TAKES_AMOUNT, config_value_rate,
			struct catalog_limits, rate_per_s),
		MEMBER_VALUE("body", TAKES_AMOUNT, config_value_body,
			struct catalog_limits, body_max_bytes),
		MEMBER_VALUE("timeout", TAKES_AMOUNT, config_value_timeout,
			struct catalog_limits, timeout_ms),
		MEMBER_VALUE("raw_addresses", TAKES_COUNT, config_value_addresses,
			struct catalog_limits, raw_addresses_max),
		MEMBER_END,
	};

	reader_members(reader, token, members, field);
}

/* ---- services ---- */

/* What a service says before its providers are made of it. */
struct service_draft {
	struct catalog_provider settings;
	uint32_t regions; /* their token, or 0 */
	uint32_t resources;
};

static void remember_token(struct reader *reader, uint32_t token, void *field)
{
	(void)reader;
	*(uint32_t *)field = token;
}

static const struct member service_members[] = {
	MEMBER_VALUE("url", TAKES_TEXT, config_value_upstream, struct service_draft,
		settings.url),
	MEMBER_VALUE("default", TAKES_FLAG, config_value_flag, struct service_draft,
		settings.is_default),
	MEMBER_VALUE(
		"raw", TAKES_FLAG, config_value_flag, struct service_draft, settings.raw),
	MEMBER_TREE("interval", read_interval,
		offsetof(struct service_draft, settings.interval)),
	MEMBER_TREE(
		"limits", read_limits, offsetof(struct service_draft, settings.limits)),
	MEMBER_TREE("tls", read_tls, offsetof(struct service_draft, settings)),
	MEMBER_TREE("headers", read_headers, offsetof(struct service_draft, settings)),
	MEMBER_TREE("basic", read_basic, offsetof(struct service_draft, settings.basic)),
	MEMBER_TREE(
		"ignore", read_provider_ignore, offsetof(struct service_draft, settings)),
	MEMBER_VALUE("identity", TAKES_TEXT, config_value_identity, struct service_draft,
		settings.identity),
	MEMBER_TREE("regions", remember_token, offsetof(struct service_draft, regions)),
	MEMBER_TREE(
		"resources", remember_token, offsetof(struct service_draft, resources)),
	MEMBER_END,
};

static const struct member region_members[] = {
	MEMBER_VALUE(
		"url", TAKES_TEXT, config_value_upstream, struct catalog_provider, url),
	MEMBER_TREE("limits", read_limits, offsetof(struct catalog_provider, limits)),
	MEMBER_TREE("tls", read_tls, 0),
	MEMBER_TREE("headers", read_headers, 0),
	MEMBER_TREE("basic", read_basic, offsetof(struct catalog_provider, basic)),
	MEMBER_END,
};

static bool judge_name(
	struct reader *reader, uint32_t token, const char *name, const char *what)
{
	if (config_is_name(name))
		return true;
	reader_mistake(reader, token - 1,
		"this cannot name a %s; use letters, digits, - and _, and dots inside",
		what);
	return false;
}

static bool has_url(const struct reader *reader, uint32_t token)
{
	return document_member(&reader->document, token, "url") != 0;
}

/* @url_said is whether a url stands there, be it wrong. */
static void check_provider(struct reader *reader, uint32_t token,
	const struct catalog_provider *provider, bool url_said)
{
	struct file *file = reader->user;

	if (file->draft->config.program == CONFIG_POLLER && !provider->url && !url_said)
		reader_mistake(reader, token,
			"the \"url\" is missing; a poller needs to know whom to ask");
	if (!provider->is_default)
		return;
	if (file->default_name)
		reader_mistake(reader, token,
			"there are two defaults, \"%s\" and \"%s\"; leave one",
			file->default_name, provider->name);
	file->default_name = provider->name;
}

/* One service's regions being read. */
struct regions {
	size_t service; /* index; the catalog's pointers move */
	const struct catalog_provider *settings;
	bool url_said; /* of the service */
};

static void read_region(
	struct reader *reader, const char *name, uint32_t token, void *user)
{
	const struct regions *regions = user;
	struct file *file = reader->user;
	struct catalog *catalog = file->draft->config.catalog;
	const struct catalog_service *service = &catalog->services[regions->service];
	struct catalog_provider *provider;

	if (!judge_name(reader, token, name, "region") ||
		!reader_takes(reader, token, TAKES_OBJECT))
		return;
	for (size_t i = 0; i < service->type_count; i++) {
		if (strcmp(service->types[i].name, name) == 0)
			reader_mistake(reader, token - 1,
				"a resource type of this service has the same name; an "
				"address could mean either");
	}
	provider = catalog_add_provider(catalog, service, name, regions->settings);
	reader_members(reader, token, region_members, provider);
	settle_authorization(reader, token, provider);
	check_provider(
		reader, token, provider, regions->url_said || has_url(reader, token));
}

static void read_type_ignore(struct reader *reader, uint32_t token, void *field)
{
	struct catalog_resource_type *type = field;

	reader_texts(
		reader, token, config_value_pointer, &type->ignore, &type->ignore_count);
}

static const struct member type_members[] = {
	MEMBER_VALUE(
		"path", TAKES_TEXT, config_value_uri, struct catalog_resource_type, path),
	MEMBER_VALUE("item", TAKES_TEXT, config_value_item, struct catalog_resource_type,
		item),
	MEMBER_TREE("interval", read_interval,
		offsetof(struct catalog_resource_type, interval)),
	MEMBER_TREE("ignore", read_type_ignore, 0),
	MEMBER_VALUE("identity", TAKES_TEXT, config_value_identity,
		struct catalog_resource_type, identity),
	MEMBER_END,
};

/* One service's resource types being read. */
struct types {
	struct catalog_service *service;
	struct catalog_interval interval;
};

static void read_type(struct reader *reader, const char *name, uint32_t token, void *user)
{
	const struct types *types = user;
	struct catalog_resource_type *type;

	if (!judge_name(reader, token, name, "resource type") ||
		!reader_takes(reader, token, TAKES_OBJECT))
		return;
	type = catalog_add_type(types->service, name);
	type->interval = types->interval;
	reader_members(reader, token, type_members, type);
	if (!document_member(&reader->document, token, "path"))
		reader_mistake(reader, token,
			"the \"path\" is missing; write where the list is below the url, "
			"as "
			"in \"/servers\"");
}

static void read_regions(struct reader *reader, size_t service,
	const struct service_draft *draft, bool url_said)
{
	const struct document_token *tokens = reader->document.tokens;
	struct regions regions = {
		.service = service, .settings = &draft->settings, .url_said = url_said};
	size_t up = reader_enter(reader, "regions");

	reader_each(reader, draft->regions, read_region, &regions);
	if (tokens[draft->regions].type == DOCUMENT_OBJECT &&
		tokens[draft->regions].count == 0)
		reader_mistake(reader, draft->regions,
			"no region is named; leave \"regions\" out for a service without "
			"any");
	reader_leave(reader, up);
}

static void read_types(struct reader *reader, struct catalog_service *service,
	const struct service_draft *draft)
{
	struct types types = {.service = service, .interval = draft->settings.interval};
	size_t up = reader_enter(reader, "resources");

	reader_each(reader, draft->resources, read_type, &types);
	reader_leave(reader, up);
}

static void read_service(
	struct reader *reader, const char *name, uint32_t token, void *user)
{
	struct catalog *catalog = user;
	struct service_draft draft = {0};
	struct catalog_service *service;
	bool url_said;

	if (!judge_name(reader, token, name, "service") ||
		!reader_takes(reader, token, TAKES_OBJECT) ||
		!reader_first_place(reader, token - 1))
		return;
	catalog_provider_init(&draft.settings);
	reader_members(reader, token, service_members, &draft);
	settle_authorization(reader, token, &draft.settings);
	/* A default provider is of no use but for raw URIs. */
	if (!document_member(&reader->document, token, "raw"))
		draft.settings.raw = draft.settings.is_default;

	service = catalog_add_service(catalog, name, draft.regions != 0);
	if (draft.resources)
		read_types(reader, service, &draft);
	url_said = has_url(reader, token);
	if (draft.regions)
		read_regions(reader, catalog->service_count - 1, &draft, url_said);
	else
		check_provider(reader, token,
			catalog_add_provider(catalog, service, NULL, &draft.settings),
			url_said);
	catalog_provider_fini(&draft.settings);
}

static void read_services(struct reader *reader, uint32_t token, void *field)
{
	struct config_draft *draft = field;

	reader_each(reader, token, read_service, draft->config.catalog);
}

/* ---- the processes ---- */

static void read_origins(struct reader *reader, uint32_t token, void *field)
{
	struct config *config = field;

	reader_texts(reader, token, config_value_origin, &config->origins,
		&config->origin_count);
}

static void read_trusted_proxies(struct reader *reader, uint32_t token, void *field)
{
	struct config *config = field;

	reader_texts(reader, token, config_value_network, &config->trusted_proxies,
		&config->trusted_proxy_count);
}

static void read_gateway_limits(struct reader *reader, uint32_t token, void *field)
{
	static const struct member members[] = {
		MEMBER_VALUE("clients", TAKES_COUNT, config_value_clients,
			struct config_gateway_limits, clients),
		MEMBER_VALUE("clients_per_address", TAKES_COUNT, config_value_clients,
			struct config_gateway_limits, clients_per_address),
		MEMBER_VALUE("subscriptions", TAKES_COUNT, config_value_subscriptions,
			struct config_gateway_limits, subscriptions),
		MEMBER_VALUE("message", TAKES_AMOUNT, config_value_message,
			struct config_gateway_limits, message_max_bytes),
		MEMBER_VALUE("messages", TAKES_AMOUNT, config_value_messages,
			struct config_gateway_limits, messages_per_s),
		MEMBER_END,
	};

	reader_members(reader, token, members, field);
}

static void read_drain(struct reader *reader, uint32_t token, void *field)
{
	static const struct member members[] = {
		MEMBER_VALUE("delay", TAKES_AMOUNT, config_value_drain,
			struct config_drain, delay_ms),
		MEMBER_VALUE("spread", TAKES_AMOUNT, config_value_drain,
			struct config_drain, spread_ms),
		MEMBER_END,
	};

	reader_members(reader, token, members, field);
}

static const struct member gateway_members[] = {
	MEMBER_VALUE("listen", TAKES_TEXT, config_value_listen, struct config, listen),
	MEMBER_VALUE("metrics", TAKES_TEXT, config_value_listen, struct config,
		metrics_listen),
	MEMBER_VALUE(
		"token_file", TAKES_TEXT, config_value_path, struct config, token_file),
	MEMBER_TREE("origins", read_origins, 0),
	MEMBER_TREE("trusted_proxies", read_trusted_proxies, 0),
	MEMBER_PARTS("limits", read_gateway_limits, offsetof(struct config, limits)),
	MEMBER_PARTS("drain", read_drain, offsetof(struct config, drain)),
	MEMBER_END,
};

static const struct member poller_members[] = {
	MEMBER_VALUE("metrics", TAKES_TEXT, config_value_listen, struct config,
		metrics_listen),
	MEMBER_END,
};

/* Both processes judge the whole file, but each keeps its own part only. */
static void read_process(struct reader *reader, uint32_t token,
	enum config_program program, const struct member *members)
{
	struct file *file = reader->user;
	struct config unused = {0}, *config = &file->draft->config;

	reader_members(
		reader, token, members, config->program == program ? config : &unused);
	config_fini(&unused);
}

static void read_gateway(struct reader *reader, uint32_t token, void *field)
{
	(void)field;
	read_process(reader, token, CONFIG_GATEWAY, gateway_members);
}

static void read_poller(struct reader *reader, uint32_t token, void *field)
{
	(void)field;
	read_process(reader, token, CONFIG_POLLER, poller_members);
}

/* Of the schema that editors complete by; nothing to us. */
static void read_schema(struct reader *reader, uint32_t token, void *field)
{
	(void)field;
	reader_takes(reader, token, TAKES_TEXT);
}

static const struct member file_members[] = {
	MEMBER_VALUE("redis", TAKES_TEXT, config_value_redis, struct config_draft,
		config.redis),
	MEMBER_VALUE("prefix", TAKES_TEXT, config_value_prefix, struct config_draft,
		config.prefix),
	MEMBER_VALUE("lease", TAKES_AMOUNT, config_value_lease, struct config_draft,
		config.lease_ms),
	MEMBER_VALUE("log_level", TAKES_TEXT, config_value_log_level, struct config_draft,
		config.log_levels),
	MEMBER_VALUE("log_format", TAKES_TEXT, config_value_log_format,
		struct config_draft, config.log_json),
	MEMBER_PARTS("gateway", read_gateway, 0),
	MEMBER_PARTS("poller", read_poller, 0),
	MEMBER_PARTS("services", read_services, 0),
	MEMBER_PARTS("$schema", read_schema, 0),
	MEMBER_END,
};

static void read_file(struct file *file, const char *path)
{
	struct config_draft *draft = file->draft;
	struct reader reader;
	int root = reader_open(&reader, path, &draft->mistakes, file->places, file);

	if (root >= 0)
		reader_members(&reader, (uint32_t)root, file_members, draft);
	reader_close(&reader);
}

/* ---- a directory of files ---- */

/* What begins with a dot is an editor's own. */
static int is_ours(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && strcmp(dot, ".json") == 0;
}

/* By bytes: the same order on every host, whatever its locale is. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static char *join_path(const char *directory, const char *name)
{
	size_t length = strlen(directory), size = length + strlen(name) + 2;
	char *path = xcalloc(1, size);

	while (length > 1 && directory[length - 1] == '/')
		length--;
	snprintf(path, size, "%.*s/%s", (int)length, directory, name);
	return path;
}

/* Their names, which the caller frees, or -1 after a mistake was said. */
static int list_files(struct file *file, const char *directory, char ***paths)
{
	struct config_mistakes *mistakes = &file->draft->mistakes;
	struct dirent **entries;
	int count = scandir(directory, &entries, is_ours, by_name);

	if (count < 0) {
		config_mistake(mistakes, directory, "cannot be read: %s", strerror(errno));
		return -1;
	}
	if (count == 0)
		config_mistake(mistakes, directory,
			"holds no file whose name ends in .json; put one there, or name a "
			"file");
	*paths = xcalloc((size_t)count + 1, sizeof(**paths));
	for (int i = 0; i < count; i++) {
		(*paths)[i] = join_path(directory, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return count;
}

static void read_directory(struct file *file, const char *directory)
{
	char **paths;
	int count = list_files(file, directory, &paths);

	if (count < 0)
		return;
	for (int i = 0; i < count; i++)
		read_file(file, paths[i]);
	/* The places remember the names: nothing is read after this. */
	config_texts_free(paths, (size_t)count);
}

static bool is_directory(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

void config_file_read(struct config_draft *draft, const char *path)
{
	struct file file = {.draft = draft, .places = reader_places_new()};

	if (is_directory(path))
		read_directory(&file, path);
	else
		read_file(&file, path);
	reader_places_free(file.places);
}
