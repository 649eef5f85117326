/*
 * crowd.h
 *	  All connections of clients, and which one has to go.
 *
 * A client that sends its request byte by byte, or not at all, costs a place.  It
 * loses it when its time is over, or when somebody else needs it: so those who hold
 * places shut nobody out.
 */
#ifndef PORTAL_CROWD_H
#define PORTAL_CROWD_H

#include <stdint.h>

#include "portal/address.h"

#define PORTAL_MAX_OF_ADDRESS	64	/* connections of one client address */
#define PORTAL_MAX_WAITING_FOR	512 /* connections that have no request in hand */

/* Milliseconds. */
#define PORTAL_FIRST_REQUEST	10000	/* for a first request as a whole */
#define PORTAL_NEXT_REQUEST		30000	/* for each one after another */
#ifndef PORTAL_TO_READ			/* the tests wait for less */
#define PORTAL_TO_READ			60000	/* for a client to read an answer, or to go on reading
										 * one that streams */
#define PORTAL_TO_SAVE			600000	/* for a client to read a file as a whole */
#endif

typedef struct PortalGuest
{
	struct PortalGuest *next;
	struct PortalGuest *before;
	int			fd;
	int64_t		deadline;		/* PORTAL_NEVER: a session has its request, or has nothing to
								 * send in its stream */
	char		from[PORTAL_ADDRESS_LENGTH];
	int			is_leaving;		/* was told to go */
} PortalGuest;

typedef struct PortalCrowd
{
	PortalGuest *first;
	int			nguests;
} PortalCrowd;

/* "from" of all that come through a proxy is the same; it has no share then. */
extern PortalGuest *portal_crowd_add(PortalCrowd *crowd, int fd, const char *from, int64_t now);
extern void portal_crowd_remove(PortalCrowd *crowd, PortalGuest *guest);

/*
 * The next one that has to go, or NULL: its time is over, or there are too many.
 * It is marked, so it is returned once.
 */
extern PortalGuest *portal_crowd_next_to_go(PortalCrowd *crowd, int64_t now);

#endif							/* PORTAL_CROWD_H */
