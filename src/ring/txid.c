/*
 * txid.c
 *	  What became of the transactions that have written to the ring.
 *
 * A row of one that has not committed is in the index like any other, so who walks over the
 * index passes over all rows of the transaction at once, however many they are.
 */
#include "postgres.h"

#include "access/transam.h"
#include "storage/lwlock.h"

#include "base/compat.h"
#include "ring/txid_internal.h"

bool
webhook_txid_may_have_committed(FullTransactionId txid)
{
	FullTransactionId next = ReadNextFullTransactionId();
	bool		result;

	LWLockAcquire(XactTruncationLock, LW_SHARED);
	result = !webhook_txid_in_commit_log(txid, next) ||
		TransactionIdDidCommit(XidFromFullTransactionId(txid));
	LWLockRelease(XactTruncationLock);
	return result;
}

bool
webhook_txid_in_commit_log(FullTransactionId txid, FullTransactionId next)
{
	uint64		age = U64FromFullTransactionId(next) - U64FromFullTransactionId(txid);

	return age <= (uint64) MaxTransactionId / 2 &&
		!TransactionIdPrecedes(XidFromFullTransactionId(txid), compat_oldest_clog_xid());
}
