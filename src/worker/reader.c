/*
 * reader.c
 *	  Reads the ring window by window, and the subscriptions.
 *
 * Reading goes in steps, each in a transaction of its own that ends before
 * anything is sent (step.c). After an error a step is dropped, and what is left
 * of its window after the last complete step is opened again, up to the same
 * end. With another end, rows of lower ids would come in, and upto_id would no
 * longer say what has been read.
 *
 * A window that takes more than one step becomes the older one: it goes on being
 * read step by step, and beside it each new window, so that nobody waits for the
 * end of a large transaction. Who could not take what was read is behind, and
 * gets it from a tail (behind.c). The low-water mark stays at what is unread of
 * the older window, so recovery reads all of this as one window.
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
#include "worker/behind_internal.h"
#include "worker/loader_internal.h"
#include "worker/matcher_internal.h"
#include "worker/reader_internal.h"
#include "worker/reload_internal.h"
#include "worker/step_internal.h"
#include "worker/surplus_internal.h"
#include "worker/transaction_internal.h"

#define STEP_ROWS 500
#define STEP_BYTES ((Size) 1024 * 1024)
#define WAITED_ROWS 50			/* of what is behind, while somebody waits for what is new */
#define SURPLUS_ROWS 50			/* of commands that are too many: a round completes fewer */
#define ROUND_STEPS 8			/* of the newest window, at most, before anything is sent */
#define ROUND_TIME (USECS_PER_SEC / 100)	/* after which no further one begins */
#define STEP_DELIVERIES 1000	/* of a step with more than one event */

/*
 * Rows that are read again for a new subscription. More can only follow from a
 * subscribe() in a long transaction, for which no promise is made.
 */
#define CATCH_UP_ROWS 500

#define MOST_TOLD 5				/* late subscriptions that have a line each in the server's log */

/* A window that is being read. */
typedef struct Reading
{
	MemoryContext context;		/* of this struct and what it points to */
	MemoryContext read_context; /* of the events in "unmatched" */
	uint64		number;			/* from 1 on, in the order of opening */
	bool		recovering;		/* the first window of this process */
	WebhookSnapshot *from;		/* the window begins with what this does not see */
	WebhookSnapshot *partial;	/* rows up to upto_id that this sees were read; NULL: none */
	int64		upto_id;
	WebhookSnapshot *end;		/* its end; NULL: it has not been opened yet */
	WebhookWindow *window;		/* NULL: it is not open */
	List	   *unmatched;		/* events read from it that are in no step yet */
	WebhookBatch *rest;			/* pinned while the window is read in parts; else NULL */
	TimestampTz read_at;		/* when its last step ended */
	uint64		next_number;	/* of rows of the ring, before the window was opened */
} Reading;

/* A step that is under way, and the subscriptions that it has read. */
typedef struct Attempt
{
	WebhookStep step;
	Reading    *reading;		/* NULL: what waits in a tail is taken */
	bool		surplus;		/* in that of commands that were too many */
	int			rows;			/* of the tail, at most */
	bool		reloaded;		/* subscriptions were read again */
	const WebhookSubscription **fresh;	/* those that are new, the earliest first */
	int			late;			/* the first of them, for which nothing is read again */
} Attempt;

static struct
{
	WebhookDispatcher *dispatcher;
	WebhookProgress *progress;
	WebhookSlot *slot;			/* the counters */
	MemoryContext context;		/* of what lives longer than a step */
	MemoryContext step_context; /* of one step */

	/* The next window begins with what "from" does not see. */
	WebhookSnapshot *from;
	WebhookSnapshot *partial;	/* of the checkpoint, for the first window; NULL: none */
	int64		upto_id;

	Reading    *older;			/* a window that is read in parts; NULL: none */
	Reading    *newest;			/* the window after that which is not read to its end; NULL: none */
	uint64		nopened;		/* windows that were opened */
	uint64		suspended_until;	/* due rows are loaded when this window, and all before it,
									 * are read; 0: they are loaded now */
	bool		failed;			/* what waits in the tail is lost for this process */
}			reader;

static bool try_step(Reading *reading, TimestampTz now);
static bool take_waiting(bool surplus, int rows, TimestampTz now);
static bool try_attempt(Attempt *attempt, TimestampTz now);
static void read_step(void *arg);
static void discard(Attempt *attempt, TimestampTz now);
static Reading *next_window(void);
static void open_window(Reading *reading);
static void free_reading(Reading *reading);
static void reload(void *arg);
static void catch_up(Attempt *attempt);
static WebhookWindow *window_again(Attempt *attempt, int count);
static void report_late(const Attempt *attempt);
static bool was_read(const WebhookEvent *event);
static List *next_events(Reading *reading);
static void complete_step(Attempt *attempt, TimestampTz now);
static void count(const List *rows);
static WebhookBatch *batch_of(Reading *reading, int64 last, bool whole, TimestampTz now);
static void advance(Reading *reading, int64 last, bool whole, TimestampTz now);
static void finish_window(Reading *reading);
static void show_older(void);
static void resume_loading(void);
static void suspend_loading(void);

void
webhook_reader_init(WebhookDispatcher *dispatcher, WebhookSlot *slot)
{
	memset(&reader, 0, sizeof(reader));
	reader.dispatcher = dispatcher;
	reader.slot = slot;
	reader.context = AllocSetContextCreate(TopMemoryContext, "webhook reader",
										   ALLOCSET_DEFAULT_SIZES);
	reader.step_context = AllocSetContextCreate(TopMemoryContext, "webhook step",
												ALLOCSET_DEFAULT_SIZES);
	webhook_behind_init(dispatcher);
	webhook_surplus_init();
	webhook_reload_init(dispatcher, slot);
}

void
webhook_reader_load(const WebhookCheckpoint *checkpoint)
{
	MemoryContext old;
	ListCell   *cell;

	MemoryContextReset(reader.context);
	old = MemoryContextSwitchTo(reader.context);
	reader.partial = NULL;
	reader.upto_id = 0;
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

	webhook_reload_load();
	foreach(cell, webhook_state_load())
		webhook_queue_restore(reader.dispatcher, lfirst(cell), GetCurrentTimestamp());
	webhook_loader_note_rows();
	suspend_loading();
}

WebhookProgress *
webhook_reader_progress(void)
{
	return reader.progress;
}

bool
webhook_reader_reload(TimestampTz now)
{
	bool		done = webhook_transaction_try("reading subscriptions", reload, NULL);

	webhook_reload_end(done, now);
	return done;
}

bool
webhook_reader_has_failed(void)
{
	return reader.failed;
}

uint64
webhook_reader_windows(void)
{
	return reader.nopened;
}

uint64
webhook_reader_unread(void)
{
	const Reading *readings[] = {reader.older, reader.newest};
	uint64		unread = 0;

	for (int i = 0; i < lengthof(readings); i++)
	{
		if (readings[i] != NULL && readings[i]->window != NULL)
			unread += webhook_window_remaining(readings[i]->window) +
				list_length(readings[i]->unmatched);
	}
	return unread;
}

TimestampTz
webhook_reader_time(bool wake, TimestampTz now)
{
	if (reader.newest != NULL || (wake && webhook_behind_may_read_newer()) ||
		(reader.older != NULL && webhook_behind_may_read_older()) || webhook_surplus_is_due())
		return now;
	return webhook_behind_time(reader.older == NULL ? 0 : reader.older->read_at, now);
}

/*
 * The newest window is read to its end if that takes no more time than a round
 * may: somebody may wait for its last row.
 */
bool
webhook_reader_read(bool wake, TimestampTz now)
{
	webhook_behind_relieve(reader.older == NULL ? 0 : reader.older->read_at, now);
	if (!webhook_tail_is_empty(webhook_behind_tail()) &&
		!take_waiting(false, wake ? WAITED_ROWS : STEP_ROWS, now))
		return false;
	if (webhook_surplus_has_room() && !take_waiting(true, SURPLUS_ROWS, now))
		return false;
	if (reader.newest == NULL && wake && webhook_behind_may_read_newer())
		reader.newest = next_window();
	for (int i = 0; i < ROUND_STEPS; i++)
	{
		if (reader.older != NULL && webhook_behind_may_read_older() &&
			!try_step(reader.older, now))
			return false;
		if (reader.newest != NULL && !try_step(reader.newest, now))
			return false;
		if ((reader.newest == NULL &&
			 (reader.older == NULL || !webhook_behind_may_read_older())) ||
			GetCurrentTimestamp() - now > ROUND_TIME)
			break;
	}
	return true;
}

/* One step of a window. Returns false after an error. */
static bool
try_step(Reading *reading, TimestampTz now)
{
	Attempt		attempt = {0};

	attempt.reading = reading;
	attempt.step.recovering = reading->recovering;
	attempt.step.older = reading == reader.older;
	return try_attempt(&attempt, now);
}

/* A step of so many rows at most that wait in a tail. Returns false after an error. */
static bool
take_waiting(bool surplus, int rows, TimestampTz now)
{
	Attempt		attempt = {0};

	attempt.surplus = surplus;
	attempt.rows = rows;
	return try_attempt(&attempt, now);
}

static bool
try_attempt(Attempt *attempt, TimestampTz now)
{
	bool		done;

	attempt->step.dispatcher = reader.dispatcher;
	done = webhook_transaction_try("reading events", read_step, attempt);
	if (done)
	{
		if (attempt->reloaded)
			webhook_reload_end(true, now);
		complete_step(attempt, now);
	}
	else
		discard(attempt, now);
	webhook_filter_reset();
	MemoryContextReset(reader.step_context);
	return done;
}

/* In a transaction: read the rows of one step, and find out who gets them. */
static void
read_step(void *arg)
{
	Attempt    *attempt = arg;
	WebhookStep *step = &attempt->step;

	if (attempt->reading == NULL)
	{
		MemoryContextSwitchTo(reader.step_context);
		if (attempt->surplus)
			webhook_step_take_surplus(step, attempt->rows, STEP_BYTES);
		else
			webhook_step_take_waiting(step, attempt->rows, STEP_BYTES);
		return;
	}
	if (attempt->reading->window == NULL)
		open_window(attempt->reading);
	MemoryContextSwitchTo(reader.step_context);
	step->events = next_events(attempt->reading);
	attempt->reloaded = step->events != NIL && webhook_reload_is_wanted_by(step->events);
	if (attempt->reloaded)
		reload(NULL);
	catch_up(attempt);
	webhook_window_make_durable(step->events);
	webhook_step_match(step);
}

/*
 * After an error: the window is opened again, and subscriptions are read again.
 * A window of which no step was complete is forgotten.
 */
static void
discard(Attempt *attempt, TimestampTz now)
{
	Reading    *reading = attempt->reading;

	bool		kept = webhook_behind_drop();

	reader.failed = !webhook_surplus_drop() || !kept;
	if (reading != NULL)
	{
		if (reading->window != NULL)
			webhook_window_close(reading->window);
		reading->window = NULL;
		reading->unmatched = NIL;
		if (reading->rest == NULL)
		{
			Assert(reading == reader.newest);
			reader.newest = NULL;
			free_reading(reading);
		}
		show_older();
	}
	webhook_reload_end(false, now);
}

/* A window that begins where all that were opened before end. */
static Reading *
next_window(void)
{
	MemoryContext context = AllocSetContextCreate(reader.context, "webhook reading",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Reading    *reading = palloc0(sizeof(Reading));

	reading->context = context;
	reading->read_context = AllocSetContextCreate(context, "webhook events read",
												  ALLOCSET_DEFAULT_SIZES);
	reading->number = reader.nopened + 1;
	reading->recovering = reader.nopened == 0;
	reading->next_number = pg_atomic_read_u64(&reader.slot->number_next);
	reading->from = webhook_snapshot_copy(reader.from);
	if (reader.partial != NULL)
		reading->partial = webhook_snapshot_copy(reader.partial);
	reading->upto_id = reader.upto_id;
	MemoryContextSwitchTo(old);
	return reading;
}

/* In a transaction: open a window, or, up to the same end, what is unread of it. */
static void
open_window(Reading *reading)
{
	MemoryContextSwitchTo(reading->context);
	if (reading->next_number == 0)
		reading->next_number = webhook_ring_last_id() + 1;
	reading->window = webhook_window_open(reading->from, reading->partial, reading->upto_id,
										  reading->end, 0);
	if (reading == reader.older)
		show_older();
}

static void
free_reading(Reading *reading)
{
	if (reading->window != NULL)
		webhook_window_close(reading->window);
	MemoryContextDelete(reading->context);
}

/*
 * In a transaction: read the subscriptions again. A fence may have been lifted, and the
 * window that is open may be too old to have the commands that came with that.
 */
static void
reload(void *arg)
{
	if (webhook_subscription_any_fenced())
		suspend_loading();
	webhook_reload_read();
}

/*
 * Read again, for new subscriptions, what was read before they were known. Those whose call
 * was too long ago are late: the others get what they would get without them.
 */
static void
catch_up(Attempt *attempt)
{
	WebhookStep *step = &attempt->step;
	WebhookMatches matches = {reader.dispatcher, step->recovering};
	WebhookWindow *before;
	List	   *events;
	ListCell   *cell;
	int			nfresh;

	attempt->fresh = webhook_subscription_new(&nfresh);
	before = window_again(attempt, nfresh);
	if (before == NULL)
		return;
	while (webhook_window_remaining(before) > 0)
	{
		events = webhook_window_next(before, CATCH_UP_ROWS, STEP_BYTES);
		webhook_window_make_durable(events);
		foreach(cell, events)
		{
			WebhookEvent *event = lfirst(cell);

			if (webhook_kind_is_event(event->kind) && was_read(event))
				webhook_matcher_add_event_again(&matches, webhook_event_copy(event),
												attempt->fresh[attempt->late]->since);
			webhook_event_release(event);
		}
	}
	webhook_window_close(before);
	step->caught_up = matches.offers;
	step->filter_errors = matches.filter_errors;
}

/*
 * The window that is to be read again for those new subscriptions that are not late; NULL:
 * for none. The later a start snapshot, the fewer rows it does not see, so the first one that
 * is not late is found by bisection. Usually nobody is.
 */
static WebhookWindow *
window_again(Attempt *attempt, int count)
{
	WebhookWindow *window = NULL;
	int			end = count;
	int			tried = 0;

	while (attempt->late < end)
	{
		WebhookWindow *found = webhook_window_open(attempt->fresh[tried]->since, NULL, 0,
												   reader.from, CATCH_UP_ROWS);

		if (found == NULL)
			attempt->late = tried + 1;
		else
		{
			if (window != NULL)
				webhook_window_close(window);
			window = found;
			end = tried;
		}
		tried = attempt->late + (end - attempt->late) / 2;
	}
	return window;
}

static void
report_late(const Attempt *attempt)
{
	for (int i = 0; i < Min(attempt->late, MOST_TOLD); i++)
		ereport(WARNING,
				(errmsg("subscription " INT64_FORMAT " does not get what others committed before webhook.subscribe() did",
						attempt->fresh[i]->id),
				 errdetail("The ring got more than %d rows meanwhile, which are not read again.",
						   CATCH_UP_ROWS),
				 errhint("Call webhook.recover(" INT64_FORMAT ", <since>, what => 'missing').",
						 attempt->fresh[i]->id)));
	if (attempt->late > MOST_TOLD)
		ereport(WARNING,
				(errmsg_plural("%d other subscription does not get what others committed meanwhile, either",
							   "%d other subscriptions do not get what others committed meanwhile, either",
							   attempt->late - MOST_TOLD, attempt->late - MOST_TOLD)));
}

/* Windows follow each other, so a row is in the first one whose end sees it. */
static bool
was_read(const WebhookEvent *event)
{
	const Reading *readings[] = {reader.older, reader.newest};

	for (int i = 0; i < lengthof(readings); i++)
	{
		const Reading *reading = readings[i];

		if (reading != NULL && reading->end != NULL &&
			webhook_snapshot_sees(reading->end, event->txid))
			return webhook_snapshot_sees(reading->from, event->txid) ||
				event->id <= reading->upto_id;
	}
	return webhook_snapshot_sees(reader.from, event->txid);
}

/*
 * Events for one step: as many as make no more deliveries than a step may
 * have, but at least one. They live until others are read from the window.
 */
static List *
next_events(Reading *reading)
{
	List	   *events = NIL;
	int			deliveries = 0;
	ListCell   *cell;

	if (reading->unmatched == NIL)
	{
		MemoryContext old;

		MemoryContextReset(reading->read_context);
		old = MemoryContextSwitchTo(reading->read_context);
		reading->unmatched = webhook_window_next(reading->window, STEP_ROWS, STEP_BYTES);
		MemoryContextSwitchTo(old);
	}
	foreach(cell, reading->unmatched)
	{
		WebhookEvent *event = lfirst(cell);

		if (webhook_kind_is_event(event->kind))
			deliveries += webhook_subscription_count_matches(event);
		if (events != NIL && deliveries > STEP_DELIVERIES)
			break;
		events = lappend(events, event);
	}
	reading->unmatched = list_delete_first_n(reading->unmatched, list_length(events));
	return events;
}

/* The step is committed: hand over what it has, and move on. It may have found no row so far. */
static void
complete_step(Attempt *attempt, TimestampTz now)
{
	const WebhookStep *step = &attempt->step;
	Reading    *reading = attempt->reading;
	MemoryContext old = MemoryContextSwitchTo(reader.context);
	WebhookBatch *batch = NULL;

	if (reading != NULL)
	{
		bool		whole = webhook_window_remaining(reading->window) == 0 &&
			reading->unmatched == NIL;
		int64		last = reading->end == NULL ? 0 : reading->upto_id;

		if (step->events != NIL)
			last = ((WebhookEvent *) llast(step->events))->id;
		count(step->events);
		batch = batch_of(reading, last, whole, now);
		report_late(attempt);
		webhook_subscription_clear_new();
		webhook_behind_keep(batch, now);
		webhook_surplus_keep(batch, now);
		webhook_step_offer(step, batch, now);
		advance(reading, last, whole, now);
		webhook_batch_unpin(batch);
	}
	else
	{
		webhook_surplus_keep(NULL, now);
		webhook_step_offer(step, NULL, now);
	}
	MemoryContextSwitchTo(old);
}

/* The counters of what was read. */
static void
count(const List *rows)
{
	uint64		events = 0;
	ListCell   *cell;

	foreach(cell, rows)
		events += webhook_kind_is_event(((const WebhookEvent *) lfirst(cell))->kind);
	webhook_counter_add(&reader.slot->counters.events, events);
	webhook_counter_add(&reader.slot->metrics.events, events);
}

/* The batch of a step's rows, with a pin for the caller. */
static WebhookBatch *
batch_of(Reading *reading, int64 last, bool whole, TimestampTz now)
{
	WebhookBatch *batch;

	if (reading->rest == NULL && whole)
		return webhook_progress_open_batch(reader.progress, webhook_window_end(reading->window),
										   last != 0, now);
	if (reading->rest == NULL)
		reading->rest = webhook_progress_open_rest(reader.progress,
												   webhook_window_end(reading->window), now);
	if (!whole)
		return webhook_batch_take_part(reading->rest, last);
	batch = reading->rest;
	reading->rest = NULL;
	return batch;
}

/* From here the next step, or another attempt at this window, goes on. */
static void
advance(Reading *reading, int64 last, bool whole, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(reading->context);

	if (reading->end == NULL)
	{
		reading->end = webhook_snapshot_copy(webhook_window_end(reading->window));
		MemoryContextSwitchTo(reader.context);
		pfree(reader.from);
		reader.from = webhook_snapshot_copy(reading->end);
		reader.partial = NULL;
		reader.upto_id = 0;
		reader.nopened++;
		webhook_counter_add(&reader.slot->counters.windows, 1);
		pg_atomic_write_u64(&reader.slot->metrics.read_before, reading->next_number);
	}
	MemoryContextSwitchTo(old);
	reading->partial = reading->end;
	reading->upto_id = last;
	reading->read_at = now;
	if (whole)
		finish_window(reading);
	else if (reader.older == NULL)
	{
		reader.older = reading;
		reader.newest = NULL;
	}
	show_older();
}

/* A newer window that is read in parts, too, becomes the older one. */
static void
finish_window(Reading *reading)
{
	if (reading == reader.older)
	{
		reader.older = NULL;
		show_older();
		if (reader.newest != NULL && reader.newest->rest != NULL)
		{
			reader.older = reader.newest;
			reader.newest = NULL;
		}
	}
	else
		reader.newest = NULL;
	free_reading(reading);
	resume_loading();
}

/* Tell who is behind what is unread of the older window. */
static void
show_older(void)
{
	const Reading *older = reader.older;

	if (older == NULL)
		webhook_behind_set_older(NIL, true, -1);
	else if (older->window != NULL)
		webhook_behind_set_older(webhook_window_types(older->window), true, older->upto_id);
	else
		webhook_behind_set_older(NIL, false, older->upto_id);
}

/* Due rows may be loaded if the window that they wait for, and all before it, are read. */
static void
resume_loading(void)
{
	const Reading *first = reader.older != NULL ? reader.older : reader.newest;

	if (reader.suspended_until == 0 || reader.nopened < reader.suspended_until ||
		(first != NULL && first->number <= reader.suspended_until))
		return;
	if (webhook_loader_repair_heads())
	{
		reader.suspended_until = 0;
		webhook_due_suspend(reader.dispatcher, false);
	}
}

/* Load nothing that is due before the window that is opened next is read. */
static void
suspend_loading(void)
{
	bool		opening = reader.newest != NULL && reader.newest->end == NULL;

	reader.suspended_until = reader.nopened + (opening ? 2 : 1);
	webhook_due_suspend(reader.dispatcher, true);
}
