/*
 * address.c
 *	  Fuzz target: lists of networks and ports mean what a slow second reading
 *	  of them says, and an address that they allow or deny, or that is never
 *	  public, is judged so.
 *
 * Input: four lines: allowed networks, denied networks, ports, an address.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "net/address_list.h"
#include "net/address_rules.h"

#include "fuzz.h"

#define MAX_LINE	4096
#define MAX_ENTRY	60			/* bytes; a longer entry is refused */

/* A network as IPv6; an IPv4 network is IPv4-mapped. "bits" is the length of its prefix. */
typedef struct Network
{
	unsigned char bytes[16];
	int			bits;
} Network;

typedef struct Networks
{
	int			count;
	Network		network[MAX_LINE];
} Networks;

typedef struct Ports
{
	bool		is_open[65536];
} Ports;

static const char blanks[] = " \t\r\n";

static bool
read_address(const char *text, unsigned char *bytes, bool *ipv4)
{
	static const unsigned char mapped[12] = {[10] = 0xFF,[11] = 0xFF};

	memcpy(bytes, mapped, 12);
	*ipv4 = inet_pton(AF_INET, text, bytes + 12) == 1;
	return *ipv4 || inet_pton(AF_INET6, text, bytes) == 1;
}

static bool
is_mapped(const unsigned char *bytes)
{
	for (int i = 0; i < 10; i++)
	{
		if (bytes[i] != 0)
			return false;
	}
	return bytes[10] == 0xFF && bytes[11] == 0xFF;
}

static bool
bit(const unsigned char *bytes, int number)
{
	return bytes[number / 8] >> (7 - number % 8) & 1;
}

/* Compare bit by bit. An IPv4 address is in no network of IPv6. */
static bool
is_in(const unsigned char *bytes, const Network *network)
{
	if (is_mapped(bytes) && network->bits < 96)
		return false;
	for (int i = 0; i < network->bits; i++)
	{
		if (bit(bytes, i) != bit(network->bytes, i))
			return false;
	}
	return true;
}

static bool
is_among(const unsigned char *bytes, const Networks *networks)
{
	for (int i = 0; i < networks->count; i++)
	{
		if (is_in(bytes, &networks->network[i]))
			return true;
	}
	return false;
}

/* A plain decimal number up to "most", or -1. */
static int
read_number(const char *text, int most)
{
	char		again[16];
	int			number = atoi(text);

	snprintf(again, sizeof(again), "%d", number);
	return strlen(text) < 6 && strcmp(text, again) == 0 && number >= 0 &&
		number <= most ? number : -1;
}

static bool
read_network(char *entry, Network *network)
{
	char	   *slash = strchr(entry, '/');
	bool		ipv4;
	int			most;

	if (slash)
		*slash = '\0';
	if (!read_address(entry, network->bytes, &ipv4))
		return false;
	most = ipv4 ? 32 : 128;
	network->bits = slash ? read_number(slash + 1, most) : most;
	if (network->bits < 0)
		return false;
	if (ipv4)
		network->bits += 96;
	else if (network->bits >= 96 && is_mapped(network->bytes))
		return false;
	for (int i = network->bits; i < 128; i++)
	{
		if (bit(network->bytes, i))
			return false;
	}
	return true;
}

static char *
trim(char *text)
{
	char	   *end = text + strlen(text);

	while (end > text && strchr(blanks, end[-1]))
		*--end = '\0';
	return text + strspn(text, blanks);
}

/*
 * Cut off the entry at "list"; NULL behind the last one. One that is too long
 * is none, and as good as empty.
 */
static char *
cut(char **list)
{
	char	   *entry = *list;
	char	   *comma = entry ? strchr(entry, ',') : NULL;

	*list = comma ? comma + 1 : NULL;
	if (comma)
		*comma = '\0';
	if (entry)
		entry = trim(entry);
	return entry && strlen(entry) > MAX_ENTRY ? entry + strlen(entry) : entry;
}

static bool
read_networks(const char *list, Networks *networks)
{
	char		copy[MAX_LINE];
	char	   *rest = strcpy(copy, list);
	char	   *entry;

	networks->count = 0;
	if (list[strspn(list, blanks)] == '\0')
		return true;
	while ((entry = cut(&rest)) != NULL)
	{
		if (!read_network(entry, &networks->network[networks->count++]))
			return false;
	}
	return networks->count <= WEBHOOK_MAX_NETWORKS;
}

static bool
read_ports(const char *list, Ports *ports)
{
	char		copy[MAX_LINE];
	char	   *rest = strcpy(copy, list);
	char	   *entry;
	int			count = 0;

	memset(ports, 0, sizeof(Ports));
	while ((entry = cut(&rest)) != NULL)
	{
		char	   *dash = strchr(entry, '-');
		int			first;
		int			last;

		if (dash)
			*dash = '\0';
		first = last = read_number(trim(entry), 65535);
		if (dash)
			last = read_number(trim(dash + 1), 65535);
		if (first < 1 || last < first || ++count > WEBHOOK_MAX_NETWORKS)
			return false;
		for (int i = first; i <= last; i++)
			ports->is_open[i] = true;
	}
	return true;
}

/* Find the IPv4 address, IPv4-mapped, that another address carries in a fixed place. */
static bool
is_carrier(const unsigned char *bytes, unsigned char *inner)
{
	static const unsigned char none[16];
	static const unsigned char relays[][12] = {
		{0},
		{[8] = 0xFF,[9] = 0xFF},
		{0x00, 0x64, 0xFF, 0x9B},
	};
	bool		is_relay = (bytes[8] & 0xFD) == 0 && memcmp(bytes + 9, "\0\x5E\xFE", 3) == 0;

	if (is_mapped(bytes) || (memcmp(bytes, none, 15) == 0 && bytes[15] <= 1))
		return false;
	memset(inner, 0, 10);
	memset(inner + 10, 0xFF, 2);
	memcpy(inner + 12, bytes + 12, 4);
	for (int i = 0; i < 3; i++)
		is_relay = is_relay || memcmp(bytes, relays[i], 12) == 0;
	if (memcmp(bytes, "\x20\x02", 2) == 0)
		memcpy(inner + 12, bytes + 2, 4);
	else if (memcmp(bytes, "\x20\x01\0\0", 4) == 0)
	{
		for (int i = 12; i < 16; i++)
			inner[i] ^= 0xFF;
	}
	else if (!is_relay)
		return false;
	return true;
}

/* Returns true for some of the addresses that are never public. */
static bool
is_never_public(const unsigned char *bytes)
{
	const unsigned char *ipv4 = bytes + 12;

	if (!is_mapped(bytes))
		return (bytes[0] & 0xE0) != 0x20 ||
			(bytes[0] == 0x20 && bytes[1] == 0x02) ||
			memcmp(bytes, "\x20\x01\x0d\xb8", 4) == 0 ||
			memcmp(bytes, "\x20\x01\0\0", 4) == 0;
	return ipv4[0] == 0 || ipv4[0] == 10 || ipv4[0] == 127 || ipv4[0] >= 224 ||
		(ipv4[0] == 100 && (ipv4[1] & 0xC0) == 64) ||
		(ipv4[0] == 169 && ipv4[1] == 254) ||
		(ipv4[0] == 172 && (ipv4[1] & 0xF0) == 16) ||
		(ipv4[0] == 192 && ipv4[1] == 168);
}

static void
check_refusal(const unsigned char *bytes, const WebhookAddressRefusal *refusal,
			  bool denied)
{
	char		block[WEBHOOK_ADDRESS_BYTES];
	char		text[WEBHOOK_REFUSAL_BYTES];
	unsigned char address[16];
	unsigned char inner[16];
	Network		network;
	bool		ipv4;

	FUZZ_CHECK(strcmp(refusal->setting, denied ? "webhook.denied_networks" :
					  "webhook.allowed_networks") == 0);
	FUZZ_CHECK(refusal->purpose != NULL && refusal->purpose[0] != '\0');

	/* It names the address, and a block that the address is in. */
	FUZZ_CHECK(read_address(refusal->address, address, &ipv4));
	FUZZ_CHECK(memcmp(address, bytes, 16) == 0);
	FUZZ_CHECK(memchr(refusal->block, '\0', sizeof(block)) != NULL);
	strcpy(block, refusal->block);
	FUZZ_CHECK(read_network(block, &network));
	FUZZ_CHECK(is_in(bytes, &network) ||
			   (is_carrier(bytes, inner) && is_in(inner, &network)));

	webhook_address_explain(refusal, text, sizeof(text));
	FUZZ_CHECK(strstr(text, refusal->address) && strstr(text, refusal->block));
	FUZZ_CHECK(text[strlen(text) - 1] == '.');
}

static void
check_address(const WebhookAddressRules *rules, const char *host,
			  const Networks *allowed, const Networks *denied)
{
	struct sockaddr_storage address;
	WebhookAddressRefusal refusal;
	unsigned char bytes[16];
	unsigned char inner[16];
	char		inside[64];
	size_t		length = strlen(host);
	bool		ipv4;
	bool		is_address = read_address(host, bytes, &ipv4);
	bool		refused;
	bool		is_denied;

	if (length >= 2 && length < sizeof(inside) && host[0] == '[' &&
		host[length - 1] == ']')
	{
		memcpy(inside, host + 1, length - 2);
		inside[length - 2] = '\0';
		is_address = read_address(inside, bytes, &ipv4) && !ipv4;
	}
	FUZZ_CHECK(webhook_address_parse(host, &address) == is_address);
	if (!is_address)
		return;
	if (address.ss_family == AF_INET)
		FUZZ_CHECK(ipv4 && memcmp(&((struct sockaddr_in *) &address)->sin_addr,
								  bytes + 12, 4) == 0);
	else
		FUZZ_CHECK(address.ss_family == AF_INET6 &&
				   memcmp(&((struct sockaddr_in6 *) &address)->sin6_addr,
						  bytes, 16) == 0);

	refused = webhook_address_refuses(rules, (struct sockaddr *) &address,
									  &refusal);
	is_denied = is_among(bytes, denied) ||
		(is_carrier(bytes, inner) && is_among(inner, denied));
	if (is_denied)
		FUZZ_CHECK(refused);
	else if (is_among(bytes, allowed))
		FUZZ_CHECK(!refused);
	else if (is_never_public(bytes))
		FUZZ_CHECK(refused);
	if (refused)
		check_refusal(bytes, &refusal, is_denied);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Networks allowed;
	static Networks denied;
	static Ports ports;
	char		lines[MAX_LINE];
	char	   *line[4];
	char	   *at = lines;
	char		problem[256] = "";
	WebhookAddressRules *rules;
	bool		is_list;

	if (size >= sizeof(lines))
		return 0;
	if (size > 0)
		memcpy(lines, data, size);
	lines[size] = '\0';
	for (int i = 0; i < 4; i++)
	{
		line[i] = at;
		at += strcspn(at, "\n");
		if (*at)
			*at++ = '\0';
	}

	is_list = read_networks(line[0], &allowed) &&
		read_networks(line[1], &denied) && read_ports(line[2], &ports);
	rules = webhook_address_rules_new(line[0], line[1], line[2],
									  problem, sizeof(problem));
	FUZZ_CHECK((rules != NULL) == is_list);
	if (rules == NULL)
	{
		FUZZ_CHECK(problem[0] != '\0');
		return 0;
	}
	FUZZ_CHECK(problem[0] == '\0');
	check_address(rules, line[3], &allowed, &denied);
	for (int i = 0; i < 65536; i++)
		FUZZ_CHECK(webhook_address_refuses_port(rules, i) == !ports.is_open[i]);
	FUZZ_CHECK(webhook_address_refuses_port(rules, -1));
	FUZZ_CHECK(webhook_address_refuses_port(rules, 65536));
	webhook_address_rules_free(rules);
	return 0;
}
