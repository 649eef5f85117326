/*
 * lane.c
 *	  What a worker knows of each subscription that has deliveries.
 *
 * Turns go round among the lanes of which something may start, so a lane with
 * a thousand deliveries takes no more places at a time than one with two. The
 * rows of webhook.pending are known here by one instant only, when the first is
 * due: what waits costs no memory.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "lane.h"
#include "subscription.h"

#define MAX_READY 500			/* ready ones of a lane before it loads more */
#define MAX_AILING 32			/* the same while its last POST has failed */

static HTAB *lanes;
static dlist_head round = DLIST_STATIC_INIT(round);
static bool sending = true;
static bool held;				/* nothing is to be loaded */
static TimestampTz earliest;	/* of next_due among lanes that send */
static bool earliest_known;
static bool any_doubts;

static bool may_send(int64 id);
static bool wants_rows(const WebhookLane *lane);

void
webhook_lane_init(void)
{
	HASHCTL		control = {0};

	control.hcxt = TopMemoryContext;
	control.keysize = sizeof(int64);
	control.entrysize = sizeof(WebhookLane);
	lanes = hash_create("webhook lanes", 64, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

WebhookLane *
webhook_lane_get(int64 id)
{
	bool		found;
	WebhookLane *lane = hash_search(lanes, &id, HASH_ENTER, &found);

	if (!found)
	{
		memset(lane, 0, sizeof(WebhookLane));
		lane->id = id;
		dlist_init(&lane->ready);
		lane->sends = may_send(id);
	}
	return lane;
}

WebhookLane *
webhook_lane_first(void **scan)
{
	HASH_SEQ_STATUS *status = palloc(sizeof(HASH_SEQ_STATUS));

	hash_seq_init(status, lanes);
	*scan = status;
	return webhook_lane_following(scan);
}

WebhookLane *
webhook_lane_following(void **scan)
{
	WebhookLane *lane = hash_seq_search(*scan);

	if (lane == NULL)
		pfree(*scan);
	return lane;
}

bool
webhook_lane_wanted(int64 id)
{
	const WebhookSubscription *subscription = webhook_subscription_get(id);

	return subscription != NULL && subscription->enabled;
}

void
webhook_lane_review(bool now_sending)
{
	HASH_SEQ_STATUS scan;
	WebhookLane *lane;

	sending = now_sending;
	earliest_known = false;
	hash_seq_init(&scan, lanes);
	while ((lane = hash_seq_search(&scan)) != NULL)
	{
		lane->sends = may_send(lane->id);
		webhook_lane_update(lane);
	}
}

int
webhook_lane_limit(const WebhookLane *lane)
{
	if (lane->spilling)
		return webhook_max_in_flight_per_subscription;
	return lane->ailing ? MAX_AILING : MAX_READY;
}

bool
webhook_lane_takes_arrivals(const WebhookLane *lane)
{
	return lane->sends && !lane->spilling &&
		(!lane->ailing || lane->nready < MAX_AILING);
}

void
webhook_lane_update(WebhookLane *lane)
{
	bool		active = lane->nready > 0 && lane->sends &&
		lane->in_flight < webhook_max_in_flight_per_subscription;

	if (active && !lane->active)
		dlist_push_tail(&round, &lane->active_node);
	else if (!active && lane->active)
		dlist_delete(&lane->active_node);
	lane->active = active;
}

WebhookLane *
webhook_lane_turn(void)
{
	WebhookLane *lane;

	if (dlist_is_empty(&round))
		return NULL;
	lane = dlist_head_element(WebhookLane, active_node, &round);
	dlist_delete(&lane->active_node);
	dlist_push_tail(&round, &lane->active_node);
	return lane;
}

void
webhook_lane_note_row(WebhookLane *lane, TimestampTz next_at)
{
	lane->has_rows = true;
	if (next_at == 0)
		return;
	if (lane->next_due == 0 || next_at < lane->next_due)
		lane->next_due = next_at;
	if (lane->sends && earliest_known && (earliest == 0 || next_at < earliest))
		earliest = next_at;
}

WebhookLane *
webhook_lane_due(TimestampTz now)
{
	HASH_SEQ_STATUS scan;
	WebhookLane *lane;
	WebhookLane *best = NULL;
	TimestampTz first = webhook_lane_next_time();

	if (held || first == 0 || first > now)
		return NULL;
	hash_seq_init(&scan, lanes);
	while ((lane = hash_seq_search(&scan)) != NULL)
	{
		if (lane->sends && lane->next_due != 0 && lane->next_due <= now &&
			wants_rows(lane) && lane->cancelling == 0 &&
			(best == NULL || lane->next_due < best->next_due))
			best = lane;
	}
	return best;
}

void
webhook_lane_hold(bool hold)
{
	held = hold;
}

void
webhook_lane_loaded(WebhookLane *lane, TimestampTz next)
{
	lane->next_due = next;
	if (lane->nready < webhook_lane_limit(lane))
		lane->spilling = false;
	if (next == 0)
		any_doubts = lane->doubts = true;
	earliest_known = false;
}

WebhookLane *
webhook_lane_doubtful(void)
{
	HASH_SEQ_STATUS scan;
	WebhookLane *lane;

	if (!any_doubts)
		return NULL;
	hash_seq_init(&scan, lanes);
	while ((lane = hash_seq_search(&scan)) != NULL)
	{
		if (lane->doubts && lane->has_rows && lane->next_due == 0)
		{
			hash_seq_term(&scan);
			lane->doubts = false;
			return lane;
		}
	}
	any_doubts = false;
	return NULL;
}

TimestampTz
webhook_lane_next_time(void)
{
	HASH_SEQ_STATUS scan;
	WebhookLane *lane;

	if (earliest_known)
		return earliest;
	earliest = 0;
	hash_seq_init(&scan, lanes);
	while ((lane = hash_seq_search(&scan)) != NULL)
	{
		if (lane->sends && lane->next_due != 0 &&
			(earliest == 0 || lane->next_due < earliest))
			earliest = lane->next_due;
	}
	earliest_known = true;
	return earliest;
}

static bool
may_send(int64 id)
{
	return sending && webhook_lane_wanted(id) &&
		webhook_subscription_sends(webhook_subscription_get(id));
}

/*
 * Has it room for so many that a look is worth it? A slow one gets only what
 * it can start, so that the places are left to others.
 */
static bool
wants_rows(const WebhookLane *lane)
{
	if (lane->spilling)
		return lane->nready == 0 &&
			lane->in_flight < webhook_max_in_flight_per_subscription;
	return lane->nready <= webhook_lane_limit(lane) / 2;
}
