/*
 * transaction_internal.h
 *	  The worker's short transactions.
 */
#ifndef WEBHOOK_TRANSACTION_INTERNAL_H
#define WEBHOOK_TRANSACTION_INTERNAL_H

#include "base/snapshot.h"

/* The name of this process's database; known from the first transaction on. */
extern const char *webhook_transaction_database(void);

/* Say in the server's log that the worker stops because the extension was dropped or altered. */
extern void webhook_transaction_report_extension_changed(void);

/* Set what the database or the role may have set differently for this process; once. */
extern void webhook_transaction_settings(void);

/* From now on wait for a lock only for a moment: the process is to end. */
extern void webhook_transaction_hurry(void);

/*
 * Begin a transaction with an active snapshot; "activity", a constant, shows
 * in pg_stat_activity. Ends the process if the extension is gone.
 */
extern void webhook_transaction_begin(const char *activity);

/* Commit it; an asynchronous one may be lost in a crash of the server. */
extern void webhook_transaction_commit(void);

/*
 * Do work in a transaction of its own. Returns false if it raised an error: that
 * was written to the server's log, and nothing of the work is committed. An error
 * that follows from a request to stop is written as DEBUG1; so is a lock that was
 * not got in time, and one line a minute says which. The memory context is the
 * caller's again in either case.
 *
 * The work reads or changes tables; what it changes in memory must not outlive
 * an error.
 */
extern bool webhook_transaction_try(const char *activity, void (*work) (void *arg), void *arg);

/*
 * The same for what a process does at its start. While another session has locked
 * a table of the extension, this waits; the work may then be done several times.
 * Returns false after another error, or if the process is to stop.
 */
extern bool webhook_transaction_start(void (*work) (void *arg), void *arg);

/* In a transaction: what has committed by now, in CurrentMemoryContext. */
extern WebhookSnapshot *webhook_transaction_snapshot(void);

/* The SQLSTATE that the last webhook_transaction_try() which failed has failed with. */
extern int	webhook_transaction_error(void);

#endif							/* WEBHOOK_TRANSACTION_INTERNAL_H */
