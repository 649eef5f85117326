/*
 * erasures.c
 *	  Runs erase(): nothing that was sent about a subject is kept.
 *
 * An erasure means the deliveries of events that had committed when it was called, to
 * all subscriptions. Those that have not ended are cancelled: they cannot be sent without
 * their data. What is in memory ends at once, rows of pending end in pieces, and then the
 * rows of the log are erased in pieces, each in a transaction of its own. What is in
 * flight or still to be written gets a row of the log without bodies.
 *
 * An erasure waits for no subscription: what is read for one that is behind, or is in
 * the unread part of an older window, comes later than the erasure. So the erasure is
 * remembered until nothing of that kind is left, and such a delivery ends when it is
 * offered. What was erased may be asked for once more long after that: by a replay that
 * was called before the erasure and commits after it, for example. So whatever comes
 * from a call is looked up among the erasures of the audit (store/erasure.c).
 *
 * The checkpoint does not pass an erasure before the log is erased, nor what is
 * still unread, so after a crash all of it happens again.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "worker/behind_internal.h"
#include "worker/erasures_internal.h"
#include "worker/transaction_internal.h"

#define PIECE_ROWS 500
#define IDLE_INTERVAL (USECS_PER_SEC / 20)	/* between looks while one waits */

typedef enum Phase
{
	PHASE_PENDING,
	PHASE_LOG,
	PHASE_DONE,					/* only what comes later has still to be erased */
} Phase;

typedef struct Erasure
{
	char	   *subject;
	WebhookReach reach;			/* its snapshot is owned */
	WebhookBatch *batch;		/* pinned until PHASE_DONE */
	Phase		phase;
	WebhookPendingWalk walk;	/* of PHASE_PENDING */
	WebhookLogErasure *log;		/* of PHASE_LOG */
} Erasure;

/* One piece; what it has in common with its erasure is taken over after the commit. */
typedef struct Piece
{
	const Erasure *erasure;
	MemoryContext context;
	WebhookPendingWalk walk;
	List	   *rows;			/* WebhookPending * */
	WebhookLogErasure log;
	bool		log_done;
} Piece;

static struct
{
	WebhookDispatcher *dispatcher;
	List	   *erasures;		/* Erasure *, oldest first */
	TimestampTz idle_until;		/* the first one that runs waits until then; 0: it does not */
}			state;

static Erasure *running(void);
static bool run_piece(Erasure *erasure);
static bool erase_pending(Erasure *erasure);
static bool erase_log(Erasure *erasure);
static void read_rows(void *arg);
static void erase_rows(void *arg);
static void forget(void);

void
webhook_erasures_init(WebhookDispatcher *dispatcher)
{
	memset(&state, 0, sizeof(state));
	state.dispatcher = dispatcher;
}

void
webhook_erasures_accept(const char *subject, const WebhookReach *reach, WebhookBatch *batch)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Erasure    *erasure = palloc0_object(Erasure);

	erasure->subject = pstrdup(subject);
	erasure->reach = *reach;
	erasure->batch = batch;
	state.erasures = lappend(state.erasures, erasure);
	MemoryContextSwitchTo(old);
	state.idle_until = 0;
	webhook_batch_pin(batch);
	webhook_dispatch_erase(state.dispatcher, erasure->subject, &erasure->reach, batch);
}

bool
webhook_erasures_cover(const WebhookEvent *event, int64 position)
{
	ListCell   *cell;

	if (event->subject == NULL)
		return false;
	foreach(cell, state.erasures)
	{
		const Erasure *erasure = lfirst(cell);

		if (strcmp(erasure->subject, event->subject) == 0 &&
			webhook_reach_covers(&erasure->reach, position, event->txid, event->id,
								 event->origin))
			return true;
	}
	return false;
}

bool
webhook_erasures_are_running(void)
{
	return running() != NULL;
}

/* If the clock was set back, nobody knows how long one has waited: long enough. */
TimestampTz
webhook_erasures_time(TimestampTz now)
{
	if (running() == NULL)
		return 0;
	return state.idle_until - now > IDLE_INTERVAL ? now : Max(state.idle_until, now);
}

bool
webhook_erasures_run(TimestampTz now)
{
	Erasure    *erasure;

	if (state.erasures == NIL || webhook_erasures_time(now) > now)
		return true;
	state.idle_until = 0;
	erasure = running();
	if (erasure != NULL && !run_piece(erasure))
		return false;
	forget();
	return true;
}

/* The first one that is not done, or NULL. */
static Erasure *
running(void)
{
	ListCell   *cell;

	foreach(cell, state.erasures)
	{
		Erasure    *erasure = lfirst(cell);

		if (erasure->phase != PHASE_DONE)
			return erasure;
	}
	return NULL;
}

/* Returns false after an error. */
static bool
run_piece(Erasure *erasure)
{
	return erasure->phase == PHASE_PENDING ? erase_pending(erasure) : erase_log(erasure);
}

/*
 * Rows that are on their way to pending are waited for. One that was loaded meanwhile ends
 * in memory.
 */
static bool
erase_pending(Erasure *erasure)
{
	Piece		piece = {erasure};
	bool		done;

	webhook_dispatch_erase(state.dispatcher, erasure->subject, &erasure->reach, erasure->batch);
	if (webhook_dispatch_usage(state.dispatcher)->unflushed >= PIECE_ROWS ||
		(!erasure->walk.begun &&
		 webhook_dispatch_has_rows_about(state.dispatcher, erasure->subject)))
	{
		state.idle_until = GetCurrentTimestamp() + IDLE_INTERVAL;
		return true;
	}
	piece.walk = erasure->walk;
	piece.context = AllocSetContextCreate(TopMemoryContext, "webhook erasure",
										  ALLOCSET_DEFAULT_SIZES);
	done = webhook_transaction_try("erasing pending deliveries", read_rows, &piece);
	if (done)
	{
		webhook_dispatch_erase_rows(state.dispatcher, piece.rows, erasure->batch);
		erasure->walk = piece.walk;
		if (piece.walk.at_end)
			erasure->phase = PHASE_LOG;
	}
	MemoryContextDelete(piece.context);
	return done;
}

static bool
erase_log(Erasure *erasure)
{
	Piece		piece = {erasure};

	if (erasure->log == NULL)
		erasure->log = MemoryContextAllocZero(TopMemoryContext, sizeof(WebhookLogErasure));
	piece.log = *erasure->log;
	if (!webhook_transaction_try("erasing rows of the log", erase_rows, &piece))
		return false;
	*erasure->log = piece.log;
	if (piece.log_done)
	{
		pfree(erasure->log);
		erasure->log = NULL;
		erasure->phase = PHASE_DONE;
		webhook_batch_unpin(erasure->batch);
		erasure->batch = NULL;
	}
	return true;
}

static void
read_rows(void *arg)
{
	Piece	   *piece = arg;

	MemoryContextSwitchTo(piece->context);
	piece->rows = webhook_pending_about(piece->erasure->subject, &piece->erasure->reach,
										PIECE_ROWS, &piece->walk);
}

/* A row of the log does not have the transaction that caused it. */
static void
erase_rows(void *arg)
{
	Piece	   *piece = arg;

	piece->log_done = webhook_log_erase(piece->erasure->subject, piece->erasure->reach.before,
										&piece->log);
}

/* Once nothing that was read before them is still to be offered, none is needed any more. */
static void
forget(void)
{
	if (running() != NULL || !webhook_behind_is_idle())
		return;
	while (state.erasures != NIL)
	{
		Erasure    *erasure = linitial(state.erasures);

		state.erasures = list_delete_first(state.erasures);
		pfree(erasure->subject);
		if (erasure->reach.snapshot != NULL)
			pfree(unconstify(WebhookSnapshot *, erasure->reach.snapshot));
		pfree(erasure);
	}
}
