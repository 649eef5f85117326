/*
 * resolver_internal.h
 *	  Names into addresses, all of them at once. Private to the http room; no
 *	  libcurl here.
 */
#ifndef WEBHOOK_HTTP_RESOLVE_H
#define WEBHOOK_HTTP_RESOLVE_H

#include "http/dial_guard_internal.h"

typedef struct WebhookHttpResolver WebhookHttpResolver;

/* NULL: out of memory or descriptors. */
extern WebhookHttpResolver *webhook_http_resolver_new(void);

/* One that has not looked anything up; or NULL. */
extern void webhook_http_resolver_free(WebhookHttpResolver *resolver);

/* A descriptor that is readable when a look-up has ended. */
extern int	webhook_http_resolver_descriptor(const WebhookHttpResolver *resolver);

/* Look up the transfer's host. False: out of memory. */
extern bool webhook_http_resolve(WebhookHttpResolver *resolver, WebhookHttpPost *post);

/* It waits no longer. */
extern void webhook_http_resolve_cancel(WebhookHttpResolver *resolver,
										WebhookHttpPost *post);

/*
 * A transfer that waits no longer, or NULL: its addresses are known (that is
 * "resolved", for libcurl's CURLOPT_RESOLVE), or it has failed: there is no such
 * name, an address of it is refused, or its time is over.  "now" is monotonic,
 * microseconds.
 */
extern WebhookHttpPost *webhook_http_resolver_next(WebhookHttpResolver *resolver,
												   const WebhookDialGuard *guard,
												   int64_t now);

/* When the first of those that wait runs out of time; -1: never. */
extern int64_t webhook_http_resolver_deadline(const WebhookHttpResolver *resolver);

#endif							/* WEBHOOK_HTTP_RESOLVE_H */
