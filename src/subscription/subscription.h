/*
 * subscription.h
 *	  Who wants what: the worker's copy of webhook_internal.subscription, content
 *	  filters, signing secrets, and the settings that say where may be sent to.
 */
#ifndef WEBHOOK_SUBSCRIPTION_H
#define WEBHOOK_SUBSCRIPTION_H

#include "base/guc.h"
#include "base/snapshot.h"
#include "net/header.h"
#include "ring/event.h"

/* What the body of a request is: column "payload_format". */
typedef enum WebhookPayloadFormat
{
	WEBHOOK_ENVELOPE,			/* Id, WebhookEvent, Attempt, Data, CreationTimeUtc */
	WEBHOOK_RAW,				/* Data alone */
	WEBHOOK_STANDARD,			/* type, timestamp, data, as in Standard Webhooks */
} WebhookPayloadFormat;

/* A signing secret that was live when the subscription was read. */
typedef struct WebhookSecret
{
	const char *text;			/* which as a whole is the key of the abp scheme */
	const uint8 *key;			/* the key of Standard Webhooks: see secret.c */
	int			key_length;
	TimestampTz until;			/* when the secret expires; DT_NOEND: never */
} WebhookSecret;

typedef struct WebhookFilter WebhookFilter;

/* What all subscriptions of a tenant together may have; no event if it is not defined. */
typedef struct WebhookCaps
{
	int			nevents;
	const char **events;		/* names of event types, "prefix.*" or "*" that it may get */
	int			max_in_flight;	/* 0: no limit of its own */
	double		rate_limit;		/* requests a second; 0: no limit */
} WebhookCaps;

typedef struct WebhookSubscription
{
	int64		id;
	const char *tenant;			/* that it belongs to; NULL: the platform itself */
	const WebhookCaps *caps;	/* of its tenant; NULL: it is the platform's */
	const char *endpoint;		/* URL in canonical form */
	int			nevents;
	const char **events;		/* names of event types, "prefix.*" or "*" */
	WebhookFilter *filter;		/* NULL: every event passes */
	int			nheaders;
	const WebhookHttpHeader *headers;
	int			nsecrets;
	const WebhookSecret *secrets;	/* newest first */
	bool		sign_abp;		/* add the signature of the abp scheme */
	WebhookPayloadFormat payload_format;
	bool		include_context;	/* the envelope has the event's context */
	bool		has_log_bodies; /* the next field is set; false: webhook.log_bodies counts */
	WebhookLogBodies log_bodies;
	bool		ordered;		/* deliver the events of a subject one after the other */
	int			max_in_flight;	/* 0: webhook.max_in_flight_per_subscription */
	double		rate_limit;		/* requests a second; 0: no limit */
	int			timeout_ms;		/* 0: webhook.timeout */
	const WebhookSchedule *schedule;	/* NULL: webhook.retry_schedule */
	int64		max_age;		/* microseconds after which a delivery fails */
	int			nfinal;
	const int  *final_statuses; /* HTTP statuses after which a delivery fails at once */
	bool		enabled;
	bool		paused;
	bool		fenced;			/* its home is not this database, see home.c */
	const char *challenge;		/* that the endpoint has to answer before it gets events; NULL:
								 * it need not; empty: it cannot be asked */
	pg_uuid_t	confirmation;	/* Id of the event that asks for it */
	TimestampTz challenged_at;	/* when that was made */
	bool		is_new;			/* it was created or enabled, and events read before are still to
								 * be read for it */
	const WebhookSnapshot *since;	/* the subscription gets the events that this does not see */
	const char *ca;				/* file in webhook.certificate_directory; NULL: none */
	const char *client_certificate; /* file in webhook.certificate_directory; NULL: none */
} WebhookSubscription;

/*
 * The worker's copy of the subscriptions: cache.c
 */

/*
 * Read all subscriptions, in a transaction with an active snapshot. Pointers
 * to subscriptions returned before become invalid.
 */
extern void webhook_subscription_reload(void);

/*
 * The same for some subscriptions, which may have come or gone, too: what is not among them
 * stays as it is, and pointers to it stay valid. Returns false, and has changed nothing, if all
 * have to be read: none were read so far, one is fenced, or many were read in this way. After
 * an error all have to be read, too: some of them may have been replaced.
 */
extern bool webhook_subscription_reload_some(const int64 *ids, int count);

/* The subscription with an id, valid until the next reload; NULL: there is none. */
extern const WebhookSubscription *webhook_subscription_get(int64 id);

/* A walk over the subscriptions that get an event; its fields are for cache.c alone. */
typedef struct WebhookMatch
{
	const WebhookEvent *event;
	const struct WebhookSubscribers *lists[2];	/* the platform's, and its tenant's; or new ones */
	const WebhookSnapshot *since;	/* the earliest start snapshot of new ones; NULL: not only
									 * these */
	int			list;
	int			next;
} WebhookMatch;

/*
 * The subscriptions that get an event unless their filter refuses it: enabled
 * ones of its type, of its tenant or of the platform as its kind says, whose
 * start snapshot does not see it. A tenant gets the types that it is allowed now; one
 * that is not defined gets nothing. The first function begins the walk, each call of
 * webhook_subscription_match_next() returns one of them, and NULL at the end.
 */
extern void webhook_subscription_match(WebhookMatch *match, const WebhookEvent *event);

/* The same for those alone that are is_new and have this start snapshot or a later one. */
extern void webhook_subscription_match_new(WebhookMatch *match, const WebhookEvent *event,
										   const WebhookSnapshot *since);
extern const WebhookSubscription *webhook_subscription_match_next(WebhookMatch *match);

/* Enabled subscriptions, one a call and NULL at the end. The cursor is 0 at the begin. */
extern const WebhookSubscription *webhook_subscription_next_enabled(int *cursor);

/* Returns true if the subscription is enabled, and it and its tenant take this event type. */
extern bool webhook_subscription_is_to(const WebhookSubscription *subscription,
									   const char *event_type);

/* The number of enabled subscriptions to an event, whatever their filters and start snapshots. */
extern int	webhook_subscription_count_matches(const WebhookEvent *event);

/* Returns true if a delivery may be started: neither paused nor fenced, and with a secret. */
extern bool webhook_subscription_sends(const WebhookSubscription *subscription);

/*
 * The subscriptions that are is_new, by their start snapshots, the earliest first: an array in
 * CurrentMemoryContext, and their number. They are valid until the next reload. The second
 * function ends is_new for all.
 */
extern const WebhookSubscription **webhook_subscription_new(int *count);
extern void webhook_subscription_clear_new(void);

/* Returns true if there is any subscription; if any is fenced. */
extern bool webhook_subscription_any(void);
extern bool webhook_subscription_any_fenced(void);

/*
 * Names and patterns of event types: pattern.c
 */

/* Event types that begin so are the extension's own. */
#define WEBHOOK_OWN_PREFIX "webhook."

/* Returns true if an event type is one of the extension's own. */
extern bool webhook_pattern_is_own(const char *name, size_t length);

/* Returns true for "prefix.*" and "*". */
extern bool webhook_pattern_is(const char *text, size_t length);

/*
 * Returns true if the event type is one of a pattern, which may be a name, too; if the
 * second text is a pattern, if the first includes all of it. What begins with "webhook."
 * is in no pattern.
 */
extern bool webhook_pattern_includes(const char *pattern, size_t length,
									 const char *name, size_t name_length);

/*
 * Where subscriptions are at home: home.c. In a transaction.
 */

/*
 * Subscriptions whose home is "from", fenced or not, get this database as their
 * home; those that are fenced stay so. Returns their number.
 */
extern uint64 webhook_subscription_move_home(const char *from);

/*
 * Fence the subscriptions of this database, which is in a copy of the data
 * directory with that id. Returns their number.
 */
extern uint64 webhook_subscription_fence(const char *directory);

/*
 * Returns true if a subscription was ever made, though it may be gone: here, or in the
 * database whose dump was restored here, once all data of that is there.
 */
extern bool webhook_subscription_any_ever(void);

/*
 * Content filters, a predicate on an event's Data in SQL/JSON path language:
 * filter.c, filter_check.c
 */

/*
 * A filter from a value of type jsonpath, in CurrentMemoryContext. NULL for the
 * path "true", which every event passes.
 */
extern WebhookFilter *webhook_filter_make(Datum path);

/*
 * Returns true if an event passes a filter. A filter has no
 * answer, which counts as false, if jsonb refuses the Data, if the path yields
 * neither true nor false, if it multiplies or divides and the Data have a
 * number of more than 1,000 digits, if it takes too much time, or if it is false
 * of Data with RecordOmitted, since it might be true of the Record; *no_answer
 * becomes true then. Needs a transaction.
 *
 * The Data of one event are converted once for all calls in a row.
 * webhook_filter_reset() forgets them, and has to be called before the event is
 * freed.
 */
extern bool webhook_filter_accepts(WebhookFilter *filter,
								   const WebhookEvent *event, bool *no_answer);
extern void webhook_filter_reset(void);

/* Raise an error if a value of type jsonpath is not allowed as a filter. */
extern void webhook_filter_check(Datum path);

/*
 * Signing secrets: "whsec_" and the base64 of a key, or "whs_" and a text, which
 * as a whole is the key: secret.c
 */

#define WEBHOOK_SECRET_PREFIX	"whsec_"
#define WEBHOOK_ABP_SECRET_PREFIX "whs_"

/* Bytes of a key, as Standard Webhooks 1.0.0 allows. */
#define WEBHOOK_MIN_KEY			24
#define WEBHOOK_MAX_KEY			64

/*
 * Decode the key of a secret into a buffer of WEBHOOK_MAX_KEY bytes. Returns
 * the length of the key; -1 if the text is no secret.
 */
extern int	webhook_secret_decode(const char *secret, uint8 *key);

/* Returns true if the text begins as a secret of ASP.NET Boilerplate does. */
extern bool webhook_secret_is_abp(const char *secret);

/* A new secret of 32 random bytes, in CurrentMemoryContext. */
extern char *webhook_secret_generate(void);

/*
 * Settings that say where this server may send to: guard.c
 */

extern bool webhook_require_https;
extern char *webhook_allowed_networks;
extern char *webhook_denied_networks;
extern char *webhook_allowed_ports;
extern char *webhook_proxy;
extern char *webhook_no_proxy;
extern char *webhook_certificate_directory;

/* Define these settings; called once by _PG_init. */
extern void webhook_guard_init(void);

/*
 * Raise an error if the settings do not allow an endpoint, as far as its text
 * tells: its scheme, its port, and its host if that is an address.
 */
extern void webhook_guard_check_endpoint(const char *canonical);

#endif							/* WEBHOOK_SUBSCRIPTION_H */
