#include "common/reload.h"

#include "common/config_mistake.h"
#include "common/config_value.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/process.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* ---- what stays as it is ---- */

static void say_fixed(const char *what, const char *running, const char *next)
{
	char running_quoted[CONFIG_QUOTED_MAX], next_quoted[CONFIG_QUOTED_MAX];

	log_warn(
		"this setting changes with a restart only, going on as before setting=%s "
		"running=%s configured=%s",
		what, config_quote(running_quoted, running, strlen(running)),
		config_quote(next_quoted, next, strlen(next)));
}

static void keep_text(const char *what, const char *running, char **next)
{
	const char *before = running != NULL ? running : "", *after = *next;

	if (after == NULL)
		after = "";
	if (strcmp(before, after) == 0)
		return;
	say_fixed(what, before, after);
	free(*next);
	*next = xstrdup(running);
}

static void keep_fixed(const struct config *running, struct config *next)
{
	char before[32], after[32];

	keep_text("redis", running->redis, &next->redis);
	keep_text("prefix", running->prefix, &next->prefix);
	keep_text("listen", running->listen, &next->listen);
	keep_text("metrics", running->metrics_listen, &next->metrics_listen);
	if (running->lease_ms == next->lease_ms)
		return;
	say_fixed("lease",
		config_duration_text(before, sizeof(before), running->lease_ms),
		config_duration_text(after, sizeof(after), next->lease_ms));
	next->lease_ms = running->lease_ms;
}

/* ---- SIGHUP ---- */

static void on_mistake(const char *where, const char *what)
{
	log_error("mistake in the configuration: %s: %s", where, what);
}

static void refuse(struct reload *reload)
{
	metrics_add(reload->metrics, METRIC_RELOADS_FAILED, 1);
	log_error("the configuration was not taken, the one before stays in force");
}

static void put_in_place(struct reload *reload, const struct config *next)
{
	struct config former = *reload->config;

	*reload->config = *next;
	config_fini(&former);
	process_log(next);
	metrics_add(reload->metrics, METRIC_RELOADS_TAKEN, 1);
	log_info("the configuration was read again and is in force");
}

static void read_again(struct reload *reload)
{
	const char *obstacle;
	struct config next;

	if (config_read_again(reload->config, on_mistake, &next) != CONFIG_OK) {
		refuse(reload);
		return;
	}
	keep_fixed(reload->config, &next);
	obstacle = reload->take(&next, reload->user);
	if (obstacle == NULL) {
		put_in_place(reload, &next);
		return;
	}
	log_error("%s", obstacle);
	config_fini(&next);
	refuse(reload);
}

static void on_hangup(uv_signal_t *handle, int signal_number)
{
	struct reload *reload = handle->data;

	(void)signal_number;
	if (reload->ended)
		return;
	notify_reloading(reload->notify);
	read_again(reload);
	notify_reloaded(reload->notify);
}

/* ---- public ---- */

void reload_init(struct reload *reload, uv_loop_t *loop, struct config *config,
	struct metrics *metrics, const struct notify *notify, reload_take_fn take,
	void *user)
{
	*reload = (struct reload){.config = config,
		.metrics = metrics,
		.notify = notify,
		.take = take,
		.user = user};
	uv_signal_init(loop, &reload->hangup);
	reload->hangup.data = reload;
	uv_signal_start(&reload->hangup, on_hangup, SIGHUP);
}

void reload_end(struct reload *reload)
{
	reload->ended = true;
}

void reload_fini(struct reload *reload)
{
	uv_close((uv_handle_t *)&reload->hangup, NULL);
	/* libuv gives a signal its default back, and that of SIGHUP is to die. */
	signal(SIGHUP, SIG_IGN);
}
