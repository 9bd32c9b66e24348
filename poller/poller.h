#pragma once

/*
 * Poller: the process, its parts in the order they are started.
 */

#include "common/config.h"

struct poller;

/**
 * Makes all parts; nothing runs yet. Returns NULL with the reason logged.
 *
 * @config  must outlive the poller, which replaces it by another at SIGHUP
 */
struct poller *poller_new(struct config *config);

/** Runs until SIGTERM or SIGINT and everything is handed over. Returns the exit status.
 */
int poller_run(struct poller *poller);

void poller_free(struct poller *poller);
