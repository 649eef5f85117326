/*
 * loader.c
 *	  Brings due rows of pending back into memory.
 *
 * A look takes a transaction of its own that ends before anything is sent, and
 * changes deliveries only after its commit. It goes to several subscriptions,
 * for few rows each, so that none waits for another's backlog. Which of them
 * have rows is found out at the start and noted from then on.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "store/store.h"
#include "subscription/subscription.h"
#include "worker/loader_internal.h"
#include "worker/set_back_internal.h"
#include "worker/transaction_internal.h"

#define LOOK_QUEUES 64			/* queues of one look */
#define LOOK_BYTES ((Size) 1024 * 1024)
#define LEAST_SHARE 4			/* rows behind a head that are worth a look */

/* What one look has found. */
typedef struct Look
{
	TimestampTz now;
	int			room;			/* rows at most */
	int			nqueues;		/* queues that have due rows */
	WebhookQueue *queues[LOOK_QUEUES];
	int			nlooked;		/* of these, those that there was room for */
	List	   *rows[LOOK_QUEUES];	/* WebhookPending * in loader.context: due heads, */
	List	   *behind[LOOK_QUEUES];	/* and rows behind them, for each head in turn */
	List	   *erased;			/* WebhookPending * in loader.context: those of events that were
								 * erased */
	TimestampTz next[LOOK_QUEUES];	/* when the first row that is left is due; 0: none is left */
} Look;

/* Whether a subscription has rows. */
typedef struct Recheck
{
	int64		subscription_id;
	bool		has_rows;
} Recheck;

static struct
{
	WebhookDispatcher *dispatcher;
	MemoryContext context;		/* of the rows of one look */
}			loader;

static void repair_heads(void *arg);
static void read_due(void *arg);
static List *without_erased(List *rows, List **erased);
static bool is_skipped(int64 subscription_id, const char *subject, int64 position, int64 id,
					   void *arg);
static List *read_behind(const List *heads, int limit, Size *bytes);
static void load(const List *rows, TimestampTz now);
static void load_behind(const List *rows, TimestampTz now);
static void read_recheck(void *arg);
static bool is_in_memory(int64 subscription_id, const char *subject, void *arg);

void
webhook_loader_init(WebhookDispatcher *dispatcher)
{
	memset(&loader, 0, sizeof(loader));
	loader.dispatcher = dispatcher;
	loader.context = AllocSetContextCreate(TopMemoryContext, "webhook loader",
										   ALLOCSET_DEFAULT_SIZES);
	webhook_set_back_init(dispatcher);
}

bool
webhook_loader_load(Size engine, TimestampTz now)
{
	Look		look = {0};
	bool		done;

	webhook_set_back_observe(now);
	if (!webhook_set_back_run())
		return false;
	look.now = now;
	look.room = webhook_budget_load(loader.dispatcher, engine);
	if (look.room == 0)
		return true;
	look.nqueues = webhook_due_take(loader.dispatcher, now, look.queues, LOOK_QUEUES);
	if (look.nqueues == 0)
		return true;

	done = webhook_transaction_try("reading pending deliveries", read_due, &look);
	if (done)
		webhook_dispatch_erase_rows(loader.dispatcher, look.erased, NULL);
	for (int i = 0; i < look.nqueues; i++)
	{
		if (done && i < look.nlooked)
		{
			load(look.rows[i], now);
			load_behind(look.behind[i], now);
			webhook_due_loaded(loader.dispatcher, look.queues[i], look.next[i], now);
		}
		else
			webhook_due_not_loaded(loader.dispatcher, look.queues[i]);
	}
	MemoryContextReset(loader.context);
	return done;
}

void
webhook_loader_recheck(int queues)
{
	WebhookQueue *queue;

	while (queues-- > 0 && (queue = webhook_due_next_recheck(loader.dispatcher)) != NULL)
	{
		Recheck		recheck = {webhook_queue_id(queue)};

		if (!webhook_transaction_try("reading pending deliveries", read_recheck, &recheck))
			return;
		webhook_due_rechecked(loader.dispatcher, queue, recheck.has_rows ||
							  webhook_dispatch_has_rows_to_come(loader.dispatcher,
																recheck.subscription_id,
																NULL, NULL));
	}
}

bool
webhook_loader_repair_heads(void)
{
	return webhook_transaction_try("looking for deliveries that wait for nothing", repair_heads,
								   NULL);
}

void
webhook_loader_note_rows(void)
{
	ListCell   *cell;

	foreach(cell, webhook_pending_subscriptions())
	{
		int64		id = *(int64 *) lfirst(cell);

		webhook_due_add(loader.dispatcher, id, webhook_pending_earliest(id));
	}
	webhook_set_back_look_ahead();
}

void
webhook_loader_note_rows_of(const int64 *ids, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (webhook_pending_has_any(ids[i]))
			webhook_due_add(loader.dispatcher, ids[i], webhook_pending_earliest(ids[i]));
	}
}

/*
 * A subject has no head if its head was in memory at a crash, or when a dump
 * was taken, and has ended or is not wanted any more.
 */
static void
repair_heads(void *arg)
{
	ListCell   *cell;

	foreach(cell, webhook_pending_subscriptions())
		webhook_pending_repair(*(int64 *) lfirst(cell), GetCurrentTimestamp(),
							   is_in_memory, NULL);
	webhook_loader_note_rows();
}

static void
read_due(void *arg)
{
	Look	   *look = arg;
	int			room = look->room;
	Size		bytes = 0;

	MemoryContextSwitchTo(loader.context);
	while (look->nlooked < look->nqueues && room > 0 && bytes < LOOK_BYTES)
	{
		int			i = look->nlooked++;
		int			limit = webhook_due_limit(loader.dispatcher, look->queues[i]);
		ListCell   *cell;

		look->rows[i] = webhook_pending_due(webhook_queue_id(look->queues[i]), look->now,
											Min(limit, room), LOOK_BYTES - bytes,
											is_skipped, NULL, &look->next[i]);
		room -= list_length(look->rows[i]);
		foreach(cell, look->rows[i])
			bytes += ((WebhookPending *) lfirst(cell))->event->size;
		look->behind[i] = read_behind(look->rows[i],
									  Min(webhook_due_limit_behind(look->queues[i]),
										  webhook_budget_load_behind(room)), &bytes);
		room -= list_length(look->behind[i]);
		look->rows[i] = without_erased(look->rows[i], &look->erased);
		look->behind[i] = without_erased(look->behind[i], &look->erased);
	}
}

/*
 * Take the rows of erased events out of a list. A dump that was made while an erasure was
 * carried out has rows that the erasure had not come to, and not its command; restored
 * rows have no transaction id. All others the command has found.
 */
static List *
without_erased(List *rows, List **erased)
{
	List	   *others = NIL;
	ListCell   *cell;

	foreach(cell, rows)
	{
		WebhookPending *row = lfirst(cell);
		const WebhookEvent *event = row->event;

		if (!FullTransactionIdIsValid(event->txid) &&
			webhook_is_erased(event->subject, event->id, event->txid))
			*erased = lappend(*erased, row);
		else
			others = lappend(others, row);
	}
	return others;
}

/*
 * Rows behind heads, at most "limit" and as many for each: so a head need not be
 * written before the next one of its subject is sent. Where there are many heads, there
 * is enough to send without.
 */
static List *
read_behind(const List *heads, int limit, Size *bytes)
{
	List	   *behind = NIL;
	int			share = heads == NIL ? 0 : limit / list_length(heads);
	Size		used = *bytes;
	ListCell   *cell;

	if (share < LEAST_SHARE)
		return NIL;
	foreach(cell, heads)
	{
		const WebhookPending *head = lfirst(cell);
		List	   *rows;
		ListCell   *next;

		if (head->event->subject == NULL || used >= LOOK_BYTES)
			continue;
		rows = webhook_pending_behind(head, share, LOOK_BYTES - used);
		foreach(next, rows)
			used += ((WebhookPending *) lfirst(next))->event->size;
		behind = list_concat(behind, rows);
	}
	*bytes = used;
	return behind;
}

/* A blocked row is looked for again when the head of its subject ends. */
static bool
is_skipped(int64 subscription_id, const char *subject, int64 position, int64 id, void *arg)
{
	WebhookRowState state = webhook_dispatch_row_state(loader.dispatcher, subscription_id,
													   subject, position, id);

	if (state == WEBHOOK_ROW_BLOCKED)
		webhook_dispatch_pass_over(loader.dispatcher, subscription_id, subject);
	return state != WEBHOOK_ROW_ABSENT;
}

static void
load(const List *rows, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ListCell   *cell;

	foreach(cell, rows)
	{
		WebhookPending *row = lfirst(cell);

		/* Two heads of one subject, made by hand, are loaded one after the other. */
		if (is_skipped(row->subscription_id, row->event->subject, row->position,
					   row->event->id, NULL))
			continue;
		row->event = webhook_event_copy(row->event);
		webhook_dispatch_load(loader.dispatcher, row, now);
	}
	MemoryContextSwitchTo(old);
}

/* A row whose head was not loaded, or that has ended and is not written yet, stays where it is. */
static void
load_behind(const List *rows, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ListCell   *cell;

	foreach(cell, rows)
	{
		WebhookPending *row = lfirst(cell);

		if (webhook_dispatch_row_state(loader.dispatcher, row->subscription_id,
									   row->event->subject, row->position,
									   row->event->id) != WEBHOOK_ROW_BLOCKED)
			continue;
		row->event = webhook_event_copy(row->event);
		webhook_dispatch_load_behind(loader.dispatcher, row, now);
	}
	MemoryContextSwitchTo(old);
}

static void
read_recheck(void *arg)
{
	Recheck    *recheck = arg;

	recheck->has_rows = webhook_pending_has_any(recheck->subscription_id);
}

/*
 * What has ended counts, too: the flush that follows brings a head, and there
 * may be an earlier row in it.
 */
static bool
is_in_memory(int64 subscription_id, const char *subject, void *arg)
{
	return webhook_dispatch_knows_subject(loader.dispatcher, subscription_id, subject);
}
