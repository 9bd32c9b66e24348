#include "tests/bench/wire.h"

#include <stdio.h>
#include <string.h>

#define FINAL 0x80
#define RESERVED 0x70
#define MASKED 0x80
#define CONTROL_MAX 125

size_t wire_handshake(char *buffer, const char *host, const char *path)
{
	return (size_t)snprintf(buffer, WIRE_HANDSHAKE_MAX,
		"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: " WIRE_KEY "\r\n\r\n",
		path, host);
}

/* Reads the length after the first two bytes; false where it is not the shortest form. */
static bool read_length(const unsigned char *at, size_t length_bytes, uint64_t *length)
{
	if (length_bytes == 0)
		return true;
	*length = 0;
	for (size_t i = 0; i < length_bytes; i++)
		*length = *length << 8 | at[i];
	return *length > (length_bytes == 2 ? 125 : UINT16_MAX);
}

static bool is_allowed(const unsigned char *at, uint64_t payload_length, bool masked)
{
	unsigned opcode = at[0] & 0x0f;

	if ((at[0] & RESERVED) != 0 || ((at[1] & MASKED) != 0) != masked)
		return false;
	if (opcode >= WIRE_CLOSE)
		return opcode <= WIRE_PONG && (at[0] & FINAL) != 0 &&
			payload_length <= CONTROL_MAX;
	return opcode <= WIRE_BINARY;
}

static void unmask(char *payload, size_t length, const unsigned char *mask)
{
	for (size_t i = 0; i < length; i++)
		payload[i] = (char)(payload[i] ^ mask[i % 4]);
}

enum wire_outcome wire_read(
	struct wire_frame *frame, char *bytes, size_t length, bool masked)
{
	const unsigned char *at = (const unsigned char *)bytes;
	size_t length_bytes, header_length;
	uint64_t payload_length;

	if (length < 2)
		return WIRE_INCOMPLETE;
	payload_length = at[1] & 0x7f;
	length_bytes = payload_length == 126 ? 2 : payload_length == 127 ? 8 : 0;
	header_length = 2 + length_bytes + (masked ? 4 : 0);
	if (length < header_length)
		return WIRE_INCOMPLETE;
	if (!read_length(at + 2, length_bytes, &payload_length) ||
		!is_allowed(at, payload_length, masked))
		return WIRE_BROKEN;
	if (length - header_length < payload_length)
		return WIRE_INCOMPLETE;

	frame->opcode = (enum wire_opcode)(at[0] & 0x0f);
	frame->final = (at[0] & FINAL) != 0;
	frame->payload = bytes + header_length;
	frame->payload_length = payload_length;
	frame->length = header_length + payload_length;
	if (masked)
		unmask(frame->payload, payload_length, at + header_length - 4);
	return WIRE_FRAME;
}

size_t wire_write(char *buffer, enum wire_opcode opcode, const char *payload,
	size_t length, bool masked)
{
	static const unsigned char mask[4] = {0x35, 0x9c, 0x4a, 0xe1};
	unsigned char *at = (unsigned char *)buffer;
	size_t length_bytes = length < 126 ? 0 : length <= UINT16_MAX ? 2 : 8;
	size_t header_length = 2 + length_bytes;

	at[0] = (unsigned char)(FINAL | opcode);
	at[1] = (unsigned char)(length_bytes == 0 ? length
			: length_bytes == 2       ? 126
						  : 127);
	for (size_t i = 0; i < length_bytes; i++)
		at[2 + i] = (unsigned char)(length >> (8 * (length_bytes - 1 - i)));
	if (masked) {
		at[1] |= MASKED;
		memcpy(at + header_length, mask, sizeof(mask));
		header_length += sizeof(mask);
	}
	if (length > 0)
		memcpy(buffer + header_length, payload, length);
	if (masked)
		unmask(buffer + header_length, length, mask);
	return header_length + length;
}
