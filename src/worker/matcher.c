/*
 * matcher.c
 *	  Which subscriptions get an event.
 *
 * An event goes to each enabled subscription of its type, and of its tenant or the
 * platform, whose start snapshot does not see it and whose filter accepts it. A
 * replay goes to the one subscription that it names, whatever that one takes, but
 * never to another tenant's.
 *
 * What a call asks for, a replay or what came before a new subscription was known, may
 * have been erased in the meantime: then it ends without being sent. Of all else erasures.c
 * knows.
 *
 * During recovery each delivery is looked up in the log and in pending: what is
 * there was handled before the crash.
 */
#include "postgres.h"

#include "ring/command.h"
#include "worker/matcher_internal.h"

/* An event may have been logged while the clock was wrong by less than this. */
#define LOG_MARGIN USECS_PER_DAY

static void add_matching(WebhookMatches *matches, WebhookEvent *event, WebhookMatch *match);
static void add_delivery(WebhookMatches *matches, WebhookEvent *event, int64 subscription_id,
						 bool of_tenant);
static bool accepts(WebhookMatches *matches, const WebhookSubscription *subscription,
					const WebhookEvent *event);
static bool may_have(const WebhookSubscription *subscription, const WebhookEvent *row);
static bool add_offer(WebhookMatches *matches, WebhookOffer *offer);

void
webhook_matcher_add_event(WebhookMatches *matches, WebhookEvent *event)
{
	WebhookMatch match;

	webhook_subscription_match(&match, event);
	add_matching(matches, event, &match);
}

void
webhook_matcher_add_event_again(WebhookMatches *matches, WebhookEvent *event,
								const WebhookSnapshot *since)
{
	int			first = list_length(matches->offers);
	WebhookMatch match;
	bool		erased;

	webhook_subscription_match_new(&match, event, since);
	add_matching(matches, event, &match);
	if (list_length(matches->offers) == first)
		return;
	erased = webhook_is_erased(event->subject, event->id, event->txid);
	for (int i = first; i < list_length(matches->offers); i++)
		((WebhookOffer *) list_nth(matches->offers, i))->erased = erased;
}

void
webhook_matcher_add_delivery(WebhookMatches *matches, WebhookEvent *event, int64 subscription_id)
{
	const WebhookSubscription *subscription = webhook_subscription_get(subscription_id);

	if (subscription == NULL || may_have(subscription, event))
		add_delivery(matches, event, subscription_id,
					 subscription != NULL && subscription->tenant != NULL);
}

/* Add an offer for each subscription that a walk finds. */
static void
add_matching(WebhookMatches *matches, WebhookEvent *event, WebhookMatch *match)
{
	const WebhookSubscription *subscription;

	while ((subscription = webhook_subscription_match_next(match)) != NULL)
	{
		if (webhook_queue_takes(matches->dispatcher, subscription) &&
			accepts(matches, subscription, event))
			add_delivery(matches, event, subscription->id, subscription->tenant != NULL);
	}
}

static void
add_delivery(WebhookMatches *matches, WebhookEvent *event, int64 subscription_id, bool of_tenant)
{
	WebhookOffer offer = {0};

	offer.event = event;
	offer.subscription_id = subscription_id;
	offer.of_tenant = of_tenant;
	offer.position = event->id;
	offer.cause = WEBHOOK_CAUSE_EVENT;
	offer.caused_at = event->created_at;
	(void) add_offer(matches, &offer);
}

/* How many attempts the delivery had before, the log alone knows. */
void
webhook_matcher_add_replay(WebhookMatches *matches, const WebhookEvent *row)
{
	const WebhookSubscription *subscription;
	WebhookOffer offer = {0};
	WebhookCommand command;

	if (!webhook_command_parse(row, &command))
		return;
	subscription = webhook_subscription_get(command.subscription_id);
	if (subscription == NULL || !may_have(subscription, row))
		return;
	offer.event = webhook_command_event(row, &command);
	offer.subscription_id = command.subscription_id;
	offer.position = row->id;
	offer.cause = command.cause;
	offer.caused_at = row->created_at;
	offer.of_tenant = subscription->tenant != NULL;
	offer.erased = webhook_is_erased(row->subject, command.id, command.txid);
	if (!add_offer(matches, &offer))
		webhook_event_release(offer.event);
}

/* An event that the filter fails on is not sent. */
static bool
accepts(WebhookMatches *matches, const WebhookSubscription *subscription,
		const WebhookEvent *event)
{
	bool		failed = false;
	bool		accepted;

	if (subscription->filter == NULL)
		return true;
	accepted = webhook_filter_accepts(subscription->filter, event, &failed);
	if (failed)
	{
		int64	   *id = palloc(sizeof(int64));

		*id = subscription->id;
		matches->filter_errors = lappend(matches->filter_errors, id);
	}
	return accepted;
}

/*
 * Returns false if an event, or the replay of one, is not the subscription's tenant's. A
 * subscription keeps its tenant for good, but somebody may have changed it by hand.
 */
static bool
may_have(const WebhookSubscription *subscription, const WebhookEvent *row)
{
	return subscription->tenant == NULL ||
		(row->tenant != NULL && strcmp(subscription->tenant, row->tenant) == 0);
}

/* Returns false if log or pending shows that this delivery was handled before a crash. */
static bool
add_offer(WebhookMatches *matches, WebhookOffer *offer)
{
	const WebhookEvent *event = offer->event;
	WebhookOffer *kept;

	if ((matches->recovering || offer->cause == WEBHOOK_CAUSE_RESEND ||
		 offer->cause == WEBHOOK_CAUSE_RECOVER || offer->cause == WEBHOOK_CAUSE_DISMISS) &&
		webhook_log_knows(offer->subscription_id, offer->position, event,
						  event->created_at - LOG_MARGIN, &offer->attempts))
		return false;
	offer->has_earlier_pending =
		webhook_dispatch_must_check_pending(matches->dispatcher, offer->subscription_id,
											event->subject) &&
		webhook_pending_has_subject(offer->subscription_id, event->subject);
	kept = palloc(sizeof(WebhookOffer));
	*kept = *offer;
	matches->offers = lappend(matches->offers, kept);
	return true;
}
