#pragma once

/*
 * Frame: bytes built once and handed to every subscriber, counted.
 *
 * A frame holds a whole WebSocket text frame (header and payload), so that a delivery is
 * one send(); the other wires use the payload alone. LWS_PRE bytes lie free in front.
 */

#include <stddef.h>
#include <stdint.h>

struct frame {
	uint32_t references;
	uint8_t header_length; /* 2, 4 or 10 bytes of WebSocket header */
	size_t length;         /* header and payload */
	unsigned char *bytes;  /* the header, then the payload; LWS_PRE bytes in front */
};

/**
 * Makes a frame of the parts one after the other, with one reference.
 *
 * Returns NULL when out of memory: its size comes from a peer.
 */
struct frame_part {
	const char *start;
	size_t length;
};
struct frame *frame_new(const struct frame_part *parts, size_t count);

struct frame *frame_keep(struct frame *frame);
void frame_release(struct frame *frame); /* accepts NULL */

static inline const char *frame_payload(const struct frame *frame)
{
	return (const char *)frame->bytes + frame->header_length;
}

static inline size_t frame_payload_length(const struct frame *frame)
{
	return frame->length - frame->header_length;
}
