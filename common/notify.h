#pragma once

/*
 * Notify: tells systemd, or whoever set NOTIFY_SOCKET, how the process is (sd_notify(3)).
 *
 * Ready once it really is, what it does in one line, that it reloads or stops, and, if a
 * watchdog is set, from the loop that the loop turns. Without NOTIFY_SOCKET none of this
 * does anything.
 */

#include "common/clock.h"

#include <stdbool.h>

#define NOTIFY_STATUS_MAX 200 /* bytes with the NUL */

struct notify_events {
	/* Why the process is not ready, or NULL. */
	const char *(*not_ready)(void *user);
	/* What it does, for people: into NOTIFY_STATUS_MAX bytes. Asked while it is
	 * ready.
	 */
	void (*status)(char *text, void *user);
};

/** Embedded in its owner. */
struct notify {
	struct clock_timer timer;
	struct notify_events events;
	void *user;
	bool said_ready;
	int64_t period_ms;              /* between two looks */
	char status[NOTIFY_STATUS_MAX]; /* as last said */
};

void notify_init(struct notify *notify, struct clock *clock,
	const struct notify_events *events, void *user);
void notify_fini(struct notify *notify);

/** Around reading the configuration again. */
void notify_reloading(const struct notify *notify);
void notify_reloaded(const struct notify *notify);

void notify_stopping(void);
