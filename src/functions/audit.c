/*
 * audit.c
 *	  SQL functions audit(), audit_of() and audit_of_watch(), which the functions that
 *	  people call end with.
 *
 * A row names who has called those. The first two are the owner's: what the audit says of
 * erasures is believed. The third is executed as whoever called watch(), so who calls it by
 * itself can add a row about a watch in their own name, and no other. The install script and
 * update scripts are no acts of people.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/refusal.h"
#include "store/store.h"

static void write_row(Datum action, NullableDatum subscription, NullableDatum event,
					  Datum detail, NullableDatum tenant);
static NullableDatum tenant_of(Datum subscription);

PG_FUNCTION_INFO_V1(webhook_audit);
PG_FUNCTION_INFO_V1(webhook_audit_of_watch);

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
	detail = PG_ARGISNULL(3) ? DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")) :
		PG_GETARG_DATUM(3);
	if (PG_NARGS() > 4)
		tenant = fcinfo->args[4];
	else if (!subscription.isnull)
		tenant = tenant_of(subscription.value);
	write_row(PG_GETARG_DATUM(0), subscription, event, detail, tenant);
	PG_RETURN_VOID();
}

/*
 * audit_of_watch(action text, detail jsonb): write a row of the audit; the action is watch,
 * alter_watch or unwatch
 */
Datum
webhook_audit_of_watch(PG_FUNCTION_ARGS)
{
	static const char *const actions[] = {"watch", "alter_watch", "unwatch"};
	NullableDatum none = {.isnull = true};
	char	   *action = text_to_cstring(PG_GETARG_TEXT_PP(0));
	bool		known = false;

	for (int i = 0; i < lengthof(actions); i++)
		known |= strcmp(action, actions[i]) == 0;
	if (!known)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("action"),
				 errmsg("action must be watch, alter_watch or unwatch, not \"%s\"",
						webhook_clip(action)),
				 errhint("Call webhook.watch(), webhook.alter_watch() or webhook.unwatch().")));
	write_row(PG_GETARG_DATUM(0), none, none, PG_GETARG_DATUM(1), none);
	PG_RETURN_VOID();
}

static void
write_row(Datum action, NullableDatum subscription, NullableDatum event, Datum detail,
		  NullableDatum tenant)
{
	PreventCommandIfReadOnly(psprintf("webhook.%s()", TextDatumGetCString(action)));
	if (!creating_extension)
		webhook_audit_write(action, subscription, event, detail, tenant);
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
