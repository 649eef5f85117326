/*
 * result_internal.h
 *	  The result of an exchange, taken from libcurl into the transfer.
 */
#ifndef WEBHOOK_HTTP_RESULT_INTERNAL_H
#define WEBHOOK_HTTP_RESULT_INTERNAL_H

#include "http/handle_internal.h"

/*
 * Fill in the transfer's result. "result" is libcurl's, a CURLcode. Call it before the handle
 * leaves the multi handle, which takes the connection's addresses along.
 */
extern void webhook_http_result_read(WebhookHttpHandle *handle, int result);

/*
 * The seconds that a Retry-After header asks to wait from "now" on (Unix time), in either of its
 * forms, a number or a date: RFC 9110, section 10.2.3. Returns 0 for a date that has passed, -1 if
 * the value is malformed.
 */
extern long webhook_http_retry_after(const char *value, int64_t now);

#endif							/* WEBHOOK_HTTP_RESULT_INTERNAL_H */
