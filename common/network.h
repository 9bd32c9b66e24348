#pragma once

/*
 * Network: IP addresses and CIDR blocks, IPv4 and IPv6 in one form.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define NETWORK_TEXT_SIZE INET6_ADDRSTRLEN

/** IPv4 is ::ffff:a.b.c.d. */
struct network_address {
	uint8_t bytes[16];
};

/** Reads @text, which is nothing but an address; false where it is none. */
bool network_address_parse(
	struct network_address *address, const char *text, size_t length);

/** The address of a connected socket's other end; false where it has none. */
bool network_address_of_peer(struct network_address *address, int fd);

/** As people write it, into NETWORK_TEXT_SIZE bytes. Returns @text. */
const char *network_address_text(const struct network_address *address, char *text);

bool network_address_same(
	const struct network_address *a, const struct network_address *b);

/** A block: the first @bits of its address count. */
struct network {
	struct network_address address;
	unsigned bits;
};

/** Reads ADDRESS or ADDRESS/BITS; false where it is neither. */
bool network_parse(struct network *network, const char *text);

bool network_has(const struct network *network, const struct network_address *address);
