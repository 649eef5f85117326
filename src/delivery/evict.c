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
#define LEAST_SHARE 16			/* deliveries, besides its share, of a busy lane */
#define LONGEST_SPAN (USECS_PER_SEC / 2)	/* that a pace is measured over */

static TimestampTz measured_at;	/* the lanes' paces */

static bool leaves(const WebhookLane *lane);
static void spill(WebhookLane *lane, bool scarce, TimestampTz now);
static int	may_keep(const WebhookLane *lane);
static void cancel_queue(dlist_head *queue, const pg_uuid_t *event_id,
						 int64 before, WebhookEpoch *epoch);
static void cancel_ready(WebhookDelivery *delivery, const char *class,
						 WebhookEpoch *epoch);
static void hold_command(WebhookDelivery *delivery, WebhookEpoch *epoch);
static bool is_of_event(const WebhookDelivery *delivery, const pg_uuid_t *event_id,
						int64 before);

void
webhook_delivery_review(bool sending, TimestampTz now)
{
	void	   *scan;

	webhook_lane_review(sending, now);

	/* Successors first: a head that goes takes what is left along. */
	for (WebhookSubject *subject = webhook_order_first_waiting(&scan);
		 subject != NULL; subject = webhook_order_following(&scan))
	{
		WebhookLane *lane = webhook_lane_get(subject->key.subscription_id);

		if (leaves(lane))
			webhook_place_empty_waiting(subject, !webhook_lane_wanted(lane->id));
	}

	for (WebhookLane *lane = webhook_lane_first(&scan);
		 lane != NULL; lane = webhook_lane_following(&scan))
		webhook_delivery_clear(lane, now);
}

void
webhook_delivery_clear(WebhookLane *lane, TimestampTz now)
{
	bool		wanted;

	if (!leaves(lane) || (lane->nready == 0 && lane->npings == 0))
		return;
	wanted = webhook_lane_wanted(lane->id);
	while (lane->nready > 0)
		webhook_place_evict(dlist_head_element(WebhookDelivery, node, &lane->ready),
							!wanted, now);
	while (!lane->sends && lane->npings > 0)
		webhook_place_evict(dlist_head_element(WebhookDelivery, node, &lane->pings),
							!wanted, now);
	webhook_lane_update(lane);
}

void
webhook_delivery_spill(TimestampTz now)
{
	bool		scarce = webhook_place_load.queued > MAX_QUEUED_LONG;
	int64		limit = scarce ? WEBHOOK_SCARCE_LIMIT : WEBHOOK_UNSTARTED_LIMIT;
	int64		span = Min(now - measured_at, LONGEST_SPAN);
	bool		measure = now < measured_at || span >= WEBHOOK_SCARCE_LIMIT;
	void	   *scan;

	if (webhook_place_load.queued == 0)
		return;

	for (WebhookLane *lane = webhook_lane_first(&scan);
		 lane != NULL; lane = webhook_lane_following(&scan))
	{
		if (measure)
		{
			lane->pace = span > 0 ? lane->landings * WEBHOOK_SCARCE_LIMIT / span : 0;
			lane->landings = 0;
		}
		if (lane->nready > 0 || lane->npings > 0)
			spill(lane, scarce, now);
	}
	if (measure)
		measured_at = now;

	/* What waits behind one in flight moves on its own. */
	for (WebhookSubject *subject = webhook_order_first_waiting(&scan);
		 subject != NULL; subject = webhook_order_following(&scan))
	{
		WebhookDelivery *oldest = dlist_head_element(WebhookDelivery, node, &subject->waiting);

		if (webhook_place_waits(oldest, limit, now))
			webhook_place_empty_waiting(subject, false);
	}
}

void
webhook_delivery_cancel(const WebhookPending *row, const char *class,
						WebhookEpoch *epoch)
{
	WebhookDelivery *delivery = webhook_place_make(row, true, row->queued_at);

	if (delivery->subject != NULL)
		delivery->subject->parking = true;
	hold_command(delivery, epoch);
	delivery->outcome.error_class = class;
	webhook_place_end(delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_DELETE);
}

void
webhook_delivery_cancel_event(int64 subscription_id, const pg_uuid_t *event_id,
							  int64 before, WebhookEpoch *epoch)
{
	WebhookLane *lane = webhook_lane_get(subscription_id);
	dlist_mutable_iter iter;
	void	   *scan;

	/* Successors first: a head that ends makes the next one ready. */
	for (WebhookSubject *subject = webhook_order_first_waiting(&scan);
		 subject != NULL; subject = webhook_order_following(&scan))
	{
		if (subject->key.subscription_id != subscription_id)
			continue;
		dlist_foreach_modify(iter, &subject->waiting)
		{
			WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);

			if (!is_of_event(delivery, event_id, before))
				continue;
			webhook_place_unwait(delivery);
			webhook_place_end(delivery, WEBHOOK_CANCELLED, WEBHOOK_ROW_NONE);
		}
	}
	cancel_queue(&lane->ready, event_id, before, epoch);
	cancel_queue(&lane->pings, event_id, before, epoch);

	for (WebhookDelivery *delivery = webhook_place_first_flight(&scan);
		 delivery != NULL; delivery = webhook_place_following_flight(&scan))
	{
		if (delivery->lane != lane || !is_of_event(delivery, event_id, before))
			continue;
		delivery->cancelled = true;
		delivery->cancel_class = NULL;
		hold_command(delivery, epoch);
	}
}

bool
webhook_delivery_skip(int64 subscription_id, const char *name, int64 before,
					  WebhookEpoch *epoch)
{
	WebhookSubject *subject = webhook_order_find(subscription_id, name);
	WebhookDelivery *head = subject == NULL ? NULL : subject->head;

	if (head == NULL || head->outcome.delivery.position >= before)
		return false;
	if (head->is_ready)
		cancel_ready(head, "skipped", epoch);
	else
	{
		head->cancelled = true;
		head->cancel_class = "skipped";
		hold_command(head, epoch);
	}
	return true;
}

/* May nothing of it wait in memory? */
static bool
leaves(const WebhookLane *lane)
{
	return !lane->sends || webhook_health_is_open(&lane->health);
}

/* What of a lane is ready and has waited for too long. */
static void
spill(WebhookLane *lane, bool scarce, TimestampTz now)
{
	int			kept = scarce ? may_keep(lane) : lane->nready;

	while (lane->nready > 0)
	{
		WebhookDelivery *oldest = dlist_head_element(WebhookDelivery, node, &lane->ready);

		if (!webhook_place_waits(oldest, WEBHOOK_UNSTARTED_LIMIT, now) &&
			(lane->nready <= kept ||
			 !webhook_place_waits(oldest, WEBHOOK_SCARCE_LIMIT, now)))
			break;
		lane->spilling = true;
		webhook_place_evict(oldest, false, now);
	}
	while (lane->npings > 0)
	{
		WebhookDelivery *oldest = dlist_head_element(WebhookDelivery, node, &lane->pings);

		if (!webhook_place_waits(oldest, scarce ? WEBHOOK_SCARCE_LIMIT :
								 WEBHOOK_UNSTARTED_LIMIT, now))
			break;
		lane->spilling = true;
		webhook_place_evict(oldest, false, now);
	}
	webhook_lane_update(lane);
}

/*
 * While room is scarce, a lane that gets on keeps its share, with room for one
 * more, or as much as it works off in that time. If it gets on slowly, for all
 * are busy, webhook.pending would only make it slower.
 */
static int
may_keep(const WebhookLane *lane)
{
	int			pace = Max(lane->pace, lane->landings);

	if (lane->slow || lane->sleeps_until != 0)
		return 0;
	if (lane->in_flight == 0)
		return lane->nready;
	return pace == 0 ? 0 :
		Max(pace, WEBHOOK_MAX_QUEUED / (webhook_rounds_contenders() + 1) + LEAST_SHARE);
}

static void
cancel_queue(dlist_head *queue, const pg_uuid_t *event_id, int64 before,
			 WebhookEpoch *epoch)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, queue)
	{
		WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);

		if (is_of_event(delivery, event_id, before))
			cancel_ready(delivery, NULL, epoch);
	}
}

static void
cancel_ready(WebhookDelivery *delivery, const char *class, WebhookEpoch *epoch)
{
	webhook_place_unqueue(delivery);
	hold_command(delivery, epoch);
	delivery->outcome.error_class = class;
	webhook_place_end_finally(delivery, WEBHOOK_CANCELLED);
	webhook_lane_update(delivery->lane);
}

/*
 * The command that ends it is done when its outcome is committed. One that was
 * read from the ring holds an epoch that is not later than the command's.
 */
static void
hold_command(WebhookDelivery *delivery, WebhookEpoch *epoch)
{
	if (delivery->epoch != NULL || epoch == NULL)
		return;
	webhook_progress_hold(epoch);
	delivery->epoch = epoch;
}

static bool
is_of_event(const WebhookDelivery *delivery, const pg_uuid_t *event_id, int64 before)
{
	const WebhookPending *row = &delivery->outcome.delivery;

	return row->position < before &&
		(event_id == NULL || memcmp(&row->event->event_id, event_id, UUID_LEN) == 0);
}
