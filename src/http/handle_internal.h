/*
 * handle_internal.h
 *	  One request as libcurl sees it: an easy handle and its options. libcurl's
 *	  types stay out of headers.
 */
#ifndef WEBHOOK_HTTP_HANDLE_INTERNAL_H
#define WEBHOOK_HTTP_HANDLE_INTERNAL_H

#include "http/ages_internal.h"
#include "http/dial_guard_internal.h"
#include "http/sessions_internal.h"
#include "http/sockets_internal.h"

#define WEBHOOK_HTTP1_TARGETS	64	/* that are remembered */

/* Spare handles, and the options that every handle gets. */
typedef struct WebhookHttpPool
{
	struct WebhookHttpHandle *spare;	/* free handles */
	int			nspare;			/* number of free handles */
	int			max_spare;		/* free handles that are kept */
	const WebhookDialGuard *guard;	/* of the engine */
	WebhookHttpSockets *sockets;	/* of the engine; told before a connection is closed */
	long		http_version;	/* the best one to offer: a CURL_HTTP_VERSION */
	char	   *ca_file;		/* PEM file of authorities; NULL: the system's */
	bool		drop_ca_path;	/* the system's directory of authorities is not used */
	char	   *proxy;			/* URL of the proxy; NULL: none */
	bool		checks_connections; /* libcurl may choose one that has ended */
	int			connection_seconds; /* as in WebhookHttpOptions */
	unsigned int generation;	/* of the options; handles of a former one are not used again */

	/* Targets that answer over HTTP/2 that they want HTTP/1.1, as numbers; 0: none. */
	uint64_t	http1[WEBHOOK_HTTP1_TARGETS];
	int			next_http1;		/* the entry that the next one overwrites */

	bool		shares_sessions;	/* of TLS, which libcurl keeps for each handle alone */
	WebhookHttpSessions *sessions;	/* that handles share; NULL: none yet */
	WebhookHttpAges ages;		/* of connections, by libcurl's numbers of them */
} WebhookHttpPool;

typedef struct WebhookHttpHandle
{
	struct WebhookHttpHandle *next; /* in the pool */
	void	   *curl;			/* a CURL */
	WebhookHttpPost *post;		/* the transfer that it runs; NULL: none */
	WebhookHttpPool *pool;		/* where it comes from */
	WebhookHttpSessions *sessions;	/* that its requests resume; NULL: none */
	unsigned int generation;	/* of the options that it was made with */
	bool		own_files;		/* it was set to the certificate files of one request */
	char		error[256];		/* libcurl's message; CURL_ERROR_SIZE */
} WebhookHttpHandle;

/* Set up an empty pool for so many connections, with no options yet. */
extern void webhook_http_pool_set_up(WebhookHttpPool *pool, long connections,
									 const WebhookDialGuard *guard,
									 WebhookHttpSockets *sockets);

/* The options of the pool have changed: no handle that was made before is used again. */
extern void webhook_http_pool_renew(WebhookHttpPool *pool);

/*
 * The target has answered HTTP_1_1_REQUIRED (RFC 9113, section 7): from now on, only HTTP/1.1 is
 * offered to it.
 */
extern void webhook_http_pool_note_http1(WebhookHttpPool *pool, const WebhookTarget *target);

/*
 * A handle ready to run this transfer, which started so many milliseconds ago. Returns NULL if
 * there is none; the transfer has then failed.
 */
extern WebhookHttpHandle *webhook_http_handle_get(WebhookHttpPool *pool,
												  WebhookHttpPost *post,
												  int elapsed_ms);

/* Give a handle back. One that is not reusable, because libcurl failed in it, is freed. */
extern void webhook_http_handle_put(WebhookHttpHandle *handle, bool reusable);

#endif							/* WEBHOOK_HTTP_HANDLE_INTERNAL_H */
