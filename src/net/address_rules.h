/*
 * address_rules.h
 *	  Which addresses and ports may be dialled.
 *
 * The same rules judge a literal address in a backend, when an endpoint is
 * saved, and each address that the worker is about to dial.
 */
#ifndef WEBHOOK_ADDRESS_RULES_H
#define WEBHOOK_ADDRESS_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "net/address.h"

#define WEBHOOK_DEFAULT_PORTS	"80, 443, 1024-65535"
#define WEBHOOK_REFUSAL_BYTES	256 /* of a refusal as a sentence, with its NUL */

/*
 * The settings webhook.allowed_networks, denied_networks and allowed_ports, and a cache of this
 * server's own addresses; because of the cache, only one thread may use them.
 */
typedef struct WebhookAddressRules WebhookAddressRules;

/* Why an address is refused. */
typedef struct WebhookAddressRefusal
{
	char		address[WEBHOOK_ADDRESS_BYTES]; /* the refused address, as it would be dialled */
	char		block[WEBHOOK_ADDRESS_BYTES];	/* the block that it is in, such as "10.0.0.0/8" */
	const char *purpose;		/* of that block, such as "private use" */
	const char *setting;		/* the setting that decides: "webhook.denied_networks" or
								 * "webhook.allowed_networks" */
} WebhookAddressRefusal;

/*
 * Read the settings of the same names; address_list.h has their syntax. NULL is an empty list of
 * networks, or the default ports. The result is malloc'ed; free it with webhook_address_rules_free.
 * Returns NULL if a list is malformed or memory is out: "problem" receives a sentence, of at most
 * "size" bytes, that names the entry.
 */
extern WebhookAddressRules *webhook_address_rules_new(const char *allowed_networks,
													  const char *denied_networks,
													  const char *allowed_ports,
													  char *problem, size_t size);
extern void webhook_address_rules_free(WebhookAddressRules *rules);

/*
 * Returns true if the address must not be dialled. The first that knows the address decides: the
 * denied networks, the allowed networks, then what nobody has a public endpoint in (special-purpose
 * blocks, addresses that carry another address, this server's own addresses). An IPv4-mapped
 * address is judged as the IPv4 address that it is, and so is one of NAT64, 64:ff9b::/96, unless
 * that network is allowed; an address that carries an IPv4 address in another way is also denied
 * where that IPv4 address is.
 *
 * The server's own addresses are read again once they are a minute old.
 */
extern bool webhook_address_refuses(const WebhookAddressRules *rules,
									const struct sockaddr *address,
									WebhookAddressRefusal *refusal);

/* Returns true if the address is in the allowed networks, and in none of the denied ones. */
extern bool webhook_address_is_allowed(const WebhookAddressRules *rules,
									   const struct sockaddr *address);

/* Returns true if there is any allowed network. */
extern bool webhook_address_has_allowed(const WebhookAddressRules *rules);

/* Write the refusal as one sentence, of at most WEBHOOK_REFUSAL_BYTES, for a log or a DETAIL. */
extern void webhook_address_explain(const WebhookAddressRefusal *refusal,
									char *sentence, size_t size);

extern bool webhook_address_refuses_port(const WebhookAddressRules *rules, int port);

#endif							/* WEBHOOK_ADDRESS_RULES_H */
