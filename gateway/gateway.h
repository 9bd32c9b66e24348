#pragma once

/*
 * Gateway: the process, its parts in the order they are started.
 */

#include "common/config.h"

struct gateway;

/** Makes all parts; nothing runs yet. Returns NULL with the reason logged. */
struct gateway *gateway_new(const struct config *config);

/** Runs until SIGTERM or SIGINT and everybody has been sent away. Returns the exit
 * status. */
int gateway_run(struct gateway *gateway);

void gateway_free(struct gateway *gateway);
