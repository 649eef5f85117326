/*
 * message.h
 *	  The message of one attempt: body, headers, signature. It depends on the
 *	  arguments and the setting webhook.user_agent only.
 */
#ifndef WEBHOOK_MESSAGE_H
#define WEBHOOK_MESSAGE_H

#include "net/header.h"
#include "ring/event.h"
#include "subscription/subscription.h"

/*
 * A message, in CurrentMemoryContext. Names and values of the subscription's
 * own headers may belong to the subscription.
 */
typedef struct WebhookMessage
{
	const char *body;			/* the bytes that are sent, in UTF-8; terminated */
	size_t		body_length;
	int			nheaders;
	WebhookHttpHeader *headers;
} WebhookMessage;

/*
 * Build the message for an attempt, numbered from 1 on, with the headers of
 * Standard Webhooks 1.0.0 and one signature for each secret that is live at
 * "now". With the abp scheme the newest secret also makes the signature of
 * ASP.NET Boilerplate. The value of header webhook-event is percent-encoded.
 *
 * With a challenge, the endpoint is asked for it: it is in header webhook-challenge, and
 * the body is the envelope, whatever the subscription's format. NULL: it is not asked.
 *
 * A character without an equal in UTF-8 becomes U+FFFD. Needs no transaction.
 * Raises an error if no secret is live.
 */
extern void webhook_message_build(WebhookMessage *message,
								  const WebhookEvent *event,
								  const WebhookSubscription *subscription,
								  int attempt, const char *challenge, TimestampTz now);

/*
 * One entry of header webhook-signature, in CurrentMemoryContext: "v1,<base64>"
 * with the HMAC-SHA256 of "<id>.<timestamp>.<body>" (Standard Webhooks 1.0.0).
 * Id and body are in UTF-8, the timestamp is in Unix seconds.
 */
extern char *webhook_message_sign(const uint8 *key, int key_length,
								  const char *id, int64 timestamp,
								  const char *body, size_t body_length);

#endif							/* WEBHOOK_MESSAGE_H */
