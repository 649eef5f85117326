/*
 * loading.c
 *	  What comes back: rows of webhook.pending that are due.
 *
 * A look takes a transaction of its own that ends before anything is sent, and
 * touches deliveries only after its commit. Which subscriptions have rows is
 * found out at the start and noted from then on; that one may have none any
 * more is a doubt that a look settles, for as long as it has, each event costs
 * one.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "delivery.h"
#include "loading.h"
#include "transaction.h"

#define LOAD_BYTES ((Size) 1024 * 1024)

static MemoryContext context;	/* of the rows of one look */

static bool is_known(int64 subscription_id, const char *subject);

bool
webhook_loading_due(Size elsewhere, TimestampTz now)
{
	WebhookLane *lane = webhook_lane_due(now);
	MemoryContext old = CurrentMemoryContext;
	List	   *volatile rows = NIL;
	volatile TimestampTz next = 0;
	volatile bool done = false;
	ListCell   *cell;

	if (lane == NULL || !webhook_delivery_has_room(true, elsewhere))
		return true;
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "webhook loading",
										ALLOCSET_DEFAULT_SIZES);

	PG_TRY();
	{
		TimestampTz left;

		webhook_transaction_begin("reading pending deliveries");
		MemoryContextSwitchTo(context);
		rows = webhook_pending_due(lane->id, now, webhook_lane_room(lane),
								   LOAD_BYTES, webhook_delivery_has_row, &left);
		next = left;
		MemoryContextSwitchTo(old);
		webhook_transaction_commit();
		done = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		webhook_transaction_abort();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);

	if (done)
	{
		MemoryContextSwitchTo(TopMemoryContext);
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
		webhook_lane_loaded(lane, next, now);
	}
	MemoryContextReset(context);
	return done;
}

bool
webhook_loading_settle_doubts(void)
{
	WebhookLane *lane = webhook_lane_doubtful();
	MemoryContext old = CurrentMemoryContext;
	volatile bool done = false;

	if (lane == NULL)
		return false;
	PG_TRY();
	{
		bool		any;

		webhook_transaction_begin("reading pending deliveries");
		any = webhook_pending_has_any(lane->id);
		webhook_transaction_commit();
		if (!any && !webhook_delivery_has_rows_to_come(lane->id, NULL, NULL))
			lane->has_rows = false;
		done = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		webhook_transaction_abort();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return done;
}

/*
 * After a recovery: a subject whose head was in memory at the crash, or when
 * this was dumped, and is not wanted any more, or had ended, has no head. An
 * error ends the process: nobody else would do this but the next one.
 */
void
webhook_loading_repair_heads(void)
{
	ListCell   *cell;
	MemoryContext old = CurrentMemoryContext;

	webhook_transaction_begin("looking for deliveries that wait for nothing");
	foreach(cell, webhook_pending_subscriptions())
		webhook_pending_repair(*(int64 *) lfirst(cell), GetCurrentTimestamp(),
							   is_known);
	webhook_loading_note_rows();
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

void
webhook_loading_note_rows(void)
{
	ListCell   *cell;

	foreach(cell, webhook_pending_subscriptions())
	{
		int64		id = *(int64 *) lfirst(cell);

		webhook_lane_note_row(webhook_lane_get(id), webhook_pending_earliest(id));
	}
}
