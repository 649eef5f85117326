/*
 * matcher_internal.h
 *	  Which subscriptions get an event.
 */
#ifndef WEBHOOK_MATCHER_INTERNAL_H
#define WEBHOOK_MATCHER_INTERNAL_H

#include "nodes/pg_list.h"

#include "delivery/delivery.h"

/* What matching has found; its lists are in CurrentMemoryContext. */
typedef struct WebhookMatches
{
	WebhookDispatcher *dispatcher;
	bool		recovering;		/* deliveries may have been handled before a crash */
	List	   *offers;			/* of WebhookOffer *; their events are those that were given */
	List	   *filter_errors;	/* of int64 *: subscriptions whose filter has failed */
} WebhookMatches;

/*
 * Add an offer for each subscription that takes the event. The second function does so for
 * those alone that were made or enabled since subscriptions were read before, and have the
 * start snapshot "since" or a later one. In a transaction.
 */
extern void webhook_matcher_add_event(WebhookMatches *matches, WebhookEvent *event);
extern void webhook_matcher_add_event_again(WebhookMatches *matches, WebhookEvent *event,
											const WebhookSnapshot *since);

/*
 * Add the offer of an event to a subscription that was found to take it, unless the
 * subscription is another tenant's by now.
 */
extern void webhook_matcher_add_delivery(WebhookMatches *matches, WebhookEvent *event,
										 int64 subscription_id);

/* Add an offer for the subscription that a replay command names, if it is there. */
extern void webhook_matcher_add_replay(WebhookMatches *matches, const WebhookEvent *row);

#endif							/* WEBHOOK_MATCHER_INTERNAL_H */
