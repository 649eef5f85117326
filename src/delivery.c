/*
 * delivery.c
 *	  Everything between "read" and "final": which delivery may start, which
 *	  waits behind which.
 *
 * A delivery is in one of four places: ready in its subscription's lane,
 * waiting behind another one of its subject, in flight, or ended. An ended one
 * stays until its outcome is committed; only then is it forgotten, and only
 * then may the checkpoint pass it.
 *
 * Order: of one (subscription, subject) at most one delivery is ready or in
 * flight, the head. Whatever goes to webhook.pending takes its successors in
 * memory along, and while anything of a subject is there, or on its way there
 * ("parking"), later arrivals go there too.
 *
 * What waits for the network is bounded: a delivery that has not started
 * within two seconds is spilled to webhook.pending, and its lane then takes no
 * arrivals until it has worked off what is due there. Nothing here reads a
 * clock or a table, and nothing can fail but for memory.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "delivery.h"
#include "guc.h"
#include "verdict.h"

#define UNSTARTED_LIMIT (INT64CONST(2) * USECS_PER_SEC)
#define MAX_QUEUED 1000			/* deliveries waiting in memory: enough to keep
								 * every place busy until more are read */
#define MAX_LOADED 500			/* of these, and in flight or unflushed, from
								 * webhook.pending */

/* Identity of a row of webhook.pending that is in memory. */
typedef struct RowKey
{
	int64		subscription_id;
	int64		position;
	int64		id;
} RowKey;

#define ROW_KEY(row) \
	((RowKey) {(row)->subscription_id, (row)->position, (row)->event->id})

static MemoryContext delivery_context;
static HTAB *rows;
static dlist_head ended = DLIST_STATIC_INIT(ended);
static WebhookLoad load;

static WebhookDelivery *make_delivery(const WebhookPending *row, bool stored,
									  TimestampTz now);
static void free_delivery(WebhookDelivery *delivery);
static void make_ready(WebhookDelivery *delivery);
static void unqueue(WebhookDelivery *delivery);
static void land(WebhookDelivery *delivery);
static bool waits_too_long(const WebhookDelivery *delivery, TimestampTz now);
static void end(WebhookDelivery *delivery, WebhookResult result,
				WebhookRowChange row);
static void end_finally(WebhookDelivery *delivery, WebhookResult result);
static void end_for_retry(WebhookDelivery *delivery, TimestampTz next_at);
static void park(WebhookDelivery *delivery, TimestampTz next_at);
static void empty_waiting(WebhookSubject *subject, bool cancel);
static void evict(WebhookDelivery *delivery, bool cancel, TimestampTz now);

void
webhook_delivery_init(void)
{
	HASHCTL		control = {0};

	webhook_lane_init();
	webhook_order_init();
	delivery_context = SlabContextCreate(TopMemoryContext, "webhook deliveries",
										 SLAB_DEFAULT_BLOCK_SIZE,
										 sizeof(WebhookDelivery));
	control.hcxt = TopMemoryContext;
	control.keysize = sizeof(RowKey);
	control.entrysize = sizeof(RowKey);
	rows = hash_create("webhook rows in memory", 1024, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
webhook_delivery_offer(WebhookEvent *event, int64 subscription_id,
					   int64 position, WebhookCause cause, bool behind,
					   int attempts, WebhookEpoch *epoch, TimestampTz now)
{
	WebhookPending row = {0};
	WebhookDelivery *delivery;
	WebhookSubject *subject;
	bool		in_memory;

	row.subscription_id = subscription_id;
	row.position = position;
	row.cause = cause;
	row.attempt = attempts;
	row.queued_at = now;
	row.event = webhook_event_share(event);
	delivery = make_delivery(&row, false, now);
	delivery->epoch = epoch;
	webhook_progress_hold(epoch);

	subject = delivery->subject;
	in_memory = webhook_lane_takes_arrivals(delivery->lane);

	if (subject != NULL && (behind || subject->parking))
		park(delivery, 0);
	else if (subject != NULL && subject->head != NULL)
	{
		if (in_memory)
		{
			dlist_push_tail(&subject->waiting, &delivery->node);
			load.queued++;
		}
		else
			park(delivery, 0);
	}
	else if (in_memory)
		make_ready(delivery);
	else
		park(delivery, now);
}

bool
webhook_delivery_must_ask(int64 subscription_id, const char *subject)
{
	return subject != NULL && webhook_lane_get(subscription_id)->has_rows &&
		webhook_order_find(subscription_id, subject) == NULL;
}

void
webhook_delivery_resume(const WebhookPending *row, TimestampTz now)
{
	WebhookDelivery *delivery = make_delivery(row, true, now);

	/* Others of its subject may wait behind it. */
	if (delivery->subject != NULL)
		delivery->subject->parking = true;
	make_ready(delivery);
}

void
webhook_delivery_cancel(const WebhookPending *row)
{
	WebhookDelivery *delivery = make_delivery(row, true, row->queued_at);

	if (delivery->subject != NULL)
		delivery->subject->parking = true;
	end(delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_DELETE);
}

bool
webhook_delivery_has_row(int64 subscription_id, const char *subject,
						 int64 position, int64 id)
{
	if (hash_search(rows, &(RowKey) {subscription_id, position, id},
					HASH_FIND, NULL) != NULL)
		return true;

	/* Never two of one subject, whatever the table says; it is asked again. */
	if (subject != NULL && subject[0] != '\0')
	{
		WebhookSubject *known = webhook_order_find(subscription_id, subject);

		if (known != NULL && known->head != NULL)
			return known->deferring = true;
	}
	return false;
}

bool
webhook_delivery_has_subject(int64 subscription_id, const char *name)
{
	WebhookSubject *subject = webhook_order_find(subscription_id, name);

	return subject != NULL &&
		(subject->head != NULL || !dlist_is_empty(&subject->waiting) ||
		 subject->unflushed > subject->in_batch);
}

WebhookDelivery *
webhook_delivery_next(void)
{
	WebhookLane *lane;
	WebhookDelivery *delivery;

	if (load.in_flight >= webhook_max_in_flight)
		return NULL;
	lane = webhook_lane_turn();
	if (lane == NULL)
		return NULL;

	delivery = dlist_head_element(WebhookDelivery, node, &lane->ready);
	unqueue(delivery);
	delivery->outcome.delivery.attempt++;
	lane->in_flight++;
	load.in_flight++;
	webhook_lane_update(lane);
	return delivery;
}

void
webhook_delivery_finish(WebhookDelivery *delivery,
						const WebhookHttpTransfer *transfer, TimestampTz now)
{
	WebhookOutcome *outcome = &delivery->outcome;
	TimestampTz next_at = 0;
	WebhookResult result;

	delivery->lane->ailing = webhook_verdict_is_ailing(transfer);
	land(delivery);

	outcome->transfer = transfer;
	outcome->endpoint = transfer->url;
	result = webhook_verdict(&outcome->delivery, transfer, now, &next_at);
	if (result != WEBHOOK_DELIVERED)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		outcome->error_class = webhook_verdict_class(transfer);
		outcome->error = webhook_verdict_error(transfer);
		MemoryContextSwitchTo(old);
		if (!webhook_lane_wanted(delivery->lane->id))
			result = WEBHOOK_CANCELLED;
	}

	if (result == WEBHOOK_RETRYING)
		end_for_retry(delivery, next_at);
	else
		end_finally(delivery, result);
}

void
webhook_delivery_reject(WebhookDelivery *delivery, const char *error)
{
	land(delivery);
	delivery->outcome.delivery.attempt--;
	delivery->outcome.error_class = "message";
	delivery->outcome.error = MemoryContextStrdup(TopMemoryContext, error);
	end_finally(delivery, WEBHOOK_FAILED);
}

void
webhook_delivery_postpone(WebhookDelivery *delivery)
{
	land(delivery);
	delivery->outcome.delivery.attempt--;
	if (delivery->subject != NULL)
		delivery->subject->head = NULL;
	make_ready(delivery);
}

void
webhook_delivery_review(bool sending, TimestampTz now)
{
	void	   *scan;

	webhook_lane_review(sending);

	/* Successors first: a head that goes takes what is left along. */
	for (WebhookSubject *subject = webhook_order_first_waiting(&scan);
		 subject != NULL; subject = webhook_order_following(&scan))
	{
		WebhookLane *lane = webhook_lane_get(subject->key.subscription_id);

		if (!lane->sends)
			empty_waiting(subject, !webhook_lane_wanted(lane->id));
	}

	for (WebhookLane *lane = webhook_lane_first(&scan);
		 lane != NULL; lane = webhook_lane_following(&scan))
	{
		while (!lane->sends && !dlist_is_empty(&lane->ready))
			evict(dlist_head_element(WebhookDelivery, node, &lane->ready),
				  !webhook_lane_wanted(lane->id), now);
		webhook_lane_update(lane);
	}
}

void
webhook_delivery_spill(TimestampTz now)
{
	void	   *scan;

	if (load.queued == 0)
		return;

	for (WebhookLane *lane = webhook_lane_first(&scan);
		 lane != NULL; lane = webhook_lane_following(&scan))
	{
		while (!dlist_is_empty(&lane->ready))
		{
			WebhookDelivery *oldest = dlist_head_element(WebhookDelivery, node, &lane->ready);

			if (!waits_too_long(oldest, now))
				break;
			lane->spilling = true;
			evict(oldest, false, now);
		}
		webhook_lane_update(lane);
	}

	/* What waits behind one in flight moves on its own. */
	for (WebhookSubject *subject = webhook_order_first_waiting(&scan);
		 subject != NULL; subject = webhook_order_following(&scan))
	{
		WebhookDelivery *oldest = dlist_head_element(WebhookDelivery, node, &subject->waiting);

		if (waits_too_long(oldest, now))
			empty_waiting(subject, false);
	}
}

int
webhook_delivery_ended(WebhookDelivery **batch, int size)
{
	dlist_iter	iter;
	int			count = 0;

	dlist_foreach(iter, &ended)
	{
		WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);
		WebhookOutcome *outcome = &delivery->outcome;

		if (count == size)
			break;

		/* One that has become a head itself needs no other. */
		outcome->promote = delivery->subject != NULL &&
			delivery->lane->has_rows &&
			(outcome->row == WEBHOOK_ROW_DELETE || outcome->delivery.next_at == 0);
		if (delivery->subject != NULL)
			delivery->subject->in_batch++;
		batch[count++] = delivery;
	}
	return count;
}

void
webhook_delivery_flushed(WebhookDelivery **batch, int count, bool committed)
{
	for (int i = 0; i < count; i++)
	{
		WebhookDelivery *delivery = batch[i];
		const WebhookOutcome *outcome = &delivery->outcome;
		WebhookSubject *subject = delivery->subject;

		if (subject != NULL)
			subject->in_batch--;
		if (!committed)
			continue;

		dlist_delete(&delivery->node);
		load.unflushed--;
		if (outcome->row == WEBHOOK_ROW_INSERT || outcome->row == WEBHOOK_ROW_UPDATE)
			webhook_lane_note_row(delivery->lane, outcome->delivery.next_at);
		if (delivery->epoch != NULL)
			webhook_progress_release(delivery->epoch);
		free_delivery(delivery);
		if (subject != NULL)
		{
			subject->unflushed--;
			webhook_order_drop_if_idle(subject);
		}
	}
}

bool
webhook_delivery_has_rows_to_come(int64 subscription_id)
{
	dlist_iter	iter;

	dlist_foreach(iter, &ended)
	{
		WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);

		if (delivery->lane->id == subscription_id &&
			delivery->outcome.row == WEBHOOK_ROW_INSERT)
			return true;
	}
	return false;
}

bool
webhook_delivery_is_due(TimestampTz now)
{
	TimestampTz next = webhook_lane_next_time();

	return (next != 0 && next <= now) || hash_get_num_entries(rows) > 0;
}

bool
webhook_delivery_has_room(bool for_due, Size elsewhere)
{
	return (for_due ? hash_get_num_entries(rows) < MAX_LOADED : load.queued < MAX_QUEUED) &&
		load.memory + elsewhere < (Size) webhook_max_memory * 1024 / 2;
}

const WebhookLoad *
webhook_delivery_load(void)
{
	return &load;
}

/* Takes over the row's reference to its event. */
static WebhookDelivery *
make_delivery(const WebhookPending *row, bool stored, TimestampTz now)
{
	WebhookDelivery *delivery = MemoryContextAllocZero(delivery_context,
													   sizeof(WebhookDelivery));

	delivery->outcome.delivery = *row;
	delivery->stored = stored;
	delivery->offered_at = now;
	delivery->lane = webhook_lane_get(row->subscription_id);
	if (row->event->subject != NULL)
		delivery->subject = webhook_order_get(row->subscription_id,
											  row->event->subject);
	load.memory += sizeof(WebhookDelivery);
	if (!row->event->counted)
	{
		row->event->counted = true;
		load.memory += row->event->size;
	}
	if (stored)
		hash_search(rows, &ROW_KEY(row), HASH_ENTER, NULL);
	return delivery;
}

static void
free_delivery(WebhookDelivery *delivery)
{
	const WebhookPending *row = &delivery->outcome.delivery;

	if (delivery->stored)
		hash_search(rows, &ROW_KEY(row), HASH_REMOVE, NULL);
	load.memory -= sizeof(WebhookDelivery);
	if (row->event->references == 1)
		load.memory -= row->event->size;
	webhook_event_release(row->event);
	if (delivery->outcome.error != NULL)
		pfree(unconstify(char *, delivery->outcome.error));
	pfree(delivery);
}

/* Ready to start, as the head of its subject. */
static void
make_ready(WebhookDelivery *delivery)
{
	if (delivery->subject != NULL)
	{
		Assert(delivery->subject->head == NULL);
		delivery->subject->head = delivery;
	}
	dlist_push_tail(&delivery->lane->ready, &delivery->node);
	delivery->lane->nready++;
	load.queued++;
	webhook_lane_update(delivery->lane);
}

/* Out of its lane's queue. */
static void
unqueue(WebhookDelivery *delivery)
{
	dlist_delete(&delivery->node);
	delivery->lane->nready--;
	load.queued--;
}

/* No longer in flight. */
static void
land(WebhookDelivery *delivery)
{
	delivery->lane->in_flight--;
	load.in_flight--;
	webhook_lane_update(delivery->lane);
}

/* Also if the clock was set back: nobody knows how long, then. */
static bool
waits_too_long(const WebhookDelivery *delivery, TimestampTz now)
{
	return now < delivery->offered_at || now - delivery->offered_at >= UNSTARTED_LIMIT;
}

/* To the ended ones; it is in no queue any more. */
static void
end(WebhookDelivery *delivery, WebhookResult result, WebhookRowChange row)
{
	WebhookSubject *subject = delivery->subject;

	delivery->outcome.result = result;
	delivery->outcome.row = row;
	if (row == WEBHOOK_ROW_INSERT)
		delivery->lane->has_rows = true;
	dlist_push_tail(&ended, &delivery->node);
	load.unflushed++;
	if (subject == NULL)
		return;

	subject->unflushed++;
	if (subject->head != delivery)
		return;
	subject->head = NULL;
	if (subject->deferring)
	{
		subject->deferring = false;
		webhook_lane_note_row(delivery->lane, delivery->offered_at);
	}
}

/* It has ended for good: the next one's turn. */
static void
end_finally(WebhookDelivery *delivery, WebhookResult result)
{
	WebhookSubject *subject = delivery->subject;
	WebhookDelivery *next;

	end(delivery, result,
		delivery->stored ? WEBHOOK_ROW_DELETE : WEBHOOK_ROW_NONE);
	delivery->outcome.delivery.next_at = 0;

	if (subject == NULL || dlist_is_empty(&subject->waiting))
		return;
	next = dlist_container(WebhookDelivery, node,
						   dlist_pop_head_node(&subject->waiting));
	load.queued--;
	make_ready(next);
}

/* It waits in webhook.pending, as the head of its subject. */
static void
end_for_retry(WebhookDelivery *delivery, TimestampTz next_at)
{
	delivery->outcome.delivery.step++;
	delivery->outcome.delivery.next_at = next_at;
	end(delivery, WEBHOOK_RETRYING,
		delivery->stored ? WEBHOOK_ROW_UPDATE : WEBHOOK_ROW_INSERT);
	if (delivery->subject != NULL)
		empty_waiting(delivery->subject, false);
}

/* To webhook.pending; a next_at of 0 means behind others. */
static void
park(WebhookDelivery *delivery, TimestampTz next_at)
{
	delivery->outcome.delivery.next_at = next_at;
	if (delivery->subject != NULL)
		delivery->subject->parking = true;
	end(delivery, WEBHOOK_PARKED, WEBHOOK_ROW_INSERT);
}

/* What waits behind a head leaves memory, and so does what comes later. */
static void
empty_waiting(WebhookSubject *subject, bool cancel)
{
	subject->parking = true;
	while (!dlist_is_empty(&subject->waiting))
	{
		WebhookDelivery *delivery;

		delivery = dlist_container(WebhookDelivery, node,
								   dlist_pop_head_node(&subject->waiting));
		load.queued--;
		if (cancel)
			end(delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_NONE);
		else
			park(delivery, 0);
	}
}

/* A ready delivery leaves memory without having been started. */
static void
evict(WebhookDelivery *delivery, bool cancel, TimestampTz now)
{
	WebhookSubject *subject = delivery->subject;

	unqueue(delivery);
	if (cancel)
		end_finally(delivery, WEBHOOK_CANCELLED);
	else if (!delivery->stored)
	{
		park(delivery, now);
		if (subject != NULL)
			empty_waiting(subject, false);
	}
	else
	{
		/* Its row is there already, and due. */
		webhook_lane_note_row(delivery->lane, delivery->outcome.delivery.next_at);
		if (subject != NULL)
			subject->head = NULL;
		free_delivery(delivery);
		if (subject != NULL)
			webhook_order_drop_if_idle(subject);
	}
}
