/*
 * url.c
 *	  Fuzz target: an accepted URL has one reading, ours and libcurl's.
 *
 * Input: the URL.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "net/url.h"

#include "fuzz.h"

/* A canonical URL, taken apart. */
typedef struct Parts
{
	char		scheme[8];
	char		host[WEBHOOK_MAX_ENDPOINT + 2];
	char		port[8];
	char		path[WEBHOOK_MAX_ENDPOINT + 2];
	char		query[WEBHOOK_MAX_ENDPOINT + 2];
} Parts;

static void
put(char *to, size_t room, const char *from, const char *end)
{
	FUZZ_CHECK((size_t) (end - from) < room);
	memcpy(to, from, end - from);
	to[end - from] = '\0';
}

/* Enough for a canonical URL, which has all its parts. */
static void
take_apart(const char *url, Parts *parts)
{
	const char *host = strstr(url, "://") + 3;
	const char *port = *host == '[' ? strchr(host, ']') + 1 : host + strcspn(host, ":/");
	const char *path = strchr(host, '/');
	const char *query;
	const char *end = url + strlen(url);

	FUZZ_CHECK(path != NULL);
	query = strchr(path, '?');
	put(parts->scheme, sizeof(parts->scheme), url, host - 3);
	put(parts->host, sizeof(parts->host), host, port);
	if (*port == ':')
		put(parts->port, sizeof(parts->port), port + 1, path);
	else
		strcpy(parts->port, url[4] == 's' ? "443" : "80");
	put(parts->path, sizeof(parts->path), path, query ? query : end);
	put(parts->query, sizeof(parts->query), query ? query + 1 : end, end);
}

/* libcurl writes an IPv6 address in its own way. */
static bool
same_host(const char *ours, const char *theirs)
{
	unsigned char our_address[16];
	unsigned char their_address[16];
	char		text[64];

	if (strcmp(ours, theirs) == 0)
		return true;
	if (ours[0] != '[' || theirs[0] != '[' || strlen(theirs) >= sizeof(text))
		return false;
	put(text, sizeof(text), ours + 1, strchr(ours, ']'));
	if (inet_pton(AF_INET6, text, our_address) != 1)
		return false;
	put(text, sizeof(text), theirs + 1, strchr(theirs, ']'));
	return inet_pton(AF_INET6, text, their_address) == 1 &&
		memcmp(our_address, their_address, 16) == 0;
}

static void
compare(const char *url, const Parts *parts)
{
	CURLU	   *parsed = curl_url();
	char	   *text = NULL;

	FUZZ_CHECK(parsed != NULL);
	FUZZ_CHECK(curl_url_set(parsed, CURLUPART_URL, url,
							CURLU_PATH_AS_IS) == CURLUE_OK);

	FUZZ_CHECK(curl_url_get(parsed, CURLUPART_SCHEME, &text, 0) == CURLUE_OK);
	FUZZ_CHECK(strcmp(text, parts->scheme) == 0);
	curl_free(text);

	FUZZ_CHECK(curl_url_get(parsed, CURLUPART_HOST, &text, 0) == CURLUE_OK);
	for (char *c = text; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c;
	FUZZ_CHECK(same_host(parts->host, text));
	curl_free(text);

	FUZZ_CHECK(curl_url_get(parsed, CURLUPART_PORT, &text,
							CURLU_DEFAULT_PORT) == CURLUE_OK);
	FUZZ_CHECK(strcmp(text, parts->port) == 0);
	curl_free(text);

	FUZZ_CHECK(curl_url_get(parsed, CURLUPART_PATH, &text, 0) == CURLUE_OK);
	FUZZ_CHECK(strcmp(text, parts->path) == 0);
	curl_free(text);

	text = NULL;

	if (curl_url_get(parsed, CURLUPART_QUERY, &text, 0) == CURLUE_OK)
		FUZZ_CHECK(strcmp(text, parts->query) == 0);
	else
		FUZZ_CHECK(parts->query[0] == '\0');
	curl_free(text);

	text = NULL;

	FUZZ_CHECK(curl_url_get(parsed, CURLUPART_USER, &text, 0) != CURLUE_OK);
	FUZZ_CHECK(curl_url_get(parsed, CURLUPART_PASSWORD, &text, 0) != CURLUE_OK);
	FUZZ_CHECK(curl_url_get(parsed, CURLUPART_FRAGMENT, &text, 0) != CURLUE_OK);
	FUZZ_CHECK(curl_url_get(parsed, CURLUPART_ZONEID, &text, 0) != CURLUE_OK);
	curl_url_cleanup(parsed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char		canonical[WEBHOOK_MAX_ENDPOINT + 2];
	char		again[WEBHOOK_MAX_ENDPOINT + 2];
	WebhookCheck check;
	Parts		parts;
	char	   *url;

	check = webhook_url_check((const char *) data, size, canonical);
	if (check.problem != NULL)
	{
		FUZZ_CHECK(check.problem[0] != '\0');
		FUZZ_CHECK(check.hint != NULL && check.hint[0] != '\0');
		FUZZ_CHECK(check.too_long == (size > WEBHOOK_MAX_ENDPOINT));
		return 0;
	}

	FUZZ_CHECK(strlen(canonical) <= size + 1);
	for (const char *c = canonical; *c; c++)
		FUZZ_CHECK(*c > ' ' && *c <= '~');
	take_apart(canonical, &parts);

	/* libcurl reads the same from what was given and from what is sent. */
	url = malloc(size + 1);
	FUZZ_CHECK(url != NULL);
	memcpy(url, data, size);
	url[size] = '\0';
	FUZZ_CHECK(strlen(url) == size);
	compare(url, &parts);
	compare(canonical, &parts);
	free(url);

	/* A canonical URL stays as it is, unless its "/" makes it too long. */
	check = webhook_url_check(canonical, strlen(canonical), again);
	FUZZ_CHECK(check.problem == NULL ?
			   strcmp(canonical, again) == 0 :
			   strlen(canonical) > WEBHOOK_MAX_ENDPOINT);
	return 0;
}
