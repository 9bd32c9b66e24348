#include "common/web.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"

/* With a foreign loop libwebsockets closes its handles in one turn, its own timers in the
 * next, and frees the context at another call: earlier, that call would free handles that
 * libuv still has. 4.1 needs two calls, 4.3 up to three. */
#define TURNS_BETWEEN_CALLS 4

struct web {
	struct lws_context *context; /* libwebsockets sets it to NULL at its end */
	struct lws_vhost *vhost;
	uv_idle_t turns; /* active while the context goes down */
	unsigned turn;
	void (*on_freed)(void *user);
	void *user;
};

static void on_log(int level, const char *line)
{
	(void)level;
	log_debug("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

struct web *web_new(
	uv_loop_t *loop, const struct lws_context_creation_info *info, const char **error)
{
	struct lws_context_creation_info ours = *info;
	struct web *web = xcalloc(1, sizeof(*web));
	void *loops[] = {loop};

	lws_set_log_level(LLL_ERR | LLL_WARN | LLL_NOTICE, on_log);
	ours.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	ours.options |= LWS_SERVER_OPTION_LIBUV;
	ours.foreign_loops = loops;
	ours.pcontext = &web->context;
	web->context = lws_create_context(&ours);
	web->vhost = web->context ? lws_get_vhost_by_name(web->context, "default") : NULL;
	if (!web->vhost) {
		*error = "libwebsockets does not start: is its libuv plugin installed "
			 "(libwebsockets-evlib-uv)?";
		if (web->context)
			lws_context_destroy(web->context);
		free(web);
		return NULL;
	}
	uv_idle_init(loop, &web->turns);
	web->turns.data = web;
	return web;
}

struct lws *web_adopt(struct web *web, int fd)
{
	return lws_adopt_socket_vhost(web->vhost, fd);
}

static void on_closed(uv_handle_t *handle)
{
	struct web *web = handle->data;

	if (web->on_freed)
		web->on_freed(web->user);
	free(web);
}

static void on_turn(uv_idle_t *turns)
{
	struct web *web = turns->data;

	if (++web->turn % TURNS_BETWEEN_CALLS == 0 && web->context)
		lws_context_destroy(web->context);
	if (!web->context)
		uv_close((uv_handle_t *)turns, on_closed);
}

void web_free(struct web *web, void (*on_freed)(void *user), void *user)
{
	web->on_freed = on_freed;
	web->user = user;
	lws_context_destroy(web->context);
	uv_idle_start(&web->turns, on_turn);
}
