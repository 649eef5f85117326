/*
 * retry_after.c
 *	  Fuzz target: a Retry-After is a number of seconds that cannot be negative,
 *	  or not understood.
 *
 * Input: four bytes of seconds from now, for a date that is well-formed, and a
 * value.
 */
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "http/result_internal.h"

#include "fuzz.h"

#define NOW			INT64_C(1800000000)
#define MAX_VALUE	256

/* Read a number; one that is too large is LONG_MAX. Returns false if there are not only digits. */
static bool
read_seconds(const char *value, long *seconds)
{
	*seconds = 0;
	for (const char *c = value; *c; c++)
	{
		if (*c < '0' || *c > '9')
			return false;
		if (__builtin_mul_overflow(*seconds, 10L, seconds) ||
			__builtin_add_overflow(*seconds, (long) (*c - '0'), seconds))
			*seconds = LONG_MAX;
		if (*seconds == LONG_MAX)
			return c[strspn(c, "0123456789")] == '\0';
	}
	return value[0] != '\0';
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char		value[MAX_VALUE];
	char		date[64];
	int32_t		distance = 0;
	struct tm	parts;
	time_t		then;
	long		result;
	long		seconds;

	if (size < sizeof(distance) || size - sizeof(distance) >= MAX_VALUE)
		return 0;
	memcpy(&distance, data, sizeof(distance));
	memcpy(value, data + sizeof(distance), size - sizeof(distance));
	value[size - sizeof(distance)] = '\0';

	result = webhook_http_retry_after(value, NOW);
	FUZZ_CHECK(result >= -1);
	if (read_seconds(value, &seconds))
		FUZZ_CHECK(result == seconds);
	else
	{
		/* A date: the later it is now, the less is left, and in the end 0. */
		long		later = webhook_http_retry_after(value, NOW + 1000);

		FUZZ_CHECK((result == -1) == (later == -1));
		FUZZ_CHECK(result == -1 ||
				   later == (result > 1000 ? result - 1000 : 0));
		FUZZ_CHECK(result <= 0 ||
				   webhook_http_retry_after(value, INT64_MAX) == 0);
	}

	/* RFC 9110, section 5.6.7. */
	then = NOW + distance;
	gmtime_r(&then, &parts);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
	FUZZ_CHECK(webhook_http_retry_after(date, NOW) ==
			   (distance > 0 ? distance : 0));
	return 0;
}
