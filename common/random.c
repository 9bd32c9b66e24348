#include "common/random.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/log.h"

uint64_t random_u64(void)
{
	uint64_t bits;
	ssize_t got;

	do
		got = getrandom(&bits, sizeof(bits), 0);
	while (got < 0 && errno == EINTR);
	if (got != sizeof(bits)) {
		/* Ids that are not unique would break what the whole fleet relies on. */
		log_error("the kernel gives no random numbers, giving up error=\"%s\"",
			strerror(errno));
		abort();
	}
	return bits;
}

uint64_t random_below(uint64_t below)
{
	uint64_t bits, surplus;

	assert(below > 0);
	surplus = -below % below; /* 2^64 mod below: these would make some more likely */
	do
		bits = random_u64();
	while (bits < surplus);
	return bits % below;
}
