/*
 * databases_internal.h
 *	  The databases of the server, as far as the launcher knows them.
 */
#ifndef WEBHOOK_DATABASES_INTERNAL_H
#define WEBHOOK_DATABASES_INTERNAL_H

/* A database, as a look at pg_database finds it. */
typedef struct WebhookDatabase
{
	Oid			id;
	const char *name;			/* valid during the call only */
	bool		eligible;		/* a worker may connect to it */
	bool		without_extension;	/* a worker that connected did not find the extension */
} WebhookDatabase;

typedef void (*WebhookDatabaseFound) (const WebhookDatabase *database);

/* Called once, before the other functions. */
extern void webhook_databases_init(void);

/*
 * Call "found" for each row of pg_database, in a transaction of its own. With
 * "forget", all that is known of databases without the extension is forgotten
 * first.
 */
extern void webhook_databases_scan(WebhookDatabaseFound found, bool forget);

/* Remember that a database lacks the extension, or forget it. */
extern void webhook_databases_set_without_extension(Oid database);
extern void webhook_databases_unset_without_extension(Oid database);

#endif							/* WEBHOOK_DATABASES_INTERNAL_H */
