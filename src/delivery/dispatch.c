/*
 * dispatch.c
 *	  Everything between "read" and "final": which delivery may start, which
 *	  waits behind which.
 *
 * What waits for the network is bounded: a delivery that has not started
 * within two seconds, or sooner where others want the place, is spilled to
 * webhook.pending, and its lane then takes no arrivals until it has worked off
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

#define MAX_LOADED 500			/* of those in memory, and of unflushed ones,
								 * from webhook.pending */
#define MAX_UNFLUSHED 4000		/* on their way to the tables, before more are
								 * read: some groups of the writer's */

static WebhookLoad load;

static bool has_memory(Size elsewhere);
static bool is_too_old(const WebhookDelivery *delivery, TimestampTz now);
static void report_health(WebhookDelivery *delivery, WebhookResult result,
						  TimestampTz now);

void
webhook_delivery_init(void)
{
	webhook_lane_init();
	webhook_order_init();
	webhook_place_init();
}

void
webhook_delivery_offer(const WebhookOffer *offer, WebhookEpoch *epoch,
					   TimestampTz now)
{
	WebhookLane *lane = webhook_lane_get(offer->subscription_id);
	WebhookPending row = {0};
	WebhookDelivery *delivery;
	WebhookSubject *subject;

	if (!lane->sends && lane->health.state.halted_at == 0 &&
		webhook_lane_wanted(lane->id))
	{
		webhook_health_halt(&lane->health, true, now);
		webhook_lane_soil(lane, false);
	}

	row.subscription_id = offer->subscription_id;
	row.position = offer->position;
	row.cause = offer->cause;
	row.attempt = offer->attempts;
	row.queued_at = Max(now, offer->caused_at);
	row.aged_from = webhook_health_clock(&lane->health, offer->caused_at, now);
	row.event = webhook_event_share(offer->event);
	delivery = webhook_place_make(&row, false, now);
	delivery->epoch = epoch;
	webhook_progress_hold(epoch);

	subject = delivery->subject;
	if (!webhook_lane_wanted(lane->id))
		webhook_place_end(delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_NONE);
	else if (subject != NULL && (offer->behind || subject->parking))
		webhook_place_park(delivery, 0);
	else if (subject != NULL && subject->head != NULL)
	{
		if (webhook_lane_takes_arrivals(lane))
			webhook_place_wait(delivery);
		else
			webhook_place_park(delivery, 0);
	}
	else if (offer->cause == WEBHOOK_CAUSE_PING ?
			 webhook_lane_takes_pings(lane) : webhook_lane_takes_arrivals(lane))
		webhook_place_ready(delivery);
	else
		webhook_place_park(delivery, now);
}

bool
webhook_delivery_must_ask(int64 subscription_id, const char *subject)
{
	const WebhookSubscription *subscription = webhook_subscription_get(subscription_id);
	const WebhookSubject *known;
	const WebhookDelivery *head;

	if (subject == NULL || !webhook_lane_get(subscription_id)->has_rows ||
		(subscription != NULL && !subscription->ordered))
		return false;

	/* A head that has a row may leave memory, and its subject with it. */
	known = webhook_order_find(subscription_id, subject);
	head = known == NULL ? NULL : known->head;
	return known == NULL || (head != NULL && head->stored);
}

void
webhook_delivery_resume(const WebhookPending *row, TimestampTz now)
{
	WebhookDelivery *delivery = webhook_place_make(row, true, now);

	/* Others of its subject may wait behind it. */
	if (delivery->subject != NULL)
		delivery->subject->parking = true;
	webhook_place_ready(delivery);
}

bool
webhook_delivery_has_row(int64 subscription_id, const char *subject,
						 int64 position, int64 id)
{
	if (webhook_place_has_row(subscription_id, position, id))
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
webhook_delivery_next(TimestampTz now)
{
	WebhookLane *lane;

	while ((lane = webhook_rounds_turn()) != NULL)
	{
		WebhookDelivery *delivery;
		WebhookTurn turn;
		TimestampTz until;

		delivery = dlist_head_element(WebhookDelivery, node,
									  lane->npings == 0 ?
									  &lane->ready : &lane->pings);
		webhook_place_unqueue(delivery);
		if (is_too_old(delivery, now))
		{
			delivery->outcome.error_class = "too_old";
			delivery->outcome.error =
				MemoryContextStrdup(TopMemoryContext,
									"the delivery has reached the max_age of its subscription");
			webhook_place_end_finally(delivery, WEBHOOK_FAILED);
			webhook_lane_update(lane);
			continue;
		}

		delivery->outcome.delivery.attempt++;
		delivery->probe = webhook_health_is_open(&lane->health);
		until = webhook_health_start(&lane->health, webhook_subscription_get(lane->id),
									 lane->nready > 0, now, &turn);
		webhook_place_start(delivery, now);
		if (until > lane->sleeps_until)
			webhook_lane_sleep(lane, until);
		if (turn != WEBHOOK_TURN_NONE)
			webhook_lane_judge(lane, turn);
		return delivery;
	}
	return NULL;
}

void
webhook_delivery_finish(WebhookDelivery *delivery,
						const WebhookHttpTransfer *transfer, TimestampTz now)
{
	WebhookOutcome *outcome = &delivery->outcome;
	const WebhookSubscription *subscription = webhook_subscription_get(delivery->lane->id);
	TimestampTz next_at = 0;
	WebhookResult result;

	webhook_place_land(delivery);
	outcome->transfer = transfer;
	outcome->endpoint = transfer->url;
	result = webhook_verdict(&outcome->delivery, subscription, transfer,
							 delivery->probe, now, &next_at);
	if (result != WEBHOOK_DELIVERED)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		outcome->error_class = webhook_verdict_class(transfer);
		outcome->error = webhook_verdict_error(transfer);
		MemoryContextSwitchTo(old);
	}
	if (outcome->delivery.cause != WEBHOOK_CAUSE_PING)
		report_health(delivery, result, now);

	if (result == WEBHOOK_RETRYING)
	{
		if (delivery->cancelled || !webhook_lane_wanted(delivery->lane->id))
			result = WEBHOOK_CANCELLED;
		if (delivery->cancelled && delivery->cancel_class != NULL)
			outcome->error_class = delivery->cancel_class;
	}
	if (result != WEBHOOK_RETRYING)
		webhook_place_end_finally(delivery, result);
	else
	{
		if (!delivery->probe)
			outcome->delivery.step++;
		webhook_place_retry(delivery, next_at);
	}
	webhook_delivery_clear(delivery->lane, now);
}

void
webhook_delivery_reject(WebhookDelivery *delivery, const char *error)
{
	webhook_place_land(delivery);
	delivery->outcome.delivery.attempt--;
	delivery->outcome.error_class = "message";
	delivery->outcome.error = MemoryContextStrdup(TopMemoryContext, error);
	webhook_place_end_finally(delivery, WEBHOOK_FAILED);
}

void
webhook_delivery_postpone(WebhookDelivery *delivery)
{
	webhook_place_land(delivery);
	delivery->outcome.delivery.attempt--;
	if (delivery->subject != NULL)
		delivery->subject->head = NULL;
	webhook_place_ready(delivery);
}

void
webhook_delivery_tick(TimestampTz now)
{
	WebhookDelivery *oldest;

	webhook_lane_wake(now);
	while ((oldest = webhook_place_oldest_flight()) != NULL &&
		   now - oldest->started_at >= WEBHOOK_SLOW_REQUEST)
	{
		webhook_place_told_slow(oldest);
		if (oldest->outcome.delivery.cause == WEBHOOK_CAUSE_PING)
			continue;
		webhook_health_slow(&oldest->lane->health);
		webhook_lane_judge(oldest->lane, WEBHOOK_TURN_NONE);
		webhook_lane_soil(oldest->lane, false);
	}
}

TimestampTz
webhook_delivery_tick_time(void)
{
	const WebhookDelivery *oldest = webhook_place_oldest_flight();
	TimestampTz wake = webhook_lane_wake_time();
	TimestampTz slow = oldest == NULL ? 0 : oldest->started_at + WEBHOOK_SLOW_REQUEST;

	return wake == 0 || (slow != 0 && slow < wake) ? slow : wake;
}

bool
webhook_delivery_is_due(TimestampTz now)
{
	return webhook_place_rows() > 0 || webhook_lane_any_due(now);
}

bool
webhook_delivery_has_room(Size elsewhere)
{
	return webhook_place_load.queued < WEBHOOK_MAX_QUEUED &&
		webhook_place_load.unflushed < MAX_UNFLUSHED && has_memory(elsewhere);
}

int
webhook_delivery_room_for_due(Size elsewhere)
{
	return has_memory(elsewhere) ? Max(MAX_LOADED - webhook_place_rows_landed(), 0) : 0;
}

const WebhookLoad *
webhook_delivery_load(void)
{
	load = webhook_place_load;
	load.memory += webhook_order_memory();
	return &load;
}

static bool
has_memory(Size elsewhere)
{
	return webhook_delivery_load()->memory + elsewhere < (Size) webhook_max_memory * 1024 / 2;
}

/* By its subscription's clock, which stands while it may not send. */
static bool
is_too_old(const WebhookDelivery *delivery, TimestampTz now)
{
	const WebhookSubscription *subscription = webhook_subscription_get(delivery->lane->id);

	return subscription != NULL &&
		webhook_health_clock(&delivery->lane->health, now, now) -
		delivery->outcome.delivery.aged_from >= subscription->max_age;
}

/* What its POST has shown of the endpoint. */
static void
report_health(WebhookDelivery *delivery, WebhookResult result, TimestampTz now)
{
	const WebhookOutcome *outcome = &delivery->outcome;
	WebhookLane *lane = delivery->lane;
	WebhookReport report = {0};
	WebhookTurn turn;

	report.delivered = result == WEBHOOK_DELIVERED;
	report.ailing = webhook_verdict_is_ailing(outcome->transfer);
	report.gone = webhook_verdict_is_gone(outcome->transfer);
	report.probe = delivery->probe;
	report.retry_after = webhook_verdict_retry_after(outcome->transfer);
	report.duration = outcome->transfer->duration;
	report.problem = outcome->error;
	turn = webhook_health_end(&lane->health, webhook_subscription_get(lane->id),
							  &report, now);
	if (lane->health.state.waits_until > now)
		webhook_lane_sleep(lane, Max(lane->sleeps_until, lane->health.state.waits_until));
	else if (turn == WEBHOOK_TURN_CLOSED)
		webhook_lane_sleep(lane, 0);
	if (turn == WEBHOOK_TURN_DISABLED)
		webhook_lane_give_up(lane);
	webhook_lane_judge(lane, turn);
	webhook_lane_soil(lane, false);
}
