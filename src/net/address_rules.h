/*
 * address_rules.h
 *	  Which addresses and ports may be dialled. No PostgreSQL, no libcurl: the
 *	  same code judges a literal when it is saved, and whatever a name led to
 *	  when it is dialled.
 */
#ifndef WEBHOOK_ADDRESS_H
#define WEBHOOK_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define WEBHOOK_MAX_NETWORKS	512 /* entries of a list */
#define WEBHOOK_DEFAULT_PORTS	"80, 443, 1024-65535"

#define WEBHOOK_ADDRESS_BYTES	64	/* of an address or block as text */
#define WEBHOOK_REFUSAL_BYTES	256 /* of a refusal in words */

typedef struct WebhookAddressRules WebhookAddressRules;

/* Why an address is refused. */
typedef struct WebhookAddressRefusal
{
	char		address[WEBHOOK_ADDRESS_BYTES]; /* as it would be dialled */
	char		block[WEBHOOK_ADDRESS_BYTES];	/* such as "10.0.0.0/8" */
	const char *purpose;		/* what the block is: "private use" */
	const char *setting;		/* that decides: "webhook.denied_networks" or
								 * "webhook.allowed_networks" */
} WebhookAddressRefusal;

/*
 * Read the lists of the settings of the same names: networks as "10.0.0.0/8,
 * 2001:db8::/32, 192.0.2.1", ports as "443, 1024-65535"; NULL is an empty list
 * of networks and the default ports. The result is malloc'ed. NULL: "problem"
 * has a sentence that names the entry.
 */
extern WebhookAddressRules *webhook_address_rules_new(const char *allowed_networks,
													  const char *denied_networks,
													  const char *allowed_ports,
													  char *problem, size_t size);
extern void webhook_address_rules_free(WebhookAddressRules *rules);

/*
 * Must not be dialled? Decided by the denied networks, then by the allowed
 * ones, then by what nobody has a public endpoint in: special-purpose blocks,
 * addresses that carry another inside, and this server's own. An IPv4-mapped
 * address is judged as the IPv4 address that it is, and one that carries an
 * IPv4 address in another way is denied with it.
 *
 * The server's own addresses are read again once they are a minute old, so the
 * rules belong to one thread.
 */
extern bool webhook_address_refuses(const WebhookAddressRules *rules,
									const struct sockaddr *address,
									WebhookAddressRefusal *verdict);

/* In one sentence of at most WEBHOOK_REFUSAL_BYTES, for a log or a DETAIL. */
extern void webhook_address_explain(const WebhookAddressRefusal *verdict,
									char *text, size_t size);

extern bool webhook_address_refuses_port(const WebhookAddressRules *rules, int port);

/*
 * The address that a canonical host is: a dotted quad, or IPv6 with or without
 * brackets. False: it is a name.
 */
extern bool webhook_address_parse(const char *host, struct sockaddr_storage *address);

#endif							/* WEBHOOK_ADDRESS_H */
