/*
 * dispatch.c
 *	  Everything between "read" and "final": which delivery may start, which
 *	  waits has_earlier_pending which.
 *
 * What waits for the network is bounded: a delivery that has not started
 * within two seconds, or sooner where others want the place, is spilled to
 * webhook.pending, and its queue then takes no arrivals until it has worked off
 * what is due there. Nothing here reads a clock or a table, and nothing can
 * fail but for memory.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "delivery/retry_policy.h"
#include "delivery/scheduler.h"
#include "delivery/transitions.h"

#define MAX_LOADED 500			/* rows of webhook.pending in memory, but in flight */
#define MAX_UNFLUSHED 4000		/* on their way to the tables, before more are read: some groups of
								 * the writer's */

static WebhookUsage load;

static bool has_memory(Size elsewhere);
static bool is_too_old(const WebhookDelivery *delivery, TimestampTz now);
static void report_health(WebhookDelivery *delivery, WebhookOutcome result,
						  TimestampTz now);

void
webhook_dispatch_init(void)
{
	webhook_queue_init();
	webhook_subject_init();
	webhook_transitions_init();
}

void
webhook_dispatch_offer(const WebhookOffer *offer, WebhookBatch *batch,
					   TimestampTz now)
{
	WebhookQueue *queue = webhook_queue_get(offer->subscription_id);
	WebhookPending row = {0};
	WebhookDelivery *delivery;
	WebhookSubject *subject;

	if (!queue->sends && queue->health.state.suspended_at == 0 &&
		webhook_queue_is_enabled(queue->id))
	{
		webhook_health_suspend(&queue->health, true, now);
		webhook_queue_mark_dirty(queue, false);
	}

	row.subscription_id = offer->subscription_id;
	row.position = offer->position;
	row.cause = offer->cause;
	row.attempt = offer->attempts;
	row.queued_at = Max(now, offer->caused_at);
	row.age_start = webhook_health_active_time(&queue->health, offer->caused_at, now);
	row.event = webhook_event_share(offer->event);
	delivery = webhook_delivery_create(&row, false, now);
	delivery->batch = batch;
	webhook_batch_pin(batch);

	subject = delivery->subject;
	if (!webhook_queue_is_enabled(queue->id))
		webhook_delivery_end(delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_NONE);
	else if (subject != NULL && (offer->has_earlier_pending || subject->defers_arrivals))
		webhook_delivery_defer(delivery, 0);
	else if (subject != NULL && subject->head != NULL)
	{
		if (webhook_queue_accepts(queue))
			webhook_delivery_set_waiting(delivery);
		else
			webhook_delivery_defer(delivery, 0);
	}
	else if (offer->cause == WEBHOOK_CAUSE_PING ?
			 webhook_queue_accepts_ping(queue) : webhook_queue_accepts(queue))
		webhook_delivery_set_ready(delivery);
	else
		webhook_delivery_defer(delivery, now);
}

bool
webhook_dispatch_must_check_pending(int64 subscription_id, const char *subject)
{
	const WebhookSubscription *subscription = webhook_subscription_get(subscription_id);
	const WebhookSubject *known;
	const WebhookDelivery *head;

	if (subject == NULL || !webhook_queue_get(subscription_id)->has_rows ||
		(subscription != NULL && !subscription->ordered))
		return false;

	/* A head that has a row may leave memory, and its subject with it. */
	known = webhook_subject_find(subscription_id, subject);
	head = known == NULL ? NULL : known->head;
	return known == NULL || (head != NULL && head->stored);
}

void
webhook_dispatch_load(const WebhookPending *row, TimestampTz now)
{
	WebhookDelivery *delivery = webhook_delivery_create(row, true, now);

	/* Others of its subject may wait has_earlier_pending it. */
	if (delivery->subject != NULL)
		delivery->subject->defers_arrivals = true;
	webhook_delivery_set_ready(delivery);
}

bool
webhook_dispatch_is_loaded_or_blocked(int64 subscription_id, const char *subject,
									  int64 position, int64 id)
{
	if (webhook_row_is_loaded(subscription_id, position, id))
		return true;

	/* Never two of one subject, whatever the table says; it is asked again. */
	if (subject != NULL && subject[0] != '\0')
	{
		WebhookSubject *known = webhook_subject_find(subscription_id, subject);

		if (known != NULL && known->head != NULL)
			return known->passed_over_due_row = true;
	}
	return false;
}

bool
webhook_dispatch_has_subject(int64 subscription_id, const char *name)
{
	WebhookSubject *subject = webhook_subject_find(subscription_id, name);

	return subject != NULL &&
		(subject->head != NULL || !dlist_is_empty(&subject->waiting) ||
		 subject->unflushed > subject->in_group);
}

WebhookDelivery *
webhook_dispatch_next(TimestampTz now)
{
	WebhookQueue *queue;

	while ((queue = webhook_scheduler_next()) != NULL)
	{
		WebhookDelivery *delivery;
		WebhookHealthChange change;
		TimestampTz until;

		delivery = dlist_head_element(WebhookDelivery, node,
									  queue->npings == 0 ?
									  &queue->ready : &queue->pings);
		webhook_delivery_unset_ready(delivery);
		if (is_too_old(delivery, now))
		{
			delivery->entry.error_class = "too_old";
			delivery->entry.error =
				MemoryContextStrdup(TopMemoryContext,
									"the delivery has reached the max_age of its subscription");
			webhook_delivery_end_and_promote(delivery, WEBHOOK_FAILED);
			webhook_queue_update(queue);
			continue;
		}

		delivery->entry.delivery.attempt++;
		delivery->probe = webhook_health_is_open(&queue->health);
		until = webhook_health_start(&queue->health, webhook_subscription_get(queue->id),
									 queue->nready > 0, now, &change);
		webhook_delivery_set_in_flight(delivery, now);
		if (until > queue->not_before)
			webhook_queue_delay(queue, until);
		if (change != WEBHOOK_HEALTH_UNCHANGED)
			webhook_queue_apply_health(queue, change);
		return delivery;
	}
	return NULL;
}

void
webhook_dispatch_finish(WebhookDelivery *delivery,
						const WebhookHttpTransfer *transfer, TimestampTz now)
{
	WebhookLogEntry *entry = &delivery->entry;
	const WebhookSubscription *subscription = webhook_subscription_get(delivery->queue->id);
	TimestampTz next_at = 0;
	WebhookOutcome result;

	webhook_delivery_set_done(delivery);
	entry->transfer = transfer;
	entry->endpoint = transfer->url;
	result = webhook_retry_decide(&entry->delivery, subscription, transfer,
								  delivery->probe, now, &next_at);
	if (result != WEBHOOK_DELIVERED)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		entry->error_class = webhook_retry_error_class(transfer);
		entry->error = webhook_retry_error(transfer);
		MemoryContextSwitchTo(old);
	}
	if (entry->delivery.cause != WEBHOOK_CAUSE_PING)
		report_health(delivery, result, now);

	if (result == WEBHOOK_RETRYING)
	{
		if (delivery->cancelled || !webhook_queue_is_enabled(delivery->queue->id))
			result = WEBHOOK_CANCELLED;
		if (delivery->cancelled && delivery->cancel_class != NULL)
			entry->error_class = delivery->cancel_class;
	}
	if (result != WEBHOOK_RETRYING)
		webhook_delivery_end_and_promote(delivery, result);
	else
	{
		if (!delivery->probe)
			entry->delivery.step++;
		webhook_delivery_retry(delivery, next_at);
	}
	webhook_dispatch_evict_if_blocked(delivery->queue, now);
}

void
webhook_dispatch_reject(WebhookDelivery *delivery, const char *error)
{
	webhook_delivery_set_done(delivery);
	delivery->entry.delivery.attempt--;
	delivery->entry.error_class = "message";
	delivery->entry.error = MemoryContextStrdup(TopMemoryContext, error);
	webhook_delivery_end_and_promote(delivery, WEBHOOK_FAILED);
}

void
webhook_dispatch_retry_later(WebhookDelivery *delivery)
{
	webhook_delivery_set_done(delivery);
	delivery->entry.delivery.attempt--;
	if (delivery->subject != NULL)
		delivery->subject->head = NULL;
	webhook_delivery_set_ready(delivery);
}

void
webhook_dispatch_tick(TimestampTz now)
{
	WebhookDelivery *oldest;

	webhook_queues_wake(now);
	while ((oldest = webhook_in_flight_oldest()) != NULL &&
		   now - oldest->started_at >= WEBHOOK_SLOW_REQUEST)
	{
		webhook_delivery_mark_slow(oldest);
		if (oldest->entry.delivery.cause == WEBHOOK_CAUSE_PING)
			continue;
		webhook_health_slow(&oldest->queue->health);
		webhook_queue_apply_health(oldest->queue, WEBHOOK_HEALTH_UNCHANGED);
		webhook_queue_mark_dirty(oldest->queue, false);
	}
}

TimestampTz
webhook_dispatch_tick_time(void)
{
	const WebhookDelivery *oldest = webhook_in_flight_oldest();
	TimestampTz wake = webhook_queues_wake_time();
	TimestampTz slow = oldest == NULL ? 0 : oldest->started_at + WEBHOOK_SLOW_REQUEST;

	return wake == 0 || (slow != 0 && slow < wake) ? slow : wake;
}

bool
webhook_dispatch_is_due(TimestampTz now)
{
	return webhook_rows_loaded() > 0 || webhook_due_any(now);
}

bool
webhook_dispatch_has_room(Size elsewhere)
{
	return webhook_usage.queued < WEBHOOK_MAX_QUEUED &&
		webhook_usage.unflushed < MAX_UNFLUSHED && has_memory(elsewhere);
}

int
webhook_dispatch_room_for_due(Size elsewhere)
{
	return has_memory(elsewhere) ? Max(MAX_LOADED - webhook_rows_not_in_flight(), 0) : 0;
}

const WebhookUsage *
webhook_dispatch_usage(void)
{
	load = webhook_usage;
	load.memory += webhook_subject_memory();
	return &load;
}

static bool
has_memory(Size elsewhere)
{
	return webhook_dispatch_usage()->memory + elsewhere < (Size) webhook_max_memory * 1024 / 2;
}

/* By its subscription's clock, which stands while it may not send. */
static bool
is_too_old(const WebhookDelivery *delivery, TimestampTz now)
{
	const WebhookSubscription *subscription = webhook_subscription_get(delivery->queue->id);

	return subscription != NULL &&
		webhook_health_active_time(&delivery->queue->health, now, now) -
		delivery->entry.delivery.age_start >= subscription->max_age;
}

/* What its POST has shown of the endpoint. */
static void
report_health(WebhookDelivery *delivery, WebhookOutcome result, TimestampTz now)
{
	const WebhookLogEntry *entry = &delivery->entry;
	WebhookQueue *queue = delivery->queue;
	WebhookRequestResult report = {0};
	WebhookHealthChange change;

	report.delivered = result == WEBHOOK_DELIVERED;
	report.is_endpoint_failure = webhook_retry_is_endpoint_failure(entry->transfer);
	report.gone = webhook_retry_is_gone(entry->transfer);
	report.probe = delivery->probe;
	report.retry_after = webhook_retry_after(entry->transfer);
	report.duration = entry->transfer->duration;
	report.problem = entry->error;
	change = webhook_health_end(&queue->health, webhook_subscription_get(queue->id),
								&report, now);
	if (queue->health.state.not_before > now)
		webhook_queue_delay(queue, Max(queue->not_before, queue->health.state.not_before));
	else if (change == WEBHOOK_HEALTH_CLOSED)
		webhook_queue_delay(queue, 0);
	if (change == WEBHOOK_HEALTH_DISABLED)
		webhook_queue_cancel_backlog(queue);
	webhook_queue_apply_health(queue, change);
	webhook_queue_mark_dirty(queue, false);
}
