#pragma once

/*
 * Resource: GET /resource?uri=…, the state of one address by plain HTTP.
 *
 * What the gateway does not hold yet it subscribes to, and waits for as any client does.
 */

#include "gateway/site.h"

#define RESOURCE_PATIENCE_MS 30000 /* for content to come */

void resource_answer(struct site_request *request);
