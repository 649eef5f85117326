/*
 * maintenance.c
 *	  Work that is due now and then.
 *
 * Emptying a ring table and dropping a leaf of the log take a strong lock for a
 * moment. Neither waits long for it: the one not at all, the other no longer
 * than the worker's lock_timeout. Nothing is sent meanwhile, but answers wait in
 * the kernel and do not count as late. What fails is tried again at the next
 * interval.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/steady.h"
#include "ring/ring.h"
#include "store/store.h"
#include "subscription/subscription.h"
#include "worker/maintenance_internal.h"
#include "worker/statistics_internal.h"
#include "worker/transaction_internal.h"

#define RETIRE_INTERVAL (60 * USECS_PER_SEC)
#define RETIRE_PAUSE (USECS_PER_SEC / 10)	/* between two attempts when there may be more */
#define FULL_REPORT_INTERVAL (60 * USECS_PER_SEC)
#define MINUTE_ROWS 200			/* of a minute that are written at once: others wait */
#define RECOUNT_INTERVAL USECS_PER_HOUR /* in case that a trigger was off */
#define RECOUNT_PAUSE USECS_PER_SEC /* the least time between two beginnings */

/* How much later than a younger row the first row of the ring may have been written. */
#define RING_MARGIN USECS_PER_DAY

/* What an attempt to empty a ring table has done. */
typedef struct Rotation
{
	bool		emptied;		/* a ring table was emptied */
	bool		full;			/* none is empty, and one is wanted */
} Rotation;

/* What an attempt to drop what is old has done. */
typedef struct Retirement
{
	TimestampTz now;
	bool		more;			/* there may be more that is old */
} Retirement;

static struct
{
	WebhookSlot *slot;
	TimestampTz next_rotation;
	TimestampTz next_retirement;
	TimestampTz next_statistics;	/* when the present minute ends, or its rows go on */
	MemoryContext minute_context;
	WebhookStatMinute *minute;	/* in minute_context: rows of the minute that has ended */
	int			minute_rows;	/* how many they are */
	int			minute_written; /* of these */
	TimestampTz minute_end;
	TimestampTz next_count;		/* when waiting deliveries are counted next */
	TimestampTz recounted_at;	/* when counting them was begun last */
	bool		recounts;		/* counting is under way */
	TimestampTz full_reported_at;	/* when "no ring table is empty" was last reported */
}			maintenance;

static void find_ring_table(void *arg);
static bool rotate(void);
static void rotate_ring(void *arg);
static bool retire(TimestampTz now);
static bool is_unused(void);
static void find_use(void *arg);
static bool retire_some(const char *what, void (*retire_them) (void *), TimestampTz now);
static bool limit_of_record(const Retirement *retirement, TimestampTz *limit);
static void retire_log(void *arg);
static void retire_audit(void *arg);
static void retire_statistics(void *arg);
static TimestampTz write_statistics(TimestampTz now);
static void take_minute(void *arg);
static void write_minute(void *arg);
static int	minute_piece(void);
static void fold_minutes(void *arg);
static TimestampTz count_pending(TimestampTz now);
static void count_some(void *arg);
static bool has_subscription(int64 id);
static int64 rotation_interval(void);

bool
webhook_maintenance_start(WebhookSlot *slot)
{
	memset(&maintenance, 0, sizeof(maintenance));
	maintenance.slot = slot;
	maintenance.minute_context = AllocSetContextCreate(TopMemoryContext, "webhook minute",
													   ALLOCSET_DEFAULT_SIZES);
	return webhook_transaction_start(find_ring_table, NULL);
}

static void
find_ring_table(void *arg)
{
	pg_atomic_write_u32(&maintenance.slot->ring_table, webhook_ring_newest());
}

/* A clock that was set back does not stop the intervals. */
TimestampTz
webhook_maintenance(TimestampTz now)
{
	if (pg_atomic_read_u32(&maintenance.slot->recount) != 0)
		maintenance.next_count = Min(maintenance.next_count, now);
	if (now >= maintenance.next_rotation ||
		maintenance.next_rotation - now > rotation_interval())
		maintenance.next_rotation = rotate() ? now : now + rotation_interval();
	else if (now >= maintenance.next_retirement ||
			 maintenance.next_retirement - now > RETIRE_INTERVAL)
		maintenance.next_retirement = now + (retire(now) ? RETIRE_PAUSE : RETIRE_INTERVAL);
	else if (now >= maintenance.next_statistics ||
			 maintenance.next_statistics - now > USECS_PER_MINUTE)
		maintenance.next_statistics = write_statistics(now);
	else if (now >= maintenance.next_count ||
			 maintenance.next_count - now > RECOUNT_INTERVAL)
		maintenance.next_count = count_pending(now);
	return Min(Min(maintenance.next_rotation, maintenance.next_retirement),
			   Min(maintenance.next_statistics, maintenance.next_count));
}

/* A twentieth of the retention: so much longer than wanted is kept. */
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
	TimestampTz now;

	if (!webhook_transaction_try("rotating the ring", rotate_ring, &rotation))
		return false;
	if (rotation.emptied)
		webhook_counter_add(&maintenance.slot->counters.rotations, 1);
	now = GetCurrentTimestamp();
	if (rotation.full && now - maintenance.full_reported_at > FULL_REPORT_INTERVAL)
	{
		maintenance.full_reported_at = now;
		ereport(LOG,
				(errmsg("no table of the webhook event ring is empty; the current one grows"),
				 errhint("A transaction that has written events, or a lock on a table webhook_internal.event_N, keeps that table from being emptied.")));
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

/*
 * Nothing is dropped from a copy of a database before it is resumed, nor before it has
 * the subscriptions that tell that it is one: a restore loads them after the log.
 */
static bool
retire(TimestampTz now)
{
	bool		more;

	if (webhook_subscription_any_fenced() ||
		(!webhook_subscription_any() && is_unused()))
		return false;
	more = retire_some("deleting old audit", retire_audit, now);
	more |= retire_some("deleting old statistics", retire_statistics, now);
	more |= retire_some("dropping old log", retire_log, now);
	return more;
}

/* Returns true if what the log has, if anything, cannot have been written here. */
static bool
is_unused(void)
{
	bool		used = false;

	return !webhook_transaction_try("finding former subscriptions", find_use, &used) || !used;
}

static void
find_use(void *arg)
{
	bool	   *used = arg;

	*used = webhook_subscription_any_ever();
}

static bool
retire_some(const char *what, void (*retire_them) (void *), TimestampTz now)
{
	Retirement	retirement = {webhook_steady_time(now), false};

	return webhook_transaction_try(what, retire_them, &retirement) && retirement.more;
}

/*
 * What is older than the limit may go. As long as the ring has an event, the log
 * says who has got it and the audit whether it was erased. Returns false if the
 * ring cannot be looked at now.
 */
static bool
limit_of_record(const Retirement *retirement, TimestampTz *limit)
{
	TimestampTz oldest;

	if (!webhook_ring_oldest(&oldest))
		return false;
	*limit = Min(retirement->now - webhook_log_retention * USECS_PER_SEC, oldest - RING_MARGIN);
	return true;
}

static void
retire_log(void *arg)
{
	Retirement *retirement = arg;
	WebhookCheckpoint *checkpoint = webhook_checkpoint_load();
	TimestampTz limit;

	if (checkpoint != NULL && limit_of_record(retirement, &limit))
		retirement->more =
			webhook_log_partition_retire(limit, checkpoint->saved_at - USECS_PER_DAY);
}

static void
retire_audit(void *arg)
{
	Retirement *retirement = arg;
	TimestampTz limit;

	if (limit_of_record(retirement, &limit))
		retirement->more = webhook_audit_retire(limit, retirement->now);
}

static void
retire_statistics(void *arg)
{
	Retirement *retirement = arg;

	retirement->more =
		webhook_stat_minute_retire(retirement->now - webhook_log_retention * USECS_PER_SEC);
}

/*
 * Write some rows of the minute that has ended, and fold some old ones after the last.
 * Returns when to go on. What could not be written is tried again a minute later.
 */
static TimestampTz
write_statistics(TimestampTz now)
{
	TimestampTz next = now - now % USECS_PER_MINUTE + USECS_PER_MINUTE;
	bool		more = false;

	/* The first minute of a process has only begun. */
	if (minute_piece() == 0 && maintenance.next_statistics != 0 &&
		now >= maintenance.next_statistics &&
		webhook_transaction_try("reading statistics", take_minute, NULL))
		webhook_statistics_clear();
	if (minute_piece() > 0)
	{
		if (!webhook_transaction_try("writing statistics", write_minute, NULL))
			return next;
		maintenance.minute_written += minute_piece();
		if (minute_piece() > 0)
			return now;
	}
	(void) webhook_transaction_try("folding statistics", fold_minutes, &more);
	return more ? now : next;
}

static void
take_minute(void *arg)
{
	List	   *pending;
	bool		all_known = webhook_pending_counts(&pending);
	MemoryContext old;

	maintenance.minute_rows = maintenance.minute_written = 0;
	MemoryContextReset(maintenance.minute_context);
	old = MemoryContextSwitchTo(maintenance.minute_context);
	maintenance.minute = webhook_statistics_rows(pending, all_known, &maintenance.minute_rows);
	maintenance.minute_end = maintenance.next_statistics;
	MemoryContextSwitchTo(old);
}

static void
write_minute(void *arg)
{
	webhook_stat_minute_write(maintenance.minute + maintenance.minute_written, minute_piece(),
							  maintenance.minute_end - 1);
}

/* How many rows are written next. */
static int
minute_piece(void)
{
	return Min(maintenance.minute_rows - maintenance.minute_written, MINUTE_ROWS);
}

static void
fold_minutes(void *arg)
{
	bool	   *more = arg;

	*more = webhook_stat_minute_fold(webhook_steady_time(GetCurrentTimestamp()));
}

/* Begin to count what waits if somebody has asked for it, or some more. Returns when to go on. */
static TimestampTz
count_pending(TimestampTz now)
{
	bool		is_wanted = pg_atomic_read_u32(&maintenance.slot->recount) != 0;
	bool		pauses = maintenance.recounted_at != 0 && now >= maintenance.recounted_at &&
		now - maintenance.recounted_at < RECOUNT_PAUSE;
	bool		more = false;

	if ((is_wanted || !maintenance.recounts) && !pauses)
	{
		pg_atomic_write_u32(&maintenance.slot->recount, 0);
		pg_memory_barrier();
		maintenance.recounted_at = now;
		webhook_pending_recount();
	}
	else if (!maintenance.recounts)
		return maintenance.recounted_at + RECOUNT_PAUSE;

	if (!webhook_transaction_try("counting pending deliveries", count_some, &more))
	{
		maintenance.recounts = false;
		return now + RETIRE_INTERVAL;
	}
	maintenance.recounts = more;
	return more ? now : now + RECOUNT_INTERVAL;
}

static void
count_some(void *arg)
{
	bool	   *more = arg;

	*more = webhook_pending_recount_some(has_subscription);
}

static bool
has_subscription(int64 id)
{
	return webhook_subscription_get(id) != NULL;
}
