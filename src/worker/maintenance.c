/*
 * maintenance.c
 *	  What has to be done now and then: emptying the ring, dropping old log.
 *
 * Both take a strong lock for a moment, neither waits for it long: the ring's
 * not at all, a log leaf's no longer than the worker's lock_timeout. Nothing
 * is sent meanwhile, but answers wait in the kernel, and are not late for it.
 * What does not succeed is tried again at the next change.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/guc.h"
#include "ring/ring.h"
#include "store/store.h"
#include "subscription/subscription.h"
#include "worker/attempt.h"
#include "worker/maintenance.h"

#define RETIRE_INTERVAL (60 * USECS_PER_SEC)
#define FULL_REPORT_INTERVAL (60 * USECS_PER_SEC)

/* What has come of it. */
typedef struct Rotation
{
	bool		emptied;		/* a table of the ring */
	bool		full;			/* none is empty, where one is wanted */
} Rotation;

typedef struct Retirement
{
	TimestampTz now;
	bool		dropped;		/* a leaf of the log */
} Retirement;

static WebhookSlot *slot;
static TimestampTz next_rotation;
static TimestampTz next_retirement;
static TimestampTz last_full_report;

static bool rotate(void);
static void rotate_ring(void *arg);
static bool retire(TimestampTz now);
static void retire_log(void *arg);
static int64 rotation_interval(void);

void
webhook_maintenance_init(WebhookSlot *mine)
{
	slot = mine;
	pg_atomic_write_u32(&slot->ring_table, webhook_ring_newest());
}

TimestampTz
webhook_maintenance(TimestampTz now)
{
	/* One thing a change; a clock that was set back does not stop them. */
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
	Rotation	rotation = {0};

	if (!webhook_transaction_try("rotating the ring", rotate_ring, &rotation))
		return false;
	if (rotation.emptied)
		pg_atomic_fetch_add_u64(&slot->counters.rotations, 1);
	if (rotation.full &&
		GetCurrentTimestamp() - last_full_report > FULL_REPORT_INTERVAL)
	{
		last_full_report = GetCurrentTimestamp();
		ereport(LOG,
				(errmsg("webhook: no table of the event ring is empty; the present one grows"),
				 errhint("A transaction that has written events, or a lock on webhook.event_N, keeps one from being emptied.")));
	}
	return rotation.emptied;
}

static void
rotate_ring(void *arg)
{
	Rotation   *rotation = arg;
	WebhookCheckpoint *checkpoint = webhook_checkpoint_load();

	if (checkpoint != NULL)
		rotation->emptied = webhook_ring_rotate(checkpoint->snapshot, &rotation->full);
}

/* Nothing is dropped from a copy of a database before it is resumed. */
static bool
retire(TimestampTz now)
{
	Retirement	retirement = {now, false};

	return !webhook_subscription_any_fenced() &&
		webhook_transaction_try("dropping old log", retire_log, &retirement) &&
		retirement.dropped;
}

static void
retire_log(void *arg)
{
	Retirement *retirement = arg;
	WebhookCheckpoint *checkpoint = webhook_checkpoint_load();

	if (checkpoint != NULL)
		retirement->dropped =
			webhook_log_partition_retire(retirement->now - webhook_log_retention * USECS_PER_SEC,
										 checkpoint->saved_at - USECS_PER_DAY);
}
