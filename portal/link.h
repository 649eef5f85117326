/*
 * link.h
 *	  A connection to the database, and the statement that runs on it.
 *
 * link.c alone knows libpq.  Nothing here waits: the caller polls the descriptor and
 * calls portal_link_work().
 */
#ifndef PORTAL_LINK_H
#define PORTAL_LINK_H

#include <poll.h>
#include <stdbool.h>

#include "portal/text.h"

typedef struct PortalLink PortalLink;

typedef enum PortalLinkState
{
	PORTAL_LINK_CONNECTING,
	PORTAL_LINK_REFUSED,		/* the server said no; see portal_link_error() */
	PORTAL_LINK_UNREACHABLE,	/* nobody said anything */
	PORTAL_LINK_IDLE,
	PORTAL_LINK_BUSY,			/* a statement runs */
	PORTAL_LINK_DONE,			/* a statement has ended, its result was not taken */
	PORTAL_LINK_LOST			/* the connection has ended */
} PortalLinkState;

#define PORTAL_MAX_VALUES	32

/* Bytes of the longest answer. */
#define PORTAL_MAX_ANSWER	(4 * 1024 * 1024)

/* How a statement runs. */
typedef struct PortalStatement
{
	const char *text;
	const char *const *values;	/* of its parameters, as text */
	int			nvalues;		/* at most PORTAL_MAX_VALUES */
	bool		writes;			/* between BEGIN READ WRITE and COMMIT */
	bool		is_long;		/* not ended after 15 s, but after five minutes */
	bool		streams;		/* its rows become CSV, see portal_link_rows() */
	bool		answers;		/* its one value may be long, see portal_link_answer() */
} PortalStatement;

/*
 * Begin to connect.  "conninfo" is the portal's own; user and password are never read as
 * anything else, and what is NULL of them is as "conninfo" says.
 */
extern PortalLink *portal_link_open(const char *conninfo, const char *user, const char *password);
extern void portal_link_close(PortalLink *link);

/* What to wait for. */
extern void portal_link_poll(const PortalLink *link, struct pollfd *fd);

/* Go on as far as that goes without waiting. */
extern PortalLinkState portal_link_work(PortalLink *link);
extern PortalLinkState portal_link_state(const PortalLink *link);

/* Only when it is idle. */
extern void portal_link_send(PortalLink *link, const PortalStatement *statement);

/* The same for a statement that reads, without parameters. */
extern void portal_link_ask(PortalLink *link, const char *text);

/* The error of a statement or a connection, or NULL; lives as long as the result. */
extern const PortalError *portal_link_error(const PortalLink *link);

/* The first column of the first row, or NULL. */
extern const char *portal_link_value(const PortalLink *link);

/*
 * The value of a statement that answers, which the caller may take out of the buffer, or
 * NULL.  One that is longer than the longest answer is an error.
 */
extern PortalBuffer *portal_link_answer(PortalLink *link);

/* Forget the result of a statement that is done: the link is idle again. */
extern void portal_link_take(PortalLink *link);

/*
 * Rows of a statement that streams, as lines of CSV, names of the columns first.
 * While the buffer has more than a share that a client can take at once, nothing
 * is read from the server.
 */
extern PortalBuffer *portal_link_rows(PortalLink *link);

/* The payload of a notification, to be freed; NULL: there is none. */
extern char *portal_link_notice(PortalLink *link);

/* What the server says of the connection that has been made. */
extern bool portal_link_is_superuser(const PortalLink *link);
extern bool portal_link_asked_password(const PortalLink *link);

/* The HTTP status of an SQLSTATE. */
extern unsigned portal_status_of(const char *sqlstate);

#endif							/* PORTAL_LINK_H */
