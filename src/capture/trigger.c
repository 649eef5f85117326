/*
 * trigger.c
 *	  The trigger functions: a change of a watched row becomes an event.
 *
 * The arguments of the trigger on a watched table are all that it needs, by
 * name:
 *
 *	  event type, table, status column, n, n key columns, data columns ...
 *
 * "table" is the name that data and subject carry. Names are looked up once a
 * statement, so columns can be altered, renamed and dropped freely. A missing
 * column must not fail the application's statement: it raises a WARNING, and
 * without a status or key column no event is published. Only a failure to write
 * the row of the ring is an error.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "capture/cross_partition_internal.h"
#include "capture/row_json_internal.h"
#include "process/wakeup.h"
#include "ring/event.h"
#include "ring/ring.h"

/* Indexes of the arguments. */
enum
{
	ARG_EVENT_TYPE,
	ARG_TABLE,
	ARG_STATUS,
	ARG_NKEYS,
	ARG_KEYS
};

/* The trigger of one relation during one statement; in memory of the executor. */
typedef struct TriggerPlan
{
	WebhookWatch *watch;
	bool		works;			/* false: a status or key column is missing, no event is
								 * published */
	WebhookColumn status;
	int			nkeys;
	WebhookColumn *keys;
	int			ndata;			/* data columns that exist */
	WebhookColumn *data;
	bool		wants_record;	/* data columns were given, whether they exist or not */
	char	  **key_labels;		/* "name": of each key column, with the "{" or "," before it */
	char	  **data_labels;	/* the same of each data column */
	char	   *head;			/* of the event's data, up to the key's value */
	int			prefix;			/* length of "table/" in the subject */
	StringInfoData old_status;	/* work space: a status as JSON */
	StringInfoData new_status;	/* work space: a status as JSON */
	StringInfoData payload;		/* work space: the event's data */
	StringInfoData subject;		/* work space; always begins with "table/" */
} TriggerPlan;

static void row_inserted(TriggerPlan *plan, TupleTableSlot *row);
static void row_deleted(TriggerPlan *plan, TupleTableSlot *row,
						HeapTupleHeader header);
static void row_updated(TriggerPlan *plan, TupleTableSlot *old_row,
						TupleTableSlot *new_row);
static TriggerPlan *make_plan(FunctionCallInfo fcinfo, TriggerData *trigger);
static bool find_columns(TriggerPlan *plan, TriggerData *trigger, bool quiet);
static char *make_label(const char *before, const char *name);
static void render_status(TriggerPlan *plan, StringInfo out,
						  TupleTableSlot *row);
static void render(TriggerPlan *plan, TupleTableSlot *row,
				   const char *old_status, const char *new_status);
static bool render_record(TriggerPlan *plan, TupleTableSlot *row);
static void warn_size(TriggerPlan *plan, bool with_record);
static void publish(TriggerPlan *plan);

PG_FUNCTION_INFO_V1(webhook_enqueue);
PG_FUNCTION_INFO_V1(webhook_drop_replicated);
PG_FUNCTION_INFO_V1(webhook_wake_worker);

/*
 * webhook_internal.enqueue(): AFTER ... FOR EACH ROW trigger on a watched table.
 */
Datum
webhook_enqueue(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TriggerPlan *plan;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as an AFTER ROW trigger",
						"webhook_internal.enqueue"),
				 errhint("Use webhook.watch() to create the trigger.")));

	plan = fcinfo->flinfo->fn_extra;
	if (plan == NULL)
		fcinfo->flinfo->fn_extra = plan = make_plan(fcinfo, trigger);

	webhook_cross_partition_publish_orphaned();
	if (!plan->works)
		return PointerGetDatum(NULL);

	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		row_inserted(plan, trigger->tg_trigslot);
	else
	{
		/* No INSERT has followed a deferred DELETE. */
		webhook_cross_partition_publish_deferred(plan->watch);

		if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
			row_deleted(plan, trigger->tg_trigslot,
						trigger->tg_trigtuple->t_data);
		else
			row_updated(plan, trigger->tg_trigslot, trigger->tg_newslot);
	}

	return PointerGetDatum(NULL);
}

/* Publish the event of a row that was inserted, or moved to this partition. */
static void
row_inserted(TriggerPlan *plan, TupleTableSlot *row)
{
	const char *old_status = webhook_cross_partition_old_status(plan->watch);
	bool		moved = old_status != NULL;

	render_status(plan, &plan->new_status, row);
	if (moved && strcmp(old_status, plan->new_status.data) == 0)
	{
		webhook_cross_partition_complete(plan->watch);
		return;
	}

	render(plan, row, moved ? old_status : "null", plan->new_status.data);
	if (moved)
		webhook_cross_partition_complete(plan->watch);
	publish(plan);
}

/* Publish the event of a row that was deleted, or defer it if the row was moved. */
static void
row_deleted(TriggerPlan *plan, TupleTableSlot *row, HeapTupleHeader header)
{
	render_status(plan, &plan->old_status, row);
	render(plan, row, plan->old_status.data, "null");

	if (HeapTupleHeaderIndicatesMovedPartitions(header))
		webhook_cross_partition_defer(plan->watch, plan->old_status.data,
									  plan->subject.data, plan->payload.data);
	else
		publish(plan);
}

/* Publish the event of a row that was updated in its partition. */
static void
row_updated(TriggerPlan *plan, TupleTableSlot *old_row,
			TupleTableSlot *new_row)
{
	AttrNumber	number = plan->status.number;
	Datum		old_value;
	Datum		new_value;
	bool		old_is_null;
	bool		new_is_null;

	old_value = slot_getattr(old_row, number, &old_is_null);
	new_value = slot_getattr(new_row, number, &new_is_null);
	if (webhook_column_same(&plan->status, old_value, old_is_null,
							new_value, new_is_null))
		return;

	/* Values whose images differ may be the same as JSON. */
	render_status(plan, &plan->old_status, old_row);
	render_status(plan, &plan->new_status, new_row);
	if (strcmp(plan->old_status.data, plan->new_status.data) == 0)
		return;

	render(plan, new_row, plan->old_status.data, plan->new_status.data);
	publish(plan);
}

/*
 * webhook_internal.drop_replicated(): BEFORE INSERT ... FOR EACH ROW trigger, enabled
 * as REPLICA, on each ring table. Rows that logical replication inserts are
 * events of another database, which sends them itself; they are dropped.
 */
Datum
webhook_drop_replicated(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a BEFORE INSERT ROW trigger",
						"webhook_internal.drop_replicated")));

	return PointerGetDatum(NULL);
}

/*
 * webhook_internal.wake_worker(): AFTER ... FOR EACH STATEMENT trigger, enabled
 * ALWAYS, on the tables of subscriptions, which the worker keeps in memory. At commit
 * the worker is told to read them again. That covers writes without a command,
 * such as those of a restore.
 */
Datum
webhook_wake_worker(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as an AFTER STATEMENT trigger",
						"webhook_internal.wake_worker")));

	webhook_wakeup_at_commit(true);
	return PointerGetDatum(NULL);
}

/* Make the plan from the trigger's arguments. It lives as long as the statement. */
static TriggerPlan *
make_plan(FunctionCallInfo fcinfo, TriggerData *trigger)
{
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	MemoryContext old;
	int			nargs = trigger->tg_trigger->tgnargs;
	char	  **args = trigger->tg_trigger->tgargs;
	long		nkeys;
	bool		known;
	TriggerPlan *plan;

	nkeys = nargs > ARG_KEYS ? strtol(args[ARG_NKEYS], NULL, 10) : 0;
	if (nkeys < 1 || nkeys > nargs - ARG_KEYS)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" on relation \"%s\" has wrong arguments for function \"%s\"",
						trigger->tg_trigger->tgname,
						RelationGetRelationName(trigger->tg_relation),
						"webhook_internal.enqueue"),
				 errhint("Use webhook.watch() to create the trigger.")));

	old = MemoryContextSwitchTo(context);
	plan = palloc0(sizeof(TriggerPlan));
	initStringInfo(&plan->old_status);
	initStringInfo(&plan->new_status);
	initStringInfo(&plan->payload);
	initStringInfo(&plan->subject);

	plan->watch = webhook_watch_get(context, trigger->tg_trigger->tgname,
									args[ARG_EVENT_TYPE], &known);

	plan->nkeys = nkeys;
	plan->ndata = nargs - ARG_KEYS - nkeys;
	plan->wants_record = plan->ndata > 0;
	plan->works = find_columns(plan, trigger, known);

	/* What all events of this trigger begin with. */
	appendStringInfoString(&plan->subject, args[ARG_TABLE]);
	appendStringInfoChar(&plan->subject, '/');
	plan->prefix = plan->subject.len;

	webhook_row_json_append_pascal(&plan->payload, args[ARG_TABLE]);
	appendStringInfoString(&plan->payload, "Id");
	plan->head = make_label("{", plan->payload.data);

	MemoryContextSwitchTo(old);
	return plan;
}

/*
 * Find the columns in the relation. Returns false if a status or key column is
 * missing. Warns of missing columns unless "quiet", that is, unless another
 * partition has warned of them in this statement.
 */
static bool
find_columns(TriggerPlan *plan, TriggerData *trigger, bool quiet)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	char	  **args = trigger->tg_trigger->tgargs;
	char	  **key_names = args + ARG_KEYS;
	char	  **data_names = key_names + plan->nkeys;
	const char *missing = NULL;
	int			found = 0;
	int			i;

	if (!webhook_column_find(&plan->status, desc, args[ARG_STATUS],
							 CurrentMemoryContext))
		missing = args[ARG_STATUS];

	plan->keys = palloc0(plan->nkeys * sizeof(WebhookColumn));
	plan->key_labels = palloc0(plan->nkeys * sizeof(char *));
	for (i = 0; i < plan->nkeys && missing == NULL; i++)
	{
		if (!webhook_column_find(&plan->keys[i], desc, key_names[i],
								 CurrentMemoryContext))
			missing = key_names[i];
		plan->key_labels[i] = make_label(i == 0 ? "{" : ",", key_names[i]);
	}

	if (missing != NULL)
	{
		if (!quiet)
			ereport(WARNING,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							missing, RelationGetRelationName(trigger->tg_relation)),
					 errdetail("Event \"%s\" is not published.", args[ARG_EVENT_TYPE]),
					 errhint("Call webhook.unwatch() and then webhook.watch() again.")));
		return false;
	}

	plan->data = palloc0(plan->ndata * sizeof(WebhookColumn));
	plan->data_labels = palloc0(plan->ndata * sizeof(char *));
	for (i = 0; i < plan->ndata; i++)
	{
		if (webhook_column_find(&plan->data[found], desc, data_names[i],
								CurrentMemoryContext))
		{
			plan->data_labels[found] = make_label(found == 0 ? "" : ",",
												  data_names[i]);
			found++;
		}
		else if (!quiet)
			ereport(WARNING,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							data_names[i], RelationGetRelationName(trigger->tg_relation)),
					 errdetail("It is left out of event \"%s\".", args[ARG_EVENT_TYPE]),
					 errhint("Call webhook.unwatch() and then webhook.watch() again.")));
	}
	plan->ndata = found;
	return true;
}

/* The text "before", then "name" as a key of a JSON object with its colon. */
static char *
make_label(const char *before, const char *name)
{
	StringInfoData label;

	initStringInfo(&label);
	appendStringInfoString(&label, before);
	webhook_row_json_append_string(&label, name, strlen(name));
	appendStringInfoChar(&label, ':');
	return label.data;
}

/* Set "out" to the status of a row as JSON. */
static void
render_status(TriggerPlan *plan, StringInfo out, TupleTableSlot *row)
{
	bool		is_null;
	Datum		value = slot_getattr(row, plan->status.number, &is_null);

	resetStringInfo(out);
	webhook_column_append(&plan->status, out, value, is_null);
}

/* Set the plan's payload and subject to those of an event about a row; statuses are JSON. */
static void
render(TriggerPlan *plan, TupleTableSlot *row, const char *old_status,
	   const char *new_status)
{
	StringInfo	payload = &plan->payload;
	StringInfo	subject = &plan->subject;
	int			i;

	resetStringInfo(payload);
	appendStringInfoString(payload, plan->head);
	subject->len = plan->prefix;

	for (i = 0; i < plan->nkeys; i++)
	{
		bool		is_null;
		Datum		value = slot_getattr(row, plan->keys[i].number, &is_null);

		if (plan->nkeys > 1)
			appendStringInfoString(payload, plan->key_labels[i]);
		webhook_column_append(&plan->keys[i], payload, value, is_null);

		if (i > 0)
			appendStringInfoCharMacro(subject, '/');
		webhook_column_append_key(&plan->keys[i], subject, value, is_null);
	}
	if (plan->nkeys > 1)
		appendStringInfoCharMacro(payload, '}');
	subject->data[subject->len] = '\0';
	webhook_row_json_fit_subject(subject, plan->prefix);

	appendStringInfoString(payload, ",\"OldStatus\":");
	appendStringInfoString(payload, old_status);
	appendStringInfoString(payload, ",\"NewStatus\":");
	appendStringInfoString(payload, new_status);

	if (plan->wants_record)
	{
		int			before = payload->len;

		if (!render_record(plan, row))
		{
			payload->len = before;
			warn_size(plan, true);
		}
	}
	appendStringInfoChar(payload, '}');

	if (payload->len > webhook_max_data_size)
		warn_size(plan, false);
}

/*
 * Append the data columns to the payload. Returns false if that makes it larger
 * than webhook.max_data_size; it ends with a part of them then.
 */
static bool
render_record(TriggerPlan *plan, TupleTableSlot *row)
{
	StringInfo	payload = &plan->payload;
	int			i;

	appendStringInfoString(payload, ",\"Record\":{");
	for (i = 0; i < plan->ndata; i++)
	{
		bool		is_null;
		Datum		value = slot_getattr(row, plan->data[i].number, &is_null);

		if (!is_null && webhook_column_exceeds(&plan->data[i], value,
											   webhook_max_data_size))
			return false;
		appendStringInfoString(payload, plan->data_labels[i]);
		webhook_column_append(&plan->data[i], payload, value, is_null);
		if (payload->len > webhook_max_data_size)
			return false;
	}
	appendStringInfoCharMacro(payload, '}');

	/* One more brace follows. */
	return payload->len < webhook_max_data_size;
}

/*
 * Warn, once a statement, that data is larger than webhook.max_data_size: with
 * its record, which is left out, or without.
 */
static void
warn_size(TriggerPlan *plan, bool with_record)
{
	if (plan->watch->warned_size)
		return;
	plan->watch->warned_size = true;
	ereport(WARNING,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("data of event \"%s\" about \"%s\" is larger than webhook.max_data_size",
					plan->watch->event_type, plan->subject.data),
			 with_record ?
			 errdetail("The event is published without \"Record\".") :
			 errdetail("The event is published nevertheless, because its key and status alone are that large.")));
}

/* Append the event whose data and subject have been rendered to the ring. */
static void
publish(TriggerPlan *plan)
{
	WebhookEvent event = {0};

	event.kind = WEBHOOK_EVENT;
	event.created_at = GetCurrentTimestamp();
	webhook_event_new_id(&event.event_id, event.created_at);
	event.event_type = plan->watch->event_type;
	event.subject = plan->subject.data;
	event.data = plan->payload.data;
	webhook_ring_append(&event);
}
