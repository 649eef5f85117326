/*
 * sender.c
 *	  Starts the POSTs of deliveries and brings their results back.
 *
 * The engine is a library of its own, linked with libcurl, that only the worker
 * loads. It copies what it is given, so that it holds no memory of PostgreSQL,
 * and it cannot raise errors. A message is built outside of any transaction. If
 * that fails for a reason that is the event's own, the delivery fails; otherwise
 * it waits a moment, and the worker goes on.
 *
 * While the process has no descriptor or memory left for another connection, no
 * more requests are in flight than there were when it ran out; each second, more
 * are tried. While it has no local port for a receiver, that receiver waits. What
 * was tried in vain is no attempt.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "message/message.h"
#include "subscription/subscription.h"
#include "worker/sender_internal.h"

#define MAX_CONNECTIONS 5		/* times webhook.max_in_flight: more than are ever in flight */
#define CONNECTION_SECONDS 300	/* so that a name that leads elsewhere is followed */
#define PIECE 2					/* requests that are started at once */
#define SHORTAGE_INTERVAL USECS_PER_SEC /* until more requests are tried */
#define WARNING_INTERVAL USECS_PER_MINUTE	/* between two warnings of a shortage */

#define BUILD_PAUSE USECS_PER_SEC	/* after a message could not be built */
#define REPORT_INTERVAL (60 * USECS_PER_SEC)	/* between reports of that */

static struct
{
	WebhookDispatcher *dispatcher;
	WebhookCounters *counters;
	const WebhookHttpApi *api;	/* the functions of the engine's library */
	WebhookHttp *http;			/* the engine */
	MemoryContext message_context;	/* of one message while it is started */

	int			limit;			/* requests in flight, while resources are short; -1: no limit */
	TimestampTz limited_at;		/* when the limit was last set */
	TimestampTz warned_at;		/* when that was last told; 0: never */
	bool		stops;			/* nothing is started any more */
	TimestampTz reported_at;	/* when a message that could not be built was last reported */
}			sender;

static void require_shape(const WebhookHttpShape *found);
static WebhookHttpOptions current_options(void);
static char *certificate_file(const char *name);
static bool may_start(TimestampTz now);
static void take_unsent(WebhookHttpTransfer *transfer, TimestampTz now);
static void take_without_port(WebhookHttpTransfer *transfer, TimestampTz now);
static void release_unsent(WebhookHttpTransfer *transfer);
static bool may_say(TimestampTz *said_at, int64 interval, TimestampTz now);
static bool start(WebhookDelivery *delivery, TimestampTz now);
static bool is_own(int sqlerrcode);
static void report_postponed(const ErrorData *error, const WebhookSubscription *subscription,
							 TimestampTz now);
static bool build(WebhookMessage *message, WebhookDelivery *delivery,
				  const WebhookSubscription *subscription, TimestampTz now);

void
webhook_sender_init(WebhookDispatcher *dispatcher, WebhookCounters *counters)
{
	typedef const WebhookHttpApi *(*Loader) (void);
	Loader		load;
	WebhookHttpOptions options = current_options();
	char		reason[256];

	memset(&sender, 0, sizeof(sender));
	sender.dispatcher = dispatcher;
	sender.counters = counters;
	sender.limit = -1;
	load = (Loader) load_external_function("$libdir/webhook_http",
										   "webhook_http_api", true, NULL);
	sender.api = load();
	require_shape(&sender.api->shape);
	sender.http = sender.api->create(&options, reason, sizeof(reason));
	if (sender.http == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not start the HTTP engine: %s", reason)));
	sender.message_context = AllocSetContextCreate(TopMemoryContext, "webhook message",
												   ALLOCSET_DEFAULT_SIZES);
}

const char *
webhook_sender_version(void)
{
	return sender.api->version();
}

/* Raise an error if the engine's library is not the one that this one was built with. */
static void
require_shape(const WebhookHttpShape *found)
{
	static const WebhookHttpShape wanted = WEBHOOK_HTTP_SHAPE;

	if (memcmp(found, &wanted, sizeof(wanted)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("library \"%s\" does not fit the library \"%s\" that the server has loaded",
						"webhook_http", "webhook"),
				 errdetail("The libraries were replaced while the server was running; events wait."),
				 errhint("Restart the server.")));
}

void
webhook_sender_configure(void)
{
	WebhookHttpOptions options = current_options();
	char		reason[256];

	if (!sender.api->configure(sender.http, &options, reason, sizeof(reason)))
		ereport(LOG,
				(errmsg("HTTP engine of webhook keeps its former settings: %s", reason)));
}

int
webhook_sender_descriptor(void)
{
	return sender.api->descriptor(sender.http);
}

long
webhook_sender_wait_ms(void)
{
	return sender.api->wait_ms(sender.http);
}

bool
webhook_sender_start(void)
{
	WebhookDelivery *delivery;
	TimestampTz now = GetCurrentTimestamp();
	uint64		started = 0;

	while (started < PIECE && may_start(now) &&
		   webhook_budget_send(sender.dispatcher, webhook_sender_memory(),
							   sender.api->in_flight(sender.http)) &&
		   (delivery = webhook_dispatch_next(sender.dispatcher, now)) != NULL)
	{
		if (!start(delivery, now))
			break;
		started++;
	}
	if (started > 0)
		webhook_counter_add(&sender.counters->attempts, started);
	return started > 0;
}

bool
webhook_sender_run(void)
{
	WebhookHttpTransfer *transfer;
	TimestampTz now = 0;

	sender.api->run(sender.http);
	while ((transfer = sender.api->harvest(sender.http)) != NULL)
	{
		if (now == 0)
			now = GetCurrentTimestamp();
		if (transfer->error == WEBHOOK_HTTP_UNSENT)
			take_unsent(transfer, now);
		else if (transfer->error == WEBHOOK_HTTP_NO_PORT)
			take_without_port(transfer, now);
		else
			webhook_dispatch_finish(sender.dispatcher, transfer->tag, transfer, now);
	}
	return now != 0;
}

void
webhook_sender_break_off(void)
{
	sender.stops = true;
	sender.api->break_off(sender.http);
	(void) webhook_sender_run();
}

void
webhook_sender_release(const WebhookHttpTransfer *transfer)
{
	sender.api->release(sender.http, unconstify(WebhookHttpTransfer *, transfer));
}

Size
webhook_sender_memory(void)
{
	return sender.api->memory(sender.http);
}

static WebhookHttpOptions
current_options(void)
{
	WebhookHttpOptions options = {0};

	options.max_connections = MAX_CONNECTIONS * webhook_max_in_flight;
	options.connection_seconds = CONNECTION_SECONDS;
	options.ca_file = webhook_ca_file;
	options.require_https = webhook_require_https;
	options.allowed_networks = webhook_allowed_networks;
	options.denied_networks = webhook_denied_networks;
	options.allowed_ports = webhook_allowed_ports;
	options.proxy = webhook_proxy;
	options.no_proxy = webhook_no_proxy;
	return options;
}

/* Returns true unless resources are short; a clock may be set back. */
static bool
may_start(TimestampTz now)
{
	if (sender.limit < 0)
		return true;
	if (now - sender.limited_at >= SHORTAGE_INTERVAL || now < sender.limited_at)
	{
		sender.limit = sender.limit * 2 + 8;
		sender.limited_at = now;
		if (sender.limit > 2 * webhook_max_in_flight)
			sender.limit = -1;
	}
	return sender.limit < 0 || sender.api->in_flight(sender.http) < sender.limit;
}

/* No request has left: the delivery is ready again. Resources are short, or the worker stops. */
static void
take_unsent(WebhookHttpTransfer *transfer, TimestampTz now)
{
	webhook_dispatch_retry_later(sender.dispatcher, transfer->tag, now);
	if (!sender.stops)
	{
		sender.limit = sender.api->in_flight(sender.http);
		sender.limited_at = now;
		if (may_say(&sender.warned_at, WARNING_INTERVAL, now))
			ereport(WARNING,
					(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					 errmsg("webhook has no resources for more requests at present"),
					 errdetail("The last request failed before it was sent: %s.",
							   transfer->message),
					 errhint("Raise the operating system's limit of open files for the server, or lower \"webhook.max_in_flight\".")));
	}
	release_unsent(transfer);
}

/*
 * The same where local ports are short. Each receiver has ports of its own, so
 * nobody else has to wait.
 */
static void
take_without_port(WebhookHttpTransfer *transfer, TimestampTz now)
{
	webhook_dispatch_postpone(sender.dispatcher, transfer->tag, now + SHORTAGE_INTERVAL, now);
	if (!sender.stops && may_say(&sender.warned_at, WARNING_INTERVAL, now))
		ereport(WARNING,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("webhook has no local port for another connection to a receiver at present"),
				 errdetail("The receiver has the address %s.", transfer->peer_ip),
				 errhint("Let the receiver keep its connections open, or widen the operating system's range of local ports.")));
	release_unsent(transfer);
}

static void
release_unsent(WebhookHttpTransfer *transfer)
{
	webhook_counter_add(&sender.counters->attempts, -1);
	sender.api->release(sender.http, transfer);
}

/* Returns true at most once per interval; a clock may be set back. */
static bool
may_say(TimestampTz *said_at, int64 interval, TimestampTz now)
{
	if (*said_at != 0 && now >= *said_at && now - *said_at < interval)
		return false;
	*said_at = now;
	return true;
}

/*
 * The path of a file in webhook.certificate_directory, and in no other one,
 * whatever is in the row. NULL if no file is named, empty if the directory is not set.
 */
static char *
certificate_file(const char *name)
{
	if (name == NULL)
		return NULL;
	if (webhook_certificate_directory[0] == '\0' || strchr(name, '/') != NULL)
		return "";
	return psprintf("%s/%s", webhook_certificate_directory, name);
}

/* Returns false if the engine has no memory for the POST: it is tried again later. */
static bool
start(WebhookDelivery *delivery, TimestampTz now)
{
	const WebhookSubscription *subscription = webhook_delivery_subscription(delivery);
	WebhookMessage message;
	WebhookHttpRequest request = {0};
	MemoryContext old;
	bool		started;

	if (!build(&message, delivery, subscription, now))
		return true;

	old = MemoryContextSwitchTo(sender.message_context);
	request.ca = certificate_file(subscription->ca);
	request.client_certificate = certificate_file(subscription->client_certificate);
	MemoryContextSwitchTo(old);
	request.url = subscription->endpoint;
	request.nheaders = message.nheaders;
	request.headers = message.headers;
	request.body = message.body;
	request.body_length = message.body_length;
	request.timeout_ms = subscription->timeout_ms > 0 ?
		subscription->timeout_ms : webhook_timeout;
	request.connect_timeout_ms = webhook_connect_timeout;
	request.new_connection = webhook_delivery_needs_new_connection(delivery);
	started = sender.api->submit(sender.http, &request, delivery) != NULL;
	MemoryContextReset(sender.message_context);
	if (!started)
		webhook_dispatch_retry_later(sender.dispatcher, delivery, now);
	return started;
}

/* Returns false if the message could not be built: then the delivery has failed, or waits. */
static bool
build(WebhookMessage *message, WebhookDelivery *delivery,
	  const WebhookSubscription *subscription, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(sender.message_context);
	volatile bool built = true;

	PG_TRY();
	{
		webhook_message_build(message, delivery->entry.delivery.event,
							  subscription, delivery->entry.delivery.attempt,
							  delivery->entry.delivery.cause == WEBHOOK_CAUSE_CONFIRM ?
							  subscription->challenge : NULL,
							  now);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(sender.message_context);
		error = CopyErrorData();
		FlushErrorState();
		if (is_own(error->sqlerrcode))
			webhook_dispatch_reject(sender.dispatcher, delivery, error->message);
		else
		{
			report_postponed(error, subscription, now);
			webhook_dispatch_postpone(sender.dispatcher, delivery, now + BUILD_PAUSE, now);
		}
		MemoryContextReset(sender.message_context);
		built = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return built;
}

/* Returns true for an error that the same event will raise again: a matter of its data. */
static bool
is_own(int sqlerrcode)
{
	return ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_DATA_EXCEPTION ||
		ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_PROGRAM_LIMIT_EXCEEDED;
}

/* Say in the server's log, now and then, why a POST is not made at present. */
static void
report_postponed(const ErrorData *error, const WebhookSubscription *subscription, TimestampTz now)
{
	if (!may_say(&sender.reported_at, REPORT_INTERVAL, now))
		return;
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("could not make a request to webhook subscription %lld: %s",
					(long long) subscription->id, error->message),
			 errdetail("It is tried again.")));
}
