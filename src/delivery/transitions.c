/*
 * transitions.c
 *	  The states of a delivery in memory.
 *
 *		created -> ready -> in flight -> ended -> (flushed) freed
 *		created -> waiting -> ready
 *		created, waiting, ready -> ended		(deferred, cancelled, too old)
 *		in flight -> ready						(its POST could not be started)
 *
 * An ended delivery stays until its end is committed; only then is it
 * forgotten, and only then may the low-water mark pass it.
 *
 * Order: of one (subscription, subject) at most one delivery is ready or in
 * flight, the head. What moves to pending takes its successors in memory
 * along, and while anything of a subject is there or on its way there, later
 * arrivals go there, too (defers_arrivals).
 *
 * A delivery that waits may have a row in pending, behind that of its head. The row
 * is no head there (next_at is NULL) until the delivery is one and is put off, so
 * one that only waits is forgotten when it has to leave memory.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "delivery/due_internal.h"
#include "delivery/state_internal.h"
#include "delivery/transitions_internal.h"

static WebhookRowKey row_key(const WebhookPending *row);
static void free_delivery(WebhookDispatcher *dispatcher, WebhookDelivery *delivery);
static dlist_head *ready_list(WebhookDelivery *delivery, int **length);
static WebhookDelivery *pop_waiting(WebhookDispatcher *dispatcher, WebhookSubject *subject);
static void count_queued(WebhookDispatcher *dispatcher, WebhookQueue *queue, int by);
static bool needs_promotion(const WebhookDelivery *delivery);
static bool keeps_bodies(const WebhookDelivery *delivery);
static void flushed(WebhookDispatcher *dispatcher, WebhookDelivery *delivery);
static void count_outcome(WebhookDispatcher *dispatcher, WebhookDelivery *delivery);

WebhookDispatcher *
webhook_dispatcher_new(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "webhook dispatcher",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	WebhookDispatcher *dispatcher = palloc0(sizeof(WebhookDispatcher));
	HASHCTL		control = {0};

	dispatcher->deliveries = SlabContextCreate(context, "webhook deliveries",
											   SLAB_DEFAULT_BLOCK_SIZE,
											   sizeof(WebhookDelivery));
	control.hcxt = context;
	control.keysize = sizeof(WebhookRowKey);
	control.entrysize = sizeof(WebhookRowKey);
	dispatcher->rows = hash_create("webhook rows in memory", 1024, &control,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	webhook_queues_init(&dispatcher->queues);
	webhook_subjects_init(&dispatcher->subjects, &dispatcher->usage.memory);
	dlist_init(&dispatcher->in_flight[false]);
	dlist_init(&dispatcher->in_flight[true]);
	dlist_init(&dispatcher->ended);
	MemoryContextSwitchTo(old);
	return dispatcher;
}

const WebhookUsage *
webhook_dispatch_usage(const WebhookDispatcher *dispatcher)
{
	return &dispatcher->usage;
}

WebhookDelivery *
webhook_delivery_create(WebhookDispatcher *dispatcher, const WebhookPending *row, bool stored,
						WebhookBatch *batch, TimestampTz now)
{
	WebhookDelivery *delivery = MemoryContextAllocZero(dispatcher->deliveries,
													   sizeof(WebhookDelivery));
	WebhookEvent *event = row->event;

	delivery->entry.delivery = *row;
	delivery->stored = stored;
	delivery->offered_at = now;
	delivery->queue = webhook_queue_get(&dispatcher->queues, row->subscription_id);
	delivery->queue->ndeliveries++;
	if (event->subject != NULL && delivery->queue->ordered)
		delivery->subject = webhook_subject_get(&dispatcher->subjects, row->subscription_id,
												event->subject);
	if (batch != NULL)
	{
		webhook_batch_pin(batch);
		delivery->batch = batch;
	}
	dispatcher->usage.memory += sizeof(WebhookDelivery);
	delivery->queue->tenant->memory += sizeof(WebhookDelivery) + event->size;
	delivery->queue->tenant->rows += stored;
	if (!event->counted)
	{
		event->counted = true;
		dispatcher->usage.memory += event->size;
	}
	if (stored)
	{
		WebhookRowKey key = row_key(row);

		hash_search(dispatcher->rows, &key, HASH_ENTER, NULL);
	}
	return delivery;
}

static WebhookRowKey
row_key(const WebhookPending *row)
{
	WebhookRowKey key = {row->subscription_id, row->position, row->event->id};

	return key;
}

static void
free_delivery(WebhookDispatcher *dispatcher, WebhookDelivery *delivery)
{
	const WebhookPending *row = &delivery->entry.delivery;

	if (delivery->stored)
	{
		WebhookRowKey key = row_key(row);

		hash_search(dispatcher->rows, &key, HASH_REMOVE, NULL);
	}
	delivery->queue->ndeliveries--;
	delivery->queue->tenant->memory -= sizeof(WebhookDelivery) + row->event->size;
	delivery->queue->tenant->rows -= delivery->stored;
	dispatcher->usage.memory -= sizeof(WebhookDelivery);
	if (row->event->references == 1)
		dispatcher->usage.memory -= row->event->size;
	webhook_event_release(row->event);
	if (delivery->batch != NULL)
		webhook_batch_unpin(delivery->batch);
	if (delivery->entry.error != NULL)
		pfree(unconstify(char *, delivery->entry.error));
	pfree(delivery);
}

bool
webhook_row_is_loaded(const WebhookDispatcher *dispatcher, int64 subscription_id,
					  int64 position, int64 id)
{
	WebhookRowKey key = {subscription_id, position, id};

	return hash_search(dispatcher->rows, &key, HASH_FIND, NULL) != NULL;
}

void
webhook_delivery_set_ready(WebhookDispatcher *dispatcher, WebhookDelivery *delivery)
{
	int		   *length;

	if (delivery->subject != NULL)
	{
		Assert(delivery->subject->head == NULL || delivery->subject->head == delivery);
		delivery->subject->head = delivery;
	}
	delivery->is_ready = true;
	dlist_push_tail(ready_list(delivery, &length), &delivery->node);
	++*length;
	count_queued(dispatcher, delivery->queue, 1);
}

void
webhook_delivery_unset_ready(WebhookDispatcher *dispatcher, WebhookDelivery *delivery)
{
	int		   *length;

	delivery->is_ready = false;
	(void) ready_list(delivery, &length);
	dlist_delete(&delivery->node);
	--*length;
	count_queued(dispatcher, delivery->queue, -1);
}

void
webhook_delivery_set_waiting(WebhookDispatcher *dispatcher, WebhookDelivery *delivery)
{
	dlist_push_tail(&delivery->subject->waiting, &delivery->node);
	count_queued(dispatcher, delivery->queue, 1);
}

void
webhook_delivery_unset_waiting(WebhookDispatcher *dispatcher, WebhookDelivery *delivery)
{
	dlist_delete(&delivery->node);
	count_queued(dispatcher, delivery->queue, -1);
}

/* If the clock was set back, the length of the wait is not known, and counts as long enough. */
bool
webhook_delivery_has_waited(const WebhookDelivery *delivery, int64 limit, TimestampTz now)
{
	return now < delivery->offered_at || now - delivery->offered_at >= limit;
}

void
webhook_delivery_set_in_flight(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
							   TimestampTz now)
{
	delivery->started_at = now;
	dlist_push_tail(&dispatcher->in_flight[false], &delivery->node);
	dispatcher->usage.in_flight++;
	dispatcher->rows_in_flight += delivery->stored;
	delivery->queue->tenant->rows -= delivery->stored;
	webhook_scheduler_start(&dispatcher->queues.scheduler, &delivery->queue->scheduling);
}

void
webhook_delivery_set_done(WebhookDispatcher *dispatcher, WebhookDelivery *delivery)
{
	dlist_delete(&delivery->node);
	dispatcher->usage.in_flight--;
	dispatcher->rows_in_flight -= delivery->stored;
	delivery->queue->tenant->rows += delivery->stored;
	webhook_scheduler_end(&dispatcher->queues.scheduler, &delivery->queue->scheduling,
						  delivery->in_slow_pool);
	delivery->in_slow_pool = false;
}

WebhookDelivery *
webhook_in_flight_oldest(WebhookDispatcher *dispatcher)
{
	dlist_head *fast = &dispatcher->in_flight[false];

	return dlist_is_empty(fast) ? NULL : dlist_head_element(WebhookDelivery, node, fast);
}

void
webhook_delivery_mark_slow(WebhookDispatcher *dispatcher, WebhookDelivery *delivery)
{
	dlist_delete(&delivery->node);
	dlist_push_tail(&dispatcher->in_flight[true], &delivery->node);
	if (webhook_cause_is_trial(delivery->entry.delivery.cause))
	{
		delivery->in_slow_pool = true;
		webhook_scheduler_move_to_slow(&dispatcher->queues.scheduler,
									   &delivery->queue->scheduling);
	}
}

void
webhook_delivery_end(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
					 WebhookOutcome outcome, WebhookRowChange change)
{
	WebhookSubject *subject = delivery->subject;

	delivery->entry.outcome = outcome;
	delivery->entry.row = change;
	if (change == WEBHOOK_ROW_INSERT)
		delivery->queue->has_rows = true;
	dlist_push_tail(&dispatcher->ended, &delivery->node);
	dispatcher->usage.unflushed++;
	if (subject == NULL)
		return;

	subject->unflushed++;
	if (subject->head != delivery)
		return;
	subject->head = NULL;
	if (subject->passed_over_due_row)
	{
		subject->passed_over_due_row = false;
		webhook_due_note_row(&dispatcher->queues, delivery->queue, delivery->offered_at);
	}
}

void
webhook_delivery_end_and_promote(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
								 WebhookOutcome outcome)
{
	WebhookSubject *subject = delivery->subject;

	webhook_delivery_end(dispatcher, delivery, outcome,
						 delivery->stored ? WEBHOOK_ROW_DELETE : WEBHOOK_ROW_NONE);
	delivery->entry.delivery.next_at = 0;
	if (subject != NULL && !dlist_is_empty(&subject->waiting))
		webhook_delivery_set_ready(dispatcher, pop_waiting(dispatcher, subject));
}

void
webhook_delivery_retry(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
					   TimestampTz next_at)
{
	delivery->entry.delivery.next_at = next_at;
	webhook_delivery_end(dispatcher, delivery, WEBHOOK_RETRYING,
						 delivery->stored ? WEBHOOK_ROW_UPDATE : WEBHOOK_ROW_INSERT);
	if (delivery->subject != NULL)
		webhook_subject_evict_waiting(dispatcher, delivery->subject, false);
}

void
webhook_delivery_defer(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
					   TimestampTz next_at)
{
	delivery->entry.delivery.next_at = next_at;
	if (delivery->subject != NULL)
		delivery->subject->defers_arrivals = true;
	webhook_delivery_end(dispatcher, delivery, WEBHOOK_DEFERRED,
						 delivery->stored ? WEBHOOK_ROW_UPDATE : WEBHOOK_ROW_INSERT);
}

void
webhook_subject_evict_waiting(WebhookDispatcher *dispatcher, WebhookSubject *subject, bool cancel)
{
	subject->defers_arrivals = true;
	while (!dlist_is_empty(&subject->waiting))
	{
		WebhookDelivery *delivery = pop_waiting(dispatcher, subject);

		if (cancel)
			webhook_delivery_end(dispatcher, delivery, WEBHOOK_CANCELLED,
								 delivery->stored ? WEBHOOK_ROW_DELETE : WEBHOOK_ROW_NONE);
		else if (delivery->stored)
			free_delivery(dispatcher, delivery);	/* its row is there already, behind others */
		else
			webhook_delivery_defer(dispatcher, delivery, 0);
	}
}

void
webhook_delivery_evict(WebhookDispatcher *dispatcher, WebhookDelivery *delivery, bool cancel,
					   TimestampTz now)
{
	WebhookSubject *subject = delivery->subject;

	webhook_delivery_unset_ready(dispatcher, delivery);
	if (cancel)
		webhook_delivery_end_and_promote(dispatcher, delivery, WEBHOOK_CANCELLED);
	else if (!delivery->stored || delivery->entry.delivery.next_at == 0)
	{
		webhook_delivery_defer(dispatcher, delivery, now);
		if (subject != NULL)
			webhook_subject_evict_waiting(dispatcher, subject, false);
	}
	else
	{
		if (subject != NULL)
			webhook_subject_evict_waiting(dispatcher, subject, false);
		/* Its row is there already, and due. */
		webhook_due_note_row(&dispatcher->queues, delivery->queue,
							 delivery->entry.delivery.next_at);
		if (subject != NULL)
			subject->head = NULL;
		free_delivery(dispatcher, delivery);
		if (subject != NULL)
			webhook_subject_drop_if_idle(&dispatcher->subjects, subject);
	}
}

void
webhook_dispatch_set_back(WebhookDispatcher *dispatcher, TimestampTz now, int64 by)
{
	dlist_iter	iter;

	dlist_foreach(iter, &dispatcher->ended)
	{
		WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);
		TimestampTz *next_at = &delivery->entry.delivery.next_at;

		if (*next_at > now)
			*next_at = Max(*next_at - by, now);
	}
}

int
webhook_dispatch_ended(WebhookDispatcher *dispatcher, WebhookDelivery **group, int count,
					   int size)
{
	dlist_node *last = count == 0 ? &dispatcher->ended.head : &group[count - 1]->node;

	while (count < size && dlist_has_next(&dispatcher->ended, last))
	{
		WebhookDelivery *delivery;

		last = dlist_next_node(&dispatcher->ended, last);
		delivery = dlist_container(WebhookDelivery, node, last);
		delivery->entry.promote = needs_promotion(delivery);
		delivery->entry.bodies = keeps_bodies(delivery);
		if (delivery->subject != NULL)
			delivery->subject->in_group++;
		group[count++] = delivery;
	}
	return count;
}

void
webhook_dispatch_flushed(WebhookDispatcher *dispatcher, WebhookDelivery **group, int count,
						 bool committed, uint64 counts[WEBHOOK_OUTCOMES])
{
	for (int i = 0; i < count; i++)
	{
		if (group[i]->subject != NULL)
			group[i]->subject->in_group--;
		if (!committed)
			continue;
		counts[group[i]->entry.outcome]++;
		flushed(dispatcher, group[i]);
	}
}

bool
webhook_dispatch_has_rows_to_come(WebhookDispatcher *dispatcher, int64 subscription_id,
								  const pg_uuid_t *event_id, const char *subject)
{
	dlist_iter	iter;

	dlist_foreach(iter, &dispatcher->ended)
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

/* The list that the delivery is in while it is ready, and its length. */
static dlist_head *
ready_list(WebhookDelivery *delivery, int **length)
{
	WebhookQueue *queue = delivery->queue;
	bool		ping = delivery->entry.delivery.cause == WEBHOOK_CAUSE_PING;

	*length = ping ? &queue->npings : &queue->nready;
	return ping ? &queue->pings : &queue->ready;
}

static void
count_queued(WebhookDispatcher *dispatcher, WebhookQueue *queue, int by)
{
	dispatcher->usage.queued += by;
	queue->queued += by;
}

static WebhookDelivery *
pop_waiting(WebhookDispatcher *dispatcher, WebhookSubject *subject)
{
	WebhookDelivery *delivery = dlist_head_element(WebhookDelivery, node, &subject->waiting);

	webhook_delivery_unset_waiting(dispatcher, delivery);
	return delivery;
}

/*
 * Returns true if pending may need another head when this result is written. A
 * subject needs none if the delivery itself becomes its head there. A delivery
 * without a subject makes room for another head only if its own row is deleted.
 */
static bool
needs_promotion(const WebhookDelivery *delivery)
{
	return delivery->queue->has_rows &&
		(delivery->entry.row == WEBHOOK_ROW_DELETE ||
		 (delivery->subject != NULL && delivery->entry.delivery.next_at == 0));
}

/* Returns true if the log is to have the bodies of this call, and the data of its event. */
static bool
keeps_bodies(const WebhookDelivery *delivery)
{
	const WebhookQueue *queue = delivery->queue;
	WebhookLogBodies which = queue->has_log_bodies ? queue->log_bodies : webhook_log_bodies;

	/* Rows of the delivery that is dismissed have them. */
	return !delivery->entry.erased &&
		delivery->entry.delivery.cause != WEBHOOK_CAUSE_DISMISS &&
		(which == WEBHOOK_BODIES_ALL ||
		 (which == WEBHOOK_BODIES_FAILED && delivery->entry.outcome != WEBHOOK_DELIVERED));
}

/* Its end is committed. */
static void
flushed(WebhookDispatcher *dispatcher, WebhookDelivery *delivery)
{
	const WebhookLogEntry *entry = &delivery->entry;
	WebhookQueue *queue = delivery->queue;
	WebhookSubject *subject = delivery->subject;

	dlist_delete(&delivery->node);
	dispatcher->usage.unflushed--;
	count_outcome(dispatcher, delivery);
	if (entry->row == WEBHOOK_ROW_INSERT || entry->row == WEBHOOK_ROW_UPDATE)
	{
		webhook_due_note_row(&dispatcher->queues, queue, entry->delivery.next_at);
		webhook_queue_update(&dispatcher->queues, queue);
	}
	else if (entry->row == WEBHOOK_ROW_DELETE)
		webhook_due_note_deleted(&dispatcher->queues, queue);
	free_delivery(dispatcher, delivery);
	if (subject != NULL)
	{
		subject->unflushed--;
		webhook_subject_drop_if_idle(&dispatcher->subjects, subject);
	}
}

/* Only what is committed is counted. */
static void
count_outcome(WebhookDispatcher *dispatcher, WebhookDelivery *delivery)
{
	WebhookState *state = &delivery->queue->health.state;

	/* The delivery that is dismissed was counted when it ended. */
	if (delivery->entry.delivery.cause == WEBHOOK_CAUSE_DISMISS)
		return;
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
	webhook_queue_mark_dirty(&dispatcher->queues, delivery->queue, false);
}
