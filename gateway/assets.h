#pragma once

/*
 * Assets: the dashboard and the browser's data layer, as files that lie in the program.
 *
 * Made from gateway/web by meson, which is told there by gateway/web/build.py. They hold
 * nothing of the fleet, so they need no token. A gateway built without node has none.
 */

#include "gateway/site.h"

struct asset {
	const char *path; /* "/uricast.js" */
	const char *type; /* Content-Type */
	const char *tag;  /* of the bytes; the gzip form's ETag has -gzip behind it */
	struct bytes plain;
	struct bytes gzipped; /* start NULL where it is not smaller */
};

/** By the path as requested; NULL where there is none. */
const struct asset *asset_find(struct bytes path);

/** Answers with @asset. */
void asset_answer(struct site_request *request, const struct asset *asset);

/** Why there are no assets, one plain sentence; NULL where there are. */
const char *assets_missing(void);
