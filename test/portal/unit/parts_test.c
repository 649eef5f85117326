/*
 * parts_test.c
 *	  The small parts of the portal: text, secrets, addresses, durations, and the crowd
 *	  of connections.
 */
#include "portal/address.h"
#include "portal/buffer.h"
#include "portal/crowd.h"
#include "portal/secret.h"
#include "portal/text.h"
#include "portal/times.h"

#include <stdlib.h>

#include "unit.h"

static void
test_buffer(void)
{
	PortalBuffer buffer = {0};

	for (int i = 0; i < 1000; i++)
		portal_buffer_text(&buffer, "abc");
	is_int(buffer.length, 3000, "a buffer grows");
	portal_buffer_drop(&buffer, 2998);
	is_text(buffer.data, "bc", "it is taken from the front");
	portal_buffer_drop(&buffer, 5);
	is_int(buffer.length, 0, "until it is empty");
}

static void
test_text(void)
{
	PortalBuffer buffer = {0};
	PortalError error = {.sqlstate = "22023",.message = "a \"b\"\\\n<c>\x1f\xC3\xBC"};

	portal_json_error(&buffer, &error);
	is_text(buffer.data, "{\"sqlstate\":\"22023\",\"message\":\"a \\u0022b\\u0022\\u005c\\u000a<c>"
			"\\u001f\xC3\xBC\",\"detail\":null,\"hint\":null,\"column\":null}\n", "an error is a line of JSON");
	portal_buffer_free(&buffer);
	portal_csv_field(&buffer, "=1+\"2\"");
	portal_csv_field(&buffer, NULL);
	portal_csv_field(&buffer, "-5");
	portal_csv_field(&buffer, "");
	portal_csv_field(&buffer, "a=b");
	is_text(buffer.data, "\"'=1+\"\"2\"\"\"\"'-5\"\"\"\"a=b\"", "a formula in a cell is text");
	portal_buffer_free(&buffer);
	portal_csv_field(&buffer, "x;=1;a=b;;-2");
	portal_csv_field(&buffer, "x\t@SUM(1)\n+3\r=4");
	portal_csv_field(&buffer, "x;\"=1\";y");
	portal_csv_field(&buffer, "\t=1");
	portal_csv_field(&buffer, "\xEF\xBC\x9D" "1;\xEF\xBC\x8B" "1");
	is_text(buffer.data, "\"x;'=1;a=b;;'-2\"" "\"x\t'@SUM(1)\n'+3\r'=4\""
			"\"x;\"\"'=1\"\";y\"" "\"'\t'=1\"" "\"'\xEF\xBC\x9D" "1;'\xEF\xBC\x8B" "1\"",
			"neither is one behind what other spreadsheets separate cells by");
	portal_buffer_free(&buffer);
	ok(portal_is_utf8("\xF4\x8F\xBF\xBF", 4), "U+10FFFF");
	ok(!portal_is_utf8("\xF4\x90\x80\x80", 4), "but nothing beyond it");
	ok(!portal_is_utf8("\xE2\x82", 2), "and nothing cut off");
}

static void
test_secrets(void)
{
	char		one[PORTAL_TOKEN_LENGTH + 1];
	char		other[PORTAL_TOKEN_LENGTH + 1];
	PortalCredentials credentials;
	char		long_pair[3000] = "Basic ";

	ok(portal_token_make(one) && portal_token_make(other), "tokens are made");
	ok(portal_token_is_one(one, strlen(one)), "and look like some");
	ok(!portal_token_equal(one, other) && portal_token_equal(one, one), "each is another");
	strcpy(other, one);
	other[PORTAL_TOKEN_LENGTH - 1] ^= 1;
	ok(!portal_token_equal(one, other), "the last digit counts");

	ok(portal_credentials_read("basic  cmVhZGVyOnJpOmdodA==", &credentials), "Basic is read");
	is_text(credentials.user, "reader", "the user ends at the first colon");
	is_text(credentials.password, "ri:ght", "the password does not");
	ok(!portal_credentials_read("Basic cmVhZGVyOnJpOmdodB==", &credentials), "bits left over are refused");
	ok(!portal_credentials_read("Basic cmVhZGVyOnJpOmdodA=", &credentials), "so is padding that is missing");
	ok(!portal_credentials_read("Basic =", &credentials), "and padding alone");
	memset(long_pair + 6, 'Y', 2800);
	ok(!portal_credentials_read(long_pair, &credentials), "and what is too long");
}

static void
test_addresses(void)
{
	static const char *const good[] = {"127.0.0.1:8088", "0.0.0.0:0", "[::1]:65535"};
	static const char *const bad[] = {
		"", "8088", ":8088", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "localhost:8088",
		"::1:8088", "[::1]", "[127.0.0.1]:1", "127.0.0.1:80x", "[::1:80", "[]:80"
	};
	static const struct
	{
		const char *header;
		const char *key;
	}			forwarded[] = {
		{"192.0.2.1", "192.0.2.1"},
		{"evil, 192.0.2.1", "192.0.2.1"},
		{"10.0.0.1,\t2001:db8:1:2:3:4:5:6 ", "2001:db8:1:2::"},
		{"::ffff:192.0.2.9", "192.0.2.9"},
		{"192.0.2.1:80", NULL},
		{"", NULL},
		{"192.0.2.1, unknown", NULL}
	};
	PortalListen listen;
	char		key[PORTAL_ADDRESS_LENGTH];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok(portal_listen_read(good[i], &listen), "an address: %s", good[i]);
	ok(portal_address_is_loopback((struct sockaddr *) &listen.address), "::1 is loopback");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!portal_listen_read(bad[i], &listen), "no address: %s", bad[i]);
	portal_listen_read("192.0.2.1:80", &listen);
	ok(!portal_address_is_loopback((struct sockaddr *) &listen.address), "192.0.2.1 is not");
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
	{
		bool		found = portal_address_forwarded(forwarded[i].header, key);

		is_text(found ? key : NULL, forwarded[i].key, "X-Forwarded-For: %s", forwarded[i].header);
	}
}

static void
test_durations(void)
{
	int64_t		milliseconds;

	ok(portal_duration_read("90s", &milliseconds) && milliseconds == 90000, "90s");
	ok(portal_duration_read("30min", &milliseconds) && milliseconds == 1800000, "30min");
	ok(!portal_duration_read("30", &milliseconds), "a unit is needed");
	ok(!portal_duration_read("0s", &milliseconds), "nothing is no duration");
	ok(!portal_duration_read("99999999d", &milliseconds), "nor is too much");
}

static void
test_crowd(void)
{
	PortalCrowd crowd = {0};
	PortalGuest *served = portal_crowd_add(&crowd, 1, "", 0);
	PortalGuest *first;
	PortalGuest *guest;
	int64_t		before = 0;
	bool		in_order = true;
	int			ngone = 0;

	served->deadline = PORTAL_NEVER;
	first = portal_crowd_add(&crowd, 2, "192.0.2.1", 0);
	for (int i = 1; i < PORTAL_MAX_OF_ADDRESS; i++)
		portal_crowd_add(&crowd, 2 + i, "192.0.2.1", i);
	ok(portal_crowd_next_to_go(&crowd, 100) == NULL, "an address has its share");
	portal_crowd_add(&crowd, 100, "192.0.2.1", 99);
	ok(portal_crowd_next_to_go(&crowd, 100) == first, "its oldest one has to go for one more");
	ok(portal_crowd_next_to_go(&crowd, 100) == NULL, "and no other one");
	for (int i = 0; i < PORTAL_MAX_WAITING_FOR; i++)
		portal_crowd_add(&crowd, 1000 + i, "", 200 + i);
	while ((guest = portal_crowd_next_to_go(&crowd, 1000)) != NULL)
	{
		in_order = in_order && guest->deadline >= before;
		before = guest->deadline;
		ngone++;
	}
	ok(in_order, "the oldest go first");
	is_int(ngone, PORTAL_MAX_OF_ADDRESS, "until there is room");
	ok(portal_crowd_next_to_go(&crowd, 200 + PORTAL_FIRST_REQUEST) != NULL, "whose time is over goes");
	ok(!served->is_leaving, "whom a session serves stays");
	while (crowd.first != NULL)
		portal_crowd_remove(&crowd, crowd.first);
	is_int(crowd.nguests, 0, "all have gone");
}

int
main(void)
{
	test_buffer();
	test_text();
	test_secrets();
	test_addresses();
	test_durations();
	test_crowd();
	return unit_done();
}
