/*
 * target.c
 *	  Whom a URL calls, and whether it may be called, as far as its text tells.
 *
 * What a name leads to is known only when it is looked up; http/dial_guard.c
 * judges that. Everything else is decided here, for the backend that saves an
 * endpoint and for the worker that calls it, in the same words: the settings
 * may have changed in between, or a row may have been written by hand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/target.h"
#include "net/url.h"

static bool read_target(const char *canonical, WebhookTarget *target,
						struct sockaddr_storage *address);
static bool is_local_name(const char *host, size_t length);
static bool refuse(WebhookTargetRefusal *refusal, const char *setting, const char *problem);

bool
webhook_target_read(const char *canonical, WebhookTarget *target)
{
	struct sockaddr_storage address;

	return read_target(canonical, target, &address);
}

bool
webhook_target_refused(const WebhookAddressRules *rules, bool require_https,
					   const char *canonical, WebhookTarget *target,
					   WebhookTargetRefusal *refusal)
{
	struct sockaddr_storage address;
	WebhookAddressRefusal reason;

	if (!read_target(canonical, target, &address))
		return refuse(refusal, NULL, "The endpoint is neither http nor https.");
	if (require_https && !target->secure)
		return refuse(refusal, "webhook.require_https",
					  "The endpoint is not https, which webhook.require_https asks for.");
	if (target->host_length == 0 || target->host_length > WEBHOOK_MAX_HOST)
		return refuse(refusal, NULL, "The endpoint has no host that could be looked up.");
	if (target->is_local && !webhook_address_has_allowed(rules))
		return refuse(refusal, "webhook.allowed_networks",
					  "A name without a dot, or below localhost, may lead to webhook.allowed_networks only, and there are none.");
	if (webhook_address_refuses_port(rules, target->port))
	{
		snprintf(refusal->problem, sizeof(refusal->problem),
				 "Port %d is not one of webhook.allowed_ports.", target->port);
		refusal->setting = "webhook.allowed_ports";
		return true;
	}
	if (target->is_literal &&
		webhook_address_refuses(rules, (struct sockaddr *) &address, &reason))
	{
		webhook_address_explain(&reason, refusal->problem, sizeof(refusal->problem));
		refusal->setting = reason.setting;
		return true;
	}
	return false;
}

/* As webhook_target_read(); "address" receives the host, if it is a literal address. */
static bool
read_target(const char *canonical, WebhookTarget *target, struct sockaddr_storage *address)
{
	const char *end;
	char		host[WEBHOOK_ADDRESS_BYTES];

	target->secure = strncmp(canonical, "https://", 8) == 0;
	if (!target->secure && strncmp(canonical, "http://", 7) != 0)
		return false;
	target->host = canonical + (target->secure ? 8 : 7);
	end = target->host + strcspn(target->host, *target->host == '[' ? "]/?#" : ":/?#");
	end += *end == ']';
	target->host_length = end - target->host;
	target->port = *end == ':' ? atoi(end + 1) : target->secure ? 443 : 80;

	/* What is longer than an address is a name. */
	target->is_literal = false;
	if (target->host_length < sizeof(host))
	{
		memcpy(host, target->host, target->host_length);
		host[target->host_length] = '\0';
		target->is_literal = webhook_address_parse(host, address);
	}
	target->is_local = !target->is_literal && is_local_name(target->host, target->host_length);
	return true;
}

static bool
is_local_name(const char *host, size_t length)
{
	static const char localhost[] = ".localhost";
	size_t		suffix = sizeof(localhost) - 1;

	return memchr(host, '.', length) == NULL ||
		(length >= suffix && memcmp(host + length - suffix, localhost, suffix) == 0);
}

/* Fill in the refusal. Always returns true. */
static bool
refuse(WebhookTargetRefusal *refusal, const char *setting, const char *problem)
{
	snprintf(refusal->problem, sizeof(refusal->problem), "%s", problem);
	refusal->setting = setting;
	return true;
}
