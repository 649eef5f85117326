/*
 * delivery.h
 *	  The door of delivery/: everything between "read from the ring" and "written to
 *	  the log". Decides which delivery starts next, which one waits behind which,
 *	  and what becomes of it. Memory only; time is an argument.
 */
#ifndef WEBHOOK_DELIVERY_H
#define WEBHOOK_DELIVERY_H

#include "lib/ilist.h"

#include "ring/progress.h"
#include "store/store.h"
#include "subscription/subscription.h"

/* The state of all queues of one worker; every function below takes it. */
typedef struct WebhookDispatcher WebhookDispatcher;

/* The deliveries of one subscription. */
typedef struct WebhookQueue WebhookQueue;

typedef struct WebhookSubject WebhookSubject;

/* One event on its way to one subscription, from offer to flushed. */
typedef struct WebhookDelivery
{
	WebhookLogEntry entry;		/* the delivery and, once it has ended, its result */

	/* The rest is for delivery/ alone. */
	WebhookQueue *queue;		/* of its subscription */
	WebhookSubject *subject;	/* keeps its order; NULL: unordered */
	WebhookBatch *batch;		/* pinned until it is flushed; NULL: it came from pending, and no
								 * command ends it */
	TimestampTz offered_at;		/* when it came into memory */
	TimestampTz started_at;		/* when its POST started */
	bool		stored;			/* it has a row in pending */
	bool		is_ready;		/* it is in the ready list of its queue */
	bool		probe;			/* in flight through an open breaker, and no ping */
	bool		in_slow_pool;	/* in flight, a slow ping, charged to the slow pool */
	bool		cancelled;		/* in flight, and not to be retried */
	const char *cancel_class;	/* error_class of the cancellation, or NULL */
	dlist_node	node;			/* in the ready list of a queue, the waiting list of a subject,
								 * in flight, or ended */
} WebhookDelivery;

/* A new delivery of an event or a replay that was read from the ring. */
typedef struct WebhookOffer
{
	WebhookEvent *event;
	int64		subscription_id;
	int64		position;		/* ring id of the row that caused it */
	WebhookCause cause;
	TimestampTz caused_at;		/* when that row was written */
	bool		has_earlier_pending;	/* earlier ones of its subject are in pending */
	int			attempts;		/* POSTs made already */
	bool		of_tenant;		/* the subscription is of the event's tenant */
	bool		erased;			/* its subject was erased: it is not sent */
} WebhookOffer;

/* How much a dispatcher holds. */
typedef struct WebhookUsage
{
	int			queued;			/* deliveries that wait in memory */
	int			in_flight;		/* deliveries whose POST is under way */
	int			unflushed;		/* deliveries that have ended and are not committed */
	Size		memory;			/* bytes of all of them, their events and subjects */
} WebhookUsage;

/* Where a row of pending is. */
typedef enum WebhookRowState
{
	WEBHOOK_ROW_ABSENT,			/* in the table only, free to be loaded */
	WEBHOOK_ROW_LOADED,			/* in memory already */
	WEBHOOK_ROW_BLOCKED,		/* in the table only; its subject has a head in memory */
} WebhookRowState;

/* What is told like a state and is none: something else was altered, the subscription is gone. */
#define WEBHOOK_STATE_CHANGED "changed"
#define WEBHOOK_STATE_GONE "unsubscribed"

/* A change of a subscription's state that people are told of. */
typedef enum WebhookHealthChange
{
	WEBHOOK_HEALTH_UNCHANGED,
	WEBHOOK_HEALTH_OPENED,		/* the breaker has opened */
	WEBHOOK_HEALTH_CLOSED,		/* the breaker has closed */
	WEBHOOK_HEALTH_WAITING,		/* the endpoint has asked to wait, by Retry-After */
	WEBHOOK_HEALTH_WAIT_OVER,	/* that wait is over */
	WEBHOOK_HEALTH_LIMITED,		/* the rate limit holds deliveries back; the state is the same */
	WEBHOOK_HEALTH_TENANT_LIMITED,	/* that of the tenant does; the state is the same */
	WEBHOOK_HEALTH_DISABLED,	/* the worker has disabled the subscription */
	WEBHOOK_HEALTH_SET,			/* the state is another one, by people or by itself */
	WEBHOOK_HEALTH_ALTERED,		/* people have changed something else of the subscription */
} WebhookHealthChange;

typedef struct WebhookStateChange
{
	WebhookHealthChange change;
	const char *state;			/* one of WEBHOOK_STATE_... */
	const char *former;			/* the state that people were told before; NULL: none */
	int			consecutive_failures;	/* at that time */
	TimestampTz until;			/* while open or waiting, no request starts before; 0: unknown */
} WebhookStateChange;

/* A dispatcher without queues, in TopMemoryContext. It lives as long as the process. */
extern WebhookDispatcher *webhook_dispatcher_new(void);

/* What the dispatcher holds: its own counters, which change with it. */
extern const WebhookUsage *webhook_dispatch_usage(const WebhookDispatcher *dispatcher);

/*
 * Arrivals (dispatch.c)
 */

/* Take a delivery; shares the event and pins the batch. */
extern void webhook_dispatch_offer(WebhookDispatcher *dispatcher, const WebhookOffer *offer,
								   WebhookBatch *batch, TimestampTz now);

/*
 * Returns true if only a look into pending can tell whether earlier deliveries
 * of the subject are there: then WebhookOffer.has_earlier_pending has to be
 * found out. "subject" may be NULL.
 */
extern bool webhook_dispatch_must_check_pending(WebhookDispatcher *dispatcher,
												int64 subscription_id, const char *subject);

/* Take a head that was loaded from pending because it is due. */
extern void webhook_dispatch_load(WebhookDispatcher *dispatcher, const WebhookPending *row,
								  TimestampTz now);

/*
 * Take a row that waits behind those of its subject that were taken by the function
 * above and by this one.
 */
extern void webhook_dispatch_load_behind(WebhookDispatcher *dispatcher, const WebhookPending *row,
										 TimestampTz now);

/* Where the row is; "subject" may be NULL or empty: then it is never blocked. */
extern WebhookRowState webhook_dispatch_row_state(WebhookDispatcher *dispatcher,
												  int64 subscription_id, const char *subject,
												  int64 position, int64 id);

/* A due row of a blocked subject was not loaded: it is looked for again when the head ends. */
extern void webhook_dispatch_pass_over(WebhookDispatcher *dispatcher,
									   int64 subscription_id, const char *subject);

/*
 * Returns true if a delivery of the subject is in memory or on its way to
 * pending; while a group is being written, besides those of the group.
 */
extern bool webhook_dispatch_has_subject(WebhookDispatcher *dispatcher,
										 int64 subscription_id, const char *subject);

/* The same, with those of the group. */
extern bool webhook_dispatch_knows_subject(WebhookDispatcher *dispatcher,
										   int64 subscription_id, const char *subject);

/*
 * Returns true if a change of a row of the subscription is on its way to
 * pending; of this event and of this subject, unless they are NULL.
 */
extern bool webhook_dispatch_has_rows_to_come(WebhookDispatcher *dispatcher,
											  int64 subscription_id,
											  const pg_uuid_t *event_id, const char *subject);

/*
 * Requests (dispatch.c)
 */

/*
 * The next delivery to start a POST for, its attempt counted; NULL: none may
 * start. A delivery that is too old ends instead.
 */
extern WebhookDelivery *webhook_dispatch_next(WebhookDispatcher *dispatcher, TimestampTz now);

/* The subscription of a delivery that was returned by webhook_dispatch_next(). */
extern const WebhookSubscription *webhook_delivery_subscription(const WebhookDelivery *delivery);

/* The state of its subscription. */
extern const WebhookState *webhook_delivery_state(const WebhookDelivery *delivery);

/* Returns true if such a delivery may not use a connection that was kept. */
extern bool webhook_delivery_needs_new_connection(const WebhookDelivery *delivery);

/* Its POST has ended: decide what follows. The transfer has to live until the flush. */
extern void webhook_dispatch_finish(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
									const WebhookHttpTransfer *transfer, TimestampTz now);

/* The message could not be built: the delivery fails with this error, which is copied. */
extern void webhook_dispatch_reject(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
									const char *error);

/*
 * No request has left, for lack of memory or descriptors: the delivery is ready
 * again, unless it was cancelled meanwhile or its queue may keep nothing.
 */
extern void webhook_dispatch_retry_later(WebhookDispatcher *dispatcher,
										 WebhookDelivery *delivery, TimestampTz now);

/*
 * The POST could not be started for a reason that is not the delivery's: the
 * delivery is ready again, and its subscription starts nothing before "until".
 */
extern void webhook_dispatch_postpone(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
									  TimestampTz until, TimestampTz now);

/* Time has passed: end delays, find requests that have become slow. */
extern void webhook_dispatch_tick(WebhookDispatcher *dispatcher, TimestampTz now);

/* When webhook_dispatch_tick() has something to do; 0: never. */
extern TimestampTz webhook_dispatch_tick_time(WebhookDispatcher *dispatcher);

/*
 * Deliveries that have ended (transitions.c)
 */

/* The clock was set back by so many microseconds: what has ended is due again that much earlier. */
extern void webhook_dispatch_set_back(WebhookDispatcher *dispatcher, TimestampTz now, int64 by);

/*
 * Add to a group of "count" deliveries those that have ended after them, oldest first,
 * until it has "size": the group is to be written. Returns how many it has. They stay
 * the dispatcher's until webhook_dispatch_flushed() says whether they are committed;
 * then they are counted, for their subscriptions and in "counts", by outcome, and are
 * gone.
 */
extern int	webhook_dispatch_ended(WebhookDispatcher *dispatcher,
								   WebhookDelivery **group, int count, int size);
extern void webhook_dispatch_flushed(WebhookDispatcher *dispatcher, WebhookDelivery **group,
									 int count, bool committed,
									 uint64 counts[WEBHOOK_OUTCOMES]);

/*
 * Eviction and cancellation (evict.c, cancel.c)
 */

/*
 * Subscriptions were read again, or settings have changed: bind the queues to
 * the present subscriptions; what may not be sent leaves memory for pending,
 * or is cancelled if its subscription is gone or disabled. "sending" is
 * webhook.enabled. To be called after each webhook_subscription_reload(),
 * before any other function of the dispatcher.
 */
extern void webhook_dispatch_refresh(WebhookDispatcher *dispatcher, bool sending,
									 TimestampTz now);

/*
 * Only bind the queues: all that may be done within the transaction that has
 * read the subscriptions. webhook_dispatch_refresh() has to follow.
 */
extern void webhook_dispatch_bind(WebhookDispatcher *dispatcher);

/* The same two for some subscriptions, after webhook_subscription_reload_some(). */
extern void webhook_dispatch_refresh_some(WebhookDispatcher *dispatcher, const int64 *ids,
										  int count, TimestampTz now);
extern void webhook_dispatch_bind_some(WebhookDispatcher *dispatcher, const int64 *ids,
									   int count);

/* What has waited unstarted for too long moves to pending. */
extern void webhook_dispatch_spill(WebhookDispatcher *dispatcher, TimestampTz now);

/* What arrives for the subscription goes to pending, until what is due there was loaded. */
extern void webhook_dispatch_spill_arrivals(WebhookDispatcher *dispatcher,
											int64 subscription_id);

/*
 * End a row of pending as cancelled. "class" is its error_class or NULL; "batch"
 * is the command's and stays pinned until that is committed, or NULL.
 */
extern void webhook_dispatch_cancel_row(WebhookDispatcher *dispatcher, const WebhookPending *row,
										const char *class, WebhookBatch *batch);

/*
 * End what is in memory and is meant by a command: all deliveries of an event
 * (NULL: of any), or the first one of a subject; the latter returns true if there
 * was one. A delivery in flight ends with its answer, and pins the command's batch
 * until then.
 */
extern void webhook_dispatch_cancel_event(WebhookDispatcher *dispatcher, int64 subscription_id,
										  const pg_uuid_t *event_id, const WebhookReach *reach,
										  WebhookBatch *batch);
extern bool webhook_dispatch_skip(WebhookDispatcher *dispatcher, int64 subscription_id,
								  const char *subject, const WebhookReach *reach,
								  WebhookBatch *batch);

/*
 * Erase a subject: what is in memory of it, of any subscription, and is meant by a command
 * ends as cancelled, with error_class "erased", and all that is to be written of it is
 * written without what was sent. The second function does that with rows of pending, a
 * List of WebhookPending, those in memory excepted. The third returns true if a change of a
 * row about the subject is on its way to pending.
 */
extern void webhook_dispatch_erase(WebhookDispatcher *dispatcher, const char *subject,
								   const WebhookReach *reach, WebhookBatch *batch);
extern void webhook_dispatch_erase_rows(WebhookDispatcher *dispatcher, const List *rows,
										WebhookBatch *batch);
extern bool webhook_dispatch_has_rows_about(const WebhookDispatcher *dispatcher,
											const char *subject);

/*
 * Limits on memory (budget.c). "engine" is the bytes that the HTTP engine uses.
 */

/* Returns true if more events may be read; "blocked": nothing can be written at present. */
extern bool webhook_budget_read(const WebhookDispatcher *dispatcher, bool blocked);

/* Returns true if what is read for a subscription may be offered, and need not wait. */
extern bool webhook_budget_offer(WebhookDispatcher *dispatcher, Size engine,
								 int64 subscription_id);

/* Returns true if so much is queued that nothing may wait for long. */
extern bool webhook_budget_is_scarce(const WebhookDispatcher *dispatcher);

/* Returns true if a POST may be started while "in_flight" are under way. */
extern bool webhook_budget_send(const WebhookDispatcher *dispatcher, Size engine, int in_flight);

/*
 * How many due rows may be loaded; and how many rows behind them, if there is room for so many
 * rows: half of all room is left to heads.
 */
extern int	webhook_budget_load(const WebhookDispatcher *dispatcher, Size engine);
extern int	webhook_budget_load_behind(int room);

/*
 * Due rows of pending (due.c)
 */

/* The subscription has rows; one of them is a head due at "next_at" (0: unknown). */
extern void webhook_due_add(WebhookDispatcher *dispatcher, int64 subscription_id,
							TimestampTz next_at);

/* The subscription has no row, nor any that is on its way to pending. */
extern void webhook_due_none(WebhookDispatcher *dispatcher, int64 subscription_id);

/*
 * Queues whose due heads are to be loaded, those that have waited longest
 * first, at most "size". webhook_due_loaded() or webhook_due_not_loaded() has
 * to follow for each.
 */
extern int	webhook_due_take(WebhookDispatcher *dispatcher, TimestampTz now,
							 WebhookQueue **queues, int size);

/* How many rows of the queue to load at most: heads; and, besides them, rows behind heads. */
extern int	webhook_due_limit(WebhookDispatcher *dispatcher, const WebhookQueue *queue);
extern int	webhook_due_limit_behind(const WebhookQueue *queue);

/* The rows were loaded; the first that is left is due at "next", 0: none is left. */
extern void webhook_due_loaded(WebhookDispatcher *dispatcher, WebhookQueue *queue,
							   TimestampTz next, TimestampTz now);
extern void webhook_due_not_loaded(WebhookDispatcher *dispatcher, WebhookQueue *queue);

/* When the first queue has to be loaded; 0: none. */
extern TimestampTz webhook_due_time(const WebhookDispatcher *dispatcher);

/*
 * What waits for a retry is due now: the breaker closes, a wait that the
 * endpoint has asked for ends, and rows that are on their way to pending, of the
 * subject or (NULL) of all, are due at "now".
 */
extern void webhook_due_make_due(WebhookDispatcher *dispatcher, int64 subscription_id,
								 const char *subject, TimestampTz now);

/* Load nothing until resumed: the ring may hold unread commands that cancel due rows. */
extern void webhook_due_suspend(WebhookDispatcher *dispatcher, bool suspended);

/* Load no rows of the subscription while a command ends rows there; calls nest. */
extern void webhook_due_block(WebhookDispatcher *dispatcher, int64 subscription_id);
extern void webhook_due_unblock(WebhookDispatcher *dispatcher, int64 subscription_id);

/* The number of such commands that are under way. */
extern int	webhook_due_blocks(const WebhookDispatcher *dispatcher, int64 subscription_id);

/* Returns true if a row is due, or one that came from pending is in memory. */
extern bool webhook_due_any(WebhookDispatcher *dispatcher, TimestampTz now);

/*
 * A queue of which it is not known whether it still has rows, or NULL; and
 * whether it has some, those on their way included.
 */
extern WebhookQueue *webhook_due_next_recheck(WebhookDispatcher *dispatcher);
extern void webhook_due_rechecked(WebhookDispatcher *dispatcher, WebhookQueue *queue,
								  bool has_rows);

/*
 * Queues and the states of their subscriptions (queue.c, state.c)
 */

/* The subscription's id; the subscription, NULL: it is gone. Valid until the next reload. */
extern int64 webhook_queue_id(const WebhookQueue *queue);
extern const WebhookSubscription *webhook_queue_subscription(const WebhookQueue *queue);

/* The tenant of the subscription, also of one that is gone; NULL: the platform. */
extern const char *webhook_queue_tenant(const WebhookQueue *queue);

/* The subscription's state; and bring what is derived in it, percentiles and rate, up to date. */
extern WebhookState *webhook_queue_state(WebhookQueue *queue);
extern void webhook_queue_summarize(WebhookQueue *queue, TimestampTz now);

/* State changes that are still to be told of, oldest first. */
extern int	webhook_queue_changes(const WebhookQueue *queue, const WebhookStateChange **changes);

/* Take over a state that was saved by an earlier process, or restored from a dump. */
extern void webhook_queue_restore(WebhookDispatcher *dispatcher, const WebhookState *state,
								  TimestampTz now);

/* Reset the health after the endpoint was changed or the subscription enabled. */
extern void webhook_queue_reset(WebhookDispatcher *dispatcher, int64 subscription_id,
								TimestampTz now);

/* People have changed the state of a subscription, or, if "altered", something else of it. */
extern void webhook_queue_tell(WebhookDispatcher *dispatcher, int64 subscription_id,
							   bool altered, TimestampTz now);

/* Fences that stand already are no news. To be called before the first refresh. */
extern void webhook_queue_know_fences(WebhookDispatcher *dispatcher);

/* Returns true if the subscription takes deliveries: enabled by people, not disabled by us. */
extern bool webhook_queue_takes(WebhookDispatcher *dispatcher,
								const WebhookSubscription *subscription);

/* Count an event that the subscription's filter has failed on. */
extern void webhook_queue_count_filter_error(WebhookDispatcher *dispatcher,
											 int64 subscription_id);

/*
 * The id of a subscription that was disabled, and whose backlog has to be
 * cancelled; 0: there is none. Each such subscription is returned once.
 */
extern int64 webhook_queue_next_backlog(WebhookDispatcher *dispatcher);

/*
 * Queues whose states have to be saved, the urgent ones first, at most "size";
 * whether any is urgent; and that they were saved.
 */
extern int	webhook_queue_dirty(WebhookDispatcher *dispatcher, WebhookQueue **queues, int size);
extern bool webhook_queue_is_urgent(const WebhookDispatcher *dispatcher);
extern void webhook_queue_saved(WebhookDispatcher *dispatcher, WebhookQueue **queues, int count);

#endif							/* WEBHOOK_DELIVERY_H */
