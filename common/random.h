#pragma once

/*
 * Random numbers: for session ids and jitter. The simulation links its own, seeded.
 */

#include <stdint.h>

/** 64 unpredictable bits. */
uint64_t random_u64(void);

/** A whole number from 0 to @below − 1; @below at least 1. */
uint64_t random_below(uint64_t below);
