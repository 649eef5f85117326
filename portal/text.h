/*
 * text.h
 *	  What the portal writes itself: strings and errors of JSON, cells of CSV; and
 *	  whether bytes are UTF-8.
 */
#ifndef PORTAL_TEXT_H
#define PORTAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "portal/buffer.h"

/* An error as the portal answers with it; what is NULL becomes null. */
typedef struct PortalError
{
	const char *sqlstate;
	const char *message;
	const char *detail;
	const char *hint;
	const char *column;			/* the argument that is refused */
} PortalError;

/* Returns true for UTF-8 as RFC 3629 has it; a NUL is none here. */
extern bool portal_is_utf8(const char *bytes, size_t length);

/* A string of JSON, RFC 8259 section 7, or null for NULL. */
extern void portal_json_string(PortalBuffer *buffer, const char *text);

/* One line of JSON with a newline. */
extern void portal_json_error(PortalBuffer *buffer, const PortalError *error);

/*
 * A field of CSV, RFC 4180, always quoted; NULL becomes an empty one without quotes.
 * What a spreadsheet would take for a formula gets a ' before it, also behind a semicolon,
 * a tab or a newline.
 */
extern void portal_csv_field(PortalBuffer *buffer, const char *text);

#endif							/* PORTAL_TEXT_H */
