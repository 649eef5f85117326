/*
 * address_list.h
 *	  Lists of networks and of ports as settings write them.
 */
#ifndef WEBHOOK_ADDRESS_LIST_H
#define WEBHOOK_ADDRESS_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"

#define WEBHOOK_MAX_NETWORKS	512 /* entries of a list of networks */
#define WEBHOOK_MAX_RANGES		512 /* entries of a list of ports */

typedef struct WebhookAddressBlocks
{
	int			count;			/* entries of "block" in use */
	WebhookAddressBlock block[WEBHOOK_MAX_NETWORKS];
} WebhookAddressBlocks;

/* The ports from "first" to "last", both included. */
typedef struct WebhookPortRange
{
	int			first;
	int			last;
} WebhookPortRange;

typedef struct WebhookPortRanges
{
	int			count;			/* entries of "range" in use */
	WebhookPortRange range[WEBHOOK_MAX_RANGES];
} WebhookPortRanges;

/*
 * Read networks and single addresses, separated by commas, such as "10.0.0.0/8, 2001:db8::/32,
 * 192.0.2.1", into an empty list. An empty or blank text is a list without entries. Returns false
 * if the text is not such a list: "problem" receives a sentence, of at most "size" bytes, that
 * names the entry.
 */
extern bool webhook_address_blocks_read(const char *list, WebhookAddressBlocks *blocks,
										char *problem, size_t size);

/* The same for ports and ranges of them, such as "443, 1024-65535"; a blank text is refused. */
extern bool webhook_port_ranges_read(const char *list, WebhookPortRanges *ranges,
									 char *problem, size_t size);

#endif							/* WEBHOOK_ADDRESS_LIST_H */
