/*
 * change.c
 *	  The worker's loop on a fake clock, which moves only where the worker would
 *	  wait.
 *
 * It does what worker.c does, in the same order and with the same intervals,
 * less what needs a process: requests to drain, to leave, to look after the
 * tables. A change takes no time. What has nothing to wait for and makes no
 * progress either would burn a processor, so a loop that spins is an error.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "worker/commands.h"
#include "worker/loader.h"
#include "worker/reader.h"
#include "worker/sender.h"
#include "worker/writer.h"

#define POLL_INTERVAL USECS_PER_SEC
#define SPILL_INTERVAL (USECS_PER_SEC / 2)
#define SCARCE_INTERVAL (USECS_PER_SEC / 20)
#define BLOCKED_LIMIT 32
#define MOST_TURNS 10000		/* in no time */

/* Days from PostgreSQL's batch to 2026-01-01. */
#define BEGIN (INT64CONST(9497) * USECS_PER_DAY)

int64		webhook_clock_steady;
int64		webhook_clock_shift;

static bool wake;
static bool reload;
static TimestampTz next_poll;
static TimestampTz next_spill;

static void change(void);
static void take_requests(TimestampTz now);
static void read_input(TimestampTz now);
static bool may_read(TimestampTz now);
static TimestampTz next_time(TimestampTz now);
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
webhook_clock_run(int64 until)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	int			turns = 0;

	webhook_clock_start();
	for (;;)
	{
		TimestampTz now = webhook_clock_now();
		int64		next;
		int64		other;

		CHECK_FOR_INTERRUPTS();
		change();
		next = webhook_clock_steady + Max(next_time(now) - now, 0);
		other = webhook_clock_next_answer();
		if (other >= 0)
			next = Min(next, other);
		other = webhook_clock_next_commit();
		if (other >= 0)
			next = Min(next, other);
		if (next > webhook_clock_steady)
			turns = 0;
		else if (++turns > MOST_TURNS)
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
	webhook_dispatch_refresh(webhook_enabled, webhook_clock_now());
}

void
webhook_clock_start(void)
{
	static bool done = false;

	if (done)
		return;
	done = true;
	webhook_sender_init(&webhook_clock_slot.counters);
	webhook_dispatch_init();
	webhook_reader_init(NULL, &webhook_clock_slot.counters);
	webhook_writer_init(&webhook_clock_slot.counters);
	pg_atomic_write_u32(&webhook_clock_slot.changed, 0);
	webhook_dispatch_refresh(webhook_enabled, webhook_clock_now());
	wake = true;
}

static void
change(void)
{
	TimestampTz now = webhook_clock_now();
	bool		blocked;

	if (webhook_clock_commit_due())
		wake = true;
	take_requests(now);
	read_input(now);

	blocked = webhook_writer_is_blocked();
	if (!blocked)
		webhook_sender_start();
	webhook_sender_run();
	if (!blocked && webhook_sender_start())
	{
		webhook_sender_run();
		webhook_sender_start();
	}

	webhook_writer_flush(now, webhook_dispatch_usage()->in_flight == 0);
	webhook_writer_checkpoint(now, false);
	webhook_writer_states(now, false);
}

static void
take_requests(TimestampTz now)
{
	if (pg_atomic_exchange_u32(&webhook_clock_slot.changed, 0) != 0)
		reload = true;
	if (now >= next_poll || next_poll - now > POLL_INTERVAL)
	{
		next_poll = now + POLL_INTERVAL;
		wake = true;
		webhook_loader_recheck();
	}
	webhook_dispatch_tick(now);
	if (now >= next_spill || next_spill - now > SPILL_INTERVAL)
	{
		next_spill = now + (webhook_dispatch_has_room(webhook_sender_memory()) ?
							SPILL_INTERVAL : SCARCE_INTERVAL);
		if (!webhook_writer_is_blocked())
			webhook_dispatch_spill(now);
	}
}

/* Reading never fails here. */
static void
read_input(TimestampTz now)
{
	Size		elsewhere = webhook_sender_memory();

	if (reload)
	{
		webhook_reader_reload();
		reload = false;
		webhook_dispatch_refresh(webhook_enabled, now);
	}
	webhook_commands_cancel_backlogs(webhook_reader_last_id());
	webhook_loader_load(elsewhere, now);
	if (may_read(now))
	{
		bool		opens = !webhook_reader_is_reading();

		webhook_reader_read(true, elsewhere, now);
		if (opens)
			wake = false;
	}
	webhook_commands_run();
}

static bool
may_read(TimestampTz now)
{
	return (wake || webhook_reader_is_reading()) &&
		webhook_dispatch_has_room(webhook_sender_memory()) &&
		(!webhook_writer_is_blocked() ||
		 webhook_dispatch_usage()->queued + webhook_dispatch_usage()->unflushed < BLOCKED_LIMIT);
}

static TimestampTz
next_time(TimestampTz now)
{
	TimestampTz next = next_poll;
	TimestampTz due = webhook_due_time();
	TimestampTz tick = webhook_dispatch_tick_time();
	TimestampTz flush = webhook_writer_next_time();

	if (may_read(now))
		return now;
	if (webhook_commands_are_running())
		next = Min(next, now + USECS_PER_SEC / 50);
	if (due > now)
		next = Min(next, due);
	else if (due != 0 && webhook_dispatch_room_for_due(webhook_sender_memory()) > 0)
		return now;
	if (flush != 0)
		next = Min(next, flush);
	else if (webhook_dispatch_usage()->unflushed > 0)
		next = Min(next, now + 1000);
	if (webhook_dispatch_usage()->queued > 0)
		next = Min(next, next_spill);
	if (tick != 0)
		next = Min(next, tick);
	return next;
}

static bool
is_idle(void)
{
	const WebhookUsage *load = webhook_dispatch_usage();

	return load->queued + load->in_flight + load->unflushed == 0 &&
		webhook_clock_pending.count == 0 && webhook_clock_next_commit() < 0 &&
		!webhook_reader_is_reading() && !webhook_commands_are_running();
}
