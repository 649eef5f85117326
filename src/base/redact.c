/*
 * redact.c
 *	  Hides credentials in what is shown of a request.
 *
 * The log, the views and messages, which are read by others than the owner of a
 * subscription, follow one rule. A value cannot be recognized as a credential,
 * so the name decides: a header whose name sounds like that of a credential is
 * hidden. In a URL the values of all parameters are hidden, and the path is
 * shown. All hidden values look the same, so they reveal no length.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "base/redact.h"

/* The value of a header is a credential if its name contains one of these words. */
static const char *const words[] = {
	"auth", "bearer", "challenge", "cookie", "credential", "jwt", "key", "passw", "secret",
	"session", "token"
};

/* The first and the second letters of these words, as bits: few pairs of a name's letters fit. */
#define LETTER(c) (UINT32_C(1) << ((c) & 0x1f))
#define FIRST (LETTER('a') | LETTER('b') | LETTER('c') | LETTER('j') | LETTER('k') | \
			   LETTER('p') | LETTER('s') | LETTER('t'))
#define SECOND (LETTER('a') | LETTER('e') | LETTER('h') | LETTER('o') | LETTER('r') | \
				LETTER('u') | LETTER('w'))

/* These headers contain such a word, but ask for a credential and carry none. */
static const char *const harmless[] = {
	"proxy-authenticate", "www-authenticate"
};

/* Returns true if the name contains one of the words. */
static bool
has_word(const char *name)
{
	for (const char *part = name; *part; part++)
	{
		if ((FIRST & LETTER(part[0])) == 0 || (SECOND & LETTER(part[1])) == 0)
			continue;
		for (int i = 0; i < lengthof(words); i++)
		{
			/* Almost always the first two letters decide. */
			if ((part[0] | 0x20) == words[i][0] && (part[1] | 0x20) == words[i][1] &&
				pg_strncasecmp(part, words[i], strlen(words[i])) == 0)
				return true;
		}
	}
	return false;
}

bool
webhook_redact_is_credential(const char *name)
{
	if (!has_word(name))
		return false;
	for (int i = 0; i < lengthof(harmless); i++)
	{
		if (pg_strcasecmp(name, harmless[i]) == 0)
			return false;
	}
	return true;
}

/*
 * Returns true if the text may be a host with or without a port: its first colon
 * is followed by digits only, or it begins with a bracket. Otherwise the colon
 * separates a user from a password.
 */
static bool
ends_like_a_host(const char *host, const char *end)
{
	const char *colon = memchr(host, ':', end - host);

	return colon == NULL || *host == '[' ||
		colon + 1 + strspn(colon + 1, "0123456789") >= end;
}

/* The value of the parameter that begins with a "?" or "&"; *end becomes where it ends. */
static const char *
parameter_value(const char *parameter, const char **end)
{
	const char *name = parameter + 1;
	const char *equals;

	*end = name + strcspn(name, "&#");
	equals = memchr(name, '=', *end - name);
	return equals ? equals + 1 : name;
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

	/* These characters may be part of a password that was not percent-encoded. */
	at = strrchr(rest, '@');
	if (at != NULL && (host == url ? *url != '/' : rest == host || *rest != '/' ||
					   !ends_like_a_host(host, rest)))
		rest = at + 1;
	if (memchr(host, '@', rest - host) == NULL && strpbrk(rest, "?#") == NULL)
		return url;

	initStringInfo(&shown);
	appendBinaryStringInfo(&shown, url, host - url);
	for (const char *end = rest; end > host; end--)
	{
		if (end[-1] == '@')
		{
			appendStringInfoString(&shown, WEBHOOK_REDACTED "@");
			host = end;
			break;
		}
	}
	appendBinaryStringInfo(&shown, host, strcspn(host, "?#"));
	host += strcspn(host, "?#");

	/* Copy the parameters of the query, each with its "?" or "&", without values. */
	while (*host == '?' || *host == '&')
	{
		const char *end;
		const char *value = parameter_value(host, &end);

		appendBinaryStringInfo(&shown, host, value - host);
		if (value < end)
			appendStringInfoString(&shown, WEBHOOK_REDACTED);
		host = end;
	}
	if (*host == '#')
		appendStringInfoString(&shown, "#" WEBHOOK_REDACTED);
	return shown.data;
}

bool
webhook_redact_is_shown_url(const char *url)
{
	const char *at = strchr(url, '?');

	while (at && (*at == '?' || *at == '&'))
	{
		const char *end;
		const char *value = parameter_value(at, &end);

		if (end - value == strlen(WEBHOOK_REDACTED) &&
			memcmp(value, WEBHOOK_REDACTED, end - value) == 0)
			return true;
		at = end;
	}
	return false;
}
