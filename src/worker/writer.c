/*
 * writer.c
 *	  What goes out to tables: entries, in groups, the checkpoint, and how each
 *	  endpoint fares.
 *
 * Commits are asynchronous: what a crash of the server takes from the log is
 * sent again. They are in the order of the WAL, so a checkpoint never survives
 * the entries that it stands on.
 *
 * When a group cannot be written, its rows are tried one by one, to find the
 * one that is to blame, and that one without bodies and headers. If that fails
 * too, the fault is not the row's (a full disk, a lock on the log): the
 * entries stay in memory, nothing more is sent, and writing is tried again
 * with growing pauses. So a log that cannot be written never becomes a storm
 * of duplicates.
 *
 * An index that somebody put on our tables may run code in a flush; a flush
 * has five seconds.
 */
#include "postgres.h"

#include "postmaster/interrupt.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "delivery/dispatch.h"
#include "store/store.h"
#include "worker/attempt.h"
#include "worker/notify.h"
#include "worker/reader.h"
#include "worker/sender.h"
#include "worker/transaction.h"
#include "worker/writer.h"

#define GROUP_ROWS 500
#define GROUP_DELAY 5000		/* microseconds */
#define FLUSH_LIMIT 5000		/* milliseconds */
#define FIRST_PAUSE USECS_PER_SEC
#define LONGEST_PAUSE (10 * USECS_PER_SEC)
#define CHECKPOINT_DELAY USECS_PER_SEC
#define STATES_DELAY USECS_PER_SEC

static WebhookCounters *counters;
static TimestampTz waiting_since;	/* 0: nothing waits */
static bool blocked;			/* the log cannot be written at present */
static TimestampTz retry_at;	/* a write failed; 0: it did not */
static int64 retry_pause;
static int	cautious;			/* rows still to be written one by one */
static TimestampTz last_checkpoint;
static TimestampTz last_states;
static bool last_states_done = true;

/* Queues whose state is to be saved, and told of. */
typedef struct Queues
{
	int			count;
	WebhookQueue *queues[GROUP_ROWS];
	TimestampTz now;
} Queues;

static bool write_group(WebhookDelivery **group, int count, bool bodies);
static void settle(WebhookDelivery **group, int count);
static void count_outcomes(WebhookDelivery **group, int count);
static bool is_in_memory(int64 subscription_id, const char *subject, void *arg);
static void note_promoted(int64 subscription_id, TimestampTz next_at, void *arg);
static void save_checkpoint(void *arg);
static void write_states(void *arg);
static void tell_news(void *arg);
static bool any_news(const Queues *dirty);

void
webhook_writer_init(WebhookCounters *shared)
{
	counters = shared;
	save_checkpoint(NULL);
}

bool
webhook_writer_flush(TimestampTz now, bool at_once)
{
	WebhookDelivery *group[GROUP_ROWS];
	int			count;

	if (webhook_dispatch_usage()->unflushed == 0)
	{
		waiting_since = 0;
		return false;
	}
	if (waiting_since == 0 || waiting_since > now)
		waiting_since = now;
	if (retry_at != 0 && now < retry_at && retry_at - now <= LONGEST_PAUSE)
		return false;
	if (!blocked && !at_once && cautious == 0 &&
		now - waiting_since < GROUP_DELAY &&
		webhook_dispatch_usage()->unflushed < GROUP_ROWS)
		return false;

	count = webhook_dispatch_ended(group, cautious > 0 ? 1 : GROUP_ROWS);
	if (write_group(group, count, true) ||
		(count == 1 && !ShutdownRequestPending && write_group(group, count, false)))
		settle(group, count);
	else if (count > 1)
	{
		webhook_dispatch_flushed(group, count, false);
		cautious = count;
		return false;
	}
	else
	{
		webhook_dispatch_flushed(group, count, false);
		retry_pause = retry_pause == 0 ? FIRST_PAUSE : Min(retry_pause * 2, LONGEST_PAUSE);
		retry_at = GetCurrentTimestamp() + retry_pause;
		blocked = true;
		return false;
	}
	if (cautious > 0)
		cautious--;
	retry_at = 0;
	retry_pause = 0;
	waiting_since = webhook_dispatch_usage()->unflushed > 0 ? now : 0;
	return true;
}

bool
webhook_writer_is_blocked(void)
{
	return blocked;
}

TimestampTz
webhook_writer_next_time(void)
{
	if (retry_at != 0)
		return retry_at;
	if (waiting_since == 0 || cautious > 0)
		return waiting_since;
	return waiting_since + GROUP_DELAY;
}

void
webhook_writer_checkpoint(TimestampTz now, bool at_once)
{
	WebhookProgress *progress = webhook_reader_progress();

	if (!at_once && now - last_checkpoint < CHECKPOINT_DELAY &&
		now >= last_checkpoint)
		return;
	if (!webhook_progress_is_unsaved(progress))
		return;
	last_checkpoint = now;
	if (webhook_transaction_try("writing the checkpoint", save_checkpoint, NULL))
		webhook_progress_saved(progress);
}

bool
webhook_writer_states(TimestampTz now, bool at_once)
{
	Queues		dirty;

	if (!at_once && !(webhook_queue_save_now() && last_states_done) &&
		now - last_states < STATES_DELAY && now >= last_states)
		return false;
	dirty.count = webhook_queue_dirty(dirty.queues, GROUP_ROWS);
	if (dirty.count == 0)
		return false;
	dirty.now = last_states = now;
	last_states_done = webhook_transaction_try("writing the state of subscriptions",
											   write_states, &dirty);
	if (!last_states_done)
		return false;

	/* What could not be told is not told again. */
	if (any_news(&dirty))
		(void) webhook_transaction_try("telling how endpoints fare", tell_news, &dirty);
	webhook_queue_mark_saved(dirty.queues, dirty.count);
	return true;
}

/* Nothing is written of a copy's subscriptions before it is resumed. */
static void
write_states(void *arg)
{
	const Queues *dirty = arg;
	WebhookState *states[GROUP_ROWS];
	int			nstates = 0;

	for (int i = 0; i < dirty->count; i++)
	{
		WebhookQueue *queue = dirty->queues[i];
		const WebhookSubscription *subscription = webhook_subscription_get(queue->id);

		if (subscription == NULL)
			webhook_state_forget(queue->id);
		else if (!subscription->fenced)
		{
			webhook_health_summarize(&queue->health, dirty->now);
			states[nstates++] = &queue->health.state;
		}
	}
	webhook_state_save(states, nstates, dirty->now);
}

static bool
any_news(const Queues *dirty)
{
	for (int i = 0; i < dirty->count; i++)
	{
		if (dirty->queues[i]->nchanges > 0)
			return true;
	}
	return false;
}

static void
tell_news(void *arg)
{
	const Queues *dirty = arg;

	for (int i = 0; i < dirty->count; i++)
	{
		const WebhookQueue *queue = dirty->queues[i];
		const WebhookSubscription *subscription = webhook_subscription_get(queue->id);

		if (subscription == NULL || subscription->fenced)
			continue;
		for (int j = 0; j < queue->nchanges; j++)
			webhook_notify_state_change(&queue->changes[j], queue->health.state.reason,
										subscription);
	}
}

/* In one transaction; false if that failed, with nothing written. */
static bool
write_group(WebhookDelivery **group, int count, bool bodies)
{
	WebhookLogEntry *entries[GROUP_ROWS];
	MemoryContext old = CurrentMemoryContext;
	volatile bool written = false;

	for (int i = 0; i < count; i++)
		entries[i] = &group[i]->entry;

	PG_TRY();
	{
		webhook_transaction_begin("writing entries");
		enable_timeout_after(STATEMENT_TIMEOUT, FLUSH_LIMIT);
		webhook_log_write(entries, count, bodies, GetCurrentTimestamp(),
						  is_in_memory, note_promoted, NULL);
		disable_timeout(STATEMENT_TIMEOUT, false);
		webhook_transaction_commit();
		written = true;
	}
	PG_CATCH();
	{
		disable_timeout(STATEMENT_TIMEOUT, false);
		MemoryContextSwitchTo(old);
		webhook_transaction_abort();
		pg_atomic_fetch_add_u64(&counters->flush_errors, 1);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return written;
}

/* They are committed. */
static void
settle(WebhookDelivery **group, int count)
{
	count_outcomes(group, count);
	for (int i = 0; i < count; i++)
	{
		/* What only moves to webhook.pending proves nothing of the log. */
		if (group[i]->entry.outcome != WEBHOOK_DEFERRED ||
			webhook_dispatch_usage()->unflushed == count)
			blocked = false;
		if (group[i]->entry.transfer != NULL)
			webhook_sender_release(group[i]->entry.transfer);
	}
	webhook_dispatch_flushed(group, count, true);
}

static void
count_outcomes(WebhookDelivery **group, int count)
{
	uint64		delivered = 0;
	uint64		retrying = 0;
	uint64		failed = 0;

	for (int i = 0; i < count; i++)
	{
		switch (group[i]->entry.outcome)
		{
			case WEBHOOK_DELIVERED:
				delivered++;
				break;
			case WEBHOOK_RETRYING:
				retrying++;
				break;
			case WEBHOOK_FAILED:
			case WEBHOOK_CANCELLED:
				failed++;
				break;
			case WEBHOOK_DEFERRED:
				break;
		}
	}
	pg_atomic_fetch_add_u64(&counters->flushes, 1);
	pg_atomic_fetch_add_u64(&counters->delivered, delivered);
	pg_atomic_fetch_add_u64(&counters->retrying, retrying);
	pg_atomic_fetch_add_u64(&counters->failed, failed);
}

static bool
is_in_memory(int64 subscription_id, const char *subject, void *arg)
{
	return webhook_dispatch_has_subject(subscription_id, subject);
}

static void
note_promoted(int64 subscription_id, TimestampTz next_at, void *arg)
{
	webhook_due_add(webhook_queue_get(subscription_id), next_at);
}

static void
save_checkpoint(void *arg)
{
	WebhookLowWaterMark mark = webhook_progress_low_water_mark(webhook_reader_progress());
	WebhookCheckpoint checkpoint = {0};

	checkpoint.snapshot = mark.snapshot;
	checkpoint.partial = mark.partial;
	checkpoint.upto_id = mark.upto_id;
	checkpoint.home = webhook_home();
	checkpoint.saved_at = webhook_log_now();
	webhook_checkpoint_save(&checkpoint);
}
