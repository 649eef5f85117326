/*
 * cache.c
 *	  Who wants what: the worker's copy of webhook_internal.subscription, and of what
 *	  webhook_internal.tenant says that tenants may get.
 *
 * The tables are written by people and only read by the worker, which keeps all
 * subscriptions: matching an event needs no look-up in a table then. All rows are read at
 * once, or those that have changed. A new copy replaces the old one when it is complete,
 * and so does a new subscription in it, so that an error on the way leaves in use what is.
 *
 * A copy has a memory context, and below it each subscription that has replaced another
 * one, or has come, has one of its own.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/catalog.h"
#include "subscription/index_internal.h"
#include "subscription/row_internal.h"

/*
 * What is replaced leaves memory in the copy that is used no more. So after this many
 * replacements, and not fewer than there are subscriptions, a new copy is read.
 */
#define MOST_REPLACED	1000

/* All secrets are sorted at once: a sort for each subscription would cost most of the time. */
#define QUERY(of_subscription, of_secret) \
	"SELECT s.id, s.tenant, s.endpoint, s.events, s.headers," \
	" s.signature_schemes, s.filter, s.payload_format, s.include_context," \
	" s.log_bodies, s.ordered," \
	" s.max_in_flight, s.rate_limit, s.timeout," \
	" s.retry_schedule, s.max_age, s.final_statuses," \
	" s.ca, s.client_certificate," \
	" s.enabled, s.paused, s.since, s.home," \
	" s.confirmation, s.challenge, s.challenged_at," \
	" COALESCE(x.secrets, '{}') AS secrets," \
	" COALESCE(x.ends, '{}') AS secret_ends" \
	" FROM webhook_internal.subscription s LEFT JOIN" \
	" (SELECT z.subscription_id," \
	"         pg_catalog.array_agg(z.secret) AS secrets," \
	"         pg_catalog.array_agg(z.expires_at) AS ends" \
	"  FROM (SELECT y.subscription_id, y.secret, y.expires_at" \
	"        FROM webhook_internal.subscription_secret y" \
	"        WHERE (y.expires_at IS NULL" \
	"        OR y.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp())" \
	of_secret \
	"        ORDER BY y.subscription_id, y.id DESC) z" \
	"  GROUP BY z.subscription_id) x" \
	" ON x.subscription_id OPERATOR(pg_catalog.=) s.id" \
	of_subscription \
	" ORDER BY s.id"

typedef struct IdEntry
{
	int64		id;				/* hash key */
	WebhookSubscription *subscription;	/* NULL: it was not put here after all */
	MemoryContext context;		/* of this subscription; NULL: that of the copy */
} IdEntry;

/* All subscriptions. */
typedef struct Copy
{
	MemoryContext context;		/* of the copy */
	HTAB	   *by_id;			/* of IdEntry */
	WebhookIndex *index;
	WebhookSubscribers fresh;	/* those that are is_new */
	bool		any_fenced;
	int			replaced;		/* subscriptions that were replaced, have come or gone since then */
} Copy;

static struct
{
	Copy	   *current;		/* the latest complete copy; NULL: none so far */
}			cache;

static Copy *read_copy(MemoryContext context);
static bool replace(Copy *copy, const int64 *ids, int count);
static bool is_among(int64 id, WebhookSubscription *const *subscriptions, int count);
static void read_rows(ArrayType *ids);
static void read_caps(Copy *copy, ArrayType *names);
static void read_unknown_caps(Copy *copy, WebhookSubscription *const *subscriptions, int count);
static bool is_new(const WebhookSubscription *subscription);
static void put(Copy *copy, WebhookSubscription *subscription, MemoryContext context);
static void take_out(Copy *copy, IdEntry *entry);
static bool gets(const WebhookSubscription *subscription, const WebhookEvent *event);
static bool gets_again(const WebhookSubscription *subscription, const WebhookMatch *match);
static int	compare_starts(const void *a, const void *b);

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

bool
webhook_subscription_reload_some(const int64 *ids, int count)
{
	Copy	   *copy = cache.current;
	bool		done;

	if (copy == NULL || copy->any_fenced ||
		copy->replaced > Max(hash_get_num_entries(copy->by_id), MOST_REPLACED))
		return false;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	done = replace(copy, ids, count);
	SPI_finish();
	return done;
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
		match->lists[0] = webhook_index_find(copy->index, NULL, event->event_type);
	if (event->kind != WEBHOOK_EVENT_OF_PLATFORM && event->tenant != NULL)
		match->lists[1] = webhook_index_find(copy->index, event->tenant, event->event_type);
}

void
webhook_subscription_match_new(WebhookMatch *match, const WebhookEvent *event,
							   const WebhookSnapshot *since)
{
	memset(match, 0, sizeof(WebhookMatch));
	match->event = event;
	match->since = since;
	if (cache.current != NULL)
		match->lists[0] = &cache.current->fresh;
}

const WebhookSubscription *
webhook_subscription_match_next(WebhookMatch *match)
{
	while (match->list < lengthof(match->lists))
	{
		const WebhookSubscribers *subscribers = match->lists[match->list];

		while (subscribers != NULL && match->next < subscribers->count)
		{
			const WebhookSubscription *subscription =
				subscribers->subscriptions[match->next++];

			if ((match->since == NULL || gets_again(subscription, match)) &&
				!webhook_snapshot_sees(subscription->since, match->event->txid))
				return subscription;
		}
		match->list++;
		match->next = 0;
	}
	return NULL;
}

const WebhookSubscription *
webhook_subscription_next_enabled(int *cursor)
{
	const WebhookSubscribers *enabled;

	if (cache.current == NULL)
		return NULL;
	enabled = webhook_index_enabled(cache.current->index);
	return *cursor < enabled->count ? enabled->subscriptions[(*cursor)++] : NULL;
}

bool
webhook_subscription_is_to(const WebhookSubscription *subscription, const char *event_type)
{
	const WebhookCaps *caps = subscription->caps;

	if (!subscription->enabled ||
		!webhook_index_includes(subscription->events, subscription->nevents, event_type))
		return false;
	return subscription->tenant == NULL ||
		(caps != NULL && webhook_index_includes(caps->events, caps->nevents, event_type));
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

const WebhookSubscription **
webhook_subscription_new(int *count)
{
	const Copy *copy = cache.current;
	const WebhookSubscription **subscriptions;

	*count = copy == NULL ? 0 : copy->fresh.count;
	if (*count == 0)
		return NULL;
	subscriptions = palloc_array(const WebhookSubscription *, *count);
	memcpy(subscriptions, copy->fresh.subscriptions, *count * sizeof(*subscriptions));
	qsort(subscriptions, *count, sizeof(*subscriptions), compare_starts);
	return subscriptions;
}

void
webhook_subscription_clear_new(void)
{
	Copy	   *copy = cache.current;

	if (copy == NULL)
		return;
	for (int i = 0; i < copy->fresh.count; i++)
	{
		IdEntry    *entry = hash_search(copy->by_id, &copy->fresh.subscriptions[i]->id,
										HASH_FIND, NULL);

		entry->subscription->is_new = false;
	}
	copy->fresh.count = 0;
}

bool
webhook_subscription_any(void)
{
	return cache.current && hash_get_num_entries(cache.current->by_id) > 0;
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
	bool		any_tenant = false;
	int			count;

	copy->context = context;
	copy->index = webhook_index_new(context);
	control.hcxt = context;
	control.keysize = sizeof(int64);
	control.entrysize = sizeof(IdEntry);
	copy->by_id = hash_create("webhook subscriptions by id", 64, &control,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	read_rows(NULL);
	count = SPI_processed;
	old = MemoryContextSwitchTo(context);
	subscriptions = webhook_subscription_read_rows(SPI_tuptable, 0, count);
	for (int i = 0; i < count; i++)
	{
		put(copy, subscriptions[i], NULL);
		copy->any_fenced |= subscriptions[i]->fenced;
		any_tenant |= subscriptions[i]->tenant != NULL;
	}
	MemoryContextSwitchTo(old);

	/*
	 * After the subscriptions: so each tenant of one of them, which was defined before, is
	 * found.
	 */
	if (any_tenant)
		read_caps(copy, NULL);
	SPI_finish();
	return copy;
}

/* Connected to SPI. Returns false, and changes nothing, if one of them is fenced. */
static bool
replace(Copy *copy, const int64 *ids, int count)
{
	Datum	   *keys = palloc_array(Datum, count + 1);
	WebhookSubscription **subscriptions;
	MemoryContext *contexts;
	int			nread;

	for (int i = 0; i < count; i++)
		keys[i] = Int64GetDatum(ids[i]);
	read_rows(construct_array(keys, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
							  TYPALIGN_DOUBLE));
	nread = SPI_processed;
	subscriptions = palloc_array(WebhookSubscription *, nread + 1);
	contexts = palloc_array(MemoryContext, nread + 1);
	for (int i = 0; i < nread; i++)
	{
		MemoryContext old;

		contexts[i] = AllocSetContextCreate(CurrentMemoryContext, "webhook subscription",
											ALLOCSET_SMALL_SIZES);
		old = MemoryContextSwitchTo(contexts[i]);
		subscriptions[i] = *webhook_subscription_read_rows(SPI_tuptable, i, 1);
		MemoryContextSwitchTo(old);
		if (subscriptions[i]->fenced)
			return false;
	}
	read_unknown_caps(copy, subscriptions, nread);

	copy->replaced += count;
	for (int i = 0; i < nread; i++)
		put(copy, subscriptions[i], contexts[i]);
	for (int i = 0; i < count; i++)
	{
		IdEntry    *entry;

		if (is_among(ids[i], subscriptions, nread))
			continue;
		entry = hash_search(copy->by_id, &ids[i], HASH_FIND, NULL);
		if (entry != NULL)
		{
			take_out(copy, entry);
			hash_search(copy->by_id, &ids[i], HASH_REMOVE, NULL);
		}
	}
	return true;
}

static bool
is_among(int64 id, WebhookSubscription *const *subscriptions, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (subscriptions[i]->id == id)
			return true;
	}
	return false;
}

/* Read the rows of subscriptions, or all if "ids" is NULL, into SPI_tuptable. */
static void
read_rows(ArrayType *ids)
{
	Oid			type = INT8ARRAYOID;
	Datum		value = PointerGetDatum(ids);
	int			result = ids == NULL ? SPI_execute(QUERY("", ""), false, 0) :
		SPI_execute_with_args(QUERY(" WHERE s.id OPERATOR(pg_catalog.=) ANY ($1)",
									" AND y.subscription_id OPERATOR(pg_catalog.=) ANY ($1)"),
							  1, &type, &value, NULL, false, 0);

	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read webhook_internal.subscription");
}

/*
 * Read what tenants may have: those of some names, or, if that is NULL, those that the copy
 * has.
 */
static void
read_caps(Copy *copy, ArrayType *names)
{
	MemoryContext old;
	Oid			type = TEXTARRAYOID;
	Datum		value = PointerGetDatum(names);
	int			result = names == NULL ?
		SPI_execute("SELECT name, events, max_in_flight, rate_limit FROM webhook_internal.tenant",
					false, 0) :
		SPI_execute_with_args("SELECT name, events, max_in_flight, rate_limit"
							  " FROM webhook_internal.tenant"
							  " WHERE name OPERATOR(pg_catalog.=) ANY ($1)",
							  1, &type, &value, NULL, false, 0);

	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read webhook_internal.tenant");
	old = MemoryContextSwitchTo(copy->context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		WebhookCaps caps;
		const char *name = webhook_tenant_read_row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
												   &caps);

		if (names != NULL || webhook_index_has_tenant(copy->index, name))
			webhook_index_set_caps(copy->index, name, &caps);
	}
	MemoryContextSwitchTo(old);
}

/* Read what the tenants of some subscriptions may have that the copy does not have. */
static void
read_unknown_caps(Copy *copy, WebhookSubscription *const *subscriptions, int count)
{
	Datum	   *names = palloc_array(Datum, count + 1);
	int			nnames = 0;

	for (int i = 0; i < count; i++)
	{
		if (!webhook_index_has_tenant(copy->index, subscriptions[i]->tenant))
			names[nnames++] = CStringGetTextDatum(subscriptions[i]->tenant);
	}
	if (nnames > 0)
		read_caps(copy, construct_array(names, nnames, TEXTOID, -1, false, TYPALIGN_INT));
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

/*
 * Put a subscription into a copy, in the place of the one that has its id. "context" becomes
 * the copy's; it is NULL if the subscription is in that of the copy itself. What may fail
 * comes first, so that an error leaves what was there.
 */
static void
put(Copy *copy, WebhookSubscription *subscription, MemoryContext context)
{
	bool		found;
	IdEntry    *entry = hash_search(copy->by_id, &subscription->id, HASH_ENTER, &found);

	if (!found)
	{
		entry->subscription = NULL;
		entry->context = NULL;
	}
	subscription->is_new = is_new(subscription);
	webhook_index_make_room(copy->index, subscription);
	webhook_subscribers_make_room(&copy->fresh, copy->context);

	take_out(copy, entry);
	if (context != NULL)
		MemoryContextSetParent(context, copy->context);
	entry->subscription = subscription;
	entry->context = context;
	webhook_index_add(copy->index, subscription);
	if (subscription->is_new)
		webhook_subscribers_add(&copy->fresh, subscription);
}

/* Nobody gets the subscription of an entry any more. Cannot fail. */
static void
take_out(Copy *copy, IdEntry *entry)
{
	if (entry->subscription == NULL)
		return;
	webhook_index_remove(copy->index, entry->subscription);
	webhook_subscribers_remove(&copy->fresh, entry->subscription);
	entry->subscription = NULL;
	if (entry->context != NULL)
		MemoryContextDelete(entry->context);
	entry->context = NULL;
}

/* Returns true if an event is for a subscription, as far as tenant and event type say. */
static bool
gets(const WebhookSubscription *subscription, const WebhookEvent *event)
{
	if (subscription->tenant == NULL)
	{
		if (event->kind == WEBHOOK_EVENT_OF_TENANT)
			return false;
	}
	else if (event->kind == WEBHOOK_EVENT_OF_PLATFORM || event->tenant == NULL ||
			 strcmp(event->tenant, subscription->tenant) != 0)
		return false;
	return webhook_subscription_is_to(subscription, event->event_type);
}

/* The same for a new one, when events are read again for those from a start snapshot on. */
static bool
gets_again(const WebhookSubscription *subscription, const WebhookMatch *match)
{
	return webhook_snapshot_compare(subscription->since, match->since) >= 0 &&
		gets(subscription, match->event);
}

static int
compare_starts(const void *a, const void *b)
{
	return webhook_snapshot_compare((*(WebhookSubscription *const *) a)->since,
									(*(WebhookSubscription *const *) b)->since);
}
