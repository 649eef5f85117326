/*
 * pending_row.c
 *	  A row of webhook.pending in memory and in its table.
 *
 * A row holds the whole event, for a delivery may wait longer than the ring
 * keeps it. Which transaction wrote the event is not known here.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "store/pending_internal.h"

void
webhook_pending_row_form(const WebhookPending *row, Datum *values,
						 bool *nulls)
{
	const WebhookEvent *event = row->event;

	memset(nulls, false, Natts_webhook_pending * sizeof(bool));
#define SET(name, value) (values[Anum_webhook_pending_##name - 1] = (value))
	SET(subscription_id, Int64GetDatum(row->subscription_id));
	SET(subject, CStringGetTextDatum(event->subject ? event->subject : ""));
	SET(position, Int64GetDatum(row->position));
	SET(id, Int64GetDatum(event->id));
	SET(event_id, UUIDPGetDatum(&event->event_id));
	SET(cause, CStringGetTextDatum(webhook_cause_name(row->cause)));
	SET(attempt, Int32GetDatum(row->attempt));
	SET(step, Int32GetDatum(row->step));
	SET(next_at, TimestampTzGetDatum(row->next_at));
	SET(queued_at, TimestampTzGetDatum(row->queued_at));
	SET(age_start, TimestampTzGetDatum(row->age_start));
	SET(created_at, TimestampTzGetDatum(event->created_at));
	SET(event_type, CStringGetTextDatum(event->event_type));
	SET(data, CStringGetTextDatum(event->data));
#undef SET
	nulls[Anum_webhook_pending_next_at - 1] = (row->next_at == 0);
}

WebhookPending *
webhook_pending_row_read(TupleTableSlot *slot)
{
	WebhookPending *row = palloc0_object(WebhookPending);
	WebhookEvent *event;
	char	   *cause;
	Datum		data = PENDING(slot, data);
	text	   *type_text = DatumGetTextPP(PENDING(slot, event_type));
	text	   *subject_text = DatumGetTextPP(PENDING(slot, subject));
	text	   *data_text = DatumGetTextPP(data);
	int			subject_length = VARSIZE_ANY_EXHDR(subject_text);

	event = webhook_event_make(VARDATA_ANY(type_text),
							   VARSIZE_ANY_EXHDR(type_text),
							   subject_length > 0 ?
							   VARDATA_ANY(subject_text) : NULL,
							   subject_length,
							   VARDATA_ANY(data_text),
							   VARSIZE_ANY_EXHDR(data_text));
	if (data_text != (text *) DatumGetPointer(data))
		pfree(data_text);
	event->id = DatumGetInt64(PENDING(slot, id));
	event->txid = InvalidFullTransactionId;
	event->created_at = DatumGetTimestampTz(PENDING(slot, created_at));
	event->event_id = *DatumGetUUIDP(PENDING(slot, event_id));
	event->kind = WEBHOOK_EVENT;

	cause = TextDatumGetCString(PENDING(slot, cause));
	row->cause = webhook_cause_from_name(cause);
	pfree(cause);
	row->subscription_id = DatumGetInt64(PENDING(slot, subscription_id));
	row->position = DatumGetInt64(PENDING(slot, position));
	row->attempt = DatumGetInt32(PENDING(slot, attempt));
	row->step = DatumGetInt32(PENDING(slot, step));
	row->next_at = webhook_pending_row_next_at(slot);
	row->queued_at = DatumGetTimestampTz(PENDING(slot, queued_at));
	row->age_start = DatumGetTimestampTz(PENDING(slot, age_start));
	row->event = event;
	return row;
}

TimestampTz
webhook_pending_row_next_at(TupleTableSlot *slot)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, Anum_webhook_pending_next_at,
									 &isnull);

	return isnull ? 0 : DatumGetTimestampTz(value);
}
