/*
 * clock.c
 *	  A worker on a fake clock, as functions of SQL: functions.sql declares
 *	  them and says what each does.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "delivery/delivery_internal.h"
#include "ring/command.h"
#include "worker/reader_internal.h"
#include "worker/sender_internal.h"

PG_MODULE_MAGIC;

extern void _PG_init(void);

PG_FUNCTION_INFO_V1(webhook_clock_subscribe_sql);
PG_FUNCTION_INFO_V1(webhook_clock_alter_sql);
PG_FUNCTION_INFO_V1(webhook_clock_unsubscribe_sql);
PG_FUNCTION_INFO_V1(webhook_clock_answer_sql);
PG_FUNCTION_INFO_V1(webhook_clock_send_sql);
PG_FUNCTION_INFO_V1(webhook_clock_command_sql);
PG_FUNCTION_INFO_V1(webhook_clock_replay_sql);
PG_FUNCTION_INFO_V1(webhook_clock_run_sql);
PG_FUNCTION_INFO_V1(webhook_clock_settle_sql);
PG_FUNCTION_INFO_V1(webhook_clock_now_sql);
PG_FUNCTION_INFO_V1(webhook_clock_set_back_sql);
PG_FUNCTION_INFO_V1(webhook_clock_set_sql);
PG_FUNCTION_INFO_V1(webhook_clock_cost_sql);
PG_FUNCTION_INFO_V1(webhook_clock_fail_writes_sql);
PG_FUNCTION_INFO_V1(webhook_clock_fail_reads_sql);
PG_FUNCTION_INFO_V1(webhook_clock_crash_sql);
PG_FUNCTION_INFO_V1(webhook_clock_posts_sql);
PG_FUNCTION_INFO_V1(webhook_clock_outcomes_sql);
PG_FUNCTION_INFO_V1(webhook_clock_pending_sql);
PG_FUNCTION_INFO_V1(webhook_clock_notices_sql);
PG_FUNCTION_INFO_V1(webhook_clock_states_sql);
PG_FUNCTION_INFO_V1(webhook_clock_load_sql);
PG_FUNCTION_INFO_V1(webhook_clock_second_sql);

#define MAX_COLUMNS 24

/* A row on its way out. */
typedef struct Tuple
{
	int			count;
	Datum		values[MAX_COLUMNS];
	bool		nulls[MAX_COLUMNS];
} Tuple;

typedef void (*Filler) (Tuple *tuple, int number);

static const char *const result_names[] = {
	[WEBHOOK_DEFERRED] = "deferred",
	[WEBHOOK_DELIVERED] = "delivered",
	[WEBHOOK_RETRYING] = "retrying",
	[WEBHOOK_FAILED] = "failed",
	[WEBHOOK_CANCELLED] = "cancelled",
};

static const char *const breaker_names[] = {
	[WEBHOOK_BREAKER_CLOSED] = "closed",
	[WEBHOOK_BREAKER_OPEN] = "open",
	[WEBHOOK_BREAKER_HALF_OPEN] = "half_open",
};

static const char *const change_names[] = {
	[WEBHOOK_HEALTH_UNCHANGED] = "none",
	[WEBHOOK_HEALTH_OPENED] = "opened",
	[WEBHOOK_HEALTH_CLOSED] = "closed",
	[WEBHOOK_HEALTH_WAITING] = "waiting",
	[WEBHOOK_HEALTH_WAIT_OVER] = "over",
	[WEBHOOK_HEALTH_LIMITED] = "limited",
	[WEBHOOK_HEALTH_TENANT_LIMITED] = "tenant limited",
	[WEBHOOK_HEALTH_DISABLED] = "disabled",
	[WEBHOOK_HEALTH_SET] = "set",
	[WEBHOOK_HEALTH_ALTERED] = "altered",
};

static void set_options(int64 id, Datum options);
static WebhookClockAnswer parse_answer(char *text);
static const WebhookEvent *event_at(int64 position);
static int64 span_argument(FunctionCallInfo fcinfo, int number);
static Datum span_to_datum(int64 span);
static void put(Tuple *tuple, Datum value);
static void put_text(Tuple *tuple, const char *text);
static void put_span(Tuple *tuple, int64 span);
static void put_instant(Tuple *tuple, TimestampTz instant);
static HeapTuple form(TupleDesc descriptor, Filler fill, int number);
static Datum return_rows(FunctionCallInfo fcinfo, int count, Filler fill);

void
_PG_init(void)
{
	webhook_clock_context = AllocSetContextCreate(TopMemoryContext, "webhook clock",
												  ALLOCSET_DEFAULT_SIZES);
	LWLockInitialize(&webhook_clock_slot.changes_lock, LWTRANCHE_FIRST_USER_DEFINED);
	webhook_guc_init();
}

Datum
webhook_clock_subscribe_sql(PG_FUNCTION_ARGS)
{
	int64		id = webhook_clock_subscribe();

	set_options(id, PG_GETARG_DATUM(0));
	PG_RETURN_INT64(id);
}

Datum
webhook_clock_alter_sql(PG_FUNCTION_ARGS)
{
	set_options(PG_GETARG_INT64(0), PG_GETARG_DATUM(1));
	PG_RETURN_VOID();
}

Datum
webhook_clock_unsubscribe_sql(PG_FUNCTION_ARGS)
{
	webhook_clock_unsubscribe(PG_GETARG_INT64(0));
	PG_RETURN_VOID();
}

Datum
webhook_clock_answer_sql(PG_FUNCTION_ARGS)
{
	WebhookClockAnswer *answers;
	Datum	   *texts;
	int			count;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT,
					  &texts, NULL, &count);
	answers = palloc(sizeof(WebhookClockAnswer) * (count + 1));
	for (int i = 0; i < count; i++)
		answers[i] = parse_answer(TextDatumGetCString(texts[i]));
	webhook_clock_answers(PG_GETARG_INT64(0), answers, count);
	PG_RETURN_VOID();
}

Datum
webhook_clock_send_sql(PG_FUNCTION_ARGS)
{
	char	   *event_type = PG_ARGISNULL(0) ? "all" : psprintf(INT64_FORMAT, PG_GETARG_INT64(0));
	const char *pattern = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	int			count = PG_GETARG_INT32(2);
	int			subjects = PG_GETARG_INT32(3);
	int64		every = span_argument(fcinfo, 4);
	const char *tenant = !PG_ARGISNULL(5) ? text_to_cstring(PG_GETARG_TEXT_PP(5)) :
		PG_ARGISNULL(0) ? NULL : webhook_clock_tenant(PG_GETARG_INT64(0));
	MemoryContext old = MemoryContextSwitchTo(webhook_clock_context);

	for (int i = 0; i < count; i++)
	{
		const char *mark = pattern == NULL ? NULL : strchr(pattern, '%');
		char	   *subject = mark == NULL ? unconstify(char *, pattern) :
			psprintf("%.*s%d%s", (int) (mark - pattern), pattern,
					 subjects > 0 ? i % subjects : i, mark + 1);
		WebhookEventTexts texts = {
			.event_type = webhook_text(event_type),
			.subject = webhook_text(subject),
			.tenant = webhook_text(tenant),
			.data = webhook_text("{}")
		};
		WebhookEvent *event = webhook_event_make(&texts);

		event->kind = WEBHOOK_EVENT;
		webhook_clock_commit(event, webhook_clock_steady + i * every);
		if (mark != NULL)
			pfree(subject);
	}
	MemoryContextSwitchTo(old);
	PG_RETURN_VOID();
}

/* Kind, subscription, subject, position of the event. */
Datum
webhook_clock_command_sql(PG_FUNCTION_ARGS)
{
	char		kind = PG_GETARG_CHAR(0);
	const char *subject = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	WebhookCommand command = {0};
	const WebhookEvent *event = NULL;
	WebhookEventTexts texts = {0};
	WebhookEvent *row;
	const char *data;
	MemoryContext old = MemoryContextSwitchTo(webhook_clock_context);

	if (!PG_ARGISNULL(1))
		command.subscription_id = PG_GETARG_INT64(1);
	if (!PG_ARGISNULL(3))
	{
		event = event_at(PG_GETARG_INT64(3));
		subject = event->subject;
	}
	data = PG_ARGISNULL(1) ? "" : webhook_command_form(&command);
	texts.subject = webhook_text(subject);
	texts.data = webhook_text(data);
	row = webhook_event_make(&texts);
	row->kind = kind;
	if (event != NULL)
		row->event_id = event->event_id;
	webhook_clock_commit(row, webhook_clock_steady);
	if (kind == WEBHOOK_CHANGED)
		pg_atomic_write_u32(&webhook_clock_slot.changed, 0);
	MemoryContextSwitchTo(old);
	PG_RETURN_VOID();
}

/* Cause, subscription, position of the event; NULL: a new one. */
Datum
webhook_clock_replay_sql(PG_FUNCTION_ARGS)
{
	static int64 next_id = INT64CONST(1000000000);
	WebhookCommand command = {0};
	const WebhookEvent *event = NULL;
	const char *subject = NULL;
	const char *event_type = "webhook.ping";
	WebhookEventTexts texts = {0};
	WebhookEvent *row;
	char	   *data;
	MemoryContext old = MemoryContextSwitchTo(webhook_clock_context);

	command.cause = webhook_cause_from_name(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	command.subscription_id = PG_GETARG_INT64(1);
	command.id = next_id++;
	command.created_at = webhook_clock_now();
	command.data = "{}";
	command.data_length = 2;
	if (!PG_ARGISNULL(2))
	{
		event = event_at(PG_GETARG_INT64(2));
		subject = event->subject;
		event_type = event->event_type;
		command.id = event->id;
		command.created_at = event->created_at;
	}
	data = webhook_command_form(&command);
	texts.event_type = webhook_text(event_type);
	texts.subject = webhook_text(subject);
	texts.data = webhook_text(data);
	row = webhook_event_make(&texts);
	row->kind = WEBHOOK_REPLAY;
	if (event != NULL)
		row->event_id = event->event_id;
	webhook_clock_commit(row, webhook_clock_steady);
	MemoryContextSwitchTo(old);
	PG_RETURN_VOID();
}

Datum
webhook_clock_run_sql(PG_FUNCTION_ARGS)
{
	webhook_clock_run(webhook_clock_steady + span_argument(fcinfo, 0));
	PG_RETURN_VOID();
}

Datum
webhook_clock_settle_sql(PG_FUNCTION_ARGS)
{
	int64		before = webhook_clock_steady;

	webhook_clock_settle(before + span_argument(fcinfo, 0));
	return span_to_datum(webhook_clock_steady - before);
}

Datum
webhook_clock_now_sql(PG_FUNCTION_ARGS)
{
	return span_to_datum(webhook_clock_steady);
}

Datum
webhook_clock_set_back_sql(PG_FUNCTION_ARGS)
{
	webhook_clock_shift -= span_argument(fcinfo, 0);
	PG_RETURN_VOID();
}

Datum
webhook_clock_set_sql(PG_FUNCTION_ARGS)
{
	SetConfigOption(text_to_cstring(PG_GETARG_TEXT_PP(0)),
					text_to_cstring(PG_GETARG_TEXT_PP(1)), PGC_SIGHUP, PGC_S_OVERRIDE);
	webhook_clock_reconfigured();
	PG_RETURN_VOID();
}

Datum
webhook_clock_cost_sql(PG_FUNCTION_ARGS)
{
	webhook_clock_cost = PG_GETARG_INT32(0);
	PG_RETURN_VOID();
}

Datum
webhook_clock_fail_writes_sql(PG_FUNCTION_ARGS)
{
	webhook_clock_failing = (uint32) (PG_GETARG_FLOAT8(0) * 1000000);
	PG_RETURN_VOID();
}

Datum
webhook_clock_fail_reads_sql(PG_FUNCTION_ARGS)
{
	webhook_clock_failing_reads = (uint32) (PG_GETARG_FLOAT8(0) * 1000000);
	PG_RETURN_VOID();
}

Datum
webhook_clock_crash_sql(PG_FUNCTION_ARGS)
{
	webhook_clock_crash();
	PG_RETURN_VOID();
}

static void
fill_post(Tuple *tuple, int number)
{
	const WebhookClockPost *post = WEBHOOK_CLOCK_ITEM(webhook_clock_posts, WebhookClockPost,
													  number);

	put_span(tuple, post->at);
	put_span(tuple, post->ended);
	put(tuple, Int64GetDatum(post->subscription_id));
	put_text(tuple, post->subject);
	put(tuple, Int64GetDatum(post->position));
	put_text(tuple, webhook_cause_name(post->cause));
	put(tuple, Int32GetDatum(post->attempt));
	put(tuple, Int32GetDatum(post->step));
	put(tuple, BoolGetDatum(post->probe));
	put(tuple, BoolGetDatum(post->slow));
	put(tuple, Int32GetDatum(post->status));
	put_text(tuple, webhook_http_error_name(post->error));
	put(tuple, Int32GetDatum(post->fast_in_flight));
	put(tuple, Int32GetDatum(post->in_flight));
	put(tuple, BoolGetDatum(post->new_connection));
}

Datum
webhook_clock_posts_sql(PG_FUNCTION_ARGS)
{
	return return_rows(fcinfo, webhook_clock_posts.count, fill_post);
}

static void
fill_outcome(Tuple *tuple, int number)
{
	const WebhookClockOutcome *outcome =
		WEBHOOK_CLOCK_ITEM(webhook_clock_outcomes, WebhookClockOutcome, number);

	put(tuple, Int32GetDatum(number));
	put_span(tuple, outcome->at);
	put(tuple, Int64GetDatum(outcome->subscription_id));
	put_text(tuple, outcome->subject);
	put(tuple, Int64GetDatum(outcome->position));
	put_text(tuple, webhook_cause_name(outcome->cause));
	put(tuple, Int32GetDatum(outcome->attempt));
	put(tuple, Int32GetDatum(outcome->step));
	put_text(tuple, result_names[outcome->result]);
	put_text(tuple, outcome->error_class);
	put_instant(tuple, outcome->next_at);
}

Datum
webhook_clock_outcomes_sql(PG_FUNCTION_ARGS)
{
	return return_rows(fcinfo, webhook_clock_outcomes.count, fill_outcome);
}

static void
fill_pending(Tuple *tuple, int number)
{
	const WebhookPending *row = *WEBHOOK_CLOCK_ITEM(webhook_clock_pending, WebhookPending *,
													number);

	put(tuple, Int64GetDatum(row->subscription_id));
	put_text(tuple, row->event->subject ? row->event->subject : "");
	put(tuple, Int64GetDatum(row->position));
	put(tuple, Int32GetDatum(row->attempt));
	put(tuple, Int32GetDatum(row->step));
	put_instant(tuple, row->next_at);
}

Datum
webhook_clock_pending_sql(PG_FUNCTION_ARGS)
{
	return return_rows(fcinfo, webhook_clock_pending.count, fill_pending);
}

static void
fill_notice(Tuple *tuple, int number)
{
	const WebhookClockNotice *notice = WEBHOOK_CLOCK_ITEM(webhook_clock_notices,
														  WebhookClockNotice, number);

	put_span(tuple, notice->at);
	put(tuple, Int64GetDatum(notice->subscription_id));
	put_text(tuple, change_names[notice->change]);
	put_text(tuple, notice->state);
}

Datum
webhook_clock_notices_sql(PG_FUNCTION_ARGS)
{
	return return_rows(fcinfo, webhook_clock_notices.count, fill_notice);
}

static void
fill_state(Tuple *tuple, int number)
{
	const WebhookQueue *queue = webhook_queue_get(&webhook_clock_dispatcher->queues, number + 1);
	const WebhookState *state = &queue->health.state;

	put(tuple, Int64GetDatum(queue->id));
	put_text(tuple, breaker_names[state->breaker]);
	put(tuple, Int32GetDatum(state->concurrency));
	put(tuple, Int32GetDatum(state->consecutive_failures));
	put(tuple, Int64GetDatum(state->failures_since_success));
	put(tuple, Int32GetDatum(queue->scheduling.in_flight));
	put(tuple, Int32GetDatum(queue->limit));
	put(tuple, BoolGetDatum(queue->scheduling.slow));
	put(tuple, BoolGetDatum(queue->sends));
	put(tuple, BoolGetDatum(queue->has_rows));
	put(tuple, BoolGetDatum(queue->spilling));
	put(tuple, Int32GetDatum(queue->nready));
	put_instant(tuple, queue->not_before.at);
	put_instant(tuple, state->not_before);
	put_span(tuple, state->probe_interval * USECS_PER_SEC);
	put_instant(tuple, state->failing_since);
	put_instant(tuple, state->disabled_at);
	put_span(tuple, state->suspended);
	put(tuple, Int64GetDatum(state->delivered));
	put(tuple, Int64GetDatum(state->failed));
	put(tuple, Int64GetDatum(state->retried));
	put_text(tuple, state->reason);
}

Datum
webhook_clock_states_sql(PG_FUNCTION_ARGS)
{
	return return_rows(fcinfo, webhook_clock_subscriptions(), fill_state);
}

static void
fill_load(Tuple *tuple, int number)
{
	const WebhookUsage *load = webhook_dispatch_usage(webhook_clock_dispatcher);
	const WebhookProgress *progress = webhook_reader_progress();
	int			subjects = 0;

	for (int i = 0; i < webhook_clock_ring.count; i++)
	{
		const char *subject = WEBHOOK_CLOCK_ITEM(webhook_clock_ring, WebhookClockRow,
												 i)->event->subject;

		for (int64 id = 1; subject != NULL && id <= webhook_clock_subscriptions(); id++)
			subjects += webhook_dispatch_knows_subject(webhook_clock_dispatcher, id, subject);
	}
	put(tuple, Int32GetDatum(load->queued));
	put(tuple, Int32GetDatum(load->in_flight));
	put(tuple, Int32GetDatum(load->unflushed));
	put(tuple, Int64GetDatum(load->memory));
	put(tuple, Int64GetDatum(hash_get_num_entries(webhook_clock_dispatcher->rows)));
	put(tuple, Int64GetDatum(webhook_sender_memory()));
	put(tuple, Int32GetDatum(subjects));
	put(tuple, BoolGetDatum(webhook_due_any(webhook_clock_dispatcher, webhook_clock_now())));
	put(tuple,
		BoolGetDatum(webhook_progress_is_done(progress, webhook_progress_newest_window(progress))));
	put(tuple, Int32GetDatum(hash_get_num_entries(webhook_clock_dispatcher->queues.table)));
	put(tuple, Int64GetDatum(webhook_clock_transactions));
	put(tuple, Int64GetDatum(webhook_clock_subscriptions_read));
}

Datum
webhook_clock_load_sql(PG_FUNCTION_ARGS)
{
	return return_rows(fcinfo, 1, fill_load);
}

/*
 * A dispatcher beside the worker's: it is offered so many events of a subscription,
 * each of another subject, starts what may start and lets the first one succeed.
 * Returns what it holds then.
 */
Datum
webhook_clock_second_sql(PG_FUNCTION_ARGS)
{
	MemoryContext old = MemoryContextSwitchTo(webhook_clock_context);
	WebhookDispatcher *second = webhook_dispatcher_new();
	WebhookProgress *progress = webhook_progress_new(webhook_snapshot_empty(), NULL, 0);
	TimestampTz now = webhook_clock_now();
	WebhookBatch *batch = webhook_progress_open_batch(progress, webhook_snapshot_empty(), true,
													  now);
	WebhookHttpTransfer transfer = {.error = WEBHOOK_HTTP_OK,.status = 200,.url = ""};
	WebhookDelivery *first;
	const WebhookUsage *usage;

	webhook_dispatch_refresh(second, true, now);
	for (int i = 1; i <= PG_GETARG_INT32(1); i++)
	{
		char	   *subject = psprintf("second/%d", i);
		WebhookEventTexts texts = {
			.event_type = webhook_text("1"),
			.subject = webhook_text(subject),
			.data = webhook_text("{}")
		};
		WebhookOffer offer = {0};

		offer.event = webhook_event_make(&texts);
		offer.event->id = offer.position = i;
		offer.subscription_id = PG_GETARG_INT64(0);
		offer.caused_at = now;
		webhook_dispatch_offer(second, &offer, batch, now);
		webhook_event_release(offer.event);
	}
	webhook_batch_unpin(batch);
	first = webhook_dispatch_next(second, now);
	while (webhook_dispatch_next(second, now) != NULL)
		;
	webhook_dispatch_finish(second, first, &transfer, now);
	MemoryContextSwitchTo(old);
	usage = webhook_dispatch_usage(second);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%d queued, %d in flight, %d ended",
											  usage->queued, usage->in_flight,
											  usage->unflushed)));
}

/* Texts of the form name=value. */
static void
set_options(int64 id, Datum options)
{
	Datum	   *texts;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(options), TEXTOID, -1, false, TYPALIGN_INT,
					  &texts, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *name = TextDatumGetCString(texts[i]);
		char	   *value = strchr(name, '=');

		if (value == NULL)
			elog(ERROR, "no value in \"%s\"", name);
		*value = '\0';
		webhook_clock_alter(id, name, value + 1);
	}
}

/* Such as "status=429 took=20 retry_after=60 times=3". */
static WebhookClockAnswer
parse_answer(char *text)
{
	WebhookClockAnswer answer = {200, WEBHOOK_HTTP_OK, false, false, 10000, -1, 0, 1};
	char	   *rest;

	for (char *name = strtok_r(text, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest))
	{
		char	   *value = strchr(name, '=');

		if (value == NULL)
			elog(ERROR, "no value in \"%s\"", name);
		*value++ = '\0';
		if (strcmp(name, "status") == 0)
			answer.status = atoi(value);
		else if (strcmp(name, "took") == 0)
			answer.duration = (int64) (atof(value) * 1000);
		else if (strcmp(name, "retry_after") == 0)
			answer.retry_after = atol(value);
		else if (strcmp(name, "times") == 0)
			answer.times = atoi(value);
		else if (strcmp(name, "weight") == 0)
			answer.weight = atoi(value);
		else if (strcmp(name, "challenge") == 0)
			answer.challenge = atoi(value);
		else if (strcmp(name, "unanswered") == 0)
			answer.unanswered = atoi(value);
		else if (strcmp(name, "error") == 0)
		{
			answer.status = 0;
			while (strcmp(webhook_http_error_name(answer.error), value) != 0)
			{
				if (answer.error++ == WEBHOOK_HTTP_INTERNAL)
					elog(ERROR, "no error \"%s\"", value);
			}
			if (answer.error == WEBHOOK_HTTP_TIMEOUT)
				answer.duration = -1;
		}
		else
			elog(ERROR, "an answer has no \"%s\"", name);
	}
	return answer;
}

static const WebhookEvent *
event_at(int64 position)
{
	if (position < 1 || position > webhook_clock_ring.count)
		elog(ERROR, "no row " INT64_FORMAT " in the ring", position);
	return WEBHOOK_CLOCK_ITEM(webhook_clock_ring, WebhookClockRow, position - 1)->event;
}

static int64
span_argument(FunctionCallInfo fcinfo, int number)
{
	const Interval *interval = PG_GETARG_INTERVAL_P(number);

	return interval->time +
		(interval->day + (int64) interval->month * DAYS_PER_MONTH) * USECS_PER_DAY;
}

static Datum
span_to_datum(int64 span)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->day = span / USECS_PER_DAY;
	interval->time = span % USECS_PER_DAY;
	return IntervalPGetDatum(interval);
}

static void
put(Tuple *tuple, Datum value)
{
	Assert(tuple->count < MAX_COLUMNS);
	tuple->values[tuple->count++] = value;
}

/* NULL: NULL. */
static void
put_text(Tuple *tuple, const char *text)
{
	tuple->nulls[tuple->count] = text == NULL;

	put(tuple, text == NULL ? (Datum) 0 : CStringGetTextDatum(text));
}

/* Below 0: NULL. */
static void
put_span(Tuple *tuple, int64 span)
{
	tuple->nulls[tuple->count] = span < 0;
	put(tuple, span < 0 ? (Datum) 0 : span_to_datum(span));
}

/* Since the beginning; 0: NULL. */
static void
put_instant(Tuple *tuple, TimestampTz instant)
{
	tuple->nulls[tuple->count] = instant == 0;
	put(tuple, span_to_datum(instant - webhook_clock_begin()));
}

static HeapTuple
form(TupleDesc descriptor, Filler fill, int number)
{
	Tuple		tuple = {0};

	fill(&tuple, number);
	if (tuple.count != descriptor->natts)
		elog(ERROR, "%d columns, not %d", tuple.count, descriptor->natts);
	return heap_form_tuple(descriptor, tuple.values, tuple.nulls);
}

static Datum
return_rows(FunctionCallInfo fcinfo, int count, Filler fill)
{
	FuncCallContext *call;
	HeapTuple	row;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		webhook_clock_start();
		call = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &call->tuple_desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "no type to return");
		call->tuple_desc = BlessTupleDesc(call->tuple_desc);
		call->max_calls = count;
		MemoryContextSwitchTo(old);
	}
	call = SRF_PERCALL_SETUP();
	if (call->call_cntr >= call->max_calls)
		SRF_RETURN_DONE(call);
	row = form(call->tuple_desc, fill, (int) call->call_cntr);
	SRF_RETURN_NEXT(call, HeapTupleGetDatum(row));
}
