/*
 * address_rules.c
 *	  Which addresses and ports may be dialled.
 *
 * A name in a URL says nothing about where it leads, and this server can reach
 * databases, metadata services and consoles that trust their neighbours. So
 * the address decides, however it was spelled or found. Refused are the blocks
 * that an IANA registry calls special, and addresses that carry another one,
 * because a relay could unpack it behind this check; of IPv6, only the part
 * that is handed out to networks is left. But behind DNS64, every name of IPv4
 * leads to an address of NAT64: such a one is judged as the IPv4 address inside.
 *
 * Nothing is allocated but the rules themselves. A decision is a walk over
 * small arrays, cheap enough to be taken for each connection.
 *
 * The blocks: IANA's registries of special-purpose addresses (RFC 6890), RFC
 * 4291, RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo), RFC 5214
 * (ISATAP).
 */
#include <ifaddrs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/address_list.h"
#include "net/address_rules.h"

#define OWN_SECONDS		60		/* for which the server's addresses are cached */
#define MAX_OWN			1024	/* addresses of this server */

static const char allowed_networks[] = "webhook.allowed_networks";
static const char denied_networks[] = "webhook.denied_networks";

/* The addresses of this server's interfaces. */
typedef struct OwnAddresses
{
	bool		known;			/* getifaddrs() has succeeded at least once */
	time_t		read_at;		/* the last call of getifaddrs(): monotonic seconds */
	int			count;			/* entries of "address" in use */
	WebhookAddress address[MAX_OWN];	/* without IPv4-mapped ones */
} OwnAddresses;

struct WebhookAddressRules
{
	WebhookAddressBlocks allowed;
	WebhookAddressBlocks denied;
	WebhookPortRanges ports;	/* that may be dialled */
	OwnAddresses *own;
};

#define IPV4(a, b, c, d) \
	{false, (uint64_t) ((a) << 8 | (b)) << 48 | (uint64_t) ((c) << 8 | (d)) << 32, 0}
#define IPV6(a, b, c, d) \
	{true, (uint64_t) (a) << 48 | (uint64_t) (b) << 32 | (uint64_t) (c) << 16 | (d), 0}

/* Of two blocks that overlap, the narrower one comes first: it names the purpose. */
static const WebhookAddressBlock special[] = {
	{IPV4(0, 0, 0, 0), 8, "this network"},
	{IPV4(10, 0, 0, 0), 8, "private use"},
	{IPV4(100, 64, 0, 0), 10, "shared address space"},
	{IPV4(127, 0, 0, 0), 8, "loopback"},
	{IPV4(168, 63, 129, 16), 32, "a cloud's platform"},
	{IPV4(169, 254, 0, 0), 16, "link-local"},
	{IPV4(172, 16, 0, 0), 12, "private use"},
	{IPV4(192, 0, 0, 0), 24, "IETF protocol assignments"},
	{IPV4(192, 0, 2, 0), 24, "documentation"},
	{IPV4(192, 31, 196, 0), 24, "AS112"},
	{IPV4(192, 52, 193, 0), 24, "AMT"},
	{IPV4(192, 88, 99, 0), 24, "6to4 relays"},
	{IPV4(192, 168, 0, 0), 16, "private use"},
	{IPV4(192, 175, 48, 0), 24, "AS112"},
	{IPV4(198, 18, 0, 0), 15, "benchmarking"},
	{IPV4(198, 51, 100, 0), 24, "documentation"},
	{IPV4(203, 0, 113, 0), 24, "documentation"},
	{IPV4(224, 0, 0, 0), 4, "multicast"},
	{IPV4(255, 255, 255, 255), 32, "broadcast"},
	{IPV4(240, 0, 0, 0), 4, "reserved"},

	{{true, 0, 0}, 128, "unspecified"},
	{{true, 0, 1}, 128, "loopback"},
	{{true, 0, 0}, 96, "IPv4-compatible, an IPv4 address inside"},
	{{true, 0, UINT64_C(0xFFFF000000000000)}, 96, "IPv4-translated, an IPv4 address inside"},
	{IPV6(0x64, 0xFF9B, 1, 0), 48, "local NAT64, an IPv4 address inside"},
	{IPV6(0x100, 0, 0, 0), 64, "discard-only"},
	{IPV6(0x100, 0, 0, 1), 64, "dummy prefix"},
	{IPV6(0x2001, 0, 0, 0), 32, "Teredo, an IPv4 address inside"},
	{IPV6(0x2001, 0, 0, 0), 23, "IETF protocol assignments"},
	{IPV6(0x2001, 0xDB8, 0, 0), 32, "documentation"},
	{IPV6(0x2002, 0, 0, 0), 16, "6to4, an IPv4 address inside"},
	{IPV6(0x2620, 0x4F, 0x8000, 0), 48, "AS112"},
	{IPV6(0x3FFF, 0, 0, 0), 20, "documentation"},
	{IPV6(0x5F00, 0, 0, 0), 16, "segment routing"},
	{IPV6(0xFC00, 0, 0, 0), 7, "private use"},
	{IPV6(0xFE80, 0, 0, 0), 10, "link-local"},
	{IPV6(0xFEC0, 0, 0, 0), 10, "site-local"},
	{IPV6(0xFF00, 0, 0, 0), 8, "multicast"},
};

/* The global unicast addresses that IANA hands out; no other IPv6 address is dialled. */
static const WebhookAddressBlock global = {IPV6(0x2000, 0, 0, 0), 3, NULL};

static bool is_special(const WebhookAddress *address, WebhookAddressRefusal *refusal);
static bool is_isatap(const WebhookAddress *address);
static bool is_nat64(const WebhookAddress *address);
static bool carries_ipv4(const WebhookAddress *address, WebhookAddress *inner);
static bool is_own(const WebhookAddressRules *rules, const WebhookAddress *address,
				   WebhookAddressRefusal *refusal);
static void read_own(OwnAddresses *own);
static const WebhookAddressBlock *find(const WebhookAddressBlocks *blocks,
									   const WebhookAddress *address);
static bool refuse(WebhookAddressRefusal *refusal, const WebhookAddressBlock *block,
				   const char *purpose, const char *setting);

WebhookAddressRules *
webhook_address_rules_new(const char *allowed, const char *denied, const char *ports,
						  char *problem, size_t size)
{
	WebhookAddressRules *rules = calloc(1, sizeof(WebhookAddressRules));

	if (rules != NULL)
		rules->own = calloc(1, sizeof(OwnAddresses));
	if (rules == NULL || rules->own == NULL)
		snprintf(problem, size, "There is not enough memory.");
	else if (webhook_address_blocks_read(allowed ? allowed : "", &rules->allowed, problem, size) &&
			 webhook_address_blocks_read(denied ? denied : "", &rules->denied, problem, size) &&
			 webhook_port_ranges_read(ports ? ports : WEBHOOK_DEFAULT_PORTS,
									  &rules->ports, problem, size))
		return rules;
	webhook_address_rules_free(rules);
	return NULL;
}

void
webhook_address_rules_free(WebhookAddressRules *rules)
{
	if (rules == NULL)
		return;
	free(rules->own);
	free(rules);
}

bool
webhook_address_refuses(const WebhookAddressRules *rules,
						const struct sockaddr *given,
						WebhookAddressRefusal *refusal)
{
	WebhookAddress address;
	WebhookAddress inner;
	const WebhookAddressBlock *block;

	memset(refusal, 0, sizeof(WebhookAddressRefusal));
	if (!webhook_address_from_sockaddr(given, &address))
	{
		static const WebhookAddressBlock none = {IPV4(0, 0, 0, 0), 0, NULL};

		strcpy(refusal->address, "of another family");
		return refuse(refusal, &none, "neither IPv4 nor IPv6", allowed_networks);
	}
	webhook_address_to_text(&address, refusal->address);
	webhook_address_unmap(&address);
	block = find(&rules->denied, &address);
	if (block == NULL && carries_ipv4(&address, &inner))
		block = find(&rules->denied, &inner);
	if (block != NULL)
		return refuse(refusal, block, "denied", denied_networks);
	if (find(&rules->allowed, &address) != NULL)
		return false;
	if (is_nat64(&address))
	{
		carries_ipv4(&address, &address);
		if (find(&rules->allowed, &address) != NULL)
			return false;
	}
	return is_special(&address, refusal) || is_own(rules, &address, refusal);
}

bool
webhook_address_is_allowed(const WebhookAddressRules *rules, const struct sockaddr *given)
{
	WebhookAddress address;

	if (!webhook_address_from_sockaddr(given, &address))
		return false;
	webhook_address_unmap(&address);
	return find(&rules->denied, &address) == NULL && find(&rules->allowed, &address) != NULL;
}

bool
webhook_address_has_allowed(const WebhookAddressRules *rules)
{
	return rules->allowed.count > 0;
}

void
webhook_address_explain(const WebhookAddressRefusal *refusal,
						char *sentence, size_t size)
{
	if (strcmp(refusal->setting, denied_networks) == 0)
		snprintf(sentence, size, "The address %s is in %s, which %s denies.",
				 refusal->address, refusal->block, refusal->setting);
	else
		snprintf(sentence, size,
				 "The address %s is in %s (%s), which %s does not allow.",
				 refusal->address, refusal->block, refusal->purpose,
				 refusal->setting);
}

bool
webhook_address_refuses_port(const WebhookAddressRules *rules, int port)
{
	for (int i = 0; i < rules->ports.count; i++)
	{
		if (port >= rules->ports.range[i].first && port <= rules->ports.range[i].last)
			return false;
	}
	return true;
}

static bool
is_special(const WebhookAddress *address, WebhookAddressRefusal *refusal)
{
	static const WebhookAddressBlock everything = {{true, 0, 0}, 0, NULL};

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
	{
		if (webhook_address_within(address, &special[i]))
			return refuse(refusal, &special[i], special[i].purpose, allowed_networks);
	}
	if (!address->ipv6)
		return false;
	if (!webhook_address_within(address, &global))
		return refuse(refusal, &everything, "not global unicast", allowed_networks);

	if (is_isatap(address))
	{
		WebhookAddressBlock host = {*address, 128, NULL};

		return refuse(refusal, &host, "ISATAP, an IPv4 address inside", allowed_networks);
	}
	return false;
}

/* RFC 5214, section 6.1: an interface identifier, in any network, with the u bit set or not. */
static bool
is_isatap(const WebhookAddress *address)
{
	return address->ipv6 && (address->low >> 32 & 0xFDFFFFFF) == 0x5EFE;
}

/* RFC 6052, section 2.1: the well-known prefix. */
static bool
is_nat64(const WebhookAddress *address)
{
	return address->ipv6 && address->high == UINT64_C(0x0064FF9B00000000) &&
		address->low >> 32 == 0;
}

/*
 * Find the IPv4 address that a relay would unpack from this address, where it has a fixed place.
 * Allowing the network of a relay does not allow what lies behind it. Returns false if there is
 * none.
 */
static bool
carries_ipv4(const WebhookAddress *address, WebhookAddress *inner)
{
	uint64_t	ipv4;

	if (!address->ipv6)
		return false;
	if (address->high >> 48 == 0x2002)	/* 6to4 */
		ipv4 = address->high >> 16;
	else if (address->high >> 32 == 0x20010000) /* Teredo */
		ipv4 = ~address->low;
	else if (is_nat64(address) ||
			 (address->high == 0 && address->low >> 32 == 0xFFFF0000) ||
			 (address->high == 0 && address->low >> 32 == 0 && address->low > 1) ||
			 is_isatap(address))
		ipv4 = address->low;
	else
		return false;

	inner->ipv6 = false;
	inner->high = ipv4 << 32;
	inner->low = 0;
	return true;
}

/* A public address of this server leads to services that listen for this server alone. */
static bool
is_own(const WebhookAddressRules *rules, const WebhookAddress *address,
	   WebhookAddressRefusal *refusal)
{
	WebhookAddressBlock host = {*address, address->ipv6 ? 128 : 32, NULL};
	OwnAddresses *own = rules->own;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!own->known || now.tv_sec - own->read_at >= OWN_SECONDS)
	{
		own->read_at = now.tv_sec;
		read_own(own);
	}
	if (!own->known)
		return refuse(refusal, &host, "this server's own addresses are unknown",
					  allowed_networks);
	for (int i = 0; i < own->count; i++)
	{
		if (webhook_address_equal(address, &own->address[i]))
			return refuse(refusal, &host, "this server's own",
						  allowed_networks);
	}
	return false;
}

/* Read the addresses again. If the system does not tell them, the former ones are kept. */
static void
read_own(OwnAddresses *own)
{
	struct ifaddrs *list;

	if (getifaddrs(&list) != 0)
		return;
	own->known = true;
	own->count = 0;
	for (struct ifaddrs *i = list; i != NULL && own->count < MAX_OWN; i = i->ifa_next)
	{
		WebhookAddress *address = &own->address[own->count];

		if (i->ifa_addr == NULL || !webhook_address_from_sockaddr(i->ifa_addr, address))
			continue;
		webhook_address_unmap(address);
		own->count++;
	}
	freeifaddrs(list);
}

static const WebhookAddressBlock *
find(const WebhookAddressBlocks *blocks, const WebhookAddress *address)
{
	for (int i = 0; i < blocks->count; i++)
	{
		if (webhook_address_within(address, &blocks->block[i]))
			return &blocks->block[i];
	}
	return NULL;
}

/* Fill in the refusal, but for its address. Always returns true. */
static bool
refuse(WebhookAddressRefusal *refusal, const WebhookAddressBlock *block,
	   const char *purpose, const char *setting)
{
	size_t		length;

	webhook_address_to_text(&block->first, refusal->block);
	length = strlen(refusal->block);
	snprintf(refusal->block + length, sizeof(refusal->block) - length, "/%d",
			 block->bits);
	refusal->purpose = purpose;
	refusal->setting = setting;
	return true;
}
