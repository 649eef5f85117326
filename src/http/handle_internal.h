/*
 * handle_internal.h
 *	  One request as libcurl sees it: an easy handle, its options, its result.
 *	  Private to the http room; libcurl's types stay out of headers.
 */
#ifndef WEBHOOK_HTTP_EASY_H
#define WEBHOOK_HTTP_EASY_H

#include "http/dial_guard_internal.h"

/* Free handles, and what a new one is set to. */
typedef struct WebhookHttpPool
{
	struct WebhookHttpHandle *spare;
	int			nspare;
	int			max_spare;
	const WebhookDialGuard *guard;
	char	   *ca_file;		/* NULL: the system's */
	bool		drop_ca_path;
	char	   *proxy;			/* NULL: none */
	unsigned int generation;	/* of the options: handles of another are not used again */
	void		(*closing) (void *arg, int fd); /* told before it is closed */
	void	   *closing_arg;
} WebhookHttpPool;

typedef struct WebhookHttpHandle
{
	struct WebhookHttpHandle *next;
	void	   *curl;
	WebhookHttpPost *post;
	const WebhookDialGuard *guard;
	unsigned int generation;
	bool		own_files;		/* it has read a request's certificate files */
	char		error[256];		/* CURL_ERROR_SIZE */
} WebhookHttpHandle;

/*
 * A handle ready to run this transfer, of which so many milliseconds have gone
 * by; or NULL, and the transfer has failed.
 */
extern WebhookHttpHandle *webhook_http_handle_get(WebhookHttpPool *pool,
												  WebhookHttpPost *post,
												  int elapsed_ms);

/* The handle is free again. If it went through something odd, drop it. */
extern void webhook_http_handle_put(WebhookHttpPool *pool,
									WebhookHttpHandle *easy, bool reusable);

/* The options have changed: handles are made anew from now on. */
extern void webhook_http_handle_renew(WebhookHttpPool *pool);

/*
 * Seconds that a Retry-After header asks to wait, from "now" (Unix time), in
 * either form: RFC 9110, section 10.2.3; -1: it is neither.
 */
extern long webhook_http_retry_after(const char *value, int64_t now);

/*
 * libcurl's result (a CURLcode) and all there is to know about the exchange,
 * into the transfer. Before the handle leaves the multi handle.
 */
extern void webhook_http_handle_read(WebhookHttpHandle *easy, int result);

#endif							/* WEBHOOK_HTTP_EASY_H */
