/*
 * http.h
 *	  The HTTP engine: many POSTs at once on one thread, over libcurl.
 *
 * The engine includes no PostgreSQL header and holds no PostgreSQL memory:
 * everything that libcurl can reach comes from malloc, is capped, and belongs
 * to the engine. Nothing in the engine exits, throws or blocks. All signals
 * are blocked while libcurl runs, so that its resolver threads inherit that
 * mask.
 */
#ifndef WEBHOOK_HTTP_H
#define WEBHOOK_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/header.h"

#define WEBHOOK_HTTP_MAX_HEADERS		32768	/* bytes of response headers */
#define WEBHOOK_HTTP_MAX_HEADER_LINES	256 /* lines of response headers */
#define WEBHOOK_HTTP_KEPT_BODY			16384	/* bytes of a response body that are kept */
#define WEBHOOK_HTTP_MAX_BODY			1048576 /* bytes; a longer response body is cut off */
#define WEBHOOK_HTTP_IP_BYTES			46	/* of an IP address as text, with its NUL */

/* How an exchange ended; webhook_http_error_name() is column error_class of the log. */
typedef enum WebhookHttpError
{
	WEBHOOK_HTTP_OK,			/* a status line came, and the transfer ended properly or was cut
								 * off by the engine at WEBHOOK_HTTP_MAX_BODY */
	WEBHOOK_HTTP_DNS,			/* the name did not resolve */
	WEBHOOK_HTTP_CONNECT,		/* no connection: refused, unreachable */
	WEBHOOK_HTTP_TLS,			/* handshake or certificate */
	WEBHOOK_HTTP_TIMEOUT,		/* the time to connect, or the total time, is over */
	WEBHOOK_HTTP_RESET,			/* the connection broke, or ended early */
	WEBHOOK_HTTP_PROTOCOL,		/* the response is not HTTP */
	WEBHOOK_HTTP_TOO_LARGE,		/* response headers over the limit */
	WEBHOOK_HTTP_BLOCKED,		/* the dial guard refused */
	WEBHOOK_HTTP_SHUTDOWN,		/* break_off() ended it after the request had left */
	WEBHOOK_HTTP_UNSENT,		/* no request has left: this process has no memory, descriptors
								 * or threads at present, or break_off() came first */
	WEBHOOK_HTTP_NO_PORT,		/* no request has left: at present no local port is free for
								 * another connection to this receiver */
	WEBHOOK_HTTP_INTERNAL,		/* libcurl refused the request, or memory ran out in the response */
} WebhookHttpError;

/* One POST as the caller describes it; the engine copies all of it. */
typedef struct WebhookHttpRequest
{
	const char *url;			/* canonical, see net/url.h */
	int			nheaders;		/* entries of "headers" */
	const WebhookHttpHeader *headers;	/* in order, without Host and Content-Length */
	const char *body;
	size_t		body_length;	/* bytes of "body", which may hold NULs */
	int			timeout_ms;		/* for the whole exchange, from its start in run() on */
	int			connect_timeout_ms; /* for resolving the name and connecting */

	/*
	 * PEM files of the server, by absolute path. NULL: none. Empty: the request needs one, and
	 * there is no directory for it, so it fails.
	 */
	const char *ca;				/* authorities in place of the options' ca_file */
	const char *client_certificate; /* certificate and key to show to the receiver */

	bool		new_connection; /* no connection that is kept is used */
} WebhookHttpRequest;

/* One POST from submit() to release(). The engine owns it and everything it points to. */
typedef struct WebhookHttpTransfer
{
	void	   *tag;			/* as given to submit() */

	/* The request: valid from submit() on. */
	const char *url;
	int			nheaders;		/* entries of "headers" */
	const WebhookHttpHeader *headers;	/* all that the receiver gets, Host and Content-Length
										 * too; in HTTP/2, :authority stands for Host */
	const char *body;
	size_t		body_length;	/* bytes of "body" */

	/* The result: valid from harvest() on. */
	WebhookHttpError error;
	char		message[256];	/* English, printable ASCII, no secret in it; empty if "error" is
								 * WEBHOOK_HTTP_OK */
	int			status;			/* 0 if no status line came */
	int			nresponse_headers;	/* entries of "response_headers" */
	const WebhookHttpHeader *response_headers;	/* of the last response; names as sent, values
												 * any bytes but NUL, CR, LF */
	const char *response_body;	/* any bytes */
	size_t		response_length;	/* bytes of "response_body": WEBHOOK_HTTP_KEPT_BODY at most */
	long		retry_after;	/* seconds; -1 if not given or malformed */
	int64_t		started;		/* when the exchange started: Unix time, microseconds */
	int64_t		duration;		/* of the exchange: microseconds by a monotonic clock */
	char		source_ip[WEBHOOK_HTTP_IP_BYTES];	/* our address; empty: no connection */
	int			source_port;	/* our port; 0: no connection */
	char		peer_ip[WEBHOOK_HTTP_IP_BYTES]; /* the address that was dialled last; empty: none */
	bool		left_unanswered;	/* "error" is WEBHOOK_HTTP_RESET: a connection that had been
									 * kept ended without any response, as it may at any time, or
									 * the receiver refused to begin; another attempt may follow
									 * at once, on a new connection */
} WebhookHttpTransfer;

typedef struct WebhookHttpOptions
{
	int			max_connections;	/* kept open in all; configure() does not change it */
	int			connection_seconds; /* a connection that is older gets no more requests; 0: it
									 * may have any age */
	const char *ca_file;		/* PEM file of authorities; NULL or empty: the system's */
	bool		require_https;	/* http is refused */
	const char *allowed_networks;	/* as in net/address_rules.h; NULL: none */
	const char *denied_networks;	/* as in net/address_rules.h; NULL: none */
	const char *allowed_ports;	/* as in net/address_rules.h; NULL: the default */
	const char *proxy;			/* a URL; NULL or empty: no proxy, whatever the environment says */
	const char *no_proxy;		/* as in net/no_proxy.h; NULL: everything goes through the proxy */
} WebhookHttpOptions;

/* An engine. There is one in a process, because libcurl's global state is the process's. */
typedef struct WebhookHttp WebhookHttp;

/* Raised when the meaning of something in this file changes and no size does. */
#define WEBHOOK_HTTP_VERSION	2

/*
 * What the library was built for. A package upgrade replaces it under a running server, whose
 * caller is older. The caller compares before it touches anything else of the table, so this
 * struct stands first and never changes its form.
 */
typedef struct WebhookHttpShape
{
	unsigned	version;		/* WEBHOOK_HTTP_VERSION */
	unsigned	sizes[4];		/* of the structs that both sides use */
} WebhookHttpShape;

#define WEBHOOK_HTTP_SHAPE \
	{WEBHOOK_HTTP_VERSION, {sizeof(WebhookHttpApi), sizeof(WebhookHttpOptions), \
	 sizeof(WebhookHttpRequest), sizeof(WebhookHttpTransfer)}}

/* The functions of the engine, in a table: a process can load them without linking to libcurl. */
typedef struct WebhookHttpApi
{
	WebhookHttpShape shape;		/* WEBHOOK_HTTP_SHAPE when the library was built */

	/* A new engine. Returns NULL if there is none: "reason" says why, in at most "size" bytes. */
	WebhookHttp *(*create) (const WebhookHttpOptions *options,
							char *reason, size_t size);

	/*
	 * Use other options from now on, on open connections too. Returns false if they are not
	 * valid: the former ones hold, and "reason" says why.
	 */
	bool		(*configure) (WebhookHttp *http,
							  const WebhookHttpOptions *options,
							  char *reason, size_t size);

	/* A descriptor that is readable when run() has something to do. */
	int			(*descriptor) (WebhookHttp *http);

	/* Milliseconds until run() has something to do by the clock; -1: nothing is planned. */
	long		(*wait_ms) (WebhookHttp *http);

	/*
	 * Accept a POST, which the next run() starts. Returns NULL only if memory is out; a request
	 * that cannot be started is harvested as a failed one.
	 */
	WebhookHttpTransfer *(*submit) (WebhookHttp *http,
									const WebhookHttpRequest *request,
									void *tag);

	/* Do what can be done without waiting. Nothing is sent but here. */
	void		(*run) (WebhookHttp *http);

	/* The next transfer that has ended, or NULL. The caller may read it until release(). */
	WebhookHttpTransfer *(*harvest) (WebhookHttp *http);

	/* Free a transfer. One that is not yet harvested is broken off, and is never harvested. */
	void		(*release) (WebhookHttp *http, WebhookHttpTransfer *transfer);

	/*
	 * End all transfers that have not ended: those whose request has left as
	 * WEBHOOK_HTTP_SHUTDOWN, the others as WEBHOOK_HTTP_UNSENT. They are harvested as usual.
	 */
	void		(*break_off) (WebhookHttp *http);

	/* Number of transfers that are submitted and neither harvested nor released. */
	int			(*in_flight) (WebhookHttp *http);

	/* Bytes of memory in transfers that are not yet released. */
	size_t		(*memory) (WebhookHttp *http);

	/* The version of libcurl and of its libraries, for a log. */
	const char *(*version) (void);
} WebhookHttpApi;

/*
 * The one symbol of the library webhook_http that others look up, by its name. It is exported even
 * where the library is built with hidden symbols, as PostgreSQL 16 and newer do.
 */
extern __attribute__((visibility("default")))
const WebhookHttpApi *webhook_http_api(void);

/* The name of the error class: a constant lower-case word. Inline, for callers without libcurl. */
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
		case WEBHOOK_HTTP_SHUTDOWN:
			return "shutdown";
		case WEBHOOK_HTTP_UNSENT:
			return "unsent";
		case WEBHOOK_HTTP_NO_PORT:
			return "no_port";
		case WEBHOOK_HTTP_INTERNAL:
			return "internal";
	}
	return "unknown";
}

#endif							/* WEBHOOK_HTTP_H */
