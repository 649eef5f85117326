/*
 * module.c
 *	  The magic of the second library, webhook_http.
 *
 * The server loads only libraries that say which server they were built for.
 * This is the one file of the library that includes headers of PostgreSQL.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/compat.h"

COMPAT_MODULE_MAGIC("webhook_http");
