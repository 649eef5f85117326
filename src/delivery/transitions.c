/*
 * transitions.c
 *	  Where a delivery is in memory, and its ways from one place to another.
 *
 * A delivery is in one of four places: ready in its subscription's queue,
 * waiting has_earlier_pending another one of its subject, in flight, or ended. An ended one
 * stays until its entry is committed; only then is it subscription_dropped, and only
 * then may the checkpoint pass it.
 *
 * Order: of one (subscription, subject) at most one delivery is ready or in
 * flight, the head. Whatever goes to webhook.pending takes its successors in
 * memory along, and while anything of a subject is there, or on its way there
 * ("defers_arrivals"), later arrivals go there too.
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

WebhookUsage webhook_usage;

static MemoryContext delivery_context;
static HTAB *rows;
static long rows_in_flight;
static dlist_head flights = DLIST_STATIC_INIT(flights); /* oldest first ... */
static dlist_head slow_flights = DLIST_STATIC_INIT(slow_flights);	/* ... and told slow */
static dlist_head ended = DLIST_STATIC_INIT(ended);

static void free_delivery(WebhookDelivery *delivery);
static void count_outcome(WebhookDelivery *delivery);

void
webhook_transitions_init(void)
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
webhook_delivery_create(const WebhookPending *row, bool stored, TimestampTz now)
{
	WebhookDelivery *delivery = MemoryContextAllocZero(delivery_context,
													   sizeof(WebhookDelivery));

	delivery->entry.delivery = *row;
	delivery->stored = stored;
	delivery->offered_at = now;
	delivery->queue = webhook_queue_get(row->subscription_id);
	if (row->event->subject != NULL && delivery->queue->ordered)
		delivery->subject = webhook_subject_get(row->subscription_id,
												row->event->subject);
	webhook_usage.memory += sizeof(WebhookDelivery);
	if (!row->event->counted)
	{
		row->event->counted = true;
		webhook_usage.memory += row->event->size;
	}
	if (stored)
		hash_search(rows, &ROW_KEY(row), HASH_ENTER, NULL);
	return delivery;
}

static void
free_delivery(WebhookDelivery *delivery)
{
	const WebhookPending *row = &delivery->entry.delivery;

	if (delivery->stored)
		hash_search(rows, &ROW_KEY(row), HASH_REMOVE, NULL);
	webhook_usage.memory -= sizeof(WebhookDelivery);
	if (row->event->references == 1)
		webhook_usage.memory -= row->event->size;
	webhook_event_release(row->event);
	if (delivery->entry.error != NULL)
		pfree(unconstify(char *, delivery->entry.error));
	pfree(delivery);
}

bool
webhook_row_is_loaded(int64 subscription_id, int64 position, int64 id)
{
	RowKey		key = {subscription_id, position, id};

	return hash_search(rows, &key, HASH_FIND, NULL) != NULL;
}

long
webhook_rows_loaded(void)
{
	return hash_get_num_entries(rows);
}

long
webhook_rows_not_in_flight(void)
{
	return hash_get_num_entries(rows) - rows_in_flight;
}

void
webhook_delivery_set_ready(WebhookDelivery *delivery)
{
	WebhookQueue *queue = delivery->queue;

	if (delivery->subject != NULL)
	{
		Assert(delivery->subject->head == NULL);
		delivery->subject->head = delivery;
	}
	delivery->is_ready = true;
	if (delivery->entry.delivery.cause == WEBHOOK_CAUSE_PING)
	{
		dlist_push_tail(&queue->pings, &delivery->node);
		queue->npings++;
	}
	else
	{
		dlist_push_tail(&queue->ready, &delivery->node);
		queue->nready++;
	}
	webhook_usage.queued++;
	webhook_queue_update(queue);
}

void
webhook_delivery_unset_ready(WebhookDelivery *delivery)
{
	delivery->is_ready = false;
	dlist_delete(&delivery->node);
	if (delivery->entry.delivery.cause == WEBHOOK_CAUSE_PING)
		delivery->queue->npings--;
	else
		delivery->queue->nready--;
	webhook_usage.queued--;
}

void
webhook_delivery_set_waiting(WebhookDelivery *delivery)
{
	dlist_push_tail(&delivery->subject->waiting, &delivery->node);
	webhook_usage.queued++;
}

void
webhook_delivery_unset_waiting(WebhookDelivery *delivery)
{
	dlist_delete(&delivery->node);
	webhook_usage.queued--;
}

/* Also if the clock was set back: nobody knows how long, then. */
bool
webhook_delivery_has_waited(const WebhookDelivery *delivery, int64 limit, TimestampTz now)
{
	return now < delivery->offered_at || now - delivery->offered_at >= limit;
}

void
webhook_delivery_set_in_flight(WebhookDelivery *delivery, TimestampTz now)
{
	delivery->started_at = now;
	dlist_push_tail(&flights, &delivery->node);
	webhook_usage.in_flight++;
	rows_in_flight += delivery->stored;
	webhook_scheduler_start(delivery->queue);
}

void
webhook_delivery_set_done(WebhookDelivery *delivery)
{
	dlist_delete(&delivery->node);
	webhook_usage.in_flight--;
	rows_in_flight -= delivery->stored;
	webhook_scheduler_end(delivery->queue, delivery->in_slow_pool);
	delivery->in_slow_pool = false;
}

WebhookDelivery *
webhook_in_flight_oldest(void)
{
	if (dlist_is_empty(&flights))
		return NULL;
	return dlist_head_element(WebhookDelivery, node, &flights);
}

void
webhook_delivery_mark_slow(WebhookDelivery *delivery)
{
	dlist_delete(&delivery->node);
	dlist_push_tail(&slow_flights, &delivery->node);
	if (delivery->entry.delivery.cause == WEBHOOK_CAUSE_PING)
	{
		delivery->in_slow_pool = true;
		webhook_scheduler_move_to_slow(delivery->queue);
	}
}

WebhookDelivery *
webhook_in_flight_first(void **scan)
{
	dlist_head *list = dlist_is_empty(&flights) ? &slow_flights : &flights;

	*scan = dlist_is_empty(list) ? NULL : dlist_head_node(list);
	return webhook_in_flight_next(scan);
}

WebhookDelivery *
webhook_in_flight_next(void **scan)
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
webhook_delivery_end(WebhookDelivery *delivery, WebhookOutcome result,
					 WebhookRowChange row)
{
	WebhookSubject *subject = delivery->subject;

	delivery->entry.outcome = result;
	delivery->entry.row = row;
	if (row == WEBHOOK_ROW_INSERT)
		delivery->queue->has_rows = true;
	dlist_push_tail(&ended, &delivery->node);
	webhook_usage.unflushed++;
	if (subject == NULL)
		return;

	subject->unflushed++;
	if (subject->head != delivery)
		return;
	subject->head = NULL;
	if (subject->passed_over_due_row)
	{
		subject->passed_over_due_row = false;
		webhook_due_add(delivery->queue, delivery->offered_at);
	}
}

void
webhook_delivery_end_and_promote(WebhookDelivery *delivery, WebhookOutcome result)
{
	WebhookSubject *subject = delivery->subject;
	WebhookDelivery *next;

	webhook_delivery_end(delivery, result,
						 delivery->stored ? WEBHOOK_ROW_DELETE : WEBHOOK_ROW_NONE);
	delivery->entry.delivery.next_at = 0;

	if (subject == NULL || dlist_is_empty(&subject->waiting))
		return;
	next = dlist_container(WebhookDelivery, node,
						   dlist_pop_head_node(&subject->waiting));
	webhook_usage.queued--;
	webhook_delivery_set_ready(next);
}

void
webhook_delivery_retry(WebhookDelivery *delivery, TimestampTz next_at)
{
	delivery->entry.delivery.next_at = next_at;
	webhook_delivery_end(delivery, WEBHOOK_RETRYING,
						 delivery->stored ? WEBHOOK_ROW_UPDATE : WEBHOOK_ROW_INSERT);
	if (delivery->subject != NULL)
		webhook_subject_evict_waiting(delivery->subject, false);
}

void
webhook_delivery_defer(WebhookDelivery *delivery, TimestampTz next_at)
{
	delivery->entry.delivery.next_at = next_at;
	if (delivery->subject != NULL)
		delivery->subject->defers_arrivals = true;
	webhook_delivery_end(delivery, WEBHOOK_DEFERRED, WEBHOOK_ROW_INSERT);
}

void
webhook_subject_evict_waiting(WebhookSubject *subject, bool cancel)
{
	subject->defers_arrivals = true;
	while (!dlist_is_empty(&subject->waiting))
	{
		WebhookDelivery *delivery;

		delivery = dlist_container(WebhookDelivery, node,
								   dlist_pop_head_node(&subject->waiting));
		webhook_usage.queued--;
		if (cancel)
			webhook_delivery_end(delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_NONE);
		else
			webhook_delivery_defer(delivery, 0);
	}
}

void
webhook_delivery_evict(WebhookDelivery *delivery, bool cancel, TimestampTz now)
{
	WebhookSubject *subject = delivery->subject;

	webhook_delivery_unset_ready(delivery);
	if (cancel)
		webhook_delivery_end_and_promote(delivery, WEBHOOK_CANCELLED);
	else if (!delivery->stored)
	{
		webhook_delivery_defer(delivery, now);
		if (subject != NULL)
			webhook_subject_evict_waiting(subject, false);
	}
	else
	{
		/* Its row is there already, and due. */
		webhook_due_add(delivery->queue, delivery->entry.delivery.next_at);
		if (subject != NULL)
			subject->head = NULL;
		if (delivery->batch != NULL)
			webhook_batch_unpin(delivery->batch);
		free_delivery(delivery);
		if (subject != NULL)
			webhook_subject_drop_if_idle(subject);
	}
}

int
webhook_dispatch_ended(WebhookDelivery **group, int size)
{
	dlist_iter	iter;
	int			count = 0;

	dlist_foreach(iter, &ended)
	{
		WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);
		WebhookLogEntry *entry = &delivery->entry;

		if (count == size)
			break;

		/*
		 * One that has become a head itself needs no other; one that is not ordered has left a
		 * place only if it had a row.
		 */
		entry->promote = delivery->queue->has_rows &&
			(entry->row == WEBHOOK_ROW_DELETE ||
			 (delivery->subject != NULL && entry->delivery.next_at == 0));
		if (delivery->subject != NULL)
			delivery->subject->in_group++;
		group[count++] = delivery;
	}
	return count;
}

void
webhook_dispatch_flushed(WebhookDelivery **group, int count, bool committed)
{
	for (int i = 0; i < count; i++)
	{
		WebhookDelivery *delivery = group[i];
		const WebhookLogEntry *entry = &delivery->entry;
		WebhookSubject *subject = delivery->subject;

		if (subject != NULL)
			subject->in_group--;
		if (!committed)
			continue;

		dlist_delete(&delivery->node);
		webhook_usage.unflushed--;
		count_outcome(delivery);
		if (entry->row == WEBHOOK_ROW_INSERT || entry->row == WEBHOOK_ROW_UPDATE)
			webhook_due_add(delivery->queue, entry->delivery.next_at);
		else if (entry->row == WEBHOOK_ROW_DELETE)
			webhook_queue_recheck_rows(delivery->queue);
		if (delivery->batch != NULL)
			webhook_batch_unpin(delivery->batch);
		free_delivery(delivery);
		if (subject != NULL)
		{
			subject->unflushed--;
			webhook_subject_drop_if_idle(subject);
		}
	}
}

bool
webhook_dispatch_has_rows_to_come(int64 subscription_id, const pg_uuid_t *event_id,
								  const char *subject)
{
	dlist_iter	iter;

	dlist_foreach(iter, &ended)
	{
		WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);
		const WebhookEvent *event = delivery->entry.delivery.event;

		if (delivery->queue->id == subscription_id &&
			delivery->entry.row != WEBHOOK_ROW_NONE &&
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
	WebhookState *state = &delivery->queue->health.state;

	switch (delivery->entry.outcome)
	{
		case WEBHOOK_DEFERRED:
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
	webhook_queue_mark_dirty(delivery->queue, false);
}
