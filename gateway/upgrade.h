#pragma once

/*
 * Upgrade: whether a request at /ws may become a WebSocket.
 *
 * Everything is judged here, with an HTTP answer that says why not; libwebsockets gets
 * only what it will accept.
 */

#include "gateway/site.h"

void upgrade_answer(struct site_request *request);
