/*
 * filter_check.c
 *	  Which paths may be filters.
 *
 * The worker ends the evaluation of a filter after a limit of CPU time (see
 * filter.c). This works wherever jsonpath checks for interrupts, which it does
 * for each item of the Data. Refused when a filter is saved is what runs long
 * between two checks:
 *
 * - a comparison both sides of which may have several items, because each of
 *   one side is compared with each of the other;
 * - a regular expression;
 * - products and quotients of very long numbers: one of two numbers with 100,000
 *   digits takes seconds. Therefore long numbers are refused as literals, Data
 *   with one get no answer from a path that multiplies or divides, and the number
 *   of these operators is limited, so that their results cannot become long.
 *
 * Refused are also paths with variables, which have no value here, and paths that
 * are no predicate: what they find is hardly ever a boolean, so they would accept
 * nothing. A path to a boolean is compared with true.
 */
#include "postgres.h"

#include <ctype.h>

#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "base/refusal.h"
#include "subscription/filter_check_internal.h"
#include "subscription/subscription.h"

#define MAX_DIGITS 1000			/* of a number in a product */
#define MAX_PRODUCTS 16

/* What a path has, anywhere in it. */
typedef struct Findings
{
	bool		lax;			/* the path is evaluated in lax mode */
	bool		regex;
	bool		variable;
	bool		conversion;		/* number() or decimal(): from a string of any length */
	bool		long_number;	/* a literal of more than MAX_DIGITS */
	bool		cross_comparison;	/* a comparison both sides of which may have several items */
	int			products;		/* number of *, / and % */
} Findings;

static Findings inspect(JsonPath *path);
static void inspect_item(JsonPathItem *item, Findings *found);
static void inspect_operands(JsonPathItem *item, Findings *found);
static bool is_cross_comparison(JsonPathItem *item, bool lax);
static bool may_have_several(JsonPathItem *item, bool lax);
static bool is_predicate(JsonPath *path);
static bool is_long_literal(JsonPathItem *item);
static bool is_long(const char *number, size_t length);
pg_noreturn static void refuse(Datum path, const char *message, const char *hint);
static const char *text_of(Datum path);

void
webhook_filter_check(Datum path)
{
	Findings	found = inspect(DatumGetJsonPathP(path));

	if (found.regex)
		refuse(path, "filter must not have like_regex", "Compare with == or starts with.");
	if (found.variable)
		refuse(path, "filter must not have a variable",
			   "Write the value itself, and $ for the event's Data.");
	if (!is_predicate(DatumGetJsonPathP(path)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("filter"),
				 errmsg("filter must be a predicate"),
				 errdetail("The filter is \"%s\", which finds values and compares none.",
						   webhook_clip(text_of(path))),
				 errhint("Compare, as in '$.NewStatus == \"Signed\"', or ask whether a path has anything: 'exists($.Lines[*] ? (@.Price > 10))'.")));
	if (found.long_number)
		refuse(path, "filter must not have a number of more than a thousand digits",
			   "Write a shorter number.");
	if (found.products > MAX_PRODUCTS)
		refuse(path, "filter must not have more than sixteen of *, / and %",
			   "Use fewer of them, or publish the result.");
	if (found.products > 0 && found.conversion)
		refuse(path, "filter must not have number() or decimal() together with *, / or %",
			   "Use double() for numbers in strings.");
	if (found.cross_comparison)
		refuse(path, "filter must not have a comparison of two paths that may have several items",
			   found.lax ?
			   "Compare with a literal, or begin the path with \"strict\": in lax mode any path may have several items." :
			   "Compare with a literal, or with a path that has one item.");
}

bool
webhook_filter_multiplies(JsonPath *path)
{
	return inspect(path).products > 0;
}

bool
webhook_filter_has_long_number(const char *json)
{
	const char *p = json;

	while (*p != '\0')
	{
		size_t		length = 1;

		if (*p == '"')
		{
			while (p[length] != '"' && p[length] != '\0')
				length += p[length] == '\\' && p[length + 1] != '\0' ? 2 : 1;
			length += p[length] == '"';
		}
		else if (*p == '-' || isdigit((unsigned char) *p))
		{
			length = strspn(p, "-+.0123456789eE");
			if (is_long(p, length))
				return true;
		}
		p += length;
	}
	return false;
}

static Findings
inspect(JsonPath *path)
{
	Findings	found = {.lax = (path->header & JSONPATH_LAX) != 0};
	JsonPathItem item;

	jspInit(&item, path);
	inspect_item(&item, &found);
	return found;
}

/* Add what an item, its operands and the items after it have. */
static void
inspect_item(JsonPathItem *item, Findings *found)
{
	JsonPathItem from;
	JsonPathItem to;
	JsonPathItem next;

	check_stack_depth();
	switch (item->type)
	{
		case jpiLikeRegex:
			found->regex = true;
			break;
		case jpiVariable:
			found->variable = true;
			break;
		case jpiNumeric:
			found->long_number |= is_long_literal(item);
			break;
		case jpiMul:
		case jpiDiv:
		case jpiMod:
			found->products++;
			inspect_operands(item, found);
			break;
		case jpiEqual:
		case jpiNotEqual:
		case jpiLess:
		case jpiGreater:
		case jpiLessOrEqual:
		case jpiGreaterOrEqual:
			found->cross_comparison |= is_cross_comparison(item, found->lax);
			inspect_operands(item, found);
			break;
		case jpiAnd:
		case jpiOr:
		case jpiAdd:
		case jpiSub:
		case jpiStartsWith:
			inspect_operands(item, found);
			break;
		case jpiNot:
		case jpiIsUnknown:
		case jpiPlus:
		case jpiMinus:
		case jpiFilter:
		case jpiExists:
			jspGetArg(item, &next);
			inspect_item(&next, found);
			break;
		case jpiIndexArray:
			for (int i = 0; i < item->content.array.nelems; i++)
			{
				if (jspGetArraySubscript(item, &from, &to, i))
					inspect_item(&to, found);
				inspect_item(&from, found);
			}
			break;
		default:
			found->conversion |= compat_jsonpath_reads_number(item->type);
			break;
	}
	if (jspGetNext(item, &next))
		inspect_item(&next, found);
}

static void
inspect_operands(JsonPathItem *item, Findings *found)
{
	JsonPathItem operand;

	jspGetLeftArg(item, &operand);
	inspect_item(&operand, found);
	jspGetRightArg(item, &operand);
	inspect_item(&operand, found);
}

static bool
is_cross_comparison(JsonPathItem *item, bool lax)
{
	JsonPathItem left;
	JsonPathItem right;

	jspGetLeftArg(item, &left);
	jspGetRightArg(item, &right);
	return may_have_several(&left, lax) && may_have_several(&right, lax);
}

/*
 * Returns true if an operand of a comparison may yield more than one item. In
 * lax mode an array stands for its items, at the end of a path and wherever
 * something is looked for in it.
 */
static bool
may_have_several(JsonPathItem *item, bool lax)
{
	JsonPathItem step = *item;
	JsonPathItem other;
	bool		several = false;
	bool		array = false;	/* an item so far may be an array that stands for its items */

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
				several = may_have_several(&other, lax);
				break;
			case jpiAnyArray:
			case jpiAnyKey:
			case jpiAny:
			case jpiKeyValue:
				several = true;
				break;
			case jpiIndexArray:
				for (int i = 0; i < step.content.array.nelems; i++)
					several |= i > 0 || jspGetArraySubscript(&step, &other, &other, i);
				array = lax;
				break;
			case jpiType:
			case jpiSize:
				array = false;
				break;
			case jpiKey:
			case jpiFilter:
				several |= array;
				array = lax;
				break;
			default:
				/* A literal, a computed number, or a method, which takes each item of an array. */
				several |= array;
				array = false;
				break;
		}
		other = step;
	} while (jspGetNext(&other, &step));
	return several || array;
}

/* Returns true for a predicate, or a literal true or false, that nothing follows. */
static bool
is_predicate(JsonPath *path)
{
	JsonPathItem item;

	jspInit(&item, path);
	if (jspHasNext(&item))
		return false;
	switch (item.type)
	{
		case jpiBool:
		case jpiAnd:
		case jpiOr:
		case jpiNot:
		case jpiIsUnknown:
		case jpiEqual:
		case jpiNotEqual:
		case jpiLess:
		case jpiGreater:
		case jpiLessOrEqual:
		case jpiGreaterOrEqual:
		case jpiExists:
		case jpiStartsWith:
			return true;
		default:
			return false;
	}
}

static bool
is_long_literal(JsonPathItem *item)
{
	const char *text = DatumGetCString(DirectFunctionCall1(numeric_out,
														   NumericGetDatum(jspGetNumeric(item))));

	return is_long(text, strlen(text));
}

/* Returns true if a number as JSON writes it has more than MAX_DIGITS, exponent included. */
static bool
is_long(const char *number, size_t length)
{
	const char *exponent = memchr(number, 'e', length);
	long		power = 0;

	if (exponent == NULL)
		exponent = memchr(number, 'E', length);
	if (exponent != NULL)
		power = strtol(exponent + 1, NULL, 10);
	return length > MAX_DIGITS || power > MAX_DIGITS || power < -MAX_DIGITS;
}

static void
refuse(Datum path, const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 webhook_errargument("filter"),
			 errmsg("%s", message),
			 errdetail("The filter is \"%s\".", webhook_clip(text_of(path))),
			 errhint("%s", hint)));
}

static const char *
text_of(Datum path)
{
	return DatumGetCString(DirectFunctionCall1(jsonpath_out, path));
}
