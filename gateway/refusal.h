#pragma once

/*
 * Refusal: why a client's request is not done, with a code that programs can act on.
 *
 * The same object goes to every wire: {"code":…,"message":…} and, where the address was
 * only written differently, "canonical".
 */

#include "common/address.h"
#include "common/catalog.h"
#include "gateway/text.h"

struct refusal {
	const char *code;                /* one of docs/protocol.md, static */
	char message[192];               /* one plain sentence */
	char canonical[ADDRESS_MAX + 1]; /* "" where it does not apply */
};

void refusal_set(struct refusal *refusal, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Adds the error object. */
void refusal_write(const struct refusal *refusal, struct text *text);

/** Parses @bytes as an address in canonical form. False with the reason in @refusal. */
bool refusal_parse_address(struct refusal *refusal, struct address *address,
	const char *bytes, size_t length);

/** Finds what @address means in @catalog. False with the reason in @refusal. */
bool refusal_resolve(struct refusal *refusal, const struct catalog *catalog,
	const struct address *address, struct catalog_target *target);
