/*
 * loop.c
 *	  What the worker does, round by round.
 *
 * The order of work within a round:
 *
 *	1. take requests	flags in shared memory, timers
 *	2. reload			subscriptions that have changed
 *	3. load				due rows of pending; before 4, so that new events do not hold them up
 *	4. read				one step each of what waits and of the windows
 *	5. run commands		some pieces, each in a transaction of its own
 *	6. send				what may start, and harvest results
 *	7. write			a group of results, the checkpoint, states
 *	8. drain			answer webhook.drain()
 *
 * Sending and writing are done in pieces, and end early if somebody waits: turn.c.
 * No transaction is open between these steps. After an error in 2 to 5 they
 * pause for a moment; sending and writing go on.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/steady.h"
#include "ring/ring.h"
#include "worker/commands_internal.h"
#include "worker/loader_internal.h"
#include "worker/loop_internal.h"
#include "worker/origin_internal.h"
#include "worker/own_events_internal.h"
#include "worker/reader_internal.h"
#include "worker/reload_internal.h"
#include "worker/sender_internal.h"
#include "worker/set_back_internal.h"
#include "worker/transaction_internal.h"
#include "worker/turn_internal.h"
#include "worker/writer_internal.h"

#define POLL_INTERVAL USECS_PER_SEC /* between windows that nobody has asked for */
#define RETRY_INTERVAL (USECS_PER_SEC / 5)	/* after an error in reading */
#define SPILL_INTERVAL (USECS_PER_SEC / 2)	/* between looks for what has waited too long */
#define SCARCE_INTERVAL (USECS_PER_SEC / 20)	/* the same, while memory is scarce */
#define COMMAND_INTERVAL (USECS_PER_SEC / 50)	/* between pieces of commands */
#define RECHECKS 20				/* queues whose has_rows is rechecked a poll */

/* How far a request of webhook.drain() is. */
typedef enum DrainState
{
	DRAIN_IDLE,
	DRAIN_WINDOW,				/* a window has to be opened */
	DRAIN_FINISHING,			/* all that it and those before it hold has to end */
} DrainState;

static struct
{
	WebhookDispatcher *dispatcher;
	WebhookSlot *slot;
	volatile sig_atomic_t interruptible;	/* reading may be broken off */

	bool		wake;			/* a window is to be opened */
	bool		unsent;			/* more may be started than the last round has started */
	TimestampTz next_poll;
	TimestampTz next_spill;
	TimestampTz retry_at;		/* when to read again after an error; 0: there was none */

	DrainState	drain_state;
	uint64		drain_ticket;	/* the request that is being answered */
	uint64		drain_window;	/* the newest window that it waits for */
}			loop;

static void load_state(void *arg);
static void take_requests(TimestampTz now);
static void read_input(TimestampTz now);
static bool read_all(TimestampTz now);
static bool read_ring(TimestampTz now);
static bool wants_window(void);
static bool may_read(void);
static bool is_paused(TimestampTz now);
static void send_out(void);
static void write_out(void);
static void write_last(void);
static void follow_drain(void);
static void report(void);
static bool is_in_checkpoint(void);
static TimestampTz input_time(TimestampTz now);
static TimestampTz flush_time(TimestampTz now);

WebhookDispatcher *
webhook_loop_start(WebhookSlot *slot)
{
	memset(&loop, 0, sizeof(loop));
	loop.slot = slot;
	loop.dispatcher = webhook_dispatcher_new();
	webhook_turn_init(slot);
	webhook_sender_init(loop.dispatcher, &slot->counters);
	webhook_loader_init(loop.dispatcher);
	webhook_commands_init(loop.dispatcher);

	webhook_reader_init(loop.dispatcher, slot);

	if (!webhook_transaction_start(load_state, NULL))
		return NULL;
	if (!webhook_origin_has_fenced())
		webhook_queue_know_fences(loop.dispatcher);
	webhook_loop_refresh();
	loop.wake = true;
	return loop.dispatcher;
}

void
webhook_loop_run(void)
{
	TimestampTz now = GetCurrentTimestamp();

	webhook_turn_begin_round(now);
	webhook_steady_observe(now);
	take_requests(now);
	loop.interruptible = true;
	read_input(now);
	loop.interruptible = false;
	QueryCancelPending = false;
	webhook_turn_end_reading(loop.retry_at == 0 && may_read());
	send_out();
	write_out();
	follow_drain();
	report();
}

TimestampTz
webhook_loop_next_time(TimestampTz now)
{
	long		engine = webhook_sender_wait_ms();
	TimestampTz times[] = {
		loop.next_poll,
		input_time(now),
		flush_time(now),
		webhook_dispatch_usage(loop.dispatcher)->queued > 0 ? loop.next_spill : 0,
		webhook_dispatch_tick_time(loop.dispatcher),
		engine >= 0 ? now + engine * INT64CONST(1000) : 0,
		loop.unsent ? now : 0,
	};
	TimestampTz next = loop.next_poll;

	for (int i = 0; i < lengthof(times); i++)
	{
		if (times[i] != 0)
			next = Min(next, times[i]);
	}
	return next;
}

void
webhook_loop_refresh(void)
{
	webhook_dispatch_refresh(loop.dispatcher, webhook_enabled, GetCurrentTimestamp());
}

bool
webhook_loop_finish(TimestampTz deadline)
{
	const WebhookUsage *usage = webhook_dispatch_usage(loop.dispatcher);
	TimestampTz now = GetCurrentTimestamp();

	(void) webhook_sender_run();
	if (now < deadline && usage->in_flight + usage->unflushed > 0)
	{
		webhook_writer_flush(now, usage->in_flight == 0);
		return true;
	}
	webhook_sender_break_off();
	write_last();
	webhook_writer_checkpoint(GetCurrentTimestamp(), true);
	while (webhook_writer_states(GetCurrentTimestamp(), true))
		;
	return false;
}

bool
webhook_loop_is_interruptible(void)
{
	return loop.interruptible;
}

/* Write all that has ended, unless writing fails. */
static void
write_last(void)
{
	const WebhookUsage *usage = webhook_dispatch_usage(loop.dispatcher);
	int			before;

	do
	{
		before = usage->unflushed;
		webhook_writer_flush(GetCurrentTimestamp(), true);
	} while (usage->unflushed > 0 && usage->unflushed < before);
}

/*
 * Read where the former process stopped, and write the first checkpoint of this one. This may be
 * done several times: all memory that it needs for good was made before, or replaces what it made.
 */
static void
load_state(void *arg)
{
	const WebhookCheckpoint *checkpoint = webhook_origin_checkpoint();

	webhook_steady_start(checkpoint == NULL ? 0 : checkpoint->saved_at, GetCurrentTimestamp());
	webhook_ring_raise_ids(checkpoint == NULL ? 0 : checkpoint->last_id);
	webhook_reader_load(checkpoint);
	webhook_writer_init(loop.dispatcher, webhook_reader_progress(), loop.slot);
}

/* What other sessions, and time, ask for. */
static void
take_requests(TimestampTz now)
{
	if (pg_atomic_exchange_u32(&loop.slot->wake, 0) != 0)
		loop.wake = true;
	if (now >= loop.next_poll || loop.next_poll - now > POLL_INTERVAL)
	{
		loop.next_poll = now + POLL_INTERVAL;
		loop.wake = true;
		webhook_loader_recheck(RECHECKS);
	}
	webhook_dispatch_tick(loop.dispatcher, now);
	if (now >= loop.next_spill || loop.next_spill - now > SPILL_INTERVAL)
	{
		bool		scarce = webhook_budget_is_scarce(loop.dispatcher);

		loop.next_spill = now + (scarce ? SCARCE_INTERVAL : SPILL_INTERVAL);
		if (!webhook_writer_is_blocked())
			webhook_dispatch_spill(loop.dispatcher, now);
	}
	if (loop.drain_state == DRAIN_IDLE)
	{
		loop.drain_ticket = pg_atomic_read_u64(&loop.slot->drain_wanted);
		if (loop.drain_ticket > pg_atomic_read_u64(&loop.slot->drain_done))
			loop.drain_state = DRAIN_WINDOW;
	}
}

/* The pause after an error counts from its end: a lock may have been waited for. */
static void
read_input(TimestampTz now)
{
	if (is_paused(now))
		return;
	loop.retry_at = read_all(now) ? 0 : GetCurrentTimestamp() + RETRY_INTERVAL;
}

/* Returns false after an error. */
static bool
read_all(TimestampTz now)
{
	bool		read = !webhook_reload_is_wanted() || webhook_reader_reload(now);

	webhook_commands_cancel_backlogs();
	if (!read || !webhook_loader_load(webhook_sender_memory(), now))
		return false;
	if (may_read() && !read_ring(now))
		return false;
	return webhook_commands_run(now);
}

static bool
read_ring(TimestampTz now)
{
	uint64		windows = webhook_reader_windows();

	if (!webhook_reader_read(wants_window(), now))
		return false;
	if (webhook_reader_windows() != windows)
	{
		loop.wake = false;
		if (loop.drain_state == DRAIN_WINDOW)
		{
			loop.drain_window = webhook_progress_newest_window(webhook_reader_progress());
			loop.drain_state = DRAIN_FINISHING;
		}
	}
	return true;
}

static bool
wants_window(void)
{
	return loop.wake || loop.drain_state == DRAIN_WINDOW;
}

/* What is read can be kept in memory until it is written. */
static bool
may_read(void)
{
	return webhook_budget_read(loop.dispatcher, webhook_writer_is_blocked());
}

/* Reading pauses after an error; a clock that was set back does not prolong that. */
static bool
is_paused(TimestampTz now)
{
	return loop.retry_at != 0 && now < loop.retry_at && loop.retry_at - now <= RETRY_INTERVAL;
}

/*
 * Results make room for further requests. Those are sent before results are
 * written, so that receivers have something to do meanwhile.
 */
static void
send_out(void)
{
	bool		blocked = webhook_writer_is_blocked();

	webhook_turn_begin(WEBHOOK_PART_SEND);
	do
	{
		bool		started = !blocked && webhook_sender_start();
		bool		ended = webhook_sender_run();

		loop.unsent = started || (ended && !blocked);
	} while (loop.unsent && !webhook_turn_is_over());
	if (!loop.unsent)
		webhook_turn_end(WEBHOOK_PART_SEND);
}

static void
write_out(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (webhook_turn_comes(WEBHOOK_PART_FLUSH))
		webhook_writer_flush(now, webhook_dispatch_usage(loop.dispatcher)->in_flight == 0);
	if (!webhook_turn_comes(WEBHOOK_PART_STATES))
		return;
	webhook_writer_checkpoint(now, false);
	webhook_writer_states(now, false);
	webhook_own_events_publish_failures(now);
}

/*
 * A drain is over once all that was committed before it is flushed or not due.
 * Due is what is due now: the last flush has made rows due that wait for others.
 */
static void
follow_drain(void)
{
	WebhookProgress *progress = webhook_reader_progress();

	if (loop.drain_state == DRAIN_FINISHING &&
		webhook_progress_is_done(progress, loop.drain_window) &&
		!webhook_commands_are_running() && !webhook_set_back_is_under_way() &&
		!webhook_due_any(loop.dispatcher, GetCurrentTimestamp()))
	{
		/* Whoever has waited looks at stat_subscription next. */
		while (webhook_writer_states(GetCurrentTimestamp(), true))
			;
		pg_atomic_write_u64(&loop.slot->drain_done, loop.drain_ticket);
		loop.drain_state = DRAIN_IDLE;
	}
}

/* The present values of stat_worker and metrics. */
static void
report(void)
{
	const WebhookUsage *usage = webhook_dispatch_usage(loop.dispatcher);
	WebhookCounters *counters = &loop.slot->counters;
	WebhookMetrics *metrics = &loop.slot->metrics;

	pg_atomic_write_u64(&counters->in_flight, usage->in_flight);
	pg_atomic_write_u64(&counters->queued, usage->queued);
	pg_atomic_write_u64(&counters->unflushed, usage->unflushed);
	pg_atomic_write_u64(&counters->blocked, webhook_writer_is_blocked());
	pg_atomic_write_u64(&counters->memory, usage->memory + webhook_sender_memory());
	pg_atomic_write_u64(&metrics->unread, webhook_reader_unread());
	if (is_in_checkpoint())
		pg_atomic_write_u64(&metrics->checkpoint_at, GetCurrentTimestamp());
}

/*
 * Returns true if the checkpoint has all that is done, and it is known what is to be
 * done: reading and writing work.
 */
static bool
is_in_checkpoint(void)
{
	return !webhook_progress_is_unsaved(webhook_reader_progress()) && loop.retry_at == 0 &&
		!webhook_writer_is_blocked();
}

/* When read_input() has something to do; 0: nobody knows. */
static TimestampTz
input_time(TimestampTz now)
{
	TimestampTz due = webhook_due_time(loop.dispatcher);
	TimestampTz commands = webhook_commands_time(now);
	TimestampTz read = may_read() ? webhook_reader_time(wants_window(), now) : 0;

	if (loop.retry_at != 0)
		return loop.retry_at;
	if ((read != 0 && read <= now) || webhook_set_back_is_under_way())
		return now;
	if (due != 0 && due <= now)
		due = webhook_budget_load(loop.dispatcher, webhook_sender_memory()) > 0 ? now : 0;
	if (commands != 0)
	{
		commands = Max(commands, now + COMMAND_INTERVAL);
		due = due == 0 ? commands : Min(due, commands);
	}
	return due == 0 || (read != 0 && read < due) ? read : due;
}

/* When write_out() has something to do; 0: never. */
static TimestampTz
flush_time(TimestampTz now)
{
	TimestampTz flush = webhook_writer_next_time();

	if (flush == 0 && webhook_dispatch_usage(loop.dispatcher)->unflushed > 0)
		return now + 1000;
	return flush;
}
