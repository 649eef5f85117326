/*
 * log_values_internal.h
 *	  Requests and responses as values of the log. Every sequence of bytes has
 *	  a value; none of these functions raises an error about its argument.
 */
#ifndef WEBHOOK_LOG_VALUES_INTERNAL_H
#define WEBHOOK_LOG_VALUES_INTERNAL_H

#include "net/header.h"

/*
 * Bytes of the given encoding as type text in the database's encoding. Each
 * byte that is invalid there, and each NUL, is written as \xHH.
 */
extern Datum webhook_log_value_text(const char *bytes, size_t length,
									int encoding);

/*
 * Headers as a jsonb object: names in lower case, an array where a name is
 * repeated, credentials replaced by "***" as redact.h says.
 */
extern Datum webhook_log_value_headers(const WebhookHttpHeader *headers, int count);

/* An IP address as type inet. Returns false if the text is no address. */
extern bool webhook_log_value_address(const char *text, Datum *value);

#endif							/* WEBHOOK_LOG_VALUES_INTERNAL_H */
