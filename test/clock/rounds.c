/*
 * rounds.c
 *	  Drives the worker's loop on a fake clock, which moves only where the worker
 *	  would wait.
 *
 * A round takes no time, unless the work in it is given a cost. A loop that has nothing to
 * wait for and makes no progress either would burn a processor, so a loop that spins is an
 * error.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "worker/commands_internal.h"
#include "worker/loop_internal.h"
#include "worker/reader_internal.h"

#define MAX_ROUNDS 10000		/* in no time */

/* Days from PostgreSQL's epoch to 2026-01-01. */
#define BEGIN (INT64CONST(9497) * USECS_PER_DAY)

int64		webhook_clock_steady;
int64		webhook_clock_shift;
int64		webhook_clock_cost;
WebhookDispatcher *webhook_clock_dispatcher;

static bool is_idle(void);

TimestampTz
webhook_clock_begin(void)
{
	return BEGIN;
}

TimestampTz
webhook_clock_now(void)
{
	return BEGIN + webhook_clock_steady + webhook_clock_shift;
}

uint32
webhook_clock_chance(uint32 limit)
{
	static uint64 state = UINT64CONST(0x9e3779b97f4a7c15);

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32) (state >> 32) % limit;
}

void
webhook_clock_work(int count)
{
	webhook_clock_steady += webhook_clock_cost * count;
	if (webhook_clock_cost > 0 && webhook_clock_commit_due())
		pg_atomic_write_u32(&webhook_clock_slot.wake, 1);
}

void
webhook_clock_run(int64 until)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	int			rounds = 0;

	webhook_clock_start();
	for (;;)
	{
		int64		before = webhook_clock_steady;
		TimestampTz now;
		int64		next;
		int64		other;

		CHECK_FOR_INTERRUPTS();
		if (webhook_clock_commit_due())
			pg_atomic_write_u32(&webhook_clock_slot.wake, 1);
		webhook_loop_run();
		now = webhook_clock_now();
		next = webhook_clock_steady + Max(webhook_loop_next_time(now) - now, 0);
		other = webhook_clock_next_answer();
		if (other >= 0)
			next = Min(next, other);
		other = webhook_clock_next_commit();
		if (other >= 0)
			next = Min(next, other);
		if (next > before)
			rounds = 0;
		else if (++rounds > MAX_ROUNDS)
			elog(ERROR, "the loop spins");
		if (next > until)
			break;
		webhook_clock_steady = Max(next, webhook_clock_steady);
	}
	webhook_clock_steady = until;
	MemoryContextSwitchTo(old);
}

void
webhook_clock_settle(int64 until)
{
	while (webhook_clock_steady < until)
	{
		webhook_clock_run(Min(until, webhook_clock_steady + USECS_PER_SEC));
		if (is_idle())
			break;
	}
}

void
webhook_clock_reconfigured(void)
{
	webhook_clock_start();
	webhook_loop_refresh();
}

void
webhook_clock_start(void)
{
	if (webhook_clock_dispatcher == NULL)
		webhook_clock_dispatcher = webhook_loop_start(&webhook_clock_slot);
}

void
webhook_clock_crash(void)
{
	webhook_clock_forget_transfers();
	webhook_clock_dispatcher = NULL;
	webhook_clock_start();
}

static bool
is_idle(void)
{
	const WebhookUsage *usage = webhook_dispatch_usage(webhook_clock_dispatcher);

	return usage->queued + usage->in_flight + usage->unflushed == 0 &&
		webhook_clock_pending.count == 0 && webhook_clock_next_commit() < 0 &&
		webhook_reader_time(false, webhook_clock_now()) == 0 && !webhook_commands_are_running();
}
