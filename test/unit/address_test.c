/*
 * address_test.c
 *	  Which addresses and ports are refused, why, and how lists are read.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "net/address_list.h"
#include "net/address_rules.h"

#include "unit.h"

typedef struct BlockCase
{
	const char *block;
	const char *purpose;
	const char *first;
	const char *last;
	const char *below;			/* NULL: in another block, or none */
	const char *above;
} BlockCase;

static const BlockCase blocks[] = {
	{"0.0.0.0/8", "this network", "0.0.0.0", "0.255.255.255", NULL, "1.0.0.0"},
	{"10.0.0.0/8", "private use", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"},
	{"100.64.0.0/10", "shared address space", "100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"},
	{"127.0.0.0/8", "loopback", "127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"},
	{"168.63.129.16/32", "a cloud's platform", "168.63.129.16", "168.63.129.16", "168.63.129.15", "168.63.129.17"},
	{"169.254.0.0/16", "link-local", "169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"},
	{"172.16.0.0/12", "private use", "172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"},
	{"192.0.0.0/24", "IETF protocol assignments", "192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"},
	{"192.0.2.0/24", "documentation", "192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"},
	{"192.31.196.0/24", "AS112", "192.31.196.0", "192.31.196.255", "192.31.195.255", "192.31.197.0"},
	{"192.52.193.0/24", "AMT", "192.52.193.0", "192.52.193.255", "192.52.192.255", "192.52.194.0"},
	{"192.88.99.0/24", "6to4 relays", "192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0"},
	{"192.168.0.0/16", "private use", "192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"},
	{"192.175.48.0/24", "AS112", "192.175.48.0", "192.175.48.255", "192.175.47.255", "192.175.49.0"},
	{"198.18.0.0/15", "benchmarking", "198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"},
	{"198.51.100.0/24", "documentation", "198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"},
	{"203.0.113.0/24", "documentation", "203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"},
	{"224.0.0.0/4", "multicast", "224.0.0.0", "239.255.255.255", "223.255.255.255", NULL},
	{"240.0.0.0/4", "reserved", "240.0.0.0", "255.255.255.254", NULL, NULL},
	{"255.255.255.255/32", "broadcast", "255.255.255.255", "255.255.255.255", NULL, NULL},

	{"::/128", "unspecified", "::", "::", NULL, NULL},
	{"::1/128", "loopback", "::1", "::1", NULL, NULL},
	{"::/96", "IPv4-compatible", "::2", "::ffff:ffff", NULL, NULL},
	{"::ffff:0:0:0/96", "IPv4-translated", "::ffff:0:0:0", "::ffff:0:ffff:ffff", NULL, NULL},
	{"64:ff9b:1::/48", "local NAT64", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
	{"100::/64", "discard-only", "100::", "100::ffff:ffff:ffff:ffff", NULL, NULL},
	{"100:0:0:1::/64", "dummy prefix", "100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", NULL, NULL},
	{"2001::/32", "Teredo", "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
	{"2001::/23", "IETF protocol assignments", "2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "2001:200::"},
	{"2001:db8::/32", "documentation", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
	{"2002::/16", "6to4", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"},
	{"2620:4f:8000::/48", "AS112", "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", "2620:4f:8001::"},
	{"3fff::/20", "documentation", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"},
	{"5f00::/16", "segment routing", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
	{"fc00::/7", "private use", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
	{"fe80::/10", "link-local", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
	{"fec0::/10", "site-local", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
	{"ff00::/8", "multicast", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},

	/* The blocks around the global unicast addresses. */
	{"::/0", "not global unicast", "0:0:0:0:1::", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
	{"::/0", "not global unicast", "64:ff9b:2::", "ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
	{"::/0", "not global unicast", "100:0:0:2::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "2000::"},
	{"::/0", "not global unicast", "4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
	{"::/0", "not global unicast", "5f01::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
	{"::/0", "not global unicast", "fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},

	/* IPv4-mapped addresses, and addresses that carry another one. */
	{"127.0.0.0/8", "loopback", "::ffff:127.0.0.1", "::ffff:7fff:ffff", "::ffff:126.255.255.255", "::ffff:128.0.0.0"},
	{"169.254.0.0/16", "link-local", "::ffff:169.254.169.254", "::ffff:a9fe:aa02", NULL, NULL},
	{"2606:4700::5efe:7f00:1/128", "ISATAP", "2606:4700::5efe:127.0.0.1", "2606:4700::5efe:127.0.0.1", "2606:4700::5efd:ffff:ffff", "2606:4700::5eff:0:0"},
	{"2606:4700::200:5efe:a00:1/128", "ISATAP", "2606:4700::200:5efe:10.0.0.1", "2606:4700::200:5efe:10.0.0.1", NULL, NULL},
};

typedef struct ListCase
{
	const char *list;
	const char *problem;		/* part of it; NULL: accepted */
} ListCase;

static const ListCase networks[] = {
	{"", NULL},
	{" \t", NULL},
	{"10.0.0.0/8", NULL},
	{" 10.0.0.0/8 ,\n192.0.2.1,2001:db8::/32\t", NULL},
	{"10.0.0.0/8,10.0.0.0/8,10.0.0.0/16", NULL},
	{"0.0.0.0/0, ::/0", NULL},
	{"::1/128, 1.2.3.4/32, ::ffff:0:0:0/96", NULL},

	{",", "Entry 1 is empty."},
	{"10.0.0.0/8,", "Entry 2 is empty."},
	{"10.0.0.0/8,,::1", "Entry 2 is empty."},
	{"localhost", "Entry 1, \"localhost\", is not a network."},
	{"::1, 10.0.0/8", "Entry 2, \"10.0.0/8\", is not a network."},
	{"010.0.0.0/8", "not a network"},
	{"10.0.0.256", "not a network"},
	{"10.0.0.0 /8", "not a network"},
	{"[::1]", "not a network"},
	{"fe80::1%eth0", "not a network"},
	{"/8", "not a network"},
	{"10.0.0.0/8 10.0.0.0/8", "number of bits from 0 to 32"},
	{"10.0.0.0/", "number of bits from 0 to 32"},
	{"10.0.0.0/33", "number of bits from 0 to 32"},
	{"10.0.0.0/08", "number of bits from 0 to 32"},
	{"10.0.0.0/+8", "number of bits from 0 to 32"},
	{"10.0.0.0/-1", "number of bits from 0 to 32"},
	{"10.0.0.0/8x", "number of bits from 0 to 32"},
	{"10.0.0.0/8/8", "number of bits from 0 to 32"},
	{"10.0.0.0/255.0.0.0", "number of bits from 0 to 32"},
	{"::/129", "number of bits from 0 to 128"},
	{"::/4294967296", "number of bits from 0 to 128"},
	{"10.0.0.1/8", "\"10.0.0.0/8\" has none"},
	{"10.1.0.0/0", "\"0.0.0.0/0\" has none"},
	{"2001:db8::1/32", "\"2001:db8::/32\" has none"},
	{"2001:db8::1/127", "\"2001:db8::/127\" has none"},
	{"::ffff:10.0.0.0/104", "write \"10.0.0.0/8\""},
	{"::ffff:0:0/96", "write \"0.0.0.0/0\""},
	{"10.0.0.0/8000000000000000000000000000000000000000000000000000", "too long"},
};

static const ListCase ports[] = {
	{"443", NULL},
	{"80, 443, 1024-65535", NULL},
	{" 80 , 1 - 2 ,80,5-5", NULL},

	{"", "no entry"},
	{" ", "no entry"},
	{"80,", "Entry 2 is empty."},
	{"0", "Entry 1, \"0\", is neither"},
	{"0-80", "neither"},
	{"80, 65536", "Entry 2, \"65536\", is neither"},
	{"99999999999", "neither"},
	{"90-80", "neither"},
	{"80-", "neither"},
	{"-80", "neither"},
	{"80-90-100", "neither"},
	{"080", "neither"},
	{"+80", "neither"},
	{"https", "neither"},
	{"80 443", "neither"},
	{"0x50", "neither"},
};

static WebhookAddressRules *
rules_of(const char *allowed, const char *denied, const char *allowed_ports)
{
	char		problem[WEBHOOK_REFUSAL_BYTES] = "";
	WebhookAddressRules *rules;

	rules = webhook_address_rules_new(allowed, denied, allowed_ports,
									  problem, sizeof(problem));
	if (rules == NULL)
		printf("Bail out! %s\n", problem);
	return rules;
}

static bool
refuses(const WebhookAddressRules *rules, const char *text,
		WebhookAddressRefusal *refusal)
{
	struct sockaddr_storage address;

	if (!webhook_address_parse(text, &address))
		printf("Bail out! %s is no address\n", text);
	return webhook_address_refuses(rules, (struct sockaddr *) &address, refusal);
}

static void
is_refused(const WebhookAddressRules *rules, const char *text,
		   const char *block, const char *purpose, const char *setting)
{
	WebhookAddressRefusal refusal;
	bool		refused = refuses(rules, text, &refusal);

	if (!ok(refused && strcmp(refusal.block, block) == 0 &&
			strncmp(refusal.purpose, purpose, strlen(purpose)) == 0 &&
			strcmp(refusal.setting, setting) == 0,
			"%s is refused: %s", text, block) && refused)
		printf("#   %s %s %s\n", refusal.block, refusal.purpose, refusal.setting);
}

static void
is_accepted(const WebhookAddressRules *rules, const char *text)
{
	WebhookAddressRefusal refusal;

	if (!ok(!refuses(rules, text, &refusal), "%s is accepted", text))
		printf("#   %s %s\n", refusal.block, refusal.purpose);
}

static void
test_blocks(void)
{
	static const char *const setting = "webhook.allowed_networks";
	WebhookAddressRules *rules = rules_of("", "", WEBHOOK_DEFAULT_PORTS);

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
	{
		const BlockCase *c = &blocks[i];

		is_refused(rules, c->first, c->block, c->purpose, setting);
		is_refused(rules, c->last, c->block, c->purpose, setting);
		if (c->below)
			is_accepted(rules, c->below);
		if (c->above)
			is_accepted(rules, c->above);
	}
	is_accepted(rules, "8.8.8.8");
	is_accepted(rules, "[2606:4700::1111]");
	webhook_address_rules_free(rules);
}

static void
test_precedence(void)
{
	WebhookAddressRules *rules = rules_of("10.0.0.0/8, ::1, 64:ff9b::/96, 8.8.8.8",
										  "10.9.0.0/16, 8.8.8.0/24, 2606:4700::/32", NULL);
	static const char *const denied = "webhook.denied_networks";
	static const char *const allowed = "webhook.allowed_networks";

	is_accepted(rules, "10.0.0.1");
	is_accepted(rules, "::ffff:10.0.0.1");
	is_accepted(rules, "::1");
	is_accepted(rules, "64:ff9b::a00:1");
	is_accepted(rules, "64:ff9b::172.16.0.1");	/* the network of the relay is allowed */
	is_accepted(rules, "8.8.9.0");
	is_refused(rules, "10.9.0.0", "10.9.0.0/16", "denied", denied);
	is_refused(rules, "::ffff:10.9.255.255", "10.9.0.0/16", "denied", denied);
	is_refused(rules, "8.8.8.8", "8.8.8.0/24", "denied", denied);
	is_refused(rules, "2606:4700::1111", "2606:4700::/32", "denied", denied);
	is_refused(rules, "172.16.0.1", "172.16.0.0/12", "private use", allowed);
	is_refused(rules, "::2", "::/96", "IPv4-compatible", allowed);
	webhook_address_rules_free(rules);

	/* Behind DNS64, an address of NAT64 is the IPv4 address inside. */
	rules = rules_of("10.0.0.0/8", "10.9.0.0/16", NULL);
	is_accepted(rules, "64:ff9b::9.9.9.9");
	is_accepted(rules, "64:ff9b::10.8.0.1");
	is_refused(rules, "64:ff9b::10.9.0.1", "10.9.0.0/16", "denied", denied);
	is_refused(rules, "64:ff9b::172.16.0.1", "172.16.0.0/12", "private use", allowed);
	is_refused(rules, "64:ff9b::127.0.0.1", "127.0.0.0/8", "loopback", allowed);
	is_refused(rules, "64:ff9b::169.254.169.254", "169.254.0.0/16", "link-local", allowed);
	is_refused(rules, "64:ff9b::0.0.0.0", "0.0.0.0/8", "this network", allowed);
	is_refused(rules, "64:ff9b::255.255.255.255", "255.255.255.255/32", "broadcast", allowed);
	is_refused(rules, "64:ff9b::1:0:0", "::/0", "not global unicast", allowed);
	is_refused(rules, "64:ff9b:1::9.9.9.9", "64:ff9b:1::/48", "local NAT64", allowed);
	webhook_address_rules_free(rules);

	/* The address that a relay would unpack is denied, even if the relay's network is allowed. */
	rules = rules_of("::/0, 0.0.0.0/0", "10.9.0.0/16", NULL);
	is_refused(rules, "64:ff9b::10.9.0.1", "10.9.0.0/16", "denied", denied);
	is_refused(rules, "2002:a09:1::1", "10.9.0.0/16", "denied", denied);
	is_refused(rules, "2001:0:808:808::f5f6:fffe", "10.9.0.0/16", "denied", denied);
	is_refused(rules, "::10.9.0.1", "10.9.0.0/16", "denied", denied);
	is_refused(rules, "::ffff:0:10.9.0.1", "10.9.0.0/16", "denied", denied);
	is_refused(rules, "2606:4700::5efe:10.9.0.1", "10.9.0.0/16", "denied", denied);
	is_refused(rules, "2606:4700::200:5efe:10.9.0.1", "10.9.0.0/16", "denied", denied);
	is_accepted(rules, "64:ff9b::10.8.0.1");
	is_accepted(rules, "2002:a08:1::1");
	is_accepted(rules, "2001:0:808:808::f5f7:fffe");
	is_accepted(rules, "::10.8.0.1");
	is_accepted(rules, "::ffff:0:10.8.0.1");
	is_accepted(rules, "2606:4700::5efe:10.8.0.1");
	is_accepted(rules, "2606:4700::10.9.0.1");
	webhook_address_rules_free(rules);

	rules = rules_of("::1, 2606:4700::/32", "0.0.0.0/0", NULL);
	is_accepted(rules, "::1");
	is_accepted(rules, "2606:4700::1111");
	webhook_address_rules_free(rules);

	/* An entry may end within either half of an address. */
	rules = rules_of("2001:db8:0:0:8000::/65, 2001:db8:1::/63", "", NULL);
	is_accepted(rules, "2001:db8::8000:0:0:1");
	is_accepted(rules, "2001:db8:1:1::1");
	is_refused(rules, "2001:db8::7fff:0:0:1", "2001:db8::/32", "documentation", allowed);
	is_refused(rules, "2001:db8:1:2::1", "2001:db8::/32", "documentation", allowed);
	webhook_address_rules_free(rules);

	rules = rules_of("::/0", "", NULL);
	is_accepted(rules, "fd00::1");
	is_refused(rules, "::ffff:127.0.0.1", "127.0.0.0/8", "loopback", allowed);
	webhook_address_rules_free(rules);
}

/* Each address of this machine is refused, unless its block is allowed. */
static void
test_own(void)
{
	WebhookAddressRules *strict = rules_of("", "", NULL);
	WebhookAddressRules *open = rules_of("0.0.0.0/0, ::/0", "", NULL);
	struct ifaddrs *list;
	WebhookAddressRefusal refusal;
	int			seen = 0;
	int			refused = 0;
	int			accepted = 0;

	if (getifaddrs(&list) != 0)
		printf("Bail out! getifaddrs failed\n");
	for (struct ifaddrs *i = list; i != NULL; i = i->ifa_next)
	{
		if (i->ifa_addr == NULL || (i->ifa_addr->sa_family != AF_INET &&
									i->ifa_addr->sa_family != AF_INET6))
			continue;
		seen++;
		refused += webhook_address_refuses(strict, i->ifa_addr, &refusal);
		accepted += !webhook_address_refuses(open, i->ifa_addr, &refusal);
	}
	freeifaddrs(list);
	ok(seen > 0, "this machine has addresses");
	is_int(refused, seen, "none of them is sent to");
	is_int(accepted, seen, "but as the allowed networks say");
	webhook_address_rules_free(strict);
	webhook_address_rules_free(open);
}

static void
test_lists(void)
{
	char		many[16 * (WEBHOOK_MAX_NETWORKS + 1)] = "10.0.0.0/8";
	char		problem[WEBHOOK_REFUSAL_BYTES];
	WebhookAddressRules *rules;

	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++)
	{
		for (int denied = 0; denied < 2; denied++)
		{
			strcpy(problem, "accepted");
			rules = webhook_address_rules_new(denied ? NULL : networks[i].list,
											  denied ? networks[i].list : NULL, NULL,
											  problem, sizeof(problem));
			if (!ok(networks[i].problem ? !rules && strstr(problem, networks[i].problem) != NULL :
					rules != NULL, "%s networks %d", denied ? "denied" : "allowed", (int) i))
				printf("#   %s: %s\n", networks[i].list, problem);
			webhook_address_rules_free(rules);
		}
	}
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
	{
		strcpy(problem, "accepted");
		rules = webhook_address_rules_new("", "", ports[i].list,
										  problem, sizeof(problem));
		if (!ok(ports[i].problem ? !rules && strstr(problem, ports[i].problem) != NULL :
				rules != NULL, "ports %d", (int) i))
			printf("#   %s: %s\n", ports[i].list, problem);
		webhook_address_rules_free(rules);
	}

	for (int i = 1; i < WEBHOOK_MAX_NETWORKS; i++)
		strcat(many, ", 10.0.0.0/8");
	rules = webhook_address_rules_new(many, many, NULL, problem, sizeof(problem));
	ok(rules != NULL, "as many networks as a list may have");
	webhook_address_rules_free(rules);
	strcat(many, ", ::1");
	rules = webhook_address_rules_new(many, NULL, NULL, problem, sizeof(problem));
	ok(rules == NULL && strstr(problem, "512"), "one more is too many");
	webhook_address_rules_free(rules);
	webhook_address_rules_free(NULL);
}

static void
test_ports(void)
{
	WebhookAddressRules *rules = rules_of("", "", NULL);
	static const int refused[] = {-1, 0, 1, 22, 25, 79, 81, 442, 444, 465, 587, 1023, 65536};
	static const int accepted[] = {80, 443, 1024, 8443, 65535};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		ok(webhook_address_refuses_port(rules, refused[i]), "port %d is refused", refused[i]);
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++)
		ok(!webhook_address_refuses_port(rules, accepted[i]), "port %d is accepted", accepted[i]);
	webhook_address_rules_free(rules);
}

static void
test_texts(void)
{
	WebhookAddressRules *rules = rules_of("", "8.8.8.0/24", NULL);
	static const char *const names[] = {
		"h.example", "", "1.2.3", "01.2.3.4", "1.2.3.4.5", "[1.2.3.4]", "[]", "[", "]",
		"fe80::1%eth0", "[::1", "::1]", "0x7f.0.0.1",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd",
	};
	struct sockaddr_storage address;
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	WebhookAddressRefusal refusal;
	char		text[WEBHOOK_REFUSAL_BYTES];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ok(!webhook_address_parse(names[i], &address), "\"%s\" is no address", names[i]);
	ok(webhook_address_parse("[::1]", &address) && address.ss_family == AF_INET6,
	   "an IPv6 address in brackets");
	ok(webhook_address_parse("::1", &address) && address.ss_family == AF_INET6,
	   "an IPv6 address without");
	ok(webhook_address_parse("1.2.3.4", &address) && address.ss_family == AF_INET,
	   "an IPv4 address");

	refuses(rules, "10.0.0.1", &refusal);
	webhook_address_explain(&refusal, text, sizeof(text));
	is_text(text, "The address 10.0.0.1 is in 10.0.0.0/8 (private use), "
			"which webhook.allowed_networks does not allow.", "a refusal in words");
	refuses(rules, "::ffff:8.8.8.8", &refusal);
	webhook_address_explain(&refusal, text, sizeof(text));
	is_text(text, "The address ::ffff:8.8.8.8 is in 8.8.8.0/24, "
			"which webhook.denied_networks denies.", "another one");
	ok(webhook_address_refuses(rules, (struct sockaddr *) &local, &refusal),
	   "a socket of this machine is refused");
	webhook_address_explain(&refusal, text, 20);
	is_int(strlen(text), 19, "words that do not fit are cut");
	webhook_address_rules_free(rules);
}

int
main(void)
{
	test_blocks();
	test_precedence();
	test_own();
	test_lists();
	test_ports();
	test_texts();
	return unit_done();
}
