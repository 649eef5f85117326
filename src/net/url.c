/*
 * url.c
 *	  What an endpoint URL and a header may look like.
 *
 * libcurl is lenient: it takes "https:/host", percent-encoded and octal
 * addresses, zone ids, port 0, and forwards a line break inside a header as it
 * is. What is accepted here leaves no second reading: one scheme, one spelling
 * of the host, a path and a query that go on the wire as they are stored. What
 * can only be judged when it is dialled, where a name leads to, is not judged
 * here.
 *
 * URL: RFC 3986, sections 3 and 6.2.2.1; host names: RFC 1123, section 2.1,
 * with the underscore that is met in practice; IPv6: RFC 4291, section 2.2,
 * without zones. Headers: RFC 9110, sections 5.1, 5.5 and 5.6.2.
 */
#include <stdlib.h>
#include <string.h>

#include "net/url.h"

#define MAX_HOST 253
#define MAX_LABEL 63

static WebhookUrlCheck refused(const char *problem, const char *hint);
static WebhookUrlCheck refused_for_length(void);
static bool is_digit(unsigned char c);
static bool is_hex(unsigned char c);
static bool is_letter(unsigned char c);
static unsigned char lower(unsigned char c);
static bool is_dotted_quad(const char *host, size_t length);
static bool is_ipv6(const char *text, size_t length);
static bool is_number(const char *label, size_t length);
static const char *judge_name(const char *host, size_t length);
static const char *judge_port(const char *text, size_t length, long *port);
static const char *judge_target(const char *text, size_t length, const char **hint);
static bool is_token(unsigned char c);
static bool is_reserved(const char *name, size_t length);
static bool begins_with(const char *text, size_t length, const char *start);

static const char *const percent_hint =
"Percent-encode it.";

WebhookUrlCheck
webhook_url_check(const char *url, size_t length, char *canonical)
{
	const WebhookUrlCheck accepted = {0};
	const char *end = url + length;
	const char *host;
	const char *host_end;
	const char *port;
	const char *target;
	const char *problem;
	const char *hint = NULL;
	bool		secure;
	bool		literal;
	long		number = 0;
	char	   *to = canonical;

	if (length == 0)
		return refused("It is empty.", "Give a URL, such as https://hooks.example.com/path.");
	if (length > WEBHOOK_MAX_ENDPOINT)
		return refused_for_length();
	for (const char *c = url; c < end; c++)
	{
		if ((unsigned char) *c < 0x20 || (unsigned char) *c == 0x7F)
			return refused("It contains a control character.",
						   "Remove it, or percent-encode it.");
		if (*c == ' ')
			return refused("It contains a blank.", "Write %20 instead.");
	}

	/* Scheme, and exactly two slashes. */
	if (begins_with(url, length, "https://"))
	{
		secure = true;
		host = url + 8;
	}
	else if (begins_with(url, length, "http://"))
	{
		secure = false;
		host = url + 7;
	}
	else
		return refused("It does not start with https:// or http://.",
					   "Start it with https://.");

	/* Authority ends where path, query or fragment begin. */
	target = host;
	while (target < end && *target != '/' && *target != '?' && *target != '#')
		target++;
	if (memchr(host, '@', target - host) != NULL)
		return refused("It contains a user name or password.",
					   "Send credentials in a header of the subscription.");
	if (target < end && memchr(target, '#', end - target) != NULL)
		return refused("It contains a fragment (#), which is never sent.",
					   "Remove it, or write %23.");
	if (memchr(host, '\\', target - host) != NULL)
		return refused("Its host contains a backslash.", "Use slashes.");
	if (memchr(host, '%', target - host) != NULL)
		return refused("Its host contains a percent sign.",
					   "Write the host's name or address plainly, without a zone.");

	/* Host. */
	literal = host < target && *host == '[';
	if (literal)
	{
		host_end = memchr(host, ']', target - host);
		if (host_end == NULL || !is_ipv6(host + 1, host_end - host - 1))
			return refused("Its host is not an IPv6 address in brackets.",
						   "Write it as in https://[2001:4860:4860::8888]/path.");
		host_end++;
	}
	else
	{
		host_end = memchr(host, ':', target - host);
		if (host_end == NULL)
			host_end = target;
		problem = judge_name(host, host_end - host);
		if (problem != NULL)
			return refused(problem,
						   "Use a full name such as hooks.example.com, in its xn-- form if it is not ASCII, or a plain address.");
	}

	/* Port. */
	port = host_end;
	if (port < target)
	{
		if (*port != ':')
			return refused("Something other than a port follows its host.",
						   "Write the port as in https://hooks.example.com:8443/path.");
		problem = judge_port(port + 1, target - port - 1, &number);
		if (problem != NULL)
			return refused(problem, "Use a port from 1 to 65535, or leave it out.");
	}

	/* Path and query. */
	problem = judge_target(target, end - target, &hint);
	if (problem != NULL)
		return refused(problem, hint);

	/* What is stored is what is sent. */
	memcpy(to, secure ? "https://" : "http://", secure ? 8 : 7);
	to += secure ? 8 : 7;
	for (const char *c = host; c < host_end; c++)
		*to++ = lower(*c);
	if (port < target && number != (secure ? 443 : 80))
	{
		memcpy(to, port, target - port);
		to += target - port;
	}
	if (target == end || *target != '/')
		*to++ = '/';
	memcpy(to, target, end - target);
	to += end - target;
	*to = '\0';

	/* Judged again, it is accepted again: the slash counts too. */
	if (to - canonical > WEBHOOK_MAX_ENDPOINT)
		return refused_for_length();
	return accepted;
}

bool
webhook_url_target(const char *canonical, WebhookTarget *target)
{
	const char *end;

	target->secure = strncmp(canonical, "https://", 8) == 0;
	if (!target->secure && strncmp(canonical, "http://", 7) != 0)
		return false;
	target->host = canonical + (target->secure ? 8 : 7);
	end = target->host + strcspn(target->host, *target->host == '[' ? "]/?#" : ":/?#");
	end += *end == ']';
	target->host_length = end - target->host;
	target->port = *end == ':' ? atoi(end + 1) : target->secure ? 443 : 80;
	return true;
}

WebhookUrlCheck
webhook_header_check(const char *name, size_t name_length,
					 const char *value, size_t value_length)
{
	const WebhookUrlCheck accepted = {0};

	if (name_length == 0)
		return refused("Its name is empty.", "Give the header a name.");
	if (name_length > WEBHOOK_MAX_HEADER_NAME ||
		value_length > WEBHOOK_MAX_HEADER_VALUE)
	{
		WebhookUrlCheck verdict =
		refused("A name has at most 256 bytes, a value at most 4096.",
				"Use a shorter one.");

		verdict.too_long = true;
		return verdict;
	}
	for (size_t i = 0; i < name_length; i++)
	{
		if (!is_token(name[i]))
			return refused("Its name contains a character that a header's name cannot have.",
						   "Use letters, digits and hyphens.");
	}
	if (is_reserved(name, name_length))
		return refused("The header is set by the sender itself.",
					   "Choose another name.");
	for (size_t i = 0; i < value_length; i++)
	{
		unsigned char c = value[i];

		if (c == '\r' || c == '\n')
			return refused("Its value contains a line break.", "Remove it.");
		if ((c < 0x20 && c != '\t') || c == 0x7F)
			return refused("Its value contains a control character.",
						   "Remove it.");
		if (c >= 0x80)
			return refused("Its value contains a character that is not ASCII.",
						   "Encode it, for instance in base64.");
	}
	if (value_length > 0 &&
		(strchr(" \t", value[0]) || strchr(" \t", value[value_length - 1])))
		return refused("Its value begins or ends with a blank.",
					   "Remove the blank.");
	return accepted;
}

static WebhookUrlCheck
refused(const char *problem, const char *hint)
{
	WebhookUrlCheck verdict = {0};

	verdict.problem = problem;
	verdict.hint = hint;
	return verdict;
}

static WebhookUrlCheck
refused_for_length(void)
{
	WebhookUrlCheck verdict = refused("It is longer than 2048 bytes.",
									  "Use a shorter URL.");

	verdict.too_long = true;
	return verdict;
}

/* ctype.h and strings.h depend on the locale; these do not. */
static bool
is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_hex(unsigned char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static unsigned char
lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* Four decimal numbers up to 255, without leading zeros. */
static bool
is_dotted_quad(const char *host, size_t length)
{
	size_t		at = 0;

	for (int part = 0; part < 4; part++)
	{
		size_t		start = at;
		int			number = 0;

		while (at < length && is_digit(host[at]) && at - start < 3)
			number = number * 10 + (host[at++] - '0');
		if (at == start || number > 255 || (host[start] == '0' && at - start > 1))
			return false;
		if (part < 3 && (at == length || host[at++] != '.'))
			return false;
	}
	return at == length;
}

/* Groups of one to four digits, "::" at most once, a dotted quad at the end. */
static bool
is_ipv6(const char *text, size_t length)
{
	size_t		at = 0;
	int			groups = 0;
	bool		gap = false;

	if (length >= 2 && text[0] == ':' && text[1] == ':')
	{
		gap = true;
		at = 2;
	}
	while (at < length)
	{
		size_t		start = at;

		if (is_dotted_quad(text + at, length - at))
		{
			groups += 2;
			at = length;
			break;
		}
		while (at < length && is_hex(text[at]))
			at++;
		if (at == start || at - start > 4)
			return false;
		groups++;
		if (at == length)
			break;
		if (text[at++] != ':' || at == length)
			return false;
		if (text[at] == ':')
		{
			if (gap)
				return false;
			gap = true;
			at++;
		}
	}
	return gap ? groups < 8 : groups == 8;
}

/* A last label of this form would have the whole name read as an address. */
static bool
is_number(const char *label, size_t length)
{
	bool		hex = length >= 2 && label[0] == '0' && lower(label[1]) == 'x';

	for (size_t i = hex ? 2 : 0; i < length; i++)
	{
		if (hex ? !is_hex(label[i]) : !is_digit(label[i]))
			return false;
	}
	return true;
}

/* A name of several labels, or a dotted quad; NULL: it is one. */
static const char *
judge_name(const char *host, size_t length)
{
	const char *end = host + length;
	const char *label = host;
	bool		dots = false;

	if (length == 0)
		return "It has no host.";
	if (length > MAX_HOST)
		return "The name of its host is longer than 253 bytes.";
	if (is_dotted_quad(host, length))
		return NULL;
	for (;;)
	{
		const char *dot = memchr(label, '.', end - label);
		const char *label_end = dot ? dot : end;

		if (label_end == label)
			return "The name of its host has an empty part.";
		if (label_end - label > MAX_LABEL)
			return "The name of its host has a part longer than 63 bytes.";
		for (const char *c = label; c < label_end; c++)
		{
			if ((unsigned char) *c >= 0x80)
				return "The name of its host is not ASCII.";
			if (!is_letter(*c) && !is_digit(*c) && *c != '-' && *c != '_')
				return "The name of its host contains a character that a name cannot have.";
		}
		if (*label == '-' || label_end[-1] == '-')
			return "A part of the name of its host begins or ends with a hyphen.";
		if (dot == NULL)
			break;
		dots = true;
		label = dot + 1;
	}
	if (is_number(label, end - label))
		return "Its host looks like an address, but is not a plain one.";
	if (!dots)
		return "Its host is a name without a dot.";
	if (end - label == 9 && begins_with(label, 9, "localhost"))
		return "Its host is a name of this machine itself.";
	return NULL;
}

static const char *
judge_port(const char *text, size_t length, long *port)
{
	*port = 0;
	if (length == 0)
		return "Its port is empty.";
	if (length > 5 || text[0] == '0')
		return "Its port is not a number from 1 to 65535.";
	for (size_t i = 0; i < length; i++)
	{
		if (!is_digit(text[i]))
			return "Its port is not a number from 1 to 65535.";
		*port = *port * 10 + (text[i] - '0');
	}
	return *port > 65535 ? "Its port is not a number from 1 to 65535." : NULL;
}

/* Characters of RFC 3986, escapes that are complete, no step upwards. */
static const char *
judge_target(const char *text, size_t length, const char **hint)
{
	const char *end = text + length;
	const char *query = memchr(text, '?', length);
	const char *path_end = query ? query : end;

	for (const char *c = text; c < end; c++)
	{
		*hint = percent_hint;
		if (*c == '%')
		{
			if (end - c < 3 || !is_hex(c[1]) || !is_hex(c[2]))
			{
				*hint = "Write two hexadecimal digits after each percent sign; %25 is a percent sign itself.";
				return "It contains an incomplete percent escape.";
			}
			if (c[1] == '0' && (c[2] == '0' || lower(c[2]) == 'a' || lower(c[2]) == 'd'))
			{
				*hint = "Remove it.";
				return "It contains an escaped line break or NUL.";
			}
		}
		else if ((unsigned char) *c >= 0x80)
			return "Its path or query contains a character that is not ASCII.";
		else if (!is_letter(*c) && !is_digit(*c) &&
				 strchr("-._~!$&'()*+,;=:@/?", *c) == NULL)
			return "Its path or query contains a character that a URL cannot have.";
	}

	/* They would not be sent as they are stored. */
	for (const char *c = text; c < path_end;)
	{
		const char *slash = memchr(c + 1, '/', path_end - c - 1);
		const char *segment_end = slash ? slash : path_end;
		size_t		segment = segment_end - c - 1;

		if ((segment == 1 && c[1] == '.') ||
			(segment == 2 && c[1] == '.' && c[2] == '.'))
		{
			*hint = "Write the path that is meant.";
			return "Its path contains a \".\" or \"..\" segment.";
		}
		c = segment_end;
	}
	return NULL;
}

/* RFC 9110, section 5.6.2. */
static bool
is_token(unsigned char c)
{
	return is_letter(c) || is_digit(c) ||
		(c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Names that frame the message, or that the sender sets itself. */
static bool
is_reserved(const char *name, size_t length)
{
	static const char *const names[] = {
		"host", "content-length", "transfer-encoding", "connection",
		"keep-alive", "te", "trailer", "upgrade", "expect", "content-type",
		"content-encoding", "user-agent", "accept-encoding", "cookie2",
		"http2-settings", "abp-webhook-signature",
	};
	static const char *const prefixes[] = {"proxy-", "webhook-"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (length == strlen(names[i]) && begins_with(name, length, names[i]))
			return true;
	}
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
	{
		if (begins_with(name, length, prefixes[i]))
			return true;
	}
	return false;
}

/* Whatever the case; "start" is in lower case. */
static bool
begins_with(const char *text, size_t length, const char *start)
{
	size_t		i = 0;

	while (start[i] != '\0' && i < length && lower(text[i]) == start[i])
		i++;
	return start[i] == '\0';
}
