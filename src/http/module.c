/*
 * module.c
 *	  The door of the second library, webhook_http.
 *
 * The server loads nothing that does not say which server it was built for;
 * this file says it, and hands out the engine. It is the only one of the
 * library that knows of PostgreSQL.
 */
#include "postgres.h"

#include "fmgr.h"

#include "http/http.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT const WebhookHttpApi *webhook_http_load(void);

const WebhookHttpApi *
webhook_http_load(void)
{
	return &webhook_http_api;
}
