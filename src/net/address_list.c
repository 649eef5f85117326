/*
 * address_list.c
 *	  Addresses and blocks of them as numbers, and lists of blocks and ports as
 *	  people write them.
 *
 * A list is read strictly: what could be meant otherwise, bits set behind a
 * prefix or an IPv4 network in IPv6 clothes, is refused with what to write
 * instead, for a rule that matches nothing looks like one that does.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "net/address_list.h"
#include "net/address_rules.h"

#define MAX_ENTRY		60		/* bytes of an entry that can mean something */

static bool read_network(const char *entry, int number, WebhookAddressBlock *block,
						 char *problem, size_t size);
static bool next_entry(const char **list, char *entry, int number,
					   char *problem, size_t size);
static int	read_number(const char **text, int digits);
static bool unwrap(WebhookAddress *address);
static void from_bytes(const unsigned char *bytes, bool ipv6,
					   WebhookAddress *address);
static uint64_t mask(int bits);

bool
webhook_address_parse(const char *host, struct sockaddr_storage *address)
{
	struct sockaddr_in ipv4 = {0};
	struct sockaddr_in6 ipv6 = {0};
	char		text[INET6_ADDRSTRLEN];
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
	if (length >= sizeof(text))
		return false;
	memcpy(text, host, length);
	text[length] = '\0';

	if (inet_pton(AF_INET6, text, &ipv6.sin6_addr) != 1)
		return false;
	ipv6.sin6_family = AF_INET6;
	memcpy(address, &ipv6, sizeof(ipv6));
	return true;
}

/* "text" of WEBHOOK_ADDRESS_BYTES: as it was given, before it is unwrapped. */
bool
webhook_address_from(const struct sockaddr *given, WebhookAddress *address, char *text)
{
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;

	switch (given->sa_family)
	{
		case AF_INET:
			memcpy(&ipv4, given, sizeof(ipv4));
			from_bytes((const unsigned char *) &ipv4.sin_addr, false, address);
			webhook_address_to_text(address, text);
			return true;
		case AF_INET6:
			memcpy(&ipv6, given, sizeof(ipv6));
			from_bytes((const unsigned char *) &ipv6.sin6_addr, true, address);
			webhook_address_to_text(address, text);
			unwrap(address);
			return true;
		default:
			return false;
	}
}

void
webhook_address_to_text(const WebhookAddress *address, char *text)
{
	unsigned char bytes[16];

	for (int i = 0; i < 8; i++)
	{
		bytes[i] = address->high >> (56 - 8 * i) & 0xFF;
		bytes[8 + i] = address->low >> (56 - 8 * i) & 0xFF;
	}
	inet_ntop(address->ipv6 ? AF_INET6 : AF_INET, bytes, text,
			  WEBHOOK_ADDRESS_BYTES);
}

bool
webhook_address_equal(const WebhookAddress *a, const WebhookAddress *b)
{
	return a->ipv6 == b->ipv6 && a->high == b->high && a->low == b->low;
}

bool
webhook_address_within(const WebhookAddress *address, const WebhookAddressBlock *block)
{
	const WebhookAddress *first = &block->first;

	return address->ipv6 == first->ipv6 &&
		((address->high ^ first->high) & mask(block->bits)) == 0 &&
		((address->low ^ first->low) & mask(block->bits - 64)) == 0;
}

bool
webhook_address_blocks_read(const char *list, WebhookAddressBlocks *blocks,
							char *problem, size_t size)
{
	char		entry[MAX_ENTRY + 1];

	if (list[strspn(list, " \t\r\n")] == '\0')
		return true;
	while (list != NULL)
	{
		int			number = blocks->count + 1;

		if (number > WEBHOOK_MAX_NETWORKS)
		{
			snprintf(problem, size, "It has more than %d entries.",
					 WEBHOOK_MAX_NETWORKS);
			return false;
		}
		if (!next_entry(&list, entry, number, problem, size) ||
			!read_network(entry, number, &blocks->block[number - 1], problem, size))
			return false;
		blocks->count++;
	}
	return true;
}

bool
webhook_port_ranges_read(const char *list, WebhookPortRanges *ranges,
						 char *problem, size_t size)
{
	char		entry[MAX_ENTRY + 1];

	if (list[strspn(list, " \t\r\n")] == '\0')
	{
		snprintf(problem, size, "It has no entry.");
		return false;
	}
	while (list != NULL)
	{
		int			number = ranges->count + 1;
		WebhookPortRange *range = &ranges->range[number - 1];
		const char *text = entry;

		if (number > WEBHOOK_MAX_RANGES)
		{
			snprintf(problem, size, "It has more than %d entries.", WEBHOOK_MAX_RANGES);
			return false;
		}
		if (!next_entry(&list, entry, number, problem, size))
			return false;
		range->first = range->last = read_number(&text, 5);
		text += strspn(text, " \t\r\n");

		if (*text == '-')
		{
			text++;
			text += strspn(text, " \t\r\n");

			range->last = read_number(&text, 5);
		}
		if (*text != '\0' || range->first < 1 || range->last < range->first ||
			range->last > 65535)
		{
			snprintf(problem, size,
					 "Entry %d, \"%s\", is neither a port from 1 to 65535 nor a range of them.",
					 number, entry);
			return false;
		}
		ranges->count++;
	}
	return true;
}

/* "10.0.0.0/8", or a single address. */
static bool
read_network(const char *entry, int number, WebhookAddressBlock *block,
			 char *problem, size_t size)
{
	char		host[MAX_ENTRY + 1];
	char		meant[WEBHOOK_ADDRESS_BYTES];
	const char *slash = strchr(entry, '/');
	size_t		length = slash ? (size_t) (slash - entry) : strlen(entry);
	struct sockaddr_storage parsed;
	WebhookAddress first;
	int			most;

	memcpy(host, entry, length);
	host[length] = '\0';
	if (strchr(host, '[') != NULL || !webhook_address_parse(host, &parsed))
	{
		snprintf(problem, size, "Entry %d, \"%s\", is not a network.",
				 number, entry);
		return false;
	}
	if (parsed.ss_family == AF_INET)
		from_bytes((const unsigned char *) &((struct sockaddr_in *) &parsed)->sin_addr,
				   false, &first);
	else
		from_bytes((const unsigned char *) &((struct sockaddr_in6 *) &parsed)->sin6_addr,
				   true, &first);

	most = first.ipv6 ? 128 : 32;
	block->bits = most;
	if (slash != NULL)
	{
		const char *text = slash + 1;

		block->bits = read_number(&text, 3);
		if (block->bits < 0 || block->bits > most || *text != '\0')
		{
			snprintf(problem, size,
					 "Entry %d, \"%s\", does not end with a number of bits from 0 to %d.",
					 number, entry, most);
			return false;
		}
	}

	block->first = first;
	block->first.high &= mask(block->bits);
	block->first.low &= mask(block->bits - 64);
	if (!webhook_address_equal(&first, &block->first))
	{
		webhook_address_to_text(&block->first, meant);
		snprintf(problem, size,
				 "Entry %d, \"%s\", has bits set behind the first %d; \"%s/%d\" has none.",
				 number, entry, block->bits, meant, block->bits);
		return false;
	}
	if (block->bits >= 96 && unwrap(&first))
	{
		webhook_address_to_text(&first, meant);
		snprintf(problem, size,
				 "Entry %d, \"%s\", is a network of IPv4; write \"%s/%d\".",
				 number, entry, meant, block->bits - 96);
		return false;
	}
	return true;
}

/*
 * The entry at "list", without blanks around it, into MAX_ENTRY + 1 bytes;
 * "list" moves on, to NULL behind the last one.
 */
static bool
next_entry(const char **list, char *entry, int number,
		   char *problem, size_t size)
{
	const char *start = *list + strspn(*list, " \t\r\n");
	size_t		length = strcspn(start, ",");

	*list = start[length] == ',' ? start + length + 1 : NULL;
	while (length > 0 && strchr(" \t\r\n", start[length - 1]) != NULL)
		length--;
	if (length == 0 || length > MAX_ENTRY)
	{
		snprintf(problem, size, length == 0 ? "Entry %d is empty." :
				 "Entry %d is too long to be one.", number);
		return false;
	}
	memcpy(entry, start, length);
	entry[length] = '\0';
	return true;
}

/* Decimal, without leading zeros; -1: it is none. */
static int
read_number(const char **text, int digits)
{
	const char *start = *text;
	int			number = 0;

	while (**text >= '0' && **text <= '9' && *text - start < digits)
		number = number * 10 + *(*text)++ - '0';
	if (*text == start || (*start == '0' && *text - start > 1))
		return -1;
	return number;
}

/* An IPv4-mapped address is an IPv4 address by another name. */
static bool
unwrap(WebhookAddress *address)
{
	if (!address->ipv6 || address->high != 0 || address->low >> 32 != 0xFFFF)
		return false;
	address->ipv6 = false;
	address->high = address->low << 32;
	address->low = 0;
	return true;
}

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

/* The upper bits of 64. */
static uint64_t
mask(int bits)
{
	return bits <= 0 ? 0 : bits >= 64 ? UINT64_MAX : UINT64_MAX << (64 - bits);
}
