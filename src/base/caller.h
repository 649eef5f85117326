/*
 * caller.h
 *	  Who calls: the role whose rights decide what a function may do.
 *
 * That is the current user, as PostgreSQL's own checks see it, at the door: where a
 * function of schema webhook begins to run with the rights of the extension's owner.
 * The role of the session would be wrong: a function or an index expression of
 * somebody else that it happens to run would have its rights.
 */
#ifndef WEBHOOK_CALLER_H
#define WEBHOOK_CALLER_H

/* What a door has to put back. */
typedef struct WebhookCallerSaved
{
	Oid			user;			/* current user outside the door */
	int			context;		/* security context outside the door, SECURITY_* */
	Oid			role;			/* caller of the door around it; InvalidOid: there is none */
	Oid			owner;			/* owner that the door around it has switched to */
} WebhookCallerSaved;

/*
 * Run with the rights of the owner from now on, for the current user, who becomes the
 * caller. Each call is followed by one of webhook_caller_leave(), also after an error.
 */
extern WebhookCallerSaved webhook_caller_enter(Oid owner);
extern void webhook_caller_leave(const WebhookCallerSaved *saved);

/* The role that has called the present door, or outside of one the current user. */
extern Oid	webhook_caller(void);

#endif							/* WEBHOOK_CALLER_H */
