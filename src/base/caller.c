/*
 * caller.c
 *	  Who calls: the role whose rights decide what a function may do.
 *
 * The current user and the security context are the server's; a subtransaction that is
 * rolled back inside a door puts back those with which it began, which are the door's.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/caller.h"

static struct
{
	Oid			role;			/* who has called the present door; InvalidOid: there is none */
	Oid			owner;			/* whose rights it has switched to */
}			door;

WebhookCallerSaved
webhook_caller_enter(Oid owner)
{
	WebhookCallerSaved saved = {.role = door.role,.owner = door.owner};

	GetUserIdAndSecContext(&saved.user, &saved.context);
	SetUserIdAndSecContext(owner, saved.context | SECURITY_LOCAL_USERID_CHANGE);
	door.role = saved.user;
	door.owner = owner;
	return saved;
}

void
webhook_caller_leave(const WebhookCallerSaved *saved)
{
	door.role = saved->role;
	door.owner = saved->owner;
	SetUserIdAndSecContext(saved->user, saved->context);
}

Oid
webhook_caller(void)
{
	/* Code that runs behind the door as somebody else speaks for itself. */
	if (OidIsValid(door.role) && GetUserId() == door.owner && InLocalUserIdChange())
		return door.role;
	return GetUserId();
}
