/*
 * Judges documents for compare_document.py: reads, until the end of standard input, a
 * length (32 bits, little endian) and as many bytes; answers each with one byte, the
 * enum document_error.
 */

#include "common/document.h"

#include <stdio.h>
#include <stdlib.h>

static bool read_length(uint32_t *length)
{
	unsigned char bytes[4];

	if (fread(bytes, 1, sizeof(bytes), stdin) != sizeof(bytes))
		return false;
	*length = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
		(uint32_t)bytes[3] << 24;
	return true;
}

int main(void)
{
	struct document document;
	uint32_t length;

	document_init(&document);
	while (read_length(&length)) {
		/* Exactly as long, so that the address sanitizer sees a read past it. */
		char *bytes = malloc(length ? length : 1);

		if (!bytes || fread(bytes, 1, length, stdin) != length)
			return 1;
		putchar((int)document_scan(&document, bytes, length, NULL));
		free(bytes);
	}
	document_fini(&document);
	return fflush(stdout) ? 1 : 0;
}
