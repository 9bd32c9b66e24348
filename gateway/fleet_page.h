#pragma once

/*
 * Fleet page: GET /fleet, a picture of the whole fleet as JSON, for people to look at.
 *
 * However many ask, Redis is read by one reading at a time, at most once a second, and
 * for no more than half of the time. Whoever asks for the same as another gets the same
 * picture. A reading whose askers have all gone is given up.
 */

#include "common/clock.h"
#include "common/redis.h"
#include "gateway/site.h"

#define FLEET_PAGE_EVERY_MS 1000     /* two readings begin no closer */
#define FLEET_PAGE_PATIENCE_MS 30000 /* a picture is waited for */
#define FLEET_PAGE_LIMIT_DEFAULT 200 /* resources in an answer */
#define FLEET_PAGE_LIMIT_MOST 1000

struct fleet_page;

struct fleet_page *fleet_page_new(struct redis *redis, struct clock *clock);

/** No request may be waiting any more. Before redis_free(). Accepts NULL. */
void fleet_page_free(struct fleet_page *page);

/** Answers the request now, or when the picture is there. */
void fleet_page_answer(struct fleet_page *page, struct site_request *request);
