/*
 * ring_row.c
 *	  Converts an event to a row of a ring table and back.
 *
 * Only this file knows which field of an event is which column. catalog.c has
 * checked the types of the columns. Any column may be null: the owner of the
 * table can drop a constraint and insert such a row.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "base/catalog.h"
#include "ring/ring_row_internal.h"

/* The columns of type text and json; they come last, one after the other. */
#define FIRST_TEXT	(Anum_webhook_event_event_type - 1)
#define TYPE		(Anum_webhook_event_event_type - 1 - FIRST_TEXT)
#define SUBJECT		(Anum_webhook_event_subject - 1 - FIRST_TEXT)
#define TENANT		(Anum_webhook_event_tenant - 1 - FIRST_TEXT)
#define CONTEXT		(Anum_webhook_event_context - 1 - FIRST_TEXT)
#define DATA		(Anum_webhook_event_data - 1 - FIRST_TEXT)
#define NTEXTS		(Natts_webhook_event - FIRST_TEXT)

static Datum put_datum(char **to, WebhookText text);
static WebhookText or_else(WebhookText text, const char *replacement);

char *
webhook_ring_row_form(WebhookEvent *event, Datum *values, bool *nulls)
{
	WebhookText text[NTEXTS];
	Size		size = 0;
	char	   *chunk;
	char	   *to;

	values[Anum_webhook_event_id - 1] = Int64GetDatum(event->id);
	values[Anum_webhook_event_txid - 1] =
		FullTransactionIdGetDatum(event->txid);
	values[Anum_webhook_event_created_at - 1] =
		TimestampTzGetDatum(event->created_at);
	values[Anum_webhook_event_event_id - 1] = UUIDPGetDatum(&event->event_id);
	values[Anum_webhook_event_kind - 1] = CharGetDatum(event->kind);
	memset(nulls, false, FIRST_TEXT * sizeof(bool));

	text[TYPE] = webhook_text(event->event_type);
	text[SUBJECT] = webhook_text(event->subject);
	text[TENANT] = webhook_text(event->tenant);
	text[CONTEXT] = webhook_text(event->context);
	text[DATA] = webhook_text(event->data);
	for (int i = 0; i < NTEXTS; i++)
		size += INTALIGN(VARHDRSZ + text[i].length);
	chunk = palloc(size);
	to = chunk;
	for (int i = 0; i < NTEXTS; i++)
	{
		nulls[FIRST_TEXT + i] = text[i].text == NULL;
		values[FIRST_TEXT + i] = text[i].text == NULL ? (Datum) 0 : put_datum(&to, text[i]);
	}
	return chunk;
}

WebhookEvent *
webhook_ring_row_event(TupleTableSlot *row)
{
	Datum	   *values = row->tts_values;
	struct varlena *plain[NTEXTS] = {0};
	WebhookText text[NTEXTS] = {0};
	WebhookEventTexts texts;
	WebhookKind kind;
	WebhookEvent *event;

	slot_getsomeattrs(row, Natts_webhook_event);
	for (int i = 0; i < NTEXTS; i++)
	{
		if (row->tts_isnull[FIRST_TEXT + i])
			continue;
		plain[i] = PG_DETOAST_DATUM_PACKED(values[FIRST_TEXT + i]);
		text[i].text = VARDATA_ANY(plain[i]);
		text[i].length = VARSIZE_ANY_EXHDR(plain[i]);
	}

	kind = (WebhookKind) DatumGetChar(values[Anum_webhook_event_kind - 1]);
	if (webhook_kind_is_event(kind))
	{
		/* The empty event type, which has no subscriptions, and a valid JSON text. */
		text[TYPE] = or_else(text[TYPE], "");
		text[DATA] = or_else(text[DATA], "null");
	}

	texts.event_type = text[TYPE];
	texts.subject = text[SUBJECT];
	texts.tenant = text[TENANT];
	texts.context = text[CONTEXT];
	texts.data = text[DATA];
	event = webhook_event_make(&texts);
	event->kind = kind;
	event->id = DatumGetInt64(values[Anum_webhook_event_id - 1]);
	event->txid =
		DatumGetFullTransactionId(values[Anum_webhook_event_txid - 1]);
	event->created_at =
		DatumGetTimestampTz(values[Anum_webhook_event_created_at - 1]);
	if (!row->tts_isnull[Anum_webhook_event_event_id - 1])
		event->event_id =
			*DatumGetUUIDP(values[Anum_webhook_event_event_id - 1]);

	for (int i = 0; i < NTEXTS; i++)
	{
		if (plain[i] != NULL &&
			PointerGetDatum(plain[i]) != values[FIRST_TEXT + i])
			pfree(plain[i]);
	}
	return event;
}

Size
webhook_ring_row_size(TupleTableSlot *row)
{
	Size		size = sizeof(WebhookEvent);

	slot_getsomeattrs(row, Natts_webhook_event);
	for (int i = FIRST_TEXT; i < Natts_webhook_event; i++)
	{
		if (!row->tts_isnull[i])
			size += toast_raw_datum_size(row->tts_values[i]);
	}
	return size;
}

/* Copy a text as a datum to "to", which is moved behind it and stays aligned. */
static Datum
put_datum(char **to, WebhookText text)
{
	char	   *start = *to;

	SET_VARSIZE(start, VARHDRSZ + text.length);
	memcpy(VARDATA(start), text.text, text.length);
	*to += INTALIGN(VARHDRSZ + text.length);
	return PointerGetDatum(start);
}

static WebhookText
or_else(WebhookText text, const char *replacement)
{
	return text.text != NULL ? text : webhook_text(replacement);
}
