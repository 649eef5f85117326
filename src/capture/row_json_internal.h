/*
 * row_json_internal.h
 *	  Renders values of a watched row as JSON, and as parts of a subject.
 */
#ifndef WEBHOOK_ROW_JSON_INTERNAL_H
#define WEBHOOK_ROW_JSON_INTERNAL_H

#include "access/attnum.h"
#include "access/tupdesc.h"
#include "fmgr.h"
#include "lib/stringinfo.h"

/* How the values of a column become text. */
typedef enum WebhookForm
{
	WEBHOOK_FORM_INT2,
	WEBHOOK_FORM_INT4,
	WEBHOOK_FORM_INT8,
	WEBHOOK_FORM_BOOL,
	WEBHOOK_FORM_TEXT,			/* the value is the text */
	WEBHOOK_FORM_OUTPUT,		/* "function" is the type's output function */
	WEBHOOK_FORM_JSON,			/* "function" is to_json */
} WebhookForm;

/* A column of a relation. */
typedef struct WebhookColumn
{
	AttrNumber	number;
	int16		length;			/* pg_attribute.attlen */
	bool		byval;			/* pg_attribute.attbyval */
	WebhookForm form;
	FmgrInfo	function;		/* for WEBHOOK_FORM_OUTPUT and WEBHOOK_FORM_JSON */
	int			settings;		/* that the text of its values follows, see fixed_settings */
} WebhookColumn;

/*
 * Find a column by name, and prepare to render its values; memory for that is
 * allocated in "context". Returns false if there is no such column.
 */
extern bool webhook_column_find(WebhookColumn *column, TupleDesc desc,
								const char *name, MemoryContext context);

/*
 * Returns true if the images of two values are equal, or both are null. Detoasts
 * only if it has to.
 */
extern bool webhook_column_same(const WebhookColumn *column,
								Datum a, bool a_is_null,
								Datum b, bool b_is_null);

/*
 * Returns true if the JSON of a value is certainly longer than "limit" bytes, or
 * if the value is too large to be rendered at all.
 */
extern bool webhook_column_exceeds(const WebhookColumn *column, Datum value,
								   int limit);

/*
 * Append a value as to_json() renders it; the column's settings have been fixed.
 * Leaks into CurrentMemoryContext.
 */
extern void webhook_column_append(WebhookColumn *column, StringInfo out,
								  Datum value, bool is_null);

/*
 * Append a value as to_json() renders it, but a string without its quotes and
 * escapes. Leaks into CurrentMemoryContext.
 */
extern void webhook_column_append_plain(WebhookColumn *column, StringInfo out,
										Datum value, bool is_null);

/* The same as a part of a subject: '%' and '/' in it as %25 and %2F. */
extern void webhook_column_append_key(WebhookColumn *column, StringInfo out,
									  Datum value, bool is_null);

/* Append a part of a subject: '%' and '/' in it as %25 and %2F. */
extern void webhook_row_json_append_escaped(StringInfo out, const char *part, int length);

/* Append a string of "length" bytes as a JSON string. */
extern void webhook_row_json_append_string(StringInfo out, const char *string,
										   int length);

/*
 * Append the key of Data that has the key of the row: the watch's name in PascalCase,
 * and "Id". An ASCII letter at the start or after '_' is made upper case, and '_' is
 * left out; other characters are unchanged.
 */
extern void webhook_row_json_append_key_name(StringInfo out, const char *name);

/*
 * In a text that is longer than "limit", replace the part after the first "prefix"
 * bytes by its SHA-256 in hexadecimal. Where the limit is less than the length of
 * that, this alone is left.
 */
extern void webhook_row_json_fit(StringInfo text, int limit, int prefix);

#endif							/* WEBHOOK_ROW_JSON_INTERNAL_H */
