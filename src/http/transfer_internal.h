/*
 * transfer_internal.h
 *	  A transfer inside the engine: its memory, its lists, and what it keeps of
 *	  the response. No libcurl here.
 */
#ifndef WEBHOOK_HTTP_TRANSFER_INTERNAL_H
#define WEBHOOK_HTTP_TRANSFER_INTERNAL_H

#include "http/http.h"
#include "net/target.h"

/* A piece of malloc'ed memory that belongs to one transfer. */
typedef struct WebhookHttpBlock WebhookHttpBlock;

/* The memory of all transfers of an engine. */
typedef struct WebhookHttpHeap
{
	size_t		used;			/* bytes in blocks of transfers */
	WebhookHttpBlock *spare;	/* free blocks, for new transfers */
	int			nspare;			/* number of free blocks */
} WebhookHttpHeap;

/* Where a transfer is; it is in at most one list, that of its stage. */
typedef enum WebhookHttpStage
{
	WEBHOOK_HTTP_WAITING,		/* submitted, not started */
	WEBHOOK_HTTP_RESOLVING,		/* the resolver looks up its host */
	WEBHOOK_HTTP_RUNNING,		/* libcurl has it */
	WEBHOOK_HTTP_ENDED,			/* its result is known */
	WEBHOOK_HTTP_HARVESTED,		/* the caller has it */
} WebhookHttpStage;

/* Why the engine, and not libcurl or the peer, has ended a transfer. */
typedef enum WebhookHttpStop
{
	WEBHOOK_HTTP_STOP_NONE,		/* it has not */
	WEBHOOK_HTTP_STOP_COMPLETE, /* status 101: nothing of HTTP follows */
	WEBHOOK_HTTP_STOP_BODY,		/* the body is longer than WEBHOOK_HTTP_MAX_BODY */
	WEBHOOK_HTTP_STOP_HEADERS,	/* the headers are over one of their limits */
	WEBHOOK_HTTP_STOP_FOLD,		/* the first header line is a continuation */
	WEBHOOK_HTTP_STOP_PADDING,	/* many bytes are neither header nor body */
	WEBHOOK_HTTP_STOP_CODING,	/* a transfer coding that was not offered */
	WEBHOOK_HTTP_STOP_MEMORY,	/* memory is out */
	WEBHOOK_HTTP_STOP_REFUSED,	/* the dial guard refused, and has set error and message */
	WEBHOOK_HTTP_STOP_UNRESOLVED,	/* not ended: its host has to be resolved first */
	WEBHOOK_HTTP_STOP_STALE,	/* not ended: its connection is too old or has ended, it needs a
								 * new one */
	WEBHOOK_HTTP_STOP_RESEND,	/* libcurl was about to send the request once more */
	WEBHOOK_HTTP_STOP_SHUTDOWN, /* the process stops */
} WebhookHttpStop;

/* A transfer with what the caller does not see. */
typedef struct WebhookHttpPost
{
	WebhookHttpTransfer transfer;	/* first: the caller's pointer is the engine's, too */
	WebhookHttpStage stage;
	struct WebhookHttpPost *next;	/* in the list of its stage */
	struct WebhookHttpPost *newer;	/* among those that have not ended; NULL: the newest */
	struct WebhookHttpPost *older;	/* among those that have not ended; NULL: the oldest */
	struct WebhookHttpHandle *handle;	/* libcurl's, while running; else NULL */
	struct WebhookHttpLookup *lookup;	/* that it waits for, while resolving; else NULL */

	/* Its memory. */
	WebhookHttpHeap *heap;
	WebhookHttpBlock *blocks;	/* the newest first; this struct is in the last one */

	/* The request. */
	int			nlines;			/* entries of "lines" */
	char	  **lines;			/* "name: value" of each header that the caller gave, as libcurl
								 * takes it */
	const char *ca;				/* as in WebhookHttpRequest */
	const char *client_certificate; /* as in WebhookHttpRequest */
	int			timeout_ms;		/* at least 1 */
	int			connect_timeout_ms; /* at least 1 */
	bool		new_connection; /* as in WebhookHttpRequest */
	bool		sent;			/* libcurl has a connection for it, and has begun to send it */
	int64_t		start;			/* of the exchange: monotonic, microseconds */

	/* Whom it calls. */
	WebhookTarget target;
	bool		through_proxy;	/* its handle was set to use the proxy */
	char	   *resolved;		/* the addresses of its host, for CURLOPT_RESOLVE; NULL: the
								 * resolver was not asked */
	bool		opened;			/* it has opened a socket since it was handed to libcurl */
	int			socket_errno;	/* of the last socket that could not be opened or connected; 0:
								 * none */

	/* The response, as far as it came. */
	WebhookHttpStop stop;
	size_t		header_bytes;	/* of all header blocks, 1xx and trailers included */
	int			header_lines;	/* of all header blocks, without status lines */
	bool		in_headers;		/* between a status line and its blank line */
	bool		block_begins;	/* the last line was a status line */
	int			block_status;	/* of the last status line; 0: malformed */
	char	   *body;			/* what is kept of the body; NULL: nothing */
	size_t		body_room;		/* bytes allocated for "body" */
	size_t		body_received;	/* bytes of the body, kept or not */
	size_t		taken;			/* bytes of headers and body when libcurl last reported progress */
	int			idle_looks;		/* reports of progress since "taken" grew */
} WebhookHttpPost;

/* Transfers in order of arrival. */
typedef struct WebhookHttpList
{
	WebhookHttpPost *first;
	WebhookHttpPost *last;
} WebhookHttpList;

extern void webhook_http_list_append(WebhookHttpList *list, WebhookHttpPost *post);

/* Take the first one out. Returns NULL if the list is empty. */
extern WebhookHttpPost *webhook_http_list_pop(WebhookHttpList *list);

/* Take one out, wherever it is in the list. */
extern void webhook_http_list_remove(WebhookHttpList *list, WebhookHttpPost *post);

/* Make a transfer with a copy of the request. Returns NULL if memory is out. */
extern WebhookHttpPost *webhook_http_post_new(WebhookHttpHeap *heap,
											  const WebhookHttpRequest *request,
											  void *tag);

/* Allocate memory that lives as long as the transfer. Returns NULL if memory is out. */
extern void *webhook_http_post_allocate(WebhookHttpPost *post, size_t size);

/* Free the transfer and all its memory. */
extern void webhook_http_post_free(WebhookHttpPost *post);

/* Note the class and the message of a failure. */
extern void webhook_http_post_fail(WebhookHttpPost *post, WebhookHttpError error,
								   const char *message);

/*
 * Take in one line of a header block, of 1xx responses and trailers too, or some bytes of the body.
 * Returns false if the transfer has to end; "stop" then says why.
 */
extern bool webhook_http_post_take_header(WebhookHttpPost *post,
										  const char *line, size_t length);
extern bool webhook_http_post_take_body(WebhookHttpPost *post,
										const char *bytes, size_t length);

#endif							/* WEBHOOK_HTTP_TRANSFER_INTERNAL_H */
