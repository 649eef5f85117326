/*
 * reader.c
 *	  What comes in: windows of the ring, changed subscriptions.
 *
 * Reading goes in steps, each in a transaction of its own that ends before
 * anything is sent. A step first finds out all that it needs from tables, and
 * touches deliveries only after its commit, where nothing can fail any more.
 * After an error the step is as if it had not been: what is left of the window
 * after the last complete step is opened anew, up to the same end. With another
 * end, rows of lower ids would come in, and upto_id would not tell any more
 * what has been read.
 *
 * Recovery is the first window of a process: its deliveries may have ended, or
 * wait in webhook.pending, so each is looked up in the log and there. After it
 * every subject that waits gets a head, if the crash has taken its.
 *
 * A subscription gets what its "since" does not see, whenever that is read:
 * what had been read when it came to be known is read once more, for it alone.
 * Otherwise a crash, which reads it again, would bring it after what followed.
 *
 * What is due in webhook.pending is not loaded while the ring may hold an
 * unread command to end it: not before the end of the recovery, nor when a
 * fence has been lifted before the window with the commands beside that is
 * read. Then, too, heads are given to subjects that have none: a dump does not
 * have what was in memory.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "delivery/dispatch.h"
#include "ring/command.h"
#include "ring/ring.h"
#include "ring/window.h"
#include "subscription/subscription.h"
#include "worker/attempt.h"
#include "worker/commands.h"
#include "worker/loader.h"
#include "worker/reader.h"
#include "worker/transaction.h"

#define STEP_ROWS 500
#define STEP_BYTES ((Size) 1024 * 1024)
#define STEP_DELIVERIES 1000	/* of a step, where one event has no more */
#define LOOK_BACK_ROWS 500		/* that commit while somebody subscribes */

/* An event may have been logged by a clock that went wrong meanwhile. */
#define LOG_MARGIN USECS_PER_DAY

static MemoryContext context;	/* what lives longer than a step */
static MemoryContext step_context;
static MemoryContext read_context;	/* of the events that have been read */
static WebhookCounters *counters;
static WebhookProgress *progress;
static const char *checkpoint_home; /* for the first reload only */

/* Where reading stands: all that "from" sees, and of "partial" up to upto_id. */
static WebhookSnapshot *from;
static WebhookSnapshot *partial;
static int64 upto_id;
static bool begun;				/* "partial" is a window's end of this process */
static WebhookWindow *window;
static List *unmatched = NIL;	/* events read from it, of no step yet */
static bool recovering = true;
static bool reloaded;			/* subscriptions, in the present step ... */
static WebhookSnapshot *reloaded_by;	/* ... and who has seen them at last */
static List *caught_up = NIL;	/* offers of the present step, from before it */
static List *filter_errors = NIL;	/* queues whose filter could not tell, in it */
static int	held_windows = 1;	/* to be read before anything due is loaded */
static int64 last_id;			/* of the rows read so far */

static void hold_windows(int count);
static List *read_step(List **offers);
static bool has_changed(const List *events);
static void catch_up(const WebhookSnapshot *since);
static List *next_events(void);
static void add_matches(WebhookEvent *event, bool only_new, List **offers);
static void add_replay(WebhookEvent *row, List **offers);
static bool add_offer(WebhookOffer *offer, List **offers);
static void take_command(const WebhookEvent *row, WebhookBatch *batch);
static void offer_step(List *events, List *offers, TimestampTz now);
static void finish_window(TimestampTz now);
static void reload(void);
static void reload_and_note(void *arg);

void
webhook_reader_init(const WebhookCheckpoint *checkpoint, WebhookCounters *shared)
{
	MemoryContext old;
	ListCell   *cell;

	counters = shared;
	context = AllocSetContextCreate(TopMemoryContext, "webhook intake",
									ALLOCSET_DEFAULT_SIZES);
	step_context = AllocSetContextCreate(TopMemoryContext, "webhook step",
										 ALLOCSET_DEFAULT_SIZES);
	read_context = AllocSetContextCreate(TopMemoryContext, "webhook events read",
										 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	if (checkpoint != NULL)
	{
		from = webhook_snapshot_copy(checkpoint->snapshot);
		if (checkpoint->partial != NULL)
			partial = webhook_snapshot_copy(checkpoint->partial);
		upto_id = checkpoint->upto_id;
		checkpoint_home = pstrdup(checkpoint->home);
	}
	else
		from = webhook_snapshot_empty();
	progress = webhook_progress_new(from, partial, upto_id);
	MemoryContextSwitchTo(old);

	webhook_subscription_reload(checkpoint_home);
	checkpoint_home = NULL;
	foreach(cell, webhook_state_load())
		webhook_queue_restore(lfirst(cell), GetCurrentTimestamp());
	webhook_loader_note_rows();
	webhook_due_suspend(true);

	/* Above all that is in the ring, or in webhook.pending. */
	last_id = webhook_ring_last_id();
}

WebhookProgress *
webhook_reader_progress(void)
{
	return progress;
}

int64
webhook_reader_last_id(void)
{
	return last_id;
}

bool
webhook_reader_reload(void)
{
	return webhook_transaction_try("reading subscriptions", reload_and_note, NULL);
}

static void
reload_and_note(void *arg)
{
	reload();
	webhook_loader_note_rows();
}

bool
webhook_reader_is_reading(void)
{
	return window != NULL || begun;
}

bool
webhook_reader_read(bool wake, Size elsewhere, TimestampTz now)
{
	MemoryContext old = CurrentMemoryContext;
	List	   *volatile events = NIL;
	List	   *volatile offers = NIL;
	volatile bool done = false;

	if (!webhook_reader_is_reading() && !wake)
		return true;
	if (!webhook_dispatch_has_room(elsewhere))
		return webhook_reader_is_reading(); /* a wake-up is not subscription_dropped */

	PG_TRY();
	{
		List	   *found = NIL;

		webhook_transaction_begin("reading events");
		if (window == NULL)
		{
			MemoryContextSwitchTo(context);
			window = webhook_window_open(from, partial, upto_id,
										 begun ? partial : NULL);
			pg_atomic_fetch_add_u64(&counters->windows, 1);
		}
		MemoryContextSwitchTo(step_context);
		events = read_step(&found);
		offers = found;
		MemoryContextSwitchTo(old);
		webhook_transaction_commit();
		done = true;
	}
	PG_CATCH();
	{
		if (window != NULL)
			webhook_window_close(window);
		window = NULL;
		unmatched = NIL;
		caught_up = filter_errors = NIL;
		pg_atomic_write_u32(&webhook_shmem_my_slot()->changed, 1);
		MemoryContextSwitchTo(old);
		webhook_transaction_abort();
		webhook_dispatch_refresh(webhook_enabled, now);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);

	if (done)
	{
		if (reloaded)
			webhook_dispatch_refresh(webhook_enabled, now);
		offer_step(events, offers, now);
	}
	webhook_filter_reset();
	MemoryContextReset(step_context);
	return done;
}

/*
 * The events of the next step, and who gets them. Whoever reads caught_up a command
 * that subscriptions have changed has read them anew, and so has who reads an
 * event that came after a change without a command, of a restore for instance.
 */
static List *
read_step(List **offers)
{
	List	   *events = next_events();
	ListCell   *cell;

	caught_up = filter_errors = NIL;
	reloaded = has_changed(events);
	if (reloaded)
		reload();
	if (webhook_subscription_catch_up_since() != NULL)
		catch_up(webhook_subscription_catch_up_since());
	webhook_window_make_durable(events);
	foreach(cell, events)
	{
		WebhookEvent *event = lfirst(cell);

		if (event->kind == WEBHOOK_EVENT)
			add_matches(event, false, offers);
		else if (event->kind == WEBHOOK_REPLAY)
			add_replay(event, offers);
	}
	pg_atomic_fetch_add_u64(&counters->events, list_length(events));
	return events;
}

/* Is there a change among them, or beside, that has not been seen yet? */
static bool
has_changed(const List *events)
{
	ListCell   *cell;

	if (events == NIL)
		return false;
	if (pg_atomic_exchange_u32(&webhook_shmem_my_slot()->changed, 0) != 0)
		return true;
	foreach(cell, events)
	{
		const WebhookEvent *event = lfirst(cell);

		if ((event->kind == WEBHOOK_CHANGED || event->kind == WEBHOOK_END) &&
			(reloaded_by == NULL || !webhook_snapshot_sees(reloaded_by, event->txid)))
			return true;
	}
	return false;
}

/*
 * What has been read since, for those that are is_new. If that is much, somebody
 * has subscribed in a long transaction, and it is left out: it may be.
 */
static void
catch_up(const WebhookSnapshot *since)
{
	MemoryContext old = MemoryContextSwitchTo(step_context);
	WebhookWindow *before = webhook_window_open(since, NULL, 0, begun ? partial : from);
	ListCell   *cell;

	if (webhook_window_remaining(before) <= LOOK_BACK_ROWS)
	{
		List	   *events = webhook_window_next(before, LOOK_BACK_ROWS, STEP_BYTES);

		webhook_window_make_durable(events);
		foreach(cell, events)
		{
			WebhookEvent *event = lfirst(cell);

			if (event->kind == WEBHOOK_EVENT &&
				(webhook_snapshot_sees(from, event->txid) || event->id <= upto_id))
				add_matches(webhook_event_copy(event), true, &caught_up);
		}
	}
	webhook_window_close(before);
	MemoryContextSwitchTo(old);
}

/*
 * Events for one step: as many as make no more deliveries than a step may
 * have, but one at least. They live until others are read.
 */
static List *
next_events(void)
{
	List	   *events = NIL;
	int			deliveries = 0;
	ListCell   *cell;

	if (unmatched == NIL)
	{
		MemoryContext old;

		MemoryContextReset(read_context);
		old = MemoryContextSwitchTo(read_context);
		unmatched = webhook_window_next(window, STEP_ROWS, STEP_BYTES);
		MemoryContextSwitchTo(old);
	}
	foreach(cell, unmatched)
	{
		WebhookEvent *event = lfirst(cell);

		if (event->kind == WEBHOOK_EVENT)
			deliveries += webhook_subscription_count_matches(event->event_type);
		if (events != NIL && deliveries > STEP_DELIVERIES)
			break;
		events = lappend(events, event);
	}
	unmatched = list_delete_first_n(unmatched, list_length(events));
	return events;
}

static void
add_matches(WebhookEvent *event, bool only_new, List **offers)
{
	const WebhookSubscription *subscription;
	int			cursor = 0;

	while ((subscription = webhook_subscription_match(event, &cursor)) != NULL)
	{
		WebhookOffer offer = {0};
		bool		is_undecided = false;
		bool		accepted;

		if (!webhook_queue_is_enabled(subscription->id) ||
			(only_new && !subscription->is_new))
			continue;
		accepted = subscription->filter == NULL ||
			webhook_filter_accepts(subscription->filter, event, &is_undecided);
		if (is_undecided)
			filter_errors = lappend(filter_errors, webhook_queue_get(subscription->id));
		if (!accepted)
			continue;

		offer.event = event;
		offer.subscription_id = subscription->id;
		offer.position = event->id;
		offer.cause = WEBHOOK_CAUSE_EVENT;
		offer.caused_at = event->created_at;
		(void) add_offer(&offer, offers);
	}
}

/*
 * An event to be delivered to one subscription, whatever that one wants. How
 * often that was tried before the log alone knows.
 */
static void
add_replay(WebhookEvent *row, List **offers)
{
	WebhookOffer offer = {0};
	WebhookCommand command;

	if (!webhook_command_parse(row, &command) ||
		webhook_subscription_get(command.subscription_id) == NULL)
		return;
	offer.event = webhook_command_event(row, &command);
	offer.subscription_id = command.subscription_id;
	offer.position = row->id;
	offer.cause = command.cause;
	offer.caused_at = row->created_at;
	if (!add_offer(&offer, offers))
		webhook_event_release(offer.event);
}

/* False if it is finished, or waits: that was before a crash. */
static bool
add_offer(WebhookOffer *offer, List **offers)
{
	const WebhookEvent *event = offer->event;
	WebhookOffer *kept;

	if ((recovering || offer->cause == WEBHOOK_CAUSE_RESEND ||
		 offer->cause == WEBHOOK_CAUSE_RECOVER) &&
		webhook_log_knows(offer->subscription_id, offer->position, event,
						  event->created_at - LOG_MARGIN, &offer->attempts))
		return false;
	offer->has_earlier_pending =
		webhook_dispatch_must_check_pending(offer->subscription_id, event->subject) &&
		webhook_pending_has_subject(offer->subscription_id, event->subject);
	kept = palloc(sizeof(WebhookOffer));
	*kept = *offer;
	*offers = lappend(*offers, kept);
	return true;
}

/* The step is committed: deliveries and commands in their order, progress. */
static void
offer_step(List *events, List *offers, TimestampTz now)
{
	bool		whole = webhook_window_remaining(window) == 0 && unmatched == NIL;
	int64		last = events == NIL ? 0 : ((WebhookEvent *) llast(events))->id;
	MemoryContext old;
	WebhookBatch *batch;
	ListCell   *cell;
	int			next = 0;

	batch = webhook_progress_open_batch(progress, webhook_window_end(window), last, whole,
										events != NIL, now);

	old = MemoryContextSwitchTo(context);
	webhook_subscription_clear_new();
	foreach(cell, caught_up)
	{
		WebhookOffer *offer = lfirst(cell);

		offer->event = webhook_event_copy(offer->event);
		webhook_dispatch_offer(offer, batch, now);
		webhook_event_release(offer->event);
	}
	foreach(cell, filter_errors)
	{
		WebhookQueue *queue = lfirst(cell);

		queue->health.state.filter_errors++;
		webhook_queue_mark_dirty(queue, false);
	}
	caught_up = filter_errors = NIL;
	foreach(cell, events)
	{
		WebhookEvent *row = lfirst(cell);
		WebhookEvent *kept = NULL;

		for (; next < list_length(offers); next++)
		{
			WebhookOffer *offer = list_nth(offers, next);

			if (offer->position != row->id)
				break;
			/* Only what somebody wants outlives the step. */
			if (kept == NULL)
				kept = webhook_event_copy(offer->event);
			offer->event = kept;
			webhook_dispatch_offer(offer, batch, now);
		}
		if (kept != NULL)
			webhook_event_release(kept);
		else if (row->kind != WEBHOOK_EVENT)
			take_command(row, batch);
	}
	last_id = Max(last_id, last);

	/* From here a new attempt at this window would go on. */
	if (!whole)
	{
		if (partial != NULL)
			pfree(partial);
		partial = webhook_snapshot_copy(webhook_window_end(window));
		upto_id = last;
		begun = true;
	}
	MemoryContextSwitchTo(old);

	if (whole)
		finish_window(now);
	webhook_batch_unpin(batch);
}

static void
take_command(const WebhookEvent *row, WebhookBatch *batch)
{
	WebhookCommand command;

	if (row->kind != WEBHOOK_CHANGED)
		webhook_commands_accept(row, batch);
	else if (webhook_command_parse(row, &command))
		webhook_queue_reset(command.subscription_id);
}

static void
finish_window(TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(context);

	pfree(from);
	if (partial != NULL)
		pfree(partial);
	from = webhook_snapshot_copy(webhook_window_end(window));
	partial = NULL;
	upto_id = 0;
	begun = false;
	webhook_window_close(window);
	window = NULL;
	MemoryContextSwitchTo(old);

	recovering = false;
	if (held_windows > 0 && --held_windows == 0)
	{
		webhook_loader_repair_heads();
		webhook_due_suspend(false);
	}
}

/*
 * In a transaction: read the subscriptions anew. A fence may be lifted, and the
 * window that is open may be too old to have the commands beside that. Of what
 * is fenced this process writes no state; what is in the table may have been
 * restored after it had started.
 */
static void
reload(void)
{
	MemoryContext old;

	if (webhook_subscription_any_fenced())
	{
		ListCell   *cell;

		hold_windows(webhook_reader_is_reading() ? 2 : 1);
		foreach(cell, webhook_state_load())
		{
			WebhookState *state = lfirst(cell);
			const WebhookSubscription *subscription =
			webhook_subscription_get(state->subscription_id);

			if (subscription != NULL && subscription->fenced)
				webhook_queue_restore(state, GetCurrentTimestamp());
		}
	}
	webhook_subscription_reload(NULL);

	/* It sees as much at least: it has a newer snapshot. */
	if (reloaded_by != NULL)
		pfree(reloaded_by);
	old = MemoryContextSwitchTo(context);
	reloaded_by = webhook_snapshot_make(GetActiveSnapshot(), InvalidFullTransactionId);
	MemoryContextSwitchTo(old);
}

/* Load nothing that is due before the end of so many windows. */
static void
hold_windows(int count)
{
	held_windows = Max(held_windows, count);
	webhook_due_suspend(true);
}
