/*
 * cancel.c
 *	  Deliveries that end because a command says so: cancel(), skip(), and the
 *	  end of a subscription.
 *
 * A command is complete when the ends that it causes are committed. A delivery
 * that came from the ring pins the read batch of its event; that batch is not
 * later than the command's, and the low-water mark passes neither before the
 * end is committed. A delivery without a batch pins the command's.
 */
#include "postgres.h"

#include "delivery/transitions_internal.h"

/* The deliveries that a command ends. */
typedef struct Meant
{
	const pg_uuid_t *event_id;	/* of this event; NULL: of any */
	const WebhookReach *reach;
} Meant;

static WebhookDelivery *first_meant(WebhookSubject *subject, const Meant *meant);
static void cancel_waiting(WebhookDispatcher *dispatcher, int64 subscription_id,
						   const Meant *meant, WebhookBatch *batch);
static void end_waiting(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
						const char *class, WebhookBatch *batch);
static void cancel_all_ready(WebhookDispatcher *dispatcher, dlist_head *ready,
							 const Meant *meant, WebhookBatch *batch);
static void cancel_ready(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
						 const char *class, WebhookBatch *batch);
static void cancel_in_flight(WebhookDelivery *delivery, const char *class, WebhookBatch *batch);
static void pin(WebhookDelivery *delivery, WebhookBatch *batch);
static bool is_meant(const WebhookDelivery *delivery, const Meant *meant);

void
webhook_dispatch_cancel_row(WebhookDispatcher *dispatcher, const WebhookPending *row,
							const char *class, WebhookBatch *batch)
{
	WebhookDelivery *delivery = webhook_delivery_create(dispatcher, row, true, batch,
														row->queued_at);

	if (delivery->subject != NULL)
		delivery->subject->defers_arrivals = true;
	delivery->entry.error_class = class;
	webhook_delivery_end(dispatcher, delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_DELETE);
	webhook_queue_update(&dispatcher->queues, delivery->queue);
}

void
webhook_dispatch_cancel_event(WebhookDispatcher *dispatcher, int64 subscription_id,
							  const pg_uuid_t *event_id, const WebhookReach *reach,
							  WebhookBatch *batch)
{
	WebhookQueue *queue = webhook_queue_get(&dispatcher->queues, subscription_id);
	Meant		meant = {event_id, reach};
	dlist_iter	iter;

	/* Successors first: the end of a head makes the next one ready. */
	cancel_waiting(dispatcher, subscription_id, &meant, batch);
	cancel_all_ready(dispatcher, &queue->ready, &meant, batch);
	cancel_all_ready(dispatcher, &queue->pings, &meant, batch);
	for (int slow = 0; slow < 2; slow++)
	{
		dlist_foreach(iter, &dispatcher->in_flight[slow])
		{
			WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);

			if (delivery->queue == queue && is_meant(delivery, &meant))
				cancel_in_flight(delivery, NULL, batch);
		}
	}
	webhook_queue_update(&dispatcher->queues, queue);
}

bool
webhook_dispatch_skip(WebhookDispatcher *dispatcher, int64 subscription_id, const char *name,
					  const WebhookReach *reach, WebhookBatch *batch)
{
	WebhookSubject *subject = webhook_subject_find(&dispatcher->subjects, subscription_id, name);
	Meant		meant = {NULL, reach};
	WebhookDelivery *first = subject == NULL ? NULL : first_meant(subject, &meant);

	if (first == NULL)
		return false;
	if (first != subject->head)
		end_waiting(dispatcher, first, "skipped", batch);
	else if (first->is_ready)
		cancel_ready(dispatcher, first, "skipped", batch);
	else
		cancel_in_flight(first, "skipped", batch);
	webhook_queue_update(&dispatcher->queues, first->queue);
	return true;
}

/* NULL: the command means none that is in memory. */
static WebhookDelivery *
first_meant(WebhookSubject *subject, const Meant *meant)
{
	dlist_iter	iter;

	if (subject->head != NULL && is_meant(subject->head, meant))
		return subject->head;
	dlist_foreach(iter, &subject->waiting)
	{
		WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);

		if (is_meant(delivery, meant))
			return delivery;
	}
	return NULL;
}

static void
cancel_waiting(WebhookDispatcher *dispatcher, int64 subscription_id, const Meant *meant,
			   WebhookBatch *batch)
{
	HASH_SEQ_STATUS scan;
	WebhookSubject *subject;
	dlist_mutable_iter iter;

	webhook_subjects_scan(&dispatcher->subjects, &scan);
	while ((subject = webhook_subjects_next_waiting(&scan)) != NULL)
	{
		if (subject->key.subscription_id != subscription_id)
			continue;
		dlist_foreach_modify(iter, &subject->waiting)
		{
			WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);

			if (is_meant(delivery, meant))
				end_waiting(dispatcher, delivery, NULL, batch);
		}
	}
}

static void
end_waiting(WebhookDispatcher *dispatcher, WebhookDelivery *delivery, const char *class,
			WebhookBatch *batch)
{
	webhook_delivery_unset_waiting(dispatcher, delivery);
	pin(delivery, batch);
	delivery->entry.error_class = class;
	webhook_delivery_end(dispatcher, delivery, WEBHOOK_CANCELLED,
						 delivery->stored ? WEBHOOK_ROW_DELETE : WEBHOOK_ROW_NONE);
}

static void
cancel_all_ready(WebhookDispatcher *dispatcher, dlist_head *ready, const Meant *meant,
				 WebhookBatch *batch)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, ready)
	{
		WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);

		if (is_meant(delivery, meant))
			cancel_ready(dispatcher, delivery, NULL, batch);
	}
}

static void
cancel_ready(WebhookDispatcher *dispatcher, WebhookDelivery *delivery, const char *class,
			 WebhookBatch *batch)
{
	webhook_delivery_unset_ready(dispatcher, delivery);
	pin(delivery, batch);
	delivery->entry.error_class = class;
	webhook_delivery_end_and_promote(dispatcher, delivery, WEBHOOK_CANCELLED);
}

/* It ends with its answer. */
static void
cancel_in_flight(WebhookDelivery *delivery, const char *class, WebhookBatch *batch)
{
	delivery->cancelled = true;
	delivery->cancel_class = class;
	pin(delivery, batch);
}

static void
pin(WebhookDelivery *delivery, WebhookBatch *batch)
{
	if (delivery->batch != NULL || batch == NULL)
		return;
	webhook_batch_pin(batch);
	delivery->batch = batch;
}

static bool
is_meant(const WebhookDelivery *delivery, const Meant *meant)
{
	const WebhookPending *row = &delivery->entry.delivery;

	return webhook_reach_covers(meant->reach, row->position, row->event->txid) &&
		(meant->event_id == NULL ||
		 memcmp(&row->event->event_id, meant->event_id, UUID_LEN) == 0);
}
