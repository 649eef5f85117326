/*
 * http.h
 *	  The HTTP engine: many POSTs at once on one thread, over libcurl.
 *
 * No PostgreSQL here, neither header nor memory: everything that libcurl can
 * reach comes from malloc, is capped, and belongs to the engine. Nothing in
 * the engine exits, throws or blocks; each call returns soon. All signals are
 * blocked while libcurl runs, so that its resolver threads inherit that mask.
 */
#ifndef WEBHOOK_HTTP_H
#define WEBHOOK_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/header.h"

#define WEBHOOK_HTTP_MAX_HEADERS		32768	/* bytes of response headers */
#define WEBHOOK_HTTP_MAX_HEADER_LINES	256
#define WEBHOOK_HTTP_KEPT_BODY			16384	/* bytes of a body that are kept */
#define WEBHOOK_HTTP_MAX_BODY			1048576 /* bytes, then it is cut */

/* How an exchange ended; the class in the log's error_class. */
typedef enum WebhookHttpError
{
	WEBHOOK_HTTP_OK,			/* a status line and a transfer that ended properly, or was cut by
								 * us at the limit */
	WEBHOOK_HTTP_DNS,			/* the name did not resolve */
	WEBHOOK_HTTP_CONNECT,		/* refused, unreachable */
	WEBHOOK_HTTP_TLS,			/* handshake, certificate */
	WEBHOOK_HTTP_TIMEOUT,		/* connect or total time is over */
	WEBHOOK_HTTP_RESET,			/* the connection broke, or ended early */
	WEBHOOK_HTTP_PROTOCOL,		/* what came is not HTTP */
	WEBHOOK_HTTP_TOO_LARGE,		/* response headers over the limit */
	WEBHOOK_HTTP_BLOCKED,		/* the address guard refused */
	WEBHOOK_HTTP_INTERNAL,		/* out of memory or descriptors, libcurl refused an option */
} WebhookHttpError;

typedef struct WebhookHttpRequest
{
	const char *url;			/* canonical, NUL-terminated */
	int			nheaders;		/* all but Host and Content-Length; in order */
	const WebhookHttpHeader *headers;
	const char *body;
	size_t		body_length;
	int			timeout_ms;		/* in all, from submit on */
	int			connect_timeout_ms;

	/*
	 * Files of the server, absolute: authorities for this request instead of the options', and a
	 * certificate to show, its key with it, both PEM. NULL: none; empty: one is wanted, and there
	 * is no directory for it.
	 */
	const char *ca;
	const char *client_certificate;
} WebhookHttpRequest;

/*
 * One POST from submit to release. The engine owns it and everything it
 * points to: a copy of the request at once, the result once it is harvested.
 */
typedef struct WebhookHttpTransfer
{
	void	   *tag;			/* the submitter's */

	const char *url;
	int			nheaders;
	const WebhookHttpHeader *headers;
	const char *body;
	size_t		body_length;

	WebhookHttpError error;
	char		message[256];	/* English, no secret in it; empty if OK */
	int			status;			/* 0: no status line came */
	int			nresponse_headers;
	const WebhookHttpHeader *response_headers;	/* last response, names as sent, values any bytes
												 * but NUL, CR, LF */
	const char *response_body;	/* any bytes */
	size_t		response_length;	/* of what is kept */
	bool		response_cut;	/* more came than was kept */
	long		retry_after;	/* seconds, -1: not given or not readable */
	int64_t		started;		/* of the POST: Unix time, microseconds */
	int64_t		duration;		/* microseconds, by a monotonic clock */
	char		source_ip[46];	/* textual; empty: no connection */
	int			source_port;
	char		peer_ip[46];
	int			peer_port;
} WebhookHttpTransfer;

typedef struct WebhookHttpOptions
{
	int			max_connections;	/* kept open, in all; fixed by create() */
	const char *ca_file;		/* NULL or empty: the system's */
	bool		require_https;
	const char *allowed_networks;	/* as in address.h; NULL: none */
	const char *denied_networks;
	const char *allowed_ports;	/* NULL: the default */
	const char *proxy;			/* a URL; NULL or empty: none, whatever the environment says */
} WebhookHttpOptions;

typedef struct WebhookHttp WebhookHttp;

/*
 * The engine as a table of functions, so that a process can load it without
 * being linked to libcurl.
 */
typedef struct WebhookHttpApi
{
	/*
	 * A new engine, or NULL with a reason of at most "size" bytes. One a process.
	 */
	WebhookHttp *(*create) (const WebhookHttpOptions *options,
							char *reason, size_t size);

	/*
	 * Other options from now on, for connections that are open, too. False, with a reason: they
	 * are not valid, and the former ones hold.
	 */
	bool		(*configure) (WebhookHttp *http,
							  const WebhookHttpOptions *options,
							  char *reason, size_t size);

	/* A descriptor that is readable when run() has something to do. */
	int			(*descriptor) (WebhookHttp *http);

	/* Milliseconds until run() has something to do anyway; -1: never. */
	long		(*wait_ms) (WebhookHttp *http);

	/*
	 * Start a POST. NULL only when memory is out. A request that cannot even be started is
	 * harvested as a failed one.
	 */
	WebhookHttpTransfer *(*submit) (WebhookHttp *http,
									const WebhookHttpRequest *request,
									void *tag);

	/* Do what can be done now, without waiting. Nothing is sent but here. */
	void		(*run) (WebhookHttp *http);

	/* The next transfer that has ended, or NULL. It is the caller's ... */
	WebhookHttpTransfer *(*harvest) (WebhookHttp *http);

	/*
	 * ... until it is given back. One that is not harvested yet is broken off and never will be.
	 */
	void		(*release) (WebhookHttp *http, WebhookHttpTransfer *transfer);

	/* Submitted and not yet harvested. */
	int			(*in_flight) (WebhookHttp *http);

	/* Bytes of memory in submitted and unreleased transfers. */
	size_t		(*memory) (WebhookHttp *http);

	/* The version of libcurl, for the log. */
	const char *(*version) (void);
} WebhookHttpApi;

extern const WebhookHttpApi webhook_http_api;

/* Constant lower-case word of the class: "dns", "connect", ... */
static inline const char *
webhook_http_error_name(WebhookHttpError error)
{
	switch (error)
	{
		case WEBHOOK_HTTP_OK:
			return "ok";
		case WEBHOOK_HTTP_DNS:
			return "dns";
		case WEBHOOK_HTTP_CONNECT:
			return "connect";
		case WEBHOOK_HTTP_TLS:
			return "tls";
		case WEBHOOK_HTTP_TIMEOUT:
			return "timeout";
		case WEBHOOK_HTTP_RESET:
			return "reset";
		case WEBHOOK_HTTP_PROTOCOL:
			return "protocol";
		case WEBHOOK_HTTP_TOO_LARGE:
			return "too_large";
		case WEBHOOK_HTTP_BLOCKED:
			return "blocked";
		case WEBHOOK_HTTP_INTERNAL:
			return "internal";
	}
	return "unknown";
}

#endif							/* WEBHOOK_HTTP_H */
