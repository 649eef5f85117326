/*
 * request.c
 *	  Fuzz target: whatever a request says, what is not refused is unambiguous, and what
 *	  of it reaches the database is text of PostgreSQL.
 *
 * Input: lines, each ended by a newline: the method, the address, and a header a line
 * with ": " between name and value; then, behind an empty line, the body.
 */
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "portal/address.h"
#include "portal/buffer.h"
#include "portal/request.h"
#include "portal/text.h"

#include "fuzz.h"

static const char *const hosts[] = {"127.0.0.1:8088", "localhost:8088", NULL};
static const char *const origins[] = {"http://127.0.0.1:8088", "http://localhost:8088", NULL};
static const PortalRules rules = {hosts, origins, "webhook"};

static int
count(const PortalHead *head, const char *name)
{
	int			n = 0;

	for (size_t i = 0; i < head->nheaders; i++)
		n += head->headers[i].name_length == strlen(name) &&
			strncasecmp(head->headers[i].name, name, strlen(name)) == 0;
	return n;
}

static bool
is_value(const PortalHead *head, const char *name, const char *value)
{
	const PortalHeader *header = portal_header_find(head, name);

	return header != NULL && header->value_length == strlen(value) &&
		strncasecmp(header->value, value, strlen(value)) == 0;
}

/* What holds of a request that is answered. */
static void
check_accepted(const PortalHead *head, const PortalRequest *request)
{
	FUZZ_CHECK(count(head, "Host") == 1);
	FUZZ_CHECK(count(head, "Transfer-Encoding") == 0);
	FUZZ_CHECK(count(head, "Content-Length") <= 1);
	FUZZ_CHECK(request->body_length <= PORTAL_MAX_BODY);
	FUZZ_CHECK(request->nparameters <= PORTAL_MAX_PARAMETERS);
	FUZZ_CHECK(portal_is_utf8(request->path, strlen(request->path)));
	for (size_t i = 0; i < request->nparameters; i++)
	{
		const PortalParameter *mine = &request->parameters[i];

		FUZZ_CHECK(portal_is_utf8(mine->value, strlen(mine->value)));
		for (size_t other = 0; other < i; other++)
			FUZZ_CHECK(strcmp(request->parameters[other].name, mine->name) != 0);
	}
	if (request->kind != PORTAL_HEALTH)
		FUZZ_CHECK(is_value(head, "Host", hosts[0]) || is_value(head, "Host", hosts[1]));
	if (request->writes)
	{
		FUZZ_CHECK(request->kind == PORTAL_API);
		FUZZ_CHECK(is_value(head, "Origin", origins[0]) || is_value(head, "Origin", origins[1]));
		FUZZ_CHECK(count(head, "Sec-Fetch-Site") == 0 ||
				   is_value(head, "Sec-Fetch-Site", "same-origin"));
	}
	else
		FUZZ_CHECK(request->body_length == 0);
	FUZZ_CHECK(request->token[0] == '\0' ||
			   portal_token_is_one(request->token, strlen(request->token)));
}

/* What is written is one line, and what is quoted does not end its quotes. */
static void
check_written(const char *text)
{
	PortalBuffer json = {0};
	PortalBuffer csv = {0};
	PortalError error = {.message = text};
	size_t		quotes = 0;

	portal_json_error(&json, &error);
	FUZZ_CHECK(strchr(json.data, '\n') == json.data + json.length - 1);
	for (const char *at = json.data; *at != '\0'; at++)
		FUZZ_CHECK((unsigned char) *at >= ' ' || at[1] == '\0');
	portal_csv_field(&csv, text);
	FUZZ_CHECK(csv.length >= 2 && csv.data[0] == '"' && strchr("=+-@", csv.data[1]) == NULL);
	for (const char *at = csv.data; (at = strpbrk(at, ";\t\r\n")) != NULL;)
	{
		at += 1 + strspn(at + 1, "\"");
		FUZZ_CHECK(*at == '\0' || strchr("=+-@", *at) == NULL);
	}
	for (const char *at = csv.data; *at != '\0'; at++)
		quotes += *at == '"';
	FUZZ_CHECK(quotes % 2 == 0);
	portal_buffer_free(&json);
	portal_buffer_free(&csv);
}

static void
check_secrets(const char *text)
{
	PortalCredentials credentials;
	PortalListen listen;
	char		key[PORTAL_ADDRESS_LENGTH];

	if (portal_credentials_read(text, &credentials))
	{
		FUZZ_CHECK(credentials.user[0] != '\0' && strlen(credentials.user) <= PORTAL_MAX_USER);
		FUZZ_CHECK(credentials.password[0] != '\0');
		FUZZ_CHECK(strchr(credentials.user, ':') == NULL);
		FUZZ_CHECK(portal_is_utf8(credentials.user, strlen(credentials.user)));
	}
	if (portal_address_forwarded(text, key))
		FUZZ_CHECK(strspn(key, "0123456789abcdef.:") == strlen(key));
	portal_listen_read(text, &listen);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static PortalHeader headers[PORTAL_MAX_HEADERS];
	PortalHead	head = {.method = "",.target = "",.bytes = size,.headers = headers};
	PortalRequest request;
	char	   *text = portal_new(size + 1);
	char	   *line = text;
	char	   *end = text + size;
	int			number = 0;

	memcpy(text, data, size);
	for (; line < end; number++)
	{
		char	   *next = memchr(line, '\n', end - line);
		char	   *stop = next == NULL ? end : next;
		char	   *colon;

		*stop = '\0';
		if (number == 0)
			head.method = line;
		else if (number == 1)
			head.target = line;
		else if (stop == line)
		{
			line = next == NULL ? end : next + 1;
			break;
		}
		else if (head.nheaders < PORTAL_MAX_HEADERS && (colon = strstr(line, ": ")) != NULL)
			headers[head.nheaders++] = (PortalHeader)
		{
			line, colon - line, colon + 2,
				stop - colon - 2
		};
		line = next == NULL ? end : next + 1;
	}
	if (portal_request_judge(&rules, &head, &request) == NULL)
		check_accepted(&head, &request);
	portal_request_free(&request);
	if (portal_body_judge(line, end - line) == NULL)
		FUZZ_CHECK(memchr(line, '\0', end - line) == NULL);
	(void) portal_keys_judge(line, end - line, hosts);
	for (size_t i = 0; i < head.nheaders; i++)
		check_secrets(headers[i].value);
	check_written(head.target);
	free(text);
	return 0;
}
