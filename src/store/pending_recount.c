/*
 * pending_recount.c
 *	  Counts the rows of webhook_internal.pending anew, some at a time.
 *
 * Subscriptions are counted one after the other, each in the order of its rows.
 * What the worker inserts or deletes between two pieces is added to the part that
 * has been counted, so that the number is right although no snapshot is held.
 * What somebody else writes meanwhile makes the count begin again.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "store/pending_count_internal.h"
#include "store/pending_internal.h"

/* Of one call: what it looks at takes a few milliseconds. */
#define MOST_ROWS			2000
#define MOST_SUBSCRIPTIONS	200

static struct
{
	MemoryContext context;		/* of the ids; NULL before the first use */
	bool		begins;			/* the subscriptions are to be listed */
	List	   *ids;			/* of int64 *: subscriptions that are not counted yet */
}			recount;

static void list_subscriptions(bool unknown);
static bool count_some(int64 subscription_id, int *most, bool (*exists) (int64 subscription_id));

void
webhook_pending_recount(void)
{
	if (recount.context == NULL)
		recount.context = AllocSetContextCreate(TopMemoryContext, "webhook pending recount",
												ALLOCSET_SMALL_SIZES);
	MemoryContextReset(recount.context);
	recount.ids = NIL;
	recount.begins = true;
	webhook_pending_count_recount()->subscription_id = 0;
}

bool
webhook_pending_recount_some(bool (*exists) (int64 subscription_id))
{
	int			rows = MOST_ROWS;

	if (recount.begins)
		list_subscriptions(false);
	recount.begins = false;

	for (int i = 0; i < MOST_SUBSCRIPTIONS && recount.ids != NIL; i++)
	{
		if (!count_some(*(int64 *) llast(recount.ids), &rows, exists))
			return true;
		recount.ids = list_delete_last(recount.ids);
	}
	if (recount.ids != NIL)
		return true;

	/* Those that have got their first row meanwhile. */
	list_subscriptions(true);
	if (recount.ids != NIL)
		return true;
	webhook_pending_count_complete();
	MemoryContextReset(recount.context);
	return false;
}

/* All that may have rows, or those whose number is not known. */
static void
list_subscriptions(bool unknown)
{
	MemoryContext old;
	ListCell   *cell;

	if (!unknown)
	{
		foreach(cell, webhook_pending_subscriptions())
			webhook_pending_count_expect(*(int64 *) lfirst(cell));
	}
	old = MemoryContextSwitchTo(recount.context);
	recount.ids = webhook_pending_count_ids(unknown);
	MemoryContextSwitchTo(old);
}

/*
 * Count at most *most rows of a subscription, which becomes how many more may be.
 * Returns true if all were counted and their number is written.
 */
static bool
count_some(int64 subscription_id, int *most, bool (*exists) (int64 subscription_id))
{
	WebhookRecount *part = webhook_pending_count_recount();
	WebhookPendingReading reading = webhook_pending_begin_reading();
	WebhookScan *scan;

	if (part->subscription_id != subscription_id)
	{
		memset(part, 0, sizeof(*part));
		part->subscription_id = subscription_id;
	}
	scan = webhook_pending_scan_after(reading, subscription_id, &part->cursor);
	while (*most > 0 && webhook_scan_next(scan))
	{
		CHECK_FOR_INTERRUPTS();
		webhook_pending_cursor_set(&part->cursor, scan->slot);
		part->rows++;
		(*most)--;
	}
	webhook_scan_end(scan);
	webhook_pending_end_reading(reading);
	if (*most <= 0)
		return false;

	webhook_pending_count_set(subscription_id, part->rows, exists(subscription_id));
	part->subscription_id = 0;
	return true;
}
