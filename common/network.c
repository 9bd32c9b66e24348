#include "common/network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291, 2.5.5.2 */

static bool is_mapped(const struct network_address *address)
{
	return memcmp(address->bytes, mapped, sizeof(mapped)) == 0;
}

bool network_address_parse(
	struct network_address *address, const char *text, size_t length)
{
	char copy[NETWORK_TEXT_SIZE];
	struct network_address read;

	if (length >= sizeof(copy) || memchr(text, '\0', length) != NULL)
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	memcpy(read.bytes, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, copy, read.bytes + sizeof(mapped)) != 1 &&
		inet_pton(AF_INET6, copy, read.bytes) != 1)
		return false;
	*address = read;
	return true;
}

bool network_address_of_peer(struct network_address *address, int fd)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);

	if (getpeername(fd, (struct sockaddr *)&peer, &length) != 0)
		return false;
	if (peer.ss_family == AF_INET6) {
		memcpy(address->bytes, &((struct sockaddr_in6 *)&peer)->sin6_addr, 16);
		return true;
	}
	if (peer.ss_family != AF_INET)
		return false;
	memcpy(address->bytes, mapped, sizeof(mapped));
	memcpy(address->bytes + sizeof(mapped), &((struct sockaddr_in *)&peer)->sin_addr,
		4);
	return true;
}

const char *network_address_text(const struct network_address *address, char *text)
{
	if (is_mapped(address))
		inet_ntop(AF_INET, address->bytes + sizeof(mapped), text,
			NETWORK_TEXT_SIZE);
	else
		inet_ntop(AF_INET6, address->bytes, text, NETWORK_TEXT_SIZE);
	return text;
}

bool network_address_same(
	const struct network_address *a, const struct network_address *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Digits only, from 0 to @most; @most or more than that where it is not so. */
static bool parse_bits(const char *text, unsigned most, unsigned *bits)
{
	if (text[0] == '\0' || strlen(text) > 3 || text[strspn(text, "0123456789")])
		return false;
	*bits = (unsigned)atoi(text);
	return *bits <= most;
}

bool network_parse(struct network *network, const char *text)
{
	size_t length = strcspn(text, "/");
	bool short_form;
	unsigned most;

	if (!network_address_parse(&network->address, text, length))
		return false;
	short_form = memchr(text, ':', length) == NULL;
	most = short_form ? 32 : 128;
	network->bits = most;
	if (text[length] == '/' && !parse_bits(text + length + 1, most, &network->bits))
		return false;
	if (short_form)
		network->bits += 8 * sizeof(mapped);
	return true;
}

bool network_has(const struct network *network, const struct network_address *address)
{
	size_t whole = network->bits / 8;
	unsigned rest = network->bits % 8;
	uint8_t differs;

	if (memcmp(network->address.bytes, address->bytes, whole) != 0)
		return false;
	if (rest == 0)
		return true;
	differs = network->address.bytes[whole] ^ address->bytes[whole];
	return differs >> (8 - rest) == 0;
}
