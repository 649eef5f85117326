/*
 * audit.c
 *	  Rows of webhook_internal.audit: what people have done.
 *
 * The function that does something writes the row in the same transaction, with
 * no privilege on the table and no trigger: whoever may call the function leaves
 * a row. The worker deletes rows that are older than the log.
 */
#include "postgres.h"

#include "access/genam.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/caller.h"
#include "base/catalog.h"
#include "base/table.h"
#include "store/store.h"

/* The most rows that one call deletes. */
#define RETIRED_ROWS	1000

/* Key column of the index. */
enum
{
	KEY_AT = 1
};

static Datum role_name(Oid role);

void
webhook_audit_write(Datum action, NullableDatum subscription_id, NullableDatum event_id,
					Datum detail, NullableDatum tenant)
{
	WebhookTable *table = webhook_table_open(webhook_catalog_required()->audit,
											 Natts_webhook_audit, RowExclusiveLock);
	Datum		values[Natts_webhook_audit] = {0};
	bool		nulls[Natts_webhook_audit] = {false};

#define SET(name, value) (values[Anum_webhook_audit_##name - 1] = (value))
	SET(at, TimestampTzGetDatum(GetCurrentTimestamp()));
	SET(role, role_name(webhook_caller()));
	SET(outer_role, role_name(GetOuterUserId()));
	SET(session_role, role_name(GetSessionUserId()));
	SET(action, action);
	SET(subscription_id, subscription_id.value);
	SET(event_id, event_id.value);
	SET(detail, detail);
	SET(tenant, tenant.value);
#undef SET
	nulls[Anum_webhook_audit_tenant - 1] = tenant.isnull;
	nulls[Anum_webhook_audit_subscription_id - 1] = subscription_id.isnull;
	nulls[Anum_webhook_audit_event_id - 1] = event_id.isnull;

	webhook_table_insert(table, values, nulls);
	webhook_table_close(table);
}

bool
webhook_audit_retire(TimestampTz older_than)
{
	WebhookTable *table = webhook_table_open(webhook_catalog_required()->audit,
											 Natts_webhook_audit, RowExclusiveLock);
	ScanKeyData key;
	WebhookScan *scan;
	bool		more;

	ScanKeyInit(&key, KEY_AT, BTLessStrategyNumber, F_TIMESTAMPTZ_LT,
				TimestampTzGetDatum(older_than));
	PushActiveSnapshot(GetLatestSnapshot());
	scan = webhook_scan_begin(table->relation, webhook_catalog_required()->audit_at,
							  GetActiveSnapshot(), 1, &key, ForwardScanDirection);
	more = webhook_table_delete_found(table, scan, RETIRED_ROWS);
	webhook_scan_end(scan);
	PopActiveSnapshot();
	webhook_table_close(table);
	return more;
}

static Datum
role_name(Oid role)
{
	Name		name = palloc0(NAMEDATALEN);

	namestrcpy(name, GetUserNameFromId(role, false));
	return NameGetDatum(name);
}
