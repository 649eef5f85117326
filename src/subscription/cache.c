/*
 * cache.c
 *	  Who wants what: the worker's copy of webhook_internal.subscription, and of what
 *	  webhook_internal.tenant says that tenants may get.
 *
 * The tables are written by people and only read by the worker, all rows at
 * once after each change. Changes are rare, and matching an event needs no
 * look-up in a table then. Each copy has a memory context of its own. A new copy
 * replaces the old one when it is complete, so that an error on the way leaves
 * the old one in use.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/catalog.h"
#include "subscription/row_internal.h"

/* Some subscriptions, in order of id. */
typedef struct WebhookSubscribers
{
	int			count;
	int			size;			/* number of elements that are allocated */
	const WebhookSubscription **subscriptions;
} Subscribers;

/* A tenant that has subscriptions. */
typedef struct TenantEntry
{
	char		name[WEBHOOK_MAX_TENANT + 1];	/* hash key; empty: the platform */
	int			number;			/* of the entry; 0: the platform's */
	WebhookCaps caps;			/* zeros for the platform, and for one that is not defined */
	Subscribers patterns;		/* those of its subscriptions that have a pattern */
} TenantEntry;

typedef struct TypeKey
{
	int			tenant;			/* number of its entry */
	char		name[WEBHOOK_MAX_EVENT_TYPE + 1];	/* of the type; zeros behind it */
} TypeKey;

/* The enabled subscriptions of one tenant to one event type. */
typedef struct TypeEntry
{
	TypeKey		key;			/* hash key */
	Subscribers subscribers;
	bool		complete;		/* those that match by a pattern are included, and the tenant may
								 * have the type */
} TypeEntry;

typedef struct IdEntry
{
	int64		id;				/* hash key */
	WebhookSubscription *subscription;
} IdEntry;

/* All subscriptions, as they were read at one time. */
typedef struct Copy
{
	MemoryContext context;		/* memory of the copy */
	HTAB	   *by_id;			/* of IdEntry */
	HTAB	   *by_tenant;		/* of TenantEntry */
	const TenantEntry *platform;	/* its entry there, which each event needs */
	HTAB	   *by_type;		/* of TypeEntry */
	TypeEntry  *last;			/* that was found last: often the next event's; NULL: none yet */
	Subscribers enabled;		/* enabled subscriptions */
	bool		any_fenced;
	const WebhookSnapshot *catch_up_since;	/* earliest start snapshot of those that are is_new;
											 * NULL: none is */
} Copy;

static struct
{
	Copy	   *current;		/* the latest complete copy; NULL: none so far */
}			cache;

static Copy *read_copy(MemoryContext context);
static void read_caps(Copy *copy);
static bool is_new(const WebhookSubscription *subscription);
static void add_events(Copy *copy, WebhookSubscription *subscription);
static TenantEntry *enter_tenant(Copy *copy, const char *name);
static TypeEntry *enter_type(Copy *copy, const TenantEntry *tenant, const char *name);
static void add_to(MemoryContext context, Subscribers *subscribers,
				   const WebhookSubscription *subscription);
static const TenantEntry *find_tenant(const Copy *copy, const char *name);
static const Subscribers *find_subscribers(Copy *copy, const TenantEntry *owner,
										   const char *event_type);
static void complete_type(Copy *copy, const TenantEntry *tenant, TypeEntry *entry);
static void set_key(TypeKey *key, const TenantEntry *tenant, const char *name);
static bool includes(const char **names, int count, bool patterns, const char *event_type);

void
webhook_subscription_reload(void)
{
	MemoryContext context;
	Copy	   *copy;

	context = AllocSetContextCreate(CurrentMemoryContext,
									"webhook subscriptions",
									ALLOCSET_DEFAULT_SIZES);
	copy = read_copy(context);

	MemoryContextSetParent(context, TopMemoryContext);
	if (cache.current != NULL)
		MemoryContextDelete(cache.current->context);
	cache.current = copy;
}

const WebhookSubscription *
webhook_subscription_get(int64 id)
{
	IdEntry    *entry;

	if (cache.current == NULL)
		return NULL;
	entry = hash_search(cache.current->by_id, &id, HASH_FIND, NULL);
	return entry ? entry->subscription : NULL;
}

void
webhook_subscription_match(WebhookMatch *match, const WebhookEvent *event)
{
	Copy	   *copy = cache.current;

	memset(match, 0, sizeof(WebhookMatch));
	match->event = event;
	if (copy == NULL)
		return;
	if (event->kind != WEBHOOK_EVENT_OF_TENANT)
		match->lists[0] = find_subscribers(copy, copy->platform, event->event_type);
	/* An empty text, which no tenant's name is, must not become the platform. */
	if (event->kind != WEBHOOK_EVENT_OF_PLATFORM &&
		event->tenant != NULL && event->tenant[0] != '\0')
		match->lists[1] = find_subscribers(copy, find_tenant(copy, event->tenant),
										   event->event_type);
}

const WebhookSubscription *
webhook_subscription_match_next(WebhookMatch *match)
{
	while (match->list < lengthof(match->lists))
	{
		const Subscribers *subscribers = match->lists[match->list];

		while (subscribers != NULL && match->next < subscribers->count)
		{
			const WebhookSubscription *subscription =
				subscribers->subscriptions[match->next++];

			if (!webhook_snapshot_sees(subscription->since, match->event->txid))
				return subscription;
		}
		match->list++;
		match->next = 0;
	}
	return NULL;
}

const WebhookSubscription *
webhook_subscription_of_type(const char *event_type, int *cursor)
{
	if (cache.current == NULL)
		return NULL;
	while (*cursor < cache.current->enabled.count)
	{
		const WebhookSubscription *subscription =
			cache.current->enabled.subscriptions[(*cursor)++];

		if (event_type == NULL || webhook_subscription_is_to(subscription, event_type))
			return subscription;
	}
	return NULL;
}

bool
webhook_subscription_is_to(const WebhookSubscription *subscription, const char *event_type)
{
	const WebhookCaps *caps = subscription->caps;

	if (!subscription->enabled ||
		!includes(subscription->events, subscription->nevents, false, event_type))
		return false;
	return subscription->tenant == NULL ||
		(caps != NULL && includes(caps->events, caps->nevents, false, event_type));
}

int
webhook_subscription_count_matches(const WebhookEvent *event)
{
	WebhookMatch match;
	int			count = 0;

	webhook_subscription_match(&match, event);
	for (int i = 0; i < lengthof(match.lists); i++)
		count += match.lists[i] != NULL ? match.lists[i]->count : 0;
	return count;
}

bool
webhook_subscription_sends(const WebhookSubscription *subscription)
{
	return !subscription->paused && !subscription->fenced && subscription->nsecrets > 0;
}

const WebhookSnapshot *
webhook_subscription_catch_up_since(void)
{
	return cache.current ? cache.current->catch_up_since : NULL;
}

void
webhook_subscription_clear_new(void)
{
	HASH_SEQ_STATUS scan;
	IdEntry    *entry;

	if (cache.current == NULL || cache.current->catch_up_since == NULL)
		return;
	cache.current->catch_up_since = NULL;
	hash_seq_init(&scan, cache.current->by_id);
	while ((entry = hash_seq_search(&scan)) != NULL)
		entry->subscription->is_new = false;
}

bool
webhook_subscription_any_fenced(void)
{
	return cache.current && cache.current->any_fenced;
}

/* Read all subscriptions into a context, which belongs to the caller until this returns. */
static Copy *
read_copy(MemoryContext context)
{
	MemoryContext old;
	Copy	   *copy = MemoryContextAllocZero(context, sizeof(Copy));
	WebhookSubscription **subscriptions;
	HASHCTL		control = {0};

	copy->context = context;
	control.hcxt = context;
	control.keysize = sizeof(int64);
	control.entrysize = sizeof(IdEntry);
	copy->by_id = hash_create("webhook subscriptions by id", 64, &control,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	control.keysize = WEBHOOK_MAX_TENANT + 1;
	control.entrysize = sizeof(TenantEntry);
	copy->by_tenant = hash_create("webhook tenants", 64, &control,
								  HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	copy->platform = enter_tenant(copy, "");
	control.keysize = sizeof(TypeKey);
	control.entrysize = sizeof(TypeEntry);
	copy->by_type = hash_create("webhook subscriptions by event type", 64, &control,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	/* All secrets are sorted at once: a sort for each subscription would cost most of the time. */
	if (SPI_execute("SELECT s.id, s.tenant, s.endpoint, s.events, s.headers,"
					" s.signature_schemes, s.filter, s.payload_format, s.include_context,"
					" s.log_bodies, s.ordered,"
					" s.max_in_flight, s.rate_limit, s.timeout,"
					" s.retry_schedule, s.max_age, s.final_statuses,"
					" s.ca, s.client_certificate,"
					" s.enabled, s.paused, s.since, s.home,"
					" s.confirmation, s.challenge, s.challenged_at,"
					" COALESCE(x.secrets, '{}') AS secrets,"
					" COALESCE(x.ends, '{}') AS secret_ends"
					" FROM webhook_internal.subscription s LEFT JOIN"
					" (SELECT z.subscription_id,"
					"         pg_catalog.array_agg(z.secret) AS secrets,"
					"         pg_catalog.array_agg(z.expires_at) AS ends"
					"  FROM (SELECT y.subscription_id, y.secret, y.expires_at"
					"        FROM webhook_internal.subscription_secret y"
					"        WHERE y.expires_at IS NULL"
					"        OR y.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()"
					"        ORDER BY y.subscription_id, y.id DESC) z"
					"  GROUP BY z.subscription_id) x"
					" ON x.subscription_id OPERATOR(pg_catalog.=) s.id"
					" ORDER BY s.id",
					false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read webhook_internal.subscription");

	old = MemoryContextSwitchTo(context);
	subscriptions = webhook_subscription_read_rows(SPI_tuptable, SPI_processed);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		WebhookSubscription *subscription = subscriptions[i];
		IdEntry    *entry;

		entry = hash_search(copy->by_id, &subscription->id, HASH_ENTER, NULL);
		entry->subscription = subscription;
		add_events(copy, subscription);
		copy->any_fenced |= subscription->fenced;
		subscription->is_new = is_new(subscription);
		if (subscription->is_new &&
			(copy->catch_up_since == NULL ||
			 FullTransactionIdPrecedes(subscription->since->xmax, copy->catch_up_since->xmax)))
			copy->catch_up_since = subscription->since;
	}
	MemoryContextSwitchTo(old);
	read_caps(copy);
	SPI_finish();
	return copy;
}

/*
 * Read what the tenants of the subscriptions may have: after the subscriptions, so that
 * each tenant of one of them, which was defined before it, is found.
 */
static void
read_caps(Copy *copy)
{
	MemoryContext old;

	if (hash_get_num_entries(copy->by_tenant) == 1)
		return;
	if (SPI_execute("SELECT name, events, max_in_flight, rate_limit FROM webhook_internal.tenant",
					false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read webhook_internal.tenant");
	old = MemoryContextSwitchTo(copy->context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		WebhookCaps caps;
		const char *name = webhook_tenant_read_row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
												   &caps);
		TenantEntry *entry = strlen(name) > WEBHOOK_MAX_TENANT ? NULL :
			hash_search(copy->by_tenant, name, HASH_FIND, NULL);

		if (entry != NULL && entry->number != 0)
			entry->caps = caps;
	}
	MemoryContextSwitchTo(old);
}

/*
 * Returns true if events that were read before have to be read for a
 * subscription: the copy so far does not have it, or not with this start snapshot,
 * which enabling it renews.
 */
static bool
is_new(const WebhookSubscription *subscription)
{
	const WebhookSubscription *before = webhook_subscription_get(subscription->id);

	return cache.current != NULL && subscription->enabled && !subscription->fenced &&
		(before == NULL || before->is_new ||
		 !webhook_snapshot_equal(before->since, subscription->since));
}

static void
add_events(Copy *copy, WebhookSubscription *subscription)
{
	TenantEntry *tenant;

	/* No tenant has a longer name, and none an empty one. */
	if (subscription->tenant != NULL &&
		(subscription->tenant[0] == '\0' || strlen(subscription->tenant) > WEBHOOK_MAX_TENANT))
		return;
	tenant = enter_tenant(copy, subscription->tenant != NULL ? subscription->tenant : "");
	if (subscription->tenant != NULL)
		subscription->caps = &tenant->caps;
	if (!subscription->enabled)
		return;
	add_to(copy->context, &copy->enabled, subscription);
	for (int i = 0; i < subscription->nevents; i++)
	{
		const char *name = subscription->events[i];

		/* No event type has a longer name. */
		if (strlen(name) > WEBHOOK_MAX_EVENT_TYPE)
			continue;
		if (webhook_pattern_is(name, strlen(name)))
			add_to(copy->context, &tenant->patterns, subscription);
		else
			add_to(copy->context, &enter_type(copy, tenant, name)->subscribers, subscription);
	}
}

/* The entry of a tenant, made if there is none; that of the platform is the first. */
static TenantEntry *
enter_tenant(Copy *copy, const char *name)
{
	bool		found;
	TenantEntry *entry = hash_search(copy->by_tenant, name, HASH_ENTER, &found);

	if (!found)
	{
		entry->number = hash_get_num_entries(copy->by_tenant) - 1;
		memset(&entry->caps, 0, sizeof(WebhookCaps));
		memset(&entry->patterns, 0, sizeof(Subscribers));
	}
	return entry;
}

/* The entry of a tenant's event type, made if there is none. */
static TypeEntry *
enter_type(Copy *copy, const TenantEntry *tenant, const char *name)
{
	TypeKey		key;
	bool		found;
	TypeEntry  *entry;

	set_key(&key, tenant, name);
	entry = hash_search(copy->by_type, &key, HASH_ENTER, &found);
	if (!found)
	{
		memset(&entry->subscribers, 0, sizeof(Subscribers));
		entry->complete = false;
	}
	return entry;
}

static void
set_key(TypeKey *key, const TenantEntry *tenant, const char *name)
{
	memset(key, 0, sizeof(TypeKey));
	key->tenant = tenant->number;
	strlcpy(key->name, name, sizeof(key->name));
}

/* Add a subscription, unless it is the last one there already. */
static void
add_to(MemoryContext context, Subscribers *subscribers,
	   const WebhookSubscription *subscription)
{
	if (subscribers->count > 0 &&
		subscribers->subscriptions[subscribers->count - 1] == subscription)
		return;
	if (subscribers->size == 0)
	{
		subscribers->size = 4;
		subscribers->subscriptions = MemoryContextAlloc(context,
														sizeof(void *) * subscribers->size);
	}
	else if (subscribers->count == subscribers->size)
	{
		subscribers->size *= 2;
		subscribers->subscriptions = repalloc(subscribers->subscriptions,
											  sizeof(void *) * subscribers->size);
	}
	subscribers->subscriptions[subscribers->count++] = subscription;
}

/* The entry of a tenant that has subscriptions; NULL: there is none of that name. */
static const TenantEntry *
find_tenant(const Copy *copy, const char *name)
{
	/* No tenant has a longer name, which would be found cut off. */
	if (strlen(name) > WEBHOOK_MAX_TENANT)
		return NULL;
	return hash_search(copy->by_tenant, name, HASH_FIND, NULL);
}

/*
 * The subscriptions of a tenant, or (NULL) of nobody, that name an event type or match it
 * by a pattern, in order of id; NULL: there is none.
 */
static const Subscribers *
find_subscribers(Copy *copy, const TenantEntry *owner, const char *event_type)
{
	TypeEntry  *entry;

	/* No event type has a longer name, which would be found cut off. */
	if (owner == NULL || strlen(event_type) > WEBHOOK_MAX_EVENT_TYPE)
		return NULL;
	if (copy->last != NULL && copy->last->key.tenant == owner->number &&
		strcmp(copy->last->key.name, event_type) == 0)
		return &copy->last->subscribers;
	if (owner->patterns.count == 0)
	{
		TypeKey		key;

		set_key(&key, owner, event_type);
		entry = hash_search(copy->by_type, &key, HASH_FIND, NULL);
		if (entry == NULL)
			return NULL;
	}
	else
		entry = enter_type(copy, owner, event_type);
	if (!entry->complete)
		complete_type(copy, owner, entry);
	copy->last = entry;
	return &entry->subscribers;
}

/*
 * When the first event of the type comes, add those that match by a pattern; leave none
 * if the tenant may not get the type.
 */
static void
complete_type(Copy *copy, const TenantEntry *tenant, TypeEntry *entry)
{
	Subscribers named = entry->subscribers;
	Subscribers all = {0};
	int			next = 0;

	if (tenant->number != 0 &&
		!includes(tenant->caps.events, tenant->caps.nevents, false, entry->key.name))
	{
		entry->subscribers.count = 0;
		entry->complete = true;
		return;
	}

	/* An error on the way leaves the entry as it was. */
	for (int i = 0; i < tenant->patterns.count; i++)
	{
		const WebhookSubscription *other = tenant->patterns.subscriptions[i];

		if (!includes(other->events, other->nevents, true, entry->key.name))
			continue;
		while (next < named.count && named.subscriptions[next]->id < other->id)
			add_to(copy->context, &all, named.subscriptions[next++]);
		if (next < named.count && named.subscriptions[next] == other)
			next++;
		add_to(copy->context, &all, other);
	}
	while (next < named.count)
		add_to(copy->context, &all, named.subscriptions[next++]);
	entry->subscribers = all;
	entry->complete = true;
}

/* Returns true if one of some names and patterns, or of the patterns alone, includes a type. */
static bool
includes(const char **names, int count, bool patterns, const char *event_type)
{
	size_t		type_length = strlen(event_type);

	for (int i = 0; i < count; i++)
	{
		size_t		length = strlen(names[i]);

		if ((!patterns || webhook_pattern_is(names[i], length)) &&
			webhook_pattern_includes(names[i], length, event_type, type_length))
			return true;
	}
	return false;
}
