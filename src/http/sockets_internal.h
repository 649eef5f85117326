/*
 * sockets_internal.h
 *	  The engine's epoll set. No libcurl here.
 */
#ifndef WEBHOOK_HTTP_SOCKETS_INTERNAL_H
#define WEBHOOK_HTTP_SOCKETS_INTERNAL_H

#include <stdbool.h>

#define WEBHOOK_HTTP_EVENTS		4	/* that one run() takes out of the epoll set */
#define WEBHOOK_HTTP_IDLE		256 /* idle connections that stay there for a while */

#define WEBHOOK_HTTP_NO_DESCRIPTOR	"no file descriptor is left"

/* Returns true if this process can open no descriptor at present. Any thread may ask. */
extern bool webhook_http_sockets_are_exhausted(void);

typedef struct WebhookHttpSockets
{
	int			epoll;			/* the epoll set; -1: none */
	unsigned char *states;		/* by descriptor: what the epoll set waits for, and whether the
								 * connection is idle; 0: not in the set */
	int			nstates;		/* descriptors that "states" has room for */
	int			idle[WEBHOOK_HTTP_IDLE];	/* descriptors that became idle, and are in the set */
	int			nidle;			/* entries of "idle" in use */
} WebhookHttpSockets;

/* Make room for so many connections. Returns NULL, or why it failed. */
extern const char *webhook_http_sockets_set_up(WebhookHttpSockets *sockets,
											   long connections);
extern void webhook_http_sockets_tear_down(WebhookHttpSockets *sockets);

/* Wait for a descriptor that is no connection to become readable. Returns false on failure. */
extern bool webhook_http_sockets_add(WebhookHttpSockets *sockets, int fd);

/* Wait for a connection to become readable, writable, or either. */
extern void webhook_http_sockets_wait_for(WebhookHttpSockets *sockets, int fd,
										  bool readable, bool writable);

/*
 * Wait for nothing of a connection any more. "may_stay": it can be used again, and
 * webhook_http_sockets_forget() will be called before it is closed; so it may stay in the epoll set
 * until webhook_http_sockets_drop_idle().
 */
extern void webhook_http_sockets_stop(WebhookHttpSockets *sockets, int fd, bool may_stay);

/* A connection is about to be closed, which takes it out of the epoll set. */
extern void webhook_http_sockets_forget(WebhookHttpSockets *sockets, int fd);

/* Take the connections that are still idle out of the epoll set. */
extern void webhook_http_sockets_drop_idle(WebhookHttpSockets *sockets);

#endif							/* WEBHOOK_HTTP_SOCKETS_INTERNAL_H */
