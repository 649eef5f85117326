/*
 * own_tables.c
 *	  The functions of the triggers on the extension's own tables:
 *	  drop_replicated(), wake_worker().
 *
 * A restore with --disable-triggers may leave these triggers enabled in another
 * way than the install script did; health() says so.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "process/shmem.h"
#include "process/wakeup.h"
#include "ring/ring.h"

static bool watches_prepare;	/* at_prepare() is registered */

static void watch_prepare(void);
static void at_prepare(XactEvent event, void *arg);
static void note_row(const TriggerData *trigger, HeapTuple row);

PG_FUNCTION_INFO_V1(webhook_drop_replicated);
PG_FUNCTION_INFO_V1(webhook_wake_worker);

/*
 * webhook_internal.drop_replicated(): BEFORE ... FOR EACH ROW trigger on our tables,
 * enabled REPLICA. What replication brings is what another server has to do; it is
 * dropped. With an argument, only what a background process brings is: a session may
 * write such a table with session_replication_role = replica, and so does our worker.
 */
Datum
webhook_drop_replicated(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a BEFORE ROW trigger",
						"webhook_internal.drop_replicated")));

	if (trigger->tg_trigger->tgnargs > 0 &&
		(MyBackendType != B_BG_WORKER || webhook_shmem_is_worker()))
		return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
							   trigger->tg_newtuple : trigger->tg_trigtuple);
	return PointerGetDatum(NULL);
}

/*
 * webhook_internal.wake_worker(): AFTER trigger, enabled ALWAYS, on the tables that the
 * worker keeps in memory, and on pending, whose rows it has counted. At commit the worker
 * is told to read them again: for each row of a subscription, that subscription, whose id
 * is in the column that the argument names; for a statement, all. A statement that writes
 * pending has an argument. That covers writes without a command, such as those of a restore.
 * Nobody knows at the commit of a prepared transaction what it has written: so it gets a
 * command.
 */
Datum
webhook_wake_worker(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		(TRIGGER_FIRED_FOR_ROW(trigger->tg_event) && trigger->tg_trigger->tgnargs != 1))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as an AFTER trigger, for each row with the name of a column",
						"webhook_internal.wake_worker")));

	watch_prepare();
	if (TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
	{
		note_row(trigger, trigger->tg_trigtuple);
		if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
			note_row(trigger, trigger->tg_newtuple);
		return PointerGetDatum(NULL);
	}
	webhook_reload_at_commit();
	if (trigger->tg_trigger->tgnargs > 0)
		webhook_recount_at_commit();
	return PointerGetDatum(NULL);
}

static void
watch_prepare(void)
{
	if (!watches_prepare)
	{
		RegisterXactCallback(at_prepare, NULL);
		watches_prepare = true;
	}
}

/* What the functions of schema webhook have changed has a command already; two do no harm. */
static void
at_prepare(XactEvent event, void *arg)
{
	WebhookEvent row = {0};

	if (event != XACT_EVENT_PRE_PREPARE || !webhook_has_changed())
		return;
	row.kind = WEBHOOK_CHANGED;
	PushActiveSnapshot(GetTransactionSnapshot());
	webhook_ring_command(&row);
	PopActiveSnapshot();
}

/* The subscription that a row is of has changed. */
static void
note_row(const TriggerData *trigger, HeapTuple row)
{
	TupleDesc	columns = RelationGetDescr(trigger->tg_relation);
	int			number = SPI_fnumber(columns, trigger->tg_trigger->tgargs[0]);
	Datum		id = 0;
	bool		isnull = true;

	if (number > 0 && TupleDescAttr(columns, number - 1)->atttypid == INT8OID)
		id = heap_getattr(row, number, columns, &isnull);
	if (isnull)
		webhook_reload_at_commit();
	else
		webhook_changed_at_commit(DatumGetInt64(id));
}
