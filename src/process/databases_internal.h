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
typedef void (*WebhookDatabaseFound) (Oid database, bool eligible, bool without_extension);

/* Prepare; once. */
extern void webhook_databases_init(void);

/*
 * Look at pg_database, in a transaction of its own. With "doubt", what has been
 * said about without_extension databases is forgotten first.
 */
extern void webhook_databases_scan(WebhookDatabaseFound found, bool doubt);

/* This database lacks the extension. */
extern void webhook_databases_set_without_extension(Oid database);

/* It is not known any more whether it does. */
extern void webhook_databases_unset_without_extension(Oid database);

#endif							/* WEBHOOK_DATABASES_H */
