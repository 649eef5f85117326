/*
 * queue.c
 *	  What a worker knows of each subscription that has deliveries.
 *
 * The rows of webhook.pending are known here by one instant only, when the
 * first is due: what waits costs no memory. Lanes to be loaded, and lanes that
 * sleep until a time, are each in a heap, so a thousand dead endpoints cost
 * nothing in between.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "delivery/queue.h"
#include "delivery/scheduler.h"

#define LOADED_TURNS 2			/* times its limit, that a lane has loaded ... */
#define LEAST_LOADED 32			/* ... or so many */
#define SPILLED_LOAD 8			/* rows to load of one that has spilled, at least */

static HTAB *lanes;
static pairingheap *sleepers;
static pairingheap *due;
static bool sending = true;
static bool held;				/* nothing is to be loaded */
static bool any_doubts;
static bool any_given_up;
static TimestampTz last_wake;

static int	compare_sleepers(const pairingheap_node *a, const pairingheap_node *b, void *arg);
static int	compare_due(const pairingheap_node *a, const pairingheap_node *b, void *arg);
static void revive(WebhookLane *lane);
static void learn(WebhookLane *lane);
static bool may_send(int64 id);
static void forget_times(int64 by);
static int	waiting(const WebhookLane *lane);
static int	most_loaded(const WebhookLane *lane);
static bool wants_rows(const WebhookLane *lane);
static void place_in_due(WebhookLane *lane);

void
webhook_lane_init(void)
{
	HASHCTL		control = {0};
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	control.hcxt = TopMemoryContext;
	control.keysize = sizeof(int64);
	control.entrysize = sizeof(WebhookLane);
	lanes = hash_create("webhook lanes", 64, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	webhook_rounds_init();
	sleepers = pairingheap_allocate(compare_sleepers, NULL);
	due = pairingheap_allocate(compare_due, NULL);
	MemoryContextSwitchTo(old);
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
		webhook_health_init(&lane->health, id);
		dlist_init(&lane->ready);
		dlist_init(&lane->pings);
		learn(lane);
	}
	return lane;
}

WebhookLane *
webhook_lane_find(int64 id)
{
	return hash_search(lanes, &id, HASH_FIND, NULL);
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

void
webhook_lane_restore(const WebhookState *state, TimestampTz now)
{
	WebhookLane *lane = webhook_lane_get(state->subscription_id);
	const WebhookSubscription *subscription = webhook_subscription_get(lane->id);

	webhook_health_restore(&lane->health, state);
	learn(lane);
	webhook_lane_update(lane);

	/* In a copy of a database time has stood still since. */
	if (subscription != NULL && subscription->fenced &&
		lane->health.state.halted_at == 0)
		lane->health.state.halted_at = state->saved_at;
	if (subscription == NULL)
		webhook_lane_soil(lane, false);
	if (state->waits_until > now)
		webhook_lane_sleep(lane, state->waits_until);

	/* The process that gave it up may have died over it. */
	if (webhook_health_is_disabled(&lane->health, subscription) &&
		(subscription == NULL || !subscription->fenced))
		webhook_lane_give_up(lane);
}

bool
webhook_lane_wanted(int64 id)
{
	const WebhookSubscription *subscription = webhook_subscription_get(id);
	const WebhookLane *lane;

	if (subscription == NULL || !subscription->enabled)
		return false;
	lane = webhook_lane_find(id);
	return lane == NULL || !webhook_health_is_disabled(&lane->health, subscription);
}

void
webhook_lane_review(bool now_sending, TimestampTz now)
{
	HASH_SEQ_STATUS scan;
	WebhookLane *lane;

	sending = now_sending;
	hash_seq_init(&scan, lanes);
	while ((lane = hash_seq_search(&scan)) != NULL)
	{
		const WebhookSubscription *subscription = webhook_subscription_get(lane->id);
		WebhookState *state = &lane->health.state;
		bool		halted;

		if (subscription == NULL && !lane->forgotten)
			webhook_lane_soil(lane, false);
		else if (subscription != NULL && state->disabled_at != 0 && !subscription->fenced &&
				 !webhook_health_is_disabled(&lane->health, subscription))
			revive(lane);
		learn(lane);
		if (webhook_health_limits_anew(&lane->health, subscription))
			webhook_lane_sleep(lane, state->waits_until > now ? state->waits_until : 0);
		halted = !lane->sends && webhook_lane_wanted(lane->id);
		if (halted != (state->halted_at != 0))
		{
			webhook_health_halt(&lane->health, halted, now);
			webhook_lane_soil(lane, false);
		}
		webhook_lane_update(lane);
	}
}

void
webhook_lane_revive(int64 id)
{
	WebhookLane *lane = webhook_lane_find(id);

	if (lane == NULL ||
		webhook_health_is_disabled(&lane->health, webhook_subscription_get(id)))
		return;
	revive(lane);
	learn(lane);
	webhook_lane_update(lane);
}

int
webhook_lane_room(const WebhookLane *lane)
{
	if (webhook_health_is_open(&lane->health))
		return 1;
	if (lane->spilling || lane->slow)
		return Min(lane->limit, Max(webhook_rounds_share(), SPILLED_LOAD));
	return most_loaded(lane) - waiting(lane);
}

bool
webhook_lane_takes_arrivals(const WebhookLane *lane)
{
	if (!lane->sends || lane->spilling || webhook_health_is_open(&lane->health))
		return false;

	/* A slow one gets what it can start, so that memory is left to others. */
	return !lane->slow || lane->nready + lane->in_flight <= lane->limit;
}

/* Whatever its health, as many as it can start, and one. */
bool
webhook_lane_takes_pings(const WebhookLane *lane)
{
	return lane->sends &&
		(lane->npings == 0 || lane->npings + lane->in_flight < lane->limit);
}

void
webhook_lane_update(WebhookLane *lane)
{
	webhook_rounds_place(lane);
	place_in_due(lane);
}

void
webhook_lane_judge(WebhookLane *lane, WebhookTurn turn)
{
	WebhookNews *news;

	learn(lane);
	webhook_lane_update(lane);
	if (turn == WEBHOOK_TURN_NONE)
		return;
	if (lane->nnews < WEBHOOK_LANE_NEWS)
		lane->nnews++;
	news = &lane->news[lane->nnews - 1];
	news->turn = turn;
	news->streak = lane->health.state.streak;
	news->until = Max(lane->health.state.waits_until, lane->sleeps_until);
	webhook_lane_soil(lane, true);
}

void
webhook_lane_sleep(WebhookLane *lane, TimestampTz until)
{
	if (lane->sleeps_until != 0)
		pairingheap_remove(sleepers, &lane->sleep_node);
	lane->sleeps_until = until;
	if (until != 0)
		pairingheap_add(sleepers, &lane->sleep_node);
	webhook_lane_update(lane);
}

/* If the clock was set back, nobody knows how long is still to be slept. */
void
webhook_lane_wake(TimestampTz now)
{
	if (now < last_wake)
		forget_times(last_wake - now);
	while (!pairingheap_is_empty(sleepers))
	{
		WebhookLane *lane = pairingheap_container(WebhookLane, sleep_node,
												  pairingheap_first(sleepers));

		if (lane->sleeps_until > now && now >= last_wake)
			break;
		webhook_lane_sleep(lane, 0);
	}
	last_wake = now;
}

TimestampTz
webhook_lane_wake_time(void)
{
	if (pairingheap_is_empty(sleepers))
		return 0;
	return pairingheap_container(WebhookLane, sleep_node,
								 pairingheap_first(sleepers))->sleeps_until;
}

void
webhook_lane_note_row(WebhookLane *lane, TimestampTz next_at)
{
	lane->has_rows = true;
	if (next_at == 0)
		return;
	if (lane->next_due == 0 || next_at < lane->next_due)
		lane->next_due = next_at;
	place_in_due(lane);
}

int
webhook_lane_due(TimestampTz now, WebhookLane **found, int size)
{
	int			count = 0;

	while (count < size && !held && !pairingheap_is_empty(due))
	{
		WebhookLane *lane = pairingheap_container(WebhookLane, due_node,
												  pairingheap_first(due));

		if (lane->due_at > now)
			break;
		pairingheap_remove_first(due);
		lane->due_at = 0;
		found[count++] = lane;
	}
	return count;
}

TimestampTz
webhook_lane_due_time(void)
{
	if (held || pairingheap_is_empty(due))
		return 0;
	return pairingheap_container(WebhookLane, due_node,
								 pairingheap_first(due))->due_at;
}

void
webhook_lane_hold(bool hold)
{
	held = hold;
}

void
webhook_lane_loaded(WebhookLane *lane, TimestampTz next, TimestampTz now)
{
	lane->next_due = next;
	lane->loaded_at = now;
	if (next == 0 || next > now)
		lane->spilling = false;
	webhook_lane_doubt(lane);
	webhook_lane_update(lane);
}

void
webhook_lane_doubt(WebhookLane *lane)
{
	if (lane->next_due == 0)
		any_doubts = lane->doubts = true;
}

bool
webhook_lane_any_due(TimestampTz now)
{
	HASH_SEQ_STATUS scan;
	WebhookLane *lane;

	hash_seq_init(&scan, lanes);
	while ((lane = hash_seq_search(&scan)) != NULL)
	{
		if (lane->sends && lane->next_due != 0 && lane->next_due <= now &&
			lane->health.state.waits_until <= now)
		{
			hash_seq_term(&scan);
			return true;
		}
	}
	return false;
}

void
webhook_lane_give_up(WebhookLane *lane)
{
	any_given_up = lane->given_up = true;
}

WebhookLane *
webhook_lane_given_up(void)
{
	HASH_SEQ_STATUS scan;
	WebhookLane *lane;

	if (!any_given_up)
		return NULL;
	hash_seq_init(&scan, lanes);
	while ((lane = hash_seq_search(&scan)) != NULL)
	{
		if (lane->given_up)
		{
			hash_seq_term(&scan);
			lane->given_up = false;
			return lane;
		}
	}
	any_given_up = false;
	return NULL;
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

/* The earliest first. */
static int
compare_sleepers(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	TimestampTz x = pairingheap_const_container(WebhookLane, sleep_node, a)->sleeps_until;
	TimestampTz y = pairingheap_const_container(WebhookLane, sleep_node, b)->sleeps_until;

	return x < y ? 1 : x > y ? -1 : 0;
}

static int
compare_due(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	TimestampTz x = pairingheap_const_container(WebhookLane, due_node, a)->due_at;
	TimestampTz y = pairingheap_const_container(WebhookLane, due_node, b)->due_at;

	return x < y ? 1 : x > y ? -1 : 0;
}

static void
revive(WebhookLane *lane)
{
	webhook_health_revive(&lane->health);
	webhook_lane_sleep(lane, 0);
	webhook_lane_soil(lane, true);
}

/* What its subscription and its health say. */
static void
learn(WebhookLane *lane)
{
	const WebhookSubscription *subscription = webhook_subscription_get(lane->id);
	bool		slow = webhook_health_is_slow(&lane->health);

	lane->sends = may_send(lane->id);
	lane->ordered = subscription == NULL || subscription->ordered;
	lane->limit = webhook_health_limit(&lane->health, subscription);
	if (lane->slow != slow)
		webhook_rounds_move(lane, slow);
}

static bool
may_send(int64 id)
{
	return sending && webhook_lane_wanted(id) &&
		webhook_subscription_sends(webhook_subscription_get(id));
}

static void
forget_times(int64 by)
{
	HASH_SEQ_STATUS scan;
	WebhookLane *lane;

	hash_seq_init(&scan, lanes);
	while ((lane = hash_seq_search(&scan)) != NULL)
	{
		lane->loaded_at = 0;
		webhook_health_set_back(&lane->health, by);
		place_in_due(lane);
	}
}

static int
waiting(const WebhookLane *lane)
{
	return lane->nready + lane->npings;
}

/* Enough to keep its places busy until the next look, and room for others. */
static int
most_loaded(const WebhookLane *lane)
{
	return Max(LOADED_TURNS * lane->limit, LEAST_LOADED);
}

/*
 * Has it room for so many that a look is worth it? A slow one gets only what
 * it can start, so that the places are left to others; through an open breaker
 * goes one at a time.
 */
static bool
wants_rows(const WebhookLane *lane)
{
	if (webhook_health_is_open(&lane->health))
		return waiting(lane) == 0 && lane->in_flight == 0;
	if (lane->spilling || lane->slow)
		return waiting(lane) == 0 && lane->in_flight < lane->limit;
	return waiting(lane) <= most_loaded(lane) / 2;
}

/* After a look it is behind all that had none since. */
static void
place_in_due(WebhookLane *lane)
{
	TimestampTz due_at = 0;

	if (lane->sends && lane->next_due != 0 && lane->cancelling == 0 &&
		wants_rows(lane))
		due_at = Max(Max(lane->next_due, lane->sleeps_until), lane->loaded_at);
	if (due_at == lane->due_at)
		return;
	if (lane->due_at != 0)
		pairingheap_remove(due, &lane->due_node);
	lane->due_at = due_at;
	if (due_at != 0)
		pairingheap_add(due, &lane->due_node);
}
