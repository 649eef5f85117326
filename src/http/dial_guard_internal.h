/*
 * dial_guard_internal.h
 *	  What the engine may dial. Private to the http room; no libcurl here.
 */
#ifndef WEBHOOK_HTTP_GUARD_H
#define WEBHOOK_HTTP_GUARD_H

#include <sys/socket.h>

#include "http/transfer_internal.h"
#include "net/address_rules.h"

typedef struct WebhookDialGuard
{
	WebhookAddressRules *rules;
	bool		require_https;
	bool		through_proxy;	/* it dials, and it resolves names */
	int64_t		changed_at;		/* monotonic, microseconds; 0: never */
} WebhookDialGuard;

/*
 * Take over the rules of these options. False, with a reason of at most "size"
 * bytes: they are not valid, and nothing has changed.
 */
extern bool webhook_dial_guard_set(WebhookDialGuard *guard,
								   const WebhookHttpOptions *options,
								   char *reason, size_t size);

/* Names that were resolved before "now" are to be resolved again; 0: none. */
extern void webhook_dial_guard_changed(WebhookDialGuard *guard, int64_t now);

/*
 * Judge a transfer before it is begun, by its URL: scheme, port, a literal
 * address. It learns its host and port. False: it has failed as blocked.
 */
extern bool webhook_dial_guard_request(const WebhookDialGuard *guard,
									   WebhookHttpPost *post);

/*
 * Judge an address of its name; one that it is about to dial; the peer of a
 * connection that it is about to use, as text.  False: it has failed as
 * blocked, or, where it would dial, its name is to be resolved anew.
 */
extern bool webhook_dial_guard_address(const WebhookDialGuard *guard,
									   WebhookHttpPost *post,
									   const struct sockaddr *address);
extern bool webhook_dial_guard_dial(const WebhookDialGuard *guard,
									WebhookHttpPost *post,
									const struct sockaddr *address);
extern bool webhook_dial_guard_peer(const WebhookDialGuard *guard,
									WebhookHttpPost *post, const char *ip);

#endif							/* WEBHOOK_HTTP_GUARD_H */
