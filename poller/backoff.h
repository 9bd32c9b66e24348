#pragma once

/*
 * Backoff: how long a resource that fails is left alone.
 */

#include "poller/resource.h"

#include <stdint.h>

/**
 * When a poll that fails now is tried again, milliseconds from now: from the interval on
 * it doubles up to the larger of the interval and 15 s, give or take a fifth.
 *
 * @failures        in a row, with this one
 * @status          as answered, 0 where nothing was
 * @retry_after_ms  what the upstream asks for at least, or 0
 */
int64_t backoff_ms(const struct resource *resource, uint32_t failures, long status,
	int64_t retry_after_ms);
