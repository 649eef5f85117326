/*
 * set_back.c
 *	  Rows of pending follow a clock that was set back.
 *
 * If the clock is set back, rows that are not due would wait for the old time to
 * come. So they are due earlier by what the clock has lost since they were written,
 * and so are deliveries that have ended and are not written yet. A process that
 * starts does not know what the clock has lost meanwhile: rows that are due later
 * than any schedule can say are due at once. Present schedules do not count: one
 * may have been shortened since the row was written.
 *
 * There may be a million rows. So they are walked over in pieces, each in a
 * transaction of its own, and the worker goes on meanwhile. A row that was written
 * after a step of the clock does not follow that step, and one that has followed it
 * was written by that: the version of a row tells. Rows of fenced subscriptions stay
 * as they are. If the process ends before the walk does, the rest waits longer.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "subscription/subscription.h"
#include "worker/set_back_internal.h"
#include "worker/transaction_internal.h"

#define SET_BACK (10 * USECS_PER_SEC)	/* the least that rows follow the clock by */
#define PIECE_ROWS 500
#define PIECE_SUBSCRIPTIONS 64
#define MOST_STEPS 8			/* of one walk; more are taken together */

/* The longest time that a row can have to wait; the jitter adds a fifth. */
#define LONGEST_WAIT ((WEBHOOK_MAX_WAIT + WEBHOOK_MAX_WAIT / 5 + 1) * USECS_PER_SEC)

static struct
{
	WebhookDispatcher *dispatcher;
	TimestampTz latest;			/* when the clock was last looked at */

	/* The walk; without steps it looks for rows that are due too late alone. */
	bool		under_way;
	bool		again;			/* another walk has to follow */
	WebhookClockStep steps[MOST_STEPS];
	int			nsteps;
	MemoryContext context;		/* of "ids" */
	int64	   *ids;			/* subscriptions that had rows when it began; NULL: not read */
	int			nids;
	int			next;			/* index of the present one */
	TimestampTz from;			/* its heads due before were looked at; 0: none was */
	bool		any_ahead;		/* one of its heads was due later than any retry */
}			walk;

/* One piece of the walk; what it has in common with it is taken over after the commit. */
typedef struct Piece
{
	TimestampTz now;
	int			next;
	TimestampTz from;
	bool		any_ahead;
	int			count;			/* subscriptions that were looked at */
	int64		ids[PIECE_SUBSCRIPTIONS];
	TimestampTz earliest[PIECE_SUBSCRIPTIONS];	/* when their first heads are due; 0: none is
												 * left */
	bool		ahead[PIECE_SUBSCRIPTIONS]; /* done, and some heads were due later than any retry */
} Piece;

static void begin(void);
static void add_step(int64 by);
static void walk_on(void *arg);
static void read_ids(void);
static bool is_fenced(int64 subscription_id);
static void tell_ahead(int64 subscription_id);

void
webhook_set_back_init(WebhookDispatcher *dispatcher)
{
	memset(&walk, 0, sizeof(walk));
	walk.dispatcher = dispatcher;
	walk.context = AllocSetContextCreate(TopMemoryContext, "webhook set back",
										 ALLOCSET_SMALL_SIZES);
}

void
webhook_set_back_observe(TimestampTz now)
{
	int64		by = walk.latest - now;

	if (by >= SET_BACK)
	{
		add_step(by);
		webhook_dispatch_set_back(walk.dispatcher, now, by);
	}
	walk.latest = now;
}

void
webhook_set_back_look_ahead(void)
{
	if (walk.under_way)
		walk.again = true;
	else
		begin();
}

bool
webhook_set_back_is_under_way(void)
{
	return walk.under_way;
}

bool
webhook_set_back_run(void)
{
	Piece		piece = {0};

	if (!walk.under_way)
		return true;
	piece.now = GetCurrentTimestamp();
	piece.next = walk.next;
	piece.from = walk.from;
	piece.any_ahead = walk.any_ahead;
	if (!webhook_transaction_try("following a clock that was set back", walk_on, &piece))
		return false;
	walk.next = piece.next;
	walk.from = piece.from;
	walk.any_ahead = piece.any_ahead;
	for (int i = 0; i < piece.count; i++)
	{
		if (piece.ahead[i])
			tell_ahead(piece.ids[i]);
		if (piece.earliest[i] != 0)
			webhook_due_add(walk.dispatcher, piece.ids[i], piece.earliest[i]);
	}
	if (walk.next < walk.nids)
		return true;
	walk.under_way = false;
	walk.nsteps = 0;
	if (walk.again)
		begin();
	return true;
}

/* Begin a walk, from the first row. */
static void
begin(void)
{
	MemoryContextReset(walk.context);
	walk.ids = NULL;
	walk.nids = walk.next = 0;
	walk.from = 0;
	walk.any_ahead = walk.again = false;
	walk.under_way = true;
}

/* A walk that is under way begins again: rows that have followed it follow this step, too. */
static void
add_step(int64 by)
{
	WebhookClockStep step = webhook_pending_clock_step(by);

	if (walk.nsteps == MOST_STEPS)
		step.by += walk.steps[--walk.nsteps].by;
	walk.steps[walk.nsteps++] = step;
	begin();
}

/* In a transaction: a piece. */
static void
walk_on(void *arg)
{
	Piece	   *piece = arg;
	int			room = PIECE_ROWS;

	if (walk.ids == NULL)
		read_ids();
	while (piece->next < walk.nids && piece->count < PIECE_SUBSCRIPTIONS && room > 0)
	{
		int64		id = walk.ids[piece->next];
		bool		done = is_fenced(id) ||
			webhook_pending_follow_clock(id, walk.steps, walk.nsteps, piece->now, LONGEST_WAIT,
										 &piece->from, &room, &piece->any_ahead);

		piece->ids[piece->count] = id;
		piece->earliest[piece->count] = webhook_pending_earliest(id);
		piece->ahead[piece->count++] = done && piece->any_ahead;
		if (!done)
			break;
		piece->next++;
		piece->from = 0;
		piece->any_ahead = false;
	}
}

/* An error on the way leaves none. */
static void
read_ids(void)
{
	List	   *ids = webhook_pending_subscriptions();
	int64	   *all = MemoryContextAlloc(walk.context, (list_length(ids) + 1) * sizeof(int64));
	ListCell   *cell;

	walk.nids = 0;
	foreach(cell, ids)
		all[walk.nids++] = *(int64 *) lfirst(cell);
	walk.ids = all;
}

static bool
is_fenced(int64 subscription_id)
{
	const WebhookSubscription *subscription = webhook_subscription_get(subscription_id);

	return subscription != NULL && subscription->fenced;
}

static void
tell_ahead(int64 subscription_id)
{
	ereport(LOG,
			(errmsg("deliveries of webhook subscription " INT64_FORMAT " were due later than any retry, and are due now",
					subscription_id),
			 errdetail("The clock was ahead when they were written.")));
}
