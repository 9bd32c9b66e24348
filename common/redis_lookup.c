#include "common/redis_lookup.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/list.h"
#include "common/memory.h"

struct redis_lookup {
	uv_getaddrinfo_t request;
	redis_lookup_fn on_done; /* NULL once cancelled */
	void *user;
};

static void on_looked_up(
	uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
	struct redis_lookup *lookup = container_of(request, struct redis_lookup, request);

	if (!lookup->on_done)
		uv_freeaddrinfo(addresses);
	else if (status < 0)
		lookup->on_done(NULL, uv_strerror(status), lookup->user);
	else
		lookup->on_done(addresses, NULL, lookup->user);
	free(lookup);
}

struct redis_lookup *redis_lookup_begin(
	uv_loop_t *loop, const char *host, int port, redis_lookup_fn on_done, void *user)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct redis_lookup *lookup = xcalloc(1, sizeof(*lookup));
	char service[16];

	lookup->on_done = on_done;
	lookup->user = user;
	snprintf(service, sizeof(service), "%d", port);
	if (uv_getaddrinfo(loop, &lookup->request, on_looked_up, host, service, &hints) ==
		0)
		return lookup;
	free(lookup);
	return NULL;
}

void redis_lookup_cancel(struct redis_lookup *lookup)
{
	if (!lookup)
		return;
	lookup->on_done = NULL;
	uv_cancel((uv_req_t *)&lookup->request); /* no use once it runs */
}
