/*
 * row.c
 *	  Rows of webhook_internal.subscription and webhook_internal.tenant become structs.
 *
 * An option that is NULL in the table stays unset here, because the setting
 * that is its default may change without the row. Values were checked when they
 * were written. One that somebody edited by hand must not stop the other
 * subscriptions, so a value out of bounds is moved into them or left out.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/catalog.h"
#include "base/guc.h"
#include "base/table.h"
#include "net/header.h"
#include "subscription/row_internal.h"

#define DEFAULT_MAX_AGE (7 * USECS_PER_DAY)

/* Columns of the rows, in any order. */
typedef enum Column
{
	COLUMN_ID,
	COLUMN_TENANT,
	COLUMN_ENDPOINT,
	COLUMN_EVENTS,
	COLUMN_HEADERS,
	COLUMN_SIGNATURE_SCHEMES,
	COLUMN_FILTER,
	COLUMN_PAYLOAD_FORMAT,
	COLUMN_INCLUDE_CONTEXT,
	COLUMN_LOG_BODIES,
	COLUMN_ORDERED,
	COLUMN_MAX_IN_FLIGHT,
	COLUMN_RATE_LIMIT,
	COLUMN_TIMEOUT,
	COLUMN_RETRY_SCHEDULE,
	COLUMN_MAX_AGE,
	COLUMN_FINAL_STATUSES,
	COLUMN_CA,
	COLUMN_CLIENT_CERTIFICATE,
	COLUMN_ENABLED,
	COLUMN_PAUSED,
	COLUMN_SINCE,
	COLUMN_HOME,
	COLUMN_CONFIRMATION,
	COLUMN_CHALLENGE,
	COLUMN_CHALLENGED_AT,
	COLUMN_SECRETS,
	COLUMN_SECRET_ENDS,
	COLUMNS
} Column;

static const char *const column_names[COLUMNS] = {
	[COLUMN_ID] = "id",
	[COLUMN_TENANT] = "tenant",
	[COLUMN_ENDPOINT] = "endpoint",
	[COLUMN_EVENTS] = "events",
	[COLUMN_HEADERS] = "headers",
	[COLUMN_SIGNATURE_SCHEMES] = "signature_schemes",
	[COLUMN_FILTER] = "filter",
	[COLUMN_PAYLOAD_FORMAT] = "payload_format",
	[COLUMN_INCLUDE_CONTEXT] = "include_context",
	[COLUMN_LOG_BODIES] = "log_bodies",
	[COLUMN_ORDERED] = "ordered",
	[COLUMN_MAX_IN_FLIGHT] = "max_in_flight",
	[COLUMN_RATE_LIMIT] = "rate_limit",
	[COLUMN_TIMEOUT] = "timeout",
	[COLUMN_RETRY_SCHEDULE] = "retry_schedule",
	[COLUMN_MAX_AGE] = "max_age",
	[COLUMN_FINAL_STATUSES] = "final_statuses",
	[COLUMN_CA] = "ca",
	[COLUMN_CLIENT_CERTIFICATE] = "client_certificate",
	[COLUMN_ENABLED] = "enabled",
	[COLUMN_PAUSED] = "paused",
	[COLUMN_SINCE] = "since",
	[COLUMN_HOME] = "home",
	[COLUMN_CONFIRMATION] = "confirmation",
	[COLUMN_CHALLENGE] = "challenge",
	[COLUMN_CHALLENGED_AT] = "challenged_at",
	[COLUMN_SECRETS] = "secrets",
	[COLUMN_SECRET_ENDS] = "secret_ends",
};

/* One row that is being read. */
typedef struct Row
{
	TupleDesc	desc;
	HeapTuple	tuple;
	int			numbers[COLUMNS];	/* number of each column in the row */
} Row;

static WebhookSubscription *read_row(const Row *row);
static void add_headers(WebhookSubscription *subscription, Jsonb *headers);
static void add_secrets(WebhookSubscription *subscription, ArrayType *secrets,
						ArrayType *ends);
static void add_options(WebhookSubscription *subscription, const Row *row);
static void add_challenge(WebhookSubscription *subscription, const Row *row);
static const WebhookSchedule *make_schedule(ArrayType *waits);
static void add_final_statuses(WebhookSubscription *subscription, ArrayType *statuses);
static const char **text_array(ArrayType *array, int *count);
static Datum column(const Row *row, Column which);
static bool has_column(const Row *row, Column which, Datum *value);

WebhookSubscription **
webhook_subscription_read_rows(SPITupleTable *table, int from, int count)
{
	WebhookSubscription **subscriptions = palloc_array(WebhookSubscription *, count);
	Row			row = {table->tupdesc};

	for (int i = 0; i < COLUMNS; i++)
	{
		row.numbers[i] = SPI_fnumber(row.desc, column_names[i]);
		if (row.numbers[i] <= 0)
			elog(ERROR, "webhook_internal.subscription has no column \"%s\"", column_names[i]);
	}
	for (int i = 0; i < count; i++)
	{
		row.tuple = table->vals[from + i];
		subscriptions[i] = read_row(&row);
	}
	return subscriptions;
}

const char *
webhook_tenant_read_row(HeapTuple row, TupleDesc columns, WebhookCaps *caps)
{
	bool		isnull;
	bool		events_are_null;
	Datum		name = SPI_getbinval(row, columns, 1, &isnull);
	Datum		events = SPI_getbinval(row, columns, 2, &events_are_null);
	Datum		value;

	if (isnull || events_are_null)
		elog(ERROR, "webhook_internal.tenant has a null");
	memset(caps, 0, sizeof(WebhookCaps));
	caps->events = text_array(DatumGetArrayTypeP(events), &caps->nevents);
	value = SPI_getbinval(row, columns, 3, &isnull);
	if (!isnull)
		caps->max_in_flight = Max(DatumGetInt32(value), 0);
	value = SPI_getbinval(row, columns, 4, &isnull);
	if (!isnull && DatumGetFloat4(value) > 0)
		caps->rate_limit = DatumGetFloat4(value);
	return TextDatumGetCString(name);
}

static WebhookSubscription *
read_row(const Row *row)
{
	WebhookSubscription *subscription = palloc0(sizeof(WebhookSubscription));
	Datum		tenant;
	const char *home;
	const char **schemes;
	int			nschemes;

	subscription->id = DatumGetInt64(column(row, COLUMN_ID));
	if (has_column(row, COLUMN_TENANT, &tenant))
		subscription->tenant = TextDatumGetCString(tenant);
	subscription->endpoint = TextDatumGetCString(column(row, COLUMN_ENDPOINT));
	subscription->events =
		text_array(DatumGetArrayTypeP(column(row, COLUMN_EVENTS)),
				   &subscription->nevents);
	subscription->enabled = DatumGetBool(column(row, COLUMN_ENABLED));
	subscription->paused = DatumGetBool(column(row, COLUMN_PAUSED));
	add_headers(subscription,
				DatumGetJsonbP(column(row, COLUMN_HEADERS)));
	add_secrets(subscription,
				DatumGetArrayTypeP(column(row, COLUMN_SECRETS)),
				DatumGetArrayTypeP(column(row, COLUMN_SECRET_ENDS)));

	add_options(subscription, row);
	add_challenge(subscription, row);

	schemes = text_array(DatumGetArrayTypeP(column(row, COLUMN_SIGNATURE_SCHEMES)),
						 &nschemes);
	for (int i = 0; i < nschemes; i++)
		subscription->sign_abp |= strcmp(schemes[i], "abp") == 0;

	home = TextDatumGetCString(column(row, COLUMN_HOME));
	subscription->fenced = strcmp(home, webhook_home()) != 0;
	subscription->since =
		webhook_snapshot_from_datum(column(row, COLUMN_SINCE));

	/* A snapshot of another cluster means nothing here. */
	if (!webhook_home_is_in_cluster(home))
		subscription->since = webhook_snapshot_empty();
	return subscription;
}

/*
 * An object of strings, as webhook_internal.checked_headers() lets through. What it
 * would not is not sent: a line break in one would make a header of the rest.
 */
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
		else if (token == WJB_VALUE && value.type == jbvString &&
				 subscription->nheaders < WEBHOOK_MAX_HEADERS)
		{
			WebhookHttpHeader *header = &list[subscription->nheaders];

			if (webhook_header_check(header->name, strlen(header->name),
									 value.val.string.val,
									 value.val.string.len).problem != NULL)
				continue;
			header->value = pnstrdup(value.val.string.val, value.val.string.len);
			subscription->nheaders++;
		}
	}
	subscription->headers = list;
}

/* Set the secrets. Texts that are no secrets are left out. */
static void
add_secrets(WebhookSubscription *subscription, ArrayType *secrets, ArrayType *ends)
{
	int			count;
	int			nends;
	const char **texts = text_array(secrets, &count);
	WebhookSecret *list = palloc0(sizeof(WebhookSecret) * (count + 1));
	Datum	   *until;
	bool	   *forever;

	deconstruct_array(ends, TIMESTAMPTZOID, sizeof(TimestampTz), true,
					  TYPALIGN_DOUBLE, &until, &forever, &nends);
	Assert(nends == count);
	for (int i = 0; i < count; i++)
	{
		WebhookSecret *secret = &list[subscription->nsecrets];
		uint8	   *key = palloc(WEBHOOK_MAX_KEY);

		secret->key_length = webhook_secret_decode(texts[i], key);
		if (secret->key_length < 0)
			continue;
		secret->text = texts[i];
		secret->key = key;
		secret->until = forever[i] ? DT_NOEND : DatumGetTimestampTz(until[i]);
		subscription->nsecrets++;
	}
	subscription->secrets = list;
}

/* Set the options of a subscription. */
static void
add_options(WebhookSubscription *subscription, const Row *row)
{
	const char *format = TextDatumGetCString(column(row, COLUMN_PAYLOAD_FORMAT));
	Datum		value;

	if (strcmp(format, "raw") == 0)
		subscription->payload_format = WEBHOOK_RAW;
	else if (strcmp(format, "standard") == 0)
		subscription->payload_format = WEBHOOK_STANDARD;
	subscription->include_context = DatumGetBool(column(row, COLUMN_INCLUDE_CONTEXT));
	if (has_column(row, COLUMN_LOG_BODIES, &value))
		subscription->has_log_bodies = webhook_log_bodies_find(TextDatumGetCString(value),
															   &subscription->log_bodies);
	subscription->ordered = DatumGetBool(column(row, COLUMN_ORDERED));
	if (has_column(row, COLUMN_FILTER, &value))
		subscription->filter = webhook_filter_make(value);
	if (has_column(row, COLUMN_MAX_IN_FLIGHT, &value))
		subscription->max_in_flight = Max(DatumGetInt32(value), 0);
	if (has_column(row, COLUMN_RATE_LIMIT, &value) && DatumGetFloat4(value) > 0)
		subscription->rate_limit = DatumGetFloat4(value);
	if (has_column(row, COLUMN_TIMEOUT, &value))
		subscription->timeout_ms = Min(Max(webhook_row_span(value) / 1000, 0), WEBHOOK_MAX_TIMEOUT);
	if (has_column(row, COLUMN_RETRY_SCHEDULE, &value))
		subscription->schedule = make_schedule(DatumGetArrayTypeP(value));
	subscription->max_age = DEFAULT_MAX_AGE;
	if (has_column(row, COLUMN_MAX_AGE, &value) && webhook_row_span(value) > 0)
		subscription->max_age = webhook_row_span(value);
	add_final_statuses(subscription, DatumGetArrayTypeP(column(row, COLUMN_FINAL_STATUSES)));
	if (has_column(row, COLUMN_CA, &value))
		subscription->ca = TextDatumGetCString(value);
	if (has_column(row, COLUMN_CLIENT_CERTIFICATE, &value))
		subscription->client_certificate = TextDatumGetCString(value);
}

/* What the endpoint has to answer. In another form than ours it would be no value of a header. */
static void
add_challenge(WebhookSubscription *subscription, const Row *row)
{
	Datum		challenge;
	Datum		confirmation;
	Datum		challenged_at;
	char	   *hex;

	if (!has_column(row, COLUMN_CHALLENGE, &challenge))
		return;
	hex = TextDatumGetCString(challenge);
	subscription->challenge = "";
	if (strspn(hex, "0123456789abcdef") != strlen(hex) ||
		!has_column(row, COLUMN_CONFIRMATION, &confirmation) ||
		!has_column(row, COLUMN_CHALLENGED_AT, &challenged_at))
		return;
	subscription->challenge = hex;
	subscription->confirmation = *DatumGetUUIDP(confirmation);
	subscription->challenged_at = DatumGetTimestampTz(challenged_at);
}

static const WebhookSchedule *
make_schedule(ArrayType *waits)
{
	WebhookSchedule *schedule;
	Datum	   *values;
	bool	   *nulls;
	int			count;

	deconstruct_array(waits, INTERVALOID, sizeof(Interval), false, TYPALIGN_DOUBLE,
					  &values, &nulls, &count);
	schedule = palloc(offsetof(WebhookSchedule, seconds) + sizeof(int) * (count + 1));
	schedule->count = 0;
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			schedule->seconds[schedule->count++] =
				Min(Max(webhook_row_span(values[i]) / USECS_PER_SEC, 0), WEBHOOK_MAX_WAIT);
	}
	return schedule;
}

static void
add_final_statuses(WebhookSubscription *subscription, ArrayType *statuses)
{
	Datum	   *values;
	bool	   *nulls;
	int		   *list;
	int			count;

	deconstruct_array(statuses, INT4OID, sizeof(int32), true, TYPALIGN_INT,
					  &values, &nulls, &count);
	list = palloc(sizeof(int) * (count + 1));
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			list[subscription->nfinal++] = DatumGetInt32(values[i]);
	}
	subscription->final_statuses = list;
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

/* The value of a column that is never null; an error if it is. */
static Datum
column(const Row *row, Column which)
{
	Datum		value;

	if (!has_column(row, which, &value))
		elog(ERROR, "column \"%s\" of webhook_internal.subscription is null", column_names[which]);
	return value;
}

/* Get the value of a column. Returns false if it is null. */
static bool
has_column(const Row *row, Column which, Datum *value)
{
	bool		isnull;

	*value = SPI_getbinval(row->tuple, row->desc, row->numbers[which], &isnull);
	return !isnull;
}
