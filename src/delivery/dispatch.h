/*
 * dispatch.h
 *	  Everything between "read" and "final": which delivery may start, which
 *	  waits has_earlier_pending which. Memory only; time is an argument.
 */
#ifndef WEBHOOK_DELIVERY_H
#define WEBHOOK_DELIVERY_H

#include "delivery/queue.h"
#include "delivery/subject.h"
#include "ring/progress.h"
#include "store/store.h"

/* One event on its way to one subscription, from offer to flushed. */
typedef struct WebhookDelivery
{
	WebhookLogEntry entry;		/* the delivery and, once ended, the rest */
	bool		stored;			/* it has a row in webhook.pending */
	bool		is_ready;		/* it waits in its queue */
	bool		probe;			/* in flight through an open breaker */
	bool		in_slow_pool;	/* in flight, in a place of the slow ones only for its own sake */
	bool		cancelled;		/* in flight for the last time ... */
	const char *cancel_class;	/* ... and why; NULL: no word for it */
	TimestampTz offered_at;
	TimestampTz started_at;
	WebhookBatch *batch;		/* held until flushed; NULL: it came from webhook.pending, and no
								 * command ends it */
	WebhookQueue *queue;		/* its subscription's */
	WebhookSubject *subject;	/* its place in the order; NULL: unordered */
	dlist_node	node;			/* in a queue, has_earlier_pending a subject, in flight, or ended */
} WebhookDelivery;

/* A new delivery, of an event or a replay that was read from the ring. */
typedef struct WebhookOffer
{
	WebhookEvent *event;
	int64		subscription_id;
	int64		position;		/* id of the row */
	WebhookCause cause;
	TimestampTz caused_at;		/* when the row was written */
	bool		has_earlier_pending;	/* earlier ones of its subject wait in webhook.pending */
	int			attempts;		/* made already */
} WebhookOffer;

/* How much of everything there is. */
typedef struct WebhookUsage
{
	int			queued;			/* deliveries that wait in memory */
	int			in_flight;
	int			unflushed;		/* ended, not committed */
	Size		memory;			/* bytes of all of them and their events */
} WebhookUsage;

extern void webhook_dispatch_init(void);

/* Shares the event and holds the batch. */
extern void webhook_dispatch_offer(const WebhookOffer *offer,
								   WebhookBatch *batch, TimestampTz now);

/*
 * Must webhook.pending be asked before an event is offered, whether earlier
 * ones of its subject are there?
 */
extern bool webhook_dispatch_must_check_pending(int64 subscription_id, const char *subject);

/* A head that was loaded from webhook.pending because it is due. */
extern void webhook_dispatch_load(const WebhookPending *row, TimestampTz now);

/* Is this row of webhook.pending in memory already, or in its way? */
extern bool webhook_dispatch_is_loaded_or_blocked(int64 subscription_id, const char *subject,
												  int64 position, int64 id);

/*
 * Is anything of this subject in memory, or on its way to webhook.pending?
 * While a group is written: besides what is in that group.
 */
extern bool webhook_dispatch_has_subject(int64 subscription_id, const char *subject);

/*
 * The next delivery to start a POST for, its attempt counted; NULL: none. What
 * is too old ends.
 */
extern WebhookDelivery *webhook_dispatch_next(TimestampTz now);

/* Its POST has ended: judge it. The transfer is needed until it is flushed. */
extern void webhook_dispatch_finish(WebhookDelivery *delivery,
									const WebhookHttpTransfer *transfer,
									TimestampTz now);

/* It could not even be made a message of: it ends as failed. */
extern void webhook_dispatch_reject(WebhookDelivery *delivery, const char *error);

/* It could not be started for want of memory: it is ready again. */
extern void webhook_dispatch_retry_later(WebhookDelivery *delivery);

/* Time has passed: queues wake, requests change out to be slow. */
extern void webhook_dispatch_tick(TimestampTz now);

/* When webhook_dispatch_tick() has something to do; 0: never. */
extern TimestampTz webhook_dispatch_tick_time(void);

/*
 * What leaves memory without having been started (leaving.c)
 */

/*
 * Subscriptions or settings have changed: what may not be sent any more goes
 * to webhook.pending, or ends if nobody wants it. "sending": webhook.enabled.
 */
extern void webhook_dispatch_refresh(bool sending, TimestampTz now);

/* The same for one queue, whose health has changed. */
extern void webhook_dispatch_evict_if_blocked(WebhookQueue *queue, TimestampTz now);

/* What has waited unstarted for too long goes to webhook.pending. */
extern void webhook_dispatch_spill(TimestampTz now);

/* End a row of webhook.pending as cancelled; "batch" is the command's, or NULL. */
extern void webhook_dispatch_cancel_row(const WebhookPending *row, const char *class,
										WebhookBatch *batch);

/*
 * End what is in memory and came before a command: deliveries of an event
 * (NULL: of any), or the first one of a subject: true if there was one. What is
 * in flight ends with its answer, and holds the command's batch until then.
 */
extern void webhook_dispatch_cancel_event(int64 subscription_id,
										  const pg_uuid_t *event_id, int64 before,
										  WebhookBatch *batch);
extern bool webhook_dispatch_skip(int64 subscription_id, const char *subject,
								  int64 before, WebhookBatch *batch);

/*
 * What has ended (place.c)
 */

/*
 * Ended deliveries, oldest first, at most "size", a group for the journal; they
 * stay the room's until webhook_dispatch_flushed() is told whether they are
 * committed.
 */
extern int	webhook_dispatch_ended(WebhookDelivery **group, int size);
extern void webhook_dispatch_flushed(WebhookDelivery **group, int count,
									 bool committed);

/*
 * Is a change of a row of this subscription on its way to webhook.pending? Of
 * this event, of this subject, unless NULL?
 */
extern bool webhook_dispatch_has_rows_to_come(int64 subscription_id,
											  const pg_uuid_t *event_id,
											  const char *subject);

/* Is anything due, or on its way, that came from webhook.pending? */
extern bool webhook_dispatch_is_due(TimestampTz now);

/*
 * May more be read, and how many rows that are due be loaded, with so many
 * bytes in use elsewhere? Bounds what is queued, in flight and unflushed
 * together; the one leaves room to the other.
 */
extern bool webhook_dispatch_has_room(Size elsewhere);
extern int	webhook_dispatch_room_for_due(Size elsewhere);

/* What there is of it. */
extern const WebhookUsage *webhook_dispatch_usage(void);

#endif							/* WEBHOOK_DELIVERY_H */
