/*
 * log_partition_internal.h
 *	  The leaves of webhook.log, one a day (UTC). They are made when first
 *	  needed and dropped by retention. All functions need a transaction.
 */
#ifndef WEBHOOK_LOG_PARTITION_INTERNAL_H
#define WEBHOOK_LOG_PARTITION_INTERNAL_H

#include "nodes/pg_list.h"

#include "datatype/timestamp.h"

/*
 * The leaf for a time, locked for writing until the end of the transaction. A
 * leaf that is missing is made, indexed and attached, with the owner of
 * webhook.log; missing indexes are made unless the leaf is large. Raises an
 * error unless the first columns of the leaf are those of webhook.log.
 */
extern Oid	webhook_log_partition_for(TimestampTz instant);

/* The index of a leaf on (event_id, subscription_id), made if it is missing. */
extern Oid	webhook_log_partition_index(Oid leaf);

/* The index of a leaf on subject; InvalidOid: it is missing. */
extern Oid	webhook_log_partition_subject_index(Oid leaf);

/* The leaves that may hold rows logged at or after a time: a List of Oid. */
extern List *webhook_log_partition_since(TimestampTz instant);

/*
 * The newest logged_at in the last pages of the newest leaf that has rows; 0:
 * the log is empty.
 */
extern TimestampTz webhook_log_partition_newest(void);

#endif							/* WEBHOOK_LOG_PARTITION_INTERNAL_H */
