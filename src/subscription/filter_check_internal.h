/*
 * filter_check_internal.h
 *	  What a filter may cost: paths, and numbers in Data, that are too much.
 */
#ifndef WEBHOOK_FILTER_CHECK_INTERNAL_H
#define WEBHOOK_FILTER_CHECK_INTERNAL_H

#include "utils/jsonpath.h"

/* Does a path multiply or divide anywhere? */
extern bool webhook_filter_multiplies(JsonPath *path);

/*
 * Has valid JSON a number that is too long for that? In a string it is none,
 * for such a path has nothing that makes numbers of them.
 */
extern bool webhook_filter_has_long_number(const char *json);

#endif							/* WEBHOOK_FILTER_CHECK_INTERNAL_H */
