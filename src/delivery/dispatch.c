/*
 * dispatch.c
 *	  The ways through delivery/: an arrival comes in, a request is started, its
 *	  result comes back.
 *
 * Memory is bounded: a delivery that has not started within two seconds, or
 * sooner while memory is scarce, is spilled to pending, and its queue accepts no
 * arrivals until what is due there was loaded. Nothing here reads a clock or a
 * table, and nothing can fail but an allocation.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/steady.h"
#include "delivery/confirm_internal.h"
#include "delivery/evict_internal.h"
#include "delivery/retry_policy_internal.h"
#include "delivery/state_internal.h"
#include "delivery/transitions_internal.h"

/* What an arrival becomes. */
typedef enum ArrivalState
{
	ARRIVAL_READY,				/* it may start */
	ARRIVAL_WAITING,			/* it waits in memory behind the head of its subject */
	ARRIVAL_DEFERRED,			/* it moves to pending, behind others of its subject */
	ARRIVAL_DEFERRED_HEAD,		/* it moves to pending, as the head of its subject */
	ARRIVAL_CANCELLED,			/* its subscription takes nothing */
	ARRIVAL_DISMISSED,			/* it is not to be sent */
	ARRIVAL_ERASED,				/* it cannot be sent */
} ArrivalState;

static ArrivalState arrival_state(const WebhookDispatcher *dispatcher, const WebhookQueue *queue,
								  const WebhookSubject *subject, const WebhookOffer *offer);
static WebhookDelivery *next_of(WebhookDispatcher *dispatcher, WebhookQueue *queue,
								TimestampTz now);
static WebhookDelivery *pop_ready(WebhookDispatcher *dispatcher, WebhookQueue *queue);
static bool is_too_old(const WebhookDelivery *delivery, TimestampTz now);
static void end_as_too_old(WebhookDispatcher *dispatcher, WebhookDelivery *delivery);
static void start(WebhookDispatcher *dispatcher, WebhookDelivery *delivery, TimestampTz now);
static void take_back(WebhookDispatcher *dispatcher, WebhookDelivery *delivery);
static void set_probe(WebhookDispatcher *dispatcher, WebhookQueue *queue, bool under_way);
static void record_health(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
						  const WebhookRetryDecision *decision, TimestampTz now);
static void take_confirmation(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
							  TimestampTz now);
static void not_sent(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
					 TimestampTz until, TimestampTz now);
static void apply_decision(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
						   const WebhookRetryDecision *decision);
static void end_as_cancelled(WebhookDispatcher *dispatcher, WebhookDelivery *delivery);

void
webhook_dispatch_offer(WebhookDispatcher *dispatcher, const WebhookOffer *offer,
					   WebhookBatch *batch, TimestampTz now)
{
	WebhookQueue *queue = webhook_queue_get_for_arrival(&dispatcher->queues,
														offer->subscription_id, now);
	WebhookPending row = {0};
	WebhookDelivery *delivery;

	row.subscription_id = offer->subscription_id;
	row.position = offer->position;
	row.cause = offer->cause;
	row.attempt = offer->attempts;
	row.queued_at = Max(now, offer->caused_at);
	row.age_start = webhook_health_active_time(&queue->health, offer->caused_at, now);
	row.of_tenant = offer->of_tenant;
	row.event = webhook_event_share(offer->event);
	delivery = webhook_delivery_create(dispatcher, &row, false, batch, now);
	delivery->entry.erased = offer->erased;

	switch (arrival_state(dispatcher, queue, delivery->subject, offer))
	{
		case ARRIVAL_READY:
			webhook_delivery_set_ready(dispatcher, delivery);
			break;
		case ARRIVAL_WAITING:
			webhook_delivery_set_waiting(dispatcher, delivery);
			break;
		case ARRIVAL_DEFERRED:
			webhook_delivery_defer(dispatcher, delivery, 0);
			break;
		case ARRIVAL_DEFERRED_HEAD:
			webhook_delivery_defer(dispatcher, delivery, now);
			break;
		case ARRIVAL_CANCELLED:
			webhook_delivery_end(dispatcher, delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_NONE);
			break;
		case ARRIVAL_ERASED:
			delivery->entry.error_class = "erased";
			webhook_delivery_end(dispatcher, delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_NONE);
			break;
		case ARRIVAL_DISMISSED:
			delivery->entry.error_class = "dismissed";
			webhook_delivery_end(dispatcher, delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_NONE);
			break;
	}
	webhook_queue_update(&dispatcher->queues, queue);
}

/*
 * A subject that is known in memory has all of its deliveries here, so pending need not be asked.
 * The exception is a subject whose head has a row of pending.
 */
bool
webhook_dispatch_must_check_pending(WebhookDispatcher *dispatcher, int64 subscription_id,
									const char *name)
{
	const WebhookQueue *queue = webhook_queue_get(&dispatcher->queues, subscription_id);
	const WebhookSubject *subject;

	if (name == NULL || !queue->has_rows || !queue->ordered)
		return false;
	subject = webhook_subject_find(&dispatcher->subjects, subscription_id, name);
	return subject == NULL || (subject->head != NULL && subject->head->stored);
}

void
webhook_dispatch_load(WebhookDispatcher *dispatcher, const WebhookPending *row, TimestampTz now)
{
	WebhookDelivery *delivery = webhook_delivery_create(dispatcher, row, true, NULL, now);

	/* Others of its subject may be in pending behind it. */
	if (delivery->subject != NULL)
		delivery->subject->defers_arrivals = true;
	webhook_delivery_set_ready(dispatcher, delivery);
	webhook_queue_update(&dispatcher->queues, delivery->queue);
}

/* It is no head in the table, so it has no next_at there. */
void
webhook_dispatch_load_behind(WebhookDispatcher *dispatcher, const WebhookPending *row,
							 TimestampTz now)
{
	WebhookDelivery *delivery = webhook_delivery_create(dispatcher, row, true, NULL, now);

	webhook_delivery_set_waiting(dispatcher, delivery);
	webhook_queue_update(&dispatcher->queues, delivery->queue);
}

/* Never two heads of one subject in memory, whatever the table says. */
WebhookRowState
webhook_dispatch_row_state(WebhookDispatcher *dispatcher, int64 subscription_id,
						   const char *name, int64 position, int64 id)
{
	const WebhookSubject *subject;

	if (webhook_row_is_loaded(dispatcher, subscription_id, position, id))
		return WEBHOOK_ROW_LOADED;
	if (name == NULL || name[0] == '\0')
		return WEBHOOK_ROW_ABSENT;
	subject = webhook_subject_find(&dispatcher->subjects, subscription_id, name);
	return subject != NULL && subject->head != NULL ? WEBHOOK_ROW_BLOCKED : WEBHOOK_ROW_ABSENT;
}

void
webhook_dispatch_pass_over(WebhookDispatcher *dispatcher, int64 subscription_id,
						   const char *name)
{
	WebhookSubject *subject = webhook_subject_find(&dispatcher->subjects, subscription_id, name);

	if (subject != NULL)
		subject->passed_over_due_row = true;
}

bool
webhook_dispatch_has_subject(WebhookDispatcher *dispatcher, int64 subscription_id,
							 const char *name)
{
	WebhookSubject *subject = webhook_subject_find(&dispatcher->subjects, subscription_id, name);

	return subject != NULL &&
		(subject->head != NULL || !dlist_is_empty(&subject->waiting) ||
		 subject->unflushed > subject->in_group);
}

bool
webhook_dispatch_knows_subject(WebhookDispatcher *dispatcher, int64 subscription_id,
							   const char *name)
{
	return webhook_subject_find(&dispatcher->subjects, subscription_id, name) != NULL;
}

WebhookDelivery *
webhook_dispatch_next(WebhookDispatcher *dispatcher, TimestampTz now)
{
	WebhookSchedulerEntry *entry;

	while ((entry = webhook_scheduler_next(&dispatcher->queues.scheduler)) != NULL)
	{
		WebhookQueue *queue = WEBHOOK_QUEUE_OF(scheduling, entry);
		WebhookDelivery *delivery = next_of(dispatcher, queue, now);
		bool		too_old = is_too_old(delivery, now);

		if (too_old)
			end_as_too_old(dispatcher, delivery);
		else
			start(dispatcher, delivery, now);
		webhook_queue_update(&dispatcher->queues, queue);
		if (!too_old)
			return delivery;
	}
	return NULL;
}

const WebhookState *
webhook_delivery_state(const WebhookDelivery *delivery)
{
	return &delivery->queue->health.state;
}

const WebhookSubscription *
webhook_delivery_subscription(const WebhookDelivery *delivery)
{
	return delivery->queue->subscription;
}

bool
webhook_delivery_needs_new_connection(const WebhookDelivery *delivery)
{
	return delivery->probe || webhook_retry_had_free_attempt(&delivery->entry.delivery);
}

void
webhook_dispatch_finish(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
						const WebhookHttpTransfer *transfer, TimestampTz now)
{
	WebhookLogEntry *entry = &delivery->entry;
	WebhookQueue *queue = delivery->queue;
	WebhookRetryDecision decision;

	webhook_delivery_set_done(dispatcher, delivery);
	entry->transfer = transfer;
	entry->endpoint = transfer->url;
	if (entry->delivery.cause == WEBHOOK_CAUSE_CONFIRM)
		decision = webhook_confirm_end(&queue->health.state, queue->subscription,
									   &entry->delivery, transfer, now);
	else
		decision = webhook_retry_decide(&entry->delivery, queue->subscription, transfer,
										delivery->probe, now);
	if (decision.outcome != WEBHOOK_DELIVERED)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		entry->error_class = decision.error_class;
		entry->error = entry->delivery.cause == WEBHOOK_CAUSE_CONFIRM ?
			webhook_confirm_error(transfer) : webhook_retry_error(transfer);
		MemoryContextSwitchTo(old);
	}
	if (entry->delivery.cause == WEBHOOK_CAUSE_CONFIRM)
		take_confirmation(dispatcher, delivery, now);
	else if (!decision.shows_endpoint)
	{
		/* The breaker stays open, and the next probe may follow. */
		if (delivery->probe)
			set_probe(dispatcher, queue, false);
	}
	else if (!webhook_cause_is_trial(entry->delivery.cause))
		record_health(dispatcher, delivery, &decision, now);
	apply_decision(dispatcher, delivery, &decision);
	webhook_evict_if_blocked(dispatcher, queue, now);
	webhook_queue_update(&dispatcher->queues, queue);
}

void
webhook_dispatch_reject(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
						const char *error)
{
	take_back(dispatcher, delivery);
	delivery->entry.error_class = "message";
	delivery->entry.error = MemoryContextStrdup(TopMemoryContext, error);
	webhook_delivery_end_and_promote(dispatcher, delivery, WEBHOOK_FAILED);
	webhook_queue_update(&dispatcher->queues, delivery->queue);
}

void
webhook_dispatch_retry_later(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
							 TimestampTz now)
{
	not_sent(dispatcher, delivery, now, now);
}

void
webhook_dispatch_postpone(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
						  TimestampTz until, TimestampTz now)
{
	WebhookQueue *queue = delivery->queue;

	webhook_queue_delay(&dispatcher->queues, queue, Max(queue->not_before.at, until));
	not_sent(dispatcher, delivery, until, now);
}

void
webhook_dispatch_tick(WebhookDispatcher *dispatcher, TimestampTz now)
{
	WebhookDelivery *oldest;

	webhook_queues_tick(&dispatcher->queues, now);
	while ((oldest = webhook_in_flight_oldest(dispatcher)) != NULL &&
		   now - oldest->started_at >= WEBHOOK_SLOW_REQUEST)
	{
		WebhookQueue *queue = oldest->queue;

		webhook_delivery_mark_slow(dispatcher, oldest);
		if (webhook_cause_is_trial(oldest->entry.delivery.cause))
			continue;
		webhook_queue_set_slow(&dispatcher->queues, queue, now);
		webhook_queue_update(&dispatcher->queues, queue);
	}
}

TimestampTz
webhook_dispatch_tick_time(WebhookDispatcher *dispatcher)
{
	const WebhookDelivery *oldest = webhook_in_flight_oldest(dispatcher);
	TimestampTz times[] = {
		webhook_timer_time(dispatcher->queues.delayed),
		webhook_timer_time(dispatcher->queues.asks),
		webhook_tenants_tick_time(&dispatcher->queues.tenants),
		oldest == NULL ? 0 : oldest->started_at + WEBHOOK_SLOW_REQUEST,
	};
	TimestampTz first = 0;

	for (int i = 0; i < lengthof(times); i++)
	{
		if (times[i] != 0 && (first == 0 || times[i] < first))
			first = times[i];
	}
	return first;
}

/*
 * A delivery with a subject queues behind earlier ones of it: in pending, if
 * some are there or on their way, else behind the head in memory.
 */
static ArrivalState
arrival_state(const WebhookDispatcher *dispatcher, const WebhookQueue *queue,
			  const WebhookSubject *subject, const WebhookOffer *offer)
{
	WebhookQueueCapacity capacity = webhook_queue_capacity(&dispatcher->queues, queue);

	if (offer->cause == WEBHOOK_CAUSE_DISMISS)
		return ARRIVAL_DISMISSED;
	if (offer->erased)
		return ARRIVAL_ERASED;
	if (!queue->takes)
		return ARRIVAL_CANCELLED;
	if (subject != NULL)
	{
		if (offer->has_earlier_pending || subject->defers_arrivals)
			return ARRIVAL_DEFERRED;
		if (subject->head != NULL)
			return capacity.arrivals ? ARRIVAL_WAITING : ARRIVAL_DEFERRED;
	}
	if (offer->cause == WEBHOOK_CAUSE_PING ? capacity.pings : capacity.arrivals)
		return ARRIVAL_READY;
	return ARRIVAL_DEFERRED_HEAD;
}

/* Only an endpoint that gets nothing else is asked for its challenge. */
static WebhookDelivery *
next_of(WebhookDispatcher *dispatcher, WebhookQueue *queue, TimestampTz now)
{
	WebhookPending row = {0};

	if (!queue->ask_due)
		return pop_ready(dispatcher, queue);
	queue->ask_due = false;
	row.subscription_id = queue->id;
	row.cause = WEBHOOK_CAUSE_CONFIRM;
	row.attempt = queue->health.state.confirm_attempts;
	row.queued_at = now;
	row.age_start = webhook_health_active_time(&queue->health, webhook_steady_time(now), now);
	row.of_tenant = queue->subscription->tenant != NULL;
	row.event = webhook_confirm_event(queue->subscription);
	webhook_confirm_start(&queue->health.state, now);
	webhook_queue_mark_dirty(&dispatcher->queues, queue, true);
	return webhook_delivery_create(dispatcher, &row, false, NULL, now);
}

/* The first delivery that is ready, pings before others. */
static WebhookDelivery *
pop_ready(WebhookDispatcher *dispatcher, WebhookQueue *queue)
{
	dlist_head *ready = queue->npings > 0 ? &queue->pings : &queue->ready;
	WebhookDelivery *delivery = dlist_head_element(WebhookDelivery, node, ready);

	webhook_delivery_unset_ready(dispatcher, delivery);
	return delivery;
}

/* Its age is counted by the subscription's clock, which stops while it may not send. */
static bool
is_too_old(const WebhookDelivery *delivery, TimestampTz now)
{
	const WebhookQueue *queue = delivery->queue;

	return queue->subscription != NULL &&
		webhook_health_active_time(&queue->health, webhook_steady_time(now), now) -
		delivery->entry.delivery.age_start >= queue->subscription->max_age;
}

static void
end_as_too_old(WebhookDispatcher *dispatcher, WebhookDelivery *delivery)
{
	delivery->entry.error_class = "too_old";
	delivery->entry.error =
		MemoryContextStrdup(TopMemoryContext,
							"the delivery has reached the max_age of its subscription");
	webhook_delivery_end_and_promote(dispatcher, delivery, WEBHOOK_FAILED);
}

/* Count an attempt, and let health and rate limits say when the next one may start. */
static void
start(WebhookDispatcher *dispatcher, WebhookDelivery *delivery, TimestampTz now)
{
	WebhookQueue *queue = delivery->queue;
	WebhookHealthChange change;
	TimestampTz until;

	delivery->entry.delivery.attempt++;
	delivery->probe = webhook_health_is_open(&queue->health) &&
		!webhook_cause_is_trial(delivery->entry.delivery.cause);
	if (delivery->probe)
		set_probe(dispatcher, queue, true);
	until = webhook_health_start(&queue->health, queue->subscription, queue->nready > 0, now,
								 &change);
	webhook_delivery_set_in_flight(dispatcher, delivery, now);
	if (webhook_tenant_start(&dispatcher->queues.tenants, queue->tenant, now) &&
		change == WEBHOOK_HEALTH_UNCHANGED && queue->nready > 0 &&
		webhook_health_may_tell(&queue->tenant->limited_at, now))
		change = WEBHOOK_HEALTH_TENANT_LIMITED;
	if (until > queue->not_before.at)
		webhook_queue_delay(&dispatcher->queues, queue, until);
	if (change != WEBHOOK_HEALTH_UNCHANGED)
		webhook_queue_apply_health(&dispatcher->queues, queue, change, now);
}

/* Its POST was not made: it is no attempt. */
static void
take_back(WebhookDispatcher *dispatcher, WebhookDelivery *delivery)
{
	webhook_delivery_set_done(dispatcher, delivery);
	delivery->entry.delivery.attempt--;
	if (delivery->probe)
		set_probe(dispatcher, delivery->queue, false);
}

/* A probe is under way, or was not sent. */
static void
set_probe(WebhookDispatcher *dispatcher, WebhookQueue *queue, bool under_way)
{
	webhook_health_probe(&queue->health, under_way);
	webhook_queue_mark_dirty(&dispatcher->queues, queue, false);
}

/* What the result shows of the endpoint. */
static void
record_health(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
			  const WebhookRetryDecision *decision, TimestampTz now)
{
	WebhookQueue *queue = delivery->queue;
	WebhookRequestResult result = {0};
	WebhookHealthChange change;

	result.decision = decision;
	result.probe = delivery->probe;
	result.duration = delivery->entry.transfer->duration;
	result.problem = delivery->entry.error;
	change = webhook_health_end(&queue->health, queue->subscription, &result, now);
	webhook_queue_apply_health(&dispatcher->queues, queue, change, now);
	webhook_queue_mark_dirty(&dispatcher->queues, queue, false);
}

/* What the answer to the question for the challenge means for the subscription. */
static void
take_confirmation(WebhookDispatcher *dispatcher, WebhookDelivery *delivery, TimestampTz now)
{
	WebhookQueue *queue = delivery->queue;

	if (!webhook_confirm_is_of(&delivery->entry.delivery, queue->subscription))
		return;
	webhook_health_set_reason(&queue->health.state, delivery->entry.error);
	webhook_queue_confirmed(&dispatcher->queues, queue, now);
}

/* Its POST was not made: it is ready again, or asked again at "until". */
static void
not_sent(WebhookDispatcher *dispatcher, WebhookDelivery *delivery, TimestampTz until,
		 TimestampTz now)
{
	WebhookQueue *queue = delivery->queue;

	take_back(dispatcher, delivery);
	if (delivery->entry.delivery.cause == WEBHOOK_CAUSE_CONFIRM)
	{
		if (webhook_confirm_is_of(&delivery->entry.delivery, queue->subscription))
			webhook_confirm_take_back(&queue->health.state, until);
		webhook_delivery_end(dispatcher, delivery, WEBHOOK_DEFERRED, WEBHOOK_ROW_NONE);
	}
	else if (delivery->cancelled)
		end_as_cancelled(dispatcher, delivery);
	else
		webhook_delivery_set_ready(dispatcher, delivery);
	webhook_evict_if_blocked(dispatcher, queue, now);
	webhook_queue_update(&dispatcher->queues, queue);
}

/* What the result means for the delivery. */
static void
apply_decision(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
			   const WebhookRetryDecision *decision)
{
	if (decision->outcome != WEBHOOK_RETRYING)
		webhook_delivery_end_and_promote(dispatcher, delivery, decision->outcome);
	else if (delivery->cancelled || !delivery->queue->takes)
		end_as_cancelled(dispatcher, delivery);
	else if (delivery->entry.delivery.cause == WEBHOOK_CAUSE_CONFIRM)
		webhook_delivery_end(dispatcher, delivery, WEBHOOK_RETRYING, WEBHOOK_ROW_NONE);
	else
	{
		delivery->entry.delivery.step += decision->costs_step;
		webhook_delivery_retry(dispatcher, delivery, decision->next_at);
	}
}

/* It was cancelled in flight, or its subscription takes nothing any more. */
static void
end_as_cancelled(WebhookDispatcher *dispatcher, WebhookDelivery *delivery)
{
	if (delivery->cancel_class != NULL)
		delivery->entry.error_class = delivery->cancel_class;
	webhook_delivery_end_and_promote(dispatcher, delivery, WEBHOOK_CANCELLED);
}
