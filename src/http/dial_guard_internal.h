/*
 * dial_guard_internal.h
 *	  What the engine may dial. No libcurl here.
 */
#ifndef WEBHOOK_HTTP_DIAL_GUARD_INTERNAL_H
#define WEBHOOK_HTTP_DIAL_GUARD_INTERNAL_H

#include <sys/socket.h>

#include "http/transfer_internal.h"
#include "net/address_rules.h"
#include "net/no_proxy.h"

typedef struct WebhookDialGuard
{
	WebhookAddressRules *rules;
	bool		require_https;
	bool		has_proxy;		/* a proxy dials, and resolves names, but for what is in no_proxy */
	WebhookNoProxy *no_proxy;
	int64_t		changed_at;		/* when the rules last changed: monotonic, microseconds; 0: never */
} WebhookDialGuard;

/*
 * Take the rules of these options. Returns false if they are not valid: nothing has changed, and
 * "reason" says why in at most "size" bytes.
 */
extern bool webhook_dial_guard_set(WebhookDialGuard *guard,
								   const WebhookHttpOptions *options,
								   char *reason, size_t size);

/* Note when the rules changed. Names that were resolved before are then resolved again. */
extern void webhook_dial_guard_changed(WebhookDialGuard *guard, int64_t now);

/*
 * Judge a transfer by its URL alone, before it is begun, and note its target. Returns false if it
 * is refused; the transfer has then failed as blocked.
 */
extern bool webhook_dial_guard_check_url(const WebhookDialGuard *guard,
										 WebhookHttpPost *post);

/* Returns true if the transfer goes through the proxy. */
extern bool webhook_dial_guard_uses_proxy(const WebhookDialGuard *guard,
										  const WebhookHttpPost *post);

/* The same for an address of its host. */
extern bool webhook_dial_guard_check_address(const WebhookDialGuard *guard,
											 WebhookHttpPost *post,
											 const struct sockaddr *address);

/*
 * The same for an address that is about to be dialled. Returns false also if its host has to be
 * resolved first; "stop" of the transfer then says so.
 */
extern bool webhook_dial_guard_check_dial(const WebhookDialGuard *guard,
										  WebhookHttpPost *post,
										  const struct sockaddr *address);

/* The same for the peer, given as text, of a connection that is about to be used. */
extern bool webhook_dial_guard_check_peer(const WebhookDialGuard *guard,
										  WebhookHttpPost *post, const char *ip);

#endif							/* WEBHOOK_HTTP_DIAL_GUARD_INTERNAL_H */
