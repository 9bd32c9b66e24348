#include "common/catalog_build.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/memory.h"

static const char *const outcome_texts[] = {
	[CATALOG_OK] = "the address is known",
	[CATALOG_UNKNOWN] =
		"the catalog knows no such service, region, resource type or item",
	[CATALOG_RAW_DENIED] = "the catalog allows no raw URIs here, only resource types",
	[CATALOG_NO_DEFAULT] = "there is no default upstream; name a service, as in "
			       "service/region:/uri",
	[CATALOG_NOT_CANONICAL] = "the address names the default upstream; write the "
				  "part after the colon alone",
	[CATALOG_AGGREGATE] =
		"the address means every region's; nothing can be polled under it",
};

/* ---- making ---- */

static char **copy_texts(char *const *texts, size_t count)
{
	char **copies = xreallocarray(NULL, count, sizeof(*copies));

	for (size_t i = 0; i < count; i++)
		copies[i] = xstrdup(texts[i]);
	return copies;
}

static void free_texts(char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}

static struct catalog_header copy_header(const struct catalog_header *header)
{
	return (struct catalog_header){
		.name = xstrdup(header->name),
		.source = header->source,
		.value = xstrdup(header->value),
	};
}

static void header_fini(struct catalog_header *header)
{
	free(header->name);
	free(header->value);
}

struct catalog *catalog_new(void)
{
	struct catalog *catalog = xcalloc(1, sizeof(*catalog));

	catalog->holds = 1;
	return catalog;
}

struct catalog_service *catalog_add_service(
	struct catalog *catalog, const char *name, bool regional)
{
	struct catalog_service *service;

	catalog->services = xreallocarray(catalog->services, catalog->service_count + 1,
		sizeof(*catalog->services));
	service = &catalog->services[catalog->service_count++];
	*service = (struct catalog_service){.name = xstrdup(name), .regional = regional};
	return service;
}

static char *join_names(const char *service, const char *region)
{
	char *name;

	if (!region)
		return xstrdup(service);
	name = xcalloc(1, strlen(service) + strlen(region) + 2);
	sprintf(name, "%s/%s", service, region);
	return name;
}

struct catalog_provider *catalog_add_provider(struct catalog *catalog,
	const struct catalog_service *service, const char *region,
	const struct catalog_provider *settings)
{
	struct catalog_provider unnamed = *settings;
	struct catalog_provider *provider;

	unnamed.name = unnamed.service = unnamed.region = NULL;
	catalog->providers = xreallocarray(catalog->providers,
		catalog->provider_count + 1, sizeof(*catalog->providers));
	provider = &catalog->providers[catalog->provider_count++];
	*provider = catalog_provider_copy(&unnamed);
	provider->name = join_names(service->name, region);
	provider->service = xstrdup(service->name);
	provider->region = xstrdup(region);
	return provider;
}

struct catalog_resource_type *catalog_add_type(
	struct catalog_service *service, const char *name)
{
	struct catalog_resource_type *type;

	service->types = xreallocarray(
		service->types, service->type_count + 1, sizeof(*service->types));
	type = &service->types[service->type_count++];
	*type = (struct catalog_resource_type){.name = xstrdup(name)};
	return type;
}

struct catalog_interval catalog_interval_around(uint32_t default_ms)
{
	return (struct catalog_interval){
		.default_ms = default_ms,
		.min_ms = default_ms < 1000 ? default_ms : 1000,
		.max_ms = default_ms > 3600000 ? default_ms : 3600000,
	};
}

void catalog_provider_init(struct catalog_provider *provider)
{
	*provider = (struct catalog_provider){
		.interval = catalog_interval_around(CATALOG_INTERVAL_DEFAULT_MS),
		.limits =
			{
				.concurrency = CATALOG_CONCURRENCY_DEFAULT,
				.body_max_bytes = CATALOG_BODY_MAX_DEFAULT,
				.timeout_ms = CATALOG_TIMEOUT_DEFAULT_MS,
				.raw_addresses_max = CATALOG_RAW_ADDRESSES_DEFAULT,
			},
		.tls_verify = true,
	};
}

struct catalog_header *catalog_provider_header(
	struct catalog_provider *provider, const char *name)
{
	struct catalog_header *header;

	for (size_t i = 0; i < provider->header_count; i++) {
		if (strcasecmp(provider->headers[i].name, name) == 0)
			return &provider->headers[i];
	}
	provider->headers = xreallocarray(provider->headers, provider->header_count + 1,
		sizeof(*provider->headers));
	header = &provider->headers[provider->header_count++];
	*header = (struct catalog_header){.name = xstrdup(name)};
	return header;
}

void catalog_provider_drop_header(struct catalog_provider *provider, const char *name)
{
	for (size_t i = 0; i < provider->header_count; i++) {
		if (strcasecmp(provider->headers[i].name, name) != 0)
			continue;
		header_fini(&provider->headers[i]);
		provider->header_count--;
		memmove(&provider->headers[i], &provider->headers[i + 1],
			(provider->header_count - i) * sizeof(*provider->headers));
		return;
	}
}

void catalog_provider_drop_basic(struct catalog_provider *provider)
{
	header_fini(&provider->basic);
	provider->basic = (struct catalog_header){0};
}

static void service_fini(struct catalog_service *service)
{
	for (size_t i = 0; i < service->type_count; i++) {
		struct catalog_resource_type *type = &service->types[i];

		free(type->name);
		free(type->path);
		free(type->item);
		free(type->identity);
		free_texts(type->ignore, type->ignore_count);
	}
	free(service->types);
	free(service->name);
}

/* ---- asking ---- */

static bool part_is(const struct address_part *part, const char *text)
{
	return text && strncmp(text, part->start, part->length) == 0 &&
		text[part->length] == '\0';
}

static const struct catalog_service *find_service(
	const struct catalog *catalog, const struct address_part *name)
{
	for (size_t i = 0; i < catalog->service_count; i++) {
		if (part_is(name, catalog->services[i].name))
			return &catalog->services[i];
	}
	return NULL;
}

/* @region is NULL where the address names none. */
static const struct catalog_provider *find_provider(const struct catalog *catalog,
	const struct address_part *service, const struct address_part *region)
{
	for (size_t i = 0; i < catalog->provider_count; i++) {
		const struct catalog_provider *provider = &catalog->providers[i];

		if (!part_is(service, provider->service))
			continue;
		if (region ? part_is(region, provider->region) : !provider->region)
			return provider;
	}
	return NULL;
}

static const struct catalog_resource_type *find_type(
	const struct catalog_service *service, const struct address_part *name)
{
	for (size_t i = 0; i < service->type_count; i++) {
		if (part_is(name, service->types[i].name))
			return &service->types[i];
	}
	return NULL;
}

static enum catalog_outcome resolve_raw(const struct catalog_provider *provider,
	const struct address_part *uri, struct catalog_target *target)
{
	if (!provider->raw)
		return CATALOG_RAW_DENIED;
	target->aggregate = NULL;
	target->provider = provider;
	target->type = NULL;
	target->interval = provider->interval;
	target->is_item = false;
	memcpy(target->uri, uri->start, uri->length);
	target->uri[uri->length] = '\0';
	return CATALOG_OK;
}

static enum catalog_outcome resolve_default(const struct catalog *catalog,
	const struct address *address, struct catalog_target *target)
{
	for (size_t i = 0; i < catalog->provider_count; i++) {
		if (catalog->providers[i].is_default)
			return resolve_raw(&catalog->providers[i], &address->uri, target);
	}
	return CATALOG_NO_DEFAULT;
}

static enum catalog_outcome resolve_named_raw(const struct catalog *catalog,
	const struct address *address, struct catalog_target *target)
{
	const struct catalog_provider *provider = find_provider(catalog,
		&address->names[0], address->name_count > 1 ? &address->names[1] : NULL);

	if (!provider)
		return CATALOG_UNKNOWN;
	if (provider->raw && provider->is_default)
		return CATALOG_NOT_CANONICAL;
	return resolve_raw(provider, &address->uri, target);
}

/* Puts the item's id, which is one judged segment, where the template has {id}. */
static void write_item_uri(char *uri, const char *template, const struct address_part *id)
{
	const char *gap = strstr(template, "{id}");

	assert(gap && strlen(template) <= ADDRESS_MAX);
	uri = mempcpy(uri, template, (size_t)(gap - template));
	uri = mempcpy(uri, id->start, id->length);
	strcpy(uri, gap + strlen("{id}"));
}

static enum catalog_outcome resolve_aggregate(const struct catalog *catalog,
	const struct catalog_service *service, const struct address_part *name,
	struct catalog_target *target)
{
	const struct catalog_resource_type *type = find_type(service, name);

	if (!type || !catalog_next_region(catalog, service, NULL))
		return CATALOG_UNKNOWN;
	target->aggregate = service;
	target->provider = NULL;
	target->type = type;
	target->interval = type->interval;
	target->is_item = false;
	target->uri[0] = '\0';
	return CATALOG_AGGREGATE;
}

static enum catalog_outcome resolve_names(const struct catalog *catalog,
	const struct address *address, struct catalog_target *target)
{
	const struct catalog_service *service = find_service(catalog, &address->names[0]);
	const struct address_part *name = &address->names[1];
	const struct address_part *end = &address->names[address->name_count];
	const struct address_part *region = NULL;
	const struct catalog_provider *provider;
	const struct catalog_resource_type *type;
	bool is_item;

	if (!service)
		return CATALOG_UNKNOWN;
	if (service->regional && address->name_count == 2)
		return resolve_aggregate(catalog, service, name, target);
	if (service->regional)
		region = name++;
	provider = find_provider(catalog, &address->names[0], region);
	type = name < end ? find_type(service, name) : NULL;
	is_item = end - name == 2;
	if (!provider || !type || end - name > 2 || (is_item && !type->item))
		return CATALOG_UNKNOWN;

	target->aggregate = NULL;
	target->provider = provider;
	target->type = type;
	target->interval = type->interval;
	target->is_item = is_item;
	if (is_item)
		write_item_uri(target->uri, type->item, name + 1);
	else
		strcpy(target->uri, type->path);
	return CATALOG_OK;
}

static enum catalog_outcome resolve_by_kind(const struct catalog *catalog,
	const struct address *address, struct catalog_target *target)
{
	switch (address->kind) {
	case ADDRESS_URI:
		return resolve_default(catalog, address, target);
	case ADDRESS_RAW:
		return resolve_named_raw(catalog, address, target);
	case ADDRESS_NAMES:
		break;
	}
	return resolve_names(catalog, address, target);
}

enum catalog_outcome catalog_resolve(const struct catalog *catalog,
	const struct address *address, struct catalog_target *target)
{
	enum catalog_outcome outcome = resolve_by_kind(catalog, address, target);

	if (outcome == CATALOG_OK)
		target->catalog = catalog;
	return outcome;
}

const char *catalog_outcome_text(enum catalog_outcome outcome)
{
	return outcome_texts[outcome];
}

struct catalog_provider catalog_provider_copy(const struct catalog_provider *provider)
{
	struct catalog_provider copy = *provider;

	copy.name = xstrdup(provider->name);
	copy.service = xstrdup(provider->service);
	copy.region = xstrdup(provider->region);
	copy.url = xstrdup(provider->url);
	copy.tls_ca = xstrdup(provider->tls_ca);
	copy.tls_certificate = xstrdup(provider->tls_certificate);
	copy.tls_key = xstrdup(provider->tls_key);
	copy.identity = xstrdup(provider->identity);
	copy.ignore = copy_texts(provider->ignore, provider->ignore_count);
	copy.basic = copy_header(&provider->basic);
	copy.headers = xreallocarray(NULL, provider->header_count, sizeof(*copy.headers));
	for (size_t i = 0; i < provider->header_count; i++)
		copy.headers[i] = copy_header(&provider->headers[i]);
	return copy;
}

void catalog_provider_fini(struct catalog_provider *provider)
{
	free(provider->name);
	free(provider->service);
	free(provider->region);
	free(provider->url);
	free(provider->tls_ca);
	free(provider->tls_certificate);
	free(provider->tls_key);
	free(provider->identity);
	free_texts(provider->ignore, provider->ignore_count);
	header_fini(&provider->basic);
	for (size_t i = 0; i < provider->header_count; i++)
		header_fini(&provider->headers[i]);
	free(provider->headers);
}

size_t catalog_providers(
	const struct catalog *catalog, const struct catalog_provider **providers)
{
	*providers = catalog->providers;
	return catalog->provider_count;
}

const struct catalog_provider *catalog_next_region(const struct catalog *catalog,
	const struct catalog_service *service, const struct catalog_provider *before)
{
	size_t first = before ? (size_t)(before - catalog->providers) + 1 : 0;

	for (size_t i = first; i < catalog->provider_count; i++) {
		if (strcmp(catalog->providers[i].service, service->name) == 0)
			return &catalog->providers[i];
	}
	return NULL;
}

const struct catalog_provider *catalog_provider(
	const struct catalog *catalog, const char *name)
{
	for (size_t i = 0; i < catalog->provider_count; i++) {
		if (strcmp(catalog->providers[i].name, name) == 0)
			return &catalog->providers[i];
	}
	return NULL;
}

struct catalog *catalog_keep(const struct catalog *catalog)
{
	/* What it says stays as it is; who looks at it is not part of that. */
	struct catalog *held = (struct catalog *)catalog;

	held->holds++;
	return held;
}

void catalog_free(struct catalog *catalog)
{
	if (!catalog || --catalog->holds > 0)
		return;
	for (size_t i = 0; i < catalog->provider_count; i++)
		catalog_provider_fini(&catalog->providers[i]);
	for (size_t i = 0; i < catalog->service_count; i++)
		service_fini(&catalog->services[i]);
	free(catalog->providers);
	free(catalog->services);
	free(catalog);
}
