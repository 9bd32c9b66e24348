#pragma once

/*
 * Wire: as much of WebSocket (RFC 6455) as load tools need, on plain bytes.
 *
 * The handshake's key is always the RFC's own example, so that nobody has to hash: the
 * swarm checks the answer to it, and the floor server serves nobody else.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define WIRE_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define WIRE_HANDSHAKE_MAX 1024
#define WIRE_HEADER_MAX 14

enum wire_opcode {
	WIRE_CONTINUATION = 0,
	WIRE_TEXT = 1,
	WIRE_BINARY = 2,
	WIRE_CLOSE = 8,
	WIRE_PING = 9,
	WIRE_PONG = 10,
};

struct wire_frame {
	enum wire_opcode opcode;
	bool final;
	char *payload; /* into the bytes; unmasked in place */
	size_t payload_length;
	size_t length; /* of the whole frame */
};

enum wire_outcome {
	WIRE_FRAME,
	WIRE_INCOMPLETE,
	WIRE_BROKEN, /* no frame that this peer may send */
};

/** Writes the request of a client to @buffer of WIRE_HANDSHAKE_MAX; returns its length.
 */
size_t wire_handshake(char *buffer, const char *host, const char *path);

/** Takes the first frame off @bytes. @masked: whether the peer has to mask (a client). */
enum wire_outcome wire_read(
	struct wire_frame *frame, char *bytes, size_t length, bool masked);

/**
 * Writes a final frame to @buffer, with room for WIRE_HEADER_MAX bytes more than @length.
 *
 * Returns its length.
 */
size_t wire_write(char *buffer, enum wire_opcode opcode, const char *payload,
	size_t length, bool masked);
