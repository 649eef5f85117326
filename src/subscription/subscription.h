/*
 * subscription.h
 *	  Who wants what: the worker's copy of webhook.subscription.
 */
#ifndef WEBHOOK_SUBSCRIPTION_H
#define WEBHOOK_SUBSCRIPTION_H

#include "base/guc.h"
#include "base/snapshot.h"
#include "http/http.h"
#include "ring/event.h"
#include "subscription/filter.h"

/* What the body of a call is: column "payload_format". */
typedef enum WebhookPayloadFormat
{
	WEBHOOK_ENVELOPE,			/* Id, WebhookEvent, Attempt, Data, ... */
	WEBHOOK_RAW,				/* Data alone */
	WEBHOOK_STANDARD,			/* type, timestamp, data: Standard Webhooks */
} WebhookPayloadFormat;

/* A secret that was live when it was read. */
typedef struct WebhookSecret
{
	const char *text;			/* whsec_..., the key of the abp scheme */
	const uint8 *key;			/* decoded, the key of Standard Webhooks */
	int			key_length;
	TimestampTz until;			/* when it ends; DT_NOEND: never */
} WebhookSecret;

typedef struct WebhookSubscription
{
	int64		id;
	const char *endpoint;		/* canonical */
	int			nevents;
	const char **events;		/* names, "prefix.*" or "*" */
	WebhookFilter *filter;		/* NULL: all of them */
	int			nheaders;
	const WebhookHttpHeader *headers;
	int			nsecrets;		/* newest first */
	const WebhookSecret *secrets;
	bool		sign_abp;
	WebhookPayloadFormat payload_format;
	bool		ordered;		/* within a subject */
	int			max_in_flight;	/* 0: as webhook.max_in_flight_per_subscription */
	double		rate_limit;		/* calls a second; 0: none */
	int			timeout_ms;		/* 0: as webhook.timeout */
	const WebhookSchedule *schedule;	/* NULL: webhook.retry_schedule */
	int64		max_age;		/* microseconds */
	int			nfinal;
	const int  *final_statuses; /* that end a delivery as failed */
	bool		enabled;
	bool		paused;
	bool		fenced;			/* its home is not here */
	bool		is_new;			/* made or enabled, and what had been read meanwhile is still to be
								 * read for it */
	const WebhookSnapshot *since;
	const char *ca;				/* file of webhook.certificate_directory */
	const char *client_certificate; /* such a file too; NULL: none */
} WebhookSubscription;

/*
 * Read all subscriptions anew, in a transaction with an active snapshot; the
 * former ones become invalid, pointers to them too. Rehomes subscriptions
 * that pg_upgrade moved, told by the home that the checkpoint carries (NULL:
 * there is no checkpoint).
 */
extern void webhook_subscription_reload(const char *checkpoint_home);

/* The subscription, or NULL: it is gone. Valid until the next reload. */
extern const WebhookSubscription *webhook_subscription_get(int64 id);

/*
 * The subscriptions that an event goes to unless their filter refuses it, one
 * call each until NULL: enabled, of its type, their "since" not seeing it.
 * "cursor" starts at 0.
 */
extern const WebhookSubscription *webhook_subscription_match(const WebhookEvent *event,
															 int *cursor);

/* How many subscriptions have events of a type, whatever their filters say. */
extern int	webhook_subscription_count_matches(const char *event_type);

/* May a delivery to it be started: not paused, not fenced? */
extern bool webhook_subscription_sends(const WebhookSubscription *subscription);

/*
 * The earliest "since" of those that are is_new, until they are said to be no
 * longer; NULL: none is. Valid until the next reload.
 */
extern const WebhookSnapshot *webhook_subscription_catch_up_since(void);
extern void webhook_subscription_clear_new(void);

/* Is any fenced? */
extern bool webhook_subscription_any_fenced(void);

#endif							/* WEBHOOK_SUBSCRIPTION_H */
