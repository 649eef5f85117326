/*
 * pending_heads.c
 *	  Which deliveries in webhook.pending are due.
 *
 * A queue that is worked off at its left edge leaves dead index entries there,
 * for as long as somebody's old snapshot keeps them. Walking over them at each
 * look would cost the square of the queue's length, so this process remembers,
 * for each subscription, an instant before which no head is left: a floor. It
 * is only a hint. An abort forgets it, for rows may have come back; and so
 * does a minute, so that rows that somebody restored into the table are found.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/table.h"
#include "store/pending_internal.h"

#define FLOOR_SECONDS	60		/* that a floor is believed */

/* Key columns of pending_due_idx. */
enum
{
	KEY_SUBSCRIPTION = 1,
	KEY_NEXT_AT
};

/* No head of the subscription is due before "next_at". */
typedef struct Floor
{
	int64		subscription_id;	/* hash key */
	TimestampTz next_at;
	TimestampTz full_scan;		/* when the last scan without it was */
	uint64		aborts;			/* value of "aborts" then */
} Floor;

static HTAB *floors = NULL;
static uint64 aborts = 0;		/* transactions and savepoints undone */

static WebhookScan *scan_heads(Relation relation, Snapshot snapshot,
							   int64 subscription_id, Floor **floor);
static bool is_skipped(TupleTableSlot *slot, WebhookRowTest skip, void *arg);
static void forget_floors(XactEvent event, void *arg);
static void forget_floors_sub(SubXactEvent event, SubTransactionId mySubid,
							  SubTransactionId parentSubid, void *arg);

List *
webhook_pending_due(int64 subscription_id, TimestampTz until,
					int limit, Size max_bytes,
					WebhookRowTest skip, void *arg, TimestampTz *next)
{
	List	   *rows = NIL;
	Size		bytes = 0;
	bool		first = true;
	Relation	relation;
	Snapshot	snapshot;
	WebhookScan *scan;
	Floor	   *floor;

	*next = 0;
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	relation = table_open(webhook_catalog_required()->pending,
						  AccessShareLock);
	scan = scan_heads(relation, snapshot, subscription_id, &floor);
	while (webhook_scan_next(scan))
	{
		TupleTableSlot *slot = scan->slot;
		TimestampTz next_at = webhook_pending_row_next_at(slot);
		WebhookPending *row;

		CHECK_FOR_INTERRUPTS();
		if (first)
			floor->next_at = next_at;
		first = false;

		if (skip && is_skipped(slot, skip, arg))
			continue;
		if (next_at > until || list_length(rows) >= limit ||
			(rows != NIL && bytes >= max_bytes))
		{
			*next = next_at;
			break;
		}
		row = webhook_pending_row_read(slot);
		bytes += row->event->size;
		rows = lappend(rows, row);
	}
	if (first)
		floor->next_at = DT_NOEND;
	webhook_scan_end(scan);
	table_close(relation, AccessShareLock);
	UnregisterSnapshot(snapshot);
	return rows;
}

TimestampTz
webhook_pending_earliest(int64 subscription_id)
{
	TimestampTz earliest = 0;
	Relation	relation;
	WebhookScan *scan;
	Floor	   *floor;

	relation = table_open(webhook_catalog_required()->pending,
						  AccessShareLock);
	scan = scan_heads(relation, SnapshotSelf, subscription_id, &floor);
	if (webhook_scan_next(scan))
		earliest = webhook_pending_row_next_at(scan->slot);
	floor->next_at = earliest ? earliest : DT_NOEND;
	webhook_scan_end(scan);
	table_close(relation, AccessShareLock);
	return earliest;
}

void
webhook_pending_head_came(int64 subscription_id, TimestampTz next_at)
{
	Floor	   *floor = NULL;

	if (floors && next_at != 0)
		floor = hash_search(floors, &subscription_id, HASH_FIND, NULL);
	if (floor && next_at < floor->next_at)
		floor->next_at = next_at;
}

/*
 * A scan of a subscription's heads in order of next_at, from the floor on. The
 * caller sets the floor to what it finds.
 */
static WebhookScan *
scan_heads(Relation relation, Snapshot snapshot, int64 subscription_id,
		   Floor **floor)
{
	TimestampTz now = GetCurrentTimestamp();
	ScanKeyData keys[2];
	int			nkeys = 1;
	bool		found;

	if (floors == NULL)
	{
		HASHCTL		control;

		control.keysize = sizeof(int64);
		control.entrysize = sizeof(Floor);
		floors = hash_create("webhook pending floors", 64, &control,
							 HASH_ELEM | HASH_BLOBS);
		RegisterXactCallback(forget_floors, NULL);
		RegisterSubXactCallback(forget_floors_sub, NULL);
	}
	*floor = hash_search(floors, &subscription_id, HASH_ENTER, &found);
	ScanKeyInit(&keys[0], KEY_SUBSCRIPTION, BTEqualStrategyNumber,
				F_INT8EQ, Int64GetDatum(subscription_id));
	if (found && (*floor)->aborts == aborts && now >= (*floor)->full_scan &&
		!TimestampDifferenceExceeds((*floor)->full_scan, now,
									FLOOR_SECONDS * 1000))
	{
		ScanKeyInit(&keys[1], KEY_NEXT_AT, BTGreaterEqualStrategyNumber,
					F_TIMESTAMPTZ_GE, TimestampTzGetDatum((*floor)->next_at));
		nkeys = 2;
	}
	else
	{
		(*floor)->next_at = DT_NOBEGIN;
		(*floor)->full_scan = now;
		(*floor)->aborts = aborts;
	}
	return webhook_scan_begin(relation,
							  webhook_catalog_required()->pending_due,
							  snapshot, nkeys, keys, ForwardScanDirection);
}

/* What the caller says of a row. */
static bool
is_skipped(TupleTableSlot *slot, WebhookRowTest skip, void *arg)
{
	char	   *subject = TextDatumGetCString(PENDING(slot, subject));
	bool		skipped;

	skipped = skip(DatumGetInt64(PENDING(slot, subscription_id)),
				   subject[0] ? subject : NULL,
				   DatumGetInt64(PENDING(slot, position)),
				   DatumGetInt64(PENDING(slot, id)), arg);
	pfree(subject);
	return skipped;
}

static void
forget_floors(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		aborts++;
}

static void
forget_floors_sub(SubXactEvent event, SubTransactionId mySubid,
				  SubTransactionId parentSubid, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		aborts++;
}
