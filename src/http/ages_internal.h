/*
 * ages_internal.h
 *	  The ages of connections that have had more than one request. No libcurl here.
 */
#ifndef WEBHOOK_HTTP_AGES_INTERNAL_H
#define WEBHOOK_HTTP_AGES_INTERNAL_H

#include <stdint.h>

#define WEBHOOK_HTTP_AGE_SETS	512 /* a power of two */
#define WEBHOOK_HTTP_AGE_WAYS	8	/* entries of a set */

typedef struct WebhookHttpAge
{
	int64_t		number;			/* of the connection, plus 1; 0: the entry is free */
	int64_t		since;			/* when it was first looked up: seconds */
	int64_t		used;			/* when it was last looked up: seconds */
} WebhookHttpAge;

/* All zero: nothing is known. */
typedef struct WebhookHttpAges
{
	WebhookHttpAge sets[WEBHOOK_HTTP_AGE_SETS][WEBHOOK_HTTP_AGE_WAYS];
} WebhookHttpAges;

/*
 * A connection is used once more. Returns the seconds since it was first looked
 * up; 0: it is unknown, and is known from now on. Connections have numbers from
 * 0 on, which are used once; "now" is in seconds and never goes back.
 */
extern int64_t webhook_http_age(WebhookHttpAges *ages, int64_t number, int64_t now);

#endif							/* WEBHOOK_HTTP_AGES_INTERNAL_H */
