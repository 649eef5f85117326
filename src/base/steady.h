/*
 * steady.h
 *	  A time that does not follow a jump of the clock at once.
 */
#ifndef WEBHOOK_STEADY_H
#define WEBHOOK_STEADY_H

#include "datatype/timestamp.h"

/*
 * Begin to watch the clock. "last" is a time at which it was right; 0: none is
 * known. If that is more than a day ago, nobody knows whether the clock has
 * jumped or the process was away.
 */
extern void webhook_steady_start(TimestampTz last, TimestampTz now);

/* Look at the clock, often. A jump of more than a day is told in the server's log. */
extern void webhook_steady_observe(TimestampTz now);

/*
 * The time to judge by whether something is so old that it is dropped or ended.
 * It is "now", but for an hour after the clock has jumped ahead: then it goes on
 * from before the jump.
 */
extern TimestampTz webhook_steady_time(TimestampTz now);

#endif							/* WEBHOOK_STEADY_H */
