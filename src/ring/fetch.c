/*
 * fetch.c
 *	  Fetches rows of the ring by key, for what was read before as a key only.
 *
 * A row is found by an index scan over its transaction in its ring table, which
 * goes on to the next row of the same transaction. It lives in one transaction
 * of this process; an error frees it with the transaction.
 */
#include "postgres.h"

#include "access/table.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "base/catalog.h"
#include "base/table.h"
#include "ring/fetch_internal.h"
#include "ring/ring_row_internal.h"

/*
 * So many ids further on the row is looked up: rows that were rolled back may be between, any
 * number of them, and would be walked over.
 */
#define FAR_IDS 100

/* A scan over the rows of one transaction in one ring table, in order of id. */
typedef struct Source
{
	Relation	relation;		/* NULL: not open yet */
	WebhookScan *scan;
	FullTransactionId txid;
	bool		found;			/* the scan is at a row */
	int64		id;				/* of that row */
} Source;

struct WebhookFetch
{
	Source		sources[WEBHOOK_RING_TABLES];
};

static void start_source(Source *source, const WebhookRingKey *key);
static void step_source(Source *source);

WebhookFetch *
webhook_fetch_begin(void)
{
	return palloc0(sizeof(WebhookFetch));
}

void
webhook_fetch_end(WebhookFetch *fetch)
{
	for (int i = 0; i < WEBHOOK_RING_TABLES; i++)
	{
		if (fetch->sources[i].relation != NULL)
		{
			webhook_scan_end(fetch->sources[i].scan);
			table_close(fetch->sources[i].relation, NoLock);
		}
	}
	pfree(fetch);
}

TupleTableSlot *
webhook_fetch_row(WebhookFetch *fetch, const WebhookRingKey *key)
{
	Source	   *source = &fetch->sources[key->table_no];

	if (source->relation == NULL || !FullTransactionIdEquals(source->txid, key->txid) ||
		!source->found || source->id > key->id || key->id - source->id > FAR_IDS)
		start_source(source, key);
	while (source->found && source->id < key->id)
		step_source(source);
	return source->found && source->id == key->id ? source->scan->slot : NULL;
}

WebhookEvent *
webhook_fetch_event(WebhookFetch *fetch, const WebhookRingKey *key)
{
	TupleTableSlot *row = webhook_fetch_row(fetch, key);
	WebhookEvent *event = row == NULL ? NULL : webhook_ring_row_event(row);

	if (event != NULL)
		event->table_no = key->table_no;
	return event;
}

/* Scan the transaction of a key, from its row on. */
static void
start_source(Source *source, const WebhookRingKey *key)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_XID8EQ,
				FullTransactionIdGetDatum(key->txid));
	ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(key->id));
	if (source->relation == NULL)
	{
		Oid			index = webhook_catalog_required()->event_index[key->table_no];

		source->relation = table_open(webhook_catalog_required()->event[key->table_no],
									  AccessShareLock);
		source->scan = webhook_scan_begin(source->relation, index, GetActiveSnapshot(),
										  lengthof(keys), keys, ForwardScanDirection);
	}
	else
		webhook_scan_restart(source->scan, keys);
	source->txid = key->txid;
	step_source(source);
}

static void
step_source(Source *source)
{
	bool		isnull;

	source->found = webhook_scan_next(source->scan);
	if (source->found)
		source->id = DatumGetInt64(slot_getattr(source->scan->slot, Anum_webhook_event_id,
												&isnull));
}
