/*
 * commands.c
 *	  Ending deliveries before their time.
 *
 * What is in memory ends at once; rows of webhook.pending are read in pieces,
 * each in a transaction of its own, and end as deliveries do, with their data
 * in the log. A row on its way there is waited for. A command is done only
 * when nothing is left of what it means: until then the checkpoint does not
 * pass it, and a crash begins it anew.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "delivery/dispatch.h"
#include "ring/command.h"
#include "worker/attempt.h"
#include "worker/commands.h"

#define BATCH_ROWS 500
#define BATCHES_A_TURN 20		/* a new change begins where rows that have gone are still in the
								 * index */

typedef struct Cancellation
{
	WebhookKind kind;			/* END, CANCEL or SKIP */
	int64		subscription_id;
	int64		before;			/* only what has an earlier position */
	pg_uuid_t	event_id;		/* of a CANCEL */
	char	   *subject;		/* NULL: none */
	WebhookBatch *batch;		/* held until it is done; NULL: none */
	WebhookPendingCursor cursor;	/* of an END: behind the last row read */
} Cancellation;

/* Rows of webhook.pending that one look has found. */
typedef struct Look
{
	Cancellation *cancellation;
	MemoryContext context;
	List	   *rows;
} Look;

static List *cancellations = NIL;	/* they take turns */
static int	batches;			/* in the present change */

static void add(WebhookKind kind, int64 subscription_id, int64 before,
				const WebhookEvent *row, WebhookBatch *batch);
static void read_rows(void *arg);
static List *rows_of(Cancellation *cancellation);
static bool is_to_come(const Cancellation *cancellation);
static void finish_first(void);
static void rotate(void);

void
webhook_commands_accept(const WebhookEvent *row, WebhookBatch *batch)
{
	WebhookCommand command;

	if (!webhook_command_parse(row, &command))
		return;
	switch (row->kind)
	{
		case WEBHOOK_END:
			/* It may be enabled again by now. */
			webhook_dispatch_cancel_event(command.subscription_id, NULL,
										  row->id, batch);
			break;
		case WEBHOOK_CANCEL:
			webhook_dispatch_cancel_event(command.subscription_id,
										  &row->event_id, row->id, batch);
			break;
		case WEBHOOK_SKIP:
			if (row->subject == NULL ||
				webhook_dispatch_skip(command.subscription_id, row->subject, row->id, batch))
				return;
			break;
		default:
			return;
	}
	webhook_batch_pin(batch);
	add(row->kind, command.subscription_id, row->id, row, batch);
}

void
webhook_commands_cancel_backlogs(int64 last)
{
	WebhookQueue *queue;

	while ((queue = webhook_queue_next_backlog()) != NULL)
		add(WEBHOOK_END, queue->id, last + 1, NULL, NULL);
}

bool
webhook_commands_are_running(void)
{
	return cancellations != NIL;
}

bool
webhook_commands_run(void)
{
	MemoryContext old = CurrentMemoryContext;
	Look		look = {0};
	bool		done;
	Cancellation *first;
	ListCell   *cell;

	if (cancellations == NIL || webhook_dispatch_usage()->unflushed >= BATCH_ROWS)
		return true;
	first = linitial(cancellations);
	if (first->kind != WEBHOOK_END && is_to_come(first))
	{
		rotate();
		return true;
	}

	look.cancellation = first;
	look.context = AllocSetContextCreate(TopMemoryContext, "webhook cancellation",
										 ALLOCSET_DEFAULT_SIZES);
	done = webhook_transaction_try("cancelling pending deliveries", read_rows, &look);
	if (done)
	{
		MemoryContextSwitchTo(TopMemoryContext);
		foreach(cell, look.rows)
		{
			WebhookPending *row = lfirst(cell);

			/* One in flight ends by itself. */
			if (webhook_dispatch_is_loaded_or_blocked(row->subscription_id, NULL,
													  row->position, row->event->id))
				continue;
			row->event = webhook_event_copy(row->event);
			webhook_dispatch_cancel_row(row, first->kind == WEBHOOK_SKIP ? "skipped" : NULL,
										first->batch);
		}
		if (first->kind != WEBHOOK_END || (look.rows == NIL && !is_to_come(first)))
			finish_first();
		else if (++batches >= BATCHES_A_TURN)
			rotate();
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(look.context);
	return done;
}

static void
add(WebhookKind kind, int64 subscription_id, int64 before,
	const WebhookEvent *row, WebhookBatch *batch)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Cancellation *cancellation = palloc0(sizeof(Cancellation));
	WebhookQueue *queue = webhook_queue_get(subscription_id);

	cancellation->kind = kind;
	cancellation->subscription_id = subscription_id;
	cancellation->before = before;
	cancellation->batch = batch;
	if (row != NULL)
	{
		cancellation->event_id = row->event_id;
		if (row->subject != NULL)
			cancellation->subject = pstrdup(row->subject);
	}
	cancellations = lappend(cancellations, cancellation);
	MemoryContextSwitchTo(old);

	/* Nothing is loaded meanwhile that is to end. */
	queue->cancelling++;
	webhook_queue_update(queue);
}

static void
read_rows(void *arg)
{
	Look	   *look = arg;

	MemoryContextSwitchTo(look->context);
	look->rows = rows_of(look->cancellation);
}

/* In a transaction: the next rows of webhook.pending that are meant. */
static List *
rows_of(Cancellation *cancellation)
{
	switch (cancellation->kind)
	{
		case WEBHOOK_CANCEL:
			return webhook_pending_of_subject(cancellation->subscription_id,
											  cancellation->subject,
											  &cancellation->event_id,
											  cancellation->before);
		case WEBHOOK_SKIP:
			return webhook_pending_of_subject(cancellation->subscription_id,
											  cancellation->subject, NULL,
											  cancellation->before);
		default:
			return webhook_pending_batch(cancellation->subscription_id,
										 cancellation->before, BATCH_ROWS,
										 &cancellation->cursor);
	}
}

/* Is something that is meant on its way to webhook.pending? */
static bool
is_to_come(const Cancellation *cancellation)
{
	return webhook_dispatch_has_rows_to_come(cancellation->subscription_id,
											 cancellation->kind == WEBHOOK_CANCEL ?
											 &cancellation->event_id : NULL,
											 cancellation->kind == WEBHOOK_SKIP ?
											 cancellation->subject : NULL);
}

static void
finish_first(void)
{
	Cancellation *first = linitial(cancellations);
	WebhookQueue *queue = webhook_queue_get(first->subscription_id);

	if (first->batch != NULL)
		webhook_batch_unpin(first->batch);
	batches = 0;
	queue->cancelling--;
	webhook_queue_update(queue);
	cancellations = list_delete_first(cancellations);
	if (first->subject != NULL)
		pfree(first->subject);
	pfree(first);
}

/* It is the next one's change: none waits for the end of a long one. */
static void
rotate(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Cancellation *first = linitial(cancellations);

	batches = 0;
	cancellations = lappend(list_delete_first(cancellations), first);
	MemoryContextSwitchTo(old);
}
