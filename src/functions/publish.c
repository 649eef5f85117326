/*
 * publish.c
 *	  SQL functions publish(), require_event_type() and require_event_type_in().
 *
 * They do not rely on the caller's privileges on the extension's tables or on
 * search_path: EXECUTE on the function is the permission.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/catalog.h"
#include "base/guc.h"
#include "base/refusal.h"
#include "capture/capture.h"
#include "ring/event.h"
#include "ring/ring.h"
#include "subscription/subscription.h"

static WebhookText text_of(text *value);
static void check_subject(text *subject);
static void check_tenant(text *tenant);
static void refuse_own_type(text *event_type);
static void require_event_type(text *event_type, const char *argument, bool hold);
static bool event_type_exists(text *event_type, bool hold);
static bool hold_row(Relation relation, HeapTuple row, Snapshot snapshot);

PG_FUNCTION_INFO_V1(webhook_publish);
PG_FUNCTION_INFO_V1(webhook_require_event_type);
PG_FUNCTION_INFO_V1(webhook_hold_event_type);

/*
 * publish(event_type text, data json, subject text, tenant text): publish an event;
 * returns its Id
 */
Datum
webhook_publish(PG_FUNCTION_ARGS)
{
	text	   *event_type;
	text	   *data;
	WebhookEventTexts texts = {0};
	WebhookEvent *event;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	PreventCommandDuringRecovery("webhook.publish()");
	PreventCommandIfReadOnly("webhook.publish()");
	PreventCommandIfParallelMode("webhook.publish()");

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 webhook_errargument("event_type"),
				 errmsg("event_type must not be null"),
				 errhint("See view webhook.event_type.")));
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 webhook_errargument("data"),
				 errmsg("data must not be null"),
				 errhint("Give a JSON value; the JSON null is written 'null'.")));
	event_type = PG_GETARG_TEXT_PP(0);
	data = PG_GETARG_TEXT_PP(1);
	if (VARSIZE_ANY_EXHDR(data) > webhook_max_data_size)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 webhook_errargument("data"),
				 errmsg("data of %zu bytes is too large to be published",
						(size_t) VARSIZE_ANY_EXHDR(data)),
				 errdetail("The limit, webhook.max_data_size, is %d bytes.",
						   webhook_max_data_size),
				 errhint("Publish less, a reference for instance, or raise webhook.max_data_size.")));
	if (!PG_ARGISNULL(2))
	{
		check_subject(PG_GETARG_TEXT_PP(2));
		texts.subject = text_of(PG_GETARG_TEXT_PP(2));
	}
	if (!PG_ARGISNULL(3))
	{
		check_tenant(PG_GETARG_TEXT_PP(3));
		texts.tenant = text_of(PG_GETARG_TEXT_PP(3));
	}
	require_event_type(event_type, "event_type", false);
	refuse_own_type(event_type);

	texts.event_type = text_of(event_type);
	texts.context = webhook_text(webhook_session_context());
	texts.data = text_of(data);
	event = webhook_event_make(&texts);
	event->kind = WEBHOOK_EVENT;
	event->created_at = GetCurrentTimestamp();
	webhook_event_new_id(&event->event_id, event->created_at);
	webhook_ring_append(event);

	*id = event->event_id;
	webhook_event_release(event);
	PG_RETURN_UUID_P(id);
}

/*
 * require_event_type_in(event_type text, argument text): raise an error that names the
 * argument, unless the event type exists
 */
Datum
webhook_require_event_type(PG_FUNCTION_ARGS)
{
	require_event_type(PG_GETARG_TEXT_PP(0), text_to_cstring(PG_GETARG_TEXT_PP(1)), false);
	PG_RETURN_VOID();
}

/*
 * require_event_type(event_type text): the same for argument event_type; nobody can drop it
 * until the transaction ends
 */
Datum
webhook_hold_event_type(PG_FUNCTION_ARGS)
{
	require_event_type(PG_GETARG_TEXT_PP(0), "event_type", true);
	PG_RETURN_VOID();
}

static WebhookText
text_of(text *value)
{
	WebhookText text = {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};

	return text;
}

static void
check_tenant(text *tenant)
{
	int			length = VARSIZE_ANY_EXHDR(tenant);

	if (length == 0 || length > WEBHOOK_MAX_TENANT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("tenant"),
				 errmsg("tenant must have between 1 and %d bytes, not %d",
						WEBHOOK_MAX_TENANT, length),
				 errhint("Give the name of a tenant, or NULL for an event of the platform itself.")));
}

static void
check_subject(text *subject)
{
	if (VARSIZE_ANY_EXHDR(subject) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("subject"),
				 errmsg("subject must not be empty"),
				 errhint("Omit the subject, or give NULL, for an event that is in no order with others.")));
	if (VARSIZE_ANY_EXHDR(subject) > WEBHOOK_MAX_SUBJECT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 webhook_errargument("subject"),
				 errmsg("subject of %d bytes is too long",
						(int) VARSIZE_ANY_EXHDR(subject)),
				 errdetail("The maximum is %d bytes.", WEBHOOK_MAX_SUBJECT),
				 errhint("Give a shorter subject.")));
}

/* The worker alone says what the extension's own events say. */
static void
refuse_own_type(text *event_type)
{
	if (webhook_pattern_is_own(VARDATA_ANY(event_type), VARSIZE_ANY_EXHDR(event_type)))
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 webhook_errargument("event_type"),
				 errmsg("event type \"%s\" is reserved",
						webhook_clip(text_to_cstring(event_type))),
				 errdetail("Events of types that begin with \"%s\" are the extension's own.",
						   WEBHOOK_OWN_PREFIX),
				 errhint("Publish another event type; see view webhook.event_type.")));
}

static void
require_event_type(text *event_type, const char *argument, bool hold)
{
	if (!event_type_exists(event_type, hold))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 webhook_errargument(argument),
				 errmsg("event type \"%s\" does not exist",
						webhook_clip(text_to_cstring(event_type))),
				 errhint("See view webhook.event_type, or define it with webhook.define_event_type().")));
}

/*
 * Returns true if the event type exists now, whatever the transaction's snapshot, and
 * locks its row if it is to be held. Uses the primary key if it exists.
 */
static bool
event_type_exists(text *event_type, bool hold)
{
	const LOCKMODE lock = hold ? RowShareLock : AccessShareLock;
	const Oid	schema = webhook_catalog_for_append()->internal_schema;
	const Oid	relid = get_relname_relid("event_type", schema);
	const Oid	index = get_relname_relid("event_type_pkey", schema);
	Relation	relation;
	Snapshot	snapshot;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	row;
	bool		found;

	relation = table_open(relid, lock);
	snapshot = RegisterSnapshot(GetLatestSnapshot());

	/* Column "name", COLLATE "C". */
	ScanKeyEntryInitialize(&key, 0, 1, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ,
						   PointerGetDatum(event_type));
	scan = systable_beginscan(relation, index, OidIsValid(index), snapshot, 1,
							  &key);
	row = systable_getnext(scan);
	found = HeapTupleIsValid(row) && (!hold || hold_row(relation, row, snapshot));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, hold ? NoLock : lock);
	return found;
}

/* Lock a row as a foreign key to it would. Returns false if somebody has deleted it meanwhile. */
static bool
hold_row(Relation relation, HeapTuple row, Snapshot snapshot)
{
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	TM_FailureData failure;
	TM_Result	result;

	result = table_tuple_lock(relation, &row->t_self, snapshot, slot, GetCurrentCommandId(true),
							  LockTupleKeyShare, LockWaitBlock,
							  TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
	ExecDropSingleTupleTableSlot(slot);
	return result == TM_Ok;
}
