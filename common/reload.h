#pragma once

/*
 * Reload: reads the configuration again at SIGHUP.
 *
 * A mistake is logged, and what was in force stays so. What cannot change while the
 * process runs keeps its value, and the log says so. Loop thread only.
 */

#include "common/config.h"
#include "common/metrics.h"
#include "common/notify.h"

#include <stdbool.h>
#include <uv.h>

/**
 * Puts @next into force, all of it or nothing; may replace its catalog. Pointers into it
 * may be kept until the next time, the one to the struct may not: it moves to where the
 * configuration always is.
 *
 * Returns NULL, or a sentence that says what stands in the way; static until the next
 * call.
 */
typedef const char *(*reload_take_fn)(struct config *next, void *user);

struct reload {
	uv_signal_t hangup;
	struct config *config; /* in force */
	struct metrics *metrics;
	const struct notify *notify;
	reload_take_fn take;
	void *user;
	bool ended;
};

/**
 * @config  in force now, replaced in place when @take has taken another
 * @notify  tells of it; must outlive the reload
 */
void reload_init(struct reload *reload, uv_loop_t *loop, struct config *config,
	struct metrics *metrics, const struct notify *notify, reload_take_fn take,
	void *user);

/** SIGHUP does nothing any more: the process is leaving. */
void reload_end(struct reload *reload);

/** The same, to the end of the process. */
void reload_fini(struct reload *reload);
