/*
 * unix_time.h
 *	  TimestampTz, microseconds since 2000, and Unix time in microseconds, since 1970.
 */
#ifndef WEBHOOK_UNIX_TIME_H
#define WEBHOOK_UNIX_TIME_H

#include "datatype/timestamp.h"

#define WEBHOOK_UNIX_TO_POSTGRES_EPOCH \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

static inline int64
webhook_unix_from_timestamp(TimestampTz timestamp)
{
	return timestamp + WEBHOOK_UNIX_TO_POSTGRES_EPOCH;
}

static inline TimestampTz
webhook_timestamp_from_unix(int64 unix_us)
{
	return unix_us - WEBHOOK_UNIX_TO_POSTGRES_EPOCH;
}

#endif							/* WEBHOOK_UNIX_TIME_H */
