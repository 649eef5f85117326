/*
 * commands.c
 *	  Runs the commands of the ring that end deliveries or make them due; those that
 *	  erase subjects in erasures.c.
 *
 * What is in memory ends at once. Rows of pending are read in pieces, each in
 * a transaction of its own, and end as deliveries do, with their data in the
 * log. Rows being written are waited for, and so are those in flight. The
 * checkpoint does not pass a command until it is complete, so after a crash it
 * is executed again.
 *
 * A cancel, skip or retry means what had committed when it was called: what
 * commits later is not meant, though it may have a lower id. The end of a
 * subscription means all that there is while the subscription is gone or
 * disabled. Once it is enabled again, the end means what its new start
 * snapshot sees.
 *
 * Of several commands each runs a few pieces, then the next one, so that none
 * waits for the end of a long one, nor for one that waits. While one runs, no
 * rows of its subscription are loaded.
 *
 * A command takes memory until it is complete, so few of a subscription are taken at once;
 * where there are more, surplus.c keeps them. The end of a subscription is always taken.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ring/command.h"
#include "worker/commands_internal.h"
#include "worker/erasures_internal.h"
#include "worker/transaction_internal.h"

#define PIECE_ROWS 500
#define IDLE_INTERVAL (USECS_PER_SEC / 20)	/* between looks while all commands wait */

#define RUN_PIECES 20			/* pieces of a command before the next command runs */
#define ROUND_PIECES 32			/* pieces of a round: thousands of subscriptions may end at once */

/* Commands that are not complete: of a subscription, and of all before each may have only one. */
#define MOST_OF_ONE 500
#define MOST_OF_ALL 2000

typedef struct Cancellation
{
	WebhookKind kind;			/* WEBHOOK_END, WEBHOOK_CANCEL, WEBHOOK_SKIP or WEBHOOK_RETRY */
	int64		subscription_id;
	WebhookReach reach;			/* of a command other than WEBHOOK_END; its snapshot is owned */
	pg_uuid_t	event_id;		/* of WEBHOOK_CANCEL */
	char	   *subject;		/* NULL: none */
	WebhookBatch *batch;		/* pinned until it is complete; NULL: none */
	WebhookPendingCursor cursor;	/* of WEBHOOK_END and WEBHOOK_RETRY: behind the last row that
									 * was done */
} Cancellation;

/* Rows of pending that one look has found. */
typedef struct Look
{
	const Cancellation *cancellation;
	MemoryContext context;
	WebhookPendingCursor cursor;	/* taken over after the commit */
	List	   *rows;			/* WebhookPending *, which are to end */
	TimestampTz now;			/* of WEBHOOK_RETRY: when rows are due */
	bool		at_end;			/* of WEBHOOK_RETRY: there are no more rows */
} Look;

static struct
{
	WebhookDispatcher *dispatcher;
	List	   *cancellations;	/* Cancellation *; the first one runs */
	int			nlimited;		/* of them, those that are not the end of a subscription */
	int			pieces;			/* of the first one, in its present run */
	TimestampTz idle_until;		/* all of them wait, and are looked at again then; 0: they do not */
}			commands;

/* What a piece of a command has come to. */
typedef enum Progress
{
	PROGRESS_MADE,
	PROGRESS_WAITS,				/* for other work of the worker: the next command may go on */
	PROGRESS_STOPPED,			/* no command can go on in this round */
	PROGRESS_FAILED,
} Progress;

static WebhookReach reach_of_end(int64 subscription_id);
static bool run_cancellations(TimestampTz now);
static TimestampTz cancellations_time(TimestampTz now);
static Progress run_piece(void);
static Cancellation *add(WebhookKind kind, int64 subscription_id, const WebhookEvent *row,
						 WebhookBatch *batch);
static WebhookReach owned_reach(const WebhookEvent *row, const WebhookCommand *command);
static void free_reach(WebhookReach *reach);
static WebhookReach reach_of(const Cancellation *cancellation);
static void read_rows(void *arg);
static bool is_complete(const Cancellation *cancellation, const Look *look);
static List *rows_of(Look *look, const WebhookReach *reach);
static int	cancel_rows(const Cancellation *cancellation, const List *rows);
static bool has_rows_to_come(const Cancellation *cancellation);
static void finish_first(void);
static void move_first_to_end(void);

void
webhook_commands_init(WebhookDispatcher *dispatcher)
{
	memset(&commands, 0, sizeof(commands));
	commands.dispatcher = dispatcher;
	webhook_erasures_init(dispatcher);
}

void
webhook_commands_accept(const WebhookEvent *row, WebhookBatch *batch)
{
	WebhookCommand command;
	WebhookReach reach;
	Cancellation *cancellation;

	if (!webhook_command_parse(row, &command))
		return;
	reach = row->kind == WEBHOOK_END ? reach_of_end(command.subscription_id) :
		owned_reach(row, &command);
	switch (row->kind)
	{
		case WEBHOOK_END:
			webhook_dispatch_cancel_event(commands.dispatcher, command.subscription_id, NULL,
										  &reach, batch);
			break;
		case WEBHOOK_CANCEL:
			webhook_dispatch_cancel_event(commands.dispatcher, command.subscription_id,
										  &row->event_id, &reach, batch);
			break;
		case WEBHOOK_SKIP:
			if (row->subject != NULL &&
				!webhook_dispatch_skip(commands.dispatcher, command.subscription_id,
									   row->subject, &reach, batch))
				break;
			free_reach(&reach);
			return;
		case WEBHOOK_RETRY:
			webhook_due_make_due(commands.dispatcher, command.subscription_id, row->subject,
								 GetCurrentTimestamp());
			break;
		case WEBHOOK_ERASE:
			if (row->subject != NULL)
				webhook_erasures_accept(row->subject, &reach, batch);
			return;
		case WEBHOOK_TELL:
			webhook_queue_tell(commands.dispatcher, command.subscription_id,
							   row->subject != NULL && strcmp(row->subject, "changed") == 0,
							   GetCurrentTimestamp());
			return;
		default:
			return;
	}
	webhook_batch_pin(batch);
	cancellation = add(row->kind, command.subscription_id, row, batch);
	if (row->kind != WEBHOOK_END)
		cancellation->reach = reach;
}

bool
webhook_commands_have_room(int64 subscription_id)
{
	int			own = webhook_due_blocks(commands.dispatcher, subscription_id);

	return own == 0 || (own < MOST_OF_ONE && commands.nlimited < MOST_OF_ALL);
}

void
webhook_commands_cancel_backlogs(void)
{
	int64		subscription_id;

	while ((subscription_id = webhook_queue_next_backlog(commands.dispatcher)) != 0)
		(void) add(WEBHOOK_END, subscription_id, NULL, NULL);
}

bool
webhook_commands_are_running(void)
{
	return commands.cancellations != NIL || webhook_erasures_are_running();
}

bool
webhook_commands_run(TimestampTz now)
{
	return webhook_erasures_run(now) && run_cancellations(now);
}

TimestampTz
webhook_commands_time(TimestampTz now)
{
	TimestampTz erasures = webhook_erasures_time(now);
	TimestampTz cancellations = cancellations_time(now);

	return erasures == 0 || (cancellations != 0 && cancellations < erasures) ?
		cancellations : erasures;
}

/* Returns false after an error. */
static bool
run_cancellations(TimestampTz now)
{
	int			waiting = 0;	/* commands in a row that wait */

	if (cancellations_time(now) > now)
		return true;
	commands.idle_until = 0;
	for (int i = 0; i < ROUND_PIECES && waiting < list_length(commands.cancellations); i++)
	{
		switch (run_piece())
		{
			case PROGRESS_MADE:
				waiting = 0;
				break;
			case PROGRESS_WAITS:
				move_first_to_end();
				waiting++;
				break;
			case PROGRESS_STOPPED:
				return true;
			case PROGRESS_FAILED:
				return false;
		}
	}
	if (waiting > 0 && waiting >= list_length(commands.cancellations))
		commands.idle_until = now + IDLE_INTERVAL;
	return true;
}

/* If the clock was set back, nobody knows how long they have waited: long enough. */
static TimestampTz
cancellations_time(TimestampTz now)
{
	if (commands.cancellations == NIL)
		return 0;
	return commands.idle_until - now > IDLE_INTERVAL ? now : Max(commands.idle_until, now);
}

/* Run one piece of the first command. */
static Progress
run_piece(void)
{
	Look		look = {0};
	Cancellation *first = linitial(commands.cancellations);
	Progress	progress = PROGRESS_MADE;

	if (webhook_dispatch_usage(commands.dispatcher)->unflushed >= PIECE_ROWS)
		return PROGRESS_STOPPED;
	if ((first->kind == WEBHOOK_CANCEL || first->kind == WEBHOOK_SKIP) && has_rows_to_come(first))
		return PROGRESS_WAITS;

	look.cancellation = first;
	look.cursor = first->cursor;
	look.now = GetCurrentTimestamp();
	look.context = AllocSetContextCreate(TopMemoryContext, "webhook cancellation",
										 ALLOCSET_DEFAULT_SIZES);
	if (!webhook_transaction_try("cancelling pending deliveries", read_rows, &look))
		progress = PROGRESS_FAILED;
	else
	{
		int			cancelled = cancel_rows(first, look.rows);

		first->cursor = look.cursor;
		if (first->kind == WEBHOOK_RETRY)
			webhook_due_add(commands.dispatcher, first->subscription_id, look.now);
		if (is_complete(first, &look))
		{
			if (first->kind == WEBHOOK_END && reach_of(first).snapshot == NULL)
				webhook_due_none(commands.dispatcher, first->subscription_id);
			finish_first();
		}
		else if (cancelled == 0 && first->kind != WEBHOOK_RETRY)
			progress = PROGRESS_WAITS;
		else if (++commands.pieces >= RUN_PIECES)
			move_first_to_end();
	}
	MemoryContextDelete(look.context);
	return progress;
}

/*
 * What the end of a subscription means at present: all of it, or, if it is enabled
 * again, what its start snapshot sees. The result is valid until the next reload.
 */
static WebhookReach
reach_of_end(int64 subscription_id)
{
	const WebhookSubscription *subscription = webhook_subscription_get(subscription_id);
	WebhookReach reach = {PG_INT64_MAX, NULL, InvalidFullTransactionId};

	if (subscription != NULL && webhook_queue_takes(commands.dispatcher, subscription))
		reach.snapshot = subscription->since;
	return reach;
}

static WebhookReach
reach_of(const Cancellation *cancellation)
{
	return cancellation->kind == WEBHOOK_END ? reach_of_end(cancellation->subscription_id) :
		cancellation->reach;
}

/* What a command means, for free_reach(). */
static WebhookReach
owned_reach(const WebhookEvent *row, const WebhookCommand *command)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	WebhookReach reach = webhook_command_reach(row, command);

	MemoryContextSwitchTo(old);
	return reach;
}

static void
free_reach(WebhookReach *reach)
{
	if (reach->snapshot != NULL)
		pfree(unconstify(WebhookSnapshot *, reach->snapshot));
}

static Cancellation *
add(WebhookKind kind, int64 subscription_id, const WebhookEvent *row, WebhookBatch *batch)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Cancellation *cancellation = palloc0(sizeof(Cancellation));

	cancellation->kind = kind;
	cancellation->subscription_id = subscription_id;
	cancellation->batch = batch;
	if (row != NULL)
	{
		cancellation->event_id = row->event_id;
		if (row->subject != NULL)
			cancellation->subject = pstrdup(row->subject);
	}
	commands.cancellations = lappend(commands.cancellations, cancellation);
	commands.nlimited += kind != WEBHOOK_END;
	commands.idle_until = 0;
	MemoryContextSwitchTo(old);
	webhook_due_block(commands.dispatcher, subscription_id);
	return cancellation;
}

static void
read_rows(void *arg)
{
	Look	   *look = arg;
	const Cancellation *cancellation = look->cancellation;
	WebhookReach reach = reach_of(cancellation);

	MemoryContextSwitchTo(look->context);
	if (cancellation->kind == WEBHOOK_RETRY)
		look->at_end = webhook_pending_make_due(cancellation->subscription_id,
												cancellation->subject, &reach, look->now,
												&look->cursor);
	else
		look->rows = rows_of(look, &reach);
}

/* Returns true if a command has nothing more to do after a look. */
static bool
is_complete(const Cancellation *cancellation, const Look *look)
{
	switch (cancellation->kind)
	{
		case WEBHOOK_END:
			return look->rows == NIL && !has_rows_to_come(cancellation);
		case WEBHOOK_RETRY:
			return look->at_end;
		default:
			return true;
	}
}

/* In a transaction: the next rows of pending that the command means. */
static List *
rows_of(Look *look, const WebhookReach *reach)
{
	const Cancellation *cancellation = look->cancellation;

	switch (cancellation->kind)
	{
		case WEBHOOK_CANCEL:
			return webhook_pending_of_subject(cancellation->subscription_id,
											  cancellation->subject,
											  &cancellation->event_id, reach);
		case WEBHOOK_SKIP:
			return webhook_pending_of_subject(cancellation->subscription_id,
											  cancellation->subject, NULL, reach);
		default:
			return webhook_pending_batch(cancellation->subscription_id, reach, PIECE_ROWS,
										 &look->cursor);
	}
}

/*
 * Rows that are in memory have been cancelled there, or end with their answer. Returns the number
 * of the others.
 */
static int
cancel_rows(const Cancellation *cancellation, const List *rows)
{
	const char *class = cancellation->kind == WEBHOOK_SKIP ? "skipped" : NULL;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	int			cancelled = 0;
	ListCell   *cell;

	foreach(cell, rows)
	{
		WebhookPending *row = lfirst(cell);

		if (webhook_dispatch_row_state(commands.dispatcher, row->subscription_id, NULL,
									   row->position, row->event->id) == WEBHOOK_ROW_LOADED)
			continue;
		row->event = webhook_event_copy(row->event);
		webhook_dispatch_cancel_row(commands.dispatcher, row, class, cancellation->batch);
		cancelled++;
	}
	MemoryContextSwitchTo(old);
	return cancelled;
}

/* A row that the command means may be on its way to pending. */
static bool
has_rows_to_come(const Cancellation *cancellation)
{
	return webhook_dispatch_has_rows_to_come(commands.dispatcher, cancellation->subscription_id,
											 cancellation->kind == WEBHOOK_CANCEL ?
											 &cancellation->event_id : NULL,
											 cancellation->kind == WEBHOOK_SKIP ?
											 cancellation->subject : NULL);
}

static void
finish_first(void)
{
	Cancellation *first = linitial(commands.cancellations);

	if (first->batch != NULL)
		webhook_batch_unpin(first->batch);
	webhook_due_unblock(commands.dispatcher, first->subscription_id);
	commands.pieces = 0;
	commands.nlimited -= first->kind != WEBHOOK_END;
	commands.cancellations = list_delete_first(commands.cancellations);
	if (first->subject != NULL)
		pfree(first->subject);
	free_reach(&first->reach);
	pfree(first);
}

static void
move_first_to_end(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Cancellation *first = linitial(commands.cancellations);

	commands.pieces = 0;
	commands.cancellations = lappend(list_delete_first(commands.cancellations), first);
	MemoryContextSwitchTo(old);
}
