/*
 * engine.c
 *	  libcurl and the endpoints, played: an answer is known when a POST starts,
 *	  and comes when the clock says so.
 *
 * It keeps the contract of http.h. The sender gets it by loading a library, so
 * the loader is played too; the message is not made, and
 * that of a subject that begins with "unmade" cannot be.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/pairingheap.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "delivery/delivery_internal.h"
#include "message/message.h"

#define TRANSFER_SIZE 1024		/* bytes that the engine says one takes */

struct WebhookHttp
{
	pairingheap *flying;
	int			in_flight;
	int			unreleased;
};

typedef struct Transfer
{
	WebhookHttpTransfer is;		/* first */
	pairingheap_node node;
	int64		ends;
	int			post;			/* number in webhook_clock_posts */
} Transfer;

/* What an endpoint answers from now on. */
typedef struct Endpoint
{
	int			count;
	WebhookClockAnswer *answers;
} Endpoint;

WebhookClockArray webhook_clock_posts;

static const WebhookClockAnswer usual = {200, WEBHOOK_HTTP_OK, false, false, 10000, -1, 0, 1};
static WebhookHttp engine;
static WebhookClockArray endpoints; /* by id of the subscription */

static const WebhookHttpApi *load(void);
static Endpoint *endpoint_of(int64 id);
static WebhookClockAnswer choose(int64 id);
static int	compare_ends(const pairingheap_node *a, const pairingheap_node *b, void *arg);

void
webhook_clock_answers(int64 id, const WebhookClockAnswer *answers, int count)
{
	Endpoint   *endpoint = endpoint_of(id);

	if (endpoint->answers != NULL)
		pfree(endpoint->answers);
	endpoint->count = count;
	endpoint->answers = MemoryContextAlloc(webhook_clock_context,
										   sizeof(WebhookClockAnswer) * (count + 1));
	memcpy(endpoint->answers, answers, sizeof(WebhookClockAnswer) * count);
}

int64
webhook_clock_next_answer(void)
{
	if (engine.flying == NULL || pairingheap_is_empty(engine.flying))
		return -1;
	return pairingheap_container(Transfer, node, pairingheap_first(engine.flying))->ends;
}

void
webhook_clock_forget_transfers(void)
{
	engine.in_flight = engine.unreleased = 0;
}

/* Called by the name of load_external_function. */
void *
webhook_clock_load(const char *filename, const char *funcname,
				   bool signal_not_found, void **filehandle)
{
	return (void *) load;
}

void
webhook_message_build(WebhookMessage *message, const WebhookEvent *event,
					  const WebhookSubscription *subscription, int attempt,
					  const char *challenge, TimestampTz now)
{
	if (event->subject != NULL && strncmp(event->subject, "unmade", strlen("unmade")) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("no message can be made of it")));
	memset(message, 0, sizeof(WebhookMessage));
	message->body = "";
}

static WebhookHttp *
create(const WebhookHttpOptions *options, char *reason, size_t size)
{
	MemoryContext old = MemoryContextSwitchTo(webhook_clock_context);

	engine.flying = pairingheap_allocate(compare_ends, NULL);
	MemoryContextSwitchTo(old);
	return &engine;
}

static WebhookHttpTransfer *
submit(WebhookHttp *http, const WebhookHttpRequest *request, void *tag)
{
	const WebhookDelivery *delivery = tag;
	const WebhookPending *row = &delivery->entry.delivery;
	WebhookClockAnswer answer = choose(row->subscription_id);
	Transfer   *transfer = MemoryContextAllocZero(webhook_clock_context, sizeof(Transfer));
	WebhookClockPost *post;
	const WebhookScheduler *scheduler = &webhook_clock_dispatcher->queues.scheduler;

	http->in_flight++;
	http->unreleased++;

	transfer->post = webhook_clock_posts.count;
	post = webhook_clock_add(&webhook_clock_posts, sizeof(WebhookClockPost));
	webhook_clock_work(1);
	post->at = webhook_clock_steady;
	post->ended = -1;
	post->subscription_id = row->subscription_id;
	post->subject = MemoryContextStrdup(webhook_clock_context,
										row->event->subject ? row->event->subject : "");
	post->position = row->position;
	post->cause = row->cause;
	post->attempt = row->attempt;
	post->step = row->step;
	post->probe = delivery->probe;
	post->new_connection = request->new_connection;
	post->slow = delivery->queue->scheduling.slow;
	post->in_flight = http->in_flight;
	post->fast_in_flight = scheduler->in_flight[false];
	post->status = answer.status;
	post->error = answer.error;

	if (answer.duration < 0 || answer.duration >= request->timeout_ms * INT64CONST(1000))
	{
		answer.duration = request->timeout_ms * INT64CONST(1000);
		answer.error = WEBHOOK_HTTP_TIMEOUT;
		answer.status = 0;
	}
	transfer->is.tag = tag;
	transfer->is.url = request->url;
	transfer->is.error = answer.error;
	transfer->is.status = answer.status;
	transfer->is.left_unanswered = answer.unanswered;
	transfer->is.retry_after = answer.retry_after;
	transfer->is.duration = answer.duration;
	transfer->is.response_body = answer.challenge ? " c0ffee\n" : "";
	transfer->is.response_length = strlen(transfer->is.response_body);
	/* As if a certificate had been made to forge lines of a log. */
	if (answer.error != WEBHOOK_HTTP_OK)
		snprintf(transfer->is.message, sizeof(transfer->is.message),
				 "%s\r\nLOG:  forged\033[2J", webhook_http_error_name(answer.error));
	transfer->ends = webhook_clock_steady + answer.duration;
	pairingheap_add(http->flying, &transfer->node);
	return &transfer->is;
}

static void
run(WebhookHttp *http)
{
}

static WebhookHttpTransfer *
harvest(WebhookHttp *http)
{
	int64		next = webhook_clock_next_answer();
	Transfer   *transfer;

	if (next < 0 || next > webhook_clock_steady)
		return NULL;
	transfer = pairingheap_container(Transfer, node, pairingheap_remove_first(http->flying));
	http->in_flight--;
	WEBHOOK_CLOCK_ITEM(webhook_clock_posts, WebhookClockPost, transfer->post)->ended =
		webhook_clock_steady;
	return &transfer->is;
}

static void
release(WebhookHttp *http, WebhookHttpTransfer *transfer)
{
	http->unreleased--;
	memset(transfer, 0x7f, sizeof(Transfer));
	pfree(transfer);
}

static int
in_flight(WebhookHttp *http)
{
	return http->in_flight;
}

static size_t
memory(WebhookHttp *http)
{
	return (size_t) http->unreleased * TRANSFER_SIZE;
}

/* Answers come by the clock: webhook_clock_next_answer(). */
static long
wait_ms(WebhookHttp *http)
{
	return -1;
}

static const char *
version(void)
{
	return "nothing";
}

static const WebhookHttpApi *
load(void)
{
	static const WebhookHttpApi api = {
		.shape = WEBHOOK_HTTP_SHAPE,
		.create = create,
		.submit = submit,
		.run = run,
		.harvest = harvest,
		.release = release,
		.in_flight = in_flight,
		.memory = memory,
		.wait_ms = wait_ms,
		.version = version,
	};

	return &api;
}

static Endpoint *
endpoint_of(int64 id)
{
	while (endpoints.count <= id)
		webhook_clock_add(&endpoints, sizeof(Endpoint));
	return WEBHOOK_CLOCK_ITEM(endpoints, Endpoint, id);
}

/* Those that are given so many times, one after the other; then by chance. */
static WebhookClockAnswer
choose(int64 id)
{
	Endpoint   *endpoint = endpoint_of(id);
	int			weights = 0;
	int			left;

	for (int i = 0; i < endpoint->count; i++)
	{
		WebhookClockAnswer *answer = &endpoint->answers[i];

		if (answer->times > 1)
		{
			answer->times--;
			return *answer;
		}
		if (answer->times == 1)
		{
			answer->times = -1;
			return *answer;
		}
		if (answer->times == 0)
			weights += answer->weight;
	}
	if (weights == 0)
		return usual;
	left = webhook_clock_chance(weights);
	for (int i = 0; i < endpoint->count; i++)
	{
		if (endpoint->answers[i].times != 0)
			continue;
		left -= endpoint->answers[i].weight;
		if (left < 0)
			return endpoint->answers[i];
	}
	return usual;
}

static int
compare_ends(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	const Transfer *x = pairingheap_const_container(Transfer, node, a);
	const Transfer *y = pairingheap_const_container(Transfer, node, b);

	if (x->ends != y->ends)
		return x->ends < y->ends ? 1 : -1;
	return x->post < y->post ? 1 : -1;
}
