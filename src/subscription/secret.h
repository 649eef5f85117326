/*
 * secret.h
 *	  What a signing secret looks like: "whsec_" and the base64 of its key.
 */
#ifndef WEBHOOK_SECRET_H
#define WEBHOOK_SECRET_H

#define WEBHOOK_SECRET_PREFIX	"whsec_"

/* Bytes of a key, as Standard Webhooks allows. */
#define WEBHOOK_MIN_KEY			24
#define WEBHOOK_MAX_KEY			64

/*
 * The key of a secret, into a buffer of WEBHOOK_MAX_KEY bytes. Returns its
 * length; -1 if the text is no secret.
 */
extern int	webhook_secret_decode(const char *secret, uint8 *key);

/* A new secret in CurrentMemoryContext, of 32 strong random bytes. */
extern char *webhook_secret_generate(void);

#endif							/* WEBHOOK_SECRET_H */
