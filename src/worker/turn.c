/*
 * turn.c
 *	  How long the worker goes on with one thing while somebody waits for another.
 *
 * The worker is one thread: an event that commits while results are written, or while
 * requests are started, is read after that. Both may be much, of one tenant's dead
 * endpoints for example. So they are done in pieces, and after each of them the worker
 * looks whether anything has committed meanwhile. If so, it leaves the rest to the
 * next round, which reads the ring first.
 *
 * Each part of a round may take as long as the round's reading took, whoever waits. So
 * a worker that is woken all the time reads more at once, and does not fall behind
 * with the rest.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "worker/turn_internal.h"

/* After which a part ends anyway: others of the round wait, results among them. */
#define LONGEST_TURN 5000		/* microseconds */

static struct
{
	WebhookSlot *slot;
	TimestampTz round_at;		/* when the round began */
	TimestampTz part_at;		/* when the present part of it began */
	int64		reading;		/* microseconds that its reading took */
}			turn;

void
webhook_turn_init(WebhookSlot *slot)
{
	memset(&turn, 0, sizeof(turn));
	turn.slot = slot;
}

void
webhook_turn_begin_round(TimestampTz now)
{
	turn.round_at = now;
}

void
webhook_turn_end_reading(void)
{
	turn.reading = GetCurrentTimestamp() - turn.round_at;
}

void
webhook_turn_begin(void)
{
	turn.part_at = GetCurrentTimestamp();
}

/* If the clock was set back, nobody knows how long the part has taken: it ends. */
bool
webhook_turn_is_over(void)
{
	int64		taken = GetCurrentTimestamp() - turn.part_at;

	if (taken < 0 || taken >= LONGEST_TURN)
		return true;
	return taken >= turn.reading && pg_atomic_read_u32(&turn.slot->wake) != 0;
}
