/*
 * pattern.c
 *	  Which event types a name, "prefix.*" or "*" means.
 *
 * Event types that begin with "webhook." are the extension's own. No pattern means
 * them: who takes everything does not expect events about deliveries.
 */
#include "postgres.h"

#include "subscription/subscription.h"

bool
webhook_pattern_is_own(const char *name, size_t length)
{
	return length >= strlen(WEBHOOK_OWN_PREFIX) &&
		memcmp(name, WEBHOOK_OWN_PREFIX, strlen(WEBHOOK_OWN_PREFIX)) == 0;
}

bool
webhook_pattern_is(const char *text, size_t length)
{
	return length > 0 && text[length - 1] == '*';
}

bool
webhook_pattern_includes(const char *pattern, size_t length, const char *name, size_t name_length)
{
	if (!webhook_pattern_is(pattern, length))
		return length == name_length && memcmp(pattern, name, length) == 0;
	length--;
	return name_length >= length && memcmp(pattern, name, length) == 0 &&
		!webhook_pattern_is_own(name, name_length);
}
