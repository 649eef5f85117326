/*
 * writer.c
 *	  Writes what has become of deliveries.
 *
 * Commits are asynchronous: what a crash of the server takes from the log is
 * sent again. They are in the order of the WAL, so a checkpoint never survives
 * the log entries that it stands on.
 *
 * When a group cannot be written, its entries are tried one by one, to find the
 * one that is the cause, and that one again without bodies and headers, unless
 * the error says that the cause is the server's state (a full disk, a lock on
 * the log). If nothing helps, the entries stay in memory, nothing more is sent,
 * and writing is tried again with growing pauses. So a log that cannot be
 * written never becomes a storm of duplicates.
 *
 * An index that an owner has put on our tables may run code in a flush; a flush
 * is limited to five seconds. An entry alone, which may be large, gets twice as
 * long each time.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "ring/ring.h"
#include "worker/notify_internal.h"
#include "worker/own_events_internal.h"
#include "worker/sender_internal.h"
#include "worker/statistics_internal.h"
#include "worker/transaction_internal.h"
#include "worker/turn_internal.h"
#include "worker/writer_internal.h"

#define GROUP_ROWS 500
#define PIECE_ROWS 16			/* after which the worker looks whether somebody waits */
#define PIECE_STATES 4			/* the same, of states */
#define GROUP_DELAY 5000		/* microseconds */
#define FLUSH_LIMIT 5000		/* milliseconds */
#define LONGEST_FLUSH (600 * 1000)	/* milliseconds */
#define FIRST_PAUSE USECS_PER_SEC
#define LONGEST_PAUSE (10 * USECS_PER_SEC)
#define CHECKPOINT_DELAY USECS_PER_SEC
#define STATES_DELAY USECS_PER_SEC

static struct
{
	WebhookDispatcher *dispatcher;
	WebhookProgress *progress;
	WebhookSlot *slot;			/* the counters */

	/* Groups. */
	TimestampTz waiting_since;	/* when the oldest delivery that waits has ended; 0: none waits */
	bool		blocked;		/* the log cannot be written at present */
	TimestampTz retry_at;		/* when to write again after a failure; 0: there was none */
	int64		retry_pause;	/* microseconds of the present pause */
	int			one_by_one;		/* entries that are still to be written one by one */
	int			limit;			/* milliseconds that a flush may take */

	TimestampTz checkpoint_at;	/* when a checkpoint was last written */
	TimestampTz states_at;		/* when writing states was last tried */
	bool		states_failed;	/* the last try to write states failed */
}			writer;

/* A group that is being written. */
typedef struct Group
{
	int			count;
	int			size;			/* how many deliveries it may have */
	WebhookDelivery *deliveries[GROUP_ROWS];
	bool		bodies;			/* headers, bodies and data are written, too */
} Group;

/* Queues whose states are being saved, and told of. */
typedef struct States
{
	int			found;			/* how many they are */
	int			count;			/* how many of these, the first ones, this time */
	WebhookQueue *queues[GROUP_ROWS];
	TimestampTz now;
} States;

static bool is_due(TimestampTz now, bool at_once);
static bool write_group(Group *group);
static bool is_own(int sqlerrcode);
static void write_entries(void *arg);
static bool write_piece(Group *group);
static int	take_back(Group *group);
static void fail_group(Group *group);
static void finish_group(Group *group);
static bool is_in_memory(int64 subscription_id, const char *subject, void *arg);
static void note_promoted(int64 subscription_id, TimestampTz next_at, void *arg);
static void save_checkpoint(void *arg);
static void write_states(void *arg);
static void write_some_states(const States *states, int from);
static bool walk_changes(const States *states,
						 bool (*call) (WebhookQueue *, const WebhookStateChange *));
static bool is_told(WebhookQueue *queue, const WebhookStateChange *change);
static void tell_changes(void *arg);
static bool tell_change(WebhookQueue *queue, const WebhookStateChange *change);
static bool is_event(WebhookQueue *queue, const WebhookStateChange *change);
static void publish_events(void *arg);
static bool publish_event(WebhookQueue *queue, const WebhookStateChange *change);

void
webhook_writer_init(WebhookDispatcher *dispatcher, WebhookProgress *progress,
					WebhookSlot *slot)
{
	memset(&writer, 0, sizeof(writer));
	writer.dispatcher = dispatcher;
	writer.progress = progress;
	writer.slot = slot;
	writer.limit = FLUSH_LIMIT;
	webhook_statistics_init(&slot->metrics);
	save_checkpoint(NULL);
}

void
webhook_writer_flush(TimestampTz now, bool at_once)
{
	const WebhookUsage *usage = webhook_dispatch_usage(writer.dispatcher);
	Group		group;

	if (usage->unflushed == 0)
	{
		writer.waiting_since = 0;
		webhook_turn_end(WEBHOOK_PART_FLUSH);
		return;
	}
	if (writer.waiting_since == 0 || writer.waiting_since > now)
		writer.waiting_since = now;
	if (!is_due(now, at_once))
	{
		webhook_turn_end(WEBHOOK_PART_FLUSH);
		return;
	}

	group.count = 0;
	group.size = writer.one_by_one > 0 ? 1 : GROUP_ROWS;
	if (!write_group(&group))
	{
		fail_group(&group);
		return;
	}
	finish_group(&group);
	if (writer.one_by_one > 0)
		writer.one_by_one--;
	writer.retry_at = 0;
	writer.retry_pause = 0;
	/* What is left has waited for longer. */
	if (usage->unflushed == 0)
		writer.waiting_since = 0;
}

bool
webhook_writer_is_blocked(void)
{
	return writer.blocked;
}

TimestampTz
webhook_writer_next_time(void)
{
	if (writer.retry_at != 0)
		return writer.retry_at;
	if (writer.waiting_since == 0 || writer.one_by_one > 0)
		return writer.waiting_since;
	return writer.waiting_since + GROUP_DELAY;
}

void
webhook_writer_checkpoint(TimestampTz now, bool at_once)
{
	if (!at_once && now - writer.checkpoint_at < CHECKPOINT_DELAY &&
		now >= writer.checkpoint_at)
		return;
	if (!webhook_progress_is_unsaved(writer.progress))
		return;
	writer.checkpoint_at = now;
	if (webhook_transaction_try("writing the checkpoint", save_checkpoint, NULL))
		webhook_progress_saved(writer.progress);
}

bool
webhook_writer_states(TimestampTz now, bool at_once)
{
	bool		urgent = webhook_queue_is_urgent(writer.dispatcher) && !writer.states_failed;
	States		states;

	states.found = states.count = 0;
	if (at_once || urgent || now - writer.states_at >= STATES_DELAY || now < writer.states_at)
		states.found = webhook_queue_dirty(writer.dispatcher, states.queues, GROUP_ROWS);
	if (states.found == 0)
	{
		webhook_turn_end(WEBHOOK_PART_STATES);
		return false;
	}
	states.now = now;
	writer.states_failed = !webhook_transaction_try("writing the states of subscriptions",
													write_states, &states);
	if (writer.states_failed || states.count == states.found)
		writer.states_at = now;
	if (writer.states_failed)
		return false;

	/* What could not be told is not told again. */
	if (walk_changes(&states, is_told))
		(void) webhook_transaction_try("telling the state changes of subscriptions",
									   tell_changes, &states);
	if (walk_changes(&states, is_event))
		(void) webhook_transaction_try("publishing the state changes of subscriptions",
									   publish_events, &states);
	webhook_queue_saved(writer.dispatcher, states.queues, states.count);
	return true;
}

/* A group is written when it is full, old, or "at_once"; after a failure, by the pauses. */
static bool
is_due(TimestampTz now, bool at_once)
{
	if (writer.retry_at != 0 && now < writer.retry_at &&
		writer.retry_at - now <= LONGEST_PAUSE)
		return false;
	return writer.blocked || at_once || writer.one_by_one > 0 ||
		now - writer.waiting_since >= GROUP_DELAY ||
		webhook_dispatch_usage(writer.dispatcher)->unflushed >= GROUP_ROWS;
}

/*
 * Write a group in one transaction; an entry alone, if need be, without bodies.
 * Returns false if nothing was written.
 */
static bool
write_group(Group *group)
{
	for (int bodies = 1; bodies >= 0; bodies--)
	{
		bool		written;

		group->bodies = bodies;
		written = webhook_transaction_try("writing the log", write_entries, group);

		/* The limit may have been reached when the entries were just written. */
		QueryCancelPending = false;
		if (written)
			return true;
		webhook_counter_add(&writer.slot->counters.flush_errors, 1);
		webhook_counter_add(&writer.slot->metrics.flush_errors, 1);
		if (group->count != 1 || ShutdownRequestPending ||
			!is_own(webhook_transaction_error()) || !bodies)
			break;
		take_back(group);
	}
	return false;
}

/*
 * Returns true if an entry that fails alone may itself be the cause: its data, an
 * index or a constraint that refuses them. A full disk, a lock, a deadlock or a time
 * limit is no reason to give up the bodies.
 */
static bool
is_own(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
			return false;
		default:
			return true;
	}
}

/* The group becomes as large as what has ended, unless the turn is over before. */
static void
write_entries(void *arg)
{
	Group	   *group = arg;

	enable_timeout_after(STATEMENT_TIMEOUT, writer.limit);
	PG_TRY();
	{
		bool		over = false;

		webhook_turn_begin(WEBHOOK_PART_FLUSH);
		while (!over && write_piece(group))
			over = webhook_turn_is_over();
		if (!over)
			webhook_turn_end(WEBHOOK_PART_FLUSH);
	}
	PG_FINALLY();
	{
		disable_timeout(STATEMENT_TIMEOUT, false);
	}
	PG_END_TRY();
}

/* Returns false if there was nothing to write. */
static bool
write_piece(Group *group)
{
	WebhookLogEntry *entries[PIECE_ROWS];
	int			from = group->count;

	group->count = webhook_dispatch_ended(writer.dispatcher, group->deliveries, from,
										  Min(from + PIECE_ROWS, group->size));
	for (int i = from; i < group->count; i++)
		entries[i - from] = &group->deliveries[i]->entry;
	if (group->count > from)
		webhook_log_write(entries, group->count - from, group->bodies, GetCurrentTimestamp(),
						  is_in_memory, note_promoted, NULL);
	return group->count > from;
}

/* What the group has was not written. Returns how many deliveries that were. */
static int
take_back(Group *group)
{
	int			count = group->count;

	webhook_dispatch_flushed(writer.dispatcher, group->deliveries, count, false, NULL);
	group->count = 0;
	return count;
}

/* Of several entries, one may be the cause; of one, the cause is somewhere else. */
static void
fail_group(Group *group)
{
	int			count = take_back(group);

	if (count > 1)
	{
		writer.one_by_one = count;
		return;
	}
	if (webhook_transaction_error() == ERRCODE_QUERY_CANCELED)
		writer.limit = Min(writer.limit * 2, LONGEST_FLUSH);
	writer.retry_pause = writer.retry_pause == 0 ? FIRST_PAUSE :
		Min(writer.retry_pause * 2, LONGEST_PAUSE);
	writer.retry_at = GetCurrentTimestamp() + writer.retry_pause;
	writer.blocked = true;
}

/* The group is committed. */
static void
finish_group(Group *group)
{
	bool		is_all = webhook_dispatch_usage(writer.dispatcher)->unflushed == group->count;
	uint64		counts[WEBHOOK_OUTCOMES] = {0};
	WebhookCounters *counters = &writer.slot->counters;

	writer.limit = FLUSH_LIMIT;

	for (int i = 0; i < group->count; i++)
	{
		const WebhookLogEntry *entry = &group->deliveries[i]->entry;

		/* A delivery that only moves to pending proves nothing of the log. */
		if (entry->outcome != WEBHOOK_DEFERRED || is_all)
			writer.blocked = false;
		webhook_statistics_add(entry);
		webhook_own_events_note_failure(group->deliveries[i]);
		if (entry->transfer != NULL)
			webhook_sender_release(entry->transfer);
	}
	webhook_dispatch_flushed(writer.dispatcher, group->deliveries, group->count, true, counts);
	webhook_counter_add(&counters->flushes, 1);
	webhook_counter_add(&counters->delivered, counts[WEBHOOK_DELIVERED]);
	webhook_counter_add(&counters->retrying, counts[WEBHOOK_RETRYING]);
	webhook_counter_add(&counters->failed,
						counts[WEBHOOK_FAILED] + counts[WEBHOOK_CANCELLED]);
}

static bool
is_in_memory(int64 subscription_id, const char *subject, void *arg)
{
	return webhook_dispatch_has_subject(writer.dispatcher, subscription_id, subject);
}

static void
note_promoted(int64 subscription_id, TimestampTz next_at, void *arg)
{
	webhook_due_add(writer.dispatcher, subscription_id, next_at);
}

static void
save_checkpoint(void *arg)
{
	WebhookLowWaterMark mark = webhook_progress_low_water_mark(writer.progress);
	WebhookCheckpoint checkpoint = {0};

	checkpoint.snapshot = mark.snapshot;
	checkpoint.partial = mark.partial;
	checkpoint.upto_id = mark.upto_id;
	checkpoint.home = webhook_home();
	checkpoint.directory = webhook_shmem_directory()->id;
	checkpoint.last_id = webhook_ring_last_id();
	checkpoint.saved_at = webhook_log_now();
	webhook_checkpoint_save(&checkpoint);
}

/* As many as the turn allows. */
static void
write_states(void *arg)
{
	States	   *states = arg;

	webhook_turn_begin(WEBHOOK_PART_STATES);
	do
	{
		int			from = states->count;

		states->count = Min(from + PIECE_STATES, states->found);
		write_some_states(states, from);
	} while (states->count < states->found && !webhook_turn_is_over());
	if (states->count == states->found)
		webhook_turn_end(WEBHOOK_PART_STATES);
}

/* Of a fenced subscription, which belongs to another database, nothing is written. */
static void
write_some_states(const States *states, int from)
{
	WebhookState *rows[PIECE_STATES];
	int			nrows = 0;

	for (int i = from; i < states->count; i++)
	{
		WebhookQueue *queue = states->queues[i];
		const WebhookSubscription *subscription = webhook_queue_subscription(queue);

		if (subscription == NULL)
			webhook_state_forget(webhook_queue_id(queue));
		else if (!subscription->fenced)
		{
			webhook_queue_summarize(queue, states->now);
			rows[nrows++] = webhook_queue_state(queue);
		}
	}
	webhook_state_save(rows, nrows, states->now);
}

/*
 * Call a function for each change of the states, until it returns true. Returns
 * true if it has.
 */
static bool
walk_changes(const States *states, bool (*call) (WebhookQueue *, const WebhookStateChange *))
{
	for (int i = 0; i < states->count; i++)
	{
		const WebhookStateChange *changes;
		int			count = webhook_queue_changes(states->queues[i], &changes);

		for (int j = 0; j < count; j++)
		{
			if (call(states->queues[i], &changes[j]))
				return true;
		}
	}
	return false;
}

static bool
is_told(WebhookQueue *queue, const WebhookStateChange *change)
{
	return true;
}

static void
tell_changes(void *arg)
{
	(void) walk_changes(arg, tell_change);
}

static bool
tell_change(WebhookQueue *queue, const WebhookStateChange *change)
{
	webhook_notify_state_change(change, webhook_queue_id(queue),
								webhook_queue_state(queue)->reason,
								webhook_queue_tenant(queue), webhook_queue_subscription(queue));
	return false;
}

/* Returns true if the change is an event that somebody takes. */
static bool
is_event(WebhookQueue *queue, const WebhookStateChange *change)
{
	return webhook_own_events_has(change, webhook_queue_subscription(queue));
}

static void
publish_events(void *arg)
{
	(void) walk_changes(arg, publish_event);
}

static bool
publish_event(WebhookQueue *queue, const WebhookStateChange *change)
{
	if (is_event(queue, change))
		webhook_own_events_publish(change, webhook_queue_subscription(queue),
								   webhook_queue_state(queue)->reason);
	return false;
}
