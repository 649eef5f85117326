/*
 * address_list.c
 *	  Lists of networks and of ports as settings write them.
 *
 * Ambiguous entries are refused with a suggestion: a prefix with bits set
 * behind it, or an IPv4 network written as an IPv4-mapped IPv6 network. They
 * would match nothing, or something else than was meant, and nobody would
 * notice.
 */
#include <stdio.h>
#include <string.h>

#include "net/address.h"
#include "net/address_list.h"

#define MAX_ENTRY		60		/* bytes; no network and no range is longer */

static const char blanks[] = " \t\r\n";

static bool read_network(const char *entry, int number, WebhookAddressBlock *block,
						 char *problem, size_t size);
static bool read_range(const char *entry, int number, WebhookPortRange *range,
					   char *problem, size_t size);
static bool next_entry(const char **list, char *entry, int number,
					   char *problem, size_t size);
static int	read_number(const char **at, int digits);

bool
webhook_address_blocks_read(const char *list, WebhookAddressBlocks *blocks,
							char *problem, size_t size)
{
	char		entry[MAX_ENTRY + 1];

	if (list[strspn(list, blanks)] == '\0')
		return true;
	while (list != NULL)
	{
		int			number = blocks->count + 1;

		if (number > WEBHOOK_MAX_NETWORKS)
		{
			snprintf(problem, size, "It has more than %d entries.", WEBHOOK_MAX_NETWORKS);
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

	if (list[strspn(list, blanks)] == '\0')
	{
		snprintf(problem, size, "It has no entry.");
		return false;
	}
	while (list != NULL)
	{
		int			number = ranges->count + 1;

		if (number > WEBHOOK_MAX_RANGES)
		{
			snprintf(problem, size, "It has more than %d entries.", WEBHOOK_MAX_RANGES);
			return false;
		}
		if (!next_entry(&list, entry, number, problem, size) ||
			!read_range(entry, number, &ranges->range[number - 1], problem, size))
			return false;
		ranges->count++;
	}
	return true;
}

/* Read "10.0.0.0/8", or a single address. "number" is the entry's place in the list, from 1. */
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
	if (strchr(host, '[') != NULL || !webhook_address_parse(host, &parsed) ||
		!webhook_address_from_sockaddr((struct sockaddr *) &parsed, &first))
	{
		snprintf(problem, size, "Entry %d, \"%s\", is not a network.", number, entry);
		return false;
	}

	most = first.ipv6 ? 128 : 32;
	block->bits = most;
	if (slash != NULL)
	{
		const char *at = slash + 1;

		block->bits = read_number(&at, 3);
		if (block->bits < 0 || block->bits > most || *at != '\0')
		{
			snprintf(problem, size,
					 "Entry %d, \"%s\", does not end with a number of bits from 0 to %d.",
					 number, entry, most);
			return false;
		}
	}

	block->first = webhook_address_prefix(&first, block->bits);
	if (!webhook_address_equal(&first, &block->first))
	{
		webhook_address_to_text(&block->first, meant);
		snprintf(problem, size,
				 "Entry %d, \"%s\", has bits set behind the first %d; \"%s/%d\" has none.",
				 number, entry, block->bits, meant, block->bits);
		return false;
	}
	if (block->bits >= 96 && webhook_address_unmap(&first))
	{
		webhook_address_to_text(&first, meant);
		snprintf(problem, size,
				 "Entry %d, \"%s\", is a network of IPv4; write \"%s/%d\".",
				 number, entry, meant, block->bits - 96);
		return false;
	}
	return true;
}

/* Read "443" or "1024-65535". */
static bool
read_range(const char *entry, int number, WebhookPortRange *range,
		   char *problem, size_t size)
{
	const char *at = entry;

	range->first = range->last = read_number(&at, 5);
	at += strspn(at, blanks);
	if (*at == '-')
	{
		at++;
		at += strspn(at, blanks);
		range->last = read_number(&at, 5);
	}
	if (*at == '\0' && range->first >= 1 && range->last >= range->first && range->last <= 65535)
		return true;
	snprintf(problem, size,
			 "Entry %d, \"%s\", is neither a port from 1 to 65535 nor a range of them.",
			 number, entry);
	return false;
}

/*
 * Copy the entry at "list", without the blanks around it, into MAX_ENTRY + 1 bytes. "list" moves to
 * the next entry; it becomes NULL behind the last one.
 */
static bool
next_entry(const char **list, char *entry, int number,
		   char *problem, size_t size)
{
	const char *start = *list + strspn(*list, blanks);
	size_t		length = strcspn(start, ",");

	*list = start[length] == ',' ? start + length + 1 : NULL;
	while (length > 0 && strchr(blanks, start[length - 1]) != NULL)
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

/*
 * Read a decimal number without leading zeros, of at most "digits" digits; "at" moves behind it.
 * Returns -1 if there is none.
 */
static int
read_number(const char **at, int digits)
{
	const char *start = *at;
	int			number = 0;

	for (; **at >= '0' && **at <= '9' && *at - start < digits; (*at)++)
		number = number * 10 + (**at - '0');
	if (*at == start || (*start == '0' && *at - start > 1))
		return -1;
	return number;
}
