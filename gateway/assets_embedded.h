#pragma once

/* What gateway/web/build.py writes into assets_embedded.c; see assets.h. */

#include "gateway/assets.h"

extern const struct asset assets_embedded[];
extern const size_t assets_embedded_count;
extern const char *const assets_embedded_missing;
