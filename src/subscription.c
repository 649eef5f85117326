/*
 * subscription.c
 *	  Who wants what: the worker's copy of webhook.subscription.
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
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "catalog.h"
#include "secret.h"
#include "subscription.h"

/* One name and who wants it. */
typedef struct TypeEntry
{
	char		name[WEBHOOK_MAX_EVENT_TYPE + 1];
	int			count;
	int			size;
	const WebhookSubscription **subscriptions;
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
	int			count;
	bool		any_fenced;
} Copy;

static Copy *current;

static Copy *read_copy(MemoryContext context);
static void rehome(const char *checkpoint_home);
static bool is_upgraded(const char *home, const char *checkpoint_home);
static WebhookSubscription *make_subscription(SPITupleTable *rows, HeapTuple row);
static void add_headers(WebhookSubscription *subscription, Jsonb *headers);
static void add_secrets(WebhookSubscription *subscription, ArrayType *secrets);
static void add_events(Copy *copy, WebhookSubscription *subscription);
static const char **text_array(ArrayType *array, int *count);
static Datum column(SPITupleTable *rows, HeapTuple row, const char *name, bool *isnull);

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
	entry = hash_search(current->by_type, event->event_type, HASH_FIND, NULL);
	if (entry == NULL)
		return NULL;
	while (*cursor < entry->count)
	{
		const WebhookSubscription *subscription = entry->subscriptions[(*cursor)++];

		if (!webhook_snapshot_sees(subscription->since, event->txid))
			return subscription;
	}
	return NULL;
}

bool
webhook_subscription_sends(const WebhookSubscription *subscription)
{
	return !subscription->paused && !subscription->fenced;
}

int
webhook_subscription_count(void)
{
	return current ? current->count : 0;
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
	if (SPI_execute("SELECT s.id, s.endpoint, s.events, s.headers,"
					" s.signature_schemes, s.enabled, s.paused, s.since, s.home,"
					" ARRAY(SELECT x.secret"
					"       FROM webhook.subscription_secret x"
					"       WHERE x.subscription_id OPERATOR(pg_catalog.=) s.id"
					"       AND (x.expires_at IS NULL"
					"            OR x.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp())"
					"       ORDER BY x.id DESC) AS secrets"
					" FROM webhook.subscription s ORDER BY s.id",
					false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read webhook.subscription");

	old = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		WebhookSubscription *subscription;
		IdEntry    *entry;

		subscription = make_subscription(SPI_tuptable, SPI_tuptable->vals[i]);
		entry = hash_search(copy->by_id, &subscription->id, HASH_ENTER, NULL);
		entry->subscription = subscription;
		add_events(copy, subscription);
		copy->count++;
		copy->any_fenced |= subscription->fenced;
	}
	MemoryContextSwitchTo(old);
	SPI_finish();
	return copy;
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
	if (SPI_execute_with_args("UPDATE webhook.subscription SET home = $1"
							  " WHERE home OPERATOR(pg_catalog.=) $2",
							  2, types, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not update webhook.subscription");
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

static WebhookSubscription *
make_subscription(SPITupleTable *rows, HeapTuple row)
{
	WebhookSubscription *subscription = palloc0(sizeof(WebhookSubscription));
	const char *home;
	uint64		system[2];
	Oid			database;
	const char **schemes;
	int			nschemes;
	bool		isnull;

	subscription->id = DatumGetInt64(column(rows, row, "id", &isnull));
	subscription->endpoint = TextDatumGetCString(column(rows, row, "endpoint", &isnull));
	subscription->events =
		text_array(DatumGetArrayTypeP(column(rows, row, "events", &isnull)),
				   &subscription->nevents);
	subscription->enabled = DatumGetBool(column(rows, row, "enabled", &isnull));
	subscription->paused = DatumGetBool(column(rows, row, "paused", &isnull));
	add_headers(subscription,
				DatumGetJsonbP(column(rows, row, "headers", &isnull)));
	add_secrets(subscription,
				DatumGetArrayTypeP(column(rows, row, "secrets", &isnull)));

	schemes = text_array(DatumGetArrayTypeP(column(rows, row, "signature_schemes", &isnull)),
						 &nschemes);
	for (int i = 0; i < nschemes; i++)
		subscription->sign_abp |= strcmp(schemes[i], "abp") == 0;

	home = TextDatumGetCString(column(rows, row, "home", &isnull));
	subscription->fenced = strcmp(home, webhook_home()) != 0;
	subscription->since =
		webhook_snapshot_from_datum(column(rows, row, "since", &isnull));

	/* Transaction ids of another cluster mean nothing here. */
	if (subscription->fenced &&
		(!webhook_home_parse(home, &system[0], &database) ||
		 !webhook_home_parse(webhook_home(), &system[1], &database) ||
		 system[0] != system[1]))
		subscription->since = webhook_snapshot_empty();
	return subscription;
}

/* An object of strings, as webhook.checked_headers() lets through. */
static void
add_headers(WebhookSubscription *subscription, Jsonb *headers)
{
	JsonbIterator *iterator = JsonbIteratorInit(&headers->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	WebhookHttpHeader *list;

	list = palloc0(sizeof(WebhookHttpHeader) * (JB_ROOT_COUNT(headers) + 1));
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			list[subscription->nheaders].name =
				pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && value.type == jbvString)
			list[subscription->nheaders++].value =
				pnstrdup(value.val.string.val, value.val.string.len);
	}
	subscription->headers = list;
}

/* The key of each is decoded once, here. */
static void
add_secrets(WebhookSubscription *subscription, ArrayType *secrets)
{
	int			count;
	const char **texts = text_array(secrets, &count);
	WebhookSecret *list = palloc0(sizeof(WebhookSecret) * (count + 1));

	for (int i = 0; i < count; i++)
	{
		WebhookSecret *secret = &list[subscription->nsecrets];
		uint8	   *key = palloc(WEBHOOK_MAX_KEY);

		secret->key_length = webhook_secret_decode(texts[i], key);
		if (secret->key_length < 0)
			continue;
		secret->text = texts[i];
		secret->key = key;
		subscription->nsecrets++;
	}
	subscription->secrets = list;
}

static void
add_events(Copy *copy, WebhookSubscription *subscription)
{
	if (!subscription->enabled)
		return;
	for (int i = 0; i < subscription->nevents; i++)
	{
		TypeEntry  *entry;
		bool		found;

		/* A longer name is no event type. */
		if (strlen(subscription->events[i]) > WEBHOOK_MAX_EVENT_TYPE)
			continue;
		entry = hash_search(copy->by_type, subscription->events[i], HASH_ENTER,
							&found);
		if (!found)
		{
			entry->count = 0;
			entry->size = 4;
			entry->subscriptions = palloc(sizeof(void *) * entry->size);
		}
		else if (entry->count == entry->size)
		{
			entry->size *= 2;
			entry->subscriptions = repalloc(entry->subscriptions,
											sizeof(void *) * entry->size);
		}
		/* Named twice, it gets the event once. */
		if (entry->count == 0 ||
			entry->subscriptions[entry->count - 1] != subscription)
			entry->subscriptions[entry->count++] = subscription;
	}
}

static const char **
text_array(ArrayType *array, int *count)
{
	Datum	   *values;
	bool	   *nulls;
	const char **texts;
	int			n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	texts = palloc(sizeof(char *) * (n + 1));
	*count = 0;
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			texts[(*count)++] = TextDatumGetCString(values[i]);
	}
	return texts;
}

static Datum
column(SPITupleTable *rows, HeapTuple row, const char *name, bool *isnull)
{
	int			number = SPI_fnumber(rows->tupdesc, name);
	Datum		value;

	if (number <= 0)
		elog(ERROR, "webhook.subscription has no column \"%s\"", name);
	value = SPI_getbinval(row, rows->tupdesc, number, isnull);
	if (*isnull)
		elog(ERROR, "column \"%s\" of webhook.subscription is null", name);
	return value;
}
