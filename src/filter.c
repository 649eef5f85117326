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
 * While a worker evaluates a filter nobody is served, so what a filter can
 * cost is bounded twice. Refused are paths whose cost grows faster than the
 * data: every item against every other in a comparison, which nothing can
 * interrupt, or the whole anew for each of its parts; regular expressions, too.
 * What is left goes over the data a few times, once a term. A timer ends what
 * takes too long all the same, which is no match then, and counted. It is the
 * processor's time that counts: a server that stands still loses no event.
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

#include "filter.h"

#define LIMIT 500				/* milliseconds of an evaluation, */
#define MOST_HALVINGS 4			/* half of it after each that took so long */
#define MOST_PATIENCE (60 * 1000)	/* milliseconds by the wall */
#define TELL_INTERVAL (60 * USECS_PER_SEC)

struct WebhookFilter
{
	JsonPath   *path;
	int			slow;			/* evaluations in a row that took too long */
};

/* A place in a path, as far as it tells what that costs. */
typedef struct Place
{
	bool		lax;			/* an array stands for its items */
	bool		nested;			/* it is gone to for each of many items */
	bool		deep;			/* ... that contain one another, or are copies */
} Place;

static MemoryContext context;	/* of the converted data */
static const WebhookEvent *converted;	/* whose data that is; NULL: nobody's */
static int64 converted_id;
static Jsonb *data;				/* NULL: they are no jsonb */

typedef bool Evaluate(WebhookFilter *filter, const WebhookEvent *event,
					  bool *undecided);

static Evaluate evaluate;
static Evaluate evaluate_in_time;
static bool accepts(WebhookFilter *filter, const WebhookEvent *event,
					Evaluate *method, bool *undecided);
static bool is_true(JsonPathItem *item);
static bool has(JsonPathItem *item, JsonPathItemType type);
static int	get_arguments(JsonPathItem *item, JsonPathItem *arguments);
static bool is_many(JsonPathItem *item, bool lax);
static const char *find_excess(JsonPathItem *item, Place place);
static void refuse(Datum path, const char *what, const char *hint);
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
	return filter;
}

bool
webhook_filter_accepts(WebhookFilter *filter, const WebhookEvent *event,
					   bool *undecided)
{
	return accepts(filter, event, evaluate_in_time, undecided);
}

bool
webhook_filter_matches(WebhookFilter *filter, const WebhookEvent *event)
{
	bool		undecided;

	return accepts(filter, event, evaluate, &undecided);
}

static bool
accepts(WebhookFilter *filter, const WebhookEvent *event, Evaluate *method,
		bool *undecided)
{
	MemoryContext old = CurrentMemoryContext;
	volatile bool accepted = false;

	*undecided = false;
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "webhook filter",
										ALLOCSET_DEFAULT_SIZES);
	if (converted != event || converted_id != event->id)
		webhook_filter_reset();

	PG_TRY();
	{
		MemoryContextSwitchTo(context);
		accepted = method(filter, event, undecided);
	}
	PG_CATCH();
	{
		if (is_about_server(geterrcode()))
		{
			MemoryContextSwitchTo(old);
			PG_RE_THROW();
		}
		FlushErrorState();
		*undecided = true;
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
	if (context != NULL)
		MemoryContextReset(context);
}

void
webhook_filter_check(Datum path)
{
	JsonPathItem item;
	Place		place = {0};
	const char *excess;

	jspInit(&item, DatumGetJsonPathP(path));
	if (has(&item, jpiLikeRegex))
		refuse(path, "like_regex", "Compare with == or starts with.");
	if (has(&item, jpiVariable))
		refuse(path, "a variable", "Write the value itself, and $ for the event's Data.");

	place.lax = (DatumGetJsonPathP(path)->header & JSONPATH_LAX) != 0;
	excess = find_excess(&item, place);
	if (excess != NULL)
		refuse(path, excess, place.lax ?
			   "Compare with a literal, or begin the path with \"strict\": in lax mode any path may have many items." :
			   "Compare with a literal, or with a path that has one item.");
}

static void
refuse(Datum path, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("filter must not have %s", what),
			 errdetail("The filter is \"%s\".",
					   DatumGetCString(DirectFunctionCall1(jsonpath_out, path))),
			 errhint("%s", hint)));
}

/*
 * What is late has taken so much of the processor. What has not, but was kept
 * from it, is tried again with more time by the wall.
 */
static bool
evaluate_in_time(WebhookFilter *filter, const WebhookEvent *event, bool *undecided)
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
			accepted = evaluate(filter, event, undecided);
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
		*undecided = true;
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
evaluate(WebhookFilter *filter, const WebhookEvent *event, bool *undecided)
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
	if (data == NULL)
	{
		*undecided = true;
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
	*undecided = fcinfo->isnull;
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

/* Is there an item of the type anywhere in it? */
static bool
has(JsonPathItem *item, JsonPathItemType type)
{
	JsonPathItem arguments[2];
	JsonPathItem next;
	int			count = get_arguments(item, arguments);

	check_stack_depth();
	if (item->type == type)
		return true;
	for (int i = 0; i < count; i++)
	{
		if (has(&arguments[i], type))
			return true;
	}
	for (int i = 0; item->type == jpiIndexArray && i < item->content.array.nelems; i++)
	{
		if (jspGetArraySubscript(item, &arguments[0], &arguments[1], i) &&
			has(&arguments[1], type))
			return true;
		if (has(&arguments[0], type))
			return true;
	}
	return jspGetNext(item, &next) && has(&next, type);
}

/* How many arguments, two at most; subscripts are none. */
static int
get_arguments(JsonPathItem *item, JsonPathItem *arguments)
{
	switch (item->type)
	{
		case jpiAnd:
		case jpiOr:
		case jpiEqual:
		case jpiNotEqual:
		case jpiLess:
		case jpiGreater:
		case jpiLessOrEqual:
		case jpiGreaterOrEqual:
		case jpiAdd:
		case jpiSub:
		case jpiMul:
		case jpiDiv:
		case jpiMod:
		case jpiStartsWith:
			jspGetLeftArg(item, &arguments[0]);
			jspGetRightArg(item, &arguments[1]);
			return 2;
		case jpiNot:
		case jpiIsUnknown:
		case jpiPlus:
		case jpiMinus:
		case jpiFilter:
		case jpiExists:
			jspGetArg(item, &arguments[0]);
			return 1;
		default:
			return 0;
	}
}

/*
 * May it have more than one item? In lax mode an array stands for its items, at
 * the end and wherever something is looked for within it.
 */
static bool
is_many(JsonPathItem *item, bool lax)
{
	JsonPathItem step = *item;
	JsonPathItem other;
	bool		many = false;
	bool		array = false;

	do
	{
		switch (step.type)
		{
			case jpiRoot:
			case jpiCurrent:
				array = lax;
				break;
			case jpiPlus:
			case jpiMinus:
				jspGetArg(&step, &other);
				many = is_many(&other, lax);
				break;
			case jpiAnyArray:
			case jpiAnyKey:
			case jpiAny:
			case jpiKeyValue:
				many = true;
				break;
			case jpiIndexArray:
				for (int i = 0; i < step.content.array.nelems; i++)
					many |= i > 0 || jspGetArraySubscript(&step, &other, &other, i);
				array = lax;
				break;
			case jpiType:
			case jpiSize:
				array = false;
				break;
			case jpiKey:
			case jpiFilter:
				many |= array;
				array = lax;
				break;
			default:
				/* A literal or a number that was worked out; or of an array. */
				many |= array;
				array = false;
				break;
		}
		other = step;
	} while (jspGetNext(&other, &step));
	return many || array;
}

/*
 * What in it costs more than going over the data once; NULL: nothing. Only what
 * starts from $ can be gone over again for each item of something else, for @
 * has the items each its own; unless they contain one another.
 */
static const char *
find_excess(JsonPathItem *item, Place place)
{
	JsonPathItem arguments[2];
	JsonPathItem next;
	int			count = get_arguments(item, arguments);
	const char *excess = NULL;

	check_stack_depth();
	switch (item->type)
	{
		case jpiEqual:
		case jpiNotEqual:
		case jpiLess:
		case jpiGreater:
		case jpiLessOrEqual:
		case jpiGreaterOrEqual:
			if (is_many(&arguments[0], place.lax) && is_many(&arguments[1], place.lax))
				return "a comparison of two paths that may have many items";
			break;
		case jpiRoot:
			if (place.nested && (is_many(item, place.lax) || has(item, jpiFilter)))
				return "a path from $ that may have many items within another's filter";
			break;
		case jpiAny:
		case jpiKeyValue:
			if (place.deep)
				return "several of .** and .keyvalue() after or within one another";
			break;
		case jpiIndexArray:
			for (int i = 0; i < item->content.array.nelems; i++)
			{
				bool		range = jspGetArraySubscript(item, &arguments[0],
														 &arguments[1], i);

				if (i > 0)
					return "a list of subscripts";
				if (has(&arguments[0], jpiRoot) || has(&arguments[0], jpiCurrent) ||
					(range && (has(&arguments[1], jpiRoot) ||
							   has(&arguments[1], jpiCurrent))))
					return "a path as a subscript";
			}
			break;
		default:
			break;
	}

	if (item->type == jpiAny || item->type == jpiKeyValue)
		place.deep = true;
	for (int i = 0; i < count && excess == NULL; i++)
	{
		Place		inner = place;

		inner.nested |= item->type == jpiFilter;
		excess = find_excess(&arguments[i], inner);
	}
	if (excess == NULL && jspGetNext(item, &next))
		excess = find_excess(&next, place);
	return excess;
}
