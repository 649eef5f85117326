/*
 * txid_internal.h
 *	  What became of the transactions that have written to the ring.
 */
#ifndef WEBHOOK_TXID_INTERNAL_H
#define WEBHOOK_TXID_INTERNAL_H

#include "access/transam.h"

/* The column of the index (txid, id) of a ring table that has the transaction. */
#define WEBHOOK_ENTRY_TXID 1
#define WEBHOOK_ENTRY_ID 2

/* Returns false if a transaction is running, or was rolled back, or has crashed. */
extern bool webhook_txid_may_have_committed(FullTransactionId txid);

/*
 * Returns true if the commit log has a transaction that has ended. The caller holds
 * XactTruncationLock, which keeps the log from being truncated, as long as this has to hold.
 * "next": the next transaction to be assigned.
 */
extern bool webhook_txid_in_commit_log(FullTransactionId txid, FullTransactionId next);

#endif							/* WEBHOOK_TXID_INTERNAL_H */
