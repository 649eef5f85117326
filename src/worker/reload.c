/*
 * reload.c
 *	  Reads the subscriptions again: those that have changed, or all.
 *
 * Sessions tell which subscriptions their transactions have changed, and then that there
 * is something to read (process/changes.c). So a change of one subscription costs the
 * same however many there are, and nobody waits for it. All are read if nobody knows which
 * have changed, if one is fenced, and after an error.
 *
 * A command in the ring may be read before its session has said that there is something to
 * read. It is looked up by its transaction: what that has changed is read then, before any
 * event that follows.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "process/changes.h"
#include "worker/loader_internal.h"
#include "worker/reload_internal.h"
#include "worker/transaction_internal.h"

static struct
{
	WebhookDispatcher *dispatcher;
	WebhookSlot *slot;			/* what sessions have told */
	uint32		wanted;			/* what is to be read: bits WEBHOOK_CHANGED_... */
	uint64		place;			/* changes before it are read */
	WebhookSnapshot *read_by;	/* the snapshot that all were last read by; NULL: none */

	/* What was read last; it holds once that is committed. */
	bool		all;
	uint64		next_place;
	int			count;
	int64		ids[WEBHOOK_CHANGES];	/* unless "all" */
}			reload;

static void observe(void);
static bool read_changed(void);
static void read_all(const WebhookSnapshot *snapshot);
static void restore_fenced(void);

void
webhook_reload_init(WebhookDispatcher *dispatcher, WebhookSlot *slot)
{
	memset(&reload, 0, sizeof(reload));
	reload.dispatcher = dispatcher;
	reload.slot = slot;
}

void
webhook_reload_load(void)
{
	WebhookSnapshot *snapshot = webhook_transaction_snapshot();

	(void) webhook_changes_since(reload.slot, &reload.place, snapshot, reload.ids,
								 &reload.count);
	read_all(snapshot);

	/* An attempt before this one may have made queues. */
	webhook_dispatch_bind(reload.dispatcher);
}

bool
webhook_reload_is_wanted(void)
{
	observe();
	return reload.wanted != 0;
}

bool
webhook_reload_is_wanted_by(const List *rows)
{
	ListCell   *cell;

	observe();
	foreach(cell, rows)
	{
		const WebhookEvent *row = lfirst(cell);

		if ((row->kind != WEBHOOK_CHANGED && row->kind != WEBHOOK_END) ||
			(reload.read_by != NULL && webhook_snapshot_sees(reload.read_by, row->txid)))
			continue;
		switch (webhook_changes_find(reload.slot, reload.place, row->txid))
		{
			case WEBHOOK_CHANGE_UNKNOWN:
				reload.wanted |= WEBHOOK_CHANGED_ALL;
				break;
			case WEBHOOK_CHANGE_AFTER:
				reload.wanted |= WEBHOOK_CHANGED_SOME;
				break;
			case WEBHOOK_CHANGE_BEFORE:
				break;
		}
	}
	return reload.wanted != 0;
}

/* The snapshot is taken first: of what it sees, all was told. */
void
webhook_reload_read(void)
{
	WebhookSnapshot *snapshot = webhook_transaction_snapshot();
	bool		complete;

	reload.all = true;
	reload.next_place = reload.place;
	complete = webhook_changes_since(reload.slot, &reload.next_place, snapshot, reload.ids,
									 &reload.count);
	if ((reload.wanted & WEBHOOK_CHANGED_ALL) == 0 && complete && read_changed())
		reload.all = false;
	else
	{
		/* The state in the table may have been restored after this process had started. */
		if (webhook_subscription_any_fenced())
			restore_fenced();
		read_all(snapshot);
		webhook_dispatch_bind(reload.dispatcher);
		webhook_loader_note_rows();
	}
}

/* Also after an error: it may have come when others were in place already. */
void
webhook_reload_end(bool committed, TimestampTz now)
{
	if (committed)
	{
		reload.wanted = 0;
		reload.place = reload.next_place;
	}
	else
		reload.wanted |= WEBHOOK_CHANGED_ALL;
	if (committed && !reload.all)
		webhook_dispatch_refresh_some(reload.dispatcher, reload.ids, reload.count, now);
	else
		webhook_dispatch_refresh(reload.dispatcher, webhook_enabled, now);
}

static void
observe(void)
{
	reload.wanted |= pg_atomic_exchange_u32(&reload.slot->changed, 0);
}

/* Returns false, and has changed nothing, if all have to be read. */
static bool
read_changed(void)
{
	if (!webhook_subscription_reload_some(reload.ids, reload.count))
		return false;
	webhook_dispatch_bind_some(reload.dispatcher, reload.ids, reload.count);
	webhook_loader_note_rows_of(reload.ids, reload.count);
	return true;
}

/* The snapshot that all were read by is kept: a newer one sees at least as much. */
static void
read_all(const WebhookSnapshot *snapshot)
{
	WebhookSnapshot *former = reload.read_by;
	MemoryContext old;

	webhook_subscription_reload();
	old = MemoryContextSwitchTo(TopMemoryContext);
	reload.read_by = webhook_snapshot_copy(snapshot);
	MemoryContextSwitchTo(old);
	if (former != NULL)
		pfree(former);
}

/* This process writes no state of a fenced subscription. */
static void
restore_fenced(void)
{
	ListCell   *cell;

	foreach(cell, webhook_state_load())
	{
		WebhookState *state = lfirst(cell);
		const WebhookSubscription *subscription =
			webhook_subscription_get(state->subscription_id);

		if (subscription != NULL && subscription->fenced)
			webhook_queue_restore(reload.dispatcher, state, GetCurrentTimestamp());
	}
}
