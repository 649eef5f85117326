/*
 * target_test.c
 *	  Whom a URL calls, and which ones are refused for their text.
 */
#include "net/target.h"

#include "unit.h"

static void
test_targets(void)
{
	static const struct
	{
		const char *url;
		const char *host;
		int			port;
		bool		secure;
		bool		is_literal;
		bool		is_local;
	}			targets[] =
	{
		{"https://h.example/", "h.example", 443, true, false},
		{"http://h.example/a:1", "h.example", 80, false, false},
		{"https://h.example:8443/", "h.example", 8443, true, false},
		{"http://127.0.0.1:8080/?x=1", "127.0.0.1", 8080, false, true},
		{"https://[::1]/", "[::1]", 443, true, true},
		{"https://[2001:db8::1]:8443/", "[2001:db8::1]", 8443, true, true},
		{"https://127.0.0.1.nip.example/", "127.0.0.1.nip.example", 443, true, false},
		{"https://localhost/", "localhost", 443, true, false, true},
		{"http://db:5433/", "db", 5433, false, false, true},
		{"https://a.localhost/", "a.localhost", 443, true, false, true},
		{"https://localhost.example/", "localhost.example", 443, true, false},
	};
	WebhookTarget target;

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
	{
		char		host[64] = "";

		ok(webhook_target_read(targets[i].url, &target), "whom %s calls", targets[i].url);
		memcpy(host, target.host, target.host_length);
		is_text(host, targets[i].host, "its host");
		is_int(target.port, targets[i].port, "its port");
		is_int(target.secure, targets[i].secure, "its scheme");
		is_int(target.is_literal, targets[i].is_literal, "an address or a name");
		is_int(target.is_local, targets[i].is_local, "a name that means something here only");
	}
	ok(!webhook_target_read("file:///etc/passwd", &target), "nobody");
}

/* The sentence that the log gets, and who saves an endpoint. */
static void
test_refusals(void)
{
	static const struct
	{
		const char *url;
		const char *problem;	/* NULL: the URL may be called */
		const char *setting;
	}			cases[] =
	{
		{"https://h.example/", NULL, NULL},
		{"https://h.example:8080/", NULL, NULL},
		{"https://10.0.0.1/", NULL, NULL},
		{"https://db/", NULL, NULL},
		{"https://8.8.8.8/", "The address 8.8.8.8 is in 8.8.8.0/24, which webhook.denied_networks denies.", "webhook.denied_networks"},
		{"https://[::1]/", "The address ::1 is in ::1/128 (loopback), which webhook.allowed_networks does not allow.", "webhook.allowed_networks"},
		{"https://h.example:22/", "Port 22 is not one of webhook.allowed_ports.", "webhook.allowed_ports"},
		{"https://[::1]:22/", "Port 22 is not one of webhook.allowed_ports.", "webhook.allowed_ports"},
		{"http://h.example:22/", "The endpoint is not https, which webhook.require_https asks for.", "webhook.require_https"},
		{"ftp://h.example/", "The endpoint is neither http nor https.", NULL},
		{"", "The endpoint is neither http nor https.", NULL},
		{"https:///", "The endpoint has no host that could be looked up.", NULL},
	};
	char		problem[WEBHOOK_REFUSAL_BYTES];
	char		longest[300] = "https://";
	WebhookAddressRules *rules = webhook_address_rules_new("10.0.0.0/8", "8.8.8.0/24", NULL,
														   problem, sizeof(problem));
	WebhookTarget target;
	WebhookTargetRefusal refusal;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bool		refused = webhook_target_refused(rules, true, cases[i].url, &target, &refusal);

		is_text(refused ? refusal.problem : NULL, cases[i].problem, "\"%s\"", cases[i].url);
		is_text(refused ? refusal.setting : NULL, cases[i].setting, "what decides");
	}
	ok(!webhook_target_refused(rules, false, "http://h.example/", &target, &refusal),
	   "http, where https is not required");

	webhook_address_rules_free(rules);
	rules = webhook_address_rules_new(NULL, NULL, NULL, problem, sizeof(problem));
	ok(webhook_target_refused(rules, true, "https://db/", &target, &refusal) &&
	   strcmp(refusal.setting, "webhook.allowed_networks") == 0,
	   "a name without a dot, where no network is allowed");
	ok(webhook_target_refused(rules, true, "https://a.localhost/", &target, &refusal),
	   "and one below localhost");

	memset(longest + 8, 'a', 253);
	longest[8 + 9] = '.';
	ok(!webhook_target_refused(rules, true, longest, &target, &refusal), "the longest name");
	longest[8 + 253] = 'a';
	ok(webhook_target_refused(rules, true, longest, &target, &refusal), "a longer one");
	webhook_address_rules_free(rules);
}

int
main(void)
{
	test_targets();
	test_refusals();
	return unit_done();
}
