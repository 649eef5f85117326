/*
 * transitions.c
 *	  Where a delivery is in memory, and its ways from one place to another.
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
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "delivery/scheduler.h"
#include "delivery/transitions.h"

/* Identity of a row of webhook.pending that is in memory. */
typedef struct RowKey
{
	int64		subscription_id;
	int64		position;
	int64		id;
} RowKey;

#define ROW_KEY(row) \
	((RowKey) {(row)->subscription_id, (row)->position, (row)->event->id})

WebhookLoad webhook_place_load;

static MemoryContext delivery_context;
static HTAB *rows;
static long rows_in_flight;
static dlist_head flights = DLIST_STATIC_INIT(flights);	/* oldest first ... */
static dlist_head slow_flights = DLIST_STATIC_INIT(slow_flights);	/* ... and told slow */
static dlist_head ended = DLIST_STATIC_INIT(ended);

static void free_delivery(WebhookDelivery *delivery);
static void count_outcome(WebhookDelivery *delivery);

void
webhook_place_init(void)
{
	HASHCTL		control = {0};

	delivery_context = SlabContextCreate(TopMemoryContext, "webhook deliveries",
										 SLAB_DEFAULT_BLOCK_SIZE,
										 sizeof(WebhookDelivery));
	control.hcxt = TopMemoryContext;
	control.keysize = sizeof(RowKey);
	control.entrysize = sizeof(RowKey);
	rows = hash_create("webhook rows in memory", 1024, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

WebhookDelivery *
webhook_place_make(const WebhookPending *row, bool stored, TimestampTz now)
{
	WebhookDelivery *delivery = MemoryContextAllocZero(delivery_context,
													   sizeof(WebhookDelivery));

	delivery->outcome.delivery = *row;
	delivery->stored = stored;
	delivery->offered_at = now;
	delivery->lane = webhook_lane_get(row->subscription_id);
	if (row->event->subject != NULL && delivery->lane->ordered)
		delivery->subject = webhook_order_get(row->subscription_id,
											  row->event->subject);
	webhook_place_load.memory += sizeof(WebhookDelivery);
	if (!row->event->counted)
	{
		row->event->counted = true;
		webhook_place_load.memory += row->event->size;
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
	webhook_place_load.memory -= sizeof(WebhookDelivery);
	if (row->event->references == 1)
		webhook_place_load.memory -= row->event->size;
	webhook_event_release(row->event);
	if (delivery->outcome.error != NULL)
		pfree(unconstify(char *, delivery->outcome.error));
	pfree(delivery);
}

bool
webhook_place_has_row(int64 subscription_id, int64 position, int64 id)
{
	return hash_search(rows, &(RowKey) {subscription_id, position, id},
					   HASH_FIND, NULL) != NULL;
}

long
webhook_place_rows(void)
{
	return hash_get_num_entries(rows);
}

long
webhook_place_rows_landed(void)
{
	return hash_get_num_entries(rows) - rows_in_flight;
}

void
webhook_place_ready(WebhookDelivery *delivery)
{
	WebhookLane *lane = delivery->lane;

	if (delivery->subject != NULL)
	{
		Assert(delivery->subject->head == NULL);
		delivery->subject->head = delivery;
	}
	delivery->is_ready = true;
	if (delivery->outcome.delivery.cause == WEBHOOK_CAUSE_PING)
	{
		dlist_push_tail(&lane->pings, &delivery->node);
		lane->npings++;
	}
	else
	{
		dlist_push_tail(&lane->ready, &delivery->node);
		lane->nready++;
	}
	webhook_place_load.queued++;
	webhook_lane_update(lane);
}

void
webhook_place_unqueue(WebhookDelivery *delivery)
{
	delivery->is_ready = false;
	dlist_delete(&delivery->node);
	if (delivery->outcome.delivery.cause == WEBHOOK_CAUSE_PING)
		delivery->lane->npings--;
	else
		delivery->lane->nready--;
	webhook_place_load.queued--;
}

void
webhook_place_wait(WebhookDelivery *delivery)
{
	dlist_push_tail(&delivery->subject->waiting, &delivery->node);
	webhook_place_load.queued++;
}

void
webhook_place_unwait(WebhookDelivery *delivery)
{
	dlist_delete(&delivery->node);
	webhook_place_load.queued--;
}

/* Also if the clock was set back: nobody knows how long, then. */
bool
webhook_place_waits(const WebhookDelivery *delivery, int64 limit, TimestampTz now)
{
	return now < delivery->offered_at || now - delivery->offered_at >= limit;
}

void
webhook_place_start(WebhookDelivery *delivery, TimestampTz now)
{
	delivery->started_at = now;
	dlist_push_tail(&flights, &delivery->node);
	webhook_place_load.in_flight++;
	rows_in_flight += delivery->stored;
	webhook_rounds_start(delivery->lane);
}

void
webhook_place_land(WebhookDelivery *delivery)
{
	dlist_delete(&delivery->node);
	webhook_place_load.in_flight--;
	rows_in_flight -= delivery->stored;
	webhook_rounds_land(delivery->lane, delivery->displaced);
	delivery->displaced = false;
}

WebhookDelivery *
webhook_place_oldest_flight(void)
{
	if (dlist_is_empty(&flights))
		return NULL;
	return dlist_head_element(WebhookDelivery, node, &flights);
}

void
webhook_place_told_slow(WebhookDelivery *delivery)
{
	dlist_delete(&delivery->node);
	dlist_push_tail(&slow_flights, &delivery->node);
	if (delivery->outcome.delivery.cause == WEBHOOK_CAUSE_PING)
	{
		delivery->displaced = true;
		webhook_rounds_displace(delivery->lane);
	}
}

WebhookDelivery *
webhook_place_first_flight(void **scan)
{
	dlist_head *list = dlist_is_empty(&flights) ? &slow_flights : &flights;

	*scan = dlist_is_empty(list) ? NULL : dlist_head_node(list);
	return webhook_place_following_flight(scan);
}

WebhookDelivery *
webhook_place_following_flight(void **scan)
{
	dlist_node *node = *scan;

	if (node == NULL)
		return NULL;
	/* Of two rings: what follows is another one, or one of their heads. */
	*scan = node->next;
	if (node->next == &flights.head)
		*scan = dlist_is_empty(&slow_flights) ? NULL : dlist_head_node(&slow_flights);
	else if (node->next == &slow_flights.head)
		*scan = NULL;
	return dlist_container(WebhookDelivery, node, node);
}

void
webhook_place_end(WebhookDelivery *delivery, WebhookResult result,
				  WebhookRowChange row)
{
	WebhookSubject *subject = delivery->subject;

	delivery->outcome.result = result;
	delivery->outcome.row = row;
	if (row == WEBHOOK_ROW_INSERT)
		delivery->lane->has_rows = true;
	dlist_push_tail(&ended, &delivery->node);
	webhook_place_load.unflushed++;
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

void
webhook_place_end_finally(WebhookDelivery *delivery, WebhookResult result)
{
	WebhookSubject *subject = delivery->subject;
	WebhookDelivery *next;

	webhook_place_end(delivery, result,
					  delivery->stored ? WEBHOOK_ROW_DELETE : WEBHOOK_ROW_NONE);
	delivery->outcome.delivery.next_at = 0;

	if (subject == NULL || dlist_is_empty(&subject->waiting))
		return;
	next = dlist_container(WebhookDelivery, node,
						   dlist_pop_head_node(&subject->waiting));
	webhook_place_load.queued--;
	webhook_place_ready(next);
}

void
webhook_place_retry(WebhookDelivery *delivery, TimestampTz next_at)
{
	delivery->outcome.delivery.next_at = next_at;
	webhook_place_end(delivery, WEBHOOK_RETRYING,
					  delivery->stored ? WEBHOOK_ROW_UPDATE : WEBHOOK_ROW_INSERT);
	if (delivery->subject != NULL)
		webhook_place_empty_waiting(delivery->subject, false);
}

void
webhook_place_park(WebhookDelivery *delivery, TimestampTz next_at)
{
	delivery->outcome.delivery.next_at = next_at;
	if (delivery->subject != NULL)
		delivery->subject->parking = true;
	webhook_place_end(delivery, WEBHOOK_PARKED, WEBHOOK_ROW_INSERT);
}

void
webhook_place_empty_waiting(WebhookSubject *subject, bool cancel)
{
	subject->parking = true;
	while (!dlist_is_empty(&subject->waiting))
	{
		WebhookDelivery *delivery;

		delivery = dlist_container(WebhookDelivery, node,
								   dlist_pop_head_node(&subject->waiting));
		webhook_place_load.queued--;
		if (cancel)
			webhook_place_end(delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_NONE);
		else
			webhook_place_park(delivery, 0);
	}
}

void
webhook_place_evict(WebhookDelivery *delivery, bool cancel, TimestampTz now)
{
	WebhookSubject *subject = delivery->subject;

	webhook_place_unqueue(delivery);
	if (cancel)
		webhook_place_end_finally(delivery, WEBHOOK_CANCELLED);
	else if (!delivery->stored)
	{
		webhook_place_park(delivery, now);
		if (subject != NULL)
			webhook_place_empty_waiting(subject, false);
	}
	else
	{
		/* Its row is there already, and due. */
		webhook_lane_note_row(delivery->lane, delivery->outcome.delivery.next_at);
		if (subject != NULL)
			subject->head = NULL;
		if (delivery->epoch != NULL)
			webhook_progress_release(delivery->epoch);
		free_delivery(delivery);
		if (subject != NULL)
			webhook_order_drop_if_idle(subject);
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

		/*
		 * One that has become a head itself needs no other; one that is not
		 * ordered has left a place only if it had a row.
		 */
		outcome->promote = delivery->lane->has_rows &&
			(outcome->row == WEBHOOK_ROW_DELETE ||
			 (delivery->subject != NULL && outcome->delivery.next_at == 0));
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
		webhook_place_load.unflushed--;
		count_outcome(delivery);
		if (outcome->row == WEBHOOK_ROW_INSERT || outcome->row == WEBHOOK_ROW_UPDATE)
			webhook_lane_note_row(delivery->lane, outcome->delivery.next_at);
		else if (outcome->row == WEBHOOK_ROW_DELETE)
			webhook_lane_doubt(delivery->lane);
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
webhook_delivery_has_rows_to_come(int64 subscription_id, const pg_uuid_t *event_id,
								  const char *subject)
{
	dlist_iter	iter;

	dlist_foreach(iter, &ended)
	{
		WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);
		const WebhookEvent *event = delivery->outcome.delivery.event;

		if (delivery->lane->id == subscription_id &&
			delivery->outcome.row != WEBHOOK_ROW_NONE &&
			(event_id == NULL || memcmp(&event->event_id, event_id, UUID_LEN) == 0) &&
			(subject == NULL ||
			 (event->subject != NULL && strcmp(event->subject, subject) == 0)))
			return true;
	}
	return false;
}

/* What is committed counts. */
static void
count_outcome(WebhookDelivery *delivery)
{
	WebhookState *state = &delivery->lane->health.state;

	switch (delivery->outcome.result)
	{
		case WEBHOOK_PARKED:
			return;
		case WEBHOOK_DELIVERED:
			state->delivered++;
			break;
		case WEBHOOK_RETRYING:
			state->retried++;
			break;
		case WEBHOOK_FAILED:
		case WEBHOOK_CANCELLED:
			state->failed++;
			break;
	}
	webhook_lane_soil(delivery->lane, false);
}
