/*
 * address_list.h
 *	  Addresses and blocks of them as numbers, and lists of blocks and ports as
 *	  people write them. For the address rules only.
 */
#ifndef WEBHOOK_ADDRESS_BLOCK_H
#define WEBHOOK_ADDRESS_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "net/address_rules.h"

#define WEBHOOK_MAX_RANGES		512 /* of ports */

/* An IPv4 address is in the upper half of "high". */
typedef struct WebhookAddress
{
	bool		ipv6;
	uint64_t	high;
	uint64_t	low;
} WebhookAddress;

typedef struct WebhookAddressBlock
{
	WebhookAddress first;
	int			bits;
	const char *purpose;		/* NULL: of a setting */
} WebhookAddressBlock;

typedef struct WebhookAddressBlocks
{
	int			count;
	WebhookAddressBlock block[WEBHOOK_MAX_NETWORKS];
} WebhookAddressBlocks;

typedef struct WebhookPortRange
{
	int			first;
	int			last;
} WebhookPortRange;

typedef struct WebhookPortRanges
{
	int			count;
	WebhookPortRange range[WEBHOOK_MAX_RANGES];
} WebhookPortRanges;

/*
 * False: neither IPv4 nor IPv6. "text" of WEBHOOK_ADDRESS_BYTES has it as
 * given; as a number, an IPv4-mapped address is an IPv4 address.
 */
extern bool webhook_address_from(const struct sockaddr *given,
								 WebhookAddress *address, char *text);
extern void webhook_address_to_text(const WebhookAddress *address, char *text);
extern bool webhook_address_equal(const WebhookAddress *a, const WebhookAddress *b);
extern bool webhook_address_within(const WebhookAddress *address,
								   const WebhookAddressBlock *block);

/* Into an empty list. False: "problem" says which entry is wrong, and how. */
extern bool webhook_address_blocks_read(const char *list, WebhookAddressBlocks *blocks,
										char *problem, size_t size);
extern bool webhook_port_ranges_read(const char *list, WebhookPortRanges *ranges,
									 char *problem, size_t size);

#endif							/* WEBHOOK_ADDRESS_BLOCK_H */
