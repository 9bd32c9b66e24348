#pragma once

/*
 * Gateway: the process, its parts in the order they are started.
 */

#include "common/config.h"

struct gateway;

/**
 * Makes all parts; nothing runs yet. Returns NULL with the reason logged.
 *
 * @config  must outlive the gateway, which replaces it by another at SIGHUP
 */
struct gateway *gateway_new(struct config *config);

/** Runs until SIGTERM or SIGINT and everybody has been sent away. Returns the exit
 * status. */
int gateway_run(struct gateway *gateway);

void gateway_free(struct gateway *gateway);
