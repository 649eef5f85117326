/*
 * pending_floor.c
 *	  For each subscription, a time before which it has no head in
 *	  webhook_internal.pending.
 *
 * Heads are deleted at the left edge of their index, and dead entries stay
 * there for as long as an old snapshot keeps them. A scan that walked over them
 * each time would cost the square of the number of heads, so the process
 * remembers where the last scan found the first head: the floor.
 *
 * A floor is only a hint. An abort invalidates all floors, because rows may
 * have come back. A floor is also ignored after a minute, so that rows are found
 * that somebody inserted by hand. A restart begins without floors.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "store/pending_floor_internal.h"

#define FLOOR_MILLISECONDS	(60 * 1000)

/* A floor of one subscription. */
typedef struct Floor
{
	int64		subscription_id;	/* hash key */
	TimestampTz next_at;		/* no head is due before this time */
	TimestampTz full_scan;		/* time of the last scan that started at the first head */
	uint64		aborts;			/* value of floors.aborts at that time */
} Floor;

static struct
{
	HTAB	   *by_subscription;	/* of Floor; NULL before the first use */
	uint64		aborts;			/* number of transactions and savepoints rolled back */
}			floors;

static void init(void);
static void count_abort(XactEvent event, void *arg);
static void count_subabort(SubXactEvent event, SubTransactionId mySubid,
						   SubTransactionId parentSubid, void *arg);

TimestampTz
webhook_pending_floor_get(int64 subscription_id)
{
	TimestampTz now = GetCurrentTimestamp();
	Floor	   *floor;
	bool		found;

	if (floors.by_subscription == NULL)
		init();
	floor = hash_search(floors.by_subscription, &subscription_id, HASH_ENTER, &found);
	if (!found || floor->aborts != floors.aborts || now < floor->full_scan ||
		TimestampDifferenceExceeds(floor->full_scan, now, FLOOR_MILLISECONDS))
	{
		floor->next_at = DT_NOBEGIN;
		floor->full_scan = now;
		floor->aborts = floors.aborts;
	}
	return floor->next_at;
}

void
webhook_pending_floor_set(int64 subscription_id, TimestampTz next_at)
{
	Floor	   *floor = hash_search(floors.by_subscription, &subscription_id, HASH_FIND, NULL);

	floor->next_at = next_at != 0 ? next_at : DT_NOEND;
}

void
webhook_pending_floor_lower(int64 subscription_id, TimestampTz next_at)
{
	Floor	   *floor = NULL;

	if (floors.by_subscription != NULL && next_at != 0)
		floor = hash_search(floors.by_subscription, &subscription_id, HASH_FIND, NULL);
	if (floor != NULL && next_at < floor->next_at)
		floor->next_at = next_at;
}

void
webhook_pending_floor_forget(int64 subscription_id)
{
	if (floors.by_subscription != NULL)
		hash_search(floors.by_subscription, &subscription_id, HASH_REMOVE, NULL);
}

static void
init(void)
{
	HASHCTL		control;

	control.keysize = sizeof(int64);
	control.entrysize = sizeof(Floor);
	floors.by_subscription = hash_create("webhook pending floors", 64, &control, HASH_ELEM | HASH_BLOBS);
	RegisterXactCallback(count_abort, NULL);
	RegisterSubXactCallback(count_subabort, NULL);
}

static void
count_abort(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		floors.aborts++;
}

static void
count_subabort(SubXactEvent event, SubTransactionId mySubid,
			   SubTransactionId parentSubid, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		floors.aborts++;
}
