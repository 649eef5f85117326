/*
 * check.h
 *	  The result of checking a URL or a header, and the classes of characters
 *	  that the checks need.
 *
 * The classes are those of ASCII. Those of ctype.h and strings.h depend on the
 * locale, which differs from server to server.
 */
#ifndef WEBHOOK_CHECK_H
#define WEBHOOK_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* Why a text is refused, in constant English sentences. */
typedef struct WebhookCheck
{
	const char *problem;		/* a sentence for a DETAIL; NULL if the text is accepted */
	const char *hint;			/* a sentence for a HINT */
	bool		too_long;		/* the text is refused for its length, not for its form */
} WebhookCheck;

/* Note why the text is refused. Returns false, so that a check can end with it. */
static inline bool
webhook_check_refuse(WebhookCheck *check, const char *problem, const char *hint)
{
	check->problem = problem;
	check->hint = hint;
	return false;
}

/* The same for a text that is too long. */
static inline bool
webhook_check_refuse_length(WebhookCheck *check, const char *problem, const char *hint)
{
	check->too_long = true;
	return webhook_check_refuse(check, problem, hint);
}

static inline bool
webhook_ascii_is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
webhook_ascii_is_letter(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool
webhook_ascii_is_hex(unsigned char c)
{
	return webhook_ascii_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static inline unsigned char
webhook_ascii_lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* Returns true if the bytes begin with "start", in any case; "start" is in lower case. */
static inline bool
webhook_ascii_begins_with(const char *bytes, size_t length, const char *start)
{
	size_t		i = 0;

	while (i < length && start[i] != '\0' && webhook_ascii_lower(bytes[i]) == start[i])
		i++;
	return start[i] == '\0';
}

#endif							/* WEBHOOK_CHECK_H */
