/*
 * routes.h
 *	  What the portal asks the database, as data: a route is a method, a path, a
 *	  constant statement and the names of its parameters.
 *
 * portal/routes has a file for each, which routes.sh puts together.
 *
 * The path is that below api/.  A statement runs on the connection of the role that
 * has signed in, with what that role may do.
 *
 * GET: the statement reads only.  Its $n is the query parameter whose name is the
 * nth of "parameters", as text, or NULL if the address does not have it.  A
 * parameter that is not listed, is there twice, or is not UTF-8, is refused with 400, and
 * so is a value that is not among the "choices" of its parameter.
 * The parameter "own" is the session's, not the address's: "true" if the role does not see
 * the platform and all tenants, else NULL.
 *
 * POST: the statement's $1 is the request's body, a JSON object as text.  Its keys are
 * among "parameters"; one that is not, or is there twice, is refused with 400.  If that
 * is NULL, any are taken.  The statement runs between BEGIN READ WRITE and COMMIT.
 *
 * The answer is the one column of the one row that the statement returns, as text:
 * JSON made by PostgreSQL.  No row, or NULL, is answered with 404.
 *
 * The route GET "live", or "live_own" as for "own", is not a request of its own: its
 * result, with blanks for newlines, is sent as "tick" on each stream of api/live.
 */
#ifndef PORTAL_ROUTES_H
#define PORTAL_ROUTES_H

/*
 * The statement returns any number of rows and columns, which are sent as a file of
 * CSV with the names of the columns first.  The portal quotes fields, and guards those
 * that a spreadsheet would take for a formula.
 */
#define PORTAL_CSV		0x01

/* The statement may take five minutes, not 15 seconds. */
#define PORTAL_LONG		0x02

/* What a parameter of a GET may be, if that is one of a few words. */
typedef struct PortalChoice
{
	const char *parameter;
	const char *const *words;	/* the last one NULL */
} PortalChoice;

typedef struct PortalRoute
{
	const char *method;			/* "GET" or "POST" */
	const char *path;			/* below api/, without a slash before it */
	const char *statement;
	const char *const *parameters;	/* names, the last one NULL; or NULL */
	unsigned	flags;
	const PortalChoice *choices;	/* the last one's parameter is NULL; or NULL */
} PortalRoute;

/* The last one's method is NULL. */
extern const PortalRoute portal_routes[];

#endif							/* PORTAL_ROUTES_H */
