/*
 * tenant.c
 *	  Whose a watched row is: the tenant in one of its columns.
 */
#include "postgres.h"

#include "capture/tenant_internal.h"
#include "ring/event.h"

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
	webhook_row_json_fit(out, WEBHOOK_MAX_TENANT, 0);
	return out->data;
}

bool
webhook_tenant_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}
