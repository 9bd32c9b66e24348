#pragma once

/*
 * Fleet text: a picture of the fleet as the JSON of GET /fleet; see docs/protocol.md.
 */

#include "common/fleet.h"
#include "gateway/text.h"

void fleet_write(const struct fleet *fleet, struct text *text);
