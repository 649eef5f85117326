/*
 * attempt.c
 *	  Work of the worker in a transaction of its own, which may fail.
 *
 * An error ends the attempt, not the process: a lock that is held too long or a
 * full disk is tried again later, and what is in flight goes on. So that this
 * is safe, work in here changes tables or reads them; it changes nothing in
 * memory that outlives it, but what its caller asks for.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "worker/attempt.h"
#include "worker/transaction.h"

bool
webhook_transaction_try(const char *activity, void (*work) (void *arg), void *arg)
{
	MemoryContext old = CurrentMemoryContext;
	volatile bool done = false;

	PG_TRY();
	{
		webhook_transaction_begin(activity);
		work(arg);
		MemoryContextSwitchTo(old);
		webhook_transaction_commit();
		done = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		webhook_transaction_abort();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return done;
}
