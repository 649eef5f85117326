/*
 * times.c
 *	  Milliseconds of a clock that is never set back, and durations with a unit.
 */
#include "portal/times.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t
portal_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool
portal_duration_read(const char *text, int64_t *milliseconds)
{
	static const struct
	{
		const char *name;
		int64_t		seconds;
	}			units[] = {{"s", 1}, {"min", 60}, {"h", 60 * 60}, {"d", 24 * 60 * 60}};
	size_t		digits = strspn(text, "0123456789");

	if (digits < 1 || digits > 8)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
	{
		int64_t		seconds = strtol(text, NULL, 10) * units[i].seconds;

		if (strcmp(text + digits, units[i].name) != 0)
			continue;
		*milliseconds = seconds * 1000;
		return seconds >= 1 && seconds <= 366 * 24 * 60 * 60;
	}
	return false;
}
