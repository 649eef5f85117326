/*
 * text.c
 *	  Text on its way out, in UTF-8.
 *
 * Some encodings have bytes that stand for no character of Unicode: 0x81 in
 * WIN1252, for example. An event that has one is sent all the same, with the
 * replacement character in its place, because it would keep the later events
 * of its subject waiting for ever, or be lost.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "message/text_internal.h"

#define REPLACEMENT "\xEF\xBF\xBD"	/* U+FFFD */

static struct
{
	bool		reported;		/* the WARNING has been given */
}			replaced;

static const char *convert(const char *text, int length);
static const char *replace_unknown(const char *text, int length);
static void report_once(void);

const char *
webhook_text_to_utf8(const char *text, int length)
{
	const char *converted = convert(text, length);

	return converted != NULL ? converted : replace_unknown(text, length);
}

/* Convert a text; NULL: a character of it has no equal. */
static const char *
convert(const char *text, int length)
{
	MemoryContext old = CurrentMemoryContext;
	const char *volatile converted = NULL;

	PG_TRY();
	{
		converted = pg_server_to_any(text, length, PG_UTF8);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		if (geterrcode() != ERRCODE_UNTRANSLATABLE_CHARACTER)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	return converted;
}

/* Convert a text character by character; what is ASCII needs no conversion. */
static const char *
replace_unknown(const char *text, int length)
{
	StringInfoData result;

	initStringInfo(&result);
	for (const char *end = text + length; text < end;)
	{
		int			size = pg_mblen(text);
		const char *converted;

		if (!IS_HIGHBIT_SET(*text))
		{
			appendStringInfoChar(&result, *text++);
			continue;
		}
		converted = convert(text, size);
		if (converted == NULL)
			report_once();
		appendStringInfoString(&result, converted == NULL ? REPLACEMENT : converted);
		text += size;
	}
	return result.data;
}

static void
report_once(void)
{
	if (replaced.reported)
		return;
	replaced.reported = true;
	ereport(WARNING,
			(errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
			 errmsg("data of webhook events have a character of encoding \"%s\" without an equal in UTF-8",
					GetDatabaseEncodingName()),
			 errdetail("Receivers get U+FFFD in its place, here and in later events.")));
}
