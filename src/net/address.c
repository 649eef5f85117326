/*
 * address.c
 *	  An IPv4 or IPv6 address as a number, and its textual forms.
 *
 * Nothing is allocated, and nothing is kept between calls.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "net/address.h"

static void from_bytes(const unsigned char *bytes, bool ipv6, WebhookAddress *address);
static uint64_t mask(int bits);

bool
webhook_address_parse(const char *host, struct sockaddr_storage *address)
{
	struct sockaddr_in ipv4 = {0};
	struct sockaddr_in6 ipv6 = {0};
	char		inside[INET6_ADDRSTRLEN];
	size_t		length = strlen(host);

	memset(address, 0, sizeof(struct sockaddr_storage));
	if (inet_pton(AF_INET, host, &ipv4.sin_addr) == 1)
	{
		ipv4.sin_family = AF_INET;
		memcpy(address, &ipv4, sizeof(ipv4));
		return true;
	}
	if (length >= 2 && host[0] == '[' && host[length - 1] == ']')
	{
		host++;
		length -= 2;
	}
	if (length >= sizeof(inside))
		return false;
	memcpy(inside, host, length);
	inside[length] = '\0';
	if (inet_pton(AF_INET6, inside, &ipv6.sin6_addr) != 1)
		return false;
	ipv6.sin6_family = AF_INET6;
	memcpy(address, &ipv6, sizeof(ipv6));
	return true;
}

bool
webhook_address_from_sockaddr(const struct sockaddr *given, WebhookAddress *address)
{
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;

	switch (given->sa_family)
	{
		case AF_INET:
			memcpy(&ipv4, given, sizeof(ipv4));
			from_bytes((const unsigned char *) &ipv4.sin_addr, false, address);
			return true;
		case AF_INET6:
			memcpy(&ipv6, given, sizeof(ipv6));
			from_bytes((const unsigned char *) &ipv6.sin6_addr, true, address);
			return true;
		default:
			return false;
	}
}

bool
webhook_address_unmap(WebhookAddress *address)
{
	if (!address->ipv6 || address->high != 0 || address->low >> 32 != 0xFFFF)
		return false;
	address->ipv6 = false;
	address->high = address->low << 32;
	address->low = 0;
	return true;
}

void
webhook_address_to_text(const WebhookAddress *address, char *result)
{
	unsigned char bytes[16];

	for (int i = 0; i < 8; i++)
	{
		bytes[i] = address->high >> (56 - 8 * i) & 0xFF;
		bytes[8 + i] = address->low >> (56 - 8 * i) & 0xFF;
	}
	inet_ntop(address->ipv6 ? AF_INET6 : AF_INET, bytes, result, WEBHOOK_ADDRESS_BYTES);
}

WebhookAddress
webhook_address_prefix(const WebhookAddress *address, int bits)
{
	WebhookAddress prefix = *address;

	prefix.high &= mask(bits);
	prefix.low &= mask(bits - 64);
	return prefix;
}

bool
webhook_address_equal(const WebhookAddress *a, const WebhookAddress *b)
{
	return a->ipv6 == b->ipv6 && a->high == b->high && a->low == b->low;
}

bool
webhook_address_within(const WebhookAddress *address, const WebhookAddressBlock *block)
{
	WebhookAddress prefix = webhook_address_prefix(address, block->bits);

	return webhook_address_equal(&prefix, &block->first);
}

/* Read 4 or 16 bytes in network order. */
static void
from_bytes(const unsigned char *bytes, bool ipv6, WebhookAddress *address)
{
	address->ipv6 = ipv6;
	address->high = address->low = 0;
	for (int i = 0; i < (ipv6 ? 8 : 4); i++)
		address->high |= (uint64_t) bytes[i] << (56 - 8 * i);
	for (int i = 0; ipv6 && i < 8; i++)
		address->low |= (uint64_t) bytes[8 + i] << (56 - 8 * i);
}

/* The upper "bits" of 64 bits set; none where "bits" is negative, all where it is over 64. */
static uint64_t
mask(int bits)
{
	return bits <= 0 ? 0 : bits >= 64 ? UINT64_MAX : UINT64_MAX << (64 - bits);
}
