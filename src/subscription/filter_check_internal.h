/*
 * filter_check_internal.h
 *	  What filter.c has to know about products in a path and long numbers in
 *	  Data.
 */
#ifndef WEBHOOK_FILTER_CHECK_INTERNAL_H
#define WEBHOOK_FILTER_CHECK_INTERNAL_H

#include "utils/jsonpath.h"

/* Returns true if a path has *, / or % anywhere. */
extern bool webhook_filter_multiplies(JsonPath *path);

/*
 * Returns true if valid JSON has a number that is too long for a path that
 * multiplies. Strings are not looked at: such a path cannot convert them to long
 * numbers.
 */
extern bool webhook_filter_has_long_number(const char *json);

#endif							/* WEBHOOK_FILTER_CHECK_INTERNAL_H */
