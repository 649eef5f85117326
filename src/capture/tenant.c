/*
 * tenant.c
 *	  Whose a watched row is: the tenant in one of its columns.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/lsyscache.h"

#include "capture/tenant_internal.h"
#include "ring/event.h"

static void trim_char(const WebhookColumn *column, StringInfo out, TupleTableSlot *row);

/*
 * A text that is too long for the name of a tenant becomes its SHA-256 in
 * hexadecimal, which is too long as well: the event is no tenant's.
 */
const char *
webhook_tenant_of(WebhookColumn *column, StringInfo out, TupleTableSlot *row)
{
	bool		is_null;
	Datum		value = slot_getattr(row, column->number, &is_null);

	if (is_null)
		return NULL;
	resetStringInfo(out);
	webhook_column_append_plain(column, out, value, false);
	trim_char(column, out, row);
	if (out->len > WEBHOOK_MAX_TENANT)
		webhook_row_json_fit(out, WEBHOOK_MAX_TENANT, 0);
	return out->data;
}

bool
webhook_tenant_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Blanks at the end of a char(n) are no part of its value: 'acme  ' equals 'acme'. */
static void
trim_char(const WebhookColumn *column, StringInfo out, TupleTableSlot *row)
{
	Oid			type = TupleDescAttr(row->tts_tupleDescriptor, column->number - 1)->atttypid;

	if (out->len == 0 || out->data[out->len - 1] != ' ' || getBaseType(type) != BPCHAROID)
		return;
	while (out->len > 0 && out->data[out->len - 1] == ' ')
		out->len--;
	out->data[out->len] = '\0';
}
