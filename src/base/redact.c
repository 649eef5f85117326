/*
 * redact.c
 *	  What of a call is a credential, and how it is shown without.
 *
 * One rule for all that people other than its owner read: the log, the views,
 * messages. It goes by names, since a value does not tell: what sounds like a
 * credential is taken for one, and of a query no value is shown at all. The
 * path of a URL is shown. What is hidden cannot be told from what is shown, so
 * hidden values all look the same.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "base/redact.h"

/* A header is a credential if its name contains one of these ... */
static const char *const words[] = {
	"auth", "bearer", "cookie", "credential", "jwt", "key", "passw", "secret",
	"session", "token"
};

/* ... but not if it is one of these: what they ask for, they do not carry. */
static const char *const harmless[] = {
	"proxy-authenticate", "www-authenticate"
};

bool
webhook_redact_is_credential(const char *name)
{
	for (int i = 0; i < lengthof(harmless); i++)
	{
		if (pg_strcasecmp(name, harmless[i]) == 0)
			return false;
	}
	for (const char *place = name; *place; place++)
	{
		for (int i = 0; i < lengthof(words); i++)
		{
			/* The first letter decides almost always, and costs a tenth. */
			if ((*place | 0x20) == words[i][0] &&
				pg_strncasecmp(place, words[i], strlen(words[i])) == 0)
				return true;
		}
	}
	return false;
}

/* A colon in it is a port's, or within brackets: not one of a password. */
static bool
ends_like_a_host(const char *host, const char *end)
{
	const char *colon = memchr(host, ':', end - host);

	return colon == NULL || *host == '[' ||
		colon + 1 + strspn(colon + 1, "0123456789") >= end;
}

const char *
webhook_redact_url(const char *url)
{
	const char *host = strstr(url, "//");
	const char *rest;
	const char *at;
	StringInfoData shown;

	/* The authority ends where path, query or fragment begin. */
	host = host && host < url + strcspn(url, "?#") ? host + 2 : url;
	rest = host + strcspn(host, "/?#");

	/* Somebody's mistake may have put that into the password, or before it. */
	at = strrchr(rest, '@');
	if (at != NULL && (host == url ? *url != '/' : rest == host || *rest != '/' ||
					   !ends_like_a_host(host, rest)))
		rest = at + 1;
	if (memchr(host, '@', rest - host) == NULL && strpbrk(rest, "?#") == NULL)
		return url;

	initStringInfo(&shown);
	appendBinaryStringInfo(&shown, url, host - url);
	for (const char *place = rest; place > host; place--)
	{
		if (place[-1] == '@')
		{
			appendStringInfoString(&shown, WEBHOOK_REDACTED "@");
			host = place;
			break;
		}
	}
	appendBinaryStringInfo(&shown, host, strcspn(host, "?#"));
	host += strcspn(host, "?#");

	/* One parameter after the other, each with what stands before it. */
	while (*host == '?' || *host == '&')
	{
		const char *end = host + 1 + strcspn(host + 1, "&#");
		const char *value = memchr(host, '=', end - host);
		int			length = (value ? value : host) + 1 - host;

		appendBinaryStringInfo(&shown, host, length);
		if (host + length < end)
			appendStringInfoString(&shown, WEBHOOK_REDACTED);
		host = end;
	}
	if (*host == '#')
		appendStringInfoString(&shown, "#" WEBHOOK_REDACTED);
	return shown.data;
}
