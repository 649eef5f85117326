/*
 * operator.c
 *	  The operators, played: subscriptions and their options.
 *
 * It keeps the contract of subscription.h: a change is seen after the next reload
 * only, and a reload makes pointers to what it replaces invalid; that is overwritten, so
 * that a use of such a pointer fails. Events of type "all" go to
 * all subscriptions, those of a number to the subscription with that id.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "process/changes.h"
#include "ring/command.h"

/* A subscription as it is in the table. */
typedef struct Subscription
{
	WebhookSubscription is;
	bool		gone;
} Subscription;

/* A tenant with its caps, which are made anew for each change. */
typedef struct Tenant
{
	const char *name;
	WebhookCaps *caps;
} Tenant;

WebhookSlot webhook_clock_slot;
int64		webhook_clock_subscriptions_read;

static WebhookClockArray subscriptions; /* of Subscription; by id, from 1 on */
static WebhookClockArray tenants;	/* of Tenant */
static Subscription **copy;		/* the worker's copy of them; none is moved */
static int	copied;
static int64 changed_last;		/* the subscription that was; 0: none */

static void note_change(int64 id);
static bool is_tenants(const WebhookEvent *event, const WebhookSubscription *subscription);
static Subscription *copy_of(int64 id);
static void overwrite(Subscription *former);
static Subscription *find(int64 id);
static void set_tenant(WebhookSubscription *subscription, const char *name);
static void set_caps(const char *name, int max_in_flight, double rate_limit);
static WebhookSnapshot *begin_now(void);
static void end_waiting(int64 id);
static WebhookSchedule *parse_schedule(const char *value);

int64
webhook_clock_subscribe(void)
{
	Subscription *new = webhook_clock_add(&subscriptions, sizeof(Subscription));

	new->is.id = subscriptions.count;
	new->is.endpoint = "https://endpoint/";
	new->is.ordered = true;
	new->is.enabled = true;
	new->is.nsecrets = 1;
	new->is.max_age = 7 * USECS_PER_DAY;
	new->is.since = begin_now();
	note_change(new->is.id);
	return new->is.id;
}

void
webhook_clock_unsubscribe(int64 id)
{
	find(id)->gone = true;
	end_waiting(id);
}

int
webhook_clock_subscriptions(void)
{
	return subscriptions.count;
}

void
webhook_clock_alter(int64 id, const char *name, const char *value)
{
	WebhookSubscription *subscription = &find(id)->is;

	if (strcmp(name, "paused") == 0)
		subscription->paused = strcmp(value, "true") == 0;
	else if (strcmp(name, "fenced") == 0)
		subscription->fenced = strcmp(value, "true") == 0;
	else if (strcmp(name, "challenge") == 0)
	{
		/* A number that makes it another one; 0: none. */
		subscription->challenge = atoi(value) != 0 ? "c0ffee" : NULL;
		memset(&subscription->confirmation, atoi(value), UUID_LEN);
		subscription->challenged_at = webhook_clock_now();
	}
	else if (strcmp(name, "secrets") == 0)
		subscription->nsecrets = atoi(value);
	else if (strcmp(name, "ordered") == 0)
		subscription->ordered = strcmp(value, "true") == 0;
	else if (strcmp(name, "max_in_flight") == 0)
		subscription->max_in_flight = atoi(value);
	else if (strcmp(name, "rate_limit") == 0)
		subscription->rate_limit = atof(value);
	else if (strcmp(name, "tenant") == 0)
		set_tenant(subscription, value);
	else if (strcmp(name, "tenant_max_in_flight") == 0)
		set_caps(subscription->tenant, atoi(value), subscription->caps->rate_limit);
	else if (strcmp(name, "tenant_rate_limit") == 0)
		set_caps(subscription->tenant, subscription->caps->max_in_flight, atof(value));
	else if (strcmp(name, "timeout") == 0)
		subscription->timeout_ms = atoi(value);
	else if (strcmp(name, "retry_schedule") == 0)
		subscription->schedule = parse_schedule(value);
	else if (strcmp(name, "max_age") == 0)
		subscription->max_age = strtoll(value, NULL, 10) * USECS_PER_SEC;
	else if (strcmp(name, "final_status") == 0)
	{
		int		   *status = MemoryContextAlloc(webhook_clock_context, sizeof(int));

		*status = atoi(value);
		subscription->final_statuses = status;
		subscription->nfinal = 1;
	}
	else if (strcmp(name, "enabled") == 0)
	{
		subscription->enabled = strcmp(value, "true") == 0;
		if (subscription->enabled)
			subscription->since = begin_now();
		else
			end_waiting(id);
	}
	else
		elog(ERROR, "no option \"%s\"", name);
	note_change(id);
	if (strncmp(name, "tenant", strlen("tenant")) == 0)
		pg_atomic_fetch_or_u32(&webhook_clock_slot.changed, WEBHOOK_CHANGED_ALL);
}

const char *
webhook_clock_tenant(int64 id)
{
	return find(id)->is.tenant;
}

void
webhook_clock_tell_change(FullTransactionId txid)
{
	if (changed_last != 0)
		webhook_changes_tell(&webhook_clock_slot, txid, &changed_last, 1);
}

void
webhook_subscription_reload(void)
{
	Subscription **former = copy;
	int			count = copied;

	webhook_clock_subscriptions_read += subscriptions.count;
	copied = subscriptions.count;
	copy = MemoryContextAllocZero(webhook_clock_context,
								  sizeof(Subscription *) * (copied + 1));
	for (int i = 0; i < copied; i++)
		copy[i] = copy_of(i + 1);
	for (int i = 0; i < count; i++)
		overwrite(former[i]);
	if (former != NULL)
		pfree(former);
}

/* What is to fail fails on the way, too. */
bool
webhook_subscription_reload_some(const int64 *ids, int count)
{
	webhook_clock_subscriptions_read += count;
	if (copied < subscriptions.count)
	{
		copy = copy == NULL ?
			MemoryContextAllocZero(webhook_clock_context,
								   sizeof(Subscription *) * subscriptions.count) :
			repalloc_huge(copy, sizeof(Subscription *) * subscriptions.count);
		memset(&copy[copied], 0, sizeof(Subscription *) * (subscriptions.count - copied));
		copied = subscriptions.count;
	}
	for (int i = 0; i < count; i++)
	{
		if (webhook_clock_chance(1000000) < webhook_clock_failing_reads)
			elog(ERROR, "the disk is full");
		overwrite(copy[ids[i] - 1]);
		copy[ids[i] - 1] = copy_of(ids[i]);
	}
	return true;
}

const WebhookSubscription *
webhook_subscription_get(int64 id)
{
	return id < 1 || id > copied || copy[id - 1] == NULL || copy[id - 1]->gone ? NULL :
		&copy[id - 1]->is;
}

void
webhook_subscription_match(WebhookMatch *match, const WebhookEvent *event)
{
	match->event = event;
	match->next = 0;
}

/* None is new, see webhook_subscription_new(). */
void
webhook_subscription_match_new(WebhookMatch *match, const WebhookEvent *event,
							   const WebhookSnapshot *since)
{
	elog(ERROR, "no subscription is new");
}

const WebhookSubscription *
webhook_subscription_match_next(WebhookMatch *match)
{
	const WebhookEvent *event = match->event;
	const WebhookSubscription *subscription;

	while ((subscription = webhook_subscription_next_enabled(&match->next)) != NULL)
	{
		if (webhook_subscription_is_to(subscription, event->event_type) &&
			is_tenants(event, subscription) &&
			!webhook_snapshot_sees(subscription->since, event->txid))
			return subscription;
	}
	return NULL;
}

const WebhookSubscription *
webhook_subscription_next_enabled(int *cursor)
{
	while (*cursor < copied)
	{
		const WebhookSubscription *subscription = webhook_subscription_get(++*cursor);

		if (subscription != NULL && subscription->enabled)
			return subscription;
	}
	return NULL;
}

bool
webhook_subscription_is_to(const WebhookSubscription *subscription, const char *event_type)
{
	int64		wanted = strtoll(event_type, NULL, 10);

	return subscription->enabled && (wanted == 0 || wanted == subscription->id);
}

const WebhookSubscription **
webhook_subscription_new(int *count)
{
	*count = 0;
	return NULL;
}

void
webhook_subscription_clear_new(void)
{
}

int
webhook_subscription_count_matches(const WebhookEvent *event)
{
	return strtoll(event->event_type, NULL, 10) != 0 ? 1 : copied;
}

bool
webhook_subscription_sends(const WebhookSubscription *subscription)
{
	return !subscription->paused && !subscription->fenced && subscription->nsecrets > 0;
}

bool
webhook_subscription_any_fenced(void)
{
	return false;
}

WebhookSlot *
webhook_shmem_my_slot(void)
{
	return &webhook_clock_slot;
}

/* Nobody has a filter. */
bool
webhook_filter_accepts(WebhookFilter *filter, const WebhookEvent *event,
					   bool *filter_errors)
{
	return true;
}

void
webhook_filter_reset(void)
{
}

/* A transaction that has ended has changed the subscription. */
static void
note_change(int64 id)
{
	changed_last = id;
	webhook_changes_tell(&webhook_clock_slot, FirstNormalFullTransactionId, &id, 1);
	pg_atomic_fetch_or_u32(&webhook_clock_slot.changed, WEBHOOK_CHANGED_SOME);
}

/* An event of a tenant goes to it and to the platform, one without to the platform alone. */
static bool
is_tenants(const WebhookEvent *event, const WebhookSubscription *subscription)
{
	return subscription->tenant == NULL ||
		(event->tenant != NULL && strcmp(event->tenant, subscription->tenant) == 0);
}

static Subscription *
copy_of(int64 id)
{
	Subscription *result = MemoryContextAlloc(webhook_clock_context, sizeof(Subscription));

	*result = *find(id);
	return result;
}

/* NULL: it was not read yet. */
static void
overwrite(Subscription *former)
{
	if (former == NULL)
		return;
	memset(former, 0x7f, sizeof(Subscription));
	pfree(former);
}

static Subscription *
find(int64 id)
{
	if (id < 1 || id > subscriptions.count)
		elog(ERROR, "no subscription " INT64_FORMAT, id);
	return WEBHOOK_CLOCK_ITEM(subscriptions, Subscription, id - 1);
}

/* The tenant is made if need be. */
static void
set_tenant(WebhookSubscription *subscription, const char *name)
{
	subscription->tenant = MemoryContextStrdup(webhook_clock_context, name);
	for (int i = 0; i < tenants.count; i++)
	{
		const Tenant *tenant = WEBHOOK_CLOCK_ITEM(tenants, Tenant, i);

		if (strcmp(tenant->name, name) == 0)
		{
			subscription->caps = tenant->caps;
			return;
		}
	}
	((Tenant *) webhook_clock_add(&tenants, sizeof(Tenant)))->name = subscription->tenant;
	set_caps(name, 0, 0);
	subscription->caps = WEBHOOK_CLOCK_ITEM(tenants, Tenant, tenants.count - 1)->caps;
}

/* Other caps for a tenant. */
static void
set_caps(const char *name, int max_in_flight, double rate_limit)
{
	WebhookCaps *caps = MemoryContextAllocZero(webhook_clock_context, sizeof(WebhookCaps));

	caps->max_in_flight = max_in_flight;
	caps->rate_limit = rate_limit;
	for (int i = 0; i < tenants.count; i++)
	{
		Tenant	   *tenant = WEBHOOK_CLOCK_ITEM(tenants, Tenant, i);

		if (strcmp(tenant->name, name) == 0)
			tenant->caps = caps;
	}
	for (int i = 0; i < subscriptions.count; i++)
	{
		WebhookSubscription *subscription =
			&WEBHOOK_CLOCK_ITEM(subscriptions, Subscription, i)->is;

		if (subscription->tenant != NULL && strcmp(subscription->tenant, name) == 0)
			subscription->caps = caps;
	}
}

/* Whatever is committed from now on. */
static WebhookSnapshot *
begin_now(void)
{
	MemoryContext old = MemoryContextSwitchTo(webhook_clock_context);
	WebhookSnapshot *since = webhook_snapshot_empty();

	since->xmin = since->xmax = webhook_clock_next_xid();
	MemoryContextSwitchTo(old);
	return since;
}

/* The command that comes with unsubscribing and disabling. */
static void
end_waiting(int64 id)
{
	WebhookCommand command = {0};
	WebhookEventTexts texts = {0};
	MemoryContext old = MemoryContextSwitchTo(webhook_clock_context);
	WebhookEvent *row;
	char	   *data;

	command.subscription_id = id;
	data = webhook_command_form(&command);
	texts.data = webhook_text(data);
	row = webhook_event_make(&texts);
	row->kind = WEBHOOK_END;
	MemoryContextSwitchTo(old);
	webhook_clock_commit(row, webhook_clock_steady);
	note_change(id);
}

/* Seconds, with blanks between. */
static WebhookSchedule *
parse_schedule(const char *value)
{
	WebhookSchedule *schedule = MemoryContextAlloc(webhook_clock_context,
												   sizeof(WebhookSchedule) +
												   sizeof(int) * strlen(value));
	char	   *end;

	schedule->count = 0;
	for (long seconds = strtol(value, &end, 10); end != value; seconds = strtol(value, &end, 10))
	{
		schedule->seconds[schedule->count++] = (int) seconds;
		value = end;
	}
	return schedule;
}
