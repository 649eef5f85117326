/*
 * signature_internal.h
 *	  The signature of the abp scheme, which only message.c needs. The one of
 *	  Standard Webhooks is in message.h.
 */
#ifndef WEBHOOK_SIGNATURE_INTERNAL_H
#define WEBHOOK_SIGNATURE_INTERNAL_H

/*
 * The value of header abp-webhook-signature, in CurrentMemoryContext:
 * "sha256=AB-CD-...", the HMAC-SHA256 of the body in hexadecimal, keyed with
 * the whole text of the secret in UTF-8. The format is that of ASP.NET
 * Boilerplate's WebhookSender.
 */
extern char *webhook_message_sign_abp(const char *secret,
									  const char *body, size_t body_length);

#endif							/* WEBHOOK_SIGNATURE_INTERNAL_H */
