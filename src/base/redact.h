/*
 * redact.h
 *	  What of a call is a credential, and how it is shown without.
 */
#ifndef WEBHOOK_REDACT_H
#define WEBHOOK_REDACT_H

/* What stands where a credential was. */
#define WEBHOOK_REDACTED "***"

/* Does a header of this name, in any case, carry a credential? */
extern bool webhook_redact_is_credential(const char *name);

/*
 * The URL without what may be a credential: the user and password, the value
 * of each parameter of the query (of one without "=", all of it), the
 * fragment. It need not be a valid one. The argument itself if there is
 * nothing to hide, else in CurrentMemoryContext.
 */
extern const char *webhook_redact_url(const char *url);

#endif							/* WEBHOOK_REDACT_H */
