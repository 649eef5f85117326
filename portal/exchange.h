/*
 * exchange.h
 *	  One request and its answer, between the two sides that know it: the HTTP server,
 *	  and the session that answers.
 *
 * Either side may let go of it first: the client goes away while a statement runs,
 * or a session ends while its client still reads.  Who lets go last frees it.
 */
#ifndef PORTAL_EXCHANGE_H
#define PORTAL_EXCHANGE_H

#include <stdbool.h>

#include "portal/address.h"
#include "portal/buffer.h"
#include "portal/request.h"
#include "portal/secret.h"
#include "portal/text.h"

/* Bytes of answers that clients have not read yet; who answers has one, and counts with all
 * exchanges that it has answered as those that use it. */
typedef struct PortalUnread
{
	size_t		bytes;
	int			users;
} PortalUnread;

typedef struct PortalExchange
{
	PortalRequest request;
	PortalBuffer body;			/* of the request */
	PortalCredentials *credentials; /* of a sign-in */
	char		from[PORTAL_ADDRESS_LENGTH];	/* who is counted for it */

	/* The answer */
	unsigned	status;			/* 0: none yet */
	const char *type;			/* its Content-Type */
	const char *filename;		/* to be saved as, behind "webhook-"; NULL: to be shown */
	char	   *cookie;			/* to be set; NULL: none */
	unsigned	retry_after;	/* seconds; 0: not said */
	PortalBuffer out;			/* of a stream: what is not sent yet */
	PortalUnread *unread;		/* where the bytes of "out" are counted; NULL: nowhere */
	size_t		counted;		/* how many of them */
	bool		is_stream;		/* more may follow what is in "out" */
	bool		is_complete;	/* of a stream: nothing follows any more */
	bool		is_broken;		/* of a stream: it ends before its end */

	/* Who has it */
	bool		has_client;		/* the HTTP server */
	bool		has_session;	/* a session */
	void		(*wake) (struct PortalExchange *exchange);	/* tell the HTTP server */
	void	   *server;			/* the HTTP server's own */
} PortalExchange;

extern PortalExchange *portal_exchange_new(void (*wake) (PortalExchange *exchange), void *server);

/* Each frees the exchange if the other side has let go of it. */
extern void portal_exchange_client_leaves(PortalExchange *exchange);
extern void portal_exchange_session_leaves(PortalExchange *exchange);

/* Answer with JSON; takes over nothing. */
extern void portal_exchange_answer(PortalExchange *exchange, unsigned status, const char *json);

/* The same with what is in the buffer, which is empty then; it is counted until it is read. */
extern void portal_exchange_give(PortalExchange *exchange, PortalBuffer *json,
								 PortalUnread *unread);
extern PortalUnread *portal_unread_new(void);
extern void portal_unread_leave(PortalUnread *unread);

/* Answer with an error. */
extern void portal_exchange_fail(PortalExchange *exchange, unsigned status,
								 const PortalError *error);
extern void portal_exchange_refuse(PortalExchange *exchange, unsigned status, const char *message);

/* Begin a stream; more of it, and its end. */
extern void portal_exchange_stream(PortalExchange *exchange, const char *type);
extern void portal_exchange_flow(PortalExchange *exchange);
extern void portal_exchange_complete(PortalExchange *exchange, bool is_broken);

#endif							/* PORTAL_EXCHANGE_H */
