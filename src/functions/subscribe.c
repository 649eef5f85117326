/*
 * subscribe.c
 *	  What is behind subscribe() and its like, where SQL does not reach.
 *
 * The install script says in PL/pgSQL what SQL says best; here is what needs
 * the server's insides: a snapshot newer than the transaction's, and the rules
 * for endpoints, headers and filters, which the worker applies too. The
 * functions are called from those of the install script only, which run as
 * their owner; EXECUTE on them is nobody else's.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/catalog.h"
#include "base/redact.h"
#include "base/snapshot.h"
#include "net/header.h"
#include "net/url.h"
#include "subscription/subscription.h"

#define SHOWN_BYTES		200		/* of a value that a message repeats */

static Datum hash_of(Datum text);
static void refuse(const char *what, const char *value, int length,
				   WebhookCheck verdict);
static void check_header(JsonbValue *name, JsonbValue *value);
static void refuse_same_name(char **names, int count);
static void refuse_foreign_code(Relation table);
static bool is_own_function(Oid function, Oid schema);

PG_FUNCTION_INFO_V1(webhook_canonical_endpoint);
PG_FUNCTION_INFO_V1(webhook_checked_headers);
PG_FUNCTION_INFO_V1(webhook_checked_filter);
PG_FUNCTION_INFO_V1(webhook_matches);
PG_FUNCTION_INFO_V1(webhook_refuse_duplicate);
PG_FUNCTION_INFO_V1(webhook_since);
PG_FUNCTION_INFO_V1(webhook_this_home);
PG_FUNCTION_INFO_V1(webhook_caller);
PG_FUNCTION_INFO_V1(webhook_refuse_foreign_code);
PG_FUNCTION_INFO_V1(webhook_redacted_endpoint);
PG_FUNCTION_INFO_V1(webhook_redacted_headers);

/* canonical_endpoint(endpoint text): as it is stored and sent */
Datum
webhook_canonical_endpoint(PG_FUNCTION_ARGS)
{
	char		canonical[WEBHOOK_MAX_ENDPOINT + 2];
	WebhookCheck verdict;
	text	   *endpoint;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("endpoint must not be null"),
				 errhint("Give the URL that events are to be sent to, for example 'https://example.com/hook'.")));
	endpoint = PG_GETARG_TEXT_PP(0);
	verdict = webhook_url_check(VARDATA_ANY(endpoint),
								VARSIZE_ANY_EXHDR(endpoint), canonical);
	if (verdict.problem != NULL)
	{
		const char *shown = webhook_redact_url(text_to_cstring(endpoint));

		refuse("endpoint", shown, strlen(shown), verdict);
	}
	webhook_guard_check_endpoint(canonical);
	PG_RETURN_TEXT_P(cstring_to_text(canonical));
}

/*
 * checked_headers(headers jsonb): the same, if it is an object of what may be
 * a header. Messages name a header, never its value.
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
				 errmsg("headers must not be null"),
				 errhint("Give '{}' for no headers of your own.")));
	headers = PG_GETARG_JSONB_P(0);
	if (!JB_ROOT_IS_OBJECT(headers))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("headers must be a JSON object"),
				 errhint("Give an object of name to value, for example '{\"X-Api-Key\": \"abc\"}'.")));
	if (JB_ROOT_COUNT(headers) > WEBHOOK_MAX_HEADERS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%d headers are too many",
						(int) JB_ROOT_COUNT(headers)),
				 errhint("A subscription may have %d.", WEBHOOK_MAX_HEADERS)));

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
				 errmsg("headers of %zu bytes are too long", bytes),
				 errhint("Names and values of a subscription's headers may have %d bytes together.",
						 WEBHOOK_MAX_HEADER_BYTES)));
	refuse_same_name(names, count);
	PG_RETURN_JSONB_P(headers);
}

/* checked_filter(filter jsonpath): the same; NULL if it refuses nothing */
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

/*
 * matches(pattern text, event_type text): the pattern is a name, "prefix.*" or
 * "*". The other may be a pattern too: is all of it within the first?
 */
Datum
webhook_matches(PG_FUNCTION_ARGS)
{
	text	   *pattern = PG_GETARG_TEXT_PP(0);
	text	   *event_type = PG_GETARG_TEXT_PP(1);
	int			length = VARSIZE_ANY_EXHDR(pattern);
	int			type_length = VARSIZE_ANY_EXHDR(event_type);

	if (length > 0 && VARDATA_ANY(pattern)[length - 1] == '*')
		length--;
	else if (length != type_length)
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(length <= type_length &&
				   memcmp(VARDATA_ANY(pattern), VARDATA_ANY(event_type), length) == 0);
}

/*
 * refuse_duplicate(endpoint text, events text[], subscription bigint): an
 * error if another subscription brings one of the events to the endpoint. The
 * caller holds a lock that keeps subscriptions from changing; a snapshot taken
 * under it sees all of them, whatever the transaction's isolation level.
 */
Datum
webhook_refuse_duplicate(PG_FUNCTION_ARGS)
{
	char	   *endpoint = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid			types[3] = {INT8OID, TEXTARRAYOID, INT8OID};
	Datum		values[3] = {hash_of(PG_GETARG_DATUM(0)), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};
	char		nulls[4] = {' ', ' ', PG_ARGISNULL(2) ? 'n' : ' '};
	SPIPlanPtr	plan;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");

	/* auto_explain may log the parameters of a query: no endpoint is one. */
	plan = SPI_prepare("SELECT s.id, e.name,"
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
					   " ORDER BY 1, 2, 3",
					   3, types);
	if (plan == NULL)
		elog(ERROR, "could not plan a query of webhook_internal.subscription");
	if (SPI_execute_snapshot(plan, values, nulls, GetLatestSnapshot(),
							 InvalidSnapshot, true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read webhook_internal.subscription");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	columns = SPI_tuptable->tupdesc;

		if (strcmp(SPI_getvalue(row, columns, 4), endpoint) != 0)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("endpoint \"%s\" is subscribed to event type \"%s\" already",
						webhook_redact_url(endpoint), SPI_getvalue(row, columns, 3)),
				 errdetail("Subscription %s gets \"%s\".",
						   SPI_getvalue(row, columns, 1),
						   SPI_getvalue(row, columns, 2)),
				 errhint("Change that one with webhook.alter_subscription(), or end it with webhook.unsubscribe().")));
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * since(): what a subscription does not get, that is all that has committed
 * by now. This transaction's own changes it gets.
 */
Datum
webhook_since(PG_FUNCTION_ARGS)
{
	FullTransactionId own = GetTopFullTransactionId();
	WebhookSnapshot *since = webhook_snapshot_make(GetLatestSnapshot(), own);

	PG_RETURN_DATUM(webhook_snapshot_to_datum(since));
}

/* home(): this database of this cluster */
Datum
webhook_this_home(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(webhook_home()));
}

/*
 * caller(): who is behind a function that runs as its owner. Not the session's
 * login role, if it has changed its role by SET ROLE.
 */
Datum
webhook_caller(PG_FUNCTION_ARGS)
{
	Name		name = palloc0(NAMEDATALEN);

	namestrcpy(name, GetUserNameFromId(GetOuterUserId(), false));
	PG_RETURN_NAME(name);
}

/*
 * refuse_foreign_code(relation regclass): an error if changing a table that
 * people write would run code that is not the extension's, as the role that
 * the caller runs as. Whoever may create a trigger on it would be that role
 * otherwise. The lock keeps it so until the end of the transaction; a caller
 * that needs a stronger one takes it before.
 */
Datum
webhook_refuse_foreign_code(PG_FUNCTION_ARGS)
{
	Relation	table = table_open(PG_GETARG_OID(0), RowExclusiveLock);

	refuse_foreign_code(table);
	table_close(table, NoLock);
	PG_RETURN_VOID();
}

/* redacted_endpoint(endpoint text): without values of the query */
Datum
webhook_redacted_endpoint(PG_FUNCTION_ARGS)
{
	const char *endpoint = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_TEXT_P(cstring_to_text(webhook_redact_url(endpoint)));
}

/* redacted_headers(headers jsonb): without values of credentials */
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

/* As hashtextextended(text, 0) says. */
static Datum
hash_of(Datum text)
{
	return DirectFunctionCall2Coll(hashtextextended, DEFAULT_COLLATION_OID,
								   text, Int64GetDatum(0));
}

/* An error that names the argument and, as far as it is short, the value. */
static void
refuse(const char *what, const char *value, int length, WebhookCheck verdict)
{
	int			shown = pg_mbcliplen(value, length, SHOWN_BYTES);

	ereport(ERROR,
			(errcode(verdict.too_long ? ERRCODE_PROGRAM_LIMIT_EXCEEDED :
					 ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s \"%s%s\"", what, pnstrdup(value, shown),
					shown < length ? "..." : ""),
			 errdetail("%s", verdict.problem),
			 verdict.hint ? errhint("%s", verdict.hint) : 0));
}

static void
check_header(JsonbValue *name, JsonbValue *value)
{
	WebhookCheck verdict;

	if (value->type != jbvString)
	{
		verdict.problem = "Its value is not a string.";
		verdict.hint = "Write the value in quotes.";
		verdict.too_long = false;
	}
	else
		verdict = webhook_header_check(name->val.string.val,
									   name->val.string.len,
									   value->val.string.val,
									   value->val.string.len);
	if (verdict.problem != NULL)
	{
		const char *shown = pnstrdup(name->val.string.val, name->val.string.len);
		const char *colon = strchr(shown, ':');

		/* What is behind it is the value, where a line was taken for a name. */
		if (colon != NULL && colon[1] != '\0')
			shown = psprintf("%.*s...", (int) (colon + 1 - shown), shown);
		refuse("header", shown, strlen(shown), verdict);
	}
}

/* jsonb tells names in different case apart, HTTP does not. */
static void
refuse_same_name(char **names, int count)
{
	for (int i = 1; i < count; i++)
	{
		for (int j = 0; j < i; j++)
		{
			if (pg_strcasecmp(names[i], names[j]) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("header \"%s\" is given twice", names[i]),
						 errdetail("Case does not matter in the name of a header."),
						 errhint("Give each header once.")));
		}
	}
}

static void
refuse_foreign_code(Relation table)
{
	const char *name = RelationGetRelationName(table);

	if (table->rd_rel->relowner != GetUserId())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table webhook.%s is not owned by \"%s\"", name,
						GetUserNameFromId(GetUserId(), false)),
				 errdetail("The functions that write it are."),
				 errhint("Give it back with ALTER TABLE webhook.%s OWNER TO.", name)));
	for (int i = 0; table->trigdesc && i < table->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &table->trigdesc->triggers[i];

		/* Those of foreign keys run as the owner of the other table. */
		if (!trigger->tgisinternal &&
			!is_own_function(trigger->tgfoid, RelationGetNamespace(table)))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table webhook.%s has a trigger that is not the extension's",
							name),
					 errdetail("Trigger \"%s\" would run code with the rights of \"%s\".",
							   trigger->tgname,
							   GetUserNameFromId(GetUserId(), false)),
					 errhint("Drop the trigger, and revoke from others the right to create one.")));
	}
}

/* Is it in our schema, and does it belong to whom we run as? */
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
