/*
 * reader.c
 *	  Reads the ring window by window, and the subscriptions.
 *
 * Reading goes in steps, each in a transaction of its own that ends before
 * anything is sent. A step first finds out all that it needs from tables; it
 * changes deliveries only after its commit, where nothing can fail any more. A
 * step is a value: after an error it is dropped, and what is left of the window
 * after the last complete step is opened again, up to the same end. With
 * another end, rows of lower ids would come in, and upto_id would no longer
 * say what has been read.
 *
 * Recovery is the first window of a process: its deliveries may have ended or
 * may be in pending, so each is looked up there and in the log. After it every
 * subject that waits in pending gets a head.
 *
 * A new subscription gets every event that its start snapshot does not see.
 * Events that were read before the worker knew of it are read again for this
 * subscription only, before anything newer, so that order survives a crash.
 *
 * Loading of due rows is suspended (a) until recovery ends and (b) after a
 * fence was lifted, until the next window is read: the ring may hold a command
 * that cancels them. Then, too, subjects without a head get one: a dump does
 * not have what was in memory.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "ring/command.h"
#include "ring/ring.h"
#include "ring/window.h"
#include "worker/commands_internal.h"
#include "worker/loader_internal.h"
#include "worker/matcher_internal.h"
#include "worker/reader_internal.h"
#include "worker/transaction_internal.h"

#define STEP_ROWS 500
#define STEP_BYTES ((Size) 1024 * 1024)
#define STEP_DELIVERIES 1000	/* of a step with more than one event */

/*
 * Rows that are read again for new subscriptions. More can only follow from a
 * subscribe() in a long transaction, for which no promise is made.
 */
#define CATCH_UP_ROWS 500

/* A delivery or a command, in the order of the ring. */
typedef struct Item
{
	WebhookOffer *offer;		/* NULL: a command */
	const WebhookEvent *command;
} Item;

/* One step; its lists are in reader.step_context. */
typedef struct Step
{
	List	   *events;			/* rows read, in order: WebhookEvent * */
	List	   *items;			/* what they mean: Item * */
	List	   *caught_up;		/* of earlier events for new subscriptions: WebhookOffer * */
	List	   *filter_errors;	/* ids of subscriptions whose filter has failed: int64 * */
	bool		reloaded;		/* subscriptions were read again */
} Step;

static struct
{
	WebhookDispatcher *dispatcher;
	WebhookProgress *progress;
	WebhookSlot *slot;			/* flag "changed", and the counters */
	MemoryContext context;		/* of what lives longer than a step */
	MemoryContext step_context; /* of one step */
	MemoryContext read_context; /* of the events that were read from the window */

	/* Where reading stands: all that "from" sees, and of "partial" up to upto_id. */
	WebhookSnapshot *from;
	WebhookSnapshot *partial;	/* NULL: no window is read in part */
	int64		upto_id;
	bool		begun;			/* "partial" is the end of a window that this process has begun */

	WebhookWindow *window;		/* NULL: none is open */
	List	   *unmatched;		/* events read from it that are in no step yet */
	int64		last_id;		/* highest id of a row that was read */
	bool		recovering;		/* the first window is not read to its end */
	int			suspended_windows;	/* windows to be read before due rows are loaded */
	WebhookSnapshot *reloaded_by;	/* the snapshot that subscriptions were last read by; NULL:
									 * none */
}			reader;

static void read_step(void *arg);
static void step_discard(TimestampTz now);
static bool has_changed(const List *events);
static void reload(void);
static void restore_fenced(void);
static void catch_up(Step *step);
static List *next_events(void);
static void match(Step *step);
static void add_offers(Step *step, WebhookMatches *matches);
static void add_command(Step *step, const WebhookEvent *row);
static void offer_step(const Step *step, TimestampTz now);
static void offer_caught_up(const Step *step, WebhookBatch *batch, TimestampTz now);
static void offer_items(const Step *step, WebhookBatch *batch, TimestampTz now);
static void run_command(const WebhookEvent *row, WebhookBatch *batch);
static void advance(int64 last, bool whole);
static void finish_window(void);
static void suspend_loading(int windows);
static void reload_and_note(void *arg);

void
webhook_reader_init(WebhookDispatcher *dispatcher, const WebhookCheckpoint *checkpoint,
					WebhookSlot *slot)
{
	MemoryContext old;
	ListCell   *cell;

	memset(&reader, 0, sizeof(reader));
	reader.dispatcher = dispatcher;
	reader.slot = slot;
	reader.recovering = true;
	reader.context = AllocSetContextCreate(TopMemoryContext, "webhook reader",
										   ALLOCSET_DEFAULT_SIZES);
	reader.step_context = AllocSetContextCreate(TopMemoryContext, "webhook step",
												ALLOCSET_DEFAULT_SIZES);
	reader.read_context = AllocSetContextCreate(TopMemoryContext, "webhook events read",
												ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(reader.context);
	if (checkpoint != NULL)
	{
		reader.from = webhook_snapshot_copy(checkpoint->snapshot);
		if (checkpoint->partial != NULL)
			reader.partial = webhook_snapshot_copy(checkpoint->partial);
		reader.upto_id = checkpoint->upto_id;
	}
	else
		reader.from = webhook_snapshot_empty();
	reader.progress = webhook_progress_new(reader.from, reader.partial, reader.upto_id);
	MemoryContextSwitchTo(old);

	webhook_subscription_reload(checkpoint == NULL ? NULL : checkpoint->home);
	foreach(cell, webhook_state_load())
		webhook_queue_restore(dispatcher, lfirst(cell), GetCurrentTimestamp());
	webhook_loader_note_rows();
	suspend_loading(1);
	reader.last_id = webhook_ring_last_id();
}

int64
webhook_reader_last_id(void)
{
	return reader.last_id;
}

WebhookProgress *
webhook_reader_progress(void)
{
	return reader.progress;
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
	return reader.window != NULL || reader.begun;
}

bool
webhook_reader_read(TimestampTz now)
{
	Step		step = {0};
	bool		done = webhook_transaction_try("reading events", read_step, &step);

	if (done)
	{
		if (step.reloaded)
			webhook_dispatch_refresh(reader.dispatcher, webhook_enabled, now);
		offer_step(&step, now);
	}
	else
		step_discard(now);
	webhook_filter_reset();
	MemoryContextReset(reader.step_context);
	return done;
}

/* In a transaction: read the rows of one step, and find out who gets them. */
static void
read_step(void *arg)
{
	Step	   *step = arg;

	if (reader.window == NULL)
	{
		MemoryContextSwitchTo(reader.context);
		reader.window = webhook_window_open(reader.from, reader.partial, reader.upto_id,
											reader.begun ? reader.partial : NULL);
		pg_atomic_fetch_add_u64(&reader.slot->counters.windows, 1);
	}
	MemoryContextSwitchTo(reader.step_context);
	step->events = next_events();
	step->reloaded = has_changed(step->events);
	if (step->reloaded)
		reload();
	catch_up(step);
	webhook_window_make_durable(step->events);
	match(step);
	pg_atomic_fetch_add_u64(&reader.slot->counters.events, list_length(step->events));
}

/* After an error: the window is opened again, and subscriptions are read again. */
static void
step_discard(TimestampTz now)
{
	if (reader.window != NULL)
		webhook_window_close(reader.window);
	reader.window = NULL;
	reader.unmatched = NIL;
	pg_atomic_write_u32(&reader.slot->changed, 1);
	webhook_dispatch_refresh(reader.dispatcher, webhook_enabled, now);
}

/*
 * Returns true if subscriptions have to be read before these events are
 * matched: before any event that follows a "changed" command that was not
 * seen, and whenever the shared flag says so (a restore writes no command).
 */
static bool
has_changed(const List *events)
{
	ListCell   *cell;

	if (events == NIL)
		return false;
	if (pg_atomic_exchange_u32(&reader.slot->changed, 0) != 0)
		return true;
	foreach(cell, events)
	{
		const WebhookEvent *event = lfirst(cell);

		if ((event->kind == WEBHOOK_CHANGED || event->kind == WEBHOOK_END) &&
			(reader.reloaded_by == NULL ||
			 !webhook_snapshot_sees(reader.reloaded_by, event->txid)))
			return true;
	}
	return false;
}

/*
 * In a transaction: read the subscriptions again. A fence may have been lifted,
 * and the window that is open may be too old to have the commands that came
 * with that.
 */
static void
reload(void)
{
	MemoryContext old;

	if (webhook_subscription_any_fenced())
	{
		suspend_loading(webhook_reader_is_reading() ? 2 : 1);
		restore_fenced();
	}
	webhook_subscription_reload(NULL);
	webhook_dispatch_bind(reader.dispatcher);

	/* The newer snapshot sees at least as much. */
	if (reader.reloaded_by != NULL)
		pfree(reader.reloaded_by);
	old = MemoryContextSwitchTo(reader.context);
	reader.reloaded_by = webhook_snapshot_make(GetActiveSnapshot(), InvalidFullTransactionId);
	MemoryContextSwitchTo(old);
}

/*
 * This process writes no state of a fenced subscription; the state in the table
 * may have been restored after this process had started.
 */
static void
restore_fenced(void)
{
	ListCell   *cell;

	foreach(cell, webhook_state_load())
	{
		WebhookState *state = lfirst(cell);
		const WebhookSubscription *subscription =
			webhook_subscription_get(state->subscription_id);

		if (subscription != NULL && subscription->fenced)
			webhook_queue_restore(reader.dispatcher, state, GetCurrentTimestamp());
	}
}

/* Read again, for new subscriptions, what was read before they were known. */
static void
catch_up(Step *step)
{
	const WebhookSnapshot *since = webhook_subscription_catch_up_since();
	WebhookMatches matches = {reader.dispatcher, reader.recovering};
	WebhookWindow *before;
	ListCell   *cell;

	if (since == NULL)
		return;
	before = webhook_window_open(since, NULL, 0, reader.begun ? reader.partial : reader.from);
	if (webhook_window_remaining(before) <= CATCH_UP_ROWS)
	{
		List	   *events = webhook_window_next(before, CATCH_UP_ROWS, STEP_BYTES);

		webhook_window_make_durable(events);
		foreach(cell, events)
		{
			WebhookEvent *event = lfirst(cell);

			if (event->kind == WEBHOOK_EVENT &&
				(webhook_snapshot_sees(reader.from, event->txid) || event->id <= reader.upto_id))
				webhook_matcher_add_event(&matches, webhook_event_copy(event), true);
		}
	}
	webhook_window_close(before);
	step->caught_up = matches.offers;
	step->filter_errors = matches.filter_errors;
}

/*
 * Events for one step: as many as make no more deliveries than a step may
 * have, but at least one. They live until others are read from the window.
 */
static List *
next_events(void)
{
	List	   *events = NIL;
	int			deliveries = 0;
	ListCell   *cell;

	if (reader.unmatched == NIL)
	{
		MemoryContext old;

		MemoryContextReset(reader.read_context);
		old = MemoryContextSwitchTo(reader.read_context);
		reader.unmatched = webhook_window_next(reader.window, STEP_ROWS, STEP_BYTES);
		MemoryContextSwitchTo(old);
	}
	foreach(cell, reader.unmatched)
	{
		WebhookEvent *event = lfirst(cell);

		if (event->kind == WEBHOOK_EVENT)
			deliveries += webhook_subscription_count_matches(event->event_type);
		if (events != NIL && deliveries > STEP_DELIVERIES)
			break;
		events = lappend(events, event);
	}
	reader.unmatched = list_delete_first_n(reader.unmatched, list_length(events));
	return events;
}

/* Deliveries and commands of the step's events, in their order. */
static void
match(Step *step)
{
	WebhookMatches matches = {reader.dispatcher, reader.recovering};
	ListCell   *cell;

	matches.filter_errors = step->filter_errors;
	foreach(cell, step->events)
	{
		WebhookEvent *event = lfirst(cell);

		matches.offers = NIL;
		if (event->kind == WEBHOOK_EVENT)
			webhook_matcher_add_event(&matches, event, false);
		else if (event->kind == WEBHOOK_REPLAY)
			webhook_matcher_add_replay(&matches, event);
		else
			add_command(step, event);
		add_offers(step, &matches);
	}
	step->filter_errors = matches.filter_errors;
}

static void
add_offers(Step *step, WebhookMatches *matches)
{
	ListCell   *cell;

	foreach(cell, matches->offers)
	{
		Item	   *item = palloc0(sizeof(Item));

		item->offer = lfirst(cell);
		step->items = lappend(step->items, item);
	}
}

static void
add_command(Step *step, const WebhookEvent *row)
{
	Item	   *item = palloc0(sizeof(Item));

	item->command = row;
	step->items = lappend(step->items, item);
}

/* The step is committed: hand over its deliveries and commands, and move on. */
static void
offer_step(const Step *step, TimestampTz now)
{
	bool		whole = webhook_window_remaining(reader.window) == 0 && reader.unmatched == NIL;
	int64		last = step->events == NIL ? 0 : ((WebhookEvent *) llast(step->events))->id;
	MemoryContext old = MemoryContextSwitchTo(reader.context);
	WebhookBatch *batch;
	ListCell   *cell;

	batch = webhook_progress_open_batch(reader.progress, webhook_window_end(reader.window), last,
										whole, step->events != NIL, now);
	webhook_subscription_clear_new();
	offer_caught_up(step, batch, now);
	foreach(cell, step->filter_errors)
		webhook_queue_count_filter_error(reader.dispatcher, *(int64 *) lfirst(cell));
	offer_items(step, batch, now);
	advance(last, whole);
	webhook_batch_unpin(batch);
	MemoryContextSwitchTo(old);
}

static void
offer_caught_up(const Step *step, WebhookBatch *batch, TimestampTz now)
{
	ListCell   *cell;

	foreach(cell, step->caught_up)
	{
		WebhookOffer *offer = lfirst(cell);

		offer->event = webhook_event_copy(offer->event);
		webhook_dispatch_offer(reader.dispatcher, offer, batch, now);
		webhook_event_release(offer->event);
	}
}

/* The offers of an event share one copy of it; only what is wanted outlives the step. */
static void
offer_items(const Step *step, WebhookBatch *batch, TimestampTz now)
{
	const WebhookEvent *event = NULL;
	WebhookEvent *copy = NULL;
	ListCell   *cell;

	foreach(cell, step->items)
	{
		const Item *item = lfirst(cell);

		if (item->offer == NULL)
		{
			run_command(item->command, batch);
			continue;
		}
		if (item->offer->event != event)
		{
			if (copy != NULL)
				webhook_event_release(copy);
			event = item->offer->event;
			copy = webhook_event_copy(event);
		}
		item->offer->event = copy;
		webhook_dispatch_offer(reader.dispatcher, item->offer, batch, now);
	}
	if (copy != NULL)
		webhook_event_release(copy);
}

static void
run_command(const WebhookEvent *row, WebhookBatch *batch)
{
	WebhookCommand command;

	if (row->kind != WEBHOOK_CHANGED)
		webhook_commands_accept(row, batch);
	else if (webhook_command_parse(row, &command))
		webhook_queue_reset(reader.dispatcher, command.subscription_id);
}

/* From here the next step, or another attempt at this window, goes on. */
static void
advance(int64 last, bool whole)
{
	reader.last_id = Max(reader.last_id, last);
	if (reader.partial != NULL)
		pfree(reader.partial);
	reader.partial = NULL;
	reader.upto_id = 0;
	reader.begun = !whole;
	if (whole)
	{
		finish_window();
		return;
	}
	reader.partial = webhook_snapshot_copy(webhook_window_end(reader.window));
	reader.upto_id = last;
}

static void
finish_window(void)
{
	pfree(reader.from);
	reader.from = webhook_snapshot_copy(webhook_window_end(reader.window));
	webhook_window_close(reader.window);
	reader.window = NULL;
	reader.recovering = false;
	if (reader.suspended_windows > 1)
		reader.suspended_windows--;
	else if (reader.suspended_windows == 1 && webhook_loader_repair_heads())
	{
		reader.suspended_windows = 0;
		webhook_due_suspend(reader.dispatcher, false);
	}
}

/* Load nothing that is due before the end of so many windows. */
static void
suspend_loading(int windows)
{
	reader.suspended_windows = Max(reader.suspended_windows, windows);
	webhook_due_suspend(reader.dispatcher, true);
}
