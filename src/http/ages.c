/*
 * ages.c
 *	  The ages of connections that have had more than one request.
 *
 * Nobody says when a connection is closed, so the table has a fixed size, and a
 * new entry takes the place of the one in its set that was not used for the
 * longest time. So a connection that is in use stays known, however many others
 * come and go. One that was not used for so long that others took its place
 * begins a new age; libcurl itself ends it while nobody uses it.
 */
#include "http/ages_internal.h"

int64_t
webhook_http_age(WebhookHttpAges *ages, int64_t number, int64_t now)
{
	WebhookHttpAge *set = ages->sets[number & (WEBHOOK_HTTP_AGE_SETS - 1)];
	WebhookHttpAge *entry = &set[0];

	for (int i = 0; i < WEBHOOK_HTTP_AGE_WAYS; i++)
	{
		if (set[i].number == number + 1)
		{
			set[i].used = now;
			return now - set[i].since;
		}
		if (set[i].used < entry->used)
			entry = &set[i];
	}
	entry->number = number + 1;
	entry->since = entry->used = now;
	return 0;
}
