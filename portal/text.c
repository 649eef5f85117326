/*
 * text.c
 *	  What the portal writes itself: strings and errors of JSON, cells of CSV; and
 *	  whether bytes are UTF-8.
 */
#include "portal/text.h"

#include <stdio.h>
#include <string.h>

bool
portal_is_utf8(const char *bytes, size_t length)
{
	const unsigned char *at = (const unsigned char *) bytes;
	const unsigned char *end = at + length;

	while (at < end)
	{
		unsigned char lead = *at++;
		unsigned char low = 0x80;
		unsigned char high = 0xBF;
		int			more;

		if (lead == 0)
			return false;
		if (lead < 0x80)
			continue;
		if (lead < 0xC2 || lead > 0xF4)
			return false;
		more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;

		/* Neither overlong, nor a surrogate, nor beyond U+10FFFF. */
		if (lead == 0xE0)
			low = 0xA0;
		else if (lead == 0xED)
			high = 0x9F;
		else if (lead == 0xF0)
			low = 0x90;
		else if (lead == 0xF4)
			high = 0x8F;
		for (; more > 0; more--)
		{
			if (at >= end || *at < low || *at > high)
				return false;
			at++;
			low = 0x80;
			high = 0xBF;
		}
	}
	return true;
}

void
portal_json_string(PortalBuffer *buffer, const char *text)
{
	if (text == NULL)
	{
		portal_buffer_text(buffer, "null");
		return;
	}
	portal_buffer_text(buffer, "\"");
	while (*text != '\0')
	{
		size_t		plain = 0;

		while ((unsigned char) text[plain] >= ' ' && text[plain] != '"' && text[plain] != '\\')
			plain++;
		portal_buffer_add(buffer, text, plain);
		text += plain;
		if (*text != '\0')
		{
			char		escape[8];

			snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char) *text);
			portal_buffer_text(buffer, escape);
			text++;
		}
	}
	portal_buffer_text(buffer, "\"");
}

void
portal_json_error(PortalBuffer *buffer, const PortalError *error)
{
	portal_buffer_text(buffer, "{\"sqlstate\":");
	portal_json_string(buffer, error->sqlstate);
	portal_buffer_text(buffer, ",\"message\":");
	portal_json_string(buffer, error->message);
	portal_buffer_text(buffer, ",\"detail\":");
	portal_json_string(buffer, error->detail);
	portal_buffer_text(buffer, ",\"hint\":");
	portal_json_string(buffer, error->hint);
	portal_buffer_text(buffer, ",\"column\":");
	portal_json_string(buffer, error->column);
	portal_buffer_text(buffer, "}\n");
}

/* Returns true if a spreadsheet takes a cell that begins so for a formula. */
static bool
begins_formula(const char *text)
{
	/* The last four are full-width: spreadsheets for East Asia take them, too. */
	static const char *const signs[] = {
		"=", "+", "-", "@", "\xEF\xBC\x9D", "\xEF\xBC\x8B", "\xEF\xBC\x8D", "\xEF\xBC\xA0"
	};

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
	{
		if (strncmp(text, signs[i], strlen(signs[i])) == 0)
			return true;
	}
	return false;
}

/*
 * Where lists are separated by semicolons or tabs, a spreadsheet finds the next cell behind
 * one, and the next row behind a newline: it does not see that a field of ours goes on.  A
 * quote at the head of such a cell is no part of it.
 */
void
portal_csv_field(PortalBuffer *buffer, const char *text)
{
	bool		begins_cell = true;

	if (text == NULL)
		return;
	portal_buffer_text(buffer, "\"");
	if (*text != '\0' && strchr("\t\r\n", *text) != NULL)
		portal_buffer_text(buffer, "'");
	while (*text != '\0')
	{
		size_t		plain = strcspn(text, "\";\t\r\n");

		if (begins_cell && begins_formula(text))
			portal_buffer_text(buffer, "'");
		portal_buffer_add(buffer, text, plain);
		text += plain;
		if (plain > 0)
			begins_cell = false;
		if (*text == '"')
			portal_buffer_text(buffer, "\"\"");
		else if (*text != '\0')
		{
			portal_buffer_add(buffer, text, 1);
			begins_cell = true;
		}
		if (*text != '\0')
			text++;
	}
	portal_buffer_text(buffer, "\"");
}
