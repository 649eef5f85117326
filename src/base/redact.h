/*
 * redact.h
 *	  Hides credentials in what is shown of a request.
 */
#ifndef WEBHOOK_REDACT_H
#define WEBHOOK_REDACT_H

/* Shown in place of a credential. */
#define WEBHOOK_REDACTED "***"

/* Returns true if a header of that name, in upper or lower case, has a credential as its value. */
extern bool webhook_redact_is_credential(const char *name);

/*
 * The URL with WEBHOOK_REDACTED in place of what may be a credential: user and
 * password, the value of each parameter of the query (a parameter without "=":
 * all of it), the fragment. The URL need not be valid. Returns the argument
 * itself if there is nothing to hide, otherwise memory in CurrentMemoryContext.
 */
extern const char *webhook_redact_url(const char *url);

/* Returns true if a parameter of the URL's query has the value WEBHOOK_REDACTED. */
extern bool webhook_redact_is_shown_url(const char *url);

#endif							/* WEBHOOK_REDACT_H */
