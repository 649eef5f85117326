/*
 * sequence.c
 *	  Numbers for rows of the ring.
 *
 * nextval() is not used because it changes the session's lastval(): a trigger
 * that does that breaks an application which reads the id of the row that it
 * has just inserted. So numbers are reserved a thousand at a time by setval(),
 * which does not change lastval(), and then come from shared memory. The
 * reservation is in the WAL before any row with one of its numbers. So a dump,
 * a standby and a restart find a value in the sequence that is not below any
 * number that was used.
 *
 * A trigger draws a number while it holds the lock on the changed row, so of
 * two changes of one row the later one has the greater number.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"

#include "process/shmem.h"
#include "ring/sequence_internal.h"

#define RESERVED 1024

static void reserve(WebhookSlot *slot, Oid sequence, uint64 needed);
static Oid	owner_of(Oid sequence);

int64
webhook_sequence_next(Oid sequence)
{
	WebhookSlot *slot = webhook_shmem_my_slot();
	uint64		number;

	if (slot == NULL && webhook_shmem_available())
		slot = webhook_shmem_request_worker(MyDatabaseId);
	if (slot == NULL)
		return nextval_internal(sequence, false);

	/* The sequence is another one after DROP EXTENSION and CREATE EXTENSION. */
	if (pg_atomic_read_u64(&slot->number_limit) == 0 ||
		slot->number_sequence != sequence)
		reserve(slot, sequence, 0);

	number = pg_atomic_fetch_add_u64(&slot->number_next, 1);
	while (number >= pg_atomic_read_u64(&slot->number_limit))
		reserve(slot, sequence, number);
	return (int64) number;
}

void
webhook_sequence_resync(void)
{
	WebhookSlot *slot = webhook_shmem_my_slot();

	if (slot != NULL)
		pg_atomic_write_u64(&slot->number_limit, 0);
}

int64
webhook_sequence_last(Oid sequence)
{
	LOCAL_FCINFO(call, 1);
	WebhookSlot *slot = webhook_shmem_my_slot();
	uint64		next = slot == NULL ? 0 : pg_atomic_read_u64(&slot->number_next);
	int64		drawn = next == 0 ? 0 : (int64) next - 1;
	Datum		value;

	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = ObjectIdGetDatum(sequence);
	call->args[0].isnull = false;
	value = pg_sequence_last_value(call);
	return call->isnull ? drawn : Max(drawn, DatumGetInt64(value));
}

void
webhook_sequence_raise(Oid sequence, int64 number)
{
	WebhookSlot *slot = webhook_shmem_my_slot();

	webhook_sequence_resync();
	if (slot != NULL && webhook_sequence_last(sequence) < number)
		reserve(slot, sequence, number);
}

/*
 * Reserve numbers greater than "needed". The sequence is read and set with the
 * rights of its owner. Its lock is taken before the lightweight lock, under
 * which nothing may be waited for. The next number only grows, so no number is
 * returned twice, even if other sessions draw numbers meanwhile.
 */
static void
reserve(WebhookSlot *slot, Oid sequence, uint64 needed)
{
	Oid			user;
	int			context;

	LockRelationOid(sequence, RowExclusiveLock);
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner_of(sequence),
						   context | SECURITY_LOCAL_USERID_CHANGE);
	LWLockAcquire(&slot->number_lock, LW_EXCLUSIVE);

	if (slot->number_sequence != sequence)
	{
		slot->number_sequence = sequence;
		pg_atomic_write_u64(&slot->number_limit, 0);
	}
	if (pg_atomic_read_u64(&slot->number_limit) <= needed)
	{
		uint64		next = pg_atomic_read_u64(&slot->number_next);
		uint64		first = Max(needed, (uint64) webhook_sequence_last(sequence)) + 1;
		uint64		limit = Max(next, first) + RESERVED;

		(void) DirectFunctionCall2(setval_oid, ObjectIdGetDatum(sequence),
								   Int64GetDatum((int64) limit));
		if (next < first)
			pg_atomic_fetch_add_u64(&slot->number_next, first - next);
		pg_atomic_write_u64(&slot->number_limit, limit);
	}
	LWLockRelease(&slot->number_lock);
	SetUserIdAndSecContext(user, context);
}

static Oid
owner_of(Oid sequence)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(sequence));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for sequence %u", sequence);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}
