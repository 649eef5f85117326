/*
 * cache.c
 *	  Who wants what: the worker's copy of webhook_internal.subscription.
 *
 * People write the tables, the worker only reads them, as a whole and after
 * each change: that is rare, and an answer while events flow costs no look-up
 * in a table. A copy lives in a memory context of its own; the next one is
 * built beside it and takes its place only when it is complete, so an error
 * in between leaves the old one standing.
 *
 * Home: a subscription remembers in which database of which cluster it was
 * made. In a copy of that database (a restored dump, a template's child) it
 * is fenced: its deliveries wait until webhook.resume_database(). pg_upgrade
 * makes a new cluster too, but it carries the checkpoint along, with the
 * subscription's own old home in it, and keeps the database's oid.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/catalog.h"
#include "subscription/row_internal.h"

/* Subscriptions, in order of id. */
typedef struct Takers
{
	int			count;
	int			size;
	const WebhookSubscription **subscriptions;
} Takers;

/* One event type and who wants it. */
typedef struct TypeEntry
{
	char		name[WEBHOOK_MAX_EVENT_TYPE + 1];
	Takers		takers;
	bool		complete;		/* those with patterns are among them */
} TypeEntry;

typedef struct IdEntry
{
	int64		id;
	WebhookSubscription *subscription;
} IdEntry;

typedef struct Copy
{
	MemoryContext context;
	HTAB	   *by_id;
	HTAB	   *by_type;
	Takers		patterns;		/* those that have one */
	bool		any_fenced;
	const WebhookSnapshot *fresh_since; /* the earliest; NULL: none is is_new */
} Copy;

static Copy *current;

static Copy *read_copy(MemoryContext context);
static bool is_fresh(const WebhookSubscription *subscription);
static void rehome(const char *checkpoint_home);
static bool is_upgraded(const char *home, const char *checkpoint_home);
static void add_events(Copy *copy, WebhookSubscription *subscription);
static TypeEntry *enter_type(Copy *copy, const char *name);
static void add_to(MemoryContext context, Takers *takers,
				   const WebhookSubscription *subscription);
static TypeEntry *find_type(Copy *copy, const char *event_type);
static bool wants(const WebhookSubscription *subscription, const char *event_type);
static bool is_pattern(const char *name);

void
webhook_subscription_reload(const char *checkpoint_home)
{
	MemoryContext context;
	Copy	   *copy;

	if (checkpoint_home != NULL)
		rehome(checkpoint_home);

	context = AllocSetContextCreate(CurrentMemoryContext,
									"webhook subscriptions",
									ALLOCSET_DEFAULT_SIZES);
	copy = read_copy(context);

	MemoryContextSetParent(context, TopMemoryContext);
	if (current != NULL)
		MemoryContextDelete(current->context);
	current = copy;
}

const WebhookSubscription *
webhook_subscription_get(int64 id)
{
	IdEntry    *entry;

	if (current == NULL)
		return NULL;
	entry = hash_search(current->by_id, &id, HASH_FIND, NULL);
	return entry ? entry->subscription : NULL;
}

const WebhookSubscription *
webhook_subscription_match(const WebhookEvent *event, int *cursor)
{
	TypeEntry  *entry;

	if (current == NULL)
		return NULL;
	entry = find_type(current, event->event_type);
	if (entry == NULL)
		return NULL;
	while (*cursor < entry->takers.count)
	{
		const WebhookSubscription *subscription = entry->takers.subscriptions[(*cursor)++];

		if (!webhook_snapshot_sees(subscription->since, event->txid))
			return subscription;
	}
	return NULL;
}

int
webhook_subscription_count_matches(const char *event_type)
{
	const TypeEntry *entry = current ? find_type(current, event_type) : NULL;

	return entry ? entry->takers.count : 0;
}

bool
webhook_subscription_sends(const WebhookSubscription *subscription)
{
	return !subscription->paused && !subscription->fenced;
}

const WebhookSnapshot *
webhook_subscription_catch_up_since(void)
{
	return current ? current->fresh_since : NULL;
}

void
webhook_subscription_clear_new(void)
{
	HASH_SEQ_STATUS scan;
	IdEntry    *entry;

	if (current == NULL || current->fresh_since == NULL)
		return;
	current->fresh_since = NULL;
	hash_seq_init(&scan, current->by_id);
	while ((entry = hash_seq_search(&scan)) != NULL)
		entry->subscription->is_new = false;
}

bool
webhook_subscription_any_fenced(void)
{
	return current && current->any_fenced;
}

/* All of it, in the given context, which stays the caller's until it is. */
static Copy *
read_copy(MemoryContext context)
{
	MemoryContext old;
	Copy	   *copy = MemoryContextAllocZero(context, sizeof(Copy));
	HASHCTL		control = {0};

	copy->context = context;
	control.hcxt = context;
	control.keysize = sizeof(int64);
	control.entrysize = sizeof(IdEntry);
	copy->by_id = hash_create("webhook subscriptions by id", 64, &control,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	control.keysize = WEBHOOK_MAX_EVENT_TYPE + 1;
	control.entrysize = sizeof(TypeEntry);
	copy->by_type = hash_create("webhook subscriptions by event type", 64,
								&control,
								HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	/* Secrets are sorted as a whole: a sort of each one's would cost the most. */
	if (SPI_execute("SELECT s.id, s.endpoint, s.events, s.headers,"
					" s.signature_schemes, s.filter, s.payload_format, s.ordered,"
					" s.max_in_flight, s.rate_limit, s.timeout,"
					" s.retry_schedule, s.max_age, s.final_statuses,"
					" s.ca, s.client_certificate,"
					" s.enabled, s.paused, s.since, s.home,"
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
	webhook_subscription_row_begin(SPI_tuptable);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		WebhookSubscription *subscription;
		IdEntry    *entry;

		subscription = webhook_subscription_row_read(SPI_tuptable, SPI_tuptable->vals[i]);
		entry = hash_search(copy->by_id, &subscription->id, HASH_ENTER, NULL);
		entry->subscription = subscription;
		add_events(copy, subscription);
		copy->any_fenced |= subscription->fenced;
		subscription->is_new = is_fresh(subscription);
		if (subscription->is_new &&
			(copy->fresh_since == NULL ||
			 FullTransactionIdPrecedes(subscription->since->xmax, copy->fresh_since->xmax)))
			copy->fresh_since = subscription->since;
	}
	MemoryContextSwitchTo(old);
	SPI_finish();
	return copy;
}

/* The copy so far did not have it, or as disabled. */
static bool
is_fresh(const WebhookSubscription *subscription)
{
	const WebhookSubscription *before = webhook_subscription_get(subscription->id);

	return current != NULL && subscription->enabled && !subscription->fenced &&
		(before == NULL || !before->enabled || before->is_new);
}

/*
 * After pg_upgrade: subscriptions of the checkpoint's own home are ours, if
 * that is this database in another cluster.
 */
static void
rehome(const char *checkpoint_home)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];

	if (!is_upgraded(checkpoint_home, webhook_home()))
		return;
	values[0] = CStringGetTextDatum(webhook_home());
	values[1] = CStringGetTextDatum(checkpoint_home);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("UPDATE webhook_internal.subscription SET home = $1"
							  " WHERE home OPERATOR(pg_catalog.=) $2",
							  2, types, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not update webhook_internal.subscription");
	if (SPI_processed > 0)
		ereport(LOG,
				(errmsg("webhook: took over " UINT64_FORMAT " subscriptions of this database from before pg_upgrade",
						SPI_processed)));
	SPI_finish();
}

/* The same database oid in another cluster? */
static bool
is_upgraded(const char *home, const char *here)
{
	uint64		system[2];
	Oid			database[2];

	return webhook_home_parse(home, &system[0], &database[0]) &&
		webhook_home_parse(here, &system[1], &database[1]) &&
		system[0] != system[1] && database[0] == database[1];
}

static void
add_events(Copy *copy, WebhookSubscription *subscription)
{
	if (!subscription->enabled)
		return;
	for (int i = 0; i < subscription->nevents; i++)
	{
		const char *name = subscription->events[i];

		/* A longer name is no event type. */
		if (strlen(name) > WEBHOOK_MAX_EVENT_TYPE)
			continue;
		if (is_pattern(name))
			add_to(copy->context, &copy->patterns, subscription);
		else
			add_to(copy->context, &enter_type(copy, name)->takers, subscription);
	}
}

/* The entry of a name, a new one if there is none. */
static TypeEntry *
enter_type(Copy *copy, const char *name)
{
	bool		found;
	TypeEntry  *entry = hash_search(copy->by_type, name, HASH_ENTER, &found);

	if (!found)
	{
		memset(&entry->takers, 0, sizeof(Takers));
		entry->complete = false;
	}
	return entry;
}

/* Named twice, it gets the event once. */
static void
add_to(MemoryContext context, Takers *takers,
	   const WebhookSubscription *subscription)
{
	if (takers->count > 0 &&
		takers->subscriptions[takers->count - 1] == subscription)
		return;
	if (takers->size == 0)
	{
		takers->size = 4;
		takers->subscriptions = MemoryContextAlloc(context, sizeof(void *) * takers->size);
	}
	else if (takers->count == takers->size)
	{
		takers->size *= 2;
		takers->subscriptions = repalloc(takers->subscriptions,
										 sizeof(void *) * takers->size);
	}
	takers->subscriptions[takers->count++] = subscription;
}

/*
 * Who gets events of a type: those that name it and those with a pattern, in
 * order of id. Put together when the first such event comes.
 */
static TypeEntry *
find_type(Copy *copy, const char *event_type)
{
	TypeEntry  *entry;
	Takers		named;
	Takers		all = {0};
	int			next = 0;

	if (copy->patterns.count == 0)
		return hash_search(copy->by_type, event_type, HASH_FIND, NULL);
	entry = enter_type(copy, event_type);
	if (entry->complete)
		return entry;

	/* Whatever fails on the way leaves it as it was. */
	named = entry->takers;
	for (int i = 0; i < copy->patterns.count; i++)
	{
		const WebhookSubscription *other = copy->patterns.subscriptions[i];

		if (!wants(other, event_type))
			continue;
		while (next < named.count && named.subscriptions[next]->id < other->id)
			add_to(copy->context, &all, named.subscriptions[next++]);
		if (next < named.count && named.subscriptions[next] == other)
			next++;
		add_to(copy->context, &all, other);
	}
	while (next < named.count)
		add_to(copy->context, &all, named.subscriptions[next++]);
	entry->takers = all;
	entry->complete = true;
	return entry;
}

/* By one of its patterns. */
static bool
wants(const WebhookSubscription *subscription, const char *event_type)
{
	for (int i = 0; i < subscription->nevents; i++)
	{
		const char *pattern = subscription->events[i];

		if (is_pattern(pattern) &&
			strncmp(pattern, event_type, strlen(pattern) - 1) == 0)
			return true;
	}
	return false;
}

/* "prefix.*" or "*"? */
static bool
is_pattern(const char *name)
{
	size_t		length = strlen(name);

	return length > 0 && name[length - 1] == '*';
}
