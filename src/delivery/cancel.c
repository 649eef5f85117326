/*
 * cancel.c
 *	  Deliveries that end because a command says so: cancel(), skip(), erase(), and
 *	  the end of a subscription.
 *
 * A command is complete when the ends that it causes are committed. A delivery
 * that came from the ring pins the read batch of its event; that batch is not
 * later than the command's, and the low-water mark passes neither before the
 * end is committed. A delivery without a batch pins the command's.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "delivery/transitions_internal.h"

/* The deliveries that a command ends. */
typedef struct Meant
{
	int64		subscription_id;	/* of this subscription; 0: of any */
	const pg_uuid_t *event_id;	/* of this event; NULL: of any */
	const char *subject;		/* of this subject; NULL: of any */
	const WebhookReach *reach;
	const char *class;			/* error_class of their ends, or NULL */
	bool		erase;			/* what was sent is not kept */
} Meant;

static void cancel_row(WebhookDispatcher *dispatcher, const WebhookPending *row,
					   const char *class, bool erase, WebhookBatch *batch);
static WebhookDelivery *first_meant(WebhookSubject *subject, const Meant *meant);
static void cancel_waiting(WebhookDispatcher *dispatcher, const Meant *meant,
						   WebhookBatch *batch);
static void end_waiting(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
						const Meant *meant, WebhookBatch *batch);
static void cancel_all_ready(WebhookDispatcher *dispatcher, dlist_head *ready,
							 const Meant *meant, WebhookBatch *batch);
static void cancel_ready(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
						 const Meant *meant, WebhookBatch *batch);
static void cancel_all_in_flight(WebhookDispatcher *dispatcher, const Meant *meant,
								 WebhookBatch *batch);
static void cancel_in_flight(WebhookDelivery *delivery, const Meant *meant, WebhookBatch *batch);
static void pin(WebhookDelivery *delivery, WebhookBatch *batch);
static bool is_meant(const WebhookDelivery *delivery, const Meant *meant);
static bool is_about(const WebhookEvent *event, const char *subject);

void
webhook_dispatch_cancel_row(WebhookDispatcher *dispatcher, const WebhookPending *row,
							const char *class, WebhookBatch *batch)
{
	cancel_row(dispatcher, row, class, false, batch);
}

static void
cancel_row(WebhookDispatcher *dispatcher, const WebhookPending *row, const char *class,
		   bool erase, WebhookBatch *batch)
{
	WebhookDelivery *delivery = webhook_delivery_create(dispatcher, row, true, batch,
														row->queued_at);

	if (delivery->subject != NULL)
		delivery->subject->defers_arrivals = true;
	delivery->entry.error_class = class;
	delivery->entry.erased = erase;
	webhook_delivery_end(dispatcher, delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_DELETE);
	webhook_queue_update(&dispatcher->queues, delivery->queue);
}

void
webhook_dispatch_cancel_event(WebhookDispatcher *dispatcher, int64 subscription_id,
							  const pg_uuid_t *event_id, const WebhookReach *reach,
							  WebhookBatch *batch)
{
	WebhookQueue *queue = webhook_queue_get(&dispatcher->queues, subscription_id);
	Meant		meant = {subscription_id, event_id, NULL, reach};

	/* Successors first: the end of a head makes the next one ready. */
	cancel_waiting(dispatcher, &meant, batch);
	cancel_all_ready(dispatcher, &queue->ready, &meant, batch);
	cancel_all_ready(dispatcher, &queue->pings, &meant, batch);
	cancel_all_in_flight(dispatcher, &meant, batch);
	webhook_queue_update(&dispatcher->queues, queue);
}

bool
webhook_dispatch_skip(WebhookDispatcher *dispatcher, int64 subscription_id, const char *name,
					  const WebhookReach *reach, WebhookBatch *batch)
{
	WebhookSubject *subject = webhook_subject_find(&dispatcher->subjects, subscription_id, name);
	Meant		meant = {subscription_id, NULL, name, reach, "skipped"};
	WebhookDelivery *first = subject == NULL ? NULL : first_meant(subject, &meant);

	if (first == NULL)
		return false;
	if (first != subject->head)
		end_waiting(dispatcher, first, &meant, batch);
	else if (first->is_ready)
		cancel_ready(dispatcher, first, &meant, batch);
	else
		cancel_in_flight(first, &meant, batch);
	webhook_queue_update(&dispatcher->queues, first->queue);
	return true;
}

void
webhook_dispatch_erase(WebhookDispatcher *dispatcher, const char *name, const WebhookReach *reach,
					   WebhookBatch *batch)
{
	Meant		meant = {0, NULL, name, reach};
	HASH_SEQ_STATUS scan;
	WebhookQueue *queue;
	dlist_iter	iter;

	meant.class = "erased";
	meant.erase = true;
	cancel_waiting(dispatcher, &meant, batch);
	webhook_queues_scan(&dispatcher->queues, &scan);
	while ((queue = webhook_queues_next(&scan)) != NULL)
	{
		if (queue->ndeliveries == 0)
			continue;
		cancel_all_ready(dispatcher, &queue->ready, &meant, batch);
		webhook_queue_update(&dispatcher->queues, queue);
	}
	cancel_all_in_flight(dispatcher, &meant, batch);
	dlist_foreach(iter, &dispatcher->ended)
	{
		WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);

		delivery->entry.erased |= is_meant(delivery, &meant);
	}
}

void
webhook_dispatch_erase_rows(WebhookDispatcher *dispatcher, const List *rows, WebhookBatch *batch)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ListCell   *cell;

	foreach(cell, rows)
	{
		WebhookPending *row = lfirst(cell);

		if (webhook_row_is_loaded(dispatcher, row->subscription_id, row->position,
								  row->event->id))
			continue;
		row->event = webhook_event_copy(row->event);
		cancel_row(dispatcher, row, "erased", true, batch);
	}
	MemoryContextSwitchTo(old);
}

bool
webhook_dispatch_has_rows_about(const WebhookDispatcher *dispatcher, const char *subject)
{
	dlist_iter	iter;

	dlist_foreach(iter, unconstify(dlist_head *, &dispatcher->ended))
	{
		const WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);

		if (delivery->entry.row != WEBHOOK_ROW_NONE &&
			is_about(delivery->entry.delivery.event, subject))
			return true;
	}
	return false;
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
cancel_waiting(WebhookDispatcher *dispatcher, const Meant *meant, WebhookBatch *batch)
{
	HASH_SEQ_STATUS scan;
	WebhookSubject *subject;
	dlist_mutable_iter iter;

	webhook_subjects_scan(&dispatcher->subjects, &scan);
	while ((subject = webhook_subjects_next_waiting(&scan)) != NULL)
	{
		if (meant->subscription_id != 0 && subject->key.subscription_id != meant->subscription_id)
			continue;
		dlist_foreach_modify(iter, &subject->waiting)
		{
			WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);

			if (is_meant(delivery, meant))
				end_waiting(dispatcher, delivery, meant, batch);
		}
	}
}

static void
end_waiting(WebhookDispatcher *dispatcher, WebhookDelivery *delivery, const Meant *meant,
			WebhookBatch *batch)
{
	webhook_delivery_unset_waiting(dispatcher, delivery);
	pin(delivery, batch);
	delivery->entry.error_class = meant->class;
	delivery->entry.erased = meant->erase;
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
			cancel_ready(dispatcher, delivery, meant, batch);
	}
}

static void
cancel_ready(WebhookDispatcher *dispatcher, WebhookDelivery *delivery, const Meant *meant,
			 WebhookBatch *batch)
{
	webhook_delivery_unset_ready(dispatcher, delivery);
	pin(delivery, batch);
	delivery->entry.error_class = meant->class;
	delivery->entry.erased = meant->erase;
	webhook_delivery_end_and_promote(dispatcher, delivery, WEBHOOK_CANCELLED);
}

static void
cancel_all_in_flight(WebhookDispatcher *dispatcher, const Meant *meant, WebhookBatch *batch)
{
	dlist_iter	iter;

	for (int slow = 0; slow < 2; slow++)
	{
		dlist_foreach(iter, &dispatcher->in_flight[slow])
		{
			WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);

			if (is_meant(delivery, meant))
				cancel_in_flight(delivery, meant, batch);
		}
	}
}

/* It ends with its answer. */
static void
cancel_in_flight(WebhookDelivery *delivery, const Meant *meant, WebhookBatch *batch)
{
	delivery->cancelled = true;
	delivery->cancel_class = meant->class;
	delivery->entry.erased |= meant->erase;
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

	return webhook_reach_covers(meant->reach, row->position, row->event->txid, row->event->id,
								row->event->origin) &&
		(meant->subscription_id == 0 || row->subscription_id == meant->subscription_id) &&
		(meant->event_id == NULL ||
		 memcmp(&row->event->event_id, meant->event_id, UUID_LEN) == 0) &&
		(meant->subject == NULL || is_about(row->event, meant->subject));
}

static bool
is_about(const WebhookEvent *event, const char *subject)
{
	return event->subject != NULL && strcmp(event->subject, subject) == 0;
}
