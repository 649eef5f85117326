/*
 * log_values_internal.h
 *	  What was sent and what was answered, as values of the log. Whatever the
 *	  bytes are, there is a value for them.
 */
#ifndef WEBHOOK_LOG_VALUES_INTERNAL_H
#define WEBHOOK_LOG_VALUES_INTERNAL_H

#include "net/header.h"

/*
 * A text of the given encoding as type text in the database's encoding. What
 * is not valid there, and NUL, is escaped, one \xHH a byte.
 */
extern Datum webhook_log_value_text(const char *bytes, size_t length,
									int encoding);

/*
 * Headers as a jsonb object: names in lower case, an array where a name is
 * repeated, credentials replaced by "***" as redact.h says.
 */
extern Datum webhook_log_value_headers(const WebhookHttpHeader *headers, int count);

/* An address as type inet. False: the text is none. */
extern bool webhook_log_value_address(const char *text, Datum *value);

#endif							/* WEBHOOK_LOG_VALUES_INTERNAL_H */
