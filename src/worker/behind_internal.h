/*
 * behind_internal.h
 *	  Subscriptions that are behind: what is read for them waits in a tail.
 */
#ifndef WEBHOOK_BEHIND_INTERNAL_H
#define WEBHOOK_BEHIND_INTERNAL_H

#include "delivery/delivery.h"
#include "ring/tail.h"
#include "ring/window.h"

/* Start without anything that waits; once a process. */
extern void webhook_behind_init(WebhookDispatcher *dispatcher);

/*
 * Say what is unread of a window that is read in parts, while newer ones are
 * read, too: "types" as of webhook_window_types(), of rows above "upto_id", if
 * they are "known": a window that has commands alone has none. "upto_id" -1: there
 * is no such window; its tail goes on with what waits of newer windows.
 */
extern void webhook_behind_set_older(const List *types, bool known, int64 upto_id);

/*
 * Returns true if what is read for a subscription has to wait: of the older
 * window, or of a newer one.
 */
extern bool webhook_behind_is(int64 subscription_id, bool older);

/*
 * Let a row that was read wait, in a transaction; webhook_behind_keep() has to
 * follow its commit, webhook_behind_drop() an error, as in tail.h; it returns
 * false if nothing may wait or be taken any more.
 */
extern void webhook_behind_add(const WebhookEvent *event, int64 subscription_id, bool older);
extern void webhook_behind_keep(WebhookBatch *batch, TimestampTz now);
extern bool webhook_behind_drop(void);

/* Returns true if somebody has room for what is unread: of the older window, or of new ones. */
extern bool webhook_behind_may_read_older(void);
extern bool webhook_behind_may_read_newer(void);

/* Returns true if nothing waits, and no older window is being read. */
extern bool webhook_behind_is_idle(void);

/*
 * What waits, in the order in which it is to be offered. The second function
 * returns how many entries may be offered now, at most "limit", in a
 * transaction.
 */
extern WebhookTail *webhook_behind_tail(void);
extern int	webhook_behind_offerable(int limit);

/*
 * When there is something to offer, or something has waited for so long that
 * webhook_behind_relieve() lets it go on to pending; 0: nothing waits.
 * "older_read_at": when the older window was read last, 0: there is none.
 */
extern TimestampTz webhook_behind_time(TimestampTz older_read_at, TimestampTz now);
extern void webhook_behind_relieve(TimestampTz older_read_at, TimestampTz now);

#endif							/* WEBHOOK_BEHIND_INTERNAL_H */
