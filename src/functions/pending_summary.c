/*
 * pending_summary.c
 *	  SQL function pending_summary(): what waits, of each subscription.
 *
 * An index has each value at the beginning of a subscription's entries, so that a
 * subscription costs a few look-ups, however much of it waits. SQL could do the same,
 * and takes five times as long: views ask for all subscriptions.
 *
 * EXECUTE on the function is the permission.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/table.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "base/table.h"

#define KEY_SUBSCRIPTION_ID 1	/* column of each of the indexes */

#define SUMMARY_COLUMNS 4

/* The scans of one call, each of which is begun again for each subscription. */
typedef struct Scans
{
	Relation	pending;
	Relation	pending_count;
	WebhookScan *next;			/* of rows of the next subscription, the oldest first */
	WebhookScan *rows;			/* of all rows of one */
	WebhookScan *due;			/* of its heads, in order of next_at */
	WebhookScan *number;		/* of its row of pending_count */
} Scans;

static WebhookScan *seek(WebhookScan *scan, Relation relation, Oid index, StrategyNumber strategy,
						 int64 subscription_id);
static void fill(Scans *scans, int64 subscription_id, Datum *values, bool *nulls);

PG_FUNCTION_INFO_V1(webhook_pending_summary);

/*
 * pending_summary() -> (subscription_id, pending, oldest_pending, next_at), a row for each
 * subscription that has rows in webhook_internal.pending. The number is the worker's; one
 * that it has not counted is counted.
 */
Datum
webhook_pending_summary(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const WebhookCatalog *catalog = webhook_catalog_required();
	Scans		scans = {0};
	int64		subscription_id = PG_INT64_MIN;

	InitMaterializedSRF(fcinfo, 0);
	scans.pending = table_open(catalog->pending, AccessShareLock);
	scans.pending_count = table_open(catalog->pending_count, AccessShareLock);
	for (;;)
	{
		Datum		values[SUMMARY_COLUMNS];
		bool		nulls[SUMMARY_COLUMNS] = {false};

		CHECK_FOR_INTERRUPTS();
		scans.next = seek(scans.next, scans.pending, catalog->pending_queued,
						  BTGreaterStrategyNumber, subscription_id);
		if (!webhook_scan_next(scans.next))
			break;
		subscription_id =
			DatumGetInt64(webhook_row_column(scans.next->slot,
											 Anum_webhook_pending_subscription_id,
											 "webhook_internal.pending"));
		fill(&scans, subscription_id, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	webhook_scan_end(scans.next);
	if (scans.due != NULL)
	{
		webhook_scan_end(scans.due);
		webhook_scan_end(scans.number);
	}
	if (scans.rows != NULL)
		webhook_scan_end(scans.rows);
	table_close(scans.pending_count, AccessShareLock);
	table_close(scans.pending, AccessShareLock);
	return (Datum) 0;
}

/* Begin a scan of the rows of a subscription, or of those after it; NULL: it is a new one. */
static WebhookScan *
seek(WebhookScan *scan, Relation relation, Oid index, StrategyNumber strategy,
	 int64 subscription_id)
{
	ScanKeyData key;

	ScanKeyInit(&key, KEY_SUBSCRIPTION_ID, strategy,
				strategy == BTGreaterStrategyNumber ? F_INT8GT : F_INT8EQ,
				Int64GetDatum(subscription_id));
	if (scan == NULL)
		return webhook_scan_begin(relation, index, GetActiveSnapshot(), 1, &key,
								  ForwardScanDirection);
	webhook_scan_restart(scan, &key);
	return scan;
}

/* The columns of a subscription; scans->next is at its oldest row. */
static void
fill(Scans *scans, int64 subscription_id, Datum *values, bool *nulls)
{
	const WebhookCatalog *catalog = webhook_catalog_required();
	int64		pending = 0;

	values[0] = Int64GetDatum(subscription_id);
	values[2] = webhook_row_column(scans->next->slot, Anum_webhook_pending_queued_at,
								   "webhook_internal.pending");

	scans->number = seek(scans->number, scans->pending_count, catalog->pending_count_pkey,
						 BTEqualStrategyNumber, subscription_id);
	if (webhook_scan_next(scans->number))
		values[1] = webhook_row_column(scans->number->slot, Anum_webhook_pending_count_pending,
									   "webhook_internal.pending_count");
	else
	{
		scans->rows = seek(scans->rows, scans->pending, catalog->pending_queued,
						   BTEqualStrategyNumber, subscription_id);
		while (webhook_scan_next(scans->rows))
		{
			CHECK_FOR_INTERRUPTS();
			pending++;
		}
		values[1] = Int64GetDatum(pending);
	}

	scans->due = seek(scans->due, scans->pending, catalog->pending_due, BTEqualStrategyNumber,
					  subscription_id);
	nulls[3] = !webhook_scan_next(scans->due);
	if (!nulls[3])
		values[3] = webhook_row_column(scans->due->slot, Anum_webhook_pending_next_at,
									   "webhook_internal.pending");
}
