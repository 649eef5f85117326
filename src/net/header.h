/*
 * header.h
 *	  An HTTP header, and what one of a subscription may look like.
 */
#ifndef WEBHOOK_HEADER_H
#define WEBHOOK_HEADER_H

#include <stddef.h>

#include "net/check.h"

#define WEBHOOK_MAX_HEADERS			32	/* of a subscription */
#define WEBHOOK_MAX_HEADER_NAME		256 /* bytes */
#define WEBHOOK_MAX_HEADER_VALUE	4096	/* bytes */
#define WEBHOOK_MAX_HEADER_BYTES	16384	/* names and values of a subscription together */

typedef struct WebhookHttpHeader
{
	const char *name;
	const char *value;
} WebhookHttpHeader;

/*
 * Judge one header of a subscription: RFC 9110, sections 5.1 and 5.5, and no name that the sender
 * sets itself. Name and value may hold NULs.
 */
extern WebhookCheck webhook_header_check(const char *name, size_t name_length,
										 const char *value, size_t value_length);

#endif							/* WEBHOOK_HEADER_H */
