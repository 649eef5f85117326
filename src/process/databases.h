/*
 * databases.h
 *	  The databases of the server, as far as the launcher knows them.
 */
#ifndef WEBHOOK_DATABASES_H
#define WEBHOOK_DATABASES_H

/*
 * What a look at pg_database finds: whether a worker may connect, and whether
 * it would find no extension there, as far as is known.
 */
typedef void (*WebhookDatabaseFound) (Oid database, bool eligible, bool lacking);

/* Prepare; once. */
extern void webhook_databases_init(void);

/*
 * Look at pg_database, in a transaction of its own. With "doubt", what has been
 * said about lacking databases is forgotten first.
 */
extern void webhook_databases_scan(WebhookDatabaseFound found, bool doubt);

/* This database lacks the extension. */
extern void webhook_databases_set_lacking(Oid database);

/* It is not known any more whether it does. */
extern void webhook_databases_unset_lacking(Oid database);

#endif							/* WEBHOOK_DATABASES_H */
