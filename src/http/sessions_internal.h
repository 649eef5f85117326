/*
 * sessions_internal.h
 *	  TLS sessions that handles of the engine resume. libcurl's types stay out of headers.
 */
#ifndef WEBHOOK_HTTP_SESSIONS_INTERNAL_H
#define WEBHOOK_HTTP_SESSIONS_INTERNAL_H

#include <stdint.h>

typedef struct WebhookHttpSessions
{
	void	   *share;			/* a CURLSH */
	int			users;			/* handles, and the pool, that may use it */
	int64_t		until;			/* when it is too old to be used: seconds */
} WebhookHttpSessions;

/*
 * The sessions to be used from now on, in place of "sessions" (NULL: none yet), which the
 * caller gives up if they are too old; "now" is in seconds and never goes back. Returns NULL
 * if there is no memory: then each handshake is a whole one.
 */
extern WebhookHttpSessions *webhook_http_sessions_renew(WebhookHttpSessions *sessions,
														int64_t now);

/* One more user of sessions, or of NULL; one less, and the last one frees them. */
extern WebhookHttpSessions *webhook_http_sessions_use(WebhookHttpSessions *sessions);
extern void webhook_http_sessions_release(WebhookHttpSessions *sessions);

#endif							/* WEBHOOK_HTTP_SESSIONS_INTERNAL_H */
