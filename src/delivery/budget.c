/*
 * budget.c
 *	  Limits on memory: for reading events, loading due rows, starting POSTs.
 *
 * Reading and loading may use half of webhook.max_memory, sending all of it,
 * so what was read can always be sent. Each queue may hold its share of what is
 * read, loading is bounded by the rows that are loaded, so neither starves the
 * other, and no queue takes the room of others. One request at a time can
 * always be sent, however large its event is.
 *
 * Where there are several tenants, each has its part of queued deliveries and of
 * loaded rows, and the last quarter of the memory for reading is for those that have
 * less than their part of it.
 */
#include "postgres.h"

#include "base/guc.h"
#include "delivery/budget_internal.h"

/* Queued deliveries of all queues: enough to keep all requests going until more are read. */
#define MAX_QUEUED 1000

/* With more deliveries queued than this, one that cannot start soon leaves memory. */
#define MAX_QUEUED_LONG (MAX_QUEUED / 2)

/* Deliveries whose results are not written yet: eight groups of the writer. */
#define MAX_UNFLUSHED 4000

/* Deliveries queued and unflushed while nothing can be written. */
#define MAX_BLOCKED 32

/* Rows of pending in memory that are not in flight. */
#define MAX_LOADED 500

static bool has_memory(const WebhookDispatcher *dispatcher, Size engine,
					   const WebhookTenant *tenant);
static int	tenants(const WebhookDispatcher *dispatcher);

bool
webhook_budget_read(const WebhookDispatcher *dispatcher, bool blocked)
{
	const WebhookUsage *usage = &dispatcher->usage;

	return usage->unflushed < MAX_UNFLUSHED &&
		(!blocked || usage->queued + usage->unflushed < MAX_BLOCKED);
}

/* What a queue does not keep in memory goes on to pending, or ends: it waits for nothing. */
bool
webhook_budget_offer(WebhookDispatcher *dispatcher, Size engine, int64 subscription_id)
{
	const WebhookUsage *usage = &dispatcher->usage;
	const WebhookQueue *queue = hash_search(dispatcher->queues.table, &subscription_id,
											HASH_FIND, NULL);

	if (!has_memory(dispatcher, engine, queue == NULL ? NULL : queue->tenant))
		return usage->queued + usage->in_flight + usage->unflushed == 0;
	return queue == NULL ||
		queue->queued < Max(webhook_budget_share(dispatcher, queue->tenant), queue->limit) ||
		!webhook_queue_capacity(&dispatcher->queues, queue).arrivals;
}

int
webhook_budget_load(const WebhookDispatcher *dispatcher, Size engine)
{
	long		waiting = hash_get_num_entries(dispatcher->rows) - dispatcher->rows_in_flight;

	return has_memory(dispatcher, engine, NULL) ? Max(MAX_LOADED - waiting, 0) : 0;
}

int
webhook_budget_load_behind(int room)
{
	return Max(room - MAX_LOADED / 2, 0);
}

bool
webhook_budget_send(const WebhookDispatcher *dispatcher, Size engine, int in_flight)
{
	return in_flight == 0 ||
		dispatcher->usage.memory + engine < (Size) webhook_max_memory * 1024;
}

bool
webhook_budget_is_scarce(const WebhookDispatcher *dispatcher)
{
	return dispatcher->usage.queued > MAX_QUEUED_LONG;
}

int
webhook_budget_share(const WebhookDispatcher *dispatcher, const WebhookTenant *tenant)
{
	return MAX_QUEUED / tenants(dispatcher) / (tenant->scheduling.nbusy + 1);
}

bool
webhook_budget_is_loaded(const WebhookDispatcher *dispatcher, const WebhookTenant *tenant,
						 TimestampTz now)
{
	return tenant->not_before.at > now ||
		(dispatcher->queues.scheduler.ngroups > 1 &&
		 tenant->rows >= MAX_LOADED / tenants(dispatcher));
}

/* Returns true if more may be read or loaded, for a tenant or (NULL) whomever. */
static bool
has_memory(const WebhookDispatcher *dispatcher, Size engine, const WebhookTenant *tenant)
{
	Size		most = (Size) webhook_max_memory * 1024 / 2;

	if (tenant != NULL && dispatcher->queues.scheduler.ngroups > 1 &&
		tenant->memory >= most / tenants(dispatcher))
		most -= most / 4;
	return dispatcher->usage.memory + engine < most;
}

/* The number of parts for tenants: of the busy ones, and of one more if there are several. */
static int
tenants(const WebhookDispatcher *dispatcher)
{
	const WebhookScheduler *scheduler = &dispatcher->queues.scheduler;

	return scheduler->ngroups <= 1 ? 1 : Max(scheduler->nbusy[false], scheduler->nbusy[true]) + 1;
}
