/*
 * header.c
 *	  What a header of a subscription may look like.
 *
 * libcurl sends a header as it is given, line breaks included. So a header is
 * accepted only if it cannot end its line and cannot be one of those that
 * frame the message or that the sender sets itself.
 *
 * RFC 9110, sections 5.1, 5.5 and 5.6.2.
 */
#include <string.h>

#include "net/header.h"

static bool check_name(const char *name, size_t length, WebhookCheck *check);
static bool check_value(const char *value, size_t length, WebhookCheck *check);
static bool is_token(unsigned char c);
static bool is_reserved(const char *name, size_t length);

WebhookCheck
webhook_header_check(const char *name, size_t name_length,
					 const char *value, size_t value_length)
{
	WebhookCheck check = {0};

	if (name_length == 0)
		webhook_check_refuse(&check, "Its name is empty.", "Give the header a name.");
	else if (name_length > WEBHOOK_MAX_HEADER_NAME || value_length > WEBHOOK_MAX_HEADER_VALUE)
		webhook_check_refuse_length(&check,
									"A name has at most 256 bytes, a value at most 4096.",
									"Use a shorter one.");
	else if (check_name(name, name_length, &check))
		check_value(value, value_length, &check);
	return check;
}

static bool
check_name(const char *name, size_t length, WebhookCheck *check)
{
	for (size_t i = 0; i < length; i++)
	{
		if (!is_token(name[i]))
			return webhook_check_refuse(check,
										"Its name contains a character that a header's name cannot have.",
										"Use letters, digits and hyphens.");
	}
	if (is_reserved(name, length))
		return webhook_check_refuse(check, "The header is set by the sender itself.",
									"Choose another name.");
	return true;
}

static bool
check_value(const char *value, size_t length, WebhookCheck *check)
{
	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = value[i];

		if (c == '\r' || c == '\n')
			return webhook_check_refuse(check, "Its value contains a line break.", "Remove it.");
		if ((c < 0x20 && c != '\t') || c == 0x7F)
			return webhook_check_refuse(check, "Its value contains a control character.",
										"Remove it.");
		if (c >= 0x80)
			return webhook_check_refuse(check, "Its value contains a character that is not ASCII.",
										"Encode it, for instance in base64.");
	}
	if (length > 0 && (strchr(" \t", value[0]) || strchr(" \t", value[length - 1])))
		return webhook_check_refuse(check, "Its value begins or ends with a blank.",
									"Remove the blank.");
	return true;
}

/* RFC 9110, section 5.6.2: a character that a name may have. */
static bool
is_token(unsigned char c)
{
	return webhook_ascii_is_letter(c) || webhook_ascii_is_digit(c) ||
		(c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Returns true for the names that frame a message, or that the sender sets itself. */
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
		if (length == strlen(names[i]) && webhook_ascii_begins_with(name, length, names[i]))
			return true;
	}
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
	{
		if (webhook_ascii_begins_with(name, length, prefixes[i]))
			return true;
	}
	return false;
}
