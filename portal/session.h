/*
 * session.h
 *	  Who has signed in, and the statements that they ask for.
 *
 * A session is a connection of its role, or of the service's role that acts for a tenant by
 * a token: what it may do, the database decides with each statement.  It ends with the
 * connection, with sign-out, when it is not used for a while, when its token is revoked, and
 * after a time in any case.  Nothing of it is on a disk.
 */
#ifndef PORTAL_SESSION_H
#define PORTAL_SESSION_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "portal/exchange.h"
#include "portal/options.h"

#define PORTAL_MAX_QUEUED	8	/* requests of a session that wait for its connection */

/* Take a request of api/; it is answered now or later. */
extern void portal_sessions_serve(const PortalOptions *options, PortalExchange *exchange);

/* How many descriptors portal_sessions_poll() may fill in. */
extern size_t portal_sessions_room(const PortalOptions *options);
extern size_t portal_sessions_poll(struct pollfd *fds, size_t room);

/* When something has to be done without an event. */
extern int64_t portal_sessions_due(const PortalOptions *options);
extern void portal_sessions_work(const PortalOptions *options);

/* Returns true if a statement that somebody has asked for runs or waits. */
extern bool portal_sessions_are_busy(void);

/* End all sessions: the portal stops. */
extern void portal_sessions_stop(void);

#endif							/* PORTAL_SESSION_H */
