/*
 * filter.c
 *	  Content filters: a predicate on an event's Data, in SQL/JSON path
 *	  language.
 *
 * Data are published as json, which accepts what jsonb refuses, and a path may
 * raise an error over the values that it finds. Neither may hold up an event: it
 * does not match then, and is counted. The functions called here allocate memory
 * and do nothing else, so that an error leaves nothing behind that only a
 * savepoint could undo. Errors that do not depend on the event (cancellation,
 * out of memory) are re-thrown.
 *
 * While the worker evaluates a filter it does nothing else. So a timer ends an
 * evaluation that takes too much CPU time; the event does not match then, and
 * is counted. The same holds in a session, which has to give the worker's
 * answer. Time by the clock does not count, so that no event is lost because
 * the server stood still. Paths that a timer cannot end are refused when they
 * are saved, see filter_check.c.
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

/*
 * CPU time of an evaluation, in milliseconds. The limit is halved after each
 * evaluation in a row that reached it, up to this number of times.
 */
#define CPU_LIMIT 500
#define MAX_HALVINGS 4

/* Time by the clock after which the CPU time is looked at, at most, in milliseconds. */
#define MAX_WAIT (60 * 1000)

/* The log tells of filters that take too long at most once in this time. */
#define LOG_INTERVAL (60 * USECS_PER_SEC)

struct WebhookFilter
{
	JsonPath   *path;
	bool		multiplies;		/* the path has *, / or % */
	int			slow;			/* number of evaluations in a row that reached the limit */
};

static struct
{
	MemoryContext context;		/* memory for the Data and for evaluations */
	const WebhookEvent *event;	/* the event whose Data are held; NULL: none */
	int64		event_id;		/* its id, since another event may come to have its address */
	Jsonb	   *data;			/* its Data; NULL: jsonb refuses them */
	bool		measured;		/* has_long_number is set */
	bool		has_long_number;	/* the Data have a number that is too long for a product */
	TimestampTz logged_at;		/* when a filter that took too long was last logged; 0: never */
	bool		has_timeout;	/* "timeout" is registered */
	TimeoutId	timeout;		/* ends an evaluation */
	volatile sig_atomic_t expired;	/* it has gone off */
}			held;

static bool evaluate(WebhookFilter *filter, const WebhookEvent *event, bool *no_answer);
static bool evaluate_in_time(WebhookFilter *filter, const WebhookEvent *event, bool *no_answer);
static bool lacks_record(Jsonb *data);
static void expire(void);
static bool is_true(JsonPathItem *item);
static int64 cpu_time(void);
static void log_slow(const WebhookFilter *filter, const WebhookEvent *event);
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
					   bool *no_answer)
{
	MemoryContext old = CurrentMemoryContext;
	volatile bool accepted = false;

	*no_answer = false;
	if (held.context == NULL)
		held.context = AllocSetContextCreate(TopMemoryContext, "webhook filter",
											 ALLOCSET_DEFAULT_SIZES);
	if (held.event != event || held.event_id != event->id)
		webhook_filter_reset();

	PG_TRY();
	{
		MemoryContextSwitchTo(held.context);
		accepted = evaluate_in_time(filter, event, no_answer);
	}
	PG_CATCH();
	{
		if (is_about_server(geterrcode()))
		{
			MemoryContextSwitchTo(old);
			PG_RE_THROW();
		}
		FlushErrorState();
		*no_answer = true;
		accepted = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return accepted;
}

void
webhook_filter_reset(void)
{
	held.event = NULL;
	held.data = NULL;
	held.measured = false;
	if (held.context != NULL)
		MemoryContextReset(held.context);
}

/*
 * Evaluate with a limit of CPU time. The timer goes by the clock. If it ends an
 * evaluation that got less CPU time than the limit, because the server was busy,
 * the evaluation is repeated with twice the time.
 */
static bool
evaluate_in_time(WebhookFilter *filter, const WebhookEvent *event, bool *no_answer)
{
	int			limit = CPU_LIMIT >> Min(filter->slow, MAX_HALVINGS);
	volatile int wait_ms = limit;
	volatile bool accepted = false;
	volatile bool late = false;
	volatile bool done = false;

	if (!held.has_timeout)
		held.timeout = RegisterTimeout(USER_TIMEOUT, expire);
	held.has_timeout = true;
	while (!done)
	{
		int64		started = cpu_time();

		held.expired = false;
		PG_TRY();
		{
			enable_timeout_after(held.timeout, wait_ms);
			accepted = evaluate(filter, event, no_answer);
			disable_timeout(held.timeout, false);
			done = true;
		}
		PG_CATCH();
		{
			disable_timeout(held.timeout, false);
			if (geterrcode() != ERRCODE_QUERY_CANCELED || !held.expired || ShutdownRequestPending)
				PG_RE_THROW();
			FlushErrorState();
			MemoryContextSwitchTo(held.context);
			if (held.data == NULL)
				webhook_filter_reset();
			else
				MemoryContextDeleteChildren(held.context);
			late = done = cpu_time() - started >= limit;
			wait_ms = Min(2 * wait_ms, MAX_WAIT);
		}
		PG_END_TRY();
	}

	/* The timer may have gone off after the evaluation had ended. */
	if (held.expired && !ShutdownRequestPending)
		QueryCancelPending = false;

	if (late)
	{
		*no_answer = true;
		if (filter->slow++ == 0)
			log_slow(filter, event);
	}
	else
		filter->slow = 0;
	return accepted;
}

/* In a signal handler: the evaluation is cancelled, as a user would. */
static void
expire(void)
{
	held.expired = true;
	InterruptPending = true;
	QueryCancelPending = true;
}

/* The CPU time that this process has used, in milliseconds. */
static int64
cpu_time(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0)
		elog(ERROR, "could not read the processor's clock: %m");
	return now.tv_sec * INT64CONST(1000) + now.tv_nsec / 1000000;
}

/* Log that a filter took too long; statistics show only a count. */
static void
log_slow(const WebhookFilter *filter, const WebhookEvent *event)
{
	TimestampTz now = GetCurrentTimestamp();
	Datum		id;
	Datum		path;

	if (held.logged_at != 0 && now >= held.logged_at && now - held.logged_at < LOG_INTERVAL)
		return;
	held.logged_at = now;
	id = DirectFunctionCall1(uuid_out, UUIDPGetDatum(&event->event_id));
	path = DirectFunctionCall1(jsonpath_out, PointerGetDatum(filter->path));
	ereport(LOG,
			(errmsg("event %s does not match a filter that took too long", DatumGetCString(id)),
			 errdetail("The filter is \"%s\".", DatumGetCString(path)),
			 errhint("Simplify the filter. webhook.recover() with what => 'missing' sends what a simpler one accepts.")));
}

/*
 * Evaluate a filter without a limit. Data that jsonb refused for one filter are
 * not converted again for the next one.
 */
static bool
evaluate(WebhookFilter *filter, const WebhookEvent *event, bool *no_answer)
{
	LOCAL_FCINFO(fcinfo, 4);
	MemoryContext scratch;
	MemoryContext old;
	Datum		result;
	bool		accepted;

	if (held.event == NULL)
	{
		held.event = event;
		held.event_id = event->id;
		held.data = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
													   CStringGetDatum(event->data)));
	}
	if (held.data != NULL && filter->multiplies && !held.measured)
	{
		held.has_long_number = webhook_filter_has_long_number(event->data);
		held.measured = true;
	}
	if (held.data == NULL || (filter->multiplies && held.has_long_number))
	{
		*no_answer = true;
		return false;
	}

	scratch = AllocSetContextCreate(held.context, "webhook filter evaluation",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(scratch);
	InitFunctionCallInfoData(*fcinfo, NULL, 4, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = JsonbPGetDatum(held.data);
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = PointerGetDatum(filter->path);
	fcinfo->args[1].isnull = false;
	fcinfo->args[2].value = DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));
	fcinfo->args[2].isnull = false;
	fcinfo->args[3].value = BoolGetDatum(true);
	fcinfo->args[3].isnull = false;
	result = jsonb_path_match(fcinfo);
	accepted = !fcinfo->isnull && DatumGetBool(result);
	*no_answer = fcinfo->isnull || (!accepted && lacks_record(held.data));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	return accepted;
}

/* Returns true if the Data have RecordOmitted: their Record was too large. */
static bool
lacks_record(Jsonb *data)
{
	static const char key[] = "RecordOmitted";
	JsonbValue	value;

	return JB_ROOT_IS_OBJECT(data) &&
		getKeyJsonValueFromContainer(&data->root, key, sizeof(key) - 1, &value) != NULL &&
		value.type == jbvBool && value.val.boolean;
}

/* Returns true if an error does not depend on the Data and the path. */
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
