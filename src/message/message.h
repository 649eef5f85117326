/*
 * message.h
 *	  The words of one attempt: body, headers, signature. A pure function of
 *	  its inputs.
 */
#ifndef WEBHOOK_MESSAGE_H
#define WEBHOOK_MESSAGE_H

#include "net/header.h"
#include "ring/event.h"
#include "subscription/subscription.h"

/* In CurrentMemoryContext, but for what is the subscription's own. */
typedef struct WebhookMessage
{
	const char *body;			/* UTF-8, as it goes on the wire; terminated */
	size_t		body_length;
	int			nheaders;
	WebhookHttpHeader *headers;
} WebhookMessage;

/*
 * The message for the given attempt (from 1 on), signed at "now" with each
 * live secret, of which there must be one. Needs no transaction. A character
 * that has no form in UTF-8 is an error.
 *
 * Standard Webhooks 1.0.0; with the abp scheme also the signature of ASP.NET
 * Boilerplate, by the newest secret. In header webhook-event, what is no
 * visible ASCII character, and '%', is percent-encoded from its UTF-8.
 */
extern void webhook_message_build(WebhookMessage *message,
								  const WebhookEvent *event,
								  const WebhookSubscription *subscription,
								  int attempt, TimestampTz now);

/*
 * One entry of webhook-signature, "v1,<base64>": the HMAC-SHA256 of
 * "<id>.<timestamp>.<body>". Body and id are UTF-8.
 */
extern char *webhook_message_sign(const uint8 *key, int key_length,
								  const char *id, int64 timestamp,
								  const char *body, size_t body_length);

/*
 * "sha256=AB-CD-...": the HMAC-SHA256 of the body, keyed with the UTF-8 of the
 * whole secret text.
 */
extern char *webhook_message_sign_abp(const char *secret,
									  const char *body, size_t body_length);

#endif							/* WEBHOOK_MESSAGE_H */
