/*
 * sockets_internal.h
 *	  The engine's descriptors and their epoll set. Private to the http room;
 *	  libcurl's types stay out of headers.
 */
#ifndef WEBHOOK_HTTP_SOCKETS_H
#define WEBHOOK_HTTP_SOCKETS_H

#include <stdbool.h>

#define WEBHOOK_HTTP_EVENTS		256 /* of the set, a turn */

typedef struct WebhookHttpSockets
{
	int			epoll;			/* -1: none */

	/*
	 * A connection that has answered often gets its next request at once, and then asks for the
	 * events that it just gave up.  So its descriptor stays in the epoll set until new requests
	 * have started.  By descriptor: the events that it was set to last, and whether it is idle.
	 */
	unsigned char *tracked;
	int			ntracked;
	int			idle[WEBHOOK_HTTP_EVENTS];
	int			nidle;
} WebhookHttpSockets;

/* Room for so many connections. NULL, or why not. */
extern const char *webhook_http_sockets_set_up(WebhookHttpSockets *sockets,
											   long connections);
extern void webhook_http_sockets_tear_down(WebhookHttpSockets *sockets);

/* One more descriptor to wait for; it becomes readable. */
extern bool webhook_http_sockets_add(WebhookHttpSockets *sockets, int fd);

/*
 * libcurl, on whose handle a socket is, wants "what" of it from now on
 * (CURL_POLL_*).
 */
extern void webhook_http_sockets_want(WebhookHttpSockets *sockets, void *curl,
									  int fd, int what);

/* It is about to be closed; "sockets" is untyped for a callback's sake. */
extern void webhook_http_sockets_forget(void *sockets, int fd);

/* New requests have started: what is idle still is not waited for. */
extern void webhook_http_sockets_drop_idle(WebhookHttpSockets *sockets);

#endif							/* WEBHOOK_HTTP_SOCKETS_H */
