/*
 * sender.c
 *	  Deliveries become POSTs, and answers come back to them.
 *
 * The engine is a library of its own, linked with libcurl, that only the
 * worker loads. It is given copies and gives values back, so that no memory of
 * PostgreSQL is in its hands, and it cannot throw. A message is made outside
 * of any transaction; if that fails, the delivery fails, not the worker.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "delivery/dispatch.h"
#include "message/message.h"
#include "subscription/subscription.h"
#include "worker/sender.h"

#define MAX_CONNECTIONS 5		/* times webhook.max_in_flight: more than are ever in flight */

static const WebhookHttpApi *api;
static WebhookHttp *http;
static MemoryContext message_context;
static WebhookCounters *counters;

static WebhookHttpOptions current_options(void);
static char *certificate_file(const char *name);
static bool has_room(void);
static bool start(WebhookDelivery *delivery, TimestampTz now);
static bool build(WebhookMessage *message, WebhookDelivery *delivery,
				  const WebhookSubscription *subscription, TimestampTz now);

void
webhook_sender_init(WebhookCounters *shared)
{
	typedef const WebhookHttpApi *(*Loader) (void);
	Loader		load;
	WebhookHttpOptions options = current_options();
	char		reason[256];

	counters = shared;
	load = (Loader) load_external_function("$libdir/webhook_http",
										   "webhook_http_load", true, NULL);
	api = load();
	http = api->create(&options, reason, sizeof(reason));
	if (http == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not start the HTTP engine: %s", reason)));
	message_context = AllocSetContextCreate(TopMemoryContext, "webhook message",
											ALLOCSET_DEFAULT_SIZES);
	ereport(DEBUG1,
			(errmsg_internal("webhook: using %s", api->version())));
}

void
webhook_sender_configure(void)
{
	WebhookHttpOptions options = current_options();
	char		reason[256];

	if (!api->configure(http, &options, reason, sizeof(reason)))
		ereport(LOG,
				(errmsg("webhook: the HTTP engine keeps its former settings: %s", reason)));
}

int
webhook_sender_descriptor(void)
{
	return api->descriptor(http);
}

long
webhook_sender_wait_ms(void)
{
	return api->wait_ms(http);
}

bool
webhook_sender_start(void)
{
	WebhookDelivery *delivery;
	TimestampTz now = GetCurrentTimestamp();
	uint64		started = 0;

	while (has_room() && (delivery = webhook_dispatch_next(now)) != NULL)
	{
		if (!start(delivery, now))
			break;
		started++;
	}
	if (started > 0)
		pg_atomic_fetch_add_u64(&counters->attempts, started);
	return started > 0;
}

void
webhook_sender_run(void)
{
	WebhookHttpTransfer *transfer;
	TimestampTz now = 0;

	api->run(http);
	while ((transfer = api->harvest(http)) != NULL)
	{
		if (now == 0)
			now = GetCurrentTimestamp();
		webhook_dispatch_finish(transfer->tag, transfer, now);
	}
}

void
webhook_sender_release(const WebhookHttpTransfer *transfer)
{
	api->release(http, unconstify(WebhookHttpTransfer *, transfer));
}

Size
webhook_sender_memory(void)
{
	return api->memory(http);
}

static WebhookHttpOptions
current_options(void)
{
	WebhookHttpOptions options = {0};

	options.max_connections = MAX_CONNECTIONS * webhook_max_in_flight;
	options.ca_file = webhook_ca_file;
	options.require_https = webhook_require_https;
	options.allowed_networks = webhook_allowed_networks;
	options.denied_networks = webhook_denied_networks;
	options.allowed_ports = webhook_allowed_ports;
	options.proxy = webhook_proxy;
	return options;
}

/*
 * The file of that name in webhook.certificate_directory, and of no other one,
 * whoever wrote the row; NULL for none, empty if there is no directory.
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

/* Copies of large events are bounded too; one at a time always goes. */
static bool
has_room(void)
{
	return api->in_flight(http) == 0 ||
		webhook_dispatch_usage()->memory + api->memory(http) < (Size) webhook_max_memory * 1024;
}

/* False: memory is out, try again later. */
static bool
start(WebhookDelivery *delivery, TimestampTz now)
{
	const WebhookSubscription *subscription;
	WebhookMessage message;
	WebhookHttpRequest request = {0};
	MemoryContext old;
	bool		started;

	subscription = webhook_subscription_get(delivery->entry.delivery.subscription_id);
	if (!build(&message, delivery, subscription, now))
		return true;

	old = MemoryContextSwitchTo(message_context);
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
	started = api->submit(http, &request, delivery) != NULL;
	MemoryContextReset(message_context);
	if (!started)
		webhook_dispatch_retry_later(delivery);
	return started;
}

/* False: it cannot be made, and the delivery has failed. */
static bool
build(WebhookMessage *message, WebhookDelivery *delivery,
	  const WebhookSubscription *subscription, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(message_context);
	volatile bool built = true;

	PG_TRY();
	{
		webhook_message_build(message, delivery->entry.delivery.event,
							  subscription, delivery->entry.delivery.attempt,
							  now);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(message_context);
		error = CopyErrorData();
		FlushErrorState();
		webhook_dispatch_reject(delivery, error->message);
		MemoryContextReset(message_context);
		built = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return built;
}
