/*
 * fixed_settings.c
 *	  Settings under which values of a watched row are rendered, so that one
 *	  value has one text, whoever writes.
 *
 * A subject is made from a key's text and compared for equality, and receivers
 * compare statuses. So a text must not follow a setting of the session. Setting
 * one costs more than rendering a number; so it is done only for types whose
 * text may follow it, and only if it has another value.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "capture/fixed_settings_internal.h"

enum
{
	TIME_ZONE = 1 << 0,
	DATE_STYLE = 1 << 1,
	INTERVAL_STYLE = 1 << 2,
	BYTEA_OUTPUT = 1 << 3,
	FLOAT_DIGITS = 1 << 4,
	MONETARY = 1 << 5,
	NAMES = 1 << 6,				/* of objects: qualified or not, quoted or not */
	ALL = (1 << 7) - 1
};

static const struct
{
	int			setting;
	const char *name;
	const char *value;
}			fixed[] =

{
	{TIME_ZONE, "TimeZone", "UTC"},
	{DATE_STYLE, "DateStyle", "ISO, MDY"},
	{INTERVAL_STYLE, "IntervalStyle", "postgres"},
	{BYTEA_OUTPUT, "bytea_output", "hex"},
	{FLOAT_DIGITS, "extra_float_digits", "1"},
	{MONETARY, "lc_monetary", "C"},
	{NAMES, "search_path", "pg_catalog"},
	{NAMES, "quote_all_identifiers", "off"},
};

int
webhook_fixed_settings_of(Oid type)
{
	Oid			element;

	type = getBaseType(type);
	switch (type)
	{
			/* to_json() renders dates and times in ISO style whatever DateStyle is. */
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case OIDOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
		case CHAROID:
		case UUIDOID:
		case JSONOID:
		case JSONBOID:
		case DATEOID:
		case TIMEOID:
		case TIMETZOID:
		case TIMESTAMPOID:
		case INETOID:
		case CIDROID:
		case MACADDROID:
		case BITOID:
		case VARBITOID:
			return 0;
		case TIMESTAMPTZOID:
			return TIME_ZONE;
		case INTERVALOID:
			return INTERVAL_STYLE;
		case BYTEAOID:
			return BYTEA_OUTPUT;
		case FLOAT4OID:
		case FLOAT8OID:
			return FLOAT_DIGITS;
		case CASHOID:
			return MONETARY;
		case REGCLASSOID:
		case REGTYPEOID:
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
		case REGCOLLATIONOID:
		case REGNAMESPACEOID:
		case REGROLEOID:
			return NAMES;
	}

	/* An array's elements are rendered as values of their type. */
	element = get_element_type(type);
	return OidIsValid(element) ? webhook_fixed_settings_of(element) : ALL;
}

int
webhook_fixed_settings_begin(int settings)
{
	int			level = 0;

	for (int i = 0; settings != 0 && i < lengthof(fixed); i++)
	{
		if ((settings & fixed[i].setting) == 0 ||
			strcmp(GetConfigOption(fixed[i].name, false, false), fixed[i].value) == 0)
			continue;
		if (level == 0)
			level = NewGUCNestLevel();
		(void) set_config_option(fixed[i].name, fixed[i].value, PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	}
	return level;
}

void
webhook_fixed_settings_end(int level)
{
	if (level != 0)
		AtEOXact_GUC(true, level);
}
