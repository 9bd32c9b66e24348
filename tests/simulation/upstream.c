#include "tests/simulation/upstream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

#define PADDING_SOME 100
#define PADDING_MUCH 70000 /* above CHANGE_CONTENT_MAX */

/* Some bodies are shorter than any patch, some longer than what is published. */
static size_t any_padding(struct world *world)
{
	if (random_stream_chance(&world->random, 40))
		return 0;
	return random_stream_chance(&world->random, 97) ? PADDING_SOME : PADDING_MUCH;
}

void upstream_init(struct upstream *upstream, struct world *world, size_t count)
{
	*upstream = (struct upstream){.world = world, .resource_count = count};
	for (size_t i = 0; i < count; i++) {
		struct upstream_resource *resource = &upstream->resources[i];

		snprintf(resource->uri, sizeof(resource->uri), "/r%zu", i);
		resource->value = 1;
		resource->before = 1;
		resource->next = 2;
		resource->padding = any_padding(world);
	}
}

size_t upstream_find(const struct upstream *upstream, const char *uri)
{
	for (size_t i = 0; i < upstream->resource_count; i++) {
		if (strcmp(upstream->resources[i].uri, uri) == 0)
			return i;
	}
	fprintf(stderr, "upstream: nothing is at %s\n", uri);
	abort();
}

void upstream_change(
	struct upstream *upstream, struct upstream_resource *resource, bool back)
{
	uint64_t value = back ? resource->before : resource->next;

	if (value == UPSTREAM_VALUES_MAX)
		return;
	resource->next += !back;
	resource->ended_us[resource->value] = upstream->world->now_us;
	resource->before = resource->value;
	resource->value = value;
}

int64_t upstream_age_us(const struct upstream *upstream,
	const struct upstream_resource *resource, uint64_t value)
{
	if (value == resource->value || value >= UPSTREAM_VALUES_MAX)
		return 0;
	return upstream->world->now_us - resource->ended_us[value];
}

char *upstream_body(const struct upstream_resource *resource)
{
	size_t size = resource->padding + sizeof("{\"value\":,\"padding\":\"\"}") + 20;
	char *body = xcalloc(size, 1);
	int length = snprintf(body, size, "{\"value\":%" PRIu64, resource->value);

	if (resource->padding > 0) {
		strcat(body + length, ",\"padding\":\"");
		length += (int)strlen(body + length);
		memset(body + length, 'x', resource->padding);
		strcpy(body + length + resource->padding, "\"");
		length += (int)resource->padding + 1;
	}
	strcpy(body + length, "}");
	return body;
}
