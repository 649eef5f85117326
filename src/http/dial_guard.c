/*
 * dial_guard.c
 *	  What the engine may dial.
 *
 * The address that is dialled decides, not what led to it: each socket is
 * judged before it is opened, each connection before it is used, for the rules
 * may have changed since it was made.  All that can be told from the URL alone
 * is judged before libcurl sees it.
 *
 * Through a proxy nobody here knows what is dialled; of a literal it can still
 * be said that it must not be.  The proxy itself is the administrator's word.
 */
#include <stdio.h>
#include <string.h>

#include "http/dial_guard_internal.h"
#include "net/target.h"

/* A little more than libcurl keeps what it knows of a name. */
#define CACHE_US			(INT64_C(90) * 1000000)

static bool still_allowed(const WebhookDialGuard *guard, WebhookHttpPost *post);
static void refuse(WebhookHttpPost *post, const char *text);

bool
webhook_dial_guard_set(WebhookDialGuard *guard, const WebhookHttpOptions *options,
					   char *reason, size_t size)
{
	WebhookAddressRules *rules;

	rules = webhook_address_rules_new(options->allowed_networks,
									  options->denied_networks,
									  options->allowed_ports, reason, size);
	if (rules == NULL)
		return false;
	webhook_address_rules_free(guard->rules);
	guard->rules = rules;
	guard->require_https = options->require_https;
	guard->through_proxy = options->proxy != NULL && options->proxy[0] != '\0';
	return true;
}

void
webhook_dial_guard_changed(WebhookDialGuard *guard, int64_t now)
{
	guard->changed_at = now;
}

bool
webhook_dial_guard_request(const WebhookDialGuard *guard, WebhookHttpPost *post)
{
	WebhookTargetRefusal refusal;

	if (!webhook_target_refused(guard->rules, guard->require_https, post->transfer.url,
								&post->target, &refusal))
		return true;
	refuse(post, refusal.problem);
	return false;
}

bool
webhook_dial_guard_address(const WebhookDialGuard *guard, WebhookHttpPost *post,
						   const struct sockaddr *address)
{
	WebhookAddressRefusal verdict;
	char		text[WEBHOOK_REFUSAL_BYTES];

	if (!webhook_address_refuses(guard->rules, address, &verdict))
		return true;
	webhook_address_explain(&verdict, text, sizeof(text));
	refuse(post, text);
	return false;
}

/*
 * libcurl keeps the addresses of a name for a minute, and shows them one by
 * one.  Whether all of them would pass other rules than those that they were
 * judged by is not known then.
 */
bool
webhook_dial_guard_dial(const WebhookDialGuard *guard, WebhookHttpPost *post,
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
	return webhook_dial_guard_address(guard, post, address);
}

bool
webhook_dial_guard_peer(const WebhookDialGuard *guard, WebhookHttpPost *post,
						const char *ip)
{
	struct sockaddr_storage address;

	if (post->stop != WEBHOOK_HTTP_STOP_NONE || !still_allowed(guard, post))
		return false;
	if (post->through_proxy)
		return true;

	/* What has no such peer was not dialled by these rules. */
	if (!webhook_address_parse(ip, &address))
	{
		refuse(post, "The peer of the connection has no address that could be judged.");
		return false;
	}
	return webhook_dial_guard_address(guard, post, (struct sockaddr *) &address);
}

/* The rules may have changed since the request was judged. */
static bool
still_allowed(const WebhookDialGuard *guard, WebhookHttpPost *post)
{
	return post->start > guard->changed_at ||
		webhook_dial_guard_request(guard, post);
}

static void
refuse(WebhookHttpPost *post, const char *text)
{
	post->stop = WEBHOOK_HTTP_STOP_REFUSED;
	webhook_http_fail(post, WEBHOOK_HTTP_BLOCKED, text);
}
