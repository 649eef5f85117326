/*
 * transitions.h
 *	  Where a delivery is in memory, and its ways from one place to another.
 *	  Each keeps the order within its subject.
 */
#ifndef WEBHOOK_PLACE_H
#define WEBHOOK_PLACE_H

#include "delivery/dispatch.h"

/* Microseconds that a delivery may wait unstarted, and if room is scarce. */
#define WEBHOOK_UNSTARTED_LIMIT (INT64CONST(2) * USECS_PER_SEC)
#define WEBHOOK_SCARCE_LIMIT (USECS_PER_SEC / 5)

/*
 * Deliveries waiting in memory: enough to keep every place busy until more are
 * read.
 */
#define WEBHOOK_MAX_QUEUED 1000

extern WebhookUsage webhook_usage;

extern void webhook_transitions_init(void);

/* A delivery, nowhere yet; takes over the row's reference to its event. */
extern WebhookDelivery *webhook_delivery_create(const WebhookPending *row,
												bool stored, TimestampTz now);

/* Is this row of webhook.pending in memory? How many are, and not in flight? */
extern bool webhook_row_is_loaded(int64 subscription_id, int64 position, int64 id);
extern long webhook_rows_loaded(void);
extern long webhook_rows_not_in_flight(void);

/* Ready to start, as the head of its subject; and out of that queue again. */
extern void webhook_delivery_set_ready(WebhookDelivery *delivery);
extern void webhook_delivery_unset_ready(WebhookDelivery *delivery);

/* Behind the head of its subject; and out of that queue again. */
extern void webhook_delivery_set_waiting(WebhookDelivery *delivery);
extern void webhook_delivery_unset_waiting(WebhookDelivery *delivery);

/* Has it waited for so many microseconds? */
extern bool webhook_delivery_has_waited(const WebhookDelivery *delivery, int64 limit,
										TimestampTz now);

/* In flight, and no longer. */
extern void webhook_delivery_set_in_flight(WebhookDelivery *delivery, TimestampTz now);
extern void webhook_delivery_set_done(WebhookDelivery *delivery);

/* The oldest in flight that has not been told slow, or NULL. */
extern WebhookDelivery *webhook_in_flight_oldest(void);
extern void webhook_delivery_mark_slow(WebhookDelivery *delivery);

/* All in flight, one a call until NULL; none may land meanwhile. */
extern WebhookDelivery *webhook_in_flight_first(void **scan);
extern WebhookDelivery *webhook_in_flight_next(void **scan);

/*
 * To the ended ones; it is in no queue any more. Finally: it is the next one's
 * change. For a retry, and parked: it is in webhook.pending from now on, a head
 * due at "next_at", or, with 0, has_earlier_pending others.
 */
extern void webhook_delivery_end(WebhookDelivery *delivery, WebhookOutcome result,
								 WebhookRowChange row);
extern void webhook_delivery_end_and_promote(WebhookDelivery *delivery, WebhookOutcome result);
extern void webhook_delivery_retry(WebhookDelivery *delivery, TimestampTz next_at);
extern void webhook_delivery_defer(WebhookDelivery *delivery, TimestampTz next_at);

/*
 * What waits has_earlier_pending a head leaves memory for webhook.pending, or as cancelled,
 * and so does what comes later.
 */
extern void webhook_subject_evict_waiting(WebhookSubject *subject, bool cancel);

/* A ready delivery leaves memory without having been started. */
extern void webhook_delivery_evict(WebhookDelivery *delivery, bool cancel, TimestampTz now);

#endif							/* WEBHOOK_PLACE_H */
