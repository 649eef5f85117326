/*
 * surplus.c
 *	  Commands of which there are too many at once wait in a tail of their own.
 *
 * A transaction may cancel a million deliveries, and a command takes memory until it is
 * complete. So of each subscription a few are taken at once, and the others, as keys in
 * a file, wait for them in the order in which they were read. Nobody else waits: what
 * commands mean is in their rows, so events of the subscription, too, may come before
 * those that were read earlier.
 *
 * A command that comes behind deliveries waits in their tail first (behind.c), and goes
 * here from there.
 */
#include "postgres.h"

#include "worker/commands_internal.h"
#include "worker/surplus_internal.h"

static struct
{
	WebhookTail *tail;
}			surplus;

void
webhook_surplus_init(void)
{
	surplus.tail = webhook_tail_new();
}

bool
webhook_surplus_takes(const WebhookEvent *row, int64 subscription_id)
{
	switch (row->kind)
	{
		case WEBHOOK_CANCEL:
		case WEBHOOK_SKIP:
		case WEBHOOK_RETRY:
			return webhook_tail_has(surplus.tail, subscription_id) ||
				!webhook_commands_have_room(subscription_id);
		default:
			return false;
	}
}

void
webhook_surplus_add(const WebhookEvent *row, int64 subscription_id, WebhookBatch *batch)
{
	webhook_tail_add(surplus.tail, row, subscription_id, batch);
}

void
webhook_surplus_keep(WebhookBatch *batch, TimestampTz now)
{
	webhook_tail_keep(surplus.tail, batch, now);
}

bool
webhook_surplus_drop(void)
{
	return webhook_tail_drop(surplus.tail);
}

WebhookTail *
webhook_surplus_tail(void)
{
	return surplus.tail;
}

int
webhook_surplus_offerable(int limit)
{
	const WebhookTailEntry *entry;
	int			count = 0;

	while (count < limit && (entry = webhook_tail_entry(surplus.tail, count)) != NULL &&
		   webhook_commands_have_room(entry->subscription_id))
		count++;
	return count;
}

/* The first entry is not known before the file is read. */
bool
webhook_surplus_has_room(void)
{
	const WebhookTailEntry *first = webhook_tail_first(surplus.tail);

	return !webhook_tail_is_empty(surplus.tail) &&
		(first == NULL || webhook_commands_have_room(first->subscription_id));
}

bool
webhook_surplus_is_due(void)
{
	return !webhook_commands_are_running() && webhook_surplus_has_room();
}
