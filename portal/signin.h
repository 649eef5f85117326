/*
 * signin.h
 *	  People sign in as roles of the database, or come with a token of a tenant: the
 *	  database says who may.
 *
 * A few sign-ins are under way at once, others wait for them, and an address has a
 * share of those.  Who is refused hears it after a whole number of seconds, in one
 * sentence whatever the reason: neither the words nor the time tell which roles
 * there are.  Until then the refused one keeps its place, so guessing is slow.
 */
#ifndef PORTAL_SIGNIN_H
#define PORTAL_SIGNIN_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "portal/exchange.h"
#include "portal/link.h"
#include "portal/options.h"

/* At once, and those that wait for them. */
#define PORTAL_MAX_SIGNINS	4
#define PORTAL_MAX_WAITING	32

/* Bytes of a name of a role, or of a tenant with a word before it. */
#define PORTAL_MAX_WHO		(PORTAL_MAX_USER + 7)

/* Bytes of what tells the sight of a role: a word and two OIDs. */
#define PORTAL_MAX_SIGHT	31

/*
 * Someone has signed in, as the user of the credentials, or, with a token, as who is in the
 * place of the password: the link is theirs and belongs to the callee, as does the
 * exchange, which is not answered yet.  "sees_own": they see a tenant's own, not the
 * platform and all tenants.  Who has the same "sight", which is not empty, sees the same.
 */
typedef void (*PortalSignedIn) (const PortalOptions *options, PortalExchange *exchange,
								PortalLink *link, bool sees_own, const char *sight);

/* Take an exchange with credentials; it is answered now or later. */
extern void portal_signin_begin(const PortalOptions *options, PortalExchange *exchange);

/* Fill in what to wait for; returns how many. */
extern size_t portal_signins_poll(struct pollfd *fds, size_t room);

/* When something has to be done without an event. */
extern int64_t portal_signins_due(void);
extern void portal_signins_work(const PortalOptions *options, PortalSignedIn signed_in);

/* Refuse all that are under way: the portal stops. */
extern void portal_signins_stop(void);

#endif							/* PORTAL_SIGNIN_H */
