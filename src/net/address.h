/*
 * address.h
 *	  An IPv4 or IPv6 address as a number, and its textual forms.
 */
#ifndef WEBHOOK_ADDRESS_H
#define WEBHOOK_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define WEBHOOK_ADDRESS_BYTES	64	/* of an address or block as text, with its NUL */

typedef struct WebhookAddress
{
	bool		ipv6;
	uint64_t	high;			/* upper 64 bits; an IPv4 address is in the upper half of them */
	uint64_t	low;			/* lower 64 bits; 0 for an IPv4 address */
} WebhookAddress;

/* The addresses that share their first "bits" bits with "first". */
typedef struct WebhookAddressBlock
{
	WebhookAddress first;		/* all bits behind the prefix are 0 */
	int			bits;			/* length of the prefix */
	const char *purpose;		/* such as "private use"; NULL for an entry of a setting */
} WebhookAddressBlock;

/*
 * Convert a host of a canonical URL, a dotted quad or IPv6 with or without brackets, into a socket
 * address with port 0. Returns false if the host is a name.
 */
extern bool webhook_address_parse(const char *host, struct sockaddr_storage *address);

/*
 * Convert a socket address into a number. An IPv4-mapped address stays an IPv6 address. Returns
 * false if it is neither IPv4 nor IPv6.
 */
extern bool webhook_address_from_sockaddr(const struct sockaddr *given, WebhookAddress *address);

/*
 * Convert an IPv4-mapped address (RFC 4291, section 2.5.5.2) into the IPv4 address that it stands
 * for. Returns false, and changes nothing, if it is not one.
 */
extern bool webhook_address_unmap(WebhookAddress *address);

/* Write the address as text into WEBHOOK_ADDRESS_BYTES bytes, as inet_ntop() does. */
extern void webhook_address_to_text(const WebhookAddress *address, char *result);

/* The address with all bits behind the first "bits" set to 0. */
extern WebhookAddress webhook_address_prefix(const WebhookAddress *address, int bits);

extern bool webhook_address_equal(const WebhookAddress *a, const WebhookAddress *b);

/* Returns true if the address is in the block; an IPv4 address is in no block of IPv6. */
extern bool webhook_address_within(const WebhookAddress *address,
								   const WebhookAddressBlock *block);

#endif							/* WEBHOOK_ADDRESS_H */
