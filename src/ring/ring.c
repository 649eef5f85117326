/*
 * ring.c
 *	  The ring of tables: appending, switching, emptying.
 *
 * Rows are appended and never touched again; a table that is done with is
 * truncated as a whole. A table that is being written to can hardly ever be
 * truncated, since writers hold its lock until they end. So the worker first
 * sends new writers to an empty table, by a number in shared memory, lets the
 * former one drain, and empties it later. Nobody relies on that number: any
 * table may be written to at any time, and the worker reads them all.
 *
 * A writer takes RowExclusiveLock at every row, without waiting: a savepoint
 * may have given it back since the last one. While somebody keeps a table
 * locked (an index being built, the worker truncating), writers go to the next.
 *
 * A truncation is right if no row is lost that the last committed checkpoint
 * does not know to be finished. The exclusive lock proves that nobody who has
 * written to the table is still running, prepared transactions included; a
 * snapshot taken after that sees all that committed. Somebody's old snapshot,
 * or a writer of another table, is therefore in nobody's way.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/table.h"
#include "process/shmem.h"
#include "process/wakeup.h"
#include "ring/ring.h"
#include "ring/ring_row_internal.h"
#include "ring/sequence_internal.h"

/* With event_retention 0, a table is left when it is larger than this. */
#define SWITCH_BYTES ((int64) 64 * 1024 * 1024)

static Oid	lock_for_writing(void);
static bool try_lock(int slot, LOCKMODE lockmode);
static Relation try_open(int slot);
static bool wants_successor(int slot);
static bool make_current(int slot);
static bool make_empty(int slot, const WebhookSnapshot *checkpoint);
static bool is_finished(Relation relation, Oid index,
						const WebhookSnapshot *checkpoint);
static bool edge(Relation relation, Oid index, Snapshot snapshot,
				 ScanDirection direction, int64 *id, TimestampTz *created_at);
static bool past(TimestampTz instant, int64 interval);

void
webhook_ring_append(WebhookEvent *event)
{
	Oid			relid = lock_for_writing();
	Oid			sequence = webhook_catalog_for_append()->event_sequence;
	WebhookTable *table;
	Datum		values[Natts_webhook_event];
	bool		nulls[Natts_webhook_event];

	if (!OidIsValid(sequence))
		(void) webhook_catalog_required();	/* says what is wrong */
	event->id = webhook_sequence_next(sequence);
	event->txid = GetTopFullTransactionId();

	webhook_ring_row_form(event, values, nulls);
	table = webhook_table_open(relid, Natts_webhook_event, NoLock);
	webhook_table_insert(table, values, nulls);
	webhook_table_close(table);

	webhook_ring_row_free(values, nulls);

	webhook_wakeup_at_commit(event->kind != WEBHOOK_EVENT);
}

void
webhook_ring_command(WebhookEvent *row)
{
	static const pg_uuid_t none = {0};
	static FullTransactionId replayer = {0};

	/* After a restore the sequence has been set. Replays come in numbers. */
	if (row->kind != WEBHOOK_REPLAY ||
		!FullTransactionIdEquals(replayer, GetTopFullTransactionId()))
		webhook_sequence_resync();
	if (row->kind == WEBHOOK_REPLAY)
		replayer = GetTopFullTransactionId();

	row->created_at = GetCurrentTimestamp();
	if (memcmp(&row->event_id, &none, UUID_LEN) == 0)
		webhook_event_new_id(&row->event_id, row->created_at);
	webhook_ring_append(row);
}

int64
webhook_ring_last_id(void)
{
	return webhook_sequence_last(webhook_catalog_required()->event_sequence);
}

int
webhook_ring_newest(void)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	int			newest = 0;
	int64		newest_id = 0;

	for (int i = 0; i < WEBHOOK_RING_TABLES; i++)
	{
		Relation	relation = try_open(i);
		int64		id;
		TimestampTz created_at;

		if (relation == NULL)
			continue;
		if (edge(relation, webhook_catalog_required()->event_index[i],
				 snapshot, BackwardScanDirection, &id, &created_at) &&
			id > newest_id)
		{
			newest = i;
			newest_id = id;
		}
		table_close(relation, NoLock);
	}
	UnregisterSnapshot(snapshot);
	return newest;
}

bool
webhook_ring_rotate(const WebhookSnapshot *checkpoint, bool *full)
{
	int			current = webhook_shmem_ring_table() % WEBHOOK_RING_TABLES;
	bool		wanted = wants_successor(current);

	*full = false;
	for (int i = 1; wanted && i < WEBHOOK_RING_TABLES; i++)
	{
		int			slot = (current + i) % WEBHOOK_RING_TABLES;

		if (make_current(slot))
		{
			current = slot;
			wanted = false;
		}
	}

	for (int i = 1; i < WEBHOOK_RING_TABLES; i++)
	{
		if (make_empty((current + i) % WEBHOOK_RING_TABLES, checkpoint))
			return true;
	}
	*full = wanted;
	return false;
}

/*
 * Lock a table of the ring to write to. A transaction stays with its first
 * one, so that it is in the way of few truncations, unless that is refused.
 */
static Oid
lock_for_writing(void)
{
	static FullTransactionId writer = {0};
	static int	slot = 0;
	FullTransactionId txid = GetTopFullTransactionId();
	Oid			relid;

	if (!FullTransactionIdEquals(writer, txid))
	{
		slot = webhook_shmem_ring_table() % WEBHOOK_RING_TABLES;
		writer = txid;
	}

	for (int i = 0; i < WEBHOOK_RING_TABLES; i++)
	{
		int			candidate = (slot + i) % WEBHOOK_RING_TABLES;

		if (try_lock(candidate, RowExclusiveLock))
		{
			slot = candidate;
			return webhook_catalog_for_append()->event[slot];
		}
	}

	/* All are refused. Wait, if there is something to wait for. */
	do
	{
		relid = webhook_catalog_for_append()->event[slot];
		if (!OidIsValid(relid))
			relid = webhook_catalog_required()->event[slot];
		LockRelationOid(relid, RowExclusiveLock);
	} while (webhook_catalog_for_append()->event[slot] != relid);
	return relid;
}

/*
 * Lock a table if that can be had at once. It is sure to be there, and as it
 * should be, then.
 */
static bool
try_lock(int slot, LOCKMODE lockmode)
{
	Oid			relid;

	do
	{
		relid = webhook_catalog_for_append()->event[slot];
		if (!OidIsValid(relid) || !ConditionalLockRelationOid(relid, lockmode))
			return false;
	} while (webhook_catalog_for_append()->event[slot] != relid);
	return true;
}

/* Open a table for reading if that can be had at once, else NULL. */
static Relation
try_open(int slot)
{
	if (!try_lock(slot, AccessShareLock))
		return NULL;
	return table_open(webhook_catalog_required()->event[slot], NoLock);
}

/* Has the table been written to for long enough? */
static bool
wants_successor(int slot)
{
	Relation	relation = try_open(slot);
	bool		result;

	if (relation == NULL)
		return false;

	if (webhook_event_retention == 0)
	{
		Datum		relid = ObjectIdGetDatum(RelationGetRelid(relation));

		result = DatumGetInt64(DirectFunctionCall1(pg_table_size, relid)) >
			SWITCH_BYTES;
	}
	else
	{
		Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
		int64		id;
		TimestampTz created_at;

		result = edge(relation, webhook_catalog_required()->event_index[slot],
					  snapshot, ForwardScanDirection, &id, &created_at) &&
			past(created_at, webhook_event_retention * USECS_PER_SEC / 2);
		UnregisterSnapshot(snapshot);
	}
	table_close(relation, NoLock);
	return result;
}

/* Send writers to the table, if it is empty. */
static bool
make_current(int slot)
{
	Relation	relation = try_open(slot);
	WebhookSlot *shared = webhook_shmem_my_slot();
	bool		empty;

	if (relation == NULL)
		return false;
	empty = RelationGetNumberOfBlocks(relation) == 0;
	table_close(relation, NoLock);

	if (!empty || shared == NULL)
		return false;
	pg_atomic_write_u32(&shared->ring_table, slot);
	return true;
}

/*
 * Truncate the table, if there is something in it and all of it is finished.
 * It is looked at twice: with the exclusive lock to be right, and without
 * before, so that writers are not sent elsewhere for nothing.
 */
static bool
make_empty(int slot, const WebhookSnapshot *checkpoint)
{
	Relation	relation = try_open(slot);
	Oid			index;
	bool		done = false;

	if (relation == NULL)
		return false;
	index = webhook_catalog_required()->event_index[slot];

	if (RelationGetNumberOfBlocks(relation) > 0 &&
		is_finished(relation, index, checkpoint) &&
		try_lock(slot, AccessExclusiveLock))
	{
		done = is_finished(relation, index, checkpoint);
		if (done)
			compat_truncate_quietly(relation);
		else
			UnlockRelationOid(RelationGetRelid(relation), AccessExclusiveLock);
	}
	table_close(relation, NoLock);
	return done;
}

/*
 * Is every row, as of now, past retention and within the checkpoint? Rows that
 * nobody sees do not count.
 */
static bool
is_finished(Relation relation, Oid index, const WebhookSnapshot *checkpoint)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	int64		id;
	TimestampTz created_at;
	bool		found = edge(relation, index, snapshot, BackwardScanDirection,
							 &id, &created_at);
	bool		result = !found || past(created_at, webhook_event_retention * USECS_PER_SEC);

	if (found && result)
	{
		ScanKeyData key;
		WebhookScan *scan;

		ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_XID8GE,
					FullTransactionIdGetDatum(checkpoint->xmax));
		scan = webhook_scan_begin(relation, index, snapshot, 1, &key,
								  ForwardScanDirection);
		result = !webhook_scan_next(scan);
		webhook_scan_end(scan);
	}
	if (found && result && checkpoint->nxip > 0)
	{
		ScanKeyData key;
		WebhookScan *scan;

		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_XID8EQ,
					FullTransactionIdGetDatum(checkpoint->xip[0]));
		scan = webhook_scan_begin(relation, index, snapshot, 1, &key,
								  ForwardScanDirection);
		for (uint32 i = 0; result && i < checkpoint->nxip; i++)
		{
			key.sk_argument = FullTransactionIdGetDatum(checkpoint->xip[i]);
			webhook_scan_restart(scan, &key);
			result = !webhook_scan_next(scan);
		}
		webhook_scan_end(scan);
	}
	UnregisterSnapshot(snapshot);
	return result;
}

/* The first or the last visible row in order of the index; false: none. */
static bool
edge(Relation relation, Oid index, Snapshot snapshot, ScanDirection direction,
	 int64 *id, TimestampTz *created_at)
{
	WebhookScan *scan = webhook_scan_begin(relation, index, snapshot, 0, NULL,
										   direction);
	bool		found = webhook_scan_next(scan);
	bool		isnull;

	if (found)
	{
		*id = DatumGetInt64(slot_getattr(scan->slot, Anum_webhook_event_id,
										 &isnull));
		*created_at = DatumGetTimestampTz(slot_getattr(scan->slot,
													   Anum_webhook_event_created_at,
													   &isnull));
	}
	webhook_scan_end(scan);
	return found;
}

/* Was the instant so long ago? */
static bool
past(TimestampTz instant, int64 interval)
{
	return GetCurrentTimestamp() - instant >= interval;
}
