/*
 * audit.c
 *	  Rows of webhook_internal.audit: what people have done.
 *
 * The function that does something writes the row in the same transaction, with
 * no privilege on the table and no trigger: whoever may call the function leaves
 * a row. The worker deletes rows that are older than the log.
 *
 * A replay ends if the audit says that its event was erased. Its transaction may be open for
 * longer than the log is kept, so a row also stays as long as a transaction is open that
 * was when it was written, or has a snapshot of then.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/transam.h"
#include "miscadmin.h"
#include "storage/procarray.h"
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

/* How the worker knows which rows no open transaction can be of. */
static struct
{
	bool		marked;			/* the other fields are set */
	TimestampTz settled_before; /* result of settled_before(); DT_NOBEGIN: it is not known yet */
	TimestampTz mark_at;		/* a later time, */
	FullTransactionId mark_next;	/* and the next transaction id of then */
}			retirement;

static TimestampTz settled_before(Relation audit, TimestampTz now);
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
webhook_audit_retire(TimestampTz older_than, TimestampTz now)
{
	WebhookTable *table = webhook_table_open(webhook_catalog_required()->audit,
											 Natts_webhook_audit, RowExclusiveLock);
	ScanKeyData key;
	WebhookScan *scan;
	bool		more = !retirement.marked;
	TimestampTz settled = settled_before(table->relation, now);

	ScanKeyInit(&key, KEY_AT, BTLessStrategyNumber, F_TIMESTAMPTZ_LT,
				TimestampTzGetDatum(Min(older_than, settled)));
	PushActiveSnapshot(GetLatestSnapshot());
	scan = webhook_scan_begin(table->relation, webhook_catalog_required()->audit_at,
							  GetActiveSnapshot(), 1, &key, ForwardScanDirection);
	more |= webhook_table_delete_found(table, scan, RETIRED_ROWS);
	webhook_scan_end(scan);
	PopActiveSnapshot();
	webhook_table_close(table);
	return more;
}

/*
 * No transaction that was running at the result, or has a snapshot of then, is still open.
 * That is known of the times of former calls alone.
 */
static TimestampTz
settled_before(Relation audit, TimestampTz now)
{
	TransactionId oldest = GetOldestNonRemovableTransactionId(audit);

	if (!retirement.marked)
		retirement.settled_before = DT_NOBEGIN;
	else if (TransactionIdPrecedes(oldest, XidFromFullTransactionId(retirement.mark_next)))
		return retirement.settled_before;
	else
		retirement.settled_before = retirement.mark_at;
	retirement.marked = true;
	retirement.mark_at = now;
	retirement.mark_next = ReadNextFullTransactionId();
	return retirement.settled_before;
}

static Datum
role_name(Oid role)
{
	Name		name = palloc0(NAMEDATALEN);

	namestrcpy(name, GetUserNameFromId(role, false));
	return NameGetDatum(name);
}
