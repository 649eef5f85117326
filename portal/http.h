/*
 * http.h
 *	  The HTTP server.
 *
 * http.c alone knows libmicrohttpd.  It keeps the rules of requests and limits of
 * connections, answers with files by itself, and gives what is below api/ to a handler.
 */
#ifndef PORTAL_HTTP_H
#define PORTAL_HTTP_H

#include <poll.h>
#include <stdint.h>

#include "portal/exchange.h"
#include "portal/options.h"

typedef void (*PortalHandler) (const PortalOptions *options, PortalExchange *exchange);

/*
 * Begin to listen; fills in the port, if the system chose it, and the rules.  Returns
 * NULL, or what went wrong.
 */
extern const char *portal_http_start(PortalOptions *options, PortalHandler handler);

extern void portal_http_poll(struct pollfd *fd);
extern int64_t portal_http_due(void);
extern void portal_http_work(void);

/* Take no more connections; end all of them. */
extern void portal_http_quiesce(void);
extern void portal_http_stop(void);

#endif							/* PORTAL_HTTP_H */
