/*
 * times.h
 *	  Milliseconds of a clock that is never set back, and durations with a unit.
 */
#ifndef PORTAL_TIMES_H
#define PORTAL_TIMES_H

#include <stdbool.h>
#include <stdint.h>

/* Later than any time. */
#define PORTAL_NEVER	INT64_MAX

extern int64_t portal_now(void);

/* Read "90s", "30min" or "12h" into milliseconds; between 1 s and 366 days. */
extern bool portal_duration_read(const char *text, int64_t *milliseconds);

#endif							/* PORTAL_TIMES_H */
