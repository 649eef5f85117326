/*
 * trigger.c
 *	  The trigger function of watches: a change of a watched row becomes an event.
 *
 * The trigger's arguments are all that it needs (arguments_internal.h). Names of
 * columns are looked up once a statement, so columns can be altered and dropped
 * freely. A missing column must not fail the application's statement: it raises
 * a WARNING, and without a status or key column no event is published. Only a
 * failure to write the row of the ring is an error.
 *
 * The subject of an event has the row's key. So an UPDATE that changes the key is
 * two events: the row with the former key was deleted, one with the new key was
 * created.
 *
 * An UPDATE that changes the tenant is up to three: for the former tenant alone the
 * row was deleted, for the new one alone it was created, and for the platform it is
 * the change that it is. So neither tenant learns the other's values.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/rel.h"

#include "base/guc.h"
#include "capture/arguments_internal.h"
#include "capture/fixed_settings_internal.h"
#include "capture/held_internal.h"
#include "capture/row_json_internal.h"
#include "capture/tenant_internal.h"

/* Key "Operation" of Data. */
#define INSERTION	"INSERT"
#define CHANGE		"UPDATE"
#define DELETION	"DELETE"

/* The trigger of one relation during one statement; in memory of the executor. */
typedef struct TriggerPlan
{
	WebhookWatch *watch;
	bool		works;			/* false: a status, key or tenant column is missing, no event is
								 * published */
	WebhookColumn status;
	bool		has_tenant;		/* a tenant column was given */
	WebhookColumn tenant;
	int			nkeys;
	WebhookColumn *keys;
	int			ndata;			/* data columns that exist */
	WebhookColumn *data;
	bool		wants_record;	/* data columns were given, whether they exist or not */
	int			settings;		/* that the text of a value follows, see fixed_settings */
	AttrNumber	last_column;	/* the last one of status, tenant and keys */
	char	  **key_labels;		/* "name": of each key column, with the "{" or "," before it */
	char	  **data_labels;	/* the same of each data column */
	char	   *head;			/* of the event's data, up to the key's value */
	int			prefix;			/* length of "name/" in the subject */
	StringInfoData old_status;	/* work space: a status as JSON */
	StringInfoData new_status;	/* work space: a status as JSON */
	StringInfoData old_key;		/* work space: a key as JSON */
	StringInfoData new_key;		/* work space: a key as JSON */
	StringInfoData old_tenant;	/* work space: a tenant */
	StringInfoData new_tenant;	/* work space: a tenant */
	StringInfoData payload;		/* work space: the event's data */
	StringInfoData subject;		/* work space; always begins with "name/" */
} TriggerPlan;

static void row_inserted(TriggerPlan *plan, TupleTableSlot *row, HeapTupleHeader version);
static void row_deleted(TriggerPlan *plan, TupleTableSlot *row,
						HeapTupleHeader version);
static void row_updated(TriggerPlan *plan, TupleTableSlot *old_row,
						TupleTableSlot *new_row, TriggerData *trigger);
static void row_untold(TriggerPlan *plan, TupleTableSlot *row);
static TriggerPlan *make_plan(FunctionCallInfo fcinfo, TriggerData *trigger);
static bool find_columns(TriggerPlan *plan, TriggerData *trigger,
						 const WebhookArguments *arguments, bool quiet);
static char *make_label(const char *before, const char *name);
static bool same_images(const WebhookColumn *column, TupleTableSlot *a,
						TupleTableSlot *b);
static bool same_tenant_images(TriggerPlan *plan, TupleTableSlot *a, TupleTableSlot *b);
static const char *tenant_of(TriggerPlan *plan, StringInfo out, TupleTableSlot *row);
static void tenant_changed(TriggerPlan *plan, TupleTableSlot *row, const char *tenant);
static bool same_key_images(TriggerPlan *plan, TupleTableSlot *a, TupleTableSlot *b);
static void render_status(TriggerPlan *plan, StringInfo out,
						  TupleTableSlot *row);
static void render_key(TriggerPlan *plan, StringInfo out, TupleTableSlot *row);
static void render_subject(TriggerPlan *plan, TupleTableSlot *row);
static bool has_subject(TriggerPlan *plan, TupleTableSlot *row, const char *subject);
static void render(TriggerPlan *plan, TupleTableSlot *row, const char *operation,
				   const char *old_status, const char *new_status);
static bool render_record(TriggerPlan *plan, TupleTableSlot *row);
static void warn_size(TriggerPlan *plan, bool with_record);
static WebhookDraft draft(TriggerPlan *plan, WebhookKind kind, const char *tenant);
static void publish(TriggerPlan *plan, WebhookKind kind, const char *tenant);

PG_FUNCTION_INFO_V1(webhook_enqueue);

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

	webhook_held_begin(plan->watch, trigger);
	if (!plan->works)
		return PointerGetDatum(NULL);

	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		row_inserted(plan, trigger->tg_trigslot, trigger->tg_trigtuple->t_data);
		webhook_held_end(plan->watch, RelationGetRelid(trigger->tg_relation),
						 &trigger->tg_trigslot->tts_tid);
	}
	else
	{
		/* No INSERT has followed the DELETE of a move. */
		webhook_held_end_move(plan->watch);

		if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
			row_deleted(plan, trigger->tg_trigslot,
						trigger->tg_trigtuple->t_data);
		else
		{
			row_updated(plan, trigger->tg_trigslot, trigger->tg_newslot, trigger);
			webhook_held_end(plan->watch, RelationGetRelid(trigger->tg_relation),
							 &trigger->tg_newslot->tts_tid);
		}
	}

	return PointerGetDatum(NULL);
}

/* Publish the event of a row that was inserted, or moved to this partition. */
static void
row_inserted(TriggerPlan *plan, TupleTableSlot *row, HeapTupleHeader version)
{
	int			level = webhook_fixed_settings_begin(plan->settings);
	const char *tenant = tenant_of(plan, &plan->new_tenant, row);
	const char *old_status;
	const WebhookEvent *deletion = webhook_held_moved(plan->watch, &old_status);

	render_status(plan, &plan->new_status, row);
	if (deletion == NULL)
	{
		render(plan, row, INSERTION, "null", plan->new_status.data);
		publish(plan, WEBHOOK_EVENT, tenant);
	}
	else if (!has_subject(plan, row, deletion->subject))
	{
		WebhookDraft creation;

		/* The row was moved and has another key. */
		webhook_held_end_move(plan->watch);
		render(plan, row, INSERTION, "null", plan->new_status.data);
		creation = draft(plan, WEBHOOK_EVENT, tenant);
		webhook_held_publish_creation(plan->watch, version, &creation);
	}
	else
	{
		/* The deletion is freed below. */
		resetStringInfo(&plan->old_status);
		appendStringInfoString(&plan->old_status, old_status);
		if (!webhook_tenant_same(deletion->tenant, tenant))
		{
			webhook_held_end_tenancy(plan->watch);
			tenant_changed(plan, row, tenant);
		}
		else
		{
			webhook_held_complete_move(plan->watch);
			if (strcmp(plan->old_status.data, plan->new_status.data) != 0)
			{
				render(plan, row, CHANGE, plan->old_status.data, plan->new_status.data);
				publish(plan, WEBHOOK_EVENT, tenant);
			}
		}
	}
	webhook_fixed_settings_end(level);
}

/* Publish the event of a row that was deleted, or hold it if the row was moved. */
static void
row_deleted(TriggerPlan *plan, TupleTableSlot *row, HeapTupleHeader version)
{
	int			level = webhook_fixed_settings_begin(plan->settings);
	const char *tenant = tenant_of(plan, &plan->old_tenant, row);

	webhook_held_before(plan->watch, version);
	render_status(plan, &plan->old_status, row);
	render(plan, row, DELETION, plan->old_status.data, "null");

	if (HeapTupleHeaderIndicatesMovedPartitions(version))
	{
		WebhookDraft deletion = draft(plan, WEBHOOK_EVENT, tenant);

		webhook_held_move(plan->watch, plan->old_status.data, &deletion);
	}
	else
		publish(plan, WEBHOOK_EVENT, tenant);
	webhook_fixed_settings_end(level);
}

/* Publish the event or events of a row that was updated in its partition. */
static void
row_updated(TriggerPlan *plan, TupleTableSlot *old_row,
			TupleTableSlot *new_row, TriggerData *trigger)
{
	bool		same_key;
	bool		same_tenant;
	const char *old_tenant;
	const char *new_tenant;
	int			level;

	slot_getsomeattrs(old_row, plan->last_column);
	slot_getsomeattrs(new_row, plan->last_column);
	same_key = same_key_images(plan, old_row, new_row);
	same_tenant = same_tenant_images(plan, old_row, new_row);
	if (same_key && same_tenant && same_images(&plan->status, old_row, new_row))
	{
		row_untold(plan, new_row);
		return;
	}

	/* Values whose images differ may be the same as JSON. */
	level = webhook_fixed_settings_begin(plan->settings);
	webhook_held_before(plan->watch, trigger->tg_trigtuple->t_data);
	render_status(plan, &plan->old_status, old_row);
	render_status(plan, &plan->new_status, new_row);
	old_tenant = tenant_of(plan, &plan->old_tenant, old_row);
	new_tenant = same_tenant ? old_tenant : tenant_of(plan, &plan->new_tenant, new_row);
	if (!same_key)
	{
		render_key(plan, &plan->old_key, old_row);
		render_key(plan, &plan->new_key, new_row);
		same_key = strcmp(plan->old_key.data, plan->new_key.data) == 0;
	}

	if (!same_key)
	{
		WebhookDraft creation;

		render(plan, old_row, DELETION, plan->old_status.data, "null");
		publish(plan, WEBHOOK_EVENT, old_tenant);
		render(plan, new_row, INSERTION, "null", plan->new_status.data);
		creation = draft(plan, WEBHOOK_EVENT, new_tenant);
		webhook_held_publish_creation(plan->watch, trigger->tg_newtuple->t_data, &creation);
	}
	else if (!webhook_tenant_same(old_tenant, new_tenant))
	{
		if (old_tenant != NULL)
		{
			render(plan, old_row, DELETION, plan->old_status.data, "null");
			publish(plan, WEBHOOK_EVENT_OF_TENANT, old_tenant);
		}
		tenant_changed(plan, new_row, new_tenant);
	}
	else if (strcmp(plan->old_status.data, plan->new_status.data) != 0)
	{
		render(plan, new_row, CHANGE, plan->old_status.data, plan->new_status.data);
		publish(plan, WEBHOOK_EVENT, new_tenant);
	}
	else
		row_untold(plan, new_row);
	webhook_fixed_settings_end(level);
}

/*
 * A row has got another tenant: publish its creation for that one, and its change
 * for the platform. Its deletion for the former one has been published.
 */
static void
tenant_changed(TriggerPlan *plan, TupleTableSlot *row, const char *tenant)
{
	if (tenant != NULL)
	{
		render(plan, row, INSERTION, "null", plan->new_status.data);
		publish(plan, WEBHOOK_EVENT_OF_TENANT, tenant);
	}
	if (strcmp(plan->old_status.data, plan->new_status.data) != 0)
	{
		render(plan, row, CHANGE, plan->old_status.data, plan->new_status.data);
		publish(plan, WEBHOOK_EVENT_OF_PLATFORM, tenant);
	}
}

/* A row was updated, and that is no event. */
static void
row_untold(TriggerPlan *plan, TupleTableSlot *row)
{
	if (webhook_held_joins(plan->watch))
	{
		render_subject(plan, row);
		webhook_held_note(plan->watch, plan->subject.data);
	}
}

/* Make the plan from the trigger's arguments. It lives as long as the statement. */
static TriggerPlan *
make_plan(FunctionCallInfo fcinfo, TriggerData *trigger)
{
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	MemoryContext old;
	WebhookArguments arguments;
	bool		known;
	TriggerPlan *plan;

	if (!webhook_arguments_parse(&arguments, trigger->tg_trigger->tgnargs,
								 trigger->tg_trigger->tgargs))
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
	initStringInfo(&plan->old_key);
	initStringInfo(&plan->new_key);
	initStringInfo(&plan->old_tenant);
	initStringInfo(&plan->new_tenant);
	initStringInfo(&plan->payload);
	initStringInfo(&plan->subject);

	plan->watch = webhook_watch_get(context, trigger->tg_trigger->tgname,
									arguments.event_type, &known);

	plan->has_tenant = arguments.tenant[0] != '\0';
	plan->nkeys = arguments.nkeys;
	plan->ndata = arguments.ndata;
	plan->wants_record = plan->ndata > 0;
	plan->works = find_columns(plan, trigger, &arguments, known);

	/* What all events of this trigger begin with. */
	webhook_row_json_append_escaped(&plan->subject, arguments.name,
									strlen(arguments.name));
	appendStringInfoChar(&plan->subject, '/');
	plan->prefix = plan->subject.len;

	webhook_row_json_append_key_name(&plan->payload, arguments.name);
	plan->head = make_label("{", plan->payload.data);

	MemoryContextSwitchTo(old);
	return plan;
}

/*
 * Find the columns in the relation. Returns false if a status, key or tenant column
 * is missing. Warns of missing columns unless "quiet", that is, unless another
 * partition has warned of them in this statement.
 */
static bool
find_columns(TriggerPlan *plan, TriggerData *trigger,
			 const WebhookArguments *arguments, bool quiet)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	const char *missing = NULL;
	int			found = 0;
	int			i;

	if (!webhook_column_find(&plan->status, desc, arguments->status,
							 CurrentMemoryContext))
		missing = arguments->status;
	plan->settings = plan->status.settings;
	plan->last_column = plan->status.number;

	if (plan->has_tenant)
	{
		if (!webhook_column_find(&plan->tenant, desc, arguments->tenant, CurrentMemoryContext))
			missing = arguments->tenant;
		plan->settings |= plan->tenant.settings;
		plan->last_column = Max(plan->last_column, plan->tenant.number);
	}

	plan->keys = palloc0(plan->nkeys * sizeof(WebhookColumn));
	plan->key_labels = palloc0(plan->nkeys * sizeof(char *));
	for (i = 0; i < plan->nkeys && missing == NULL; i++)
	{
		if (!webhook_column_find(&plan->keys[i], desc, arguments->keys[i],
								 CurrentMemoryContext))
			missing = arguments->keys[i];
		plan->key_labels[i] = make_label(i == 0 ? "{" : ",", arguments->keys[i]);
		plan->settings |= plan->keys[i].settings;
		plan->last_column = Max(plan->last_column, plan->keys[i].number);
	}

	if (missing != NULL)
	{
		if (!quiet)
			ereport(WARNING,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							missing, RelationGetRelationName(trigger->tg_relation)),
					 errdetail("Event \"%s\" is not published.", arguments->event_type),
					 errhint("Name other columns with webhook.alter_watch(), or call webhook.unwatch().")));
		return false;
	}

	plan->data = palloc0(plan->ndata * sizeof(WebhookColumn));
	plan->data_labels = palloc0(plan->ndata * sizeof(char *));
	for (i = 0; i < plan->ndata; i++)
	{
		if (webhook_column_find(&plan->data[found], desc, arguments->data[i],
								CurrentMemoryContext))
		{
			plan->data_labels[found] = make_label(found == 0 ? "" : ",",
												  arguments->data[i]);
			plan->settings |= plan->data[found].settings;
			found++;
		}
		else if (!quiet)
			ereport(WARNING,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							arguments->data[i], RelationGetRelationName(trigger->tg_relation)),
					 errdetail("It is left out of event \"%s\".", arguments->event_type),
					 errhint("Name other columns with webhook.alter_watch(), or call webhook.unwatch().")));
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

static bool
same_images(const WebhookColumn *column, TupleTableSlot *a, TupleTableSlot *b)
{
	bool		a_is_null;
	bool		b_is_null;
	Datum		a_value = slot_getattr(a, column->number, &a_is_null);
	Datum		b_value = slot_getattr(b, column->number, &b_is_null);

	return webhook_column_same(column, a_value, a_is_null, b_value, b_is_null);
}

static bool
same_key_images(TriggerPlan *plan, TupleTableSlot *a, TupleTableSlot *b)
{
	for (int i = 0; i < plan->nkeys; i++)
		if (!same_images(&plan->keys[i], a, b))
			return false;
	return true;
}

static bool
same_tenant_images(TriggerPlan *plan, TupleTableSlot *a, TupleTableSlot *b)
{
	return !plan->has_tenant || same_images(&plan->tenant, a, b);
}

/* The tenant of a row, in "out"; NULL: it has none. */
static const char *
tenant_of(TriggerPlan *plan, StringInfo out, TupleTableSlot *row)
{
	return plan->has_tenant ? webhook_tenant_of(&plan->tenant, out, row) : NULL;
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

/* Set "out" to the key of a row as JSON. */
static void
render_key(TriggerPlan *plan, StringInfo out, TupleTableSlot *row)
{
	resetStringInfo(out);
	for (int i = 0; i < plan->nkeys; i++)
	{
		bool		is_null;
		Datum		value = slot_getattr(row, plan->keys[i].number, &is_null);

		if (plan->nkeys > 1)
			appendStringInfoString(out, plan->key_labels[i]);
		webhook_column_append(&plan->keys[i], out, value, is_null);
	}
	if (plan->nkeys > 1)
		appendStringInfoCharMacro(out, '}');
}

/* Set the plan's subject to that of a row. */
static void
render_subject(TriggerPlan *plan, TupleTableSlot *row)
{
	StringInfo	subject = &plan->subject;

	subject->len = plan->prefix;
	for (int i = 0; i < plan->nkeys; i++)
	{
		bool		is_null;
		Datum		value = slot_getattr(row, plan->keys[i].number, &is_null);

		if (i > 0)
			appendStringInfoCharMacro(subject, '/');
		webhook_column_append_key(&plan->keys[i], subject, value, is_null);
	}
	subject->data[subject->len] = '\0';
	webhook_row_json_fit(subject, WEBHOOK_MAX_SUBJECT, plan->prefix);
}

static bool
has_subject(TriggerPlan *plan, TupleTableSlot *row, const char *subject)
{
	render_subject(plan, row);
	return strcmp(subject, plan->subject.data) == 0;
}

/* Set the plan's payload and subject to those of an event about a row; statuses are JSON. */
static void
render(TriggerPlan *plan, TupleTableSlot *row, const char *operation,
	   const char *old_status, const char *new_status)
{
	StringInfo	payload = &plan->payload;

	render_subject(plan, row);
	render_key(plan, &plan->new_key, row);

	resetStringInfo(payload);
	appendStringInfoString(payload, plan->head);
	appendBinaryStringInfo(payload, plan->new_key.data, plan->new_key.len);
	appendStringInfoString(payload, ",\"Operation\":\"");
	appendStringInfoString(payload, operation);
	appendStringInfoString(payload, "\",\"OldStatus\":");
	appendStringInfoString(payload, old_status);
	appendStringInfoString(payload, ",\"NewStatus\":");
	appendStringInfoString(payload, new_status);

	if (plan->wants_record)
	{
		int			before = payload->len;

		if (!render_record(plan, row))
		{
			payload->len = before;
			appendStringInfoString(payload, ",\"RecordOmitted\":true");
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
			 errdetail("The event is published with \"RecordOmitted\" in place of \"Record\".") :
			 errdetail("The event is published nevertheless, because its key and status alone are that large.")));
}

/* The event whose data and subject have been rendered. */
static WebhookDraft
draft(TriggerPlan *plan, WebhookKind kind, const char *tenant)
{
	WebhookDraft rendered = {kind, plan->subject.data, tenant, plan->payload.data};

	return rendered;
}

static void
publish(TriggerPlan *plan, WebhookKind kind, const char *tenant)
{
	WebhookDraft rendered = draft(plan, kind, tenant);

	webhook_held_publish(plan->watch, &rendered);
}
