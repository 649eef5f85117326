/*
 * url.h
 *	  What the URL of an endpoint may look like.
 */
#ifndef WEBHOOK_URL_H
#define WEBHOOK_URL_H

#include <stddef.h>

#include "net/check.h"

#define WEBHOOK_MAX_ENDPOINT	2048	/* bytes of a URL */
#define WEBHOOK_MAX_HOST		253 /* bytes of a host's name: RFC 1035, section 2.3.4 */

/*
 * Judge a URL of the given length (it may hold NULs). If it is accepted, "canonical"
 * (WEBHOOK_MAX_ENDPOINT + 2 bytes) receives the text to store and to send: scheme and host in
 * lower case, without the scheme's default port, with "/" in place of an empty path. RFC 3986, with
 * the restrictions that the problems state. A canonical text is accepted again, and stays the same.
 */
extern WebhookCheck webhook_url_check(const char *url, size_t length, char *canonical);

#endif							/* WEBHOOK_URL_H */
