#include "common/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "common/list.h"

#define PERIOD_MS 1000 /* of looks, once it is ready */
#define SOON_MS 100    /* before */

static void say_status(struct notify *notify, const char *not_ready)
{
	char text[NOTIFY_STATUS_MAX];

	if (not_ready == NULL)
		notify->events.status(text, notify->user);
	else
		snprintf(text, sizeof(text), "not ready: %s", not_ready);
	if (strcmp(text, notify->status) == 0)
		return;
	memcpy(notify->status, text, sizeof(text));
	sd_notifyf(0, "STATUS=%s", text);
}

static void on_look(struct clock_timer *timer)
{
	struct notify *notify = container_of(timer, struct notify, timer);
	const char *not_ready = notify->events.not_ready(notify->user);

	if (not_ready == NULL && !notify->said_ready) {
		notify->said_ready = true;
		sd_notify(0, "READY=1");
	}
	say_status(notify, not_ready);
	sd_notify(0, "WATCHDOG=1");
	clock_timer_start_in(timer,
		notify->said_ready || notify->period_ms < SOON_MS ? notify->period_ms
								  : SOON_MS);
}

void notify_init(struct notify *notify, struct clock *clock,
	const struct notify_events *events, void *user)
{
	uint64_t watchdog_us = 0;

	*notify =
		(struct notify){.events = *events, .user = user, .period_ms = PERIOD_MS};
	clock_timer_init(&notify->timer, clock, on_look);
	if (getenv("NOTIFY_SOCKET") == NULL)
		return;
	if (sd_watchdog_enabled(0, &watchdog_us) > 0 && watchdog_us / 2000 < PERIOD_MS)
		notify->period_ms = (int64_t)(watchdog_us / 2000);
	clock_timer_start_in(&notify->timer, 0);
}

void notify_fini(struct notify *notify)
{
	clock_timer_stop(&notify->timer);
}

/* Who is not ready yet says so when it is, and not because it has read its file. */
void notify_reloading(const struct notify *notify)
{
	struct timespec now;

	if (!notify->said_ready)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		(uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void notify_reloaded(const struct notify *notify)
{
	if (notify->said_ready)
		sd_notify(0, "READY=1");
}

void notify_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}
