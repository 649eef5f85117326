/*
 * transitions_internal.h
 *	  The states of a delivery in memory, and its ways from one to another. Each
 *	  keeps the order within its subject. webhook_queue_update() has to follow for
 *	  its queue, once for all changes.
 */
#ifndef WEBHOOK_TRANSITIONS_INTERNAL_H
#define WEBHOOK_TRANSITIONS_INTERNAL_H

#include "delivery/delivery_internal.h"

/* A delivery in no state yet; takes over the row's reference to its event. */
extern WebhookDelivery *webhook_delivery_create(WebhookDispatcher *dispatcher,
												const WebhookPending *row, bool stored,
												WebhookBatch *batch, TimestampTz now);

/* Returns true if this row of pending is in memory. */
extern bool webhook_row_is_loaded(const WebhookDispatcher *dispatcher, int64 subscription_id,
								  int64 position, int64 id);

/* Ready: the head of its subject, in its queue. Unset: in no state. */
extern void webhook_delivery_set_ready(WebhookDispatcher *dispatcher, WebhookDelivery *delivery);
extern void webhook_delivery_unset_ready(WebhookDispatcher *dispatcher,
										 WebhookDelivery *delivery);

/* Waiting: behind the head of its subject. Unset: in no state. */
extern void webhook_delivery_set_waiting(WebhookDispatcher *dispatcher,
										 WebhookDelivery *delivery);
extern void webhook_delivery_unset_waiting(WebhookDispatcher *dispatcher,
										   WebhookDelivery *delivery);

/* Returns true if it has waited for so many microseconds. */
extern bool webhook_delivery_has_waited(const WebhookDelivery *delivery, int64 limit,
										TimestampTz now);

/* In flight: its POST is under way. Done: in no state. */
extern void webhook_delivery_set_in_flight(WebhookDispatcher *dispatcher,
										   WebhookDelivery *delivery, TimestampTz now);
extern void webhook_delivery_set_done(WebhookDispatcher *dispatcher, WebhookDelivery *delivery);

/* The oldest one in flight that has not been found to be slow, or NULL; find it slow. */
extern WebhookDelivery *webhook_in_flight_oldest(WebhookDispatcher *dispatcher);
extern void webhook_delivery_mark_slow(WebhookDispatcher *dispatcher, WebhookDelivery *delivery);

/*
 * Ended: to be flushed.
 *	_end			as "outcome" says; "change" is what becomes of its row in pending
 *	_end_and_promote	the same, its row deleted; the next one of its subject becomes ready
 *	_retry			a head in pending, due at "next_at"
 *	_defer			in pending, a head due at "next_at" or, if 0, behind others
 */
extern void webhook_delivery_end(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
								 WebhookOutcome outcome, WebhookRowChange change);
extern void webhook_delivery_end_and_promote(WebhookDispatcher *dispatcher,
											 WebhookDelivery *delivery,
											 WebhookOutcome outcome);
extern void webhook_delivery_retry(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
								   TimestampTz next_at);
extern void webhook_delivery_defer(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
								   TimestampTz next_at);

/*
 * What waits behind the head of a subject moves to pending, or ends as
 * cancelled; later arrivals go to pending, too.
 */
extern void webhook_subject_evict_waiting(WebhookDispatcher *dispatcher,
										  WebhookSubject *subject, bool cancel);

/* A ready delivery leaves memory for pending, or ends as cancelled. */
extern void webhook_delivery_evict(WebhookDispatcher *dispatcher, WebhookDelivery *delivery,
								   bool cancel, TimestampTz now);

#endif							/* WEBHOOK_TRANSITIONS_INTERNAL_H */
