/*
 * transaction.h
 *	  The worker's short transactions.
 */
#ifndef WEBHOOK_TRANSACTION_H
#define WEBHOOK_TRANSACTION_H

/* Settle what a database or role may have set for this process; once. */
extern void webhook_transaction_settings(void);

/* The name of this process's database; known from the first transaction on. */
extern const char *webhook_transaction_database(void);

/* Say in the server's log that the worker leaves because of DDL on the extension. */
extern void webhook_transaction_report_extension_changed(void);

/* From now on wait for a lock only for a moment: the process is to end. */
extern void webhook_transaction_hurry(void);

/*
 * Begin a transaction with an runnable snapshot; "activity", a constant, shows
 * in pg_stat_activity. Ends the process if the extension has gone.
 */
extern void webhook_transaction_begin(const char *activity);

/* Commit it; an asynchronous one may be lost in a crash of the server. */
extern void webhook_transaction_commit(void);

/*
 * After an error, caught: report it to the server's log and abort. The memory
 * context that was current before the transaction is the caller's to restore.
 * An error that follows from a request to leave, such as a table that DROP
 * EXTENSION has dropped, is reported as DEBUG1 only.
 */
extern void webhook_transaction_abort(void);

#endif							/* WEBHOOK_TRANSACTION_H */
