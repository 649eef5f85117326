/*
 * request.c
 *	  The rules of requests: which are refused before anybody looks at what they ask
 *	  for, and what the others ask for.
 *
 * The order of the checks is the order of portal_request_judge().  What could mean two
 * things to two programs, such as a proxy and this one, is refused.
 */
#include "portal/request.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "portal/buffer.h"
#include "portal/text.h"

/* Headers that a request has once at most, because something here relies on them. */
static const char *const single[] = {
	"Authorization", "Content-Length", "Content-Type", "Cookie", "Host", "Origin",
	"Sec-Fetch-Site", "Transfer-Encoding", "Webhook-Session", NULL
};

static const PortalRefusal head_too_large = {431, "the headers are too large"};
static const PortalRefusal target_too_long = {414, "the address is too long"};
static const PortalRefusal bad_method = {405, "only GET, HEAD and POST are answered"};
static const PortalRefusal repeated = {400, "a header is there twice"};
static const PortalRefusal bad_name = {400, "the name of a header has bytes that it may not have"};
static const PortalRefusal bad_header = {400, "a header has bytes that it may not have"};
static const PortalRefusal encoded = {400, "a body needs a Content-Length"};
static const PortalRefusal bad_length = {400, "the Content-Length is not a number"};
static const PortalRefusal no_body = {400, "a request that reads has no body"};
static const PortalRefusal body_too_large = {413, "the body is too large"};
static const PortalRefusal no_host = {400, "the request does not say which host it is for"};
static const PortalRefusal bad_host = {421, "this host name is not the portal's"};
static const PortalRefusal bad_target = {400, "the address is malformed"};
static const PortalRefusal too_many = {400, "the address has too many parameters"};
static const PortalRefusal no_post = {405, "only api/ takes a POST"};
static const PortalRefusal foreign = {403, "the request comes from another site"};
static const PortalRefusal not_json = {415, "the body has to be application/json"};
static const PortalRefusal bad_body = {400, "the body has to be a JSON object in UTF-8"};
static const PortalRefusal bad_key = {400, "the body has a key that is not known, or is there twice"};

/* Returns true if the bytes are that text, whatever the case of letters. */
static bool
is_text(const char *bytes, size_t length, const char *text)
{
	return strlen(text) == length && strncasecmp(bytes, text, length) == 0;
}

/* Returns true if a header's value is one of a list. */
static bool
is_one_of(const PortalHeader *header, const char *const *list)
{
	for (; *list != NULL; list++)
	{
		if (is_text(header->value, header->value_length, *list))
			return true;
	}
	return false;
}

const PortalHeader *
portal_header_find(const PortalHead *head, const char *name)
{
	for (size_t i = 0; i < head->nheaders; i++)
	{
		if (is_text(head->headers[i].name, head->headers[i].name_length, name))
			return &head->headers[i];
	}
	return NULL;
}

const PortalHeader *
portal_header_find_last(const PortalHead *head, const char *name)
{
	for (size_t i = head->nheaders; i > 0; i--)
	{
		if (is_text(head->headers[i - 1].name, head->headers[i - 1].name_length, name))
			return &head->headers[i - 1];
	}
	return NULL;
}

/* Returns true if the name of a header is a token, RFC 9110, section 5.6.2: one with a blank
 * behind it, for example, another program takes for the header without. */
static bool
is_header_name(const PortalHeader *header)
{
	for (size_t i = 0; i < header->name_length; i++)
	{
		char		byte = header->name[i];
		char		letter = byte | 0x20;

		if ((letter < 'a' || letter > 'z') && (byte < '0' || byte > '9') &&
			(byte == '\0' || strchr("!#$%&'*+-.^_`|~", byte) == NULL))
			return false;
	}
	return header->name_length > 0;
}

static const PortalRefusal *
judge_headers(const PortalHead *head)
{
	for (size_t i = 0; i < head->nheaders; i++)
	{
		const PortalHeader *header = &head->headers[i];

		if (!is_header_name(header))
			return &bad_name;
		for (size_t at = 0; at < header->value_length; at++)
		{
			unsigned char byte = header->value[at];

			if ((byte < ' ' && byte != '\t') || byte == 0x7F)
				return &bad_header;
		}
		for (const char *const *name = single; *name != NULL; name++)
		{
			if (is_text(header->name, header->name_length, *name) &&
				portal_header_find(head, *name) != header)
				return &repeated;
		}
	}
	return NULL;
}

/* The length of the body, and that there is no second way to say it. */
static const PortalRefusal *
judge_length(const PortalHead *head, PortalRequest *request)
{
	const PortalHeader *length = portal_header_find(head, "Content-Length");

	if (portal_header_find(head, "Transfer-Encoding") != NULL)
		return &encoded;
	if (length == NULL)
		return NULL;
	if (length->value_length == 0)
		return &bad_length;
	for (size_t i = 0; i < length->value_length; i++)
	{
		if (length->value[i] < '0' || length->value[i] > '9')
			return &bad_length;
		request->body_length = request->body_length * 10 + (length->value[i] - '0');
		if (request->body_length > PORTAL_MAX_BODY)
			return &body_too_large;
	}
	return request->body_length > 0 && !request->writes ? &no_body : NULL;
}

static int
hexadecimal(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit |= 0x20;
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/*
 * Decode a part of the address in place; "plus": a + is a blank.  Returns false unless
 * the result is UTF-8 without control characters, which a text of PostgreSQL can be
 * without, too.
 */
static bool
decode(char *text, bool plus)
{
	char	   *to = text;
	const char *from = text;

	while (*from != '\0')
	{
		int			high;
		int			low;

		if (*from != '%')
		{
			*to++ = plus && *from == '+' ? ' ' : *from;
			from++;
			continue;
		}
		high = hexadecimal(from[1]);
		low = high < 0 ? -1 : hexadecimal(from[2]);
		if (low < 0)
			return false;
		*to = (char) (high << 4 | low);
		if ((unsigned char) *to < ' ' || *to == 0x7F)
			return false;
		to++;
		from += 3;
	}
	*to = '\0';
	return portal_is_utf8(text, to - text);
}

static const PortalRefusal *
judge_parameters(char *query, PortalRequest *request)
{
	while (query != NULL && *query != '\0')
	{
		char	   *end = strchr(query, '&');
		char	   *value;

		if (end != NULL)
			*end = '\0';
		if (request->nparameters == PORTAL_MAX_PARAMETERS)
			return &too_many;
		value = strchr(query, '=');
		if (value == NULL)
			return &bad_target;
		*value++ = '\0';
		if (!decode(query, true) || !decode(value, true))
			return &bad_target;
		for (size_t i = 0; i < request->nparameters; i++)
		{
			if (strcmp(request->parameters[i].name, query) == 0)
				return &bad_target;
		}
		request->parameters[request->nparameters].name = query;
		request->parameters[request->nparameters].value = value;
		request->nparameters++;
		query = end == NULL ? NULL : end + 1;
	}
	return NULL;
}

/* Which session the client believes to have: what cannot have a header, a stream of events or
 * a link, has a parameter for that, which is no route's.  Returns false if it says both. */
static bool
read_session(const PortalHead *head, PortalRequest *request)
{
	const PortalHeader *header = portal_header_find(head, "Webhook-Session");
	size_t		nkept = 0;

	if (header != NULL)
		snprintf(request->session, sizeof(request->session), "%.*s",
				 (int) header->value_length, header->value);
	for (size_t i = 0; i < request->nparameters; i++)
	{
		PortalParameter parameter = request->parameters[i];

		if (request->writes || strcmp(parameter.name, "session") != 0)
			request->parameters[nkept++] = parameter;
		else if (header != NULL)
			return false;
		else
			snprintf(request->session, sizeof(request->session), "%s", parameter.value);
	}
	request->nparameters = nkept;
	return true;
}

/* What is asked for.  The names of all there is are known, so a path needs no rules. */
static const PortalRefusal *
judge_target(const char *target, PortalRequest *request)
{
	const PortalRefusal *refusal = NULL;
	char	   *query;

	if (target[0] != '/')
		return &bad_target;
	for (const char *at = target; *at != '\0'; at++)
	{
		if ((unsigned char) *at <= ' ' || (unsigned char) *at >= 0x7F || *at == '#')
			return &bad_target;
	}
	request->text = portal_copy(target + 1);
	query = strchr(request->text, '?');
	if (query != NULL)
		*query++ = '\0';
	if (!decode(request->text, false))
		return &bad_target;
	request->path = request->text;
	request->kind = PORTAL_FILE;
	if (strcmp(request->path, "healthz") == 0)
		request->kind = PORTAL_HEALTH;
	else if (strncmp(request->path, "api/", 4) == 0)
	{
		request->kind = PORTAL_API;
		request->path += 4;
		refusal = judge_parameters(query, request);
	}
	return refusal;
}

/* Whether the page that asks is the portal's own. */
static const PortalRefusal *
judge_site(const PortalRules *rules, const PortalHead *head, const PortalRequest *request)
{
	const PortalHeader *site = portal_header_find(head, "Sec-Fetch-Site");
	const PortalHeader *origin = portal_header_find(head, "Origin");
	const PortalHeader *type = portal_header_find(head, "Content-Type");
	size_t		length;

	if (request->kind != PORTAL_API)
		return NULL;

	/* "none" is an address that somebody has typed; it cannot be a POST. */
	if (site != NULL && !is_text(site->value, site->value_length, "same-origin") &&
		(request->writes || !is_text(site->value, site->value_length, "none")))
		return &foreign;
	if (origin == NULL ? request->writes : !is_one_of(origin, rules->origins))
		return &foreign;
	if (!request->writes)
		return NULL;
	if (type == NULL)
		return &not_json;
	for (length = 0; length < type->value_length; length++)
	{
		if (type->value[length] == ';' || type->value[length] == ' ')
			break;
	}
	return is_text(type->value, length, "application/json") ? NULL : &not_json;
}

/* The session's token, if the cookie is there once and has the form of one. */
static void
read_cookie(const PortalRules *rules, const PortalHead *head, PortalRequest *request)
{
	const PortalHeader *cookie = portal_header_find(head, "Cookie");
	const char *at = cookie == NULL ? NULL : cookie->value;
	const char *end = at == NULL ? NULL : at + cookie->value_length;
	size_t		length = strlen(rules->cookie);
	int			found = 0;

	while (at < end)
	{
		const char *next = memchr(at, ';', end - at);
		const char *stop = next == NULL ? end : next;

		while (at < stop && (*at == ' ' || *at == '\t'))
			at++;
		if (at + length < stop && memcmp(at, rules->cookie, length) == 0 &&
			at[length] == '=')
		{
			at += length + 1;
			if (found++ == 0 && portal_token_is_one(at, stop - at))
				memcpy(request->token, at, PORTAL_TOKEN_LENGTH);
		}
		at = next == NULL ? end : next + 1;
	}
	if (found != 1)
		request->token[0] = '\0';
}

const PortalRefusal *
portal_request_judge(const PortalRules *rules, const PortalHead *head, PortalRequest *request)
{
	const PortalHeader *host = portal_header_find(head, "Host");
	const PortalRefusal *refusal;

	memset(request, 0, sizeof(*request));
	if (head->bytes > PORTAL_MAX_HEAD || head->nheaders > PORTAL_MAX_HEADERS)
		return &head_too_large;
	if (strlen(head->target) > PORTAL_MAX_TARGET)
		return &target_too_long;
	request->writes = strcmp(head->method, "POST") == 0;
	request->is_head = strcmp(head->method, "HEAD") == 0;
	if (!request->writes && !request->is_head && strcmp(head->method, "GET") != 0)
		return &bad_method;
	refusal = judge_headers(head);
	if (refusal == NULL)
		refusal = judge_length(head, request);
	if (refusal == NULL)
		refusal = judge_target(head->target, request);
	if (refusal != NULL)
		return refusal;

	/* Whether it runs is no secret, and who asks for it may not know the name. */
	if (host == NULL)
		return &no_host;
	if (request->kind != PORTAL_HEALTH && !is_one_of(host, rules->hosts))
		return &bad_host;
	if (request->writes && request->kind != PORTAL_API)
		return &no_post;
	if (!read_session(head, request))
		return &bad_target;
	request->is_automatic = portal_header_find(head, "Webhook-Automatic") != NULL;
	refusal = judge_site(rules, head, request);
	if (refusal == NULL)
		read_cookie(rules, head, request);
	return refusal;
}

const PortalRefusal *
portal_body_judge(const char *body, size_t length)
{
	size_t		first = 0;

	if (!portal_is_utf8(body, length))
		return &bad_body;
	while (first < length && strchr(" \t\r\n", body[first]) != NULL)
		first++;
	return first < length && body[first] == '{' ? NULL : &bad_body;
}

/* The place of a key in a list of names; -1: it is none of them. */
static int
find_key(const char *key, size_t length, const char *const *names)
{
	for (int i = 0; names[i] != NULL; i++)
	{
		if (strlen(names[i]) == length && memcmp(names[i], key, length) == 0)
			return i;
	}
	return -1;
}

/* The end of a string of JSON that begins behind its quote: the place of the other quote. */
static size_t
end_of_string(const char *body, size_t length, size_t at)
{
	while (at < length && body[at] != '"')
		at += body[at] == '\\' ? 2 : 1;
	return at < length ? at : length;
}

const PortalRefusal *
portal_keys_judge(const char *body, size_t length, const char *const *names)
{
	uint64_t	seen = 0;
	int			depth = 0;
	bool		is_key = false;

	for (size_t at = 0; at < length; at++)
	{
		size_t		begin = at + 1;
		int			name;

		switch (body[at])
		{
			case '{':
			case '[':
				is_key = ++depth == 1;
				break;
			case '}':
			case ']':
				depth--;
				break;
			case ',':
				is_key = depth == 1;
				break;
			case '"':
				at = end_of_string(body, length, begin);
				if (!is_key)
					break;
				name = find_key(body + begin, at - begin, names);
				if (name < 0 || (seen & UINT64_C(1) << name) != 0)
					return &bad_key;
				seen |= UINT64_C(1) << name;
				is_key = false;
				break;
			default:
				break;
		}
	}
	return NULL;
}

void
portal_request_free(PortalRequest *request)
{
	portal_forget(request->token, sizeof(request->token));
	free(request->text);
	request->text = NULL;
}
