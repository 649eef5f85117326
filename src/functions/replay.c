/*
 * replay.c
 *	  C functions that resend(), recover(), retry(), cancel(), skip(), erase() and
 *	  ping() call: commands to the worker.
 *
 * The functions of the install script find the events and check them. Here are
 * the parts that they cannot do: the row of the ring in the form that the worker
 * reads, and the answer of a filter as the worker would give it. The data of an
 * event is copied as text, so it is delivered again byte for byte as it was
 * published.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
#include "utils/xid8.h"

#include "ring/command.h"
#include "ring/context.h"
#include "ring/ring.h"
#include "subscription/subscription.h"

static char *text_argument(FunctionCallInfo fcinfo, int number);
static void require_writable(void);

PG_FUNCTION_INFO_V1(webhook_command);
PG_FUNCTION_INFO_V1(webhook_replay);
PG_FUNCTION_INFO_V1(webhook_accepts);
PG_FUNCTION_INFO_V1(webhook_new_event_id);
PG_FUNCTION_INFO_V1(webhook_event_context);

/*
 * command(kind "char", subscription bigint, subject text, event uuid): append a
 * command to the ring; see WebhookKind for the kinds and what they need
 */
Datum
webhook_command(PG_FUNCTION_ARGS)
{
	WebhookEvent row = {0};
	WebhookCommand command = {0};

	require_writable();
	row.kind = PG_ARGISNULL(0) ? '\0' : PG_GETARG_CHAR(0);
	switch (row.kind)
	{
		case WEBHOOK_CHANGED:
			if (PG_ARGISNULL(1))
				break;
			/* FALLTHROUGH */
		case WEBHOOK_END:
		case WEBHOOK_CANCEL:
		case WEBHOOK_SKIP:
		case WEBHOOK_RETRY:
		case WEBHOOK_TELL:
			if (PG_ARGISNULL(1) ||
				(row.kind == WEBHOOK_SKIP && PG_ARGISNULL(2)) ||
				(row.kind == WEBHOOK_CANCEL && PG_ARGISNULL(3)))
				elog(ERROR, "command \"%c\" lacks an argument", row.kind);
			command.subscription_id = PG_GETARG_INT64(1);
			/* The row has no id yet, so all that this sees has a lower one. */
			if (row.kind == WEBHOOK_CANCEL || row.kind == WEBHOOK_SKIP ||
				row.kind == WEBHOOK_RETRY)
				command.snapshot = webhook_snapshot_to_text(webhook_snapshot_now());
			row.data = webhook_command_form(&command);
			break;
		case WEBHOOK_ERASE:
			if (PG_ARGISNULL(2))
				elog(ERROR, "command \"%c\" lacks an argument", row.kind);
			command.snapshot = webhook_snapshot_to_text(webhook_snapshot_now());
			row.data = webhook_command_form(&command);
			break;
		default:
			elog(ERROR, "unknown kind of command: %d", row.kind);
	}
	row.subject = text_argument(fcinfo, 2);
	if (!PG_ARGISNULL(3))
		row.event_id = *PG_GETARG_UUID_P(3);
	webhook_ring_command(&row);
	PG_RETURN_VOID();
}

/*
 * replay(subscription bigint, cause text, id bigint, txid xid8, event_id uuid,
 * created_at timestamptz, event_type text, subject text, data json, tenant text,
 * context json): append a command to deliver the event once more, which that
 * transaction made (0: it is not known); id 0: the event is a ping
 */
Datum
webhook_replay(PG_FUNCTION_ARGS)
{
	WebhookEvent row = {0};
	WebhookCommand command = {0};
	text	   *data;
	char	   *form;

	require_writable();
	/* Subject, tenant and context may be null. */
	for (int i = 0; i < 9; i++)
	{
		if (PG_ARGISNULL(i) && i != 7)
			elog(ERROR, "argument %d of a replay is null", i + 1);
	}
	data = PG_GETARG_TEXT_PP(8);
	command.subscription_id = PG_GETARG_INT64(0);
	command.cause = webhook_cause_from_name(text_argument(fcinfo, 1));
	command.id = PG_GETARG_INT64(2);
	command.txid = PG_GETARG_FULLTRANSACTIONID(3);
	command.created_at = PG_GETARG_TIMESTAMPTZ(5);
	command.data = VARDATA_ANY(data);
	command.data_length = VARSIZE_ANY_EXHDR(data);
	form = webhook_command_form(&command);

	row.kind = WEBHOOK_REPLAY;
	row.event_id = *PG_GETARG_UUID_P(4);
	row.event_type = text_argument(fcinfo, 6);
	row.subject = text_argument(fcinfo, 7);
	row.tenant = text_argument(fcinfo, 9);
	row.context = text_argument(fcinfo, 10);
	row.data = form;
	webhook_ring_command(&row);
	pfree(form);
	PG_RETURN_VOID();
}

/* accepts(filter jsonpath, data json): true if an event with that data passes the filter */
Datum
webhook_accepts(PG_FUNCTION_ARGS)
{
	WebhookFilter *filter;
	WebhookEventTexts texts = {0};
	WebhookEvent *event;
	text	   *data;
	bool		accepted;
	bool		no_answer;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	filter = PG_ARGISNULL(0) ? NULL : webhook_filter_make(PG_GETARG_DATUM(0));
	if (filter == NULL)
		PG_RETURN_BOOL(true);

	data = PG_GETARG_TEXT_PP(1);
	texts.data.text = VARDATA_ANY(data);
	texts.data.length = VARSIZE_ANY_EXHDR(data);
	event = webhook_event_make(&texts);
	webhook_filter_reset();		/* an error may have left the data of another event */
	accepted = webhook_filter_accepts(filter, event, &no_answer);
	webhook_filter_reset();
	webhook_event_release(event);
	PG_RETURN_BOOL(accepted);
}

/* new_event_id(created_at timestamptz): a UUIDv7 of that instant */
Datum
webhook_new_event_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	webhook_event_new_id(id, PG_GETARG_TIMESTAMPTZ(0));
	PG_RETURN_UUID_P(id);
}

/*
 * event_context(traceparent text, context jsonb): both as column "context" of the
 * ring has them. A traceparent that is none is left out.
 */
Datum
webhook_event_context(PG_FUNCTION_ARGS)
{
	WebhookContext context = {0};
	const char *form;

	context.traceparent = webhook_text(text_argument(fcinfo, 0));
	if (context.traceparent.text != NULL &&
		!webhook_context_is_traceparent(context.traceparent.text))
		context.traceparent = webhook_text(NULL);
	if (!PG_ARGISNULL(1))
	{
		Jsonb	   *object = PG_GETARG_JSONB_P(1);

		if (JB_ROOT_IS_OBJECT(object))
			context.context = webhook_text(JsonbToCString(NULL, &object->root, VARSIZE(object)));
	}
	form = webhook_context_form(&context);
	if (form == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(form));
}

/* An argument of type text as a string; NULL for NULL. */
static char *
text_argument(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(number));
}

/* Raise an error if the transaction may not write. */
static void
require_writable(void)
{
	PreventCommandDuringRecovery("a command to the worker of webhook");
	PreventCommandIfReadOnly("a command to the worker of webhook");
	PreventCommandIfParallelMode("a command to the worker of webhook");
}
