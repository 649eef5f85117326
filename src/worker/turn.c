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
 * What a part has left undone because somebody waited is made up for: each round that is
 * broken off owes each part as long as its reading took, at most SHARE, and a part that is
 * owed DEBT goes on until it has had all of that, whoever waits. So a worker that is woken
 * all the time does not fall behind with the rest, and one that is woken now and then
 * reads at once. A round that reads much, deliveries to a thousand subscriptions for
 * example, owes no more than others: once memory is full nothing is read, and nobody waits.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "worker/turn_internal.h"

#define LONGEST_TURN 5000		/* microseconds after which a part ends anyway: others wait */
#define SHARE 500				/* microseconds that a part is owed for a round, at most */
#define DEBT 2000				/* microseconds after which a part is paid what it is owed */

static struct
{
	WebhookSlot *slot;
	bool		may_read;		/* reading is possible: nobody waits in vain */
	TimestampTz reading_at;		/* when the round's reading began */
	WebhookPart part;			/* the present one */
	TimestampTz part_at;		/* when it began */
	int64		owed[WEBHOOK_PARTS];	/* microseconds */
}			turn;

static bool somebody_waits(void);

void
webhook_turn_init(WebhookSlot *slot)
{
	memset(&turn, 0, sizeof(turn));
	turn.slot = slot;
}

void
webhook_turn_begin_round(TimestampTz now)
{
	turn.reading_at = now;
}

/* If the clock was set back, nobody knows how long it took. */
void
webhook_turn_end_reading(bool may_read)
{
	int64		taken = GetCurrentTimestamp() - turn.reading_at;

	turn.may_read = may_read;
	for (int i = 0; i < WEBHOOK_PARTS; i++)
		turn.owed[i] = Min(turn.owed[i] + Min(Max(taken, 0), SHARE), LONGEST_TURN);
}

bool
webhook_turn_comes(WebhookPart part)
{
	return !somebody_waits() || turn.owed[part] >= DEBT;
}

void
webhook_turn_begin(WebhookPart part)
{
	turn.part = part;
	turn.part_at = GetCurrentTimestamp();
}

bool
webhook_turn_is_over(void)
{
	int64	   *owed = &turn.owed[turn.part];
	int64		taken = GetCurrentTimestamp() - turn.part_at;

	if (taken >= 0 && taken < LONGEST_TURN &&
		(!somebody_waits() || (*owed >= DEBT && taken < *owed)))
		return false;
	*owed = taken < 0 ? 0 : Max(*owed - taken, 0);
	return true;
}

void
webhook_turn_end(WebhookPart part)
{
	turn.owed[part] = 0;
}

static bool
somebody_waits(void)
{
	return turn.may_read && pg_atomic_read_u32(&turn.slot->wake) != 0;
}
