#include "poller/backoff.h"

#include "common/random.h"

#define MOST_MS 15000   /* or the interval, where that is longer */
#define DENIED_MS 60000 /* after a 401 or 403, which time alone seldom mends */

int64_t backoff_ms(const struct resource *resource, uint32_t failures, long status,
	int64_t retry_after_ms)
{
	int64_t delay_ms = resource->interval_ms;
	int64_t most_ms = delay_ms > MOST_MS ? delay_ms : MOST_MS;

	for (uint32_t i = 1; i < failures && delay_ms < most_ms; i++)
		delay_ms *= 2;
	if (delay_ms > most_ms)
		delay_ms = most_ms;
	delay_ms =
		delay_ms * 4 / 5 + (int64_t)random_below((uint64_t)delay_ms * 2 / 5 + 1);
	if ((status == 401 || status == 403) && delay_ms < DENIED_MS)
		delay_ms = DENIED_MS;
	return delay_ms > retry_after_ms ? delay_ms : retry_after_ms;
}
