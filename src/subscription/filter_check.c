/*
 * filter_check.c
 *	  What a filter may cost: paths, and numbers in Data, that are too much.
 *
 * Refused when a filter is saved are paths whose cost grows faster than the
 * data: every item against every other in a comparison, which nothing can
 * interrupt, or the whole anew for each of its parts; regular expressions, too.
 * What is left goes over the data a few times, once a term.
 *
 * Nothing interrupts a product or a quotient, either, and one of numbers with
 * a hundred thousand digits takes seconds. So long ones are no literals, Data
 * with one get no answer where a path multiplies or divides, and it does so a
 * few times at most.
 */
#include "postgres.h"

#include <ctype.h>

#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "subscription/filter_check_internal.h"
#include "subscription/subscription.h"

#define MOST_DIGITS 1000		/* of a number, */
#define MOST_PRODUCTS 16		/* so that what they make is not much longer */

/* A place in a path, as far as it tells what that costs. */
typedef struct Place
{
	bool		lax;			/* an array stands for its items */
	bool		nested;			/* it is gone to for each of many items */
	bool		deep;			/* ... that contain one another, or are copies */
} Place;

typedef bool ItemTest (JsonPathItem *item);

static ItemTest is_regex;
static ItemTest is_variable;
static ItemTest is_path;
static ItemTest is_filter;
static ItemTest is_product;
static ItemTest is_conversion;
static ItemTest is_long_literal;
static bool has(JsonPathItem *item, ItemTest *test);
static int	count_items(JsonPathItem *item, ItemTest *test);
static bool may_be_true(JsonPathItem *item);
static bool is_long(const char *number, size_t length);
static int	get_arguments(JsonPathItem *item, JsonPathItem *arguments);
static bool is_many(JsonPathItem *item, bool lax);
static const char *find_excess(JsonPathItem *item, Place place);
static void refuse(Datum path, const char *what, const char *hint);
static const char *text_of(Datum path);

void
webhook_filter_check(Datum path)
{
	JsonPathItem item;
	Place		place = {0};
	const char *excess;

	jspInit(&item, DatumGetJsonPathP(path));
	if (has(&item, is_regex))
		refuse(path, "like_regex", "Compare with == or starts with.");
	if (has(&item, is_variable))
		refuse(path, "a variable", "Write the value itself, and $ for the event's Data.");

	if (!may_be_true(&item))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("filter must be a predicate"),
				 errdetail("The filter is \"%s\", which is never true or false.", text_of(path)),
				 errhint("Compare, as in '$.NewStatus == \"Signed\"', or ask whether a path has anything: 'exists($.Lines[*] ? (@.Price > 10))'.")));

	place.lax = (DatumGetJsonPathP(path)->header & JSONPATH_LAX) != 0;
	if (has(&item, is_long_literal))
		refuse(path, "a number of more than a thousand digits", "Write a shorter one.");
	if (count_items(&item, is_product) > MOST_PRODUCTS)
		refuse(path, "more than sixteen of *, / and %",
			   "Use fewer of them, or publish the result.");
	if (has(&item, is_product) && has(&item, is_conversion))
		refuse(path, "number() or decimal() together with *, / or %",
			   "Use double() for numbers in strings.");
	excess = find_excess(&item, place);
	if (excess != NULL)
		refuse(path, excess, place.lax ?
			   "Compare with a literal, or begin the path with \"strict\": in lax mode any path may have many items." :
			   "Compare with a literal, or with a path that has one item.");
}

bool
webhook_filter_multiplies(JsonPath *path)
{
	JsonPathItem item;

	jspInit(&item, path);
	return has(&item, is_product);
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

static void
refuse(Datum path, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("filter must not have %s", what),
			 errdetail("The filter is \"%s\".", text_of(path)),
			 errhint("%s", hint)));
}

static const char *
text_of(Datum path)
{
	return DatumGetCString(DirectFunctionCall1(jsonpath_out, path));
}

/*
 * A path to a boolean may, and so may what later servers bring. What ends in a
 * filter finds items, and that is no answer.
 */
static bool
may_be_true(JsonPathItem *item)
{
	JsonPathItem last = *item;
	JsonPathItem next;

	while (jspGetNext(&last, &next))
		last = next;
	switch (last.type)
	{
		case jpiNull:
		case jpiString:
		case jpiNumeric:
		case jpiAdd:
		case jpiSub:
		case jpiMul:
		case jpiDiv:
		case jpiMod:
		case jpiPlus:
		case jpiMinus:
		case jpiFilter:
		case jpiType:
		case jpiSize:
		case jpiAbs:
		case jpiFloor:
		case jpiCeiling:
		case jpiDouble:
		case jpiDatetime:
		case jpiKeyValue:
			return false;
		default:
			return true;
	}
}

static bool
is_regex(JsonPathItem *item)
{
	return item->type == jpiLikeRegex;
}

static bool
is_variable(JsonPathItem *item)
{
	return item->type == jpiVariable;
}

static bool
is_path(JsonPathItem *item)
{
	return item->type == jpiRoot || item->type == jpiCurrent;
}

static bool
is_filter(JsonPathItem *item)
{
	return item->type == jpiFilter;
}

static bool
is_product(JsonPathItem *item)
{
	return item->type == jpiMul || item->type == jpiDiv || item->type == jpiMod;
}

/* Does it make a number of a string, of any length? */
static bool
is_conversion(JsonPathItem *item)
{
	return compat_jsonpath_reads_number(item->type);
}

static bool
is_long_literal(JsonPathItem *item)
{
	const char *text;

	if (item->type != jpiNumeric)
		return false;
	text = DatumGetCString(DirectFunctionCall1(numeric_out,
											   NumericGetDatum(jspGetNumeric(item))));

	return is_long(text, strlen(text));
}

/* A number as JSON has it; what comes after it is not looked at. */
static bool
is_long(const char *number, size_t length)
{
	const char *exponent = memchr(number, 'e', length);
	long		power = 0;

	if (exponent == NULL)
		exponent = memchr(number, 'E', length);
	if (exponent != NULL)
		power = strtol(exponent + 1, NULL, 10);
	return length > MOST_DIGITS || power > MOST_DIGITS || power < -MOST_DIGITS;
}

static bool
has(JsonPathItem *item, ItemTest *test)
{
	return count_items(item, test) > 0;
}

/* How many such items are anywhere in it? */
static int
count_items(JsonPathItem *item, ItemTest *test)
{
	JsonPathItem arguments[2];
	JsonPathItem next;
	int			narguments = get_arguments(item, arguments);
	int			count = test(item) ? 1 : 0;

	check_stack_depth();
	for (int i = 0; i < narguments; i++)
		count += count_items(&arguments[i], test);
	for (int i = 0; item->type == jpiIndexArray && i < item->content.array.nelems; i++)
	{
		if (jspGetArraySubscript(item, &arguments[0], &arguments[1], i))
			count += count_items(&arguments[1], test);
		count += count_items(&arguments[0], test);
	}
	if (jspGetNext(item, &next))
		count += count_items(&next, test);
	return count;
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
			if (place.nested && (is_many(item, place.lax) || has(item, is_filter)))
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
				if (has(&arguments[0], is_path) || (range && has(&arguments[1], is_path)))
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
