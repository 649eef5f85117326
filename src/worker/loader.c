/*
 * loader.c
 *	  What comes back: rows of webhook.pending that are due.
 *
 * A look takes a transaction of its own that ends before anything is sent, and
 * touches deliveries only after its commit. It goes to several subscriptions,
 * for few rows each, so that none waits for another's backlog. Which have rows is
 * found out at the start and noted from then on; that one may have none any
 * more is a doubt that a look settles, for as long as it has, each event costs
 * one.
 *
 * A clock that is set back would have all that is not due wait for the old time
 * to come. So the rows are set back too, by what the clock has lost since it
 * was last looked at; what a process that had ended has written is not.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "delivery/dispatch.h"
#include "worker/attempt.h"
#include "worker/loader.h"
#include "worker/transaction.h"

#define LOAD_QUEUES 64			/* of one look */
#define LOAD_BYTES ((Size) 1024 * 1024)
#define SET_BACK (10 * USECS_PER_SEC)	/* of the clock, that rows follow */

/* What one look has found. */
typedef struct Look
{
	TimestampTz now;
	int			room;			/* rows, at most */
	int			nqueues;
	WebhookQueue *queues[LOAD_QUEUES];
	int			nlooked;		/* of these; there was room for no more */
	List	   *rows[LOAD_QUEUES];
	TimestampTz next[LOAD_QUEUES];	/* when the first that is left is due */
} Look;

/* Has a subscription any rows? */
typedef struct Doubt
{
	int64		subscription_id;
	bool		any;
} Doubt;

/* The clock was set back. */
typedef struct Step
{
	TimestampTz now;
	int64		by;
} Step;

static MemoryContext context;	/* of the rows of one look */

static bool follow_clock(TimestampTz now);
static void set_back(void *arg);
static void read_due(void *arg);
static void resume(const List *rows, TimestampTz now);
static void ask_for_any(void *arg);
static bool is_known(int64 subscription_id, const char *subject, void *arg);
static bool is_skipped(int64 subscription_id, const char *subject, int64 position, int64 id,
					   void *arg);

bool
webhook_loader_load(Size elsewhere, TimestampTz now)
{
	Look		look = {0};
	bool		done;

	if (!follow_clock(now))
		return false;
	look.now = now;
	look.room = webhook_dispatch_room_for_due(elsewhere);
	if (look.room == 0)
		return true;
	look.nqueues = webhook_due_take(now, look.queues, LOAD_QUEUES);
	if (look.nqueues == 0)
		return true;
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "webhook loading",
										ALLOCSET_DEFAULT_SIZES);

	done = webhook_transaction_try("reading pending deliveries", read_due, &look);
	for (int i = 0; i < look.nqueues; i++)
	{
		if (done && i < look.nlooked)
		{
			resume(look.rows[i], now);
			webhook_due_loaded(look.queues[i], look.next[i], now);
		}
		else
			webhook_queue_update(look.queues[i]);
	}
	MemoryContextReset(context);
	return done;
}

/* False: it has to be tried again. */
static bool
follow_clock(TimestampTz now)
{
	static TimestampTz latest = 0;
	Step		step;

	step.now = now;
	step.by = latest - now;
	if (step.by >= SET_BACK &&
		!webhook_transaction_try("following a clock that was set back", set_back, &step))
		return false;
	latest = now;
	return true;
}

static void
set_back(void *arg)
{
	const Step *step = arg;

	webhook_pending_set_back(step->now, step->by);
	webhook_loader_note_rows();
}

static void
read_due(void *arg)
{
	Look	   *look = arg;
	int			room = look->room;
	Size		bytes = 0;

	MemoryContextSwitchTo(context);
	while (look->nlooked < look->nqueues && room > 0 && bytes < LOAD_BYTES)
	{
		int			i = look->nlooked++;
		ListCell   *cell;

		look->rows[i] = webhook_pending_due(look->queues[i]->id, look->now,
											Min(webhook_queue_load_limit(look->queues[i]), room),
											LOAD_BYTES - bytes,
											is_skipped, NULL, &look->next[i]);
		room -= list_length(look->rows[i]);
		foreach(cell, look->rows[i])
			bytes += ((WebhookPending *) lfirst(cell))->event->size;
	}
}

static bool
is_skipped(int64 subscription_id, const char *subject, int64 position, int64 id, void *arg)
{
	return webhook_dispatch_is_loaded_or_blocked(subscription_id, subject, position, id);
}

static void
resume(const List *rows, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ListCell   *cell;

	foreach(cell, rows)
	{
		WebhookPending *row = lfirst(cell);

		/* Two heads of one subject, made by hand: one after the other. */
		if (webhook_dispatch_is_loaded_or_blocked(row->subscription_id, row->event->subject,
												  row->position, row->event->id))
			continue;
		row->event = webhook_event_copy(row->event);
		webhook_dispatch_load(row, now);
	}
	MemoryContextSwitchTo(old);
}

bool
webhook_loader_recheck(void)
{
	WebhookQueue *queue = webhook_queue_next_recheck();
	Doubt		doubt = {0};

	if (queue == NULL)
		return false;
	doubt.subscription_id = queue->id;
	if (!webhook_transaction_try("reading pending deliveries", ask_for_any, &doubt))
		return false;
	if (!doubt.any && !webhook_dispatch_has_rows_to_come(queue->id, NULL, NULL))
		queue->has_rows = false;
	return true;
}

static void
ask_for_any(void *arg)
{
	Doubt	   *doubt = arg;

	doubt->any = webhook_pending_has_any(doubt->subscription_id);
}

/*
 * After a recovery: a subject whose head was in memory at the crash, or when
 * this was dumped, and is not wanted any more, or had ended, has no head. An
 * error ends the process: nobody else would do this but the next one.
 */
void
webhook_loader_repair_heads(void)
{
	ListCell   *cell;
	MemoryContext old = CurrentMemoryContext;

	webhook_transaction_begin("looking for deliveries that wait for nothing");
	foreach(cell, webhook_pending_subscriptions())
		webhook_pending_repair(*(int64 *) lfirst(cell), GetCurrentTimestamp(),
							   is_known, NULL);
	webhook_loader_note_rows();
	webhook_transaction_commit();
	MemoryContextSwitchTo(old);
}

/*
 * Is anything of the subject in memory? What has ended counts too: the flush
 * to come brings a head, and there may be an earlier row among it.
 */
static bool
is_known(int64 subscription_id, const char *subject, void *arg)
{
	return webhook_subject_find(subscription_id, subject) != NULL;
}

void
webhook_loader_note_rows(void)
{
	ListCell   *cell;

	foreach(cell, webhook_pending_subscriptions())
	{
		int64		id = *(int64 *) lfirst(cell);

		webhook_due_add(webhook_queue_get(id), webhook_pending_earliest(id));
	}
}
