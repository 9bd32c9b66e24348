#include "tests/simulation/sha1.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_BYTES 64
#define LENGTH_BYTES 8 /* of the message in bits, at the end of the last block */

static uint32_t rotate(uint32_t word, int bits)
{
	return word << bits | word >> (32 - bits);
}

static void expand(uint32_t words[80], const unsigned char *block)
{
	for (int i = 0; i < 16; i++, block += 4)
		words[i] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 |
			(uint32_t)block[2] << 8 | block[3];
	for (int i = 16; i < 80; i++)
		words[i] = rotate(
			words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
}

/* The function of round @i without its constant. */
static uint32_t mix(int i, uint32_t b, uint32_t c, uint32_t d)
{
	if (i < 20)
		return (b & c) | (~b & d);
	if (i >= 40 && i < 60)
		return (b & c) | (b & d) | (c & d);
	return b ^ c ^ d;
}

static void take_block(uint32_t state[5], const unsigned char *block)
{
	static const uint32_t constants[] = {
		0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
	uint32_t words[80];

	expand(words, block);
	for (int i = 0; i < 80; i++) {
		uint32_t next =
			rotate(a, 5) + mix(i, b, c, d) + e + constants[i / 20] + words[i];

		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
}

void sha1_hex(char text[SHA1_HEX_LENGTH + 1], const char *bytes, size_t length)
{
	uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	unsigned char tail[2 * BLOCK_BYTES] = {0};
	size_t whole = length / BLOCK_BYTES * BLOCK_BYTES;
	size_t rest = length - whole;
	size_t tail_bytes =
		rest + 1 + LENGTH_BYTES <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;

	for (size_t i = 0; i < whole; i += BLOCK_BYTES)
		take_block(state, (const unsigned char *)bytes + i);
	memcpy(tail, bytes + whole, rest);
	tail[rest] = 0x80;
	for (size_t i = 0; i < LENGTH_BYTES; i++)
		tail[tail_bytes - 1 - i] =
			(unsigned char)((uint64_t)length * 8 >> (8 * i));
	for (size_t i = 0; i < tail_bytes; i += BLOCK_BYTES)
		take_block(state, tail + i);
	for (size_t i = 0; i < 5; i++)
		snprintf(text + 8 * i, 9, "%08x", (unsigned)state[i]);
}
