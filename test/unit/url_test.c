/*
 * url_test.c
 *	  Which URLs are accepted, and as what.
 */
#include <locale.h>

#include "net/url.h"

#include "unit.h"

typedef struct UrlCase
{
	const char *url;
	const char *canonical;		/* NULL: refused */
	const char *problem;		/* part of it */
} UrlCase;

#define LABEL63 \
	"abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc"

static const UrlCase urls[] = {
	/* Accepted, and in which form. */
	{"https://hooks.example.com/a", "https://hooks.example.com/a"},
	{"HTTPS://Hooks.Example.COM:443/A?x=1", "https://hooks.example.com/A?x=1"},
	{"http://Hooks.Example.com:80", "http://hooks.example.com/"},
	{"http://hooks.example.com:443/", "http://hooks.example.com:443/"},
	{"https://example.com", "https://example.com/"},
	{"https://example.com?x=1", "https://example.com/?x=1"},
	{"https://h.example:65535/", "https://h.example:65535/"},
	{"https://h.example:1", "https://h.example:1/"},
	{"https://a_b.example/", "https://a_b.example/"},
	{"https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"},
	{"https://1a.example.c0m/", "https://1a.example.c0m/"},
	{"https://example.12ab/", "https://example.12ab/"},
	{"https://" LABEL63 ".example/", "https://" LABEL63 ".example/"},
	{"https://h.example/%2e%2e/x", "https://h.example/%2e%2e/x"},
	{"https://h.example/a..b/...", "https://h.example/a..b/..."},
	{"https://h.example/?next=http://127.0.0.1/../",
	"https://h.example/?next=http://127.0.0.1/../"},
	{"https://h.example/-._~!$&'()*+,;=:@//x?/?",
	"https://h.example/-._~!$&'()*+,;=:@//x?/?"},
	{"http://127.0.0.1:8080/", "http://127.0.0.1:8080/"},
	{"https://8.8.8.8", "https://8.8.8.8/"},
	{"https://255.255.255.255/", "https://255.255.255.255/"},
	{"https://0.0.0.0/", "https://0.0.0.0/"},
	{"https://[2606:4700::1111]:8443/x", "https://[2606:4700::1111]:8443/x"},
	{"https://[2001:DB8::A]:443/x", "https://[2001:db8::a]/x"},
	{"https://[::]/", "https://[::]/"},
	{"https://[::1]/", "https://[::1]/"},
	{"https://[1:2:3:4:5:6:7::]/", "https://[1:2:3:4:5:6:7::]/"},
	{"https://[1:2:3:4:5:6:7:8]/", "https://[1:2:3:4:5:6:7:8]/"},
	{"https://[::ffff:127.0.0.1]/", "https://[::ffff:127.0.0.1]/"},
	{"https://[1:2:3:4:5:6:1.2.3.4]", "https://[1:2:3:4:5:6:1.2.3.4]/"},
	{"https://127.0.0.1.nip.example/", "https://127.0.0.1.nip.example/"},

	/* Scheme and slashes. */
	{"", NULL, "empty"},
	{"h.example/a", NULL, "https://"},
	{"//h.example/a", NULL, "https://"},
	{"https:/h.example/a", NULL, "https://"},
	{"https:h.example", NULL, "https://"},
	{"https:///h.example/a", NULL, "no host"},
	{"https:////h", NULL, "no host"},
	{"https://", NULL, "no host"},
	{"https://?x", NULL, "no host"},
	{"https://:443/", NULL, "no host"},
	{"https:\\\\h.example\\a", NULL, "https://"},
	{"ftp://h.example/", NULL, "https://"},
	{"gopher://h.example/", NULL, "https://"},
	{"file:///etc/passwd", NULL, "https://"},
	{"javascript:alert(1)", NULL, "https://"},
	{"data:text/plain,x", NULL, "https://"},
	{"unix:/tmp/x", NULL, "https://"},
	{"httpss://h.example/", NULL, "https://"},

	/* Parts of an authority that mislead. */
	{"https://h.example/a#frag", NULL, "fragment"},
	{"https://h.example#", NULL, "fragment"},
	{"https://127.0.0.1#@trusted.example/", NULL, "fragment"},
	{"https://user:pw@h.example/", NULL, "user name"},
	{"https://user@h.example/", NULL, "user name"},
	{"https://@h.example/", NULL, "user name"},
	{"https://trusted.example@127.0.0.1/", NULL, "user name"},
	{"https://trusted.example\\@127.0.0.1/", NULL, "user name"},
	{"https://h.example%2f@evil.example/", NULL, "user name"},
	{"https://trusted.example\\.evil.example/", NULL, "backslash"},

	/* Bytes that may be nowhere in a URL. */
	{" https://h.example/", NULL, "blank"},
	{"https://h.example/ ", NULL, "blank"},
	{"https://h.example/a b", NULL, "blank"},
	{"ht\ttps://h.example/", NULL, "control"},
	{"https://h.ex\tample/", NULL, "control"},
	{"https://h.example/\r\nX-Evil: 1", NULL, "control"},
	{"https://h.example/\n", NULL, "control"},
	{"https://h.example/\x7f", NULL, "control"},
	{"https://h.example/%0d%0aX-Evil:%201", NULL, "line break"},
	{"https://h.example/%0A", NULL, "line break"},
	{"https://h.example/%00", NULL, "NUL"},
	{"https://h.example/?a=%0D", NULL, "line break"},

	/* Percent signs in a host. */
	{"https://h.exa%0d%0ample.com/", NULL, "percent"},
	{"https://h.example%00.evil.example/", NULL, "percent"},
	{"https://127%2e0%2e0%2e1/", NULL, "percent"},
	{"https://%31%32%37.0.0.1/", NULL, "percent"},
	{"https://[fe80::1%25eth0]/", NULL, "percent"},
	{"https://[fe80::1%eth0]/", NULL, "percent"},

	/* Ports. */
	{"https://h.example:0/", NULL, "port"},
	{"https://h.example:/", NULL, "port"},
	{"https://h.example:00443/", NULL, "port"},
	{"https://h.example:65536/", NULL, "port"},
	{"https://h.example:99999999999/", NULL, "port"},
	{"https://h.example:-1/", NULL, "port"},
	{"https://h.example:+443/", NULL, "port"},
	{"https://h.example:443abc/", NULL, "port"},
	{"https://h.example:0x1bb/", NULL, "port"},
	{"https://h.example:80:90/", NULL, "port"},

	/* Names. */
	{"https://h.example./", NULL, "empty part"},
	{"https://h.example../", NULL, "empty part"},
	{"https://.example.com/", NULL, "empty part"},
	{"https://a..b.example/", NULL, "empty part"},
	{"https://-a.example/", NULL, "hyphen"},
	{"https://" LABEL63 "d.example/", NULL, "63"},
	{"https://" LABEL63 "." LABEL63 "." LABEL63 "." LABEL63 "/", NULL, "253"},
	{"https://localhost./", NULL, "empty part"},
	{"https://b\xc3\xbc" "cher.example/", NULL, "not ASCII"},
	{"https://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1/", NULL, "not ASCII"},
	{"https://127\xe3\x80\x82" "0\xe3\x80\x82" "0\xe3\x80\x82" "1/", NULL,
	"not ASCII"},
	{"https://\xe2\x93\x9bocalhost/", NULL, "not ASCII"},
	{"https://exa\xc2\xadmple.com/", NULL, "not ASCII"},
	{"https://exa\xffmple.com/", NULL, "not ASCII"},
	{"https://exam<ple.com/", NULL, "cannot have"},
	{"https://exam\"ple.com/", NULL, "cannot have"},
	{"https://exam{ple.com/", NULL, "cannot have"},
	{"https://exam;ple.com/", NULL, "cannot have"},
	{"https://exam,ple.com/", NULL, "cannot have"},
	{"https://exam$ple.com/", NULL, "cannot have"},
	{"https://exam&ple.com/", NULL, "cannot have"},
	{"https://exam'ple.com/", NULL, "cannot have"},
	{"https://exam(ple.com/", NULL, "cannot have"},
	{"https://exam!ple.com/", NULL, "cannot have"},
	{"https://exam*ple.com/", NULL, "cannot have"},
	{"https://exam|ple.com/", NULL, "cannot have"},

	/* Hosts that others would read as an address. */
	{"https://127.1/", NULL, "address"},
	{"https://127.0.1/", NULL, "address"},
	{"https://0177.0.0.1/", NULL, "address"},
	{"https://017700000001/", NULL, "address"},
	{"https://0x7f.0.0.1/", NULL, "address"},
	{"https://0x7f000001/", NULL, "address"},
	{"https://1.2.3.0X7F/", NULL, "address"},
	{"https://1.2.3.0x/", NULL, "address"},
	{"https://2130706433/", NULL, "address"},
	{"https://0/", NULL, "address"},
	{"https://4294967296/", NULL, "address"},
	{"https://1.2.3.4.5/", NULL, "address"},
	{"https://256.256.256.256/", NULL, "address"},
	{"https://1.2.3.04/", NULL, "address"},
	{"https://h.example.0123/", NULL, "address"},
	{"https://127.0.0.1./", NULL, "empty part"},
	{"https://[::1/", NULL, "IPv6"},
	{"https://::1/", NULL, "no host"},
	{"https://2001:db8::1/", NULL, "address"},
	{"https://[127.0.0.1]/", NULL, "IPv6"},
	{"https://[v1.x]/", NULL, "IPv6"},
	{"https://[]/", NULL, "IPv6"},
	{"https://[:1]/", NULL, "IPv6"},
	{"https://[1:]/", NULL, "IPv6"},
	{"https://[:::]/", NULL, "IPv6"},
	{"https://[1::2::3]/", NULL, "IPv6"},
	{"https://[1:2:3:4:5:6:7]/", NULL, "IPv6"},
	{"https://[1:2:3:4:5:6:7:8:9]/", NULL, "IPv6"},
	{"https://[1:2:3:4:5:6:7:8::]/", NULL, "IPv6"},
	{"https://[12345::]/", NULL, "IPv6"},
	{"https://[::g]/", NULL, "IPv6"},
	{"https://[::1.2.3]/", NULL, "IPv6"},
	{"https://[::01.2.3.4]/", NULL, "IPv6"},
	{"https://[1:2:3:4:5:6:7:1.2.3.4]/", NULL, "IPv6"},
	{"https://[::1].evil.example/", NULL, "port"},

	/* Path and query. */
	{"https://h.example/../../etc", NULL, "segment"},
	{"https://h.example/a/./b", NULL, "segment"},
	{"https://h.example/a/..", NULL, "segment"},
	{"https://h.example/.?x", NULL, "segment"},
	{"https://h.example/{a,b}[1-3]", NULL, "cannot have"},
	{"https://h.example/a|b", NULL, "cannot have"},
	{"https://h.example/a^b", NULL, "cannot have"},
	{"https://h.example/a`b", NULL, "cannot have"},
	{"https://h.example/a\\b", NULL, "cannot have"},
	{"https://h.example/?a=\"b\"", NULL, "cannot have"},
	{"https://h.example/b\xc3\xbc", NULL, "not ASCII"},
	{"https://h.example/%zz", NULL, "escape"},
	{"https://h.example/%2", NULL, "escape"},
	{"https://h.example/%", NULL, "escape"},
};

static void
test_urls(void)
{
	char		canonical[WEBHOOK_MAX_ENDPOINT + 2];
	char		again[WEBHOOK_MAX_ENDPOINT + 2];
	size_t		i;

	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
	{
		const UrlCase *c = &urls[i];
		WebhookCheck check;

		strcpy(canonical, "untouched");
		check = webhook_url_check(c->url, strlen(c->url), canonical);
		if (c->canonical == NULL)
		{
			if (!ok(check.problem && strstr(check.problem, c->problem) &&
					check.hint && !check.too_long,
					"refused: %s", unit_show(c->url)))
				printf("#   %s\n", check.problem ? check.problem : canonical);
			continue;
		}
		if (!ok(check.problem == NULL && strcmp(canonical, c->canonical) == 0,
				"accepted: %s", unit_show(c->url)))
			printf("#   %s\n", check.problem ? check.problem : canonical);
		check = webhook_url_check(canonical, strlen(canonical), again);
		ok(check.problem == NULL && strcmp(canonical, again) == 0,
		   "its canonical form stays: %s", unit_show(canonical));
	}
}

static void
test_url_lengths(void)
{
	static const char start[] = "https://h.example";
	char		url[WEBHOOK_MAX_ENDPOINT + 2];
	char		canonical[WEBHOOK_MAX_ENDPOINT + 2];
	WebhookCheck check;

	memset(url, 'a', sizeof(url));
	memcpy(url, start, strlen(start));
	url[strlen(start)] = '/';
	check = webhook_url_check(url, WEBHOOK_MAX_ENDPOINT, canonical);
	ok(check.problem == NULL, "the longest URL is accepted");
	is_int(strlen(canonical), WEBHOOK_MAX_ENDPOINT, "as it is");
	url[strlen(start)] = '?';
	check = webhook_url_check(url, WEBHOOK_MAX_ENDPOINT, canonical);
	ok(check.problem && check.too_long,
	   "without a path, its slash makes it too long");
	check = webhook_url_check(url, WEBHOOK_MAX_ENDPOINT - 1, canonical);
	ok(check.problem == NULL, "a byte less is accepted");
	is_int(strlen(canonical), WEBHOOK_MAX_ENDPOINT, "with a path added");
	check = webhook_url_check(url, WEBHOOK_MAX_ENDPOINT + 1, canonical);
	ok(check.problem && check.too_long, "one byte more is too long");

	check = webhook_url_check("https://h.example/\0x", 20, canonical);
	ok(check.problem && strstr(check.problem, "control"),
	   "a NUL does not end a URL");
	(void) webhook_url_check("https://h.example/xyz", 18, canonical);
	is_text(canonical, "https://h.example/", "bytes past the length are not read");
}

int
main(void)
{
	/* The server sets the database's locale; what is accepted must not depend on it. */
	setlocale(LC_ALL, "");

	test_urls();
	test_url_lengths();
	return unit_done();
}
