/*
 * resolver_internal.h
 *	  Looks up the hosts of transfers, many at once. No libcurl here.
 */
#ifndef WEBHOOK_HTTP_RESOLVER_INTERNAL_H
#define WEBHOOK_HTTP_RESOLVER_INTERNAL_H

#include "http/dial_guard_internal.h"

typedef struct WebhookHttpResolver WebhookHttpResolver;

/* Returns NULL if memory or descriptors are out. */
extern WebhookHttpResolver *webhook_http_resolver_new(void);

/* Free a resolver that has not looked up anything. NULL is allowed. */
extern void webhook_http_resolver_free(WebhookHttpResolver *resolver);

/* A descriptor that is readable when a look-up has ended. */
extern int	webhook_http_resolver_descriptor(const WebhookHttpResolver *resolver);

/* Look up the transfer's host. Returns false if memory is out. */
extern bool webhook_http_resolver_start(WebhookHttpResolver *resolver, WebhookHttpPost *post);

/* Take back a transfer that webhook_http_resolver_next() has not returned. */
extern void webhook_http_resolver_cancel(WebhookHttpResolver *resolver,
										 WebhookHttpPost *post);

/*
 * The next transfer that is done, or NULL. Either its "resolved" has the addresses of its host, or
 * it has failed: there is no such name, the guard refuses one of the addresses, or its time is
 * over. "now" is monotonic, microseconds.
 */
extern WebhookHttpPost *webhook_http_resolver_next(WebhookHttpResolver *resolver,
												   const WebhookDialGuard *guard,
												   int64_t now);

/* When a transfer may next run out of time: monotonic, microseconds; -1: none can. */
extern int64_t webhook_http_resolver_deadline(const WebhookHttpResolver *resolver);

#endif							/* WEBHOOK_HTTP_RESOLVER_INTERNAL_H */
