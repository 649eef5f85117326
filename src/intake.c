/*
 * intake.c
 *	  What comes in: windows of the ring, due rows of webhook.pending, changed
 *	  subscriptions, cancellations.
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

#include "delivery.h"
#include "guc.h"
#include "intake.h"
#include "ring.h"
#include "subscription.h"
#include "transaction.h"
#include "window.h"

#define STEP_ROWS 500
#define STEP_BYTES ((Size) 1024 * 1024)
#define STEP_DELIVERIES 1000	/* aimed at, where many want each event */
#define CANCEL_ROWS 500

/* An event may have been logged by a clock that went wrong meanwhile. */
#define LOG_MARGIN USECS_PER_DAY

/* A delivery that a step has found. */
typedef struct Match
{
	WebhookEvent *event;
	int64		subscription_id;
	bool		behind;			/* earlier ones wait in webhook.pending */
	int			attempts;
} Match;

/* A command to end what waits for a subscription that has gone. */
typedef struct Cancellation
{
	int64		subscription_id;
	int64		before;			/* rows of an earlier position */
	WebhookEpoch *epoch;		/* held until it is done */
} Cancellation;

static MemoryContext context;	/* what lives longer than a step */
static MemoryContext step_context;
static WebhookCounters *counters;
static const char *checkpoint_home; /* for the first reload only */

/* Where reading stands: all that "from" sees, and of "partial" up to upto_id. */
static WebhookSnapshot *from;
static WebhookSnapshot *partial;
static int64 upto_id;
static bool begun;				/* "partial" is a window's end of this process */
static WebhookWindow *window;
static bool recovering = true;
static int	step_rows = STEP_ROWS;
static bool reloaded;			/* subscriptions, in the present step */
static int	held_windows = 1;	/* to be read before anything due is loaded */
static List *cancellations = NIL;

static void hold_windows(int count);
static List *read_step(List **matches);
static void add_matches(WebhookEvent *event, List **matches);
static void offer_step(List *events, List *matches, TimestampTz now);
static void finish_window(TimestampTz now);
static void repair_heads(void);
static bool is_known(int64 subscription_id, const char *subject);
static void note_waiting_rows(void);
static void recover_from_error(MemoryContext old);

void
webhook_intake_init(const WebhookCheckpoint *checkpoint, WebhookCounters *shared)
{
	MemoryContext old;

	counters = shared;
	context = AllocSetContextCreate(TopMemoryContext, "webhook intake",
									ALLOCSET_DEFAULT_SIZES);
	step_context = AllocSetContextCreate(TopMemoryContext, "webhook step",
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
	MemoryContextSwitchTo(old);
	webhook_progress_init(from, partial, upto_id);

	webhook_subscription_reload(checkpoint_home);
	checkpoint_home = NULL;
	note_waiting_rows();
	webhook_lane_hold(true);
}

bool
webhook_intake_reload(void)
{
	MemoryContext old = CurrentMemoryContext;
	volatile bool done = false;

	/* Lifted by resume_database()? A window that is open may be too old. */
	if (webhook_subscription_any_fenced())
		hold_windows(window == NULL ? 1 : 2);

	PG_TRY();
	{
		webhook_transaction_begin("reading subscriptions");
		webhook_subscription_reload(NULL);
		note_waiting_rows();
		webhook_transaction_commit();
		done = true;
	}
	PG_CATCH();
	{
		recover_from_error(old);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return done;
}

bool
webhook_intake_is_reading(void)
{
	return window != NULL || begun;
}

bool
webhook_intake_read(bool wake, Size elsewhere, TimestampTz now)
{
	MemoryContext old = CurrentMemoryContext;
	List	   *volatile events = NIL;
	List	   *volatile matches = NIL;
	volatile bool done = false;

	if (!webhook_intake_is_reading() && !wake)
		return true;
	if (!webhook_delivery_has_room(false, elsewhere))
		return webhook_intake_is_reading(); /* a wake-up is not forgotten */

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
		matches = found;
		MemoryContextSwitchTo(old);
		webhook_transaction_commit();
		done = true;
	}
	PG_CATCH();
	{
		if (window != NULL)
			webhook_window_close(window);
		window = NULL;
		recover_from_error(old);
		webhook_delivery_review(webhook_enabled, now);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);

	if (done)
	{
		if (reloaded)
			webhook_delivery_review(webhook_enabled, now);
		offer_step(events, matches, now);
		if (events != NIL)
			step_rows = Max(1, Min(STEP_ROWS,
								   STEP_DELIVERIES * list_length(events) /
								   Max(list_length(matches), 1)));
	}
	MemoryContextReset(step_context);
	return done;
}

bool
webhook_intake_load_due(Size elsewhere, TimestampTz now)
{
	WebhookLane *lane = webhook_lane_due(now);
	MemoryContext old = CurrentMemoryContext;
	List	   *volatile rows = NIL;
	volatile TimestampTz next = 0;
	volatile bool done = false;
	ListCell   *cell;

	if (lane == NULL || !webhook_delivery_has_room(true, elsewhere))
		return true;

	PG_TRY();
	{
		TimestampTz left;

		webhook_transaction_begin("reading pending deliveries");
		MemoryContextSwitchTo(step_context);
		rows = webhook_pending_due(lane->id, now,
								   webhook_lane_limit(lane) - lane->nready,
								   STEP_BYTES, webhook_delivery_has_row, &left);
		next = left;
		MemoryContextSwitchTo(old);
		webhook_transaction_commit();
		done = true;
	}
	PG_CATCH();
	{
		recover_from_error(old);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);

	if (done)
	{
		MemoryContextSwitchTo(context);
		foreach(cell, rows)
		{
			WebhookPending *row = lfirst(cell);

			/* Two heads of one subject, made by hand: one after the other. */
			if (webhook_delivery_has_row(row->subscription_id, row->event->subject,
										 row->position, row->event->id))
				continue;
			row->event = webhook_event_copy(row->event);
			webhook_delivery_resume(row, now);
		}
		MemoryContextSwitchTo(old);
		webhook_lane_loaded(lane, next);
	}
	MemoryContextReset(step_context);
	return done;
}

bool
webhook_intake_is_cancelling(void)
{
	return cancellations != NIL;
}

bool
webhook_intake_cancel(void)
{
	MemoryContext old = CurrentMemoryContext;
	List	   *volatile rows = NIL;
	volatile bool done = false;
	Cancellation *cancellation;
	ListCell   *cell;

	if (cancellations == NIL ||
		webhook_delivery_load()->unflushed >= CANCEL_ROWS)
		return true;
	cancellation = linitial(cancellations);

	PG_TRY();
	{
		webhook_transaction_begin("cancelling pending deliveries");
		MemoryContextSwitchTo(step_context);
		rows = webhook_pending_batch(cancellation->subscription_id,
									 cancellation->before, CANCEL_ROWS);
		MemoryContextSwitchTo(old);
		webhook_transaction_commit();
		done = true;
	}
	PG_CATCH();
	{
		recover_from_error(old);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);

	if (done)
	{
		MemoryContextSwitchTo(context);
		foreach(cell, rows)
		{
			WebhookPending *row = lfirst(cell);

			/* One in flight ends by itself. */
			if (webhook_delivery_has_row(row->subscription_id, NULL,
										 row->position, row->event->id))
				continue;
			row->event = webhook_event_copy(row->event);
			webhook_delivery_cancel(row);
		}
		MemoryContextSwitchTo(old);
		if (rows == NIL &&
			!webhook_delivery_has_rows_to_come(cancellation->subscription_id))
		{
			webhook_progress_release(cancellation->epoch);
			webhook_lane_get(cancellation->subscription_id)->cancelling--;
			cancellations = list_delete_first(cancellations);
			pfree(cancellation);
		}
	}
	MemoryContextReset(step_context);
	return done;
}

bool
webhook_intake_settle_doubts(void)
{
	WebhookLane *lane = webhook_lane_doubtful();
	MemoryContext old = CurrentMemoryContext;
	volatile bool done = false;

	if (lane == NULL)
		return true;
	PG_TRY();
	{
		bool		any;

		webhook_transaction_begin("reading pending deliveries");
		any = webhook_pending_has_any(lane->id);
		webhook_transaction_commit();
		if (!any && !webhook_delivery_has_rows_to_come(lane->id))
			lane->has_rows = false;
		done = true;
	}
	PG_CATCH();
	{
		recover_from_error(old);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return done;
}

/*
 * The events of the next step, and who gets them. Whoever reads past a command
 * that subscriptions have changed has read them anew, and so has who reads an
 * event that came after a change without a command, of a restore for instance.
 */
static List *
read_step(List **matches)
{
	List	   *events = webhook_window_next(window, step_rows, STEP_BYTES);
	ListCell   *cell;

	reloaded = false;
	if (events == NIL)
		return NIL;
	webhook_window_make_durable(events);

	foreach(cell, events)
	{
		WebhookEvent *event = lfirst(cell);

		if (event->kind != WEBHOOK_EVENT ||
			pg_atomic_read_u32(&webhook_shmem_my_slot()->changed) != 0)
		{
			if (webhook_subscription_any_fenced())
				hold_windows(1);
			webhook_subscription_reload(NULL);
			reloaded = true;
			break;
		}
	}
	foreach(cell, events)
	{
		WebhookEvent *event = lfirst(cell);

		if (event->kind == WEBHOOK_EVENT)
			add_matches(event, matches);
	}
	pg_atomic_fetch_add_u64(&counters->events, list_length(events));
	return events;
}

static void
add_matches(WebhookEvent *event, List **matches)
{
	const WebhookSubscription *subscription;
	int			cursor = 0;

	while ((subscription = webhook_subscription_match(event, &cursor)) != NULL)
	{
		Match	   *match;
		int			attempts = 0;

		if (recovering &&
			webhook_journal_knows(subscription->id, event->id, event,
								  event->created - LOG_MARGIN, &attempts))
			continue;
		match = palloc(sizeof(Match));
		match->event = event;
		match->subscription_id = subscription->id;
		match->attempts = attempts;
		match->behind =
			webhook_delivery_must_ask(subscription->id, event->subject) &&
			webhook_pending_has_subject(subscription->id, event->subject);
		*matches = lappend(*matches, match);
	}
}

/* The step is committed: deliveries, commands, progress. */
static void
offer_step(List *events, List *matches, TimestampTz now)
{
	bool		whole = webhook_window_remaining(window) == 0;
	int64		last = events == NIL ? 0 : ((WebhookEvent *) llast(events))->id;
	MemoryContext old;
	WebhookEpoch *epoch;
	WebhookEvent *kept = NULL;
	ListCell   *cell;

	epoch = webhook_progress_step(webhook_window_end(window), last, whole,
								  events != NIL, now);

	old = MemoryContextSwitchTo(context);
	foreach(cell, matches)
	{
		Match	   *match = lfirst(cell);

		/* Only what somebody wants outlives the step. */
		if (kept == NULL || kept->id != match->event->id)
		{
			if (kept != NULL)
				webhook_event_release(kept);
			kept = webhook_event_copy(match->event);
		}
		webhook_delivery_offer(kept, match->subscription_id, kept->id,
							   WEBHOOK_CAUSE_EVENT, match->behind,
							   match->attempts, epoch, now);
	}
	if (kept != NULL)
		webhook_event_release(kept);

	foreach(cell, events)
	{
		WebhookEvent *event = lfirst(cell);
		Cancellation *cancellation;

		if (event->kind != WEBHOOK_CANCEL || event->subject == NULL)
			continue;
		cancellation = palloc(sizeof(Cancellation));
		cancellation->subscription_id = strtoll(event->subject, NULL, 10);
		cancellation->before = event->id;
		cancellation->epoch = epoch;
		webhook_progress_hold(epoch);
		webhook_lane_get(cancellation->subscription_id)->cancelling++;
		cancellations = lappend(cancellations, cancellation);
	}

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
	webhook_progress_release(epoch);
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
		repair_heads();
		webhook_lane_hold(false);
	}
}

/* Load nothing that is due before the end of so many windows. */
static void
hold_windows(int count)
{
	held_windows = Max(held_windows, count);
	webhook_lane_hold(true);
}

/*
 * After the recovery: a subject whose head was in memory at the crash, or when
 * this was dumped, and is not wanted any more, or had ended, has no head. An
 * error ends the process: nobody else would do this but the next one.
 */
static void
repair_heads(void)
{
	ListCell   *cell;
	MemoryContext old = CurrentMemoryContext;

	webhook_transaction_begin("looking for deliveries that wait for nothing");
	foreach(cell, webhook_pending_subscriptions())
		webhook_pending_repair(*(int64 *) lfirst(cell), GetCurrentTimestamp(),
							   is_known);
	note_waiting_rows();
	webhook_transaction_commit();
	MemoryContextSwitchTo(old);
}

/*
 * Is anything of the subject in memory? What has ended counts too: the flush
 * to come brings a head, and there may be an earlier row among it.
 */
static bool
is_known(int64 subscription_id, const char *subject)
{
	return webhook_order_find(subscription_id, subject) != NULL;
}

/* Which subscriptions have rows in webhook.pending, and when they are due. */
static void
note_waiting_rows(void)
{
	ListCell   *cell;

	foreach(cell, webhook_pending_subscriptions())
	{
		int64		id = *(int64 *) lfirst(cell);

		webhook_lane_note_row(webhook_lane_get(id), webhook_pending_earliest(id));
	}
}

static void
recover_from_error(MemoryContext old)
{
	MemoryContextSwitchTo(old);
	webhook_transaction_abort();
}
