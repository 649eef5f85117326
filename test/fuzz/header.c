/*
 * header.c
 *	  Fuzz target: no accepted header can break out of its line or pretend to
 *	  be one of the sender's own.
 *
 * Input: the length of the name, the name, the value.
 */
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "net/header.h"

#include "fuzz.h"

static const char token[] = "!#$%&'*+-.^_`|~0123456789"
"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* RFC 9110, sections 5.5 and 5.6.2, read a second time. */
static bool
is_well_formed(const char *name, size_t name_length,
			   const char *value, size_t value_length)
{
	size_t		i;

	for (i = 0; i < name_length; i++)
	{
		if (memchr(token, name[i], sizeof(token) - 1) == NULL)
			return false;
	}
	for (i = 0; i < value_length; i++)
	{
		unsigned char c = value[i];

		if (!(c == '\t' || (c >= ' ' && c <= '~')))
			return false;
		if ((c == '\t' || c == ' ') && (i == 0 || i == value_length - 1))
			return false;
	}
	return name_length > 0;
}

static bool
is_called(const char *name, size_t length, const char *reserved)
{
	return length == strlen(reserved) &&
		strncasecmp(name, reserved, length) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *name = (const char *) data + 1;
	size_t		name_length;
	const char *value;
	size_t		value_length;
	bool		too_long;
	bool		well_formed;
	WebhookCheck check;

	if (size == 0)
		return 0;
	name_length = data[0] < size - 1 ? data[0] : size - 1;

	/* 255: all of the input is the name, so that it can be over the limit. */
	if (data[0] == 255)
		name_length = size - 1;
	value = name + name_length;
	value_length = size - 1 - name_length;

	check = webhook_header_check(name, name_length, value, value_length);
	too_long = name_length > WEBHOOK_MAX_HEADER_NAME ||
		value_length > WEBHOOK_MAX_HEADER_VALUE;
	well_formed = is_well_formed(name, name_length, value, value_length);
	if (check.problem == NULL)
	{
		FUZZ_CHECK(well_formed && !too_long);
		FUZZ_CHECK(!is_called(name, name_length, "host"));
		FUZZ_CHECK(!is_called(name, name_length, "content-length"));
		FUZZ_CHECK(!is_called(name, name_length, "transfer-encoding"));
		FUZZ_CHECK(!is_called(name, name_length, "connection"));
		FUZZ_CHECK(name_length < 8 || strncasecmp(name, "webhook-", 8) != 0);
		FUZZ_CHECK(name_length < 6 || strncasecmp(name, "proxy-", 6) != 0);
	}
	else
	{
		FUZZ_CHECK(check.problem[0] != '\0');
		FUZZ_CHECK(check.hint != NULL && check.hint[0] != '\0');
		FUZZ_CHECK(!check.too_long || too_long);

		/* A name that begins with "x-" is never reserved. */
		FUZZ_CHECK(!well_formed || too_long ||
				   strncasecmp(name, "x-", 2) != 0);
	}
	return 0;
}
