/*
 * live.h
 *	  The streams of one session: Server-Sent Events, one stream a browser, all with
 *	  the same events.
 */
#ifndef PORTAL_LIVE_H
#define PORTAL_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "portal/exchange.h"

#define PORTAL_MAX_STREAMS	8	/* of a session */

typedef struct PortalLive
{
	PortalExchange *streams[PORTAL_MAX_STREAMS];
	int			nstreams;
	int64_t		next_tick;		/* when the next one is due */
	int64_t		tick_began;		/* while its statement runs */
	int64_t		tick_cost;		/* milliseconds of the last one; 0: there was none */
} PortalLive;

/* Returns false, and answers, if the session has too many. */
extern bool portal_live_add(PortalLive *live, PortalExchange *exchange);

/* Send an event to all streams, with blanks for newlines; lets go of those that have gone. */
extern void portal_live_send(PortalLive *live, const char *event, const char *data);

/* PORTAL_NEVER without a stream. */
extern int64_t portal_live_due(const PortalLive *live);

/*
 * A tick begins, and ends: what it cost decides when the next one is due, and how many
 * sessions have streams.  The cost is the less of the last two, because the first
 * statement of a connection loads catalogs, and one may have waited for a processor.
 */
extern void portal_live_begin_tick(PortalLive *live);
extern void portal_live_end_tick(PortalLive *live, int sessions);

/* The session ends. */
extern void portal_live_end(PortalLive *live, const char *reason);

#endif							/* PORTAL_LIVE_H */
