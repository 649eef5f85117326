/*
 * filter.c
 *	  Content filters: a predicate on an event's Data, in SQL/JSON path
 *	  language.
 *
 * Data were published as json, which takes what jsonb does not, and a path may
 * fail over what it finds. None of that may hold up an event: it is no match,
 * and counted. What is called here computes on memory of its own, so an error
 * of it leaves nothing behind that a savepoint would have to undo. An error
 * that another event would meet as well (a cancellation, memory) goes on its
 * way.
 *
 * While a worker evaluates a filter nobody is served. What may cost too much is
 * refused when it is saved, as filter_cost.c tells. A timer ends what takes too
 * long all the same, which is no match then, and counted. It is the processor's
 * time that counts: a server that stands still loses no event.
 *
 * Variables are refused, for there is nobody to give them a value.
 */
#include "postgres.h"

#include <time.h>

#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/jsonpath.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "subscription/filter_check_internal.h"
#include "subscription/subscription.h"

#define LIMIT 500				/* milliseconds of an evaluation, */
#define MOST_HALVINGS 4			/* half of it after each that took so long */
#define MOST_PATIENCE (60 * 1000)	/* milliseconds by the wall */
#define TELL_INTERVAL (60 * USECS_PER_SEC)

struct WebhookFilter
{
	JsonPath   *path;
	bool		multiplies;		/* or divides */
	int			slow;			/* evaluations in a row that took too long */
};

static MemoryContext context;	/* of the converted data */
static const WebhookEvent *converted;	/* whose data that is; NULL: nobody's */
static int64 converted_id;
static Jsonb *data;				/* NULL: they are no jsonb */
static bool measured;			/* is it known of them ... */
static bool have_long_number;	/* ... whether they have one? */

typedef bool Evaluate (WebhookFilter *filter, const WebhookEvent *event,
					   bool *filter_errors);

static Evaluate evaluate;
static Evaluate evaluate_in_time;
static bool accepts(WebhookFilter *filter, const WebhookEvent *event,
					Evaluate *method, bool *filter_errors);
static bool is_true(JsonPathItem *item);
static int64 processor_time(void);
static void tell(const WebhookFilter *filter, const WebhookEvent *event);
static bool is_about_server(int sqlerrcode);

WebhookFilter *
webhook_filter_make(Datum path)
{
	JsonPath   *copy = DatumGetJsonPathPCopy(path);
	JsonPathItem item;
	WebhookFilter *filter;

	jspInit(&item, copy);
	if (is_true(&item))
		return NULL;
	filter = palloc0(sizeof(WebhookFilter));
	filter->path = copy;
	filter->multiplies = webhook_filter_multiplies(copy);
	return filter;
}

bool
webhook_filter_accepts(WebhookFilter *filter, const WebhookEvent *event,
					   bool *filter_errors)
{
	return accepts(filter, event, evaluate_in_time, filter_errors);
}

bool
webhook_filter_matches(WebhookFilter *filter, const WebhookEvent *event)
{
	bool		filter_errors;

	return accepts(filter, event, evaluate, &filter_errors);
}

static bool
accepts(WebhookFilter *filter, const WebhookEvent *event, Evaluate *method,
		bool *filter_errors)
{
	MemoryContext old = CurrentMemoryContext;
	volatile bool accepted = false;

	*filter_errors = false;
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "webhook filter",
										ALLOCSET_DEFAULT_SIZES);
	if (converted != event || converted_id != event->id)
		webhook_filter_reset();

	PG_TRY();
	{
		MemoryContextSwitchTo(context);
		accepted = method(filter, event, filter_errors);
	}
	PG_CATCH();
	{
		if (is_about_server(geterrcode()))
		{
			MemoryContextSwitchTo(old);
			PG_RE_THROW();
		}
		FlushErrorState();
		*filter_errors = true;
		accepted = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return accepted;
}

void
webhook_filter_reset(void)
{
	converted = NULL;
	data = NULL;
	measured = false;
	if (context != NULL)
		MemoryContextReset(context);
}

/*
 * What is late has taken so much of the processor. What has not, but was kept
 * from it, is tried again with more time by the wall.
 */
static bool
evaluate_in_time(WebhookFilter *filter, const WebhookEvent *event, bool *filter_errors)
{
	int			limit = LIMIT >> Min(filter->slow, MOST_HALVINGS);
	volatile int patience = limit;
	volatile bool accepted = false;
	volatile bool late = false;
	volatile bool done = false;

	while (!done)
	{
		int64		started = processor_time();

		PG_TRY();
		{
			enable_timeout_after(STATEMENT_TIMEOUT, patience);
			accepted = evaluate(filter, event, filter_errors);
			disable_timeout(STATEMENT_TIMEOUT, true);
			done = true;
		}
		PG_CATCH();
		{
			disable_timeout(STATEMENT_TIMEOUT, false);
			if (geterrcode() != ERRCODE_QUERY_CANCELED || ShutdownRequestPending)
				PG_RE_THROW();
			FlushErrorState();
			MemoryContextSwitchTo(context);
			if (data == NULL)
				webhook_filter_reset();
			else
				MemoryContextDeleteChildren(context);
			late = done = processor_time() - started >= limit;
			patience = Min(2 * patience, MOST_PATIENCE);
		}
		PG_END_TRY();
	}

	/* It may have gone off when all was over. */
	if (get_timeout_indicator(STATEMENT_TIMEOUT, true) && !ShutdownRequestPending)
		QueryCancelPending = false;

	if (late)
	{
		*filter_errors = true;
		if (filter->slow++ == 0)
			tell(filter, event);
	}
	else
		filter->slow = 0;
	return accepted;
}

/* Of this thread, in milliseconds. */
static int64
processor_time(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0)
		elog(ERROR, "could not read the processor's clock: %m");
	return now.tv_sec * INT64CONST(1000) + now.tv_nsec / 1000000;
}

/* An operator cannot see it otherwise, but for a count. */
static void
tell(const WebhookFilter *filter, const WebhookEvent *event)
{
	static TimestampTz told_at = 0;
	TimestampTz now = GetCurrentTimestamp();
	Datum		id;
	Datum		path;

	if (told_at != 0 && now >= told_at && now - told_at < TELL_INTERVAL)
		return;
	told_at = now;
	id = DirectFunctionCall1(uuid_out, UUIDPGetDatum(&event->event_id));
	path = DirectFunctionCall1(jsonpath_out, PointerGetDatum(filter->path));
	ereport(LOG,
			(errmsg("webhook: a filter takes too long over event %s, which is no match to it",
					DatumGetCString(id)),
			 errdetail("The filter is \"%s\".", DatumGetCString(path)),
			 errhint("Simplify it; webhook.recover() with what => 'missing' takes the time it needs.")));
}

/* The first error of an event's data is found again by every filter. */
static bool
evaluate(WebhookFilter *filter, const WebhookEvent *event, bool *filter_errors)
{
	LOCAL_FCINFO(fcinfo, 4);
	MemoryContext scratch;
	Datum		result;

	if (converted == NULL)
	{
		converted = event;
		converted_id = event->id;
		data = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
												  CStringGetDatum(event->data)));
	}
	if (data != NULL && filter->multiplies && !measured)
	{
		have_long_number = webhook_filter_has_long_number(event->data);
		measured = true;
	}
	if (data == NULL || (filter->multiplies && have_long_number))
	{
		*filter_errors = true;
		return false;
	}

	scratch = AllocSetContextCreate(context, "webhook filter evaluation",
									ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(scratch);
	InitFunctionCallInfoData(*fcinfo, NULL, 4, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = JsonbPGetDatum(data);
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = PointerGetDatum(filter->path);
	fcinfo->args[1].isnull = false;
	fcinfo->args[2].value = DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));
	fcinfo->args[2].isnull = false;
	fcinfo->args[3].value = BoolGetDatum(true);
	fcinfo->args[3].isnull = false;
	result = jsonb_path_match(fcinfo);
	*filter_errors = fcinfo->isnull;
	MemoryContextDelete(scratch);
	return !fcinfo->isnull && DatumGetBool(result);
}

/* Rather than about what the data, or the path, is. */
static bool
is_about_server(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case MAKE_SQLSTATE('5', '3', '0', '0', '0'):	/* out of memory */
		case MAKE_SQLSTATE('5', '7', '0', '0', '0'):	/* cancelled */
		case MAKE_SQLSTATE('5', '8', '0', '0', '0'):	/* system error */
			return true;
		default:
			return false;
	}
}

static bool
is_true(JsonPathItem *item)
{
	return item->type == jpiBool && jspGetBool(item) && !jspHasNext(item);
}
