/*
 * pending_floor_internal.h
 *	  For each subscription, a time before which it has no head in
 *	  webhook_internal.pending: where a scan of its heads may start.
 */
#ifndef WEBHOOK_PENDING_FLOOR_INTERNAL_H
#define WEBHOOK_PENDING_FLOOR_INTERNAL_H

#include "datatype/timestamp.h"

/*
 * The next_at from which a scan of a subscription's heads has to start;
 * DT_NOBEGIN: from the first one. The scan is to be followed by
 * webhook_pending_floor_set() with what it found.
 */
extern TimestampTz webhook_pending_floor_get(int64 subscription_id);

/* No head of the subscription is due before "next_at"; 0: it has no head. */
extern void webhook_pending_floor_set(int64 subscription_id, TimestampTz next_at);

/* A row of the subscription is written with "next_at"; 0: it is no head. */
extern void webhook_pending_floor_lower(int64 subscription_id, TimestampTz next_at);

/* The subscription is gone. */
extern void webhook_pending_floor_forget(int64 subscription_id);

#endif							/* WEBHOOK_PENDING_FLOOR_INTERNAL_H */
