#include "gateway/upgrade.h"

#include <string.h>

#define SUBPROTOCOL "uricast.v1"
#define TOKEN_MARK "uricast.token."

/* What libwebsockets can read (roles/ws/server-ws.c, 4.1.6 to 4.3.5): the whole list, and
 * a name that stands before the one it chooses. */
#define SUBPROTOCOLS_MAX 126
#define SUBPROTOCOL_NAME_MAX 63

/* What a client offers in Sec-WebSocket-Protocol. */
struct offer {
	bool any;
	bool ours;          /* uricast.v1 is among it */
	bool readable;      /* for libwebsockets */
	struct bytes token; /* start NULL where there is none */
};

static bool next_name(struct bytes *list, struct bytes *name)
{
	size_t skip = 0, length = 0;

	while (skip < list->length && strchr(", \t", list->start[skip]) != NULL)
		skip++;
	while (skip + length < list->length &&
		strchr(", \t", list->start[skip + length]) == NULL)
		length++;
	*name = (struct bytes){list->start + skip, length};
	list->start += skip + length;
	list->length -= skip + length;
	return length > 0;
}

static struct offer read_offer(const struct head *head)
{
	struct bytes list = head_field(head, "sec-websocket-protocol"), name;
	struct offer offer = {.any = list.length > 0, .readable = true};
	size_t mark = sizeof(TOKEN_MARK) - 1;

	offer.readable = list.length <= SUBPROTOCOLS_MAX;
	while (next_name(&list, &name)) {
		if (name.length > mark && memcmp(name.start, TOKEN_MARK, mark) == 0)
			offer.token =
				(struct bytes){name.start + mark, name.length - mark};
		if (bytes_are(name, SUBPROTOCOL))
			offer.ours = true;
		else if (!offer.ours && name.length > SUBPROTOCOL_NAME_MAX)
			offer.readable = false;
	}
	return offer;
}

static bool read_single(struct bytes query, bool *single)
{
	struct bytes name, value;

	*single = false;
	while (head_next_parameter(&query, &name, &value)) {
		if (!bytes_are(name, "single"))
			return false;
		*single = bytes_are(value, "1");
		if (!*single && !bytes_are(value, "0"))
			return false;
	}
	return true;
}

/* RFC 6455, 4.2.1. */
static const char *wrong_handshake(const struct head *head)
{
	if (head->method != HEAD_METHOD_GET ||
		!head_has_word(head, "connection", "upgrade"))
		return "a WebSocket begins with GET and Connection: Upgrade";
	if (head_field(head, "connection").length > SUBPROTOCOLS_MAX)
		return "the Connection header is longer than 126 bytes";
	/* 16 bytes in base64; libwebsockets does not look. */
	if (head_field(head, "sec-websocket-key").length != 24)
		return "Sec-WebSocket-Key is not that of a WebSocket";
	return NULL;
}

static const char *wrong_offer(const struct offer *offer)
{
	if (offer->any && !offer->ours)
		return "the subprotocol of this gateway is " SUBPROTOCOL;
	if (!offer->readable)
		return "the subprotocols are above 126 bytes, or a long one stands "
		       "before " SUBPROTOCOL;
	return NULL;
}

/* A token that is shown must be right; one that is not may still come in a message. */
static bool judge_token(
	struct site_request *request, const struct offer *offer, bool *authenticated)
{
	struct access *access = request->site->shared->access;
	bool in_header = head_field(request->head, "authorization").start != NULL;
	struct bytes token = in_header ? site_bearer(request->head) : offer->token;

	*authenticated = token.start != NULL &&
		access_token_valid(access, token.start, token.length);
	return *authenticated || !access_wants_token(access) ||
		(token.start == NULL && !in_header);
}

static void refuse(struct site_request *request, unsigned status, const char *code,
	const char *message)
{
	metrics_add(request->site->shared->metrics,
		status == 401 ? METRIC_REFUSED_TOKEN : METRIC_REFUSED_HANDSHAKE, 1);
	site_refuse(request, status, code, message);
}

static void refuse_version(struct site_request *request)
{
	strcat(request->headers, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n");
	refuse(request, 426, "bad_request", "this is for WebSockets of version 13");
}

void upgrade_answer(struct site_request *request)
{
	const struct head *head = request->head;
	struct offer offer = read_offer(head);
	struct site_websocket websocket = {.client = request->client};
	const char *wrong;

	if (!bytes_are(head_field(head, "sec-websocket-version"), "13") ||
		!head_has_word(head, "upgrade", "websocket")) {
		refuse_version(request);
		return;
	}
	wrong = wrong_handshake(head);
	if (wrong == NULL)
		wrong = wrong_offer(&offer);
	if (wrong == NULL && !read_single(head->query, &websocket.single))
		wrong = "the only parameter of /ws is single, 0 or 1";
	if (wrong != NULL) {
		refuse(request, 400, "bad_request", wrong);
		return;
	}
	if (!judge_token(request, &offer, &websocket.authenticated)) {
		refuse(request, 401, "unauthorized",
			"this token is not among the gateway's");
		return;
	}
	websocket.fd = http_hand_over(request->connection, &websocket.peer);
	request->site->on_websocket(&websocket, request->site->user);
}
