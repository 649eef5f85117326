/*
 * subscribe.c
 *	  C functions that subscribe(), alter_subscription() and the views call.
 *
 * They do what PL/pgSQL cannot: take a snapshot that is newer than the
 * transaction's, and apply the rules for endpoints, headers and filters that the
 * worker applies, too. Only functions of the install script call them; these run
 * with the rights of their owner, who alone has EXECUTE on the functions here.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/caller.h"
#include "base/catalog.h"
#include "base/redact.h"
#include "base/refusal.h"
#include "base/snapshot.h"
#include "net/header.h"
#include "net/url.h"
#include "subscription/subscription.h"

static bool matches(text *pattern, text *event_type);
static Datum hash_of(Datum text);
static void check_header(JsonbValue *name, JsonbValue *value);
static int	say_redacted(void);
static const char *name_alone(const char *name);
static void check_names_differ(char **names, int count);
static void require_trusted_table(Relation table);
static void read_now(const char *query, int nargs, Oid *types, Datum *values, const char *nulls);
static bool is_own_function(Oid function, Oid schema);

PG_FUNCTION_INFO_V1(webhook_canonical_endpoint);
PG_FUNCTION_INFO_V1(webhook_clipped);
PG_FUNCTION_INFO_V1(webhook_checked_headers);
PG_FUNCTION_INFO_V1(webhook_checked_filter);
PG_FUNCTION_INFO_V1(webhook_is_own_type);
PG_FUNCTION_INFO_V1(webhook_matches);
PG_FUNCTION_INFO_V1(webhook_matches_any);
PG_FUNCTION_INFO_V1(webhook_check_duplicate);
PG_FUNCTION_INFO_V1(webhook_has_name);
PG_FUNCTION_INFO_V1(webhook_start_snapshot);
PG_FUNCTION_INFO_V1(webhook_this_home);
PG_FUNCTION_INFO_V1(webhook_caller_name);
PG_FUNCTION_INFO_V1(webhook_require_trusted_table);
PG_FUNCTION_INFO_V1(webhook_redacted_endpoint);
PG_FUNCTION_INFO_V1(webhook_redacted_headers);

/*
 * canonical_endpoint(endpoint text): the endpoint as it is stored and sent; an
 * error if it is invalid
 */
Datum
webhook_canonical_endpoint(PG_FUNCTION_ARGS)
{
	char		canonical[WEBHOOK_MAX_ENDPOINT + 2];
	WebhookCheck check;
	text	   *endpoint;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 webhook_errargument("endpoint"),
				 errmsg("endpoint must not be null"),
				 errhint("Give the URL that events are sent to, for example 'https://example.com/hook'.")));
	endpoint = PG_GETARG_TEXT_PP(0);
	check = webhook_url_check(VARDATA_ANY(endpoint), VARSIZE_ANY_EXHDR(endpoint), canonical);
	if (check.problem != NULL)
		ereport(ERROR,
				(errcode(check.too_long ? ERRCODE_PROGRAM_LIMIT_EXCEEDED :
						 ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("endpoint"),
				 errmsg("invalid endpoint \"%s\"",
						webhook_clip(webhook_redact_url(text_to_cstring(endpoint)))),
				 errdetail_internal("%s", check.problem),
				 check.hint ? errhint("%s", check.hint) : 0));
	if (webhook_redact_is_shown_url(canonical))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("endpoint"),
				 errmsg("invalid endpoint \"%s\"", webhook_clip(webhook_redact_url(canonical))),
				 say_redacted()));
	webhook_guard_check_endpoint(canonical);
	PG_RETURN_TEXT_P(cstring_to_text(canonical));
}

/* clipped(value text): the value as a message repeats it */
Datum
webhook_clipped(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(webhook_clip(text_to_cstring(PG_GETARG_TEXT_PP(0)))));
}

/*
 * checked_headers(headers jsonb): its argument; an error if that is not an object
 * of valid headers. Messages contain a header's name, never its value.
 */
Datum
webhook_checked_headers(PG_FUNCTION_ARGS)
{
	Jsonb	   *headers;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	name = {0};
	JsonbValue	value;
	char	   *names[WEBHOOK_MAX_HEADERS];
	int			count = 0;
	Size		bytes = 0;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 webhook_errargument("headers"),
				 errmsg("headers must not be null"),
				 errhint("Give '{}' for no headers.")));
	headers = PG_GETARG_JSONB_P(0);
	if (!JB_ROOT_IS_OBJECT(headers))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("headers"),
				 errmsg("headers must be a JSON object"),
				 errhint("Give an object of name to value, for example '{\"X-Api-Key\": \"abc\"}'.")));
	if (JB_ROOT_COUNT(headers) > WEBHOOK_MAX_HEADERS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 webhook_errargument("headers"),
				 errmsg("too many headers: %d", (int) JB_ROOT_COUNT(headers)),
				 errdetail("At most %d are allowed.", WEBHOOK_MAX_HEADERS),
				 errhint("Give fewer headers.")));

	iterator = JsonbIteratorInit(&headers->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = value;
		else if (token == WJB_VALUE)
		{
			check_header(&name, &value);
			bytes += name.val.string.len + value.val.string.len;
			names[count++] = pnstrdup(name.val.string.val, name.val.string.len);
		}
	}

	if (bytes > WEBHOOK_MAX_HEADER_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 webhook_errargument("headers"),
				 errmsg("headers of %zu bytes are too long", bytes),
				 errdetail("The maximum for all names and values together is %d bytes.",
						   WEBHOOK_MAX_HEADER_BYTES),
				 errhint("Give fewer or shorter headers.")));
	check_names_differ(names, count);
	PG_RETURN_JSONB_P(headers);
}

/*
 * checked_filter(filter jsonpath): its argument, or NULL if every event passes;
 * an error if it is not allowed
 */
Datum
webhook_checked_filter(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	webhook_filter_check(PG_GETARG_DATUM(0));
	if (webhook_filter_make(PG_GETARG_DATUM(0)) == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* is_own_type(event_type text): true if it is the extension's own, or a pattern of such types */
Datum
webhook_is_own_type(PG_FUNCTION_ARGS)
{
	text	   *event_type = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BOOL(webhook_pattern_is_own(VARDATA_ANY(event_type),
										  VARSIZE_ANY_EXHDR(event_type)));
}

/*
 * matches(pattern text, event_type text): true if the event type is one of the
 * pattern, which is a name, "prefix.*" or "*". The second argument may be a
 * pattern, too: true if the first includes all of it.
 */
Datum
webhook_matches(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(matches(PG_GETARG_TEXT_PP(0), PG_GETARG_TEXT_PP(1)));
}

/* matches_any(patterns text[], event_type text): true if one of them matches */
Datum
webhook_matches_any(PG_FUNCTION_ARGS)
{
	Datum	   *patterns;
	bool	   *nulls;
	int			count;
	bool		found = false;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT,
					  &patterns, &nulls, &count);
	for (int i = 0; i < count && !found; i++)
		found = !nulls[i] && matches(DatumGetTextPP(patterns[i]), PG_GETARG_TEXT_PP(1));
	PG_RETURN_BOOL(found);
}

/*
 * check_duplicate(endpoint text, events text[], subscription bigint, tenant text): an
 * error if a subscription of the tenant, other than that, sends one of the events to the
 * endpoint; NULL as tenant is the platform. The caller holds lock_tenant(), which keeps
 * these subscriptions from changing; a snapshot that is taken under the lock sees all of
 * them, whatever the transaction's isolation level.
 */
Datum
webhook_check_duplicate(PG_FUNCTION_ARGS)
{
	char	   *endpoint = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid			types[4] = {INT8OID, TEXTARRAYOID, INT8OID, TEXTOID};
	Datum		values[4] = {hash_of(PG_GETARG_DATUM(0)), PG_GETARG_DATUM(1),
	PG_GETARG_DATUM(2), PG_GETARG_DATUM(3)};
	char		nulls[5] = {' ', ' ', PG_ARGISNULL(2) ? 'n' : ' ', PG_ARGISNULL(3) ? 'n' : ' '};

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");

	/* The parameter is a hash, because auto_explain may log the parameters of a query. */
	read_now("SELECT s.id, e.name,"
			 " CASE WHEN webhook_internal.matches(e.name, w.name) THEN w.name ELSE e.name END,"
			 " s.endpoint"
			 " FROM webhook_internal.subscription s,"
			 " pg_catalog.unnest(s.events) AS e(name),"
			 " pg_catalog.unnest($2) AS w(name)"
			 " WHERE pg_catalog.hashtextextended(s.endpoint, 0)"
			 " OPERATOR(pg_catalog.=) $1"
			 " AND (webhook_internal.matches(e.name, w.name)"
			 " OR webhook_internal.matches(w.name, e.name))"
			 " AND s.id IS DISTINCT FROM $3"
			 " AND s.tenant IS NOT DISTINCT FROM $4"
			 " ORDER BY 1, 2, 3",
			 lengthof(types), types, values, nulls);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	columns = SPI_tuptable->tupdesc;

		if (strcmp(SPI_getvalue(row, columns, 4), endpoint) != 0)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 webhook_errargument("endpoint"),
				 errmsg("endpoint \"%s\" is already subscribed to event type \"%s\"",
						webhook_clip(webhook_redact_url(endpoint)),
						SPI_getvalue(row, columns, 3)),
				 errdetail("Subscription %s gets \"%s\".",
						   SPI_getvalue(row, columns, 1),
						   SPI_getvalue(row, columns, 2)),
				 errhint("Change that subscription with webhook.alter_subscription(), or end it with webhook.unsubscribe().")));
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * has_name(name text, subscription bigint, tenant text): true if a subscription of the
 * tenant, other than that, has the name now, whatever the transaction's snapshot; NULL as
 * tenant is the platform. The caller holds lock_tenant().
 */
Datum
webhook_has_name(PG_FUNCTION_ARGS)
{
	Oid			types[3] = {TEXTOID, INT8OID, TEXTOID};
	Datum		values[3] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};
	char		nulls[4] = {PG_ARGISNULL(0) ? 'n' : ' ', PG_ARGISNULL(1) ? 'n' : ' ',
	PG_ARGISNULL(2) ? 'n' : ' '};
	bool		found;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	read_now("SELECT FROM webhook_internal.subscription s"
			 " WHERE s.name OPERATOR(pg_catalog.=) $1"
			 " AND s.id IS DISTINCT FROM $2"
			 " AND s.tenant IS NOT DISTINCT FROM $3",
			 lengthof(types), types, values, nulls);
	found = SPI_processed > 0;
	SPI_finish();
	PG_RETURN_BOOL(found);
}

/* Run a query of subscriptions, within SPI, as of now, whatever the transaction's snapshot. */
static void
read_now(const char *query, int nargs, Oid *types, Datum *values, const char *nulls)
{
	SPIPlanPtr	plan = SPI_prepare(query, nargs, types);

	if (plan == NULL ||
		SPI_execute_snapshot(plan, values, nulls, GetLatestSnapshot(), InvalidSnapshot, true,
							 false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read webhook_internal.subscription");
}

/*
 * start_snapshot(): the start snapshot of a subscription that is made now. It sees all
 * that has committed, which the subscription does not get; it does not see this
 * transaction's own changes.
 */
Datum
webhook_start_snapshot(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(webhook_snapshot_to_datum(webhook_snapshot_now()));
}

/* home(): this database of this cluster, as webhook_home() names it */
Datum
webhook_this_home(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(webhook_home()));
}

/* caller(): the role that has called, see webhook_caller() */
Datum
webhook_caller_name(PG_FUNCTION_ARGS)
{
	Name		name = palloc0(NAMEDATALEN);

	namestrcpy(name, GetUserNameFromId(webhook_caller(), false));
	PG_RETURN_NAME(name);
}

/*
 * require_trusted_table(relation regclass): an error if writing to the table
 * would run code that is not the extension's. It would run with the rights of
 * the calling function's owner, so a role that may create a trigger on the table
 * would gain them. The table is locked, so this stays true until the end of the
 * transaction; a caller that needs a stronger lock takes that before.
 */
Datum
webhook_require_trusted_table(PG_FUNCTION_ARGS)
{
	Relation	table = table_open(PG_GETARG_OID(0), RowExclusiveLock);

	require_trusted_table(table);
	table_close(table, NoLock);
	PG_RETURN_VOID();
}

/* redacted_endpoint(endpoint text): the endpoint without its credentials */
Datum
webhook_redacted_endpoint(PG_FUNCTION_ARGS)
{
	const char *endpoint = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_TEXT_P(cstring_to_text(webhook_redact_url(endpoint)));
}

/* redacted_headers(headers jsonb): the headers without their credentials; NULL: it is no object */
Datum
webhook_redacted_headers(PG_FUNCTION_ARGS)
{
	Jsonb	   *headers = PG_GETARG_JSONB_P(0);
	JsonbIterator *iterator = JsonbIteratorInit(&headers->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	JsonbParseState *state = NULL;
	JsonbValue *result = NULL;
	bool		secret = false;

	if (!JB_ROOT_IS_OBJECT(headers))
		PG_RETURN_NULL();
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			secret = webhook_redact_is_credential(pnstrdup(value.val.string.val,
														   value.val.string.len));
		else if (token == WJB_VALUE && secret)
		{
			value.type = jbvString;
			value.val.string.val = WEBHOOK_REDACTED;
			value.val.string.len = strlen(WEBHOOK_REDACTED);
		}
		result = pushJsonbValue(&state, token,
								token == WJB_KEY || token == WJB_VALUE ? &value : NULL);
	}
	PG_RETURN_JSONB_P(JsonbValueToJsonb(result));
}

static bool
matches(text *pattern, text *event_type)
{
	return webhook_pattern_includes(VARDATA_ANY(pattern), VARSIZE_ANY_EXHDR(pattern),
									VARDATA_ANY(event_type), VARSIZE_ANY_EXHDR(event_type));
}

/* hashtextextended(text, 0) */
static Datum
hash_of(Datum text)
{
	return DirectFunctionCall2Coll(hashtextextended, DEFAULT_COLLATION_OID,
								   text, Int64GetDatum(0));
}

/* Part of an ereport(): an argument has what we show in place of a credential. */
static int
say_redacted(void)
{
	errdetail("\"%s\" stands for a value that is hidden.", WEBHOOK_REDACTED);
	errhint("Give the value itself; webhook.subscription_options() shows it.");
	return 0;
}

/* Raise an error if a subscription may not have that header. */
static void
check_header(JsonbValue *name, JsonbValue *value)
{
	const char *shown = name_alone(pnstrdup(name->val.string.val, name->val.string.len));
	WebhookCheck check;

	if (value->type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("headers"),
				 errmsg("invalid header \"%s\"", webhook_clip(shown)),
				 errdetail("Its value is not a string."),
				 errhint("Write the value in quotes.")));
	if (value->val.string.len == strlen(WEBHOOK_REDACTED) &&
		memcmp(value->val.string.val, WEBHOOK_REDACTED, value->val.string.len) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("headers"),
				 errmsg("invalid header \"%s\"", webhook_clip(shown)),
				 say_redacted()));
	check = webhook_header_check(name->val.string.val, name->val.string.len,
								 value->val.string.val, value->val.string.len);
	if (check.problem != NULL)
		ereport(ERROR,
				(errcode(check.too_long ? ERRCODE_PROGRAM_LIMIT_EXCEEDED :
						 ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("headers"),
				 errmsg("invalid header \"%s\"", webhook_clip(shown)),
				 errdetail_internal("%s", check.problem),
				 check.hint ? errhint("%s", check.hint) : 0));
}

/* The name of a header without its value, if a whole line was given as the name. */
static const char *
name_alone(const char *name)
{
	const char *colon = strchr(name, ':');

	if (colon == NULL || colon[1] == '\0')
		return name;
	return psprintf("%.*s...", (int) (colon + 1 - name), name);
}

/* Raise an error if two names differ in case only: jsonb allows that, HTTP does not. */
static void
check_names_differ(char **names, int count)
{
	for (int i = 1; i < count; i++)
	{
		for (int j = 0; j < i; j++)
		{
			if (pg_strcasecmp(names[i], names[j]) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 webhook_errargument("headers"),
						 errmsg("header \"%s\" is given twice", names[i]),
						 errdetail("Names of headers are case-insensitive."),
						 errhint("Give each header once.")));
		}
	}
}

static void
require_trusted_table(Relation table)
{
	const char *schema = get_namespace_name(RelationGetNamespace(table));
	const char *name = RelationGetRelationName(table);

	if (table->rd_rel->relowner != GetUserId())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s.%s is not owned by \"%s\"", schema, name,
						GetUserNameFromId(GetUserId(), false)),
				 errdetail("The functions that write to it are owned by that role."),
				 errhint("Give it back with ALTER TABLE %s.%s OWNER TO.", schema, name)));
	for (int i = 0; table->trigdesc && i < table->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &table->trigdesc->triggers[i];

		/* Internal triggers, of foreign keys, run with the rights of the other table's owner. */
		if (!trigger->tgisinternal &&
			!is_own_function(trigger->tgfoid, RelationGetNamespace(table)))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table %s.%s has a trigger that is not the extension's",
							schema, name),
					 errdetail("Trigger \"%s\" would run code with the rights of \"%s\".",
							   trigger->tgname,
							   GetUserNameFromId(GetUserId(), false)),
					 errhint("Drop the trigger, and revoke from others the right to create one.")));
	}
}

/* Returns true if the function is in that schema and the current user owns it. */
static bool
is_own_function(Oid function, Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool		own;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	own = form->pronamespace == schema && form->proowner == GetUserId();
	ReleaseSysCache(tuple);
	return own;
}
