#include "gateway/frame.h"

#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_FRAME 0x81 /* RFC 6455, 5.2: final fragment, opcode text */

/* Writes the header of an unmasked text frame; @header has room for 10 bytes. */
static size_t write_header(unsigned char *header, uint64_t payload_length)
{
	size_t length_bytes = 0;

	header[0] = TEXT_FRAME;
	if (payload_length < 126) {
		header[1] = (unsigned char)payload_length;
	} else if (payload_length <= UINT16_MAX) {
		header[1] = 126;
		length_bytes = 2;
	} else {
		header[1] = 127;
		length_bytes = 8;
	}
	for (size_t i = 0; i < length_bytes; i++)
		header[2 + i] =
			(unsigned char)(payload_length >> (8 * (length_bytes - 1 - i)));
	return 2 + length_bytes;
}

struct frame *frame_new(const struct frame_part *parts, size_t count)
{
	unsigned char header[10];
	size_t payload_length = 0, header_length;
	unsigned char *write_at;
	struct frame *frame;

	for (size_t i = 0; i < count; i++)
		payload_length += parts[i].length;
	header_length = write_header(header, payload_length);
	frame = malloc(sizeof(*frame) + LWS_PRE + header_length + payload_length);
	if (frame == NULL)
		return NULL;

	frame->references = 1;
	frame->header_length = (uint8_t)header_length;
	frame->length = header_length + payload_length;
	frame->bytes = (unsigned char *)(frame + 1) + LWS_PRE;
	memcpy(frame->bytes, header, header_length);
	write_at = frame->bytes + header_length;
	for (size_t i = 0; i < count; i++) {
		if (parts[i].length > 0)
			memcpy(write_at, parts[i].start, parts[i].length);
		write_at += parts[i].length;
	}
	return frame;
}

struct frame *frame_keep(struct frame *frame)
{
	frame->references++;
	return frame;
}

void frame_release(struct frame *frame)
{
	if (frame != NULL && --frame->references == 0)
		free(frame);
}
