/*
 * row_json_internal.h
 *	  Values of a watched row as JSON and as a subject.
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
	int16		length;			/* as pg_type.typlen */
	bool		byval;
	WebhookForm form;
	FmgrInfo	function;
} WebhookColumn;

/*
 * Find a column by name and prepare for its values; what they need is
 * allocated in "context". False: there is no such column.
 */
extern bool webhook_column_find(WebhookColumn *column, TupleDesc desc,
								const char *name, MemoryContext context);

/* Are two values the same to the last byte? Detoasts only if it has to. */
extern bool webhook_column_same(const WebhookColumn *column,
								Datum a, bool a_is_null,
								Datum b, bool b_is_null);

/*
 * Is the JSON of a value surely longer than so many bytes, or the value so
 * large that rendering it just to find out is out of the question?
 */
extern bool webhook_column_exceeds(const WebhookColumn *column, Datum value,
								   int limit);

/* Append a value as to_json renders it; leaks into CurrentMemoryContext. */
extern void webhook_column_append(WebhookColumn *column, StringInfo out,
								  Datum value, bool is_null);

/*
 * Append a value as a part of a subject: the same without the quotes and
 * escapes of JSON, '%' and '/' as %25 and %2F.
 */
extern void webhook_column_append_key(WebhookColumn *column, StringInfo out,
									  Datum value, bool is_null);

/* Append a JSON string. */
extern void webhook_row_json_append_string(StringInfo out, const char *string,
										   int length);

/*
 * Append a name in PascalCase: an ASCII letter at the start and after '_'
 * becomes upper case, '_' goes, all else stays.
 */
extern void webhook_row_json_append_pascal(StringInfo out, const char *name);

/*
 * Make a subject that is too long fit: what follows the first "prefix" bytes
 * becomes its SHA-256 in hexadecimal.
 */
extern void webhook_row_json_fit_subject(StringInfo subject, int prefix);

#endif							/* WEBHOOK_ROW_JSON_INTERNAL_H */
