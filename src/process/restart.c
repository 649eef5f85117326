/*
 * restart.c
 *	  When a process that has failed is started again.
 *
 * The wait doubles with each failure, until a process has run ten times as long
 * as its predecessor's failure was waited for. It is counted for the launcher and
 * for each worker alone: a worker that fails must not keep the others waiting.
 *
 * A process that crashes takes the whole server down: the postmaster ends all
 * other processes by SIGQUIT and makes shared memory anew (shmem.c carries what
 * is here over). So a process notes that it was told to quit. One that has left
 * no such note is the one that has crashed; a worker that has not attached to its
 * slot yet could not leave one, and does not count. The note is an atomic that the
 * process alone writes while it runs; who starts it, and who frees its slot, clears
 * it. The handler does nothing else but exit.
 */
#include "postgres.h"

#include "postmaster/interrupt.h"
#include "utils/timestamp.h"

#include "process/restart_internal.h"

/* The first wait, and the longest, in milliseconds. */
#define MIN_WAIT_MS		1000
#define MAX_WAIT_MS		60000

/* A run that is so many times as long as the last wait, or as the first one, ends the series. */
#define GOOD_RUN		10

static struct
{
	WebhookRestart *mine;		/* of this process; NULL: not known yet */
}			quit;

static void handle_quit(SIGNAL_ARGS);

void
webhook_restart_begin(WebhookRestart *restart, TimestampTz now)
{
	restart->began = now;
	pg_atomic_write_u32(&restart->told_to_quit, 0);
}

void
webhook_restart_failed(WebhookRestart *restart, TimestampTz now)
{
	int64		run = now - restart->began;
	int64		good = Max(restart->wait_ms, MIN_WAIT_MS) * INT64CONST(1000) * GOOD_RUN;

	/* A clock that was set back says nothing about the run. */
	if (restart->wait_ms == 0 || run >= good)
		restart->wait_ms = MIN_WAIT_MS;
	else
		restart->wait_ms = Min(restart->wait_ms * 2, MAX_WAIT_MS);
	restart->not_before = now + restart->wait_ms * INT64CONST(1000);
}

TimestampTz
webhook_restart_time(const WebhookRestart *restart, TimestampTz now)
{
	TimestampTz time = restart->not_before;

	return time <= now || time - now > MAX_WAIT_MS * INT64CONST(1000) ? now : time;
}

bool
webhook_restart_was_told_to_quit(WebhookRestart *restart)
{
	return pg_atomic_read_u32(&restart->told_to_quit) != 0;
}

void
webhook_restart_watch_quit(WebhookRestart *restart)
{
	quit.mine = restart;
	pqsignal(SIGQUIT, handle_quit);
}

static void
handle_quit(SIGNAL_ARGS)
{
	pg_atomic_write_u32(&quit.mine->told_to_quit, 1);
	SignalHandlerForCrashExit(postgres_signal_arg);
}
