#pragma once

/*
 * Resource: GET /resource?uri=…, the state of one address by plain HTTP.
 *
 * Whoever asks is a subscriber until the answer: what is not here yet is waited for, and
 * so is a change, where the client prefers to wait for it (a long-poll).
 */

#include "gateway/site.h"

#define RESOURCE_PATIENCE_S 30 /* for content to come; Prefer: wait=N is another */

/** Answers, begins to wait, or passes the request on to sse.h. */
void resource_answer(struct site_request *request);
