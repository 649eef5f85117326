/*
 * secret.h
 *	  Tokens of sessions, and what people sign in with.
 */
#ifndef PORTAL_SECRET_H
#define PORTAL_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#define PORTAL_TOKEN_LENGTH		64	/* hexadecimal digits of 32 random bytes */
#define PORTAL_MAX_USER			63	/* bytes; longer names PostgreSQL does not have */
#define PORTAL_MAX_PASSWORD		1024	/* bytes */

#define PORTAL_NAME_LENGTH		16	/* hexadecimal digits of the name of a session */

/* Digits of base64url in a token of webhook.portal_token(). */
#define PORTAL_GIVEN_TOKEN		43

typedef struct PortalCredentials
{
	char		user[PORTAL_MAX_USER + 1];	/* empty: there is a token */
	char		password[PORTAL_MAX_PASSWORD + 1];	/* or the token */
} PortalCredentials;

/* Returns false if the system has no random bytes. */
extern bool portal_token_make(char token[PORTAL_TOKEN_LENGTH + 1]);

/* Make the name of a session, which is no secret; false, too, if there are no random bytes. */
extern bool portal_name_make(char name[PORTAL_NAME_LENGTH + 1]);

/* Takes the same time wherever two tokens differ. */
extern bool portal_token_equal(const char *one, const char *other);

/* Returns true if a text of that length has the form of a token. */
extern bool portal_token_is_one(const char *text, size_t length);

/*
 * Read the value of an Authorization header: Basic, RFC 7617, in UTF-8, or Bearer, RFC
 * 6750, with a token of webhook.portal_token().  Returns false, and no credentials, if it
 * is not of that form, or if user or password is empty or too long: libpq would look
 * elsewhere for what is empty.
 */
extern bool portal_credentials_read(const char *header, PortalCredentials *credentials);

/* The text of a file, a key or a password, to be freed; NULL: it cannot be read. */
extern char *portal_secret_read(const char *file);

/* Forget bytes, whatever the compiler thinks of that. */
extern void portal_forget(void *bytes, size_t length);

#endif							/* PORTAL_SECRET_H */
