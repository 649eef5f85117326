/*
 * steady.c
 *	  A time that does not follow a jump of the clock at once.
 *
 * A clock that is a year ahead by mistake must not drop the log or end what
 * waits. So a jump of more than a day is told, and counts only when it has lasted
 * an hour. Smaller ones, and those back, count at once: by a smaller one something
 * may be dropped or ended up to a day before its time.
 */
#include "postgres.h"

#include "portability/instr_time.h"

#include "base/steady.h"

#define JUMP USECS_PER_DAY
#define PATIENCE USECS_PER_HOUR

static struct
{
	TimestampTz now;			/* at the last look */
	int64		monotonic;		/* at the last look */
	int64		ahead;			/* by how much the clock has jumped; 0: it has not, or long ago */
	int64		since;			/* when it has; monotonic */
}			steady;

static int64 monotonic_time(void);
static void jump(int64 by, int64 monotonic);

void
webhook_steady_start(TimestampTz last, TimestampTz now)
{
	memset(&steady, 0, sizeof(steady));
	steady.now = now;
	steady.monotonic = monotonic_time();
	if (last != 0 && now - last > JUMP)
	{
		steady.ahead = now - last;
		steady.since = steady.monotonic;
	}
}

void
webhook_steady_observe(TimestampTz now)
{
	int64		monotonic = monotonic_time();
	int64		by = (now - steady.now) - (monotonic - steady.monotonic);

	if (steady.ahead != 0 && monotonic - steady.since >= PATIENCE)
		steady.ahead = 0;
	if (steady.now != 0 && (by > JUMP || by < -JUMP))
		jump(by, monotonic);
	steady.now = now;
	steady.monotonic = monotonic;
}

static void
jump(int64 by, int64 monotonic)
{
	int64		size = by < 0 ? -by : by;
	int			hours = (int) ((size + USECS_PER_HOUR / 2) / USECS_PER_HOUR);

	steady.ahead = Max(steady.ahead + by, 0);
	steady.since = monotonic;
	if (by > 0)
		ereport(WARNING,
				(errmsg("the clock has jumped ahead by %d hours", hours),
				 errdetail("For an hour, nothing is dropped or ended because of its age."),
				 errhint("If the clock is wrong, set it right within this hour.")));
	else
		ereport(WARNING,
				(errmsg("the clock was set back by %d hours", hours),
				 errdetail("Rows of \"webhook.log\" that were written before may bear a later time.")));
}

TimestampTz
webhook_steady_time(TimestampTz now)
{
	return now - steady.ahead;
}

/* A clock that nobody sets, in microseconds from any beginning. */
static int64
monotonic_time(void)
{
	instr_time	time;

	INSTR_TIME_SET_CURRENT(time);
	return INSTR_TIME_GET_MICROSEC(time);
}
