/*
 * changes.c
 *	  Which subscriptions transactions have changed, told to the worker in shared
 *	  memory, so that it need not read all of them.
 *
 * A session tells before its transaction becomes visible to others (wakeup.c). So whoever
 * sees the changes in the table finds them here, and a snapshot that is taken first says
 * of which transactions they can be read. One that rolls back after it has told costs a
 * look for nothing.
 *
 * The latest entries replace the oldest. The number of an entry, from 0 on, is its place;
 * whoever reads remembers up to where it has read, and notices that entries are lost.
 */
#include "postgres.h"

#include "storage/lwlock.h"

#include "process/changes.h"

static uint64 first_kept(const WebhookSlot *slot);
static const WebhookChange *entry_at(const WebhookSlot *slot, uint64 place);

void
webhook_changes_tell(WebhookSlot *slot, FullTransactionId txid, const int64 *ids, int count)
{
	LWLockAcquire(&slot->changes_lock, LW_EXCLUSIVE);
	for (int i = 0; i < count; i++)
	{
		WebhookChange *entry = &slot->changes[slot->nchanges++ % WEBHOOK_CHANGES];

		entry->txid = txid;
		entry->subscription_id = ids[i];
	}
	LWLockRelease(&slot->changes_lock);
}

bool
webhook_changes_since(WebhookSlot *slot, uint64 *place, const WebhookSnapshot *snapshot,
					  int64 *ids, int *count)
{
	bool		complete;
	bool		moves = true;
	uint64		next;

	*count = 0;
	LWLockAcquire(&slot->changes_lock, LW_SHARED);
	complete = first_kept(slot) <= *place;
	next = Max(*place, first_kept(slot));
	for (uint64 i = next; i < slot->nchanges; i++)
	{
		const WebhookChange *entry = entry_at(slot, i);
		bool		seen = webhook_snapshot_sees(snapshot, entry->txid);

		if (seen)
			ids[(*count)++] = entry->subscription_id;
		moves &= seen;
		if (moves)
			next = i + 1;
	}
	LWLockRelease(&slot->changes_lock);
	*place = next;
	return complete;
}

WebhookChangeKnown
webhook_changes_find(WebhookSlot *slot, uint64 place, FullTransactionId txid)
{
	WebhookChangeKnown known = WEBHOOK_CHANGE_UNKNOWN;

	LWLockAcquire(&slot->changes_lock, LW_SHARED);
	for (uint64 i = first_kept(slot); i < slot->nchanges; i++)
	{
		if (FullTransactionIdEquals(entry_at(slot, i)->txid, txid))
			known = i < place ? WEBHOOK_CHANGE_BEFORE : WEBHOOK_CHANGE_AFTER;
	}
	LWLockRelease(&slot->changes_lock);
	return known;
}

/* The place of the oldest entry that is not replaced. */
static uint64
first_kept(const WebhookSlot *slot)
{
	return slot->nchanges > WEBHOOK_CHANGES ? slot->nchanges - WEBHOOK_CHANGES : 0;
}

static const WebhookChange *
entry_at(const WebhookSlot *slot, uint64 place)
{
	return &slot->changes[place % WEBHOOK_CHANGES];
}
