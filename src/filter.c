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
 * Regular expressions are refused, for the time that one takes has no bound.
 * So are variables, for there is nobody to give them a value.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/jsonpath.h"
#include "utils/memutils.h"

#include "filter.h"

struct WebhookFilter
{
	JsonPath   *path;
};

static MemoryContext context;	/* of the converted data */
static const WebhookEvent *converted;	/* whose data that is; NULL: nobody's */
static int64 converted_id;
static Jsonb *data;				/* NULL: they are no jsonb */

static bool is_true(JsonPathItem *item);
static bool has(JsonPathItem *item, JsonPathItemType type);
static bool evaluate(const WebhookFilter *filter, const WebhookEvent *event,
					 bool *undecided);
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
	filter = palloc(sizeof(WebhookFilter));
	filter->path = copy;
	return filter;
}

bool
webhook_filter_accepts(const WebhookFilter *filter, const WebhookEvent *event,
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
		accepted = evaluate(filter, event, undecided);
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

	jspInit(&item, DatumGetJsonPathP(path));
	if (has(&item, jpiLikeRegex))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("filter must not have like_regex"),
				 errdetail("The filter is \"%s\".",
						   DatumGetCString(DirectFunctionCall1(jsonpath_out, path))),
				 errhint("Compare with == or starts with.")));
	if (has(&item, jpiVariable))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("filter must not have a variable"),
				 errdetail("The filter is \"%s\".",
						   DatumGetCString(DirectFunctionCall1(jsonpath_out, path))),
				 errhint("Write the value itself, and $ for the event's Data.")));
}

/* The first error of an event's data is found again by every filter. */
static bool
evaluate(const WebhookFilter *filter, const WebhookEvent *event, bool *undecided)
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
	JsonPathItem other;

	check_stack_depth();
	if (item->type == type)
		return true;
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
			jspGetLeftArg(item, &other);
			if (has(&other, type))
				return true;
			jspGetRightArg(item, &other);
			if (has(&other, type))
				return true;
			break;
		case jpiNot:
		case jpiIsUnknown:
		case jpiPlus:
		case jpiMinus:
		case jpiFilter:
		case jpiExists:
			jspGetArg(item, &other);
			if (has(&other, type))
				return true;
			break;
		case jpiIndexArray:
			for (int i = 0; i < item->content.array.nelems; i++)
			{
				JsonPathItem to;

				if (jspGetArraySubscript(item, &other, &to, i) && has(&to, type))
					return true;
				if (has(&other, type))
					return true;
			}
			break;
		default:
			/* Nothing in it but literals. */
			break;
	}
	return jspGetNext(item, &other) && has(&other, type);
}
