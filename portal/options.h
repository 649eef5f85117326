/*
 * options.h
 *	  What the portal is told on its command line.
 */
#ifndef PORTAL_OPTIONS_H
#define PORTAL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "portal/address.h"
#include "portal/request.h"

#define PORTAL_MAX_ORIGINS	8

typedef struct PortalOptions
{
	const char *database;		/* libpq's connection string */
	const char *service;		/* the same, of the role that acts by tokens; NULL: none does */
	const char *service_password;	/* of that role; NULL: "service" says where it is */
	PortalListen listen;
	const char *certificate;	/* file names, both or none */
	const char *key;
	const char *frame_ancestors;	/* an origin; NULL: nobody may frame the pages */
	const char *given_origins[PORTAL_MAX_ORIGINS];
	int			ngiven_origins;
	int64_t		idle;			/* milliseconds until an unused session ends */
	int64_t		longest;		/* milliseconds until any session ends */
	int			sessions;		/* how many there are at once */
	bool		allow_superuser;
	bool		forwarded;		/* a proxy in front writes X-Forwarded-For */

	/* What follows from the others; portal_options_rules() fills it in. */
	bool		is_secure;		/* pages are seen through https */
	const char *hosts[2 * PORTAL_MAX_ORIGINS + 1];
	const char *origins[PORTAL_MAX_ORIGINS + 1];
	PortalRules rules;
} PortalOptions;

/* Read the command line; ends the program with a message if it is wrong. */
extern void portal_options_read(int argc, char **argv, PortalOptions *options);

/* Once it is known on which port the portal listens. */
extern void portal_options_rules(PortalOptions *options);

#endif							/* PORTAL_OPTIONS_H */
