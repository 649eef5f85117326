/*
 * header_test.c
 *	  Which headers of a subscription are accepted.
 */
#include <locale.h>

#include "net/header.h"

#include "unit.h"

typedef struct HeaderCase
{
	const char *name;
	const char *value;
	const char *problem;		/* part of it; NULL: accepted */
} HeaderCase;

static const HeaderCase headers[] = {
	{"X-Api-Key", "abc", NULL},
	{"X-Empty", "", NULL},
	{"X-Tab", "a\tb", NULL},
	{"Authorization", "Bearer x", NULL},
	{"X-Forwarded-For", "192.0.2.1", NULL},
	{"Accept", "*/*", NULL},
	{"Cookie", "a=b", NULL},
	{"!#$%&'*+-.^_`|~09azAZ", "x", NULL},
	{"Webhook", "x", NULL},
	{"Hosted", "x", NULL},
	{"X-Host", "x", NULL},

	{"X-A", "a\r\nX-Evil: 1", "line break"},
	{"X-A", "a\nX-Evil: 1", "line break"},
	{"X-A", "a\rb", "line break"},
	{"X-A", "a\x01", "control"},
	{"X-A", "a\x7f", "control"},
	{"X-A", "\xc3\xbc", "not ASCII"},
	{"X-A", " a", "blank"},
	{"X-A", "a ", "blank"},
	{"X-A", "\ta", "blank"},
	{"X-A", " ", "blank"},
	{"", "a", "name is empty"},
	{"X-A\r\nX-Evil", "a", "name"},
	{"X A", "a", "name"},
	{" X-A", "a", "name"},
	{"X-A ", "a", "name"},
	{"X:A", "a", "name"},
	{"X(A", "a", "name"},
	{"X-\xc3\xbc", "a", "name"},

	{"Host", "evil", "sender"},
	{"hOST", "evil", "sender"},
	{"Content-Length", "3", "sender"},
	{"Transfer-Encoding", "chunked", "sender"},
	{"TRANSFER-ENCODING", "chunked", "sender"},
	{"Connection", "close, X-A", "sender"},
	{"Keep-Alive", "x", "sender"},
	{"TE", "trailers", "sender"},
	{"TRAILER", "x", "sender"},
	{"Upgrade", "h2c", "sender"},
	{"Expect", "100-continue", "sender"},
	{"Proxy-Authorization", "x", "sender"},
	{"PROXY-CONNECTION", "x", "sender"},
	{"Content-Type", "text/plain", "sender"},
	{"Content-Encoding", "gzip", "sender"},
	{"User-Agent", "x", "sender"},
	{"Accept-Encoding", "gzip", "sender"},
	{"Cookie2", "x", "sender"},
	{"HTTP2-SETTINGS", "x", "sender"},
	{"webhook-id", "x", "sender"},
	{"WEBHOOK-SIGNATURE", "x", "sender"},
	{"Webhook-Anything", "x", "sender"},
	{"Abp-Webhook-Signature", "x", "sender"},
};

static void
test_headers(void)
{
	char		longest[WEBHOOK_MAX_HEADER_VALUE + 1];
	WebhookCheck check;
	size_t		i;

	for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
	{
		const HeaderCase *c = &headers[i];

		check = webhook_header_check(c->name, strlen(c->name),
									 c->value, strlen(c->value));
		if (c->problem)
		{
			if (!ok(check.problem && strstr(check.problem, c->problem) &&
					check.hint && !check.too_long,
					"refused header %d: %s", (int) i, unit_show(c->name)))
				printf("#   %s\n", check.problem ? check.problem : "accepted");
		}
		else if (!ok(check.problem == NULL, "accepted header: %s",
					 unit_show(c->name)))
			printf("#   %s\n", check.problem);
	}

	memset(longest, 'a', sizeof(longest));
	check = webhook_header_check(longest, WEBHOOK_MAX_HEADER_NAME,
								 longest, WEBHOOK_MAX_HEADER_VALUE);
	ok(check.problem == NULL, "the longest name and value are accepted");
	check = webhook_header_check(longest, WEBHOOK_MAX_HEADER_NAME + 1,
								 longest, 1);
	ok(check.problem && check.too_long, "a longer name is not");
	check = webhook_header_check(longest, 1,
								 longest, WEBHOOK_MAX_HEADER_VALUE + 1);
	ok(check.problem && check.too_long, "nor is a longer value");
	check = webhook_header_check("X-A", 3, "a\0b", 3);
	ok(check.problem && strstr(check.problem, "control"),
	   "a NUL does not end a value");
	check = webhook_header_check("X\0A", 3, "a", 1);
	ok(check.problem && strstr(check.problem, "name"),
	   "a NUL does not end a name");
}

int
main(void)
{
	/* The server sets the database's locale; what is accepted must not depend on it. */
	setlocale(LC_ALL, "");

	test_headers();
	return unit_done();
}
