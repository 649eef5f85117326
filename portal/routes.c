/*
 * routes.c
 *	  The statements of the portal.
 */
#include "portal/routes.h"

#include <stddef.h>

const PortalRoute portal_routes[] = {
	{"GET", "me",
		"SELECT pg_catalog.json_build_object('role', current_user, "
		"'database', pg_catalog.current_database())"},
	{NULL}
};
