/*
 * evict.c
 *	  What leaves memory without having been started.
 *
 * It goes to webhook.pending where it may still be wanted: its subscription is
 * paused, its endpoint does not answer, others want its place. Or it ends as
 * cancelled: nobody wants it any more, or somebody has said so.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "delivery/scheduler.h"
#include "delivery/transitions.h"

#define MAX_QUEUED_LONG (WEBHOOK_MAX_QUEUED / 2)	/* of more, none waits long */
#define LEAST_SHARE 16			/* deliveries, besides its share, of a busy queue */
#define LONGEST_SPAN (USECS_PER_SEC / 2)	/* that a completions_per_interval is measured over */

static TimestampTz measured_at; /* the queues' paces */

static bool leaves(const WebhookQueue *queue);
static void spill(WebhookQueue *queue, bool scarce, TimestampTz now);
static int	may_keep(const WebhookQueue *queue);
static void cancel_queue(dlist_head *list, const pg_uuid_t *event_id,
						 int64 before, WebhookBatch *batch);
static void cancel_ready(WebhookDelivery *delivery, const char *class,
						 WebhookBatch *batch);
static void hold_command(WebhookDelivery *delivery, WebhookBatch *batch);
static bool is_of_event(const WebhookDelivery *delivery, const pg_uuid_t *event_id,
						int64 before);

void
webhook_dispatch_refresh(bool sending, TimestampTz now)
{
	void	   *scan;

	webhook_queues_refresh(sending, now);

	/* Successors first: a head that goes takes what is left along. */
	for (WebhookSubject *subject = webhook_subject_first_waiting(&scan);
		 subject != NULL; subject = webhook_subject_next_waiting(&scan))
	{
		WebhookQueue *queue = webhook_queue_get(subject->key.subscription_id);

		if (leaves(queue))
			webhook_subject_evict_waiting(subject, !webhook_queue_is_enabled(queue->id));
	}

	for (WebhookQueue *queue = webhook_queue_first(&scan);
		 queue != NULL; queue = webhook_queue_next(&scan))
		webhook_dispatch_evict_if_blocked(queue, now);
}

void
webhook_dispatch_evict_if_blocked(WebhookQueue *queue, TimestampTz now)
{
	bool		wanted;

	if (!leaves(queue) || (queue->nready == 0 && queue->npings == 0))
		return;
	wanted = webhook_queue_is_enabled(queue->id);
	while (queue->nready > 0)
		webhook_delivery_evict(dlist_head_element(WebhookDelivery, node, &queue->ready),
							   !wanted, now);
	while (!queue->sends && queue->npings > 0)
		webhook_delivery_evict(dlist_head_element(WebhookDelivery, node, &queue->pings),
							   !wanted, now);
	webhook_queue_update(queue);
}

void
webhook_dispatch_spill(TimestampTz now)
{
	bool		scarce = webhook_usage.queued > MAX_QUEUED_LONG;
	int64		limit = scarce ? WEBHOOK_SCARCE_LIMIT : WEBHOOK_UNSTARTED_LIMIT;
	int64		span = Min(now - measured_at, LONGEST_SPAN);
	bool		measure = now < measured_at || span >= WEBHOOK_SCARCE_LIMIT;
	void	   *scan;

	if (webhook_usage.queued == 0)
		return;

	for (WebhookQueue *queue = webhook_queue_first(&scan);
		 queue != NULL; queue = webhook_queue_next(&scan))
	{
		if (measure)
		{
			queue->completions_per_interval =
				span > 0 ? queue->completed * WEBHOOK_SCARCE_LIMIT / span : 0;
			queue->completed = 0;
		}
		if (queue->nready > 0 || queue->npings > 0)
			spill(queue, scarce, now);
	}
	if (measure)
		measured_at = now;

	/* What waits has_earlier_pending one in flight moves on its own. */
	for (WebhookSubject *subject = webhook_subject_first_waiting(&scan);
		 subject != NULL; subject = webhook_subject_next_waiting(&scan))
	{
		WebhookDelivery *oldest = dlist_head_element(WebhookDelivery, node, &subject->waiting);

		if (webhook_delivery_has_waited(oldest, limit, now))
			webhook_subject_evict_waiting(subject, false);
	}
}

void
webhook_dispatch_cancel_row(const WebhookPending *row, const char *class,
							WebhookBatch *batch)
{
	WebhookDelivery *delivery = webhook_delivery_create(row, true, row->queued_at);

	if (delivery->subject != NULL)
		delivery->subject->defers_arrivals = true;
	hold_command(delivery, batch);
	delivery->entry.error_class = class;
	webhook_delivery_end(delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_DELETE);
}

void
webhook_dispatch_cancel_event(int64 subscription_id, const pg_uuid_t *event_id,
							  int64 before, WebhookBatch *batch)
{
	WebhookQueue *queue = webhook_queue_get(subscription_id);
	dlist_mutable_iter iter;
	void	   *scan;

	/* Successors first: a head that ends makes the next one ready. */
	for (WebhookSubject *subject = webhook_subject_first_waiting(&scan);
		 subject != NULL; subject = webhook_subject_next_waiting(&scan))
	{
		if (subject->key.subscription_id != subscription_id)
			continue;
		dlist_foreach_modify(iter, &subject->waiting)
		{
			WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);

			if (!is_of_event(delivery, event_id, before))
				continue;
			webhook_delivery_unset_waiting(delivery);
			webhook_delivery_end(delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_NONE);
		}
	}
	cancel_queue(&queue->ready, event_id, before, batch);
	cancel_queue(&queue->pings, event_id, before, batch);

	for (WebhookDelivery *delivery = webhook_in_flight_first(&scan);
		 delivery != NULL; delivery = webhook_in_flight_next(&scan))
	{
		if (delivery->queue != queue || !is_of_event(delivery, event_id, before))
			continue;
		delivery->cancelled = true;
		delivery->cancel_class = NULL;
		hold_command(delivery, batch);
	}
}

bool
webhook_dispatch_skip(int64 subscription_id, const char *name, int64 before,
					  WebhookBatch *batch)
{
	WebhookSubject *subject = webhook_subject_find(subscription_id, name);
	WebhookDelivery *head = subject == NULL ? NULL : subject->head;

	if (head == NULL || head->entry.delivery.position >= before)
		return false;
	if (head->is_ready)
		cancel_ready(head, "skipped", batch);
	else
	{
		head->cancelled = true;
		head->cancel_class = "skipped";
		hold_command(head, batch);
	}
	return true;
}

/* May nothing of it wait in memory? */
static bool
leaves(const WebhookQueue *queue)
{
	return !queue->sends || webhook_health_is_open(&queue->health);
}

/* What of a queue is ready and has waited for too long. */
static void
spill(WebhookQueue *queue, bool scarce, TimestampTz now)
{
	int			kept = scarce ? may_keep(queue) : queue->nready;

	while (queue->nready > 0)
	{
		WebhookDelivery *oldest = dlist_head_element(WebhookDelivery, node, &queue->ready);

		if (!webhook_delivery_has_waited(oldest, WEBHOOK_UNSTARTED_LIMIT, now) &&
			(queue->nready <= kept ||
			 !webhook_delivery_has_waited(oldest, WEBHOOK_SCARCE_LIMIT, now)))
			break;
		queue->spilling = true;
		webhook_delivery_evict(oldest, false, now);
	}
	while (queue->npings > 0)
	{
		WebhookDelivery *oldest = dlist_head_element(WebhookDelivery, node, &queue->pings);

		if (!webhook_delivery_has_waited(oldest, scarce ? WEBHOOK_SCARCE_LIMIT :
										 WEBHOOK_UNSTARTED_LIMIT, now))
			break;
		queue->spilling = true;
		webhook_delivery_evict(oldest, false, now);
	}
	webhook_queue_update(queue);
}

/*
 * While room is scarce, a queue that gets on keeps its share, with room for one
 * more, or as much as it works off in that time. If it gets on slowly, for all
 * are busy, webhook.pending would only make it slower.
 */
static int
may_keep(const WebhookQueue *queue)
{
	int			completions_per_interval = Max(queue->completions_per_interval, queue->completed);

	if (queue->slow || queue->not_before != 0)
		return 0;
	if (queue->in_flight == 0)
		return queue->nready;
	return completions_per_interval == 0 ? 0 :
		Max(completions_per_interval,
			WEBHOOK_MAX_QUEUED / (webhook_scheduler_busy_queues() + 1) + LEAST_SHARE);
}

static void
cancel_queue(dlist_head *list, const pg_uuid_t *event_id, int64 before,
			 WebhookBatch *batch)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, list)
	{
		WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);

		if (is_of_event(delivery, event_id, before))
			cancel_ready(delivery, NULL, batch);
	}
}

static void
cancel_ready(WebhookDelivery *delivery, const char *class, WebhookBatch *batch)
{
	webhook_delivery_unset_ready(delivery);
	hold_command(delivery, batch);
	delivery->entry.error_class = class;
	webhook_delivery_end_and_promote(delivery, WEBHOOK_CANCELLED);
	webhook_queue_update(delivery->queue);
}

/*
 * The command that ends it is done when its entry is committed. One that was
 * read from the ring holds an batch that is not later than the command's.
 */
static void
hold_command(WebhookDelivery *delivery, WebhookBatch *batch)
{
	if (delivery->batch != NULL || batch == NULL)
		return;
	webhook_batch_pin(batch);
	delivery->batch = batch;
}

static bool
is_of_event(const WebhookDelivery *delivery, const pg_uuid_t *event_id, int64 before)
{
	const WebhookPending *row = &delivery->entry.delivery;

	return row->position < before &&
		(event_id == NULL || memcmp(&row->event->event_id, event_id, UUID_LEN) == 0);
}
