/*
 * row_json.c
 *	  Renders values of a watched row as JSON, and as parts of a subject.
 *
 * A value is sent as to_json() renders it, so to_json() itself is called for
 * most types. It looks up the type at each call, which costs more than all the
 * rest of an event. Therefore the types that statuses and keys usually have are
 * rendered here, to the same text.
 *
 * Subjects are compared for equality, and sessions with different settings make
 * them. So a subject is made from the JSON, and the settings that the JSON
 * follows are fixed by the caller.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "capture/fixed_settings_internal.h"
#include "capture/row_json_internal.h"
#include "ring/event.h"

/* Larger values are never rendered, because escapes can make a value six times as long. */
#define MAX_RENDERED (128 * 1024 * 1024)

static Form_pg_attribute find_attribute(TupleDesc desc, const char *name);
static WebhookForm choose_form(Oid type);
static void prepare_to_json(FmgrInfo *function, Oid type, int32 typmod,
							Oid collation, MemoryContext context);

PG_FUNCTION_INFO_V1(webhook_key_name);

bool
webhook_column_find(WebhookColumn *column, TupleDesc desc, const char *name,
					MemoryContext context)
{
	Form_pg_attribute attribute = find_attribute(desc, name);
	Oid			output;
	bool		is_varlena;

	if (attribute == NULL)
		return false;

	column->number = attribute->attnum;
	column->length = attribute->attlen;
	column->byval = attribute->attbyval;
	column->form = choose_form(getBaseType(attribute->atttypid));

	if (column->form == WEBHOOK_FORM_OUTPUT)
	{
		getTypeOutputInfo(attribute->atttypid, &output, &is_varlena);
		fmgr_info_cxt(output, &column->function, context);
	}
	else if (column->form == WEBHOOK_FORM_JSON)
	{
		prepare_to_json(&column->function, attribute->atttypid,
						attribute->atttypmod, attribute->attcollation, context);
		column->settings = webhook_fixed_settings_of(attribute->atttypid);
	}
	return true;
}

/* The column of that name; NULL if there is none. */
static Form_pg_attribute
find_attribute(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped &&
			strcmp(NameStr(attribute->attname), name) == 0)
			return attribute;
	}
	return NULL;
}

/*
 * The form of a type's values. An enum that has a cast to json is left to
 * to_json(), which uses that cast.
 */
static WebhookForm
choose_form(Oid type)
{
	Oid			cast;

	switch (type)
	{
		case INT2OID:
			return WEBHOOK_FORM_INT2;
		case INT4OID:
			return WEBHOOK_FORM_INT4;
		case INT8OID:
			return WEBHOOK_FORM_INT8;
		case BOOLOID:
			return WEBHOOK_FORM_BOOL;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return WEBHOOK_FORM_TEXT;
		case UUIDOID:
			return WEBHOOK_FORM_OUTPUT;
	}

	if (get_typtype(type) == TYPTYPE_ENUM &&
		find_coercion_pathway(JSONOID, type, COERCION_EXPLICIT,
							  &cast) != COERCION_PATH_FUNC)
		return WEBHOOK_FORM_OUTPUT;
	return WEBHOOK_FORM_JSON;
}

/*
 * Prepare to call to_json() for a type. It learns the type of its argument from
 * the expression that calls it, so one is made.
 */
static void
prepare_to_json(FmgrInfo *function, Oid type, int32 typmod, Oid collation,
				MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Const	   *argument = makeNullConst(type, typmod, collation);
	FuncExpr   *call = makeFuncExpr(F_TO_JSON, JSONOID, list_make1(argument),
									InvalidOid, InvalidOid,
									COERCE_EXPLICIT_CALL);

	fmgr_info_cxt(F_TO_JSON, function, context);
	fmgr_info_set_expr((Node *) call, function);
	MemoryContextSwitchTo(old);
}

bool
webhook_column_same(const WebhookColumn *column, Datum a, bool a_is_null,
					Datum b, bool b_is_null)
{
	if (a_is_null || b_is_null)
		return a_is_null && b_is_null;

	/* What an UPDATE has not changed is the same in each byte, a TOAST pointer included. */
	if (column->length == -1)
	{
		char	   *p = DatumGetPointer(a);
		char	   *q = DatumGetPointer(b);

		if (VARSIZE_ANY(p) == VARSIZE_ANY(q) && memcmp(p, q, VARSIZE_ANY(p)) == 0)
			return true;
	}

	return datum_image_eq(a, b, column->byval, column->length);
}

bool
webhook_column_exceeds(const WebhookColumn *column, Datum value, int limit)
{
	Size		size;

	if (column->length != -1)
		return false;

	size = toast_raw_datum_size(value) - VARHDRSZ;
	if (column->form == WEBHOOK_FORM_TEXT)
		return size > limit;

	/* The JSON may be much shorter than the binary form of the value. */
	return size > MAX_RENDERED || size / 16 > limit;
}

void
webhook_column_append(WebhookColumn *column, StringInfo out, Datum value,
					  bool is_null)
{
	text	   *string;
	char	   *output;

	if (is_null)
	{
		appendBinaryStringInfo(out, "null", 4);
		return;
	}

	switch (column->form)
	{
		case WEBHOOK_FORM_INT2:
			enlargeStringInfo(out, MAXINT8LEN + 1);
			out->len += pg_ltoa(DatumGetInt16(value), out->data + out->len);
			break;
		case WEBHOOK_FORM_INT4:
			enlargeStringInfo(out, MAXINT8LEN + 1);
			out->len += pg_ltoa(DatumGetInt32(value), out->data + out->len);
			break;
		case WEBHOOK_FORM_INT8:
			enlargeStringInfo(out, MAXINT8LEN + 1);
			out->len += pg_lltoa(DatumGetInt64(value), out->data + out->len);
			break;
		case WEBHOOK_FORM_BOOL:
			appendStringInfoString(out, DatumGetBool(value) ? "true" : "false");
			break;
		case WEBHOOK_FORM_TEXT:
			string = DatumGetTextPP(value);
			webhook_row_json_append_string(out, VARDATA_ANY(string),
										   VARSIZE_ANY_EXHDR(string));
			break;
		case WEBHOOK_FORM_OUTPUT:
			output = OutputFunctionCall(&column->function, value);
			webhook_row_json_append_string(out, output, strlen(output));
			break;
		case WEBHOOK_FORM_JSON:
			string = DatumGetTextPP(FunctionCall1(&column->function, value));
			appendBinaryStringInfo(out, VARDATA_ANY(string),
								   VARSIZE_ANY_EXHDR(string));
			break;
	}
}

void
webhook_column_append_key(WebhookColumn *column, StringInfo out, Datum value,
						  bool is_null)
{
	StringInfoData plain;

	/* Numbers and booleans have nothing to escape. */
	if (is_null || column->form < WEBHOOK_FORM_TEXT)
	{
		webhook_column_append(column, out, value, is_null);
		return;
	}
	initStringInfo(&plain);
	webhook_column_append_plain(column, &plain, value, is_null);
	webhook_row_json_append_escaped(out, plain.data, plain.len);
	pfree(plain.data);
}

void
webhook_column_append_plain(WebhookColumn *column, StringInfo out, Datum value,
							bool is_null)
{
	text	   *string;

	if (!is_null && column->form == WEBHOOK_FORM_TEXT)
	{
		string = DatumGetTextPP(value);
		appendBinaryStringInfo(out, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
	}
	else if (!is_null && column->form == WEBHOOK_FORM_OUTPUT)
		appendStringInfoString(out, OutputFunctionCall(&column->function, value));
	else if (!is_null && column->form == WEBHOOK_FORM_JSON)
	{
		Datum		json = FunctionCall1(&column->function, value);
		ArrayType  *path;

		/* With an empty path, json_extract_path_text() converts a JSON string to its text. */
		string = DatumGetTextPP(json);
		if (VARSIZE_ANY_EXHDR(string) > 0 && *VARDATA_ANY(string) == '"')
		{
			path = construct_empty_array(TEXTOID);
			json = DirectFunctionCall2(json_extract_path_text, json,
									   PointerGetDatum(path));
			string = DatumGetTextPP(json);
		}
		appendBinaryStringInfo(out, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
	}
	else
		webhook_column_append(column, out, value, is_null);
}

/* The escapes make sure that different keys have different subjects. */
void
webhook_row_json_append_escaped(StringInfo out, const char *part, int length)
{
	int			i;

	enlargeStringInfo(out, length);
	for (i = 0; i < length; i++)
	{
		if (part[i] == '%')
			appendBinaryStringInfo(out, "%25", 3);
		else if (part[i] == '/')
			appendBinaryStringInfo(out, "%2F", 3);
		else
			appendStringInfoCharMacro(out, part[i]);
	}
}

void
webhook_row_json_append_string(StringInfo out, const char *string, int length)
{
	int			i;

	for (i = 0; i < length; i++)
	{
		unsigned char c = string[i];

		if (c < ' ' || c == '"' || c == '\\')
		{
			char	   *copy = pnstrdup(string, length);

			escape_json(out, copy);
			pfree(copy);
			return;
		}
	}

	enlargeStringInfo(out, length + 2);
	appendStringInfoCharMacro(out, '"');
	appendBinaryStringInfo(out, string, length);
	appendStringInfoCharMacro(out, '"');
}

void
webhook_row_json_append_key_name(StringInfo out, const char *name)
{
	bool		upper = true;

	for (; *name; name++)
	{
		char		c = *name;

		if (c == '_')
		{
			upper = true;
			continue;
		}
		if (upper && c >= 'a' && c <= 'z')
			c += 'A' - 'a';
		appendStringInfoCharMacro(out, c);
		upper = false;
	}
	appendStringInfoString(out, "Id");
}

/*
 * webhook_internal.key_name(name text): the key of Data that has the key of a row of
 * the watch of that name
 */
Datum
webhook_key_name(PG_FUNCTION_ARGS)
{
	StringInfoData key;

	initStringInfo(&key);
	webhook_row_json_append_key_name(&key, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(key.data, key.len));
}

void
webhook_row_json_fit(StringInfo text, int limit, int prefix)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	pg_cryptohash_ctx *context;

	if (text->len <= limit)
		return;

	context = pg_cryptohash_create(PG_SHA256);
	if (pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (uint8 *) text->data + prefix,
							 text->len - prefix) < 0 ||
		pg_cryptohash_final(context, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute SHA-256: %s",
			 pg_cryptohash_error(context));
	pg_cryptohash_free(context);

	prefix = pg_mbcliplen(text->data, prefix,
						  limit - 2 * PG_SHA256_DIGEST_LENGTH);
	enlargeStringInfo(text, 2 * PG_SHA256_DIGEST_LENGTH);
	text->len = prefix +
		hex_encode((char *) digest, sizeof(digest), text->data + prefix);
	text->data[text->len] = '\0';
}
