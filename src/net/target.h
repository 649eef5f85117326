/*
 * target.h
 *	  Whom a URL calls, and whether it may be called, as far as its text tells.
 */
#ifndef WEBHOOK_TARGET_H
#define WEBHOOK_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "net/address_rules.h"

typedef struct WebhookTarget
{
	bool		secure;			/* https, not http */
	const char *host;			/* within the URL, not terminated; IPv6 in brackets */
	size_t		host_length;	/* bytes of "host" */
	int			port;			/* the scheme's default where the URL has none */
	bool		is_literal;		/* the host is an address, not a name */
	bool		is_local;		/* the host is a name that means something here only: it has no
								 * dot, or is below localhost (RFC 6761, section 6.3) */
} WebhookTarget;

/* Why a target must not be called. */
typedef struct WebhookTargetRefusal
{
	char		problem[WEBHOOK_REFUSAL_BYTES]; /* a sentence, for a DETAIL or a log */
	const char *setting;		/* the setting that decides, such as "webhook.allowed_ports";
								 * NULL if no setting could allow it */
} WebhookTargetRefusal;

/*
 * Read the target of a canonical URL, in which "host" then points. Returns false if the scheme is
 * neither http nor https. Any other text gives some target, which webhook_target_refused or the
 * look-up of its host will refuse.
 */
extern bool webhook_target_read(const char *canonical, WebhookTarget *target);

/*
 * Read the target of a URL and judge it: its scheme, its port and, where the host is an address,
 * that address; a local name only if no network is allowed, as it may lead to allowed ones only. A
 * name is not looked up. Returns true if the target must not be called. A backend
 * asks this when an endpoint is saved, the worker before each request.
 */
extern bool webhook_target_refused(const WebhookAddressRules *rules, bool require_https,
								   const char *canonical, WebhookTarget *target,
								   WebhookTargetRefusal *refusal);

#endif							/* WEBHOOK_TARGET_H */
