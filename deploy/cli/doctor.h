#pragma once

/*
 * Findings: what the doctor's checks have to say, each with what mends it.
 */

#include "deploy/cli/options.h"

#include <stdbool.h>
#include <stddef.h>

enum severity {
	FINDING_FINE, /* said with --verbose only */
	FINDING_WARNING,
	FINDING_ERROR,
	FINDING_SEVERITIES
};

struct doctor {
	const struct options *options;
	size_t counts[FINDING_SEVERITIES];
	bool unreachable; /* Redis cannot be asked anything */
};

/**
 * Says one finding.
 *
 * @check   a word that names it, for programs: "maxmemory-policy"
 * @fix     what to do, a sentence; "" where it is fine
 * @format  what is the matter, a sentence without its full stop
 */
void doctor_say(struct doctor *doctor, enum severity severity, const char *check,
	const char *fix, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The checks, each about one patient. */
void doctor_host(struct doctor *doctor);
void doctor_redis(struct doctor *doctor);
void doctor_fleet(struct doctor *doctor);
