/*
 * upkeep.c
 *	  What has to be done now and then: emptying the ring, dropping old log.
 *
 * Both take a strong lock for a moment, neither waits for it long: the ring's
 * not at all, a log leaf's no longer than the worker's lock_timeout. Nothing
 * is sent meanwhile, but answers wait in the kernel, and are not late for it.
 * What does not succeed is tried again at the next turn.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "checkpoint.h"
#include "guc.h"
#include "partition.h"
#include "ring.h"
#include "subscription.h"
#include "transaction.h"
#include "upkeep.h"

#define RETIRE_INTERVAL (60 * USECS_PER_SEC)
#define FULL_REPORT_INTERVAL (60 * USECS_PER_SEC)

static WebhookSlot *slot;
static TimestampTz next_rotation;
static TimestampTz next_retirement;
static TimestampTz last_full_report;

static bool rotate(void);
static bool retire(TimestampTz now);
static int64 rotation_interval(void);

void
webhook_upkeep_init(WebhookSlot *mine)
{
	slot = mine;
	pg_atomic_write_u32(&slot->ring_slot, webhook_ring_newest());
}

TimestampTz
webhook_upkeep(TimestampTz now)
{
	/* One thing a turn; a clock that was set back does not stop them. */
	if (now >= next_rotation || next_rotation - now > rotation_interval())
		next_rotation = rotate() ? now : now + rotation_interval();
	else if (now >= next_retirement || next_retirement - now > RETIRE_INTERVAL)
		next_retirement = retire(now) ? now : now + RETIRE_INTERVAL;
	return Min(next_rotation, next_retirement);
}

/* A twentieth of the retention: what is kept longer than wanted. */
static int64
rotation_interval(void)
{
	int64		interval = webhook_event_retention * USECS_PER_SEC / 20;

	return Max(USECS_PER_SEC / 10, Min(interval, 60 * USECS_PER_SEC));
}

static bool
rotate(void)
{
	MemoryContext old = CurrentMemoryContext;
	volatile bool emptied = false;
	volatile bool full = false;

	PG_TRY();
	{
		WebhookCheckpoint *checkpoint;
		bool		none_empty = false;

		webhook_transaction_begin("rotating the ring");
		checkpoint = webhook_checkpoint_load();
		if (checkpoint != NULL)
			emptied = webhook_ring_rotate(checkpoint->snapshot, &none_empty);
		full = none_empty;
		webhook_transaction_commit();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		webhook_transaction_abort();
		emptied = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);

	if (emptied)
		pg_atomic_fetch_add_u64(&slot->counters.rotations, 1);
	if (full && GetCurrentTimestamp() - last_full_report > FULL_REPORT_INTERVAL)
	{
		last_full_report = GetCurrentTimestamp();
		ereport(LOG,
				(errmsg("webhook: no table of the event ring is empty; the present one grows"),
				 errhint("A transaction that has written events, or a lock on webhook.event_N, keeps one from being emptied.")));
	}
	return emptied;
}

/* Nothing is dropped from a copy of a database before it is resumed. */
static bool
retire(TimestampTz now)
{
	MemoryContext old = CurrentMemoryContext;
	volatile bool dropped = false;

	if (webhook_subscription_any_fenced())
		return false;
	PG_TRY();
	{
		WebhookCheckpoint *checkpoint;

		webhook_transaction_begin("dropping old log");
		checkpoint = webhook_checkpoint_load();
		if (checkpoint != NULL)
			dropped = webhook_partition_retire(now - webhook_log_retention * USECS_PER_SEC,
											   checkpoint->at - USECS_PER_DAY);
		webhook_transaction_commit();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		webhook_transaction_abort();
		dropped = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return dropped;
}
