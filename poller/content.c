#include "poller/content.h"

#include "poller/resource.h"

#include <stdlib.h>

void contents_init(struct contents *contents)
{
	list_init(&contents->kept);
	contents->bytes = 0;
}

char *contents_take(struct contents *contents, struct resource *resource, size_t *length)
{
	char *bytes = resource->content;

	if (bytes == NULL)
		return NULL;
	*length = resource->content_length;
	contents->bytes -= resource->content_length;
	list_remove(&resource->on_contents);
	resource->content = NULL;
	return bytes;
}

void contents_drop(struct contents *contents, struct resource *resource)
{
	size_t length;

	free(contents_take(contents, resource, &length));
}

void contents_keep(
	struct contents *contents, struct resource *resource, char *bytes, size_t length)
{
	contents_drop(contents, resource);
	resource->content = bytes;
	resource->content_length = length;
	contents->bytes += length;
	list_append(&contents->kept, &resource->on_contents);
	while (contents->bytes > CONTENTS_BYTES_MAX) {
		struct list *oldest = contents->kept.next;

		contents_drop(
			contents, container_of(oldest, struct resource, on_contents));
	}
}
