/*
 * lane.c
 *	  What a worker knows of each subscription that has deliveries.
 *
 * Turns go round among the lanes of which something may start, so a lane with
 * a thousand deliveries takes no more places at a time than one with two.
 * There are two rounds, each with as many places: what is slow, or fails, takes
 * none from what is proven. A lane whose health changes takes its requests
 * along from one account to the other. Of the places of the proven none has
 * more than its share, while they are scarce: if all but one begin to hang,
 * that one has its own.
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

#include "guc.h"
#include "lane.h"

#define MAX_READY 500			/* ready ones of a lane before it loads more */
#define SPILLED_LOAD 8			/* rows to load of one that has spilled, at least */
#define MAX_FLIGHTS 4			/* times max_in_flight, in both accounts: those
								 * that turn slow are not broken off */

static HTAB *lanes;
static dlist_head rounds[2];	/* of proven and of slow lanes */
static int	in_flight[2];
static int	contenders;			/* proven lanes that have or want places */
static int	nactive[2];			/* lanes in each round */
static pairingheap *sleepers;
static pairingheap *due;
static bool sending = true;
static bool held;				/* nothing is to be loaded */
static bool any_doubts;
static bool any_given_up;
static TimestampTz last_wake;

static int	compare_sleepers(const pairingheap_node *a, const pairingheap_node *b, void *arg);
static int	compare_due(const pairingheap_node *a, const pairingheap_node *b, void *arg);
static void learn(WebhookLane *lane);
static bool may_send(int64 id);
static bool wants_rows(const WebhookLane *lane);
static int	share(void);
static bool has_share(const WebhookLane *lane);
static void place_in_round(WebhookLane *lane);
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
	dlist_init(&rounds[false]);
	dlist_init(&rounds[true]);
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
		{
			/* Enabled anew, it begins anew. */
			webhook_health_revive(&lane->health);
			webhook_lane_sleep(lane, 0);
			webhook_lane_soil(lane, true);
		}
		learn(lane);
		halted = !lane->sends && webhook_lane_wanted(lane->id);
		if (halted != (state->halted_at != 0))
		{
			webhook_health_halt(&lane->health, halted, now);
			webhook_lane_soil(lane, false);
		}
		webhook_lane_update(lane);
	}
}

int
webhook_lane_room(const WebhookLane *lane)
{
	if (webhook_health_is_open(&lane->health))
		return 1;
	if (lane->spilling || lane->slow)
		return Min(lane->limit, Max(share(), SPILLED_LOAD));
	return MAX_READY - lane->nready;
}

bool
webhook_lane_takes_arrivals(const WebhookLane *lane)
{
	if (!lane->sends || lane->spilling || webhook_health_is_open(&lane->health))
		return false;

	/* A slow one gets what it can start, so that memory is left to others. */
	return !lane->slow || lane->nready + lane->in_flight <= lane->limit;
}

void
webhook_lane_update(WebhookLane *lane)
{
	place_in_round(lane);
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

WebhookLane *
webhook_lane_turn(void)
{
	if (in_flight[false] + in_flight[true] >= MAX_FLIGHTS * webhook_max_in_flight)
		return NULL;
	for (int slow = 0; slow < 2; slow++)
	{
		if (in_flight[slow] >= webhook_max_in_flight)
			continue;
		for (int i = nactive[slow]; i > 0; i--)
		{
			WebhookLane *lane = dlist_head_element(WebhookLane, active_node, &rounds[slow]);

			dlist_delete(&lane->active_node);
			dlist_push_tail(&rounds[slow], &lane->active_node);
			if (slow || has_share(lane))
				return lane;
		}
	}
	return NULL;
}

void
webhook_lane_started(WebhookLane *lane)
{
	lane->in_flight++;
	in_flight[lane->slow]++;
	webhook_lane_update(lane);
}

void
webhook_lane_landed(WebhookLane *lane)
{
	lane->in_flight--;
	in_flight[lane->slow]--;
	webhook_lane_update(lane);
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

WebhookLane *
webhook_lane_due(TimestampTz now)
{
	WebhookLane *lane;

	if (held || pairingheap_is_empty(due))
		return NULL;
	lane = pairingheap_container(WebhookLane, due_node, pairingheap_first(due));
	return lane->due_at <= now ? lane : NULL;
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

/* What its subscription and its health say. */
static void
learn(WebhookLane *lane)
{
	const WebhookSubscription *subscription = webhook_subscription_get(lane->id);
	bool		slow = webhook_health_is_slow(&lane->health);

	lane->sends = may_send(lane->id);
	lane->ordered = subscription == NULL || subscription->ordered;
	lane->limit = webhook_health_limit(&lane->health, subscription);
	if (lane->slow == slow)
		return;

	in_flight[lane->slow] -= lane->in_flight;
	in_flight[slow] += lane->in_flight;
	if (lane->active)
	{
		dlist_delete(&lane->active_node);
		dlist_push_tail(&rounds[slow], &lane->active_node);
		nactive[lane->slow]--;
		nactive[slow]++;
	}
	lane->slow = slow;
}

static bool
may_send(int64 id)
{
	return sending && webhook_lane_wanted(id) &&
		webhook_subscription_sends(webhook_subscription_get(id));
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
		return lane->nready == 0 && lane->in_flight == 0;
	if (lane->spilling || lane->slow)
		return lane->nready == 0 && lane->in_flight < lane->limit;
	return lane->nready <= MAX_READY / 2;
}

/* Places of the proven for each that wants some. */
static int
share(void)
{
	return (webhook_max_in_flight + contenders - 1) / Max(contenders, 1);
}

/*
 * May it have one more place of the proven? It may have more than its share
 * while there are many; the last eighth, and all of them while so many turn
 * slow, are for lanes that have none.
 */
static bool
has_share(const WebhookLane *lane)
{
	int			free = webhook_max_in_flight - in_flight[false];

	if (lane->in_flight == 0)
		return true;
	return free > webhook_max_in_flight / 8 &&
		in_flight[true] < MAX_FLIGHTS / 2 * webhook_max_in_flight &&
		lane->in_flight < Max(share(), free / 8);
}

static void
place_in_round(WebhookLane *lane)
{
	bool		active = lane->sends && lane->in_flight < lane->limit &&
		((lane->nready > 0 && lane->sleeps_until == 0) || !dlist_is_empty(&lane->pings));
	bool		contends;

	if (active && !lane->active)
		dlist_push_tail(&rounds[lane->slow], &lane->active_node);
	else if (!active && lane->active)
		dlist_delete(&lane->active_node);
	nactive[lane->slow] += active - lane->active;
	lane->active = active;

	contends = !lane->slow && (active || lane->in_flight > 0);
	contenders += contends - lane->contends;
	lane->contends = contends;
}

static void
place_in_due(WebhookLane *lane)
{
	TimestampTz due_at = 0;

	if (lane->sends && lane->next_due != 0 && lane->cancelling == 0 &&
		wants_rows(lane))
		due_at = Max(lane->next_due, lane->sleeps_until);
	if (due_at == lane->due_at)
		return;
	if (lane->due_at != 0)
		pairingheap_remove(due, &lane->due_node);
	lane->due_at = due_at;
	if (due_at != 0)
		pairingheap_add(due, &lane->due_node);
}
