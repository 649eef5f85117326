/*
 * clock.h
 *	  A worker on a fake clock: what its parts share.
 *
 * The worker's own files are compiled into this module: delivery/ and worker/,
 * its loop included. What they stand on is played: the clock (rounds.c), the
 * tables (tables.c), subscriptions (operator.c), libcurl and the endpoints
 * (engine.c). These take the places of the real functions when the module is
 * linked.
 *
 * The worker's files keep static state, so one session is one run.
 */
#ifndef WEBHOOK_CLOCK_H
#define WEBHOOK_CLOCK_H

#include "delivery/delivery.h"
#include "process/shmem.h"

/* A row of the ring. */
typedef struct WebhookClockRow
{
	WebhookEvent *event;
	int64		at;				/* when it is committed; by the steady clock */
	int64		number;			/* of its making */
} WebhookClockRow;

/* One POST, from its start on. */
typedef struct WebhookClockPost
{
	int64		at;				/* by the steady clock, as "ended" is */
	int64		ended;			/* -1: in flight */
	int64		subscription_id;
	const char *subject;
	int64		position;
	WebhookCause cause;
	int			attempt;
	int			step;
	bool		probe;
	bool		slow;			/* it was charged to the slow pool */
	bool		new_connection; /* it had to have one */
	int			status;
	WebhookHttpError error;
	int			fast_in_flight; /* requests in the fast pool, its own among them */
	int			in_flight;
} WebhookClockPost;

/* One outcome that was committed, also of a deferred delivery. */
typedef struct WebhookClockOutcome
{
	int64		at;
	int64		subscription_id;
	const char *subject;
	pg_uuid_t	event_id;
	int64		position;
	WebhookCause cause;
	int			attempt;
	int			step;
	WebhookOutcome result;
	const char *error_class;
	TimestampTz next_at;		/* 0: none */
} WebhookClockOutcome;

/* A state change that was told. */
typedef struct WebhookClockNotice
{
	int64		at;
	int64		subscription_id;
	WebhookHealthChange change;
	const char *state;
} WebhookClockNotice;

/* What an endpoint answers. */
typedef struct WebhookClockAnswer
{
	int			status;
	WebhookHttpError error;
	bool		unanswered;		/* a kept connection ended */
	bool		challenge;		/* the body is the challenge of the subscription */
	int64		duration;		/* microseconds; -1: the request's timeout */
	long		retry_after;	/* seconds; -1: none */
	int			times;			/* 0: for good */
	int			weight;			/* of those for good, by chance */
} WebhookClockAnswer;

/* An array that grows. */
typedef struct WebhookClockArray
{
	void	   *items;
	int			count;
	int			size;
} WebhookClockArray;

/* Where all of it is kept. */
extern MemoryContext webhook_clock_context;

/* One more item of so many bytes, zeroed; others may move. */
extern void *webhook_clock_add(WebhookClockArray *array, Size size);

#define WEBHOOK_CLOCK_ITEM(array, type, number) (&((type *) (array).items)[number])

/* Microseconds since the beginning: nothing sets this one back. */
extern int64 webhook_clock_steady;

/* What the wall's clock shows, and what it showed at the beginning. */
extern TimestampTz webhook_clock_now(void);
extern TimestampTz webhook_clock_begin(void);
extern int64 webhook_clock_shift;

/* A number below "limit", by chance, the same in each run. */
extern uint32 webhook_clock_chance(uint32 limit);

/* Tables (tables.c) */

extern WebhookClockArray webhook_clock_outcomes;
extern WebhookClockArray webhook_clock_notices;

/* How many transactions the worker has made. */
extern int64 webhook_clock_transactions;
extern WebhookClockArray webhook_clock_pending; /* of WebhookPending *, in key order */
extern WebhookClockArray webhook_clock_ring;	/* of WebhookClockRow, committed */
extern uint32 webhook_clock_failing;	/* writes that fail, of a million */
extern int64 webhook_clock_cost;	/* microseconds that a POST, and a row of the log, takes the
									 * worker */
extern uint32 webhook_clock_failing_reads;	/* the same for steps of reading */

/* A row that is committed at a time to come, or now. */
extern void webhook_clock_commit(WebhookEvent *event, int64 at);

/* Commit what is due; is there anything? When is the next? -1: never. */
extern bool webhook_clock_commit_due(void);

/* The worker has made so many POSTs, or rows of the log: time passes, and others commit. */
extern void webhook_clock_work(int count);
extern int64 webhook_clock_next_commit(void);

/* The transaction that comes next. */
extern FullTransactionId webhook_clock_next_xid(void);

/* Subscriptions (operator.c) */

extern WebhookSlot webhook_clock_slot;

/* How many subscriptions the worker has read. */
extern int64 webhook_clock_subscriptions_read;

/* The transaction, which has just committed, has changed the last subscription that was changed. */
extern void webhook_clock_tell_change(FullTransactionId txid);
extern int64 webhook_clock_subscribe(void);
extern void webhook_clock_unsubscribe(int64 id);
extern int	webhook_clock_subscriptions(void);

/* Set an option of a subscription. */
extern void webhook_clock_alter(int64 id, const char *name, const char *value);

/* The tenant of a subscription; NULL: the platform. */
extern const char *webhook_clock_tenant(int64 id);

/* Endpoints (engine.c) */

extern WebhookClockArray webhook_clock_posts;

extern void webhook_clock_answers(int64 id, const WebhookClockAnswer *answers, int count);

/* When the next answer comes; -1: never. */
extern int64 webhook_clock_next_answer(void);

/* The clock and the rounds of the loop (rounds.c) */

/* Begin, unless that has been done. */
extern void webhook_clock_start(void);

/* The worker ends at once, and another one starts from the checkpoint; POSTs under way are lost. */
extern void webhook_clock_crash(void);

/* Forget the transfers that are under way. */
extern void webhook_clock_forget_transfers(void);

/* The worker's dispatcher; NULL: it has not begun. */
extern WebhookDispatcher *webhook_clock_dispatcher;

/* Go on until then. */
extern void webhook_clock_run(int64 until);

/* Go on until nothing is left to do, or until then. */
extern void webhook_clock_settle(int64 until);

/* A setting has changed. */
extern void webhook_clock_reconfigured(void);

#endif							/* WEBHOOK_CLOCK_H */
