/*
 * large.c
 *	  Transactions that have appended many events.
 *
 * The worker has to know which event types the unread rest of a window has. A
 * look at each row of a transaction of a million events would keep everybody
 * waiting meanwhile, so the writer tells: before its thousandth event is
 * appended, and before each event of another type after that, it writes its
 * transaction and the types so far into the slot of its database.
 *
 * What is told may be too much (a savepoint was rolled back), never too little.
 * A transaction of very many types is not told, and the latest ones replace the
 * oldest: those are read.
 */
#include "postgres.h"

#include "access/transam.h"
#include "storage/lwlock.h"

#include "ring/command.h"
#include "ring/large_internal.h"

/* Events of a transaction that is large. */
#define LARGE_EVENTS 1000

StaticAssertDecl(WEBHOOK_LARGE_TYPE_SIZE == WEBHOOK_MAX_EVENT_TYPE + 1,
				 "the name of an event type fits");

static struct
{
	WebhookLargeTransaction present;	/* the last transaction of this session that appended */
	bool		too_many;		/* it has more types than can be told */
	int64		events;			/* that it has appended */
}			large;

static bool note_type(const WebhookEvent *event);
static bool add_type(const char *event_type);
static void tell(void);

void
webhook_large_note(const WebhookEvent *event)
{
	bool		is_new;

	if (!FullTransactionIdEquals(large.present.txid, event->txid))
	{
		memset(&large, 0, sizeof(large));
		large.present.txid = event->txid;
	}
	large.events++;
	is_new = note_type(event);
	if (large.events == LARGE_EVENTS || (is_new && large.events > LARGE_EVENTS))
		tell();
}

int
webhook_large_copy(WebhookLargeTransaction *copies)
{
	WebhookSlot *slot = webhook_shmem_my_slot();
	int			count = 0;

	if (slot == NULL)
		return 0;
	LWLockAcquire(&slot->large_lock, LW_SHARED);
	for (int i = 0; i < WEBHOOK_LARGE_TRANSACTIONS; i++)
	{
		if (FullTransactionIdIsValid(slot->large[i].txid))
			copies[count++] = slot->large[i];
	}
	LWLockRelease(&slot->large_lock);
	return count;
}

/* Returns true if the present transaction had no event of that type, or no such replay, yet. */
static bool
note_type(const WebhookEvent *event)
{
	char		mark[WEBHOOK_REPLAY_MARK_SIZE];

	if (event->kind == WEBHOOK_REPLAY)
		return webhook_replay_mark(event->data, mark) && add_type(mark);
	return webhook_kind_is_event(event->kind) && add_type(event->event_type);
}

static bool
add_type(const char *event_type)
{
	WebhookLargeTransaction *present = &large.present;

	if (large.too_many)
		return false;
	for (int i = 0; i < present->ntypes; i++)
	{
		if (strcmp(present->types[i], event_type) == 0)
			return false;
	}
	if (present->ntypes == WEBHOOK_LARGE_TYPES || strlen(event_type) > WEBHOOK_MAX_EVENT_TYPE)
		large.too_many = true;
	else
		strcpy(present->types[present->ntypes++], event_type);
	return true;
}

/* Write the present transaction into the slot, or remove it from there. */
static void
tell(void)
{
	WebhookSlot *slot = webhook_shmem_my_slot();
	WebhookLargeTransaction *entry = NULL;

	if (slot == NULL)
		return;
	LWLockAcquire(&slot->large_lock, LW_EXCLUSIVE);
	for (int i = 0; i < WEBHOOK_LARGE_TRANSACTIONS; i++)
	{
		if (FullTransactionIdEquals(slot->large[i].txid, large.present.txid))
			entry = &slot->large[i];
	}
	if (large.too_many)
	{
		if (entry != NULL)
			entry->txid = InvalidFullTransactionId;
	}
	else
	{
		if (entry == NULL)
			entry = &slot->large[slot->next_large++ % WEBHOOK_LARGE_TRANSACTIONS];
		*entry = large.present;
	}
	LWLockRelease(&slot->large_lock);
}
