/*
 * audit.c
 *	  SQL function audit(), which the functions that people call end with.
 *
 * It is executed as whoever called those: its row names them, so who calls it by
 * itself can add a row in their own name, and no other.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "store/store.h"

static NullableDatum tenant_of(Datum subscription);

PG_FUNCTION_INFO_V1(webhook_audit);

/*
 * audit(action text, subscription bigint, event uuid, detail jsonb), audit_of(..., tenant
 * text): write a row of the audit. NULL as detail is an empty object. The first takes the
 * tenant from the subscription, if there is one and it still exists.
 */
Datum
webhook_audit(PG_FUNCTION_ARGS)
{
	NullableDatum subscription = fcinfo->args[1];
	NullableDatum event = fcinfo->args[2];
	NullableDatum tenant = {.isnull = true};
	Datum		detail;

	if (PG_ARGISNULL(0))
		elog(ERROR, "action must not be null");
	PreventCommandIfReadOnly(psprintf("webhook.%s()", text_to_cstring(PG_GETARG_TEXT_PP(0))));
	detail = PG_ARGISNULL(3) ? DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")) :
		PG_GETARG_DATUM(3);
	if (PG_NARGS() > 4)
		tenant = fcinfo->args[4];
	else if (!subscription.isnull)
		tenant = tenant_of(subscription.value);
	webhook_audit_write(PG_GETARG_DATUM(0), subscription, event, detail, tenant);
	PG_RETURN_VOID();
}

/* The tenant of a subscription; NULL also if there is no such subscription any more. */
static NullableDatum
tenant_of(Datum subscription)
{
	const WebhookCatalog *catalog = webhook_catalog_required();
	Relation	table = table_open(catalog->subscription, AccessShareLock);
	Oid			index = get_relname_relid("subscription_pkey", catalog->internal_schema);
	AttrNumber	column = get_attnum(RelationGetRelid(table), "tenant");
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;
	NullableDatum tenant = {.isnull = true};

	/* Column "id". */
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, subscription);
	scan = systable_beginscan(table, index, OidIsValid(index), NULL, 1, &key);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row) && column != InvalidAttrNumber)
		tenant.value = heap_getattr(row, column, RelationGetDescr(table), &tenant.isnull);
	if (!tenant.isnull)
		tenant.value = PointerGetDatum(DatumGetTextPCopy(tenant.value));
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return tenant;
}
