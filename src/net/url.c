/*
 * url.c
 *	  What the URL of an endpoint may look like.
 *
 * libcurl is lenient: it accepts "https:/host", percent-encoded and octal
 * addresses, zone identifiers and port 0. A URL that is accepted here has one
 * reading only: one scheme, one spelling of the host, a path and a query that
 * are sent as they are stored. Where a name leads to is not judged here; that
 * is known only when it is dialled.
 *
 * URLs: RFC 3986, sections 3 and 6.2.2.1. Host names: RFC 1123, section 2.1,
 * with the underscore that is met in practice. IPv6: RFC 4291, section 2.2,
 * without zone identifiers.
 */
#include <string.h>

#include "net/url.h"

#define MAX_LABEL	63			/* bytes of a part of a name: RFC 1035, section 2.3.4 */

/* A URL taken apart: each part ends where the next one begins. */
typedef struct Parts
{
	bool		secure;			/* https, not http */
	const char *host;			/* IPv6 with its brackets */
	const char *port;			/* empty, or ":" and digits */
	int			port_number;	/* 0 where "port" is empty */
	const char *path;			/* path and query, or empty */
	const char *end;			/* of the URL */
} Parts;

static bool check_characters(const char *url, size_t length, WebhookCheck *check);
static bool check_scheme(const char *url, size_t length, Parts *parts, WebhookCheck *check);
static bool check_authority(Parts *parts, WebhookCheck *check);
static bool check_host(Parts *parts, WebhookCheck *check);
static bool check_port(Parts *parts, WebhookCheck *check);
static bool check_path(const Parts *parts, WebhookCheck *check);
static bool check_segments(const char *path, const char *path_end, WebhookCheck *check);
static void write_canonical(const Parts *parts, char *canonical, WebhookCheck *check);
static bool refuse_length(WebhookCheck *check);
static bool is_dotted_quad(const char *host, size_t length);
static bool is_ipv6(const char *host, size_t length);
static const char *name_problem(const char *host, size_t length);
static const char *label_problem(const char *label, const char *label_end);
static bool is_number(const char *label, size_t length);

WebhookCheck
webhook_url_check(const char *url, size_t length, char *canonical)
{
	WebhookCheck check = {0};
	Parts		parts;

	if (check_characters(url, length, &check) &&
		check_scheme(url, length, &parts, &check) &&
		check_authority(&parts, &check) &&
		check_path(&parts, &check))
		write_canonical(&parts, canonical, &check);
	return check;
}

/* The length, and the bytes that may be nowhere in a URL. */
static bool
check_characters(const char *url, size_t length, WebhookCheck *check)
{
	if (length == 0)
		return webhook_check_refuse(check, "It is empty.",
									"Give a URL, such as https://hooks.example.com/path.");
	if (length > WEBHOOK_MAX_ENDPOINT)
		return refuse_length(check);
	for (const char *c = url; c < url + length; c++)
	{
		if ((unsigned char) *c < 0x20 || (unsigned char) *c == 0x7F)
			return webhook_check_refuse(check, "It contains a control character.",
										"Remove it, or percent-encode it.");
		if (*c == ' ')
			return webhook_check_refuse(check, "It contains a blank.", "Write %20 instead.");
	}
	return true;
}

/* The scheme, in any case, and exactly two slashes behind it. */
static bool
check_scheme(const char *url, size_t length, Parts *parts, WebhookCheck *check)
{
	parts->secure = webhook_ascii_begins_with(url, length, "https://");
	if (!parts->secure && !webhook_ascii_begins_with(url, length, "http://"))
		return webhook_check_refuse(check, "It does not start with https:// or http://.",
									"Start it with https://.");
	parts->host = url + (parts->secure ? 8 : 7);
	parts->end = url + length;
	return true;
}

/* Host and port; they end where path, query or fragment begin. */
static bool
check_authority(Parts *parts, WebhookCheck *check)
{
	const char *host = parts->host;
	const char *path = host;

	while (path < parts->end && *path != '/' && *path != '?' && *path != '#')
		path++;
	parts->path = path;
	if (memchr(host, '@', path - host) != NULL)
		return webhook_check_refuse(check, "It contains a user name or password.",
									"Send credentials in a header of the subscription.");
	if (path < parts->end && memchr(path, '#', parts->end - path) != NULL)
		return webhook_check_refuse(check, "It contains a fragment (#), which is never sent.",
									"Remove it, or write %23.");
	if (memchr(host, '\\', path - host) != NULL)
		return webhook_check_refuse(check, "Its host contains a backslash.", "Use slashes.");
	if (memchr(host, '%', path - host) != NULL)
		return webhook_check_refuse(check, "Its host contains a percent sign.",
									"Write the host's name or address plainly, without a zone.");
	return check_host(parts, check) && check_port(parts, check);
}

/* A name, a dotted quad, or IPv6 in brackets. */
static bool
check_host(Parts *parts, WebhookCheck *check)
{
	const char *host = parts->host;
	size_t		length = parts->path - host;
	const char *host_end;
	const char *problem;

	if (length > 0 && *host == '[')
	{
		host_end = memchr(host, ']', length);
		if (host_end == NULL || !is_ipv6(host + 1, host_end - host - 1))
			return webhook_check_refuse(check, "Its host is not an IPv6 address in brackets.",
										"Write it as in https://[2001:4860:4860::8888]/path.");
		parts->port = host_end + 1;
		return true;
	}
	host_end = memchr(host, ':', length);
	parts->port = host_end != NULL ? host_end : parts->path;
	problem = name_problem(host, parts->port - host);
	if (problem != NULL)
		return webhook_check_refuse(check, problem,
									"Use a full name such as hooks.example.com, in its xn-- form if it is not ASCII, or a plain address.");
	return true;
}

/* Nothing, or a colon and a decimal number without leading zeros. */
static bool
check_port(Parts *parts, WebhookCheck *check)
{
	static const char *const malformed = "Its port is not a number from 1 to 65535.";
	static const char *const hint = "Use a port from 1 to 65535, or leave it out.";
	const char *digits = parts->port + 1;

	parts->port_number = 0;
	if (parts->port == parts->path)
		return true;
	if (*parts->port != ':')
		return webhook_check_refuse(check, "Something other than a port follows its host.",
									"Write the port as in https://hooks.example.com:8443/path.");
	if (digits == parts->path)
		return webhook_check_refuse(check, "Its port is empty.", hint);
	if (parts->path - digits > 5 || *digits == '0')
		return webhook_check_refuse(check, malformed, hint);
	for (const char *c = digits; c < parts->path; c++)
	{
		if (!webhook_ascii_is_digit(*c))
			return webhook_check_refuse(check, malformed, hint);
		parts->port_number = parts->port_number * 10 + (*c - '0');
	}
	if (parts->port_number > 65535)
		return webhook_check_refuse(check, malformed, hint);
	return true;
}

/* The characters of path and query that RFC 3986 allows, escapes that are complete and harmless. */
static bool
check_path(const Parts *parts, WebhookCheck *check)
{
	static const char *const encode = "Percent-encode it.";
	const char *path = parts->path;
	const char *end = parts->end;
	const char *query = memchr(path, '?', end - path);

	for (const char *c = path; c < end; c++)
	{
		if (*c == '%')
		{
			if (end - c < 3 || !webhook_ascii_is_hex(c[1]) || !webhook_ascii_is_hex(c[2]))
				return webhook_check_refuse(check, "It contains an incomplete percent escape.",
											"Write two hexadecimal digits after each percent sign; %25 is a percent sign itself.");
			if (c[1] == '0' && strchr("0aAdD", c[2]) != NULL)
				return webhook_check_refuse(check, "It contains an escaped line break or NUL.",
											"Remove it.");
		}
		else if ((unsigned char) *c >= 0x80)
			return webhook_check_refuse(check,
										"Its path or query contains a character that is not ASCII.",
										encode);
		else if (!webhook_ascii_is_letter(*c) && !webhook_ascii_is_digit(*c) &&
				 strchr("-._~!$&'()*+,;=:@/?", *c) == NULL)
			return webhook_check_refuse(check,
										"Its path or query contains a character that a URL cannot have.",
										encode);
	}
	return check_segments(path, query != NULL ? query : end, check);
}

/* No "." and ".." segments: they would not be sent as they are stored. */
static bool
check_segments(const char *path, const char *path_end, WebhookCheck *check)
{
	const char *c = path;

	while (c < path_end)
	{
		const char *segment = c + 1;
		const char *slash = memchr(segment, '/', path_end - segment);
		size_t		length;

		c = slash != NULL ? slash : path_end;
		length = c - segment;
		if ((length == 1 || length == 2) && segment[0] == '.' && segment[length - 1] == '.')
			return webhook_check_refuse(check, "Its path contains a \".\" or \"..\" segment.",
										"Write the path that is meant.");
	}
	return true;
}

/* The text to store and to send. It is refused if its "/" makes it too long. */
static void
write_canonical(const Parts *parts, char *canonical, WebhookCheck *check)
{
	size_t		scheme = parts->secure ? strlen("https://") : strlen("http://");
	char	   *to = canonical;

	memcpy(to, parts->secure ? "https://" : "http://", scheme);
	to += scheme;
	for (const char *c = parts->host; c < parts->port; c++)
		*to++ = webhook_ascii_lower(*c);
	if (parts->port_number != 0 && parts->port_number != (parts->secure ? 443 : 80))
	{
		memcpy(to, parts->port, parts->path - parts->port);
		to += parts->path - parts->port;
	}
	if (parts->path == parts->end || *parts->path != '/')
		*to++ = '/';
	memcpy(to, parts->path, parts->end - parts->path);
	to += parts->end - parts->path;
	*to = '\0';
	if (to - canonical > WEBHOOK_MAX_ENDPOINT)
		refuse_length(check);
}

static bool
refuse_length(WebhookCheck *check)
{
	return webhook_check_refuse_length(check, "It is longer than 2048 bytes.",
									   "Use a shorter URL.");
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

		while (at < length && webhook_ascii_is_digit(host[at]) && at - start < 3)
			number = number * 10 + (host[at++] - '0');
		if (at == start || number > 255 || (host[start] == '0' && at - start > 1))
			return false;
		if (part < 3 && (at == length || host[at++] != '.'))
			return false;
	}
	return at == length;
}

/* Groups of one to four digits, "::" at most once, perhaps a dotted quad at the end. */
static bool
is_ipv6(const char *host, size_t length)
{
	size_t		at = 0;
	int			groups = 0;
	bool		gap = false;

	if (length >= 2 && host[0] == ':' && host[1] == ':')
	{
		gap = true;
		at = 2;
	}
	while (at < length)
	{
		size_t		start = at;

		if (is_dotted_quad(host + at, length - at))
		{
			groups += 2;
			break;
		}
		while (at < length && webhook_ascii_is_hex(host[at]))
			at++;
		if (at == start || at - start > 4)
			return false;
		groups++;
		if (at == length)
			break;
		if (host[at++] != ':' || at == length)
			return false;
		if (host[at] == ':')
		{
			if (gap)
				return false;
			gap = true;
			at++;
		}
	}
	return gap ? groups < 8 : groups == 8;
}

/* What is wrong with a host without brackets; NULL if it is a name or a dotted quad. */
static const char *
name_problem(const char *host, size_t length)
{
	const char *end = host + length;
	const char *label = host;
	const char *dot;

	if (length == 0)
		return "It has no host.";
	if (length > WEBHOOK_MAX_HOST)
		return "The name of its host is longer than 253 bytes.";
	if (is_dotted_quad(host, length))
		return NULL;
	do
	{
		const char *problem;

		dot = memchr(label, '.', end - label);
		problem = label_problem(label, dot != NULL ? dot : end);
		if (problem != NULL)
			return problem;
		if (dot != NULL)
			label = dot + 1;
	} while (dot != NULL);

	if (is_number(label, end - label))
		return "Its host looks like an address, but is not a plain one.";
	return NULL;
}

/* The same for one part of a name. */
static const char *
label_problem(const char *label, const char *label_end)
{
	if (label_end == label)
		return "The name of its host has an empty part.";
	if (label_end - label > MAX_LABEL)
		return "The name of its host has a part longer than 63 bytes.";
	for (const char *c = label; c < label_end; c++)
	{
		if ((unsigned char) *c >= 0x80)
			return "The name of its host is not ASCII.";
		if (!webhook_ascii_is_letter(*c) && !webhook_ascii_is_digit(*c) && *c != '-' && *c != '_')
			return "The name of its host contains a character that a name cannot have.";
	}
	if (*label == '-' || label_end[-1] == '-')
		return "A part of the name of its host begins or ends with a hyphen.";
	return NULL;
}

/* Returns true for a last label by which the whole name would be read as an address. */
static bool
is_number(const char *label, size_t length)
{
	bool		hex = length >= 2 && label[0] == '0' && webhook_ascii_lower(label[1]) == 'x';

	for (size_t i = hex ? 2 : 0; i < length; i++)
	{
		if (hex ? !webhook_ascii_is_hex(label[i]) : !webhook_ascii_is_digit(label[i]))
			return false;
	}
	return true;
}
