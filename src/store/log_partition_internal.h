/*
 * log_partition_internal.h
 *	  The leaves of webhook.log, one a day (UTC): made when first needed,
 *	  dropped by retention. All need a transaction.
 */
#ifndef WEBHOOK_LOG_PARTITION_INTERNAL_H
#define WEBHOOK_LOG_PARTITION_INTERNAL_H

#include "nodes/pg_list.h"

#include "datatype/timestamp.h"

/*
 * The leaf for an instant, made, indexed and attached if need be, owned by the
 * owner of webhook.log; locked for writing until the end of the transaction. A
 * large one whose index somebody has dropped is left as it is.
 * Its first columns are those of webhook.log, or an error says what is wrong.
 */
extern Oid	webhook_log_partition_for(TimestampTz instant);

/* The (event_id, subscription_id) index of a leaf, made if it is gone. */
extern Oid	webhook_log_partition_index(Oid leaf);

/* Leaves that may hold rows logged at or after an instant: List of Oid. */
extern List *webhook_log_partition_since(TimestampTz instant);

/*
 * The newest logged_at, as the last pages of the newest leaf that has rows
 * tell; 0: there is none.
 */
extern TimestampTz webhook_log_partition_newest(void);

#endif							/* WEBHOOK_LOG_PARTITION_INTERNAL_H */
