/*
 * url.h
 *	  What an endpoint URL and a header may look like. No PostgreSQL, no
 *	  libcurl: the same code judges when a subscription is saved and when a
 *	  request is sent.
 */
#ifndef WEBHOOK_ENDPOINT_H
#define WEBHOOK_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#define WEBHOOK_MAX_ENDPOINT		2048	/* bytes */
#define WEBHOOK_MAX_HEADERS			32	/* of a subscription */
#define WEBHOOK_MAX_HEADER_NAME		256 /* bytes */
#define WEBHOOK_MAX_HEADER_VALUE	4096	/* bytes */
#define WEBHOOK_MAX_HEADER_BYTES	16384	/* names and values together */

/* Why something is refused: constant English texts. NULL problem: accepted. */
typedef struct WebhookUrlCheck
{
	const char *problem;		/* a sentence for DETAIL */
	const char *hint;			/* a sentence for HINT */
	bool		too_long;		/* a limit, not a form */
} WebhookUrlCheck;

/*
 * Judge a URL of the given length (it may hold NULs). If it is accepted,
 * "canonical" (WEBHOOK_MAX_ENDPOINT + 2 bytes) receives the text to store and
 * to send: scheme and host in lower case, default port dropped, an empty path
 * as "/". RFC 3986, with the restrictions that the verdicts state.
 */
extern WebhookUrlCheck webhook_url_check(const char *url, size_t length,
										 char *canonical);

/* Whom a URL calls. */
typedef struct WebhookTarget
{
	bool		secure;			/* https */
	const char *host;			/* within the URL, brackets included */
	size_t		host_length;
	int			port;			/* the scheme's, where none is given */
} WebhookTarget;

/*
 * Read it from an accepted URL, in its canonical text. False: the scheme is
 * neither http nor https; that is all that is found out of any other text.
 */
extern bool webhook_url_target(const char *canonical, WebhookTarget *target);

/*
 * Judge one header of a subscription: RFC 9110 sections 5.1 and 5.5, no name
 * that the sender itself sets.
 */
extern WebhookUrlCheck webhook_header_check(const char *name, size_t name_length,
											const char *value, size_t value_length);

#endif							/* WEBHOOK_ENDPOINT_H */
