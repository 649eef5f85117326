/*
 * dial_guard.c
 *	  What the engine may dial.
 *
 * The address that is dialled decides, however it was found: each address is
 * judged before a socket is opened to it, and each peer before a kept
 * connection is used, because the rules may have changed since it was opened.
 * What the URL alone tells is judged before libcurl sees it.
 *
 * With a proxy only literal addresses can be checked, because the proxy
 * resolves names. The proxy's own address is trusted, because an administrator
 * set it.
 */
#include <stdio.h>
#include <string.h>

#include "http/dial_guard_internal.h"

/* Longer than libcurl caches the addresses of a name: DNS_CACHE_SECONDS in handle.c. */
#define CACHE_US			(INT64_C(90) * 1000000)

static bool still_allowed(const WebhookDialGuard *guard, WebhookHttpPost *post);
static bool refuse(WebhookHttpPost *post, const char *problem);

bool
webhook_dial_guard_set(WebhookDialGuard *guard, const WebhookHttpOptions *options,
					   char *reason, size_t size)
{
	WebhookAddressRules *rules;
	WebhookNoProxy *no_proxy = webhook_no_proxy_new(options->no_proxy, reason, size);

	if (no_proxy == NULL)
		return false;
	rules = webhook_address_rules_new(options->allowed_networks,
									  options->denied_networks,
									  options->allowed_ports, reason, size);
	if (rules == NULL)
	{
		webhook_no_proxy_free(no_proxy);
		return false;
	}
	webhook_address_rules_free(guard->rules);
	webhook_no_proxy_free(guard->no_proxy);
	guard->rules = rules;
	guard->no_proxy = no_proxy;
	guard->require_https = options->require_https;
	guard->has_proxy = options->proxy != NULL && options->proxy[0] != '\0';
	return true;
}

void
webhook_dial_guard_changed(WebhookDialGuard *guard, int64_t now)
{
	guard->changed_at = now;
}

bool
webhook_dial_guard_check_url(const WebhookDialGuard *guard, WebhookHttpPost *post)
{
	WebhookTargetRefusal refusal;

	if (webhook_target_refused(guard->rules, guard->require_https, post->transfer.url,
							   &post->target, &refusal))
		return refuse(post, refusal.problem);
	if (post->target.is_local && webhook_dial_guard_uses_proxy(guard, post))
		return refuse(post, "A name without a dot, or below localhost, is not called through webhook.proxy, and it is not in webhook.no_proxy.");
	return true;
}

bool
webhook_dial_guard_uses_proxy(const WebhookDialGuard *guard, const WebhookHttpPost *post)
{
	return guard->has_proxy && !webhook_no_proxy_has(guard->no_proxy, &post->target);
}

bool
webhook_dial_guard_check_address(const WebhookDialGuard *guard, WebhookHttpPost *post,
								 const struct sockaddr *address)
{
	WebhookAddressRefusal refusal;
	char		problem[WEBHOOK_REFUSAL_BYTES];

	if (post->target.is_local && !webhook_address_is_allowed(guard->rules, address))
		return refuse(post, "A name without a dot, or below localhost, leads to an address that webhook.allowed_networks does not name.");
	if (!webhook_address_refuses(guard->rules, address, &refusal))
		return true;
	webhook_address_explain(&refusal, problem, sizeof(problem));
	return refuse(post, problem);
}

/*
 * libcurl caches the addresses of a name, and shows only the one that it dials. For as long as a
 * cached name may have been judged by former rules, it is resolved again: all addresses of a name
 * have to pass the rules, not only the one that is dialled.
 */
bool
webhook_dial_guard_check_dial(const WebhookDialGuard *guard, WebhookHttpPost *post,
							  const struct sockaddr *address)
{
	if (post->stop != WEBHOOK_HTTP_STOP_NONE || !still_allowed(guard, post))
		return false;
	if (post->through_proxy)
		return true;
	if (!post->target.is_literal && post->resolved == NULL && guard->changed_at != 0 &&
		post->start - guard->changed_at < CACHE_US)
	{
		post->stop = WEBHOOK_HTTP_STOP_UNRESOLVED;
		return false;
	}
	return webhook_dial_guard_check_address(guard, post, address);
}

bool
webhook_dial_guard_check_peer(const WebhookDialGuard *guard, WebhookHttpPost *post,
							  const char *ip)
{
	struct sockaddr_storage address;

	if (post->stop != WEBHOOK_HTTP_STOP_NONE || !still_allowed(guard, post))
		return false;
	if (post->through_proxy)
		return true;

	/* A connection without such a peer was not dialled by these rules. */
	if (!webhook_address_parse(ip, &address))
		return refuse(post, "The peer of the connection has no address that could be judged.");
	return webhook_dial_guard_check_address(guard, post, (struct sockaddr *) &address);
}

/* Judge the URL again if the rules may have changed since the transfer started. */
static bool
still_allowed(const WebhookDialGuard *guard, WebhookHttpPost *post)
{
	return post->start > guard->changed_at || webhook_dial_guard_check_url(guard, post);
}

/*
 * End the transfer as blocked. The problem is a sentence, as a DETAIL is; an error of the log has
 * neither a capital nor a full stop. Always returns false.
 */
static bool
refuse(WebhookHttpPost *post, const char *problem)
{
	char		error[WEBHOOK_REFUSAL_BYTES];
	size_t		length;

	snprintf(error, sizeof(error), "%s", problem);
	length = strlen(error);
	if (error[0] >= 'A' && error[0] <= 'Z')
		error[0] += 'a' - 'A';
	if (length > 0 && error[length - 1] == '.')
		error[length - 1] = '\0';
	post->stop = WEBHOOK_HTTP_STOP_REFUSED;
	webhook_http_post_fail(post, WEBHOOK_HTTP_BLOCKED, error);
	return false;
}
